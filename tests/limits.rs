//! Everything a peer controls has a limit with a name, and each limit a test at its edge: the
//! table in ARCHITECTURE.md names both, and here is seen that they exist.

use std::{collections::BTreeSet, fs};

use fixtures::harness::repository;
use serde_json::Value;

fn read(path: &str) -> String {
    let file = repository().expect("the repository").join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The rows below a heading, their cells without the outer bars.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// What is wrong with `file.rs::function`, if anything is.
fn problem(test: &str) -> Option<String> {
    let Some((file, function)) = test.split_once("::") else {
        return Some(format!("`{test}` is not a file and a function"));
    };
    let source = read(file);
    let known = source.contains(&format!("#[test]\n    fn {function}("))
        || source.contains(&format!("#[test]\nfn {function}("))
        || source.contains(&format!("#[tokio::test]\nasync fn {function}("));
    (!known).then(|| format!("{file} has no test `{function}`"))
}

#[test]
fn every_limit_names_a_test_that_exists() {
    let text = read("ARCHITECTURE.md");
    let rows = rows(&text, "Limits");
    let mut problems = Vec::new();
    let mut named = BTreeSet::new();
    for row in &rows {
        let [limit, _, tests] = row[..] else { panic!("{row:?}") };
        named.extend(quoted(limit));
        assert!(quoted(tests).count() > 0, "{limit} names no test");
        problems.extend(quoted(tests).filter_map(problem));
    }
    assert!(problems.is_empty(), "{problems:#?}");

    let schema: Value =
        serde_json::from_str(&read("gateway/portcullis.schema.json")).expect("a schema");
    let keys = schema["$defs"]["Limits"]["properties"].as_object().expect("the listener's limits");
    let missing: Vec<&String> = keys.keys().filter(|key| !named.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md has no row for {missing:?}");
}

#[test]
fn what_does_not_exist_is_found() {
    let good = "tests/limits.rs::what_does_not_exist_is_found";
    assert_eq!(problem(good), None);
    assert!(problem("tests/limits.rs::no_such_test").is_some());
    assert!(problem("tests/limits.rs::quoted").is_some(), "it is no test");
    assert!(problem("nowhere").is_some());
}
