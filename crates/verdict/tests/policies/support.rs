//! The starter policies, and a small set of policies to change one thing in.

use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};
use verdict::{Policies, Source};

/// The policies directory of the repository.
#[expect(clippy::disallowed_methods, reason = "the tests are the shell here")]
pub(crate) fn starter() -> Source {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let mut source = Source::default();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            source.files.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
    source
}

/// Loads, or shows every problem.
pub(crate) fn load(source: &Source) -> Policies {
    Policies::load(source).unwrap_or_else(|problems| {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

pub(crate) const SCHEMA: &str = r#"namespace Shop {
  entity Item in [Portcullis::Api] { price: Long, owner?: Portcullis::User };
  action read;
  action see in [read] appliesTo {
    principal: [Portcullis::User, Portcullis::Workload, Portcullis::ApiKey, Portcullis::Anonymous],
    resource: [Item],
    context: Portcullis::Facts,
  };
  action buy appliesTo {
    principal: [Portcullis::User],
    resource: [Item],
    context: Portcullis::Facts,
  };
}
"#;

pub(crate) const ENTITIES: &str = r#"[
  {"uid": {"type": "Portcullis::Api", "id": "shop"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Portcullis::Role", "id": "buyer"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Portcullis::Group", "id": "corp|all"}, "attrs": {},
   "parents": [{"type": "Portcullis::Role", "id": "buyer"}]},
  {"uid": {"type": "Portcullis::Group", "id": "corp|team"}, "attrs": {},
   "parents": [{"type": "Portcullis::Group", "id": "corp|all"}]},
  {"uid": {"type": "Portcullis::User", "id": "corp|vip"}, "attrs": {},
   "parents": [{"type": "Portcullis::Role", "id": "buyer"}]},
  {"uid": {"type": "Shop::Item", "id": "book"}, "attrs": {"price": 20},
   "parents": [{"type": "Portcullis::Api", "id": "shop"}]},
  {"uid": {"type": "Shop::Item", "id": "island"}, "attrs": {"price": 9223372036854775807},
   "parents": [{"type": "Portcullis::Api", "id": "shop"}]}
]
"#;

/// A small shop with these policies for its API and these guardrails.
pub(crate) fn shop(policies: &str, guardrails: &str) -> Source {
    let files = [
        ("schema.cedarschema", SCHEMA),
        ("entities/all.json", ENTITIES),
        ("shop/policies.cedar", policies),
        ("guardrails/all.cedar", guardrails),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    Source { files: files.into(), ..Source::default() }
}

/// One YAML document as a value. Enough for case files: no anchors, no tags.
pub(crate) fn yaml(text: &str) -> Value {
    let mut open: Vec<(Value, Option<String>)> = Vec::new();
    for event in Parser::new_from_str(text) {
        let done = match event.unwrap().0 {
            Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            Event::SequenceStart(..) => {
                open.push((Value::Array(Vec::new()), None));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((Value::Object(Map::new()), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().unwrap().0,
            Event::Alias(_) => panic!("an alias"),
            _ => continue,
        };
        match open.last_mut() {
            Some((Value::Array(list), _)) => list.push(done),
            Some((Value::Object(map), key)) => match key.take() {
                Some(key) => assert!(map.insert(key, done).is_none(), "a key twice"),
                None => *key = Some(done.as_str().unwrap().to_owned()),
            },
            _ => return done,
        }
    }
    panic!("no document")
}

fn plain(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::from),
    }
}
