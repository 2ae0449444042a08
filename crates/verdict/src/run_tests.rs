//! Cedar's own test format (`cedar run-tests`), read and written: a list of
//! `{name, request, entities, decision, reason, num_errors}`.
//!
//! Such a test brings its own entities and context, so it is asked of the policies alone; the
//! catalogue, and what facts may be, do not matter. It is asked as the gateway decides: an erring
//! `forbid` denies, shadow policies change nothing, and a question that the schema does not
//! declare is an error, as Cedar has it. As there, `reason` need not name every policy.

use std::collections::BTreeSet;

use cedar_policy::{
    ActionConstraint, Context, Entities, EntityTypeName, EntityUid, PrincipalConstraint, Request,
    ResourceConstraint, Schema,
};
use serde::Deserialize;
use serde_json::{Value, json};
use signals::PrincipalKind;

use crate::cases::{Case, listed};
use crate::catalogue::elements;
use crate::compiled::Compiled;
use crate::decide::{Matching, Policies, found};
use crate::inputs::Inputs;
use crate::lint::Lint;
use crate::outcome::{Basis, Decision};
use crate::problem::{Problem, Text};
use crate::question::Action;
use crate::reads::Reads;
use crate::schema::kind_of;

/// How one test came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunTestResult {
    /// The test's name.
    pub name: String,
    /// What is not as expected, or why it could not be asked; empty if it passed.
    pub failures: Vec<String>,
}

/// A test that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the case `{name}` cannot be written: {reason}")]
pub struct ExportError {
    /// The case.
    pub name: String,
    /// Why.
    pub reason: String,
}

#[derive(Deserialize)]
struct Test {
    request: Asked,
    entities: Value,
    decision: Decision,
    reason: BTreeSet<String>,
    num_errors: usize,
}

#[derive(Deserialize)]
struct Asked {
    principal: String,
    action: String,
    resource: String,
    context: Value,
}

/// Asks every test of a file.
///
/// # Errors
///
/// The file is not a list.
pub fn run_tests(policies: &Policies, file: &Value) -> Result<Vec<RunTestResult>, String> {
    let tests = file.as_array().ok_or("not a list of tests, as `cedar run-tests` reads them")?;
    Ok(tests.iter().map(|test| run(policies, test)).collect())
}

/// What of a file cannot be asked, whatever the policies are, each with its place; and every entity
/// that its tests are about.
pub(crate) fn read(
    text: Text<'_>,
    schema: &Schema,
    problems: &mut Vec<Problem>,
) -> BTreeSet<EntityUid> {
    let mut about = BTreeSet::new();
    for (offset, json) in elements(text, TESTS, problems) {
        match serde_json::from_str(json).map_err(|error| not_one(&error)).and_then(|test: Test| {
            let Put { request, store, .. } = Put::of(&test, schema)?;
            let named = request.principal().into_iter().chain(request.resource()).cloned();
            about.extend(named.chain(store.iter().map(|entity| entity.uid())));
            Ok(())
        }) {
            Ok(()) => {}
            Err(reason) => problems.push(text.problem(offset, reason).lint(Lint::Case)),
        }
    }
    about
}

const TESTS: (&str, &str) =
    ("tests", "`cedar run-tests` has `[{\"name\", \"request\", \"entities\", \"decision\", …}]`");

fn not_one(error: &serde_json::Error) -> String {
    format!("this is no test: {error}")
}

fn run(policies: &Policies, value: &Value) -> RunTestResult {
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let failures = match Test::deserialize(value) {
        Ok(test) => match policies.answer_test(&test) {
            Ok(basis) => failures(&test, &basis, policies),
            Err(reason) => vec![reason],
        },
        Err(error) => vec![not_one(&error)],
    };
    RunTestResult { name, failures }
}

/// A test's question, by the schema.
struct Put {
    request: Request,
    store: Entities,
    at_ms: i64,
}

impl Put {
    fn of(test: &Test, schema: &Schema) -> Result<Self, String> {
        let Asked { principal, action, resource, context } = &test.request;
        let uid = |text: &String| {
            text.parse::<EntityUid>().map_err(|_| format!("`{text}` is not an entity"))
        };
        let (principal, action, resource) = (uid(principal)?, uid(action)?, uid(resource)?);
        let at_ms = context.pointer("/conn/received_ms").and_then(Value::as_i64).unwrap_or(0);
        let context = Context::from_json_value(context.clone(), Some((schema, &action)))
            .map_err(|error| format!("the context: {error}"))?;
        if test.entities.is_string() {
            return Err("entities in a file of their own are not read: write them here".to_owned());
        }
        let store = Entities::from_json_value(test.entities.clone(), Some(schema))
            .map_err(|error| format!("the entities: {error}"))?;
        let request = Request::new(principal, action, resource, context, Some(schema))
            .map_err(|error| format!("the request: {error}"))?;
        Ok(Self { request, store, at_ms })
    }
}

fn failures(test: &Test, basis: &Basis, policies: &Policies) -> Vec<String> {
    let mut failures = Vec::new();
    if basis.decision != test.decision {
        let (is, expected) = (word(basis.decision), word(test.decision));
        failures.push(format!("the answer is {is}, expected {expected}"));
    }
    let reason = reason(basis);
    let mut missing = test.reason.difference(&reason).peekable();
    if missing.peek().is_some() {
        let (is, lacks) = (listed(reason.iter()), listed(missing));
        failures.push(format!("the reason is {is}, and lacks {lacks}"));
    }
    let errors = errors(basis, policies);
    if errors != test.num_errors {
        failures.push(format!("{errors} policies err, expected {}", test.num_errors));
    }
    failures
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Deny => "deny",
    }
}

/// What Cedar calls the reason: the policies that hold, without those that err.
fn reason(basis: &Basis) -> BTreeSet<String> {
    let erred = |id: &&String| basis.errors.iter().any(|error| error.policy == **id);
    basis.determining.iter().filter(|id| !erred(id)).cloned().collect()
}

/// How many enforced policies err.
fn errors(basis: &Basis, policies: &Policies) -> usize {
    let is_shadow =
        |id: &str| policies.policies.iter().any(|one| one.id() == id && one.meta.shadow);
    basis.errors.iter().filter(|error| !is_shadow(&error.policy)).count()
}

impl Policies {
    /// What of a file of tests cannot be asked, each with its place.
    pub fn test_problems(&self, file: &str, text: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        read(Text::new(file, text), &self.schema, &mut problems);
        problems
    }

    fn answer_test(&self, test: &Test) -> Result<Basis, String> {
        let Put { request, store, at_ms } = Put::of(test, &self.schema)?;
        let (Some(principal), Some(action), Some(resource)) =
            (request.principal(), request.action(), request.resource())
        else {
            return Err("the request names no principal, action or resource".to_owned());
        };
        let kind = kind_of(principal.type_name()).unwrap_or(PrincipalKind::User);
        let name = Action {
            namespace: action.type_name().namespace(),
            name: action.id().unescaped().to_owned(),
        };
        let known = self.vocabulary.action(&name);
        let declared =
            known.is_some_and(|known| known.declares(kind, &resource.type_name().to_string()));
        let at_ms = self.at_ms(at_ms);
        let scope = Scope { principal, action, resource, store: &store };
        let matching: Vec<Matching<'_>> = self
            .policies
            .iter()
            .map(|compiled| Matching { compiled, place: None })
            .filter(|one| !one.compiled.until.is_over(at_ms) && scope.is_of(one.compiled))
            .collect();
        let (store, request) = (store.clone(), request.clone());
        let inputs = Inputs { store, request, declared, answers: None };
        Ok(found(&matching, &inputs).answer(kind, declared).basis)
    }

    /// The cases as tests that Cedar's command line reads. What is expected is what comes out.
    ///
    /// # Errors
    ///
    /// A case whose question cannot be put to Cedar.
    pub fn export_tests(&self, cases: &[Case]) -> Result<Value, ExportError> {
        cases.iter().map(|case| self.export(case)).collect()
    }

    fn export(&self, case: &Case) -> Result<Value, ExportError> {
        let failed = |error: &dyn std::error::Error| ExportError {
            name: case.name.clone(),
            reason: error.to_string(),
        };
        let Case { principal, action, resource, facts, .. } = case;
        let asked = self.maker().asked(principal, action, resource).map_err(|e| failed(&e))?;
        let inputs = asked.inputs(facts, Reads::EVERYTHING).map_err(|e| failed(&e))?;
        let Inputs { request, store, .. } = inputs;
        let mut entities = store.to_json_value().map_err(|e| failed(&e))?;
        if let Value::Array(entities) = &mut entities {
            // the schema has these
            let is_action = |entity: &Value| {
                let kind = entity.pointer("/uid/type").and_then(Value::as_str);
                kind.is_some_and(|kind| kind.ends_with("::Action"))
            };
            entities.retain(|entity| !is_action(entity));
        }
        let context = request.context().map(Context::to_json_value).transpose();
        let context = context.map_err(|e| failed(&e))?.unwrap_or_else(|| json!({}));
        let basis = self.ask(principal, action, resource, facts).basis;
        let uid = |uid: Option<&EntityUid>| uid.map(ToString::to_string).unwrap_or_default();
        Ok(json!({
            "name": case.name,
            "request": {
                "principal": uid(request.principal()),
                "action": uid(request.action()),
                "resource": uid(request.resource()),
                "context": context,
            },
            "entities": entities,
            "decision": basis.decision,
            "reason": reason(&basis),
            "num_errors": errors(&basis, self),
        }))
    }
}

/// What a policy's scope is held against.
struct Scope<'a> {
    principal: &'a EntityUid,
    action: &'a EntityUid,
    resource: &'a EntityUid,
    store: &'a Entities,
}

impl Scope<'_> {
    fn is_of(&self, one: &Compiled) -> bool {
        let is = |uid: &EntityUid, kind: &EntityTypeName| uid.type_name() == kind;
        let principal = match one.policy.principal_constraint() {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Eq(uid) => *self.principal == uid,
            PrincipalConstraint::In(uid) => self.is_in(self.principal, &uid),
            PrincipalConstraint::Is(kind) => is(self.principal, &kind),
            PrincipalConstraint::IsIn(kind, uid) => {
                is(self.principal, &kind) && self.is_in(self.principal, &uid)
            }
        };
        let action = match one.policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => *self.action == uid,
            ActionConstraint::In(uids) => uids.iter().any(|uid| self.is_in(self.action, uid)),
        };
        let resource = match one.policy.resource_constraint() {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(uid) => *self.resource == uid,
            ResourceConstraint::In(uid) => self.is_in(self.resource, &uid),
            ResourceConstraint::Is(kind) => is(self.resource, &kind),
            ResourceConstraint::IsIn(kind, uid) => {
                is(self.resource, &kind) && self.is_in(self.resource, &uid)
            }
        };
        principal && action && resource
    }

    fn is_in(&self, uid: &EntityUid, above: &EntityUid) -> bool {
        uid == above || self.store.is_ancestor_of(above, uid)
    }
}
