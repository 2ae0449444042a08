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
pub(super) fn is_test(source: &str, function: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {function}(")) else { return false };
    let Some((before, _)) = before.rsplit_once('\n') else { return false };
    let mut attributes = before.lines().rev().take_while(|line| line.trim().starts_with("#["));
    attributes.any(|line| line.contains("test"))
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

/// What OSCAL 1.2 requires of each object, by the list that it is in.
const REQUIRED: &[(&str, &[&str])] = &[
    ("component-definition", &["uuid", "metadata"]),
    ("metadata", &["title", "last-modified", "version", "oscal-version"]),
    ("components", &["uuid", "type", "title", "description"]),
    ("control-implementations", &["uuid", "source", "description", "implemented-requirements"]),
    ("implemented-requirements", &["uuid", "control-id", "description"]),
    ("props", &["name", "value"]),
];

/// Where the document lacks what OSCAL requires: fields, and ids that are random and given once.
fn shortcomings(document: &Value) -> Vec<String> {
    let (mut problems, mut ids) = (Vec::new(), BTreeSet::new());
    look("", document, &mut problems, &mut ids);
    problems
}

fn look(list: &str, value: &Value, problems: &mut Vec<String>, ids: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| look(list, item, problems, ids)),
        Value::Object(fields) => {
            let required = REQUIRED.iter().find(|(name, _)| *name == list);
            for field in required.map_or(&[][..], |(_, fields)| *fields) {
                if fields.get(*field).is_none_or(|value| *value == "") {
                    problems.push(format!("{list} without `{field}`"));
                }
            }
            if let Some(id) = fields.get("uuid").and_then(Value::as_str) {
                let parts: Vec<&str> = id.split('-').collect();
                let sizes: Vec<usize> = parts.iter().map(|part| part.len()).collect();
                let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                let random = sizes == [8, 4, 4, 4, 12]
                    && parts.iter().all(|part| part.chars().all(hex))
                    && parts[2].starts_with('4')
                    && parts[3].starts_with(['8', '9', 'a', 'b']);
                if !random || !ids.insert(id.to_owned()) {
                    problems.push(format!("the id `{id}`"));
                }
            }
            fields.iter().for_each(|(name, value)| look(name, value, problems, ids));
        }
        _ => {}
    }
}

#[test]
fn the_definition_has_what_oscal_requires() {
    let file = repository().expect("the repository").join("compliance/component-definition.json");
    let mut document: Value =
        serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON");
    assert_eq!(shortcomings(&document), Vec::<String>::new());
    let definition = &mut document["component-definition"];
    assert_eq!(definition["metadata"]["oscal-version"], "1.2.1");
    definition["components"][0]["title"] = "".into();
    definition["components"][1]["uuid"] = "0c119952-342d-145a-b033-05111349bf2d".into();
    definition["components"][2]["uuid"] = definition["uuid"].clone();
    definition["metadata"].as_object_mut().expect("an object").shift_remove("version");
    let mut found = shortcomings(&document);
    found.sort();
    let own = text(&document, "/component-definition/uuid");
    assert_eq!(
        found,
        [
            "components without `title`".to_owned(),
            "metadata without `version`".to_owned(),
            "the id `0c119952-342d-145a-b033-05111349bf2d`".to_owned(),
            format!("the id `{own}`"),
        ]
    );
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
