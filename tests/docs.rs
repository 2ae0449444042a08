//! Holds what the documents and the packaging say against the product: commands, configuration,
//! policies, paths, links, tests, metrics and the event that is shown.
//!
//! Deliberately blind to prose: what a sentence claims is held by the test that it names, or by a
//! reader.

mod commands;
mod compliance;
mod configuration;
mod event;
mod markdown;
mod names;
mod packaging;

use std::{
    fs,
    path::{Path, PathBuf},
};

use fixtures::harness::repository;
use markdown::Document;

/// Directories that hold no part of the source.
const NOT_SOURCE: [&str; 4] = ["target", "artifacts", "corpus", "node_modules"];

/// Every file of the source, by its path from the root.
fn files() -> Vec<PathBuf> {
    let root = repository().expect("the repository");
    let (mut files, mut left) = (Vec::new(), vec![root.clone()]);
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match path.is_dir() {
                true if name.starts_with('.') || NOT_SOURCE.contains(&name.as_str()) => {}
                true => left.push(path),
                false => files.push(path.strip_prefix(&root).expect("below the root").to_owned()),
            }
        }
    }
    files.sort();
    files
}

/// The text of a file of the source.
fn text_of(path: &Path) -> String {
    fs::read_to_string(repository().expect("the repository").join(path)).expect("a text")
}

/// Every document.
fn documents() -> Vec<Document> {
    let files = files();
    let documents = files.iter().filter(|path| path.extension().is_some_and(|it| it == "md"));
    let read = |path: &PathBuf| Document::new(&path.display().to_string(), &text_of(path));
    documents.map(read).collect()
}

/// One document.
fn document(name: &str) -> Document {
    documents().into_iter().find(|document| document.name == name).expect(name)
}

/// Every problem that a look at each document finds, with the document's name.
#[track_caller]
fn each(look: impl Fn(&Document) -> Vec<String>) {
    let documents = documents();
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        assert!(documents.iter().any(|document| document.name == name), "no {name}");
    }
    let problems: Vec<String> = documents
        .iter()
        .flat_map(|it| look(it).into_iter().map(|found| format!("{}: {found}", it.name)))
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn every_command_that_is_shown_exists() {
    let shown = |it: &Document| commands::of_document(it);
    assert!(shown(&document("README.md")).len() > 10, "the commands are not found");
    each(|it| shown(it).iter().filter_map(commands::Shown::problem).collect());
}

#[test]
fn every_link_leads_somewhere() {
    each(names::links);
}

#[test]
fn every_path_that_is_named_exists() {
    let files = files();
    each(|it| names::paths(it, &files));
}

#[test]
fn every_key_that_is_named_is_in_the_configuration() {
    let schema = configuration::schema();
    each(|it| names::keys(it, &schema));
}
