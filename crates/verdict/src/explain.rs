//! Why an answer is what it is: the policies that determined it and, of a refusal, the permits
//! that came nearest, each part with what it came to and the values it read; and which change of
//! one attribute would turn the answer.
//!
//! It decides nothing: the answer is [`Policies::ask_again`]'s, and a change is told only if the
//! same decision, asked with it, comes out otherwise.

mod flip;

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PrincipalConstraint,
    ResourceConstraint,
};
use serde::Serialize;
use signals::Facts;

use crate::compiled::Compiled;
use crate::decide::Policies;
use crate::inputs::{InputError, Inputs};
use crate::outcome::{Basis, Decision};
use crate::question::RecordedQuestion;
use crate::reads::Reads;
use crate::source::Source;
use crate::trace::{Came, Kind, Parts};

pub use flip::Flip;

/// Permits that are shown beside a refusal.
const NEAREST_MAX: usize = 3;

/// Why an answer is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The answer.
    pub basis: Basis,
    /// The policies that determined it.
    pub determining: Vec<Explained>,
    /// Of a refusal: the permits that lacked least, nearest first.
    pub nearest: Vec<Explained>,
    /// Changes of one attribute with which the answer is the other one.
    pub flips: Vec<Flip>,
}

/// One policy, part by part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Its `@id`.
    pub policy: String,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    /// Its parts, scope first, in the order of evaluation.
    pub parts: Vec<ExplainedPart>,
}

/// What one part came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedPart {
    /// `scope`, `when` or `unless`.
    pub clause: &'static str,
    /// As it stands in the file.
    pub text: String,
    /// What the text came to.
    pub came: Outcome,
    /// The policy went on after it.
    pub holds: bool,
    /// Cedar's message, if it erred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The attributes it names, with their values; none, where there is no such attribute.
    pub reads: Vec<(String, Option<String>)>,
}

/// What a part came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is true.
    True,
    /// It is false.
    False,
    /// The policy ended before, and here nothing can be said.
    NotReached,
    /// The policy errs here.
    Error,
}

/// A question that cannot be put, so that there is nothing to explain.
#[derive(Debug, thiserror::Error)]
#[error("the question cannot be explained: {0}")]
pub struct ExplainError(String);

impl From<InputError> for ExplainError {
    fn from(error: InputError) -> Self {
        Self(error.to_string())
    }
}

impl Policies {
    /// Explains the answer to a question, of policies that were loaded from `source`.
    ///
    /// # Errors
    ///
    /// The question names what Cedar cannot.
    pub fn explain(
        &self,
        source: &Source,
        question: &RecordedQuestion,
        facts: &Facts,
    ) -> Result<Explanation, ExplainError> {
        let RecordedQuestion { principal, action, resource } = question;
        let inputs = self.maker().asked(principal, action, resource)?;
        let inputs = inputs.inputs(facts, Reads::EVERYTHING)?;
        let basis = self.ask(principal, action, resource, facts).basis;
        let determines = |one: &&&Compiled| basis.determining.iter().any(|id| id == one.id());
        // A link that is over is not there.
        let at_ms = self.at_ms(facts.conn.received_ms);
        let policies = self.policies.iter().map(AsRef::as_ref);
        let all: Vec<&Compiled> = policies.filter(|one| !one.until.is_over(at_ms)).collect();
        let determining = all.iter().filter(determines).map(|one| explained(one, &inputs));
        let determining: Vec<Explained> = determining.collect();
        let nearest = match basis.decision {
            Decision::Allow => Vec::new(),
            Decision::Deny => nearest(&all, &inputs),
        };
        let asked = flip::Asked { policies: self, source, principal, action, resource, facts };
        let flips = asked.flips(basis.decision, determining.iter().chain(&nearest));
        Ok(Explanation { basis, determining, nearest, flips })
    }
}

/// The permits that lack least: first by parts of the scope, then by conditions.
fn nearest(all: &[&Compiled], inputs: &Inputs) -> Vec<Explained> {
    let enforced = all.iter().filter(|one| !one.meta.shadow);
    let mut permits: Vec<(usize, &Compiled)> = enforced
        .filter(|one| one.policy.effect() == Effect::Permit)
        .map(|one| (scope_misses(&one.policy, inputs), *one))
        .collect();
    permits.sort_by_key(|(misses, one)| (*misses, one.id()));
    // Among those of equal scope, conditions decide; so many are looked at.
    permits.truncate(NEAREST_MAX * 16);
    let mut shown: Vec<(usize, usize, Explained)> = permits
        .into_iter()
        .map(|(misses, one)| {
            let explained = explained(one, inputs);
            let failed = explained.parts.iter().filter(|part| !part.holds).count();
            (misses, failed, explained)
        })
        .collect();
    shown.sort_by(|a, b| (a.0, a.1, &a.2.policy).cmp(&(b.0, b.1, &b.2.policy)));
    shown.into_iter().map(|(_, _, explained)| explained).take(NEAREST_MAX).collect()
}

/// How many of principal, action and resource the scope is false of.
fn scope_misses(policy: &Policy, inputs: &Inputs) -> usize {
    let request = &inputs.request;
    let within = |uid: Option<&EntityUid>, of: &EntityUid| {
        uid.is_some_and(|uid| {
            uid == of
                || inputs.store.ancestors(uid).is_some_and(|mut above| above.any(|up| up == of))
        })
    };
    let is = |uid: Option<&EntityUid>, kind: &EntityTypeName| {
        uid.is_some_and(|uid| uid.type_name() == kind)
    };
    let (who, action, what) = (request.principal(), request.action(), request.resource());
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::Is(kind) => is(who, &kind),
        PrincipalConstraint::Eq(uid) => who == Some(&uid),
        PrincipalConstraint::In(uid) => within(who, &uid),
        PrincipalConstraint::IsIn(kind, uid) => is(who, &kind) && within(who, &uid),
    };
    let action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => action == Some(&uid),
        ActionConstraint::In(uids) => uids.iter().any(|uid| within(action, uid)),
    };
    let resource = match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Is(kind) => is(what, &kind),
        ResourceConstraint::Eq(uid) => what == Some(&uid),
        ResourceConstraint::In(uid) => within(what, &uid),
        ResourceConstraint::IsIn(kind, uid) => is(what, &kind) && within(what, &uid),
    };
    [principal, action, resource].iter().filter(|holds| !**holds).count()
}

fn explained(one: &Compiled, inputs: &Inputs) -> Explained {
    let parts = Parts::of(&one.policy, 0);
    let steps = parts.ask(inputs);
    let part = |step: &crate::trace::Step<'_>| {
        let unless = step.part.kind == Kind::Unless;
        let (came, error) = match &step.came {
            Came::On if unless => (Outcome::False, None),
            Came::Off if !unless => (Outcome::False, None),
            Came::On | Came::Off => (Outcome::True, None),
            Came::Unreached => (Outcome::NotReached, None),
            Came::Erred(error) => (Outcome::Error, Some(error.clone())),
        };
        let reads = step.part.values(inputs).into_iter();
        ExplainedPart {
            clause: match step.part.kind {
                Kind::Scope => "scope",
                Kind::When => "when",
                Kind::Unless => "unless",
            },
            text: step.part.text.clone(),
            came,
            holds: step.came == Came::On,
            error,
            reads: reads.map(|(path, value)| (path.to_owned(), value)).collect(),
        }
    };
    Explained {
        policy: one.id().to_owned(),
        effect: match one.policy.effect() {
            Effect::Permit => "permit",
            Effect::Forbid => "forbid",
        },
        parts: steps.iter().map(part).collect(),
    }
}
