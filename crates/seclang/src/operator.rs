//! What a rule looks for. `@rx`, `@pm` and `@contains` all become patterns of one automaton.
//!
//! The modules below have the operators of the SecLang manual as functions of bytes, each with its
//! argument read before. Those that need a network or a database (`@rbl`, `@geoLookup`) are not
//! here; macros in arguments are expanded by whoever calls.

mod card;
mod check;
mod ip;
mod number;
mod phrase;
mod text;
mod valid;

#[cfg(test)]
mod tests;

use libinjectionrs::{detect_sqli, detect_xss};
use regex::bytes::{Regex, RegexBuilder};

use crate::{byte_set::ByteSet, subset::parse::Test, problem::Fault};

pub use card::CardNumber;
pub use check::Check;
pub use ip::Networks;
pub use number::{Comparison, number};
pub use phrase::Phrases;
pub use text::TextTest;
pub use valid::{byte_range, is_url_encoding_invalid, is_utf8_invalid};

/// Bytes a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 10 << 20;

/// What a rule looks for.
#[derive(Debug, Clone)]
pub(crate) enum Operator {
    /// A pattern, byte-wise: `.` is any byte, lines do not end it.
    Pattern(String),
    /// libinjection's tokenizer for SQL.
    Sqli,
    /// libinjection's tokenizer for HTML.
    Xss,
}

impl Operator {
    pub(crate) fn compile(test: &Test) -> Result<Self, Fault> {
        let argument = test.argument.text.as_str();
        let name = test.operator.text.as_str();
        let wants_argument = matches!(name, "rx" | "pm" | "contains");
        if wants_argument && argument.is_empty() {
            return Err(Fault::new(test.operator.at, format!("`@{name}` needs an argument")));
        }
        match name {
            "rx" => {
                let pattern = bytewise(argument);
                check(&pattern).map_err(|error| Fault::new(test.argument.at, error))?;
                Ok(Self::Pattern(pattern))
            }
            "pm" => {
                let words: Vec<String> = argument.split_whitespace().map(regex::escape).collect();
                Ok(Self::Pattern(format!("(?i:{})", words.join("|"))))
            }
            "contains" => Ok(Self::Pattern(regex::escape(argument))),
            "detectSQLi" | "detectXSS" if !argument.is_empty() => {
                Err(Fault::new(test.argument.at, format!("`@{name}` takes no argument")))
            }
            "detectSQLi" => Ok(Self::Sqli),
            "detectXSS" => Ok(Self::Xss),
            _ => Err(Fault::new(test.operator.at, format!("unknown operator `@{name}`"))
                .hint("`@rx`, `@pm`, `@contains`, `@detectSQLi` and `@detectXSS` are known")),
        }
    }
}

/// libinjection's verdict. A text that cannot hold an attack is not tokenized: SQL needs a byte
/// that is neither letter, digit nor underscore.
pub fn is_sqli(text: &[u8], seen: ByteSet) -> bool {
    !seen.within(ByteSet::WORD) && detect_sqli(text).is_injection()
}

/// The tokens that [`is_sqli`] found an attack in, as libinjection abbreviates them.
pub fn sqli_fingerprint(text: &[u8]) -> Option<String> {
    let result = detect_sqli(text);
    let found = result.is_injection().then_some(result.fingerprint).flatten();
    found.map(|fingerprint| fingerprint.as_str().to_owned())
}

/// As [`is_sqli`]; markup needs `<` or `=`.
pub fn is_xss(text: &[u8], seen: ByteSet) -> bool {
    const NEEDED: ByteSet = ByteSet::of(b"<=");
    seen.meets(NEEDED) && detect_xss(text).is_injection()
}

/// The options all patterns are compiled with: a pattern must see every byte, also in what is not
/// UTF-8, so Unicode classes are off; `s` and `m` are what rule sets are written for.
pub(crate) fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .dot_matches_new_line(true)
        .multi_line(true)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
}

fn check(pattern: &str) -> Result<(), String> {
    pattern_of(pattern).map(drop)
}

/// A pattern as rule files write it.
fn pattern(argument: &str) -> Result<Regex, String> {
    pattern_of(&bytewise(argument))
}

fn pattern_of(pattern: &str) -> Result<Regex, String> {
    build(pattern).map_err(|error| {
        let error = error.to_string();
        let last = error.lines().last().unwrap_or_default().trim();
        format!("the pattern does not compile: {}", last.trim_start_matches("error: "))
    })
}

/// PCRE's `\x{hh}` as the byte it means.
fn bytewise(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("\\x{") {
        out.push_str(before);
        match after.split_once('}') {
            Some((digits, after)) if digits.len() == 2 => {
                out.push_str("\\x");
                out.push_str(digits);
                rest = after;
            }
            _ => {
                out.push_str("\\x{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
