//! Names that a document gives in backticks and links: paths, keys of the configuration, tests,
//! metrics.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use fixtures::{
    broker::Broker,
    client::{Client, Request},
    harness::{Setting, Setup, repository},
};
use serde_json::Value;

use super::{
    NOT_SOURCE, compliance::is_test, document, documents, files, markdown::Document, text_of,
};

/// Endings of files that are spoken of by name alone.
const ENDINGS: [&str; 7] = [".rs", ".md", ".toml", ".json", ".yaml", ".txt", ".py"];

/// Links to places in the repository where nothing is.
pub(super) fn links(document: &Document) -> Vec<String> {
    let dir = document.directory(&repository().expect("the repository"));
    let ours = document.links.iter().filter(|link| !link.contains("://"));
    let file = |link: &&String| link.split('#').next().unwrap_or_default().to_owned();
    let lost = ours.filter(|link| !dir.join(file(link)).exists());
    lost.map(|link| format!("no link `{link}`")).collect()
}

/// Paths of the source that do not exist, seen from the document or from the root. A file's name
/// alone may be that of any.
pub(super) fn paths(document: &Document, files: &[PathBuf]) -> Vec<String> {
    let dir = Path::new(&document.name).parent().unwrap_or(Path::new("")).to_owned();
    let exists = |span: &str| {
        [dir.join(span), PathBuf::from(span)].iter().any(|place| is_there(place, files))
            || (!span.contains('/') && files.iter().any(|file| file.ends_with(span)))
    };
    let spans = document.spans.iter().filter(|span| is_path(span));
    spans.filter(|span| !exists(span)).map(|span| format!("no path `{span}`")).collect()
}

fn is_path(span: &str) -> bool {
    let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "_.*/-".contains(c));
    let built = span.split('/').any(|part| NOT_SOURCE.contains(&part));
    let named = ENDINGS.iter().any(|ending| span.ends_with(ending));
    plain && !built && !span.starts_with(['/', '.']) && (span.contains('/') || named)
}

/// A file, a directory that holds one, or a pattern with `*` for a part of a name.
fn is_there(place: &Path, files: &[PathBuf]) -> bool {
    let pattern = place.to_string_lossy();
    match pattern.split_once('*') {
        None => files.iter().any(|file| file.starts_with(place)),
        Some((before, after)) => files.iter().any(|file| {
            let file = file.to_string_lossy();
            let rest = file.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            rest.is_some_and(|rest| !rest.contains('/'))
        }),
    }
}

/// Dotted keys that begin as the configuration's do, and are none.
pub(super) fn keys(document: &Document, schema: &Value) -> Vec<String> {
    let keys = document.spans.iter().map(|span| span.trim_end_matches(':'));
    let dotted = keys.filter(|span| {
        let plain = span.chars().all(|c| c.is_ascii_lowercase() || "_.".contains(c));
        let first = span.split('.').next().unwrap_or_default();
        plain && span.contains('.') && schema["properties"].get(first).is_some()
    });
    let unknown = dotted.filter(|span| key(schema, span).is_none());
    unknown.map(|span| format!("no key `{span}`")).collect()
}

/// What a schema says of a key, in whichever of its alternatives.
fn key<'a>(root: &'a Value, dotted: &str) -> Option<&'a Value> {
    dotted.split('.').try_fold(root, |at, name| property(root, at, name))
}

fn property<'a>(root: &'a Value, at: &'a Value, name: &str) -> Option<&'a Value> {
    if let Some(reference) = at["$ref"].as_str() {
        return property(root, root.pointer(reference.strip_prefix('#')?)?, name);
    }
    let alternatives = ["anyOf", "oneOf", "allOf"].iter().filter_map(|word| at[word].as_array());
    let within = || alternatives.flatten().find_map(|one| property(root, one, name));
    at["properties"].get(name).or_else(within)
}

/// Tests that the table of invariants names and that do not exist, and rows that name nothing.
fn invariants(architecture: &str, sources: &[String]) -> Vec<String> {
    let table = architecture.split_once("## Invariants").expect("the table").1;
    let table = table.split("\n## ").next().unwrap_or_default();
    let mut problems = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |")) {
        let row = Document::new(row, row);
        let is_name = |span: &&String| {
            let plain =
                span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            plain && span.matches('_').count() > 1 && !span.starts_with('_')
        };
        let unknown = row.spans.iter().filter(is_name);
        let unknown = unknown.filter(|name| !sources.iter().any(|source| is_test(source, name)));
        problems.extend(unknown.map(|name| format!("no test `{name}`")));
        if row.spans.is_empty() {
            problems.push(format!("nothing enforces `{}`", row.name));
        }
    }
    problems
}

fn sources() -> Vec<String> {
    let rust = |path: &&PathBuf| path.extension().is_some_and(|it| it == "rs");
    files().iter().filter(rust).map(|path| text_of(path)).collect()
}

#[test]
fn every_test_that_enforces_an_invariant_exists() {
    let architecture = text_of(Path::new("ARCHITECTURE.md"));
    assert_eq!(invariants(&architecture, &sources()), Vec::<String>::new());
}

#[test]
fn invariants_that_nothing_enforces_are_found() {
    let table = "## Invariants\n\n| | Invariant | By |\n|---|---|---|\n\
                 | 1 | a | `is_is_test` |\n| 2 | b | hope |\n| 3 | c | `a_test_of_it` |\n\n## Next";
    let sources = ["#[test]\nfn a_test_of_it() {}\n".to_owned(), "fn is_is_test() {}".to_owned()];
    let found = invariants(table, &sources);
    assert_eq!(found, ["no test `is_is_test`", "nothing enforces `| 2 | b | hope |`"]);
}

/// Words that have the form of a metric of ours.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c: char| !is_word(c));
    words.filter(|word| word.starts_with("portcullis_")).map(str::to_owned).collect()
}

#[test]
fn every_metric_that_is_named_exists() {
    let broker = Broker::start().expect("a broker"); // metrics of shipping are there with Kafka
    let setup = Setup { kafka: Some(broker.bootstrap().to_owned()), ..Setup::default() };
    let setting = Setting::start("docs-metrics", &setup).expect("the product");
    let client = Client::plain(setting.health());
    let answer = client.request(&Request::new("GET", "/metrics")).expect("an answer");
    let known = metrics(&answer.text());
    let mut named = BTreeSet::new();
    for document in documents() {
        document.spans.iter().for_each(|span| named.extend(metrics(span)));
        document.blocks.iter().for_each(|block| named.extend(metrics(&block.text)));
    }
    assert!(named.len() > 5, "{named:?}");
    assert_eq!(named.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn metrics_are_told_from_other_words() {
    let text = "portcullis_a_total{x=\"y\"} 1 portcullis portcullis_b";
    assert!(metrics(text).iter().eq(["portcullis_a_total", "portcullis_b"]));
}

#[test]
fn what_is_not_there_is_found() {
    let files = ["a/b.md", "a/c/d.rs", "e.toml"].map(PathBuf::from);
    let check = |span: &str, want: bool| {
        let document = Document::new("a/b.md", &format!("`{span}`"));
        assert_eq!(paths(&document, &files).is_empty(), want, "{span}");
    };
    for span in ["a/", "a/c/d.rs", "c/", "c/d.rs", "d.rs", "e.toml", "c/*.rs", "a/*.md"] {
        check(span, true);
    }
    for span in ["a/d.rs", "f/", "x.rs", "c/*.md", "a/*.rs", "c/d"] {
        check(span, false);
    }
    // no paths of the source
    for span in ["/livez", "target/release/x", "audit.<domain>/<x>", "a b/c"] {
        check(span, true);
    }
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let text = "[a](fuzz/README.md#x) [b](https://example.com) [c](no.md)";
    assert_eq!(links(&Document::new("README.md", text)), ["no link `no.md`"]);
}

#[test]
fn keys_that_are_none_are_found() {
    let schema = serde_json::json!({
        "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"anyOf": [{"properties": {"c": {}}}]}},
        "$defs": {"A": {"properties": {"d": {}}}},
    });
    let document = Document::new("x.md", "`a.d` `a.c` `b.c:` `b.c.d` `other.c` `a`");
    assert_eq!(keys(&document, &schema), ["no key `a.c`", "no key `b.c.d`"]);
}

#[test]
fn the_rust_version_is_the_workspaces() {
    let manifest = text_of(Path::new("Cargo.toml"));
    let version = manifest.split_once("rust-version = \"").expect("a version").1;
    let version = version.split('"').next().expect("a version");
    let short = version.split('.').take(2).collect::<Vec<_>>().join(".");
    let containerfile = text_of(Path::new("packaging/Containerfile"));
    assert!(containerfile.contains(&format!("FROM rust:{short}-")), "the image's compiler");
    let readme = text_of(Path::new("README.md"));
    assert!(readme.contains(&format!("Rust ({short} or newer")), "the README's compiler");
    assert!(document("README.md").blocks_in("sh").count() > 3);
}
