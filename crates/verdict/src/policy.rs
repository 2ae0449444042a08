//! The policies of one file: parsed, named by their `@id`, with their annotations read. A file
//! whose text did not change is not read again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint,
    ResourceConstraint, Schema, ValidationError, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;

use crate::annotations::{self, Annotation, Carrier, distance};
use crate::compiled::Compiled;
use crate::extent;
use crate::lint::Lint;
use crate::problem::{Problem, Text};
use crate::source::{self, Digest, Scope};
use crate::template::ParsedTemplate;

/// How far a policy may reach from principal and resource: their own attributes, and no other
/// entity's. A request's store holds no more.
pub(crate) const ENTITY_LEVEL: u32 = 1;

/// One policy that parsed.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// Byte offset in the file.
    pub(crate) offset: usize,
    id: Option<String>,
    body: Body,
}

/// A policy under its `@id`, if it has one.
#[derive(Debug)]
enum Body {
    Right(Arc<Compiled>),
    /// Its annotations are not right: it is only there to be validated with the others.
    Wrong(Box<Policy>),
}

/// One file, read by itself: it owes nothing to other files, so it lives on in the next set if
/// its text is the same.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    digest: Digest,
    policies: Vec<Parsed>,
    templates: Vec<ParsedTemplate>,
    problems: Vec<Problem>,
}

/// The files of a set that is right, by path.
pub(crate) type KeptFiles = HashMap<String, Arc<PolicyFile>>;

/// One file of this load.
#[derive(Debug)]
struct Placed<'a> {
    text: Text<'a>,
    file: Arc<PolicyFile>,
    /// It was not in the set before.
    fresh: bool,
}

/// The policies of every file, each under its `@id`.
#[derive(Debug, Default)]
pub(crate) struct PolicyFiles<'a> {
    files: Vec<Placed<'a>>,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> PolicyFiles<'a> {
    /// Reads every file that is not in `kept` as it is; what is wrong is in `problems`.
    pub(crate) fn read(
        files: &[(Scope<'a>, Text<'a>)],
        listed: &BTreeSet<String>,
        kept: Option<&KeptFiles>,
    ) -> Self {
        let mut read = Self::default();
        for (scope, text) in files {
            let digest = source::digest_of_text(text.text);
            let same = |file: &&Arc<PolicyFile>| file.digest == digest;
            let placed = match kept.and_then(|kept| kept.get(text.file)).filter(same) {
                Some(file) => Placed { text: *text, file: Arc::clone(file), fresh: false },
                None => {
                    let file = PolicyFile::read(*scope, *text, digest, listed);
                    Placed { text: *text, file: Arc::new(file), fresh: true }
                }
            };
            read.problems.extend(placed.file.problems.iter().cloned());
            read.files.push(placed);
        }
        read.duplicates();
        read
    }

    /// Every policy that parsed, by file and place.
    pub(crate) fn parsed(&self) -> impl Iterator<Item = (Text<'a>, &Parsed)> {
        self.files.iter().flat_map(|Placed { text, file, .. }| {
            file.policies.iter().map(|parsed| (*text, parsed))
        })
    }

    /// Every template that parsed, by file and place.
    pub(crate) fn templates(&self) -> impl Iterator<Item = (Text<'a>, &ParsedTemplate)> {
        self.files.iter().flat_map(|Placed { text, file, .. }| {
            file.templates.iter().map(|parsed| (*text, parsed))
        })
    }

    /// The ids of all policies and templates.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.files.iter().flat_map(|placed| placed.file.ids()).map(|(id, _)| id)
    }

    /// Two policies of one id: the later one, by file and place, is the problem.
    fn duplicates(&mut self) {
        let mut seen: HashMap<&str, (Text<'_>, usize)> = HashMap::new();
        let mut problems = Vec::new();
        for Placed { text, file, .. } in &self.files {
            for (id, offset) in file.ids() {
                match seen.get(id) {
                    Some((first, other)) => {
                        let first = first.problem(*other, "");
                        let message = format!("`@id(\"{id}\")` is taken");
                        let hint = format!(
                            "the other is at {}:{}:{}",
                            first.file, first.line, first.column
                        );
                        let problem = text.problem(offset, message).hint(hint);
                        problems.push(problem.lint(Lint::Id));
                    }
                    None => {
                        seen.insert(id, (*text, offset));
                    }
                }
            }
        }
        self.problems.append(&mut problems);
    }

    /// Strict validation; a warning is a problem too. Cedar tells a mistake once for each kind of
    /// request: one of each kind at each place is kept.
    ///
    /// What Cedar says of a policy hangs on that policy and the schema alone, so files of the set
    /// before need it only if the schema is `another`.
    pub(crate) fn validate(&self, schema: &Schema, another: bool) -> Vec<Problem> {
        let mut files: HashMap<PolicyId, (Text<'_>, usize)> = HashMap::new();
        let mut set = PolicySet::new();
        for Placed { text, file, .. } in self.files.iter().filter(|placed| another || placed.fresh)
        {
            for parsed in &file.policies {
                let named =
                    parsed.id.as_ref().map(PolicyId::new).filter(|id| !files.contains_key(id));
                let id = named
                    .unwrap_or_else(|| PolicyId::new(format!("{}#{}", text.file, parsed.offset)));
                if set.add(parsed.policy().new_id(id.clone())).is_ok() {
                    files.insert(id, (*text, parsed.offset));
                }
            }
            for parsed in &file.templates {
                let named = parsed.id.as_ref().map(PolicyId::new);
                let id = named
                    .filter(|id| !files.contains_key(id))
                    .unwrap_or_else(|| PolicyId::new(format!("{}#{}", text.file, parsed.offset)));
                if set.add_template(parsed.template.new_id(id.clone())).is_ok() {
                    files.insert(id, (*text, parsed.offset));
                }
            }
        }
        if set.is_empty() {
            return Vec::new();
        }
        let validated = Validator::new(schema.clone()).validate_with_level(
            &set,
            ValidationMode::Strict,
            ENTITY_LEVEL,
        );
        let mut problems: BTreeMap<_, Problem> = BTreeMap::new();
        let mut note = |id: &PolicyId,
                        kind: String,
                        lint: Lint,
                        error: &dyn Diagnostic,
                        hint: Option<String>| {
            let Some((text, offset)) = files.get(id) else { return };
            for problem in text.problems(error, *offset) {
                let problem = problem.lint(lint);
                let problem = Problem { hint: hint.clone().or(problem.hint), ..problem };
                let place = (problem.file.clone(), problem.line, problem.column, kind.clone());
                let kept = problems.entry(place).or_insert_with(|| problem.clone());
                if problem < *kept {
                    *kept = problem;
                }
            }
        };
        for error in validated.validation_errors() {
            let kind = format!("{:?}", std::mem::discriminant(error));
            let hint = match error {
                ValidationError::UnrecognizedActionId(_) => near_action(&error.to_string(), schema),
                _ => None,
            };
            note(error.policy_id(), kind, Lint::Types, error, hint);
        }
        // A policy that nothing reaches is impossible too: that is said once.
        let unreached: HashSet<&PolicyId> = validated
            .validation_warnings()
            .filter(|warning| lint_of(warning) == Lint::Unreachable)
            .map(ValidationWarning::policy_id)
            .collect();
        let is_told = |warning: &ValidationWarning| {
            lint_of(warning) == Lint::Impossible && unreached.contains(warning.policy_id())
        };
        for warning in validated.validation_warnings().filter(|warning| !is_told(warning)) {
            let kind = format!("{:?}", std::mem::discriminant(warning));
            note(warning.policy_id(), kind, lint_of(warning), warning, None);
        }
        problems.into_values().collect()
    }

    /// The files, by path, for this set and the next.
    pub(crate) fn into_kept(self) -> KeptFiles {
        self.files.into_iter().map(|placed| (placed.text.file.to_owned(), placed.file)).collect()
    }
}

impl PolicyFile {
    fn read(scope: Scope<'_>, text: Text<'_>, digest: Digest, listed: &BTreeSet<String>) -> Self {
        let mut file =
            Self { digest, policies: Vec::new(), templates: Vec::new(), problems: Vec::new() };
        if let Some(problem) = extent::problem(text) {
            file.problems.push(problem);
            return file;
        }
        match text.text.parse::<PolicySet>() {
            Ok(set) => file.set(scope, text, &set, listed),
            Err(errors) => file.problems.extend(text.problems(&errors, 0)),
        }
        file.policies.sort_by_key(|parsed| parsed.offset);
        file.templates.sort_by_key(|parsed| parsed.offset);
        file
    }

    fn set(
        &mut self,
        scope: Scope<'_>,
        text: Text<'_>,
        set: &PolicySet,
        listed: &BTreeSet<String>,
    ) {
        for template in set.templates() {
            let read = ParsedTemplate::read(scope, text, template, listed, &mut self.problems);
            self.templates.push(read);
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
            let policy = match &id {
                Some(id) => policy.new_id(PolicyId::new(id)),
                None => policy.clone(),
            };
            let body = match (&id, meta) {
                (Some(_), Some(meta)) => Body::Right(Arc::new(Compiled::of(policy, meta))),
                (None, _) | (_, None) => Body::Wrong(Box::new(policy)),
            };
            self.policies.push(Parsed { offset, id, body });
        }
    }

    /// The ids of its policies and templates, each with its byte offset, in their order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (&str, usize)> {
        let policies = self.policies.iter().map(|one| (one.id.as_deref(), one.offset));
        let templates = self.templates.iter().map(|one| (one.id.as_deref(), one.offset));
        let mut ids: Vec<_> =
            policies.chain(templates).filter_map(|(id, offset)| Some((id?, offset))).collect();
        ids.sort_by_key(|(_, offset)| *offset);
        ids.into_iter()
    }

    /// Each policy under its id, with its meaning. Those that are not right are left out: a load
    /// with problems makes nothing.
    pub(crate) fn compiled(&self) -> impl Iterator<Item = &Arc<Compiled>> {
        self.policies.iter().filter_map(|parsed| match &parsed.body {
            Body::Right(compiled) => Some(compiled),
            Body::Wrong(_) => None,
        })
    }

    /// The same, each with its byte offset in the file.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (usize, &Compiled)> {
        self.policies.iter().filter_map(|parsed| match &parsed.body {
            Body::Right(compiled) => Some((parsed.offset, compiled.as_ref())),
            Body::Wrong(_) => None,
        })
    }

    /// Each template's byte offset in the file, and its id.
    pub(crate) fn templates(&self) -> impl Iterator<Item = (usize, &str)> {
        self.templates.iter().filter_map(|one| Some((one.offset, one.id.as_deref()?)))
    }
}

/// The action that is within two edits of the one that a message names, groups included: Cedar
/// looks for its own suggestion among those that requests can name.
fn near_action(message: &str, schema: &Schema) -> Option<String> {
    let named = message.rsplit('`').nth(1)?;
    let all = schema.actions().map(|action| action.to_string());
    let near = all.map(|action| (distance(named, &action), action)).min()?;
    (near.0 <= 2).then(|| format!("did you mean `{}`?", near.1))
}

impl Parsed {
    pub(crate) fn policy(&self) -> &Policy {
        match &self.body {
            Body::Right(compiled) => &compiled.policy,
            Body::Wrong(policy) => policy,
        }
    }
}

fn lint_of(warning: &ValidationWarning) -> Lint {
    match warning {
        ValidationWarning::ImpossiblePolicy(_) => Lint::Impossible,
        ValidationWarning::InvalidActionApplication(_) => Lint::Unreachable,
        ValidationWarning::MixedScriptString(_)
        | ValidationWarning::BidiCharsInString(_)
        | ValidationWarning::BidiCharsInIdentifier(_)
        | ValidationWarning::MixedScriptIdentifier(_)
        | ValidationWarning::ConfusableIdentifier(_) => Lint::Confusable,
        // the enum is Cedar's, and may grow
        _ => Lint::Types,
    }
}

/// Guardrails only forbid; the policies of an API stay within it; who permits everything to
/// everybody stands in a file that is listed for it.
fn reach(scope: Scope<'_>, text: Text<'_>, offset: usize, policy: &Policy) -> Option<Problem> {
    let permits = policy.effect() == Effect::Permit;
    match scope {
        Scope::Guardrail if permits => {
            let problem = text.problem(offset, "a guardrail cannot permit").lint(Lint::Reach);
            Some(problem.hint(
                "it would permit on every API: write it in the API's directory, or list the file \
                 in `policies.global`",
            ))
        }
        Scope::Guardrail | Scope::Global => None,
        Scope::Api(api) => {
            let uid = crate::catalogue::api_uid(api);
            if within(policy, &uid) {
                return None;
            }
            let write = format!("write `resource in {uid}` or `resource is <Type> in {uid}`");
            Some(if permits && is_empty(policy) {
                let message = "this permit has an empty scope: everybody, everything, every API";
                let hint = format!("{write} in its scope, or list the file in `policies.global`");
                text.problem(offset, message).hint(hint).lint(Lint::EmptyScope)
            } else {
                let message = format!("this policy reaches beyond the API `{api}`");
                text.problem(offset, message)
                    .hint(format!("{write} in its scope"))
                    .lint(Lint::Reach)
            })
        }
    }
}

fn within(policy: &Policy, api: &EntityUid) -> bool {
    match policy.resource_constraint() {
        ResourceConstraint::In(resource) | ResourceConstraint::IsIn(_, resource) => {
            resource == *api
        }
        ResourceConstraint::Any | ResourceConstraint::Eq(_) | ResourceConstraint::Is(_) => false,
    }
}

fn is_empty(policy: &Policy) -> bool {
    policy.principal_constraint() == PrincipalConstraint::Any
        && policy.action_constraint() == ActionConstraint::Any
        && policy.resource_constraint() == ResourceConstraint::Any
}
