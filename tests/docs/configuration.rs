//! Configuration and policies that documents show, given to the product as they stand, and the
//! reference of the configuration held against its schema.

use std::{collections::BTreeSet, fs, path::Path};

use fixtures::{
    certs::Certs,
    harness::{Portcullis, Work},
};
use serde_json::Value;
use verdict::{Policies, Source};

use super::{document, documents, files, text_of};

/// The schema that the binary prints.
pub(super) fn schema() -> Value {
    let work = Work::new("docs-schema").expect("a directory");
    let portcullis = Portcullis::new(work.path()).expect("the binary");
    serde_json::from_str(&portcullis.must(&["schema"]).expect("the schema")).expect("JSON")
}

/// Everything that a configuration in a document refers to, made where it says.
struct Place {
    work: Work,
    portcullis: Portcullis,
}

impl Place {
    fn new(name: &str) -> Self {
        let work = Work::new(name).expect("a directory");
        let portcullis = Portcullis::new(work.path()).expect("the binary");
        portcullis.keys(&work.dir("keys").expect("keys"), "example.com", "eu-1").expect("keys");
        Certs::generate()
            .expect("certificates")
            .write(&work.dir("tls").expect("tls"))
            .expect("tls");
        for path in files().iter().filter(|path| path.starts_with("policies")) {
            let to = work.path().join(path);
            fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
            fs::write(to, text_of(path)).expect("written");
        }
        Self { work, portcullis }
    }

    /// What `portcullis check` says against a configuration, if anything.
    fn problem(&self, text: &str) -> Option<String> {
        fs::write(self.work.path().join("shown.yaml"), text).expect("written");
        let output = self.portcullis.run(&["check", "--config", "shown.yaml"]).expect("run");
        (output.code != Some(0)).then(|| output.out + &output.err)
    }
}

/// The configuration with the sections of a fragment in place of its own.
fn merged(whole: &str, fragment: &str) -> String {
    let name = |line: &str| line.split_once(':').map(|(name, _)| name.to_owned());
    let is_head = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
    let given: BTreeSet<String> = fragment.lines().filter(is_head).filter_map(name).collect();
    let (mut text, mut kept) = (String::new(), true);
    for line in whole.lines() {
        if is_head(&line) {
            kept = name(line).is_none_or(|name| !given.contains(&name));
        }
        if kept {
            text += line;
            text.push('\n');
        }
    }
    text + fragment
}

#[test]
fn every_configuration_that_is_shown_is_right() {
    let place = Place::new("docs-configuration");
    let readme = document("README.md");
    let is_whole = |text: &&str| text.starts_with("version:");
    let whole = readme.blocks_in("yaml").find(is_whole).expect("a whole configuration");
    for document in documents() {
        for block in document.blocks_in("yaml") {
            let text = if is_whole(&block) { block.to_owned() } else { merged(whole, block) };
            let problem = place.problem(&text);
            assert_eq!(problem, None, "{}:\n{text}", document.name);
        }
    }
    let broken = whole.replace("upstream: orders", "upstream: order");
    assert_ne!(broken, whole);
    assert!(place.problem(&broken).expect("a problem").contains("`order`"));
    assert!(place.problem(&merged(whole, "drain: { dealy: 1s }\n")).is_some());
}

#[test]
fn a_fragment_takes_the_place_of_its_sections() {
    let whole = "a: 1\nb:\n  c: 2\n# d\nd: 3\n";
    assert_eq!(merged(whole, "b: 4\n"), "a: 1\nd: 3\nb: 4\n");
    assert_eq!(merged(whole, "e: 5\n"), format!("{whole}e: 5\n"));
}

/// Whether a policy that is shown can be loaded by itself, under the starter schema.
fn loads(policy: &str) -> bool {
    let mut source = Source::default();
    for path in files().iter().filter(|path| path.starts_with("policies")) {
        let name = path.strip_prefix("policies").expect("below it").display().to_string();
        if name == "schema.cedarschema" || name.starts_with("entities/") {
            source.files.insert(name, text_of(path));
        }
    }
    let place =
        if policy.contains("forbid (") { "guardrails/shown.cedar" } else { "orders/shown.cedar" };
    source.files.insert(place.to_owned(), policy.to_owned());
    Policies::load(&source).is_ok()
}

#[test]
fn every_policy_that_is_shown_is_right() {
    let documents = documents();
    let shown = documents.iter().flat_map(|document| document.blocks_in("cedar"));
    let shown: Vec<&str> = shown.collect();
    assert!(!shown.is_empty(), "no document shows a policy");
    for policy in &shown {
        assert!(loads(policy), "{policy}");
        let stranger = policy.replacen("Orders::", "Ordres::", 1);
        assert!(*policy == stranger || !loads(&stranger), "{stranger}");
    }
    assert!(!loads("permit (principal, action, resource"));
}

/// Names of properties anywhere in a schema.
fn properties(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for (word, value) in object {
                if let (true, Some(known)) = (word == "properties", value.as_object()) {
                    names.extend(known.keys().cloned());
                }
                properties(value, names);
            }
        }
        Value::Array(list) => list.iter().for_each(|one| properties(one, names)),
        _ => {}
    }
}

/// Keys that the reference lacks, commented out or not.
fn lacking(reference: &str, schema: &Value) -> Vec<String> {
    let mut names = BTreeSet::new();
    properties(schema, &mut names);
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words: Vec<&str> = reference.split(':').collect();
    let before_colon = |text: &&str| {
        let start = text.rfind(|c: char| !is_word(c)).map_or(0, |at| at + 1);
        text.split_at(start).1.to_owned()
    };
    let known: BTreeSet<String> = words.iter().map(before_colon).collect();
    names.difference(&known).cloned().collect()
}

#[test]
fn the_reference_has_every_key_of_the_schema() {
    let schema = schema();
    let reference = text_of(Path::new("gateway/portcullis.yaml"));
    assert_eq!(lacking(&reference, &schema), Vec::<String>::new());
    assert_eq!(lacking(&reference.replace("leeway:", "lee:"), &schema), ["leeway"]);
    let committed = text_of(Path::new("gateway/portcullis.schema.json"));
    let committed: Value = serde_json::from_str(&committed).expect("JSON");
    assert_eq!(committed, schema, "the committed schema is not the binary's");
}

#[test]
fn the_reference_is_right() {
    let place = Place::new("docs-reference");
    let reference = text_of(Path::new("gateway/portcullis.yaml"));
    let here = reference.replace("../policies", "policies");
    assert_eq!(place.problem(&here), None);
}
