//! `@rx`: patterns of the `regex` crate, in time linear in what they search.
//!
//! A pattern must see every byte, also in what is not UTF-8, so Unicode classes are off; `s` and
//! `m` are what rule sets are written for. Look-around and back-references do not exist here: a
//! pattern with them does not load.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

use super::{dialect::translate, literals, needs::Needs};

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
    /// Of these a match holds one, in whatever case, if there are any.
    pub(crate) texts: Option<Vec<Vec<u8>>>,
}

impl Pattern {
    /// Compiles a pattern as rule files write it.
    pub(crate) fn new(written: &str) -> Result<Self, String> {
        let pattern = translate(written);
        let hir = ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .dot_matches_new_line(true)
            .multi_line(true)
            .build()
            .parse(&pattern)
            .map_err(|error| said(&error.to_string()))?;
        let regex = build(&pattern, PATTERN_BYTES_MAX, AUTOMATON_BYTES_MAX)?;
        Ok(Self { regex, needs: Needs::of_pattern(&hir), texts: literals::of_pattern(&hir) })
    }

    /// Compiles a pattern that macros made.
    pub(crate) fn expanded(written: &str) -> Result<Regex, String> {
        build(&translate(written), EXPANDED_BYTES_MAX, EXPANDED_BYTES_MAX)
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
