//! Everything a peer controls has a limit with a name, and each limit a test at its edge: the
//! table in ARCHITECTURE.md names both, and here is seen that they exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use fixtures::harness::repository;
use serde_json::Value;

/// Where peers are listened to and talked to.
const PLACES: [&str; 8] = [
    "gateway/src/admin",
    "gateway/src/admin.rs",
    "gateway/src/forward",
    "gateway/src/listen",
    "gateway/src/listen.rs",
    "gateway/src/protocol",
    "gateway/src/read",
    "gateway/src/read.rs",
];
/// What no peer controls.
const OF_NO_PEER: [&str; 3] = [
    "ADDED_MAX",     // what the gateway adds to a request
    "ADDRESSES_MAX", // of what the operator's resolver says, the first are tried
    "PROBLEMS_MAX",  // of a load, what the admin listener shows
];

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
        || source.contains(&format!("#[tokio::test]\n    async fn {function}("))
        || source.contains(&format!("#[tokio::test]\nasync fn {function}("));
    (!known).then(|| format!("{file} has no test `{function}`"))
}

/// The sources in a place, without its tests.
fn sources(place: &Path) -> Vec<PathBuf> {
    if place.file_stem().is_some_and(|name| name == "tests") {
        return Vec::new();
    }
    if !place.is_dir() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).expect("a directory");
    entries.flat_map(|entry| sources(&entry.expect("an entry").path())).collect()
}

/// The constants that are limits, by their names.
fn constants(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let (_, rest) = line.split_once("const ")?;
        let (name, _) = rest.split_once(':')?;
        let is_limit = name.ends_with("_MAX") || name.ends_with("_TIMEOUT");
        is_limit.then_some(name)
    })
}

#[test]
fn every_limit_of_a_peer_is_in_the_table() {
    let text = read("ARCHITECTURE.md");
    let rows = rows(&text, "Limits");
    let named: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| quoted(row[0]))
        .map(|name| name.rsplit("::").next().unwrap_or_default())
        .collect();
    let root = repository().expect("the repository");
    let mut limits = BTreeSet::new();
    for file in PLACES.iter().flat_map(|place| sources(&root.join(place))) {
        let source = fs::read_to_string(file).expect("a source");
        limits.extend(constants(&source).map(str::to_owned));
    }
    for name in OF_NO_PEER {
        assert!(limits.remove(name), "`{name}` is no limit any more");
        assert!(!named.contains(name), "`{name}` is in the table");
    }
    limits.retain(|name| !named.contains(name.as_str()));
    assert!(limits.is_empty(), "ARCHITECTURE.md has no row for {limits:?}");
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
    let source = "const A_MAX: u8 = 1;\n    pub(crate) const B_TIMEOUT: u8 = 1;\nconst C: u8 = 1;";
    assert!(constants(source).eq(["A_MAX", "B_TIMEOUT"]));
}
