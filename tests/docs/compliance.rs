//! What the controls of `compliance/` name: tests, policies and commands that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use fixtures::{harness::repository, record::text};
use serde_json::Value;

use super::commands::Shown;

/// The controls that are spoken of.
const CONTROLS: [&str; 10] =
    ["ac-3", "ac-6", "au-10", "au-2", "au-3", "au-5", "au-9", "ia-2", "sc-5", "si-10"];
const NAMESPACE: &str = "urn:portcullis:oscal";

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What is wrong with a property, if anything is.
fn problem(name: &str, value: &str) -> Option<String> {
    let read = |file: &str| fs::read_to_string(repository().expect("the repository").join(file));
    let holds = match name {
        "test" => value.split_once("::").is_some_and(|(file, function)| {
            read(file).is_ok_and(|source| is_test(&source, function))
        }),
        "policy" => value.split_once('#').is_some_and(|(file, id)| {
            read(file).is_ok_and(|source| source.contains(&format!("@id(\"{id}\")")))
        }),
        "query" => return Shown::read(value).map_or(Some(format!("`{value}`")), |it| it.problem()),
        _ => false,
    };
    (!holds).then(|| format!("no {name} `{value}`"))
}

/// Whether the function is there and is a test: an attribute that says so stands before it.
fn is_test(source: &str, function: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {function}(")) else { return false };
    let attributes = before.lines().rev().skip(1).take_while(|line| line.trim().starts_with("#["));
    attributes.into_iter().any(|line| line.contains("test"))
}

#[test]
fn every_control_names_what_exists() {
    let file = repository().expect("the repository").join("compliance/component-definition.json");
    let document: Value = serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON");
    let mut problems = Vec::new();
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    let components = list(&document["component-definition"], "components");
    let implementations = components.iter().flat_map(|it| list(it, "control-implementations"));
    for requirement in implementations.flat_map(|it| list(it, "implemented-requirements")) {
        let control = text(requirement, "/control-id").to_owned();
        for property in list(requirement, "props") {
            assert_eq!(text(property, "/ns"), NAMESPACE, "{control}");
            let name = text(property, "/name");
            let found = problem(name, text(property, "/value"));
            problems.extend(found.map(|found| format!("{control}: {found}")));
            *shown.entry(control.clone()).or_default() += usize::from(name == "test");
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert_eq!(shown.keys().map(String::as_str).collect::<Vec<_>>(), CONTROLS);
    assert!(shown.values().all(|tests| *tests > 0), "a control without a test: {shown:?}");
}

#[test]
fn ids_are_given_once() {
    let file = repository().expect("the repository").join("compliance/component-definition.json");
    let text = fs::read_to_string(file).expect("a file");
    let ids: Vec<&str> = text.split("\"uuid\": \"").skip(1).filter_map(|it| it.get(..36)).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    assert!(ids.len() > CONTROLS.len());
}

#[test]
fn what_does_not_exist_is_found() {
    let check = |name: &str, value: &str, want: bool| {
        assert_eq!(problem(name, value).is_none(), want, "{name} {value}");
    };
    let this = "tests/docs/compliance.rs::what_does_not_exist_is_found";
    check("test", this, true);
    check("test", "tests/docs/compliance.rs::is_test", false);
    check("test", "tests/docs/compliance.rs::what_does_not", false);
    check("test", "tests/no.rs::what_does_not_exist_is_found", false);
    check("policy", "policies/public/pages.cedar#public-view", true);
    check("policy", "policies/public/pages.cedar#public", false);
    check("query", "portcullis audit verify", true);
    check("query", "portcullis audit believe", false);
    check("query", "ask somebody", false);
    check("hope", this, false);
}
