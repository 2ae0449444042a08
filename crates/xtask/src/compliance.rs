//! Whether the tests that `compliance/` names ran and passed. Reads what the suites before it
//! printed.
//!
//! Deliberately no reader of JSON: the file is one property a line, as the tests of the documents
//! hold it, and they also know whether a name exists.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
};

use anyhow::{Context, Result, ensure};

use crate::{
    machine::{root, target},
    tally::Tally,
};

/// Forgets what ran before.
pub(crate) fn forget() -> Result<()> {
    let _ = fs::remove_file(passed_file()?);
    Ok(())
}

/// Keeps the tests that passed, of the lines that a test program printed.
pub(crate) fn keep(lines: &[String]) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(passed_file()?)?;
    for path in passed(lines) {
        writeln!(file, "{path}")?;
    }
    Ok(())
}

/// Every named test is one, passed if it ran and passed.
pub(crate) fn check() -> Result<Tally> {
    let document = fs::read_to_string(root()?.join("compliance/component-definition.json"))?;
    let ran = fs::read_to_string(passed_file()?).context("no suite before ran a test")?;
    let ran: BTreeSet<&str> = ran.lines().collect();
    let (controls, named) = (values(&document, "\"control-id\": \""), tests(&document));
    ensure!(!named.is_empty(), "no test is named");
    let (shown, lost): (Vec<&str>, Vec<&str>) =
        named.iter().partition(|named| ran.iter().any(|path| is(named, path)));
    for named in &lost {
        println!("compliance: `{named}` did not run, or did not pass");
    }
    let (controls, tests, ran) = (controls.len(), named.len(), shown.len());
    println!("compliance: controls={controls} tests={tests} ran={ran}");
    Ok(Tally { passed: u64::try_from(ran)?, failed: u64::try_from(lost.len())?, skipped: 0 })
}

fn passed_file() -> Result<PathBuf> {
    Ok(target()?.join("passed.txt"))
}

/// The paths of tests that passed. What a test writes itself may stand before its result, which is
/// then a line of its own: the last one before the next test counts.
fn passed(lines: &[String]) -> Vec<&str> {
    let mut results: Vec<(&str, bool)> = Vec::new();
    for line in lines {
        if let Some((path, result)) =
            line.strip_prefix("test ").and_then(|it| it.split_once(" ... "))
        {
            results.push((path, result == "ok"));
        } else if let (Some((_, ok)), "ok" | "FAILED") = (results.last_mut(), line.as_str()) {
            *ok = line == "ok";
        }
    }
    results.into_iter().filter_map(|(path, ok)| ok.then_some(path)).collect()
}

/// Every value that follows `head`, up to the quote.
fn values<'a>(document: &'a str, head: &str) -> BTreeSet<&'a str> {
    document.split(head).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The values of properties named `test`.
fn tests(document: &str) -> BTreeSet<&str> {
    let properties = document.split("\"name\": \"test\"").skip(1);
    properties.filter_map(|rest| rest.split("\"value\": \"").nth(1)?.split('"').next()).collect()
}

/// Whether a path that ran is the named `file::function`: its modules are the file's, or a module
/// `tests` within that.
fn is(named: &str, path: &str) -> bool {
    let Some((file, function)) = named.split_once(".rs::") else { return false };
    let mut modules: Vec<&str> = path.split("::").collect();
    if modules.pop() != Some(function) {
        return false;
    }
    let places: Vec<&str> = file.split('/').collect();
    let start = places.iter().position(|place| ["src", "tests"].contains(place));
    let mut places = places.get(start.map_or(0, |start| start + 1)..).unwrap_or_default().to_vec();
    if places.last().is_some_and(|last| ["lib", "main", "mod"].contains(last)) {
        places.pop();
    }
    let holds = |modules: &[&str]| {
        // of a test program in a directory of its own, the directory is no module
        places == modules || places.split_first().is_some_and(|(_, rest)| rest == modules)
    };
    holds(&modules) || (modules.pop() == Some("tests") && holds(&modules))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passed_is_kept() {
        let check = |lines: &[&str], want: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(passed(&lines), want, "{lines:?}");
        };
        check(&["test a::b ... ok", "test c ... FAILED", "test d ... ok"], &["a::b", "d"]);
        check(&["test a::b ... ignored", "a::b ... ok", "test a::b", "ok."], &[]);
        check(&["test a ... it says", "more", "ok", "test b ... it says", "FAILED"], &["a"]);
        check(&["test a ... it says", "ok", "more", "FAILED", "test result: ok. 1"], &[]);
        check(&["ok", "test a ... "], &[]);
    }

    #[test]
    fn a_named_test_is_found_by_its_modules() {
        let check = |named: &str, path: &str, want: bool| {
            assert_eq!(is(named, path), want, "{named} {path}");
        };
        check("crates/x/src/a/b.rs::f", "a::b::f", true);
        check("crates/x/src/a/b.rs::f", "a::b::tests::f", true);
        check("crates/x/src/a/tests.rs::f", "a::tests::f", true);
        check("crates/x/src/tests/a.rs::f", "tests::a::f", true);
        check("crates/x/src/lib.rs::f", "tests::f", true);
        check("crates/x/src/a/mod.rs::f", "a::f", true);
        check("crates/x/tests/all/a.rs::f", "a::f", true);
        check("crates/x/tests/a.rs::f", "f", true);
        check("tests/e2e/a.rs::f", "e2e::a::f", true);
        check("crates/x/src/a/b.rs::f", "a::b::g", false);
        check("crates/x/src/a/b.rs::f", "a::c::f", false);
        check("crates/x/src/a/b.rs::f", "f", false);
        check("crates/x/src/a.rs::f", "a::other::f", false);
        check("somewhere::f", "f", false);
    }

    #[test]
    fn controls_and_tests_are_read() {
        let text = "\"control-id\": \"ac-3\", { \"name\": \"test\",\n \"ns\": \"n\",\n \
                    \"value\": \"a.rs::f\" }, { \"name\": \"query\", \"value\": \"q\" }, \
                    \"control-id\": \"ac-3\"";
        assert!(values(text, "\"control-id\": \"").iter().eq(&["ac-3"]));
        assert!(tests(text).iter().eq(&["a.rs::f"]));
    }
}
