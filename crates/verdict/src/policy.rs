//! The policies of one file: parsed, named by their `@id`, with their annotations read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{
    Effect, EntityUid, Policy, PolicyId, PolicySet, ResourceConstraint, Schema, ValidationMode,
    Validator,
};
use miette::Diagnostic;

use crate::annotations::{self, Annotation, Carrier, Meta};
use crate::problem::{Problem, Text};
use crate::source::Scope;

/// How far a policy may reach from principal and resource: their own attributes, and no other
/// entity's. A request's store holds no more.
const ENTITY_LEVEL: u32 = 1;

/// One policy that parsed.
#[derive(Debug)]
struct Parsed<'a> {
    text: Text<'a>,
    /// Byte offset in the file.
    offset: usize,
    id: Option<String>,
    meta: Option<Meta>,
    policy: Policy,
}

/// The policies of every file, each under its `@id`.
#[derive(Debug, Default)]
pub(crate) struct PolicyFiles<'a> {
    policies: Vec<Parsed<'a>>,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> PolicyFiles<'a> {
    /// Reads every file; what is wrong is in `problems`.
    pub(crate) fn read(files: &[(Scope<'a>, Text<'a>)], listed: &BTreeSet<String>) -> Self {
        let mut read = Self::default();
        for (scope, text) in files {
            match text.text.parse::<PolicySet>() {
                Ok(set) => read.file(*scope, *text, &set, listed),
                Err(errors) => read.problems.extend(text.problems(&errors, 0)),
            }
        }
        read.duplicates();
        read
    }

    fn file(
        &mut self,
        scope: Scope<'_>,
        text: Text<'a>,
        set: &PolicySet,
        listed: &BTreeSet<String>,
    ) {
        for template in set.templates() {
            let offset = template.as_ref().loc().map_or(0, |loc| loc.start());
            let problem = text.problem(offset, "a template has no effect without links");
            self.problems.push(problem.hint("write a policy without `?principal` and `?resource`"));
        }
        for policy in set.policies() {
            let offset = policy.as_ref().loc().map_or(0, |loc| loc.start());
            self.problems.extend(reach(scope, text, offset, policy));
            let carrier = Carrier { text, offset, effect: policy.effect() };
            let annotations: Vec<Annotation<'_>> = policy
                .as_ref()
                .annotations()
                .map(|(key, annotation)| Annotation {
                    key: key.as_ref(),
                    value: annotation.as_ref(),
                    offset: annotation.loc.as_ref().map_or(offset, |loc| loc.start()),
                })
                .collect();
            let (id, meta) = annotations::read(carrier, &annotations, listed, &mut self.problems);
            self.policies.push(Parsed { text, offset, id, meta, policy: policy.clone() });
        }
    }

    /// Two policies of one id: the later one, by file and place, is the problem.
    fn duplicates(&mut self) {
        self.policies.sort_by(|a, b| (a.text.file, a.offset).cmp(&(b.text.file, b.offset)));
        let mut seen: BTreeMap<&str, &Parsed<'_>> = BTreeMap::new();
        for parsed in &self.policies {
            let Some(id) = parsed.id.as_deref() else { continue };
            match seen.get(id) {
                Some(first) => {
                    let first = first.text.problem(first.offset, "");
                    let message = format!("`@id(\"{id}\")` is taken");
                    let hint =
                        format!("the other is at {}:{}:{}", first.file, first.line, first.column);
                    self.problems.push(parsed.text.problem(parsed.offset, message).hint(hint));
                }
                None => {
                    seen.insert(id, parsed);
                }
            }
        }
    }

    /// Strict validation; a warning is a problem too. Cedar tells a mistake once for each kind of
    /// request: one of each kind at each place is kept.
    pub(crate) fn validate(&self, schema: &Schema) -> Vec<Problem> {
        let mut files: HashMap<PolicyId, (Text<'_>, usize)> = HashMap::new();
        let mut set = PolicySet::new();
        for (nth, parsed) in self.policies.iter().enumerate() {
            let named = parsed.id.as_ref().map(PolicyId::new).filter(|id| !files.contains_key(id));
            let id = named.unwrap_or_else(|| PolicyId::new(format!("{}#{nth}", parsed.text.file)));
            if set.add(parsed.policy.new_id(id.clone())).is_ok() {
                files.insert(id, (parsed.text, parsed.offset));
            }
        }
        let validated = Validator::new(schema.clone()).validate_with_level(
            &set,
            ValidationMode::Strict,
            ENTITY_LEVEL,
        );
        let mut problems: BTreeMap<_, Problem> = BTreeMap::new();
        let mut note = |id: &PolicyId, kind: String, error: &dyn Diagnostic| {
            let Some((text, offset)) = files.get(id) else { return };
            for problem in text.problems(error, *offset) {
                let place = (problem.file.clone(), problem.line, problem.column, kind.clone());
                let kept = problems.entry(place).or_insert_with(|| problem.clone());
                if problem < *kept {
                    *kept = problem;
                }
            }
        };
        for error in validated.validation_errors() {
            note(error.policy_id(), format!("{:?}", std::mem::discriminant(error)), error);
        }
        for warning in validated.validation_warnings() {
            note(warning.policy_id(), format!("{:?}", std::mem::discriminant(warning)), warning);
        }
        problems.into_values().collect()
    }

    /// Each policy under its id, with its meaning. Those that are not right are left out: a load
    /// with problems makes nothing.
    pub(crate) fn into_policies(self) -> Vec<(Policy, Meta)> {
        self.policies
            .into_iter()
            .filter_map(|parsed| {
                Some((parsed.policy.new_id(PolicyId::new(parsed.id?)), parsed.meta?))
            })
            .collect()
    }
}

/// Guardrails only forbid; the policies of an API stay within it.
fn reach(scope: Scope<'_>, text: Text<'_>, offset: usize, policy: &Policy) -> Option<Problem> {
    match scope {
        Scope::Global if policy.effect() == Effect::Permit => {
            let problem = text.problem(offset, "a guardrail cannot permit");
            Some(problem.hint("it would permit on every API: write it in the API's directory"))
        }
        Scope::Global => None,
        Scope::Api(api) => {
            let uid = crate::catalogue::api_uid(api);
            let within = |resource: &EntityUid| *resource == uid;
            let inside = match policy.resource_constraint() {
                ResourceConstraint::In(resource) | ResourceConstraint::IsIn(_, resource) => {
                    within(&resource)
                }
                ResourceConstraint::Any | ResourceConstraint::Eq(_) | ResourceConstraint::Is(_) => {
                    false
                }
            };
            let hint =
                format!("write `resource in {uid}` or `resource is <Type> in {uid}` in its scope");
            (!inside).then(|| {
                text.problem(offset, format!("this policy reaches beyond the API `{api}`"))
                    .hint(hint)
            })
        }
    }
}
