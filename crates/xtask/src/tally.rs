//! Counting what suites say. Deliberately strict: a suite that says nothing has not passed.

use std::{
    fmt,
    ops::{Add, AddAssign},
};

use crate::setup::ci;

/// How many passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// One check that passed or failed.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), skipped: 0 }
    }

    /// A suite that could not run.
    pub(crate) fn skipped() -> Self {
        Self { skipped: 1, ..Self::default() }
    }

    /// A suite, or a part of one, that needs what this machine cannot have: skipped, but in CI it
    /// has failed.
    pub(crate) fn missing() -> Self {
        if ci() { Self::one(false) } else { Self::skipped() }
    }

    /// The sum of the lines `test result: ok. 1 passed; 0 failed; 0 ignored; …`. A run that failed
    /// without a failed test (it did not build, or it crashed), or that ran no test, counts as one
    /// failure.
    pub(crate) fn of_tests(success: bool, lines: &[String]) -> Self {
        let mut tally =
            lines.iter().filter_map(|line| of_line(line)).fold(Self::default(), Add::add);
        if tally.failed == 0 && (!success || tally.passed == 0) {
            tally.failed = 1;
        }
        tally
    }

    /// `name=number` words of the last line that begins with `head`.
    pub(crate) fn words(head: &str, lines: &[String]) -> Option<Vec<(String, u64)>> {
        let line = lines.iter().rev().find_map(|line| line.strip_prefix(head))?;
        let word = |word: &str| {
            let (name, number) = word.split_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        Some(line.split_whitespace().filter_map(word).collect())
    }
}

fn of_line(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what: &str| -> Option<u64> {
        let part = counts.split("; ").find_map(|part| part.strip_suffix(what))?;
        part.trim().parse().ok()
    };
    Some(Tally { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(success: bool, lines: &[&str], want: (u64, u64, u64)) {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let Tally { passed, failed, skipped } = Tally::of_tests(success, &lines);
        assert_eq!((passed, failed, skipped), want);
    }

    #[test]
    fn test_results_add_up() {
        let ok = "test result: ok. 50 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.01s";
        let bad = "test result: FAILED. 49 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.01s";
        check(true, &["running 50 tests", ok, "", ok], (100, 0, 4));
        check(false, &[ok, bad], (99, 1, 2));
    }

    #[test]
    fn a_run_that_says_nothing_has_failed() {
        check(false, &[], (0, 1, 0));
        check(true, &[], (0, 1, 0));
        check(true, &["test result: ok. many passed"], (0, 1, 0));
    }

    #[test]
    fn words_of_the_last_such_line() {
        let lines = ["demo: rows=1 verified=no", "demo: rows=9 as_expected=8 verified=ok"]
            .map(str::to_owned);
        let words = Tally::words("demo: ", &lines).expect("a line");
        assert_eq!(words, [("rows".to_owned(), 9), ("as_expected".to_owned(), 8)]);
        assert_eq!(Tally::words("ocsf: ", &lines), None);
    }
}
