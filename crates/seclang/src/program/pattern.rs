//! `@rx`: patterns of the `regex` crate, in time linear in what they search.
//!
//! A pattern must see every byte, also in what is not UTF-8, so Unicode classes are off; `s` and
//! `m` are what rule sets are written for. Look-around and back-references do not exist here: a
//! pattern with them does not load.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

use super::needs::Needs;

/// Bytes that a compiled pattern may take, and that its automaton may at run time.
const PATTERN_BYTES_MAX: usize = 10 << 20;
const AUTOMATON_BYTES_MAX: usize = 512 << 10;

/// Bytes that a pattern which is made at run time may take.
const EXPANDED_BYTES_MAX: usize = 256 << 10;

/// A pattern and what it needs.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) regex: Regex,
    pub(crate) needs: Needs,
}

impl Pattern {
    /// Compiles a pattern as rule files write it.
    pub(crate) fn new(written: &str) -> Result<Self, String> {
        let pattern = bytewise(written);
        let hir = ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .dot_matches_new_line(true)
            .multi_line(true)
            .build()
            .parse(&pattern)
            .map_err(|error| said(&error.to_string()))?;
        let regex = build(&pattern, PATTERN_BYTES_MAX, AUTOMATON_BYTES_MAX)?;
        Ok(Self { regex, needs: Needs::of_pattern(&hir) })
    }

    /// Compiles a pattern that macros made.
    pub(crate) fn expanded(written: &str) -> Result<Regex, String> {
        build(&bytewise(written), EXPANDED_BYTES_MAX, EXPANDED_BYTES_MAX)
    }
}

fn build(pattern: &str, bytes_max: usize, automaton_bytes_max: usize) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .dot_matches_new_line(true)
        .multi_line(true)
        .size_limit(bytes_max)
        .dfa_size_limit(automaton_bytes_max)
        .build()
        .map_err(|error| said(&error.to_string()))
}

/// The last line of what the `regex` crate says, which is what is wrong.
fn said(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default().trim();
    format!("the pattern does not compile: {}", last.trim_start_matches("error: "))
}

/// PCRE's `\x{hh}` as the byte it means; a pattern with characters beyond ASCII in it is one of
/// characters.
fn bytewise(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 4);
    if !pattern.is_ascii() {
        out.push_str("(?u)");
    }
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("\\x{") {
        out.push_str(before);
        let escaped = before.len() - before.trim_end_matches('\\').len();
        match after.split_once('}') {
            Some((digits, after)) if digits.len() == 2 && escaped % 2 == 0 => {
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
