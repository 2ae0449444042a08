//! The text of a policies directory, and which file has which place in it.
//!
//! Reading the directory is the shell's work. A file that has no place is a problem, not ignored:
//! a `forbid` in a file with the wrong ending must not go missing in silence.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::PORTCULLIS_SCHEMA;
use crate::links::Document;
use crate::lint::Lint;
use crate::problem::{Problem, Text};

/// Where the operator's schema is.
pub(crate) const SCHEMA: &str = "schema.cedarschema";
/// The directory whose policies hold for every API.
const GUARDRAILS: &str = "guardrails";
const ENTITIES: &str = "entities";
const LINKS: &str = "links";
const CASES: &str = "cases";
const INVARIANTS: &str = "invariants";
/// Generated of the rest: nothing to load.
const MATRIX: &str = "matrix.txt";
const LAYOUT: &str = "expected `schema.cedarschema`, `guardrails/*.cedar`, `<api>/*.cedar`, \
                      `entities/*.json`, `links/*.yaml`, `invariants/*.cedar`, `cases/*.yaml`, \
                      `cases/*.json`, `REVISION`, `MANIFEST`, `matrix.txt` or `*.md`";

/// Every file of a policies directory, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Relative path (with `/`) to text. The shell leaves out names that begin with a dot.
    pub files: BTreeMap<String, String>,
    /// Annotations that policies may carry beside ours.
    pub annotations: BTreeSet<String>,
    /// What the shell made of each `links/*.yaml`, by relative path.
    pub links: BTreeMap<String, Document>,
    /// What time it is, in milliseconds since 1970: links that are over are left out. Without it
    /// all are there, as recorded questions may be older than their ends.
    pub now_ms: Option<i64>,
    /// Policy files, by relative path, that hold for every API and may permit on all of them.
    pub global: BTreeSet<String>,
}

/// SHA-256 digests (lower-case hex) of what a decision depends on. Each covers its files in the
/// order of their paths: path length, path, text length, text; lengths as 8 bytes, big-endian.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Every `*.cedar` and `links/*.yaml`.
    pub policies: String,
    /// `schema.cedarschema` and the embedded schema.
    pub schema: String,
    /// Every `entities/*.json`.
    pub entities: String,
}

/// What a policies file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    /// Every API; only forbids.
    Guardrail,
    /// Every API, permits too: the configuration lists the file.
    Global,
    /// The API the directory is named after.
    Api(&'a str),
}

/// The files by place.
#[derive(Debug, Default)]
pub(crate) struct Layout<'a> {
    pub(crate) schema: Option<Text<'a>>,
    pub(crate) policies: Vec<(Scope<'a>, Text<'a>)>,
    pub(crate) entities: Vec<Text<'a>>,
    pub(crate) links: Vec<Text<'a>>,
    pub(crate) invariants: Vec<Text<'a>>,
    /// Tests of Cedar's `run-tests`; cases of our own are YAML, which the shell parses.
    pub(crate) tests: Vec<Text<'a>>,
}

enum Place<'a> {
    Schema,
    Policies(Scope<'a>),
    Entities,
    Links,
    Invariants,
    Tests,
    NotHere,
}

impl Source {
    /// Every file in its place, and a problem for each that has none.
    pub(crate) fn layout(&self) -> (Layout<'_>, Vec<Problem>) {
        let mut layout = Layout::default();
        let mut problems = Vec::new();
        for (path, text) in &self.files {
            let text = Text::new(path, text);
            match place(path) {
                Some(Place::Schema) => layout.schema = Some(text),
                Some(Place::Policies(_)) if self.global.contains(path) => {
                    layout.policies.push((Scope::Global, text));
                }
                Some(Place::Policies(scope)) => layout.policies.push((scope, text)),
                Some(Place::Entities) => layout.entities.push(text),
                Some(Place::Links) => layout.links.push(text),
                Some(Place::Invariants) => layout.invariants.push(text),
                Some(Place::Tests) => layout.tests.push(text),
                Some(Place::NotHere) => {}
                None => {
                    problems.push(text.problem(0, misplaced(path)).hint(LAYOUT).lint(Lint::Layout))
                }
            }
        }
        problems.extend(self.not_global(&layout));
        if layout.schema.is_none() {
            let missing = Text::new(SCHEMA, "").problem(0, "there is no `schema.cedarschema`");
            let missing = missing.lint(Lint::Layout);
            problems.push(
                missing.hint("policies are validated against it: declare what the APIs hold"),
            );
        }
        (layout, problems)
    }

    /// What is listed as global, and is no policy file: a slip that would go unnoticed.
    fn not_global(&self, layout: &Layout<'_>) -> Vec<Problem> {
        let is_there =
            |path: &&String| layout.policies.iter().any(|(_, text)| text.file == path.as_str());
        let missing = |path: &String| {
            let message = format!("`{path}` is listed as global, and is no policy file here");
            let problem = Text::new(path, "").problem(0, message).lint(Lint::Layout);
            problem.hint("`policies.global` names files by their path in the policies directory")
        };
        self.global.iter().filter(|path| !is_there(path)).map(missing).collect()
    }
}

/// Whether a file of this path holds links, to be parsed by who reads the directory.
pub fn is_links(path: &str) -> bool {
    matches!(place(path), Some(Place::Links))
}

fn place(path: &str) -> Option<Place<'_>> {
    if path == SCHEMA {
        return Some(Place::Schema);
    }
    if path == MATRIX || path.ends_with(".md") {
        return Some(Place::NotHere);
    }
    let (directory, file) = path.split_once('/')?;
    let (stem, ending) = file.rsplit_once('.')?;
    if stem.is_empty() || file.contains('/') {
        return None;
    }
    match (directory, ending) {
        (ENTITIES, "json") => Some(Place::Entities),
        (CASES, "yaml" | "yml") => Some(Place::NotHere),
        (CASES, "json") => Some(Place::Tests),
        (LINKS, "yaml" | "yml") => Some(Place::Links),
        (INVARIANTS, "cedar") => Some(Place::Invariants),
        (ENTITIES | CASES | LINKS | INVARIANTS, _) => None,
        (GUARDRAILS, "cedar") => Some(Place::Policies(Scope::Guardrail)),
        (api, "cedar") => Some(Place::Policies(Scope::Api(api))),
        _ => None,
    }
}

fn misplaced(path: &str) -> String {
    format!("`{path}` has no place in a policies directory, and would have no effect")
}

/// SHA-256 of one text.
pub(crate) type Digest = [u8; 32];

pub(crate) fn digest_of_text(text: &str) -> Digest {
    let mut digest = Digest::default();
    let made = ring::digest::digest(&SHA256, text.as_bytes());
    digest.iter_mut().zip(made.as_ref()).for_each(|(to, from)| *to = *from);
    digest
}

impl Digests {
    /// One digest of all three (lower-case hex): the name of the whole set. It is SHA-256 over
    /// the digests of policies, schema and entities as hex, each with a line feed after it.
    pub fn set(&self) -> String {
        let Self { policies, schema, entities } = self;
        hex(&digest_of_text(&format!("{policies}\n{schema}\n{entities}\n")))
    }

    pub(crate) fn of(layout: &Layout<'_>) -> Self {
        let ours = Text::new("portcullis.cedarschema", PORTCULLIS_SCHEMA);
        let policies = layout.policies.iter().map(|(_, text)| *text);
        let mut policies: Vec<Text<'_>> = policies.chain(layout.links.iter().copied()).collect();
        policies.sort_by_key(|text| text.file);
        Self {
            policies: digest(policies),
            schema: digest([ours].into_iter().chain(layout.schema)),
            entities: digest(layout.entities.iter().copied()),
        }
    }
}

/// In the order in which they come: that of their paths.
fn digest<'a>(files: impl IntoIterator<Item = Text<'a>>) -> String {
    let mut context = Context::new(&SHA256);
    for Text { file, text } in files {
        for part in [file, text] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
    }
    hex(context.finish().as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(files: &[(&str, &str)]) -> Source {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Source { files: files.collect(), ..Source::default() }
    }

    #[test]
    fn every_file_has_a_place_or_is_a_problem() {
        let check = |path: &str, want: bool| {
            let (_, problems) = source(&[(SCHEMA, ""), (path, "")]).layout();
            assert_eq!(problems.is_empty(), want, "{path}: {problems:?}");
        };
        check("guardrails/waf.cedar", true);
        check("orders/roles.cedar", true);
        check("entities/roles.json", true);
        check("cases/orders.yaml", true);
        check("cases/orders.json", true);
        check("README.md", true);
        check("matrix.txt", true);
        check("orders/README.md", true);
        check("orders/roles.cedar.bak", false);
        check("orders/roles.ceder", false);
        check("orders/deep/roles.cedar", false);
        check("roles.cedar", false);
        check("orders/matrix.txt", false);
        check("matrix.text", false);
        check("entities/roles.yaml", false);
        check("entities/roles.cedar", false);
        check("links/teams.yaml", true);
        check("links/teams.json", false);
        check("invariants/mtls.cedar", true);
        check("invariants/mtls.yaml", false);
        check("cases/roles.cedar", false);
        check("orders/.cedar", false);
    }

    #[test]
    fn what_is_listed_as_global_is_a_policy_file() {
        let check = |global: &str, want: usize| {
            let mut source =
                source(&[(SCHEMA, ""), ("orders/a.cedar", ""), ("guardrails/a.cedar", "")]);
            source.global = [global.to_owned()].into();
            let (layout, problems) = source.layout();
            assert_eq!(problems.len(), want, "{global}: {problems:?}");
            let scopes: Vec<_> =
                layout.policies.iter().map(|(scope, text)| (text.file, *scope)).collect();
            assert_eq!(scopes.contains(&(global, Scope::Global)), want == 0, "{scopes:?}");
        };
        check("orders/a.cedar", 0);
        check("guardrails/a.cedar", 0);
        check("orders/b.cedar", 1);
        check(SCHEMA, 1);
    }

    #[test]
    fn a_directory_without_schema_is_a_problem() {
        let (_, problems) = source(&[]).layout();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].file, SCHEMA);
    }

    #[test]
    fn digests_tell_every_difference_apart() {
        let of = |files: &[(&str, &str)]| Digests::of(&source(files).layout().0);
        let base = of(&[("a/b.cedar", "cd"), ("entities/x.json", "[]"), (SCHEMA, "s")]);
        assert_eq!(base.policies.len(), 64);
        assert_eq!(base, of(&[(SCHEMA, "s"), ("entities/x.json", "[]"), ("a/b.cedar", "cd")]));
        let moved = of(&[("a/bc.cedar", "d"), ("entities/x.json", "[]"), (SCHEMA, "s")]);
        assert_ne!(base.policies, moved.policies);
        assert_eq!((&base.schema, &base.entities), (&moved.schema, &moved.entities));
        let other = of(&[("a/b.cedar", "cd"), ("entities/x.json", "[ ]"), (SCHEMA, "t")]);
        assert_eq!(base.policies, other.policies);
        assert_ne!(base.schema, other.schema);
        assert_ne!(base.entities, other.entities);
        let (base, moved, other) = (base.set(), moved.set(), other.set());
        assert_eq!(base.len(), 64);
        assert!(base != moved && moved != other && other != base);
    }
}
