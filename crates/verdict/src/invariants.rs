//! What must hold of the whole set, whatever its policies are: `invariants/*.cedar`.
//!
//! An invariant is a `forbid` with an `@id`: no request that matches it may be allowed. It is read
//! and validated with the rest, and takes no part in a decision: a prover compares it with the
//! set, and nothing refuses because of it.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};

use crate::extent;
use crate::lint::Lint;
use crate::problem::{Problem, Text};

/// What an invariant may carry beside listed annotations.
const OURS: [&str; 2] = ["id", "doc"];
/// As far as a policy reaches: see `policy.rs`.
const ENTITY_LEVEL: u32 = 1;

/// One invariant: no request that matches it may be allowed.
#[derive(Debug, Clone)]
pub struct Invariant {
    /// Its `@id`.
    pub id: String,
    /// Its `@doc`.
    pub doc: Option<String>,
    /// The `forbid`, under its id.
    pub policy: Policy,
}

/// The invariants of every file, and every problem.
pub(crate) fn read(
    files: &[Text<'_>],
    listed: &BTreeSet<String>,
    schema: Option<&Schema>,
) -> (Vec<Invariant>, Vec<Problem>) {
    let mut reader = Reader { listed, schema, seen: BTreeMap::new(), problems: Vec::new() };
    for text in files {
        if let Some(problem) = extent::problem(*text) {
            reader.problems.push(problem);
            continue;
        }
        match text.text.parse::<PolicySet>() {
            Ok(set) => reader.file(*text, &set),
            Err(errors) => reader.problems.extend(text.problems(&errors, 0)),
        }
    }
    (reader.seen.into_values().collect(), reader.problems)
}

struct Reader<'a> {
    listed: &'a BTreeSet<String>,
    schema: Option<&'a Schema>,
    seen: BTreeMap<String, Invariant>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn wrong(&mut self, lint: Lint, at: (Text<'_>, usize), message: impl Into<String>, hint: &str) {
        self.problems.push(at.0.problem(at.1, message).hint(hint).lint(lint));
    }

    fn file(&mut self, text: Text<'_>, set: &PolicySet) {
        for template in set.templates() {
            let offset = template.as_ref().loc().map_or(0, |loc| loc.start());
            let message = "an invariant cannot be a template";
            self.wrong(Lint::Syntax, (text, offset), message, "write a `forbid`");
        }
        for policy in set.policies() {
            let offset = policy.as_ref().loc().map_or(0, |loc| loc.start());
            if policy.effect() == Effect::Permit {
                let hint = "write `forbid`: no request that matches it may be allowed";
                self.wrong(Lint::Reach, (text, offset), "an invariant cannot permit", hint);
            }
            let unknown: Vec<String> = policy
                .annotations()
                .map(|(key, _)| key.to_owned())
                .filter(|key| !OURS.contains(&key.as_str()) && !self.listed.contains(key))
                .collect();
            for key in unknown {
                let hint = "an invariant carries `@id` and `@doc`: it refuses nothing";
                let message = format!("unknown annotation `@{key}`");
                self.wrong(Lint::Annotation, (text, offset), message, hint);
            }
            self.named(text, offset, policy);
        }
    }

    fn named(&mut self, text: Text<'_>, offset: usize, policy: &Policy) {
        let id = policy.annotation("id").unwrap_or_default().to_owned();
        if id.is_empty() {
            let message = "this invariant has no `@id`";
            self.wrong(Lint::Id, (text, offset), message, "give each one of its own");
            return;
        }
        let policy = policy.new_id(PolicyId::new(&id));
        self.validate(text, offset, &policy);
        let doc = policy.annotation("doc").map(str::to_owned);
        if self.seen.insert(id.clone(), Invariant { id: id.clone(), doc, policy }).is_some() {
            let message = format!("`@id(\"{id}\")` is taken by another invariant");
            self.wrong(Lint::Id, (text, offset), message, "give each one of its own");
        }
    }

    fn validate(&mut self, text: Text<'_>, offset: usize, policy: &Policy) {
        let Some(schema) = self.schema else { return };
        let mut set = PolicySet::new();
        if let Err(error) = set.add(policy.clone()) {
            self.problems.extend(text.problems(&error, offset));
        }
        let validator = Validator::new(schema.clone());
        let validated = validator.validate_with_level(&set, ValidationMode::Strict, ENTITY_LEVEL);
        // Cedar tells a mistake once for each kind of request: one of each place is kept.
        let mut told: BTreeMap<(usize, usize), Problem> = BTreeMap::new();
        let errors = validated.validation_errors().flat_map(|e| text.problems(e, offset));
        let warnings = validated.validation_warnings().flat_map(|w| text.problems(w, offset));
        for problem in errors.chain(warnings) {
            told.entry((problem.line, problem.column)).or_insert(problem.lint(Lint::Types));
        }
        self.problems.extend(told.into_values());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    const SCHEMA: &str = "namespace Orders {
  entity Order in [Portcullis::Api];
  action get, delete appliesTo { principal: [Portcullis::User], resource: [Order], context: Portcullis::Facts };
}";

    fn read(files: &[(&str, &str)]) -> (Vec<Invariant>, Vec<Problem>) {
        let schema = schema::load(Text::new("schema.cedarschema", SCHEMA)).unwrap();
        let texts: Vec<_> = files.iter().map(|(file, text)| Text::new(file, text)).collect();
        super::read(&texts, &BTreeSet::from(["ticket".to_owned()]), Some(&schema))
    }

    #[test]
    fn each_mistake_is_told() {
        let check = |text: &str, want: &[&str]| {
            let (_, problems) = read(&[("invariants/a.cedar", text)]);
            let got: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
            assert_eq!(got.len(), want.len(), "{text}: {got:?}");
            got.iter().zip(want).for_each(|(got, want)| assert!(got.contains(want), "{got}"));
        };
        let scope = "(principal, action == Orders::Action::\"delete\", resource)";
        let good = format!("@id(\"a\") @ticket(\"T-1\") @doc(\"why\") forbid {scope}");
        check(&format!("{good};"), &[]);
        check(&format!("{good} unless {{ context.conn.mtls }};"), &[]);
        check(&format!("{good} unless {{ context.conn.mtl }};"), &["`conn.mtl`"]);
        check(&format!("{good} when {{ false }};"), &["impossible"]);
        check(&format!("@id(\"a\") permit {scope};"), &["cannot permit"]);
        check(&format!("forbid {scope};"), &["no `@id`"]);
        check(&format!("@id(\"a\") @refuse(\"blocked\") forbid {scope};"), &["`@refuse`"]);
        check(&format!("{good};\n{good};"), &["is taken"]);
        check("@id(\"a\") forbid (principal == ?principal, action, resource);", &["template"]);
        check("forbid", &["unexpected end"]);
    }

    #[test]
    fn ids_are_taken_across_files() {
        let text = "@id(\"a\") forbid (principal, action, resource);";
        let (invariants, problems) =
            read(&[("invariants/a.cedar", text), ("invariants/b.cedar", text)]);
        assert_eq!((invariants.len(), problems.len()), (1, 1));
        assert_eq!(problems[0].file, "invariants/b.cedar");
    }
}
