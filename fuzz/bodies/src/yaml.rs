//! YAML as configurations and policy cases are written. A document that is read has one meaning:
//! written as JSON, which YAML contains, it is read as the same. Every problem of a configuration
//! has a place in its file.

use std::path::{Path, PathBuf};

use gateway::config::{Config, File, Files, PROBLEMS_MAX, Problem, Yaml};
use serde_json::Value;

/// A key on one line, at most (YAML 1.2.2 §7.4.2), less its quotes and escapes.
const KEY_BYTES_MAX: usize = 150;

/// Reads the bytes as a document, and as a configuration.
pub fn yaml(data: &[u8]) -> bool {
    let lines = data.iter().filter(|byte| **byte == b'\n').count() + 2;
    let configuration = parse(data);
    assert_eq!(parse(data), configuration, "the same text was read differently");
    if let Err(problems) = &configuration {
        assert!((1..=PROBLEMS_MAX + 1).contains(&problems.len()), "{}", problems.len());
        have_a_place(problems, lines);
    }
    match Yaml::parse(Path::new("f.yaml"), data) {
        Ok(document) => {
            means_one_thing(&document.to_json());
            true
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            have_a_place(&problems, lines);
            false
        }
    }
}

/// The digest of a configuration, or its problems.
fn parse(data: &[u8]) -> Result<String, Vec<Problem>> {
    let main = File { path: PathBuf::from("f.yaml"), bytes: data.to_vec() };
    Config::parse(&Files::new(main, Vec::new())).map(|config| config.digest)
}

fn have_a_place(problems: &[Problem], lines: usize) {
    for problem in problems {
        let Problem { line, column, message, .. } = problem;
        assert!((1..=lines).contains(line) && *column > 0, "{problem}");
        assert!(!message.is_empty());
    }
}

fn means_one_thing(json: &Value) {
    if !writable(json) {
        return;
    }
    let text = json.to_string();
    match Yaml::parse(Path::new("f.json"), text.as_bytes()) {
        Ok(again) => assert_eq!(again.to_json(), *json, "{text}"),
        Err(problems) => panic!("{text}: {}", problems[0]),
    }
}

/// JSON that is YAML, too: no character that YAML refuses raw, no key that is too long for one
/// line, not only a merge key.
fn writable(json: &Value) -> bool {
    let plain = |text: &str| {
        text.chars().all(|c| !c.is_control() && !('\u{200e}'..'\u{2070}').contains(&c))
            && !text.contains(['\u{feff}', '\u{fffe}', '\u{ffff}'])
    };
    match json {
        Value::String(text) => plain(text),
        Value::Array(items) => items.iter().all(writable),
        Value::Object(members) => members
            .iter()
            .all(|(key, value)| plain(key) && key.len() <= KEY_BYTES_MAX && writable(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}
