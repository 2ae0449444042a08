//! The decision itself.
//!
//! Enforced policies are asked together, as Cedar does; shadow policies apart, so that they can
//! change nothing. No schema, text or annotation is parsed here: a decision is look-ups and one
//! evaluation of each policy.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{AuthorizationError, Authorizer, PolicyId, PolicySet, Response, Schema};
use serde::Deserialize;
use serde_json::Value;
use signals::{Facts, Principal, PrincipalKind};

use crate::annotations::{Meta, Rule};
use crate::catalogue::Catalogue;
use crate::inputs::{InputError, Inputs, Maker, Types};
use crate::outcome::{
    Basis, Class, Decision, Obligations, Permit, PolicyError, Refusal, Refused, Verdict,
};
use crate::policy::KeptFiles;
use crate::question::{Action, Question, RecordedQuestion, Resource};
use crate::reads::Reads;
use crate::schema::Vocabulary;
use crate::source::Digests;

/// Longest message of an erring policy, bytes: it is in the event.
const MESSAGE_BYTES_MAX: usize = 256;

/// A policies directory, right and ready to decide. See [`Policies::load`].
#[derive(Debug)]
pub struct Policies {
    pub(crate) authorizer: Authorizer,
    pub(crate) enforced: PolicySet,
    pub(crate) shadow_forbids: PolicySet,
    pub(crate) shadow_permits: PolicySet,
    pub(crate) meta: HashMap<PolicyId, Meta>,
    pub(crate) reads: Reads,
    pub(crate) types: Types,
    pub(crate) schema: Arc<Schema>,
    pub(crate) vocabulary: Arc<Vocabulary>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) digests: Digests,
    /// The annotations that its policies might carry beside ours.
    pub(crate) annotations: BTreeSet<String>,
    /// The files that might permit on every API.
    pub(crate) global: BTreeSet<String>,
    pub(crate) files: KeptFiles,
}

/// A recorded question that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum AskAgainError {
    /// The question.
    #[error("the recorded question cannot be read: {0}")]
    Question(#[source] serde_json::Error),
    /// The facts.
    #[error("the recorded facts cannot be read: {0}")]
    Facts(#[source] serde_json::Error),
}

/// The answer, before it is bound to what was asked about.
struct Answer {
    outcome: Result<Obligations, Refusal>,
    basis: Basis,
}

/// One forbid that refuses, and how.
struct Ground {
    id: String,
    refusal: Refusal,
}

impl Policies {
    /// Decides, and binds the answer to `exchange`: what was asked about.
    pub fn decide<T>(&self, question: &Question<'_>, exchange: T) -> Verdict<T> {
        let Question { principal, action, resource, context } = question;
        let Answer { outcome, basis } =
            self.answer(&principal.principal, action, resource, context);
        let outcome = match outcome {
            Ok(obligations) => Ok(Permit::new(exchange, obligations)),
            Err(refusal) => Err(Refused::new(exchange, refusal)),
        };
        Verdict { outcome, basis }
    }

    /// Asks a recorded question again: the event's `unmapped.question` and `unmapped.facts`.
    ///
    /// # Errors
    ///
    /// Either is not what [`Question`] and [`Facts`] serialize to.
    pub fn ask_again(&self, question: &Value, facts: &Value) -> Result<Basis, AskAgainError> {
        let question = RecordedQuestion::deserialize(question).map_err(AskAgainError::Question)?;
        let facts = Facts::deserialize(facts).map_err(AskAgainError::Facts)?;
        let RecordedQuestion { principal, action, resource } = &question;
        Ok(self.answer(principal, action, resource, &facts).basis)
    }

    /// The digests of what was loaded.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    pub(crate) fn maker(&self) -> Maker<'_> {
        let Self { types, vocabulary, catalogue, reads, .. } = self;
        Maker { types, vocabulary, catalogue, reads }
    }

    fn answer(
        &self,
        principal: &Principal,
        action: &Action,
        resource: &Resource,
        facts: &Facts,
    ) -> Answer {
        match self.maker().inputs(principal, action, resource, facts) {
            Ok(inputs) => self.evaluate(&inputs, principal.kind),
            Err(error) => unaskable(&error),
        }
    }

    fn evaluate(&self, inputs: &Inputs, kind: PrincipalKind) -> Answer {
        let ask =
            |set: &PolicySet| self.authorizer.is_authorized(&inputs.request, set, &inputs.store);
        let response = ask(&self.enforced);
        let mut errors = errors(&response);
        let mut grounds = self.grounds(&response, &errors, inputs.declared);
        let mut would_refuse = Vec::new();
        let mut would_permit = Vec::new();
        if !self.shadow_forbids.is_empty() {
            let shadow = ask(&self.shadow_forbids);
            would_refuse.extend(
                self.grounds(&shadow, &self::errors(&shadow), inputs.declared)
                    .into_iter()
                    .map(|ground| ground.id),
            );
            errors.extend(self::errors(&shadow));
        }
        if !self.shadow_permits.is_empty() {
            let shadow = ask(&self.shadow_permits);
            would_permit.extend(reasons(&shadow));
            errors.extend(self::errors(&shadow));
        }
        grounds.sort_by(|a, b| a.id.cmp(&b.id));
        errors.sort();
        would_refuse.sort();
        would_permit.sort();
        let allowed = response.decision() == cedar_policy::Decision::Allow && inputs.declared;
        let mut basis = Basis {
            decision: Decision::Deny,
            determining: grounds.iter().map(|ground| ground.id.clone()).collect(),
            errors,
            would_refuse,
            would_permit,
            refusal: None,
            declared: inputs.declared,
            obligations: Obligations::default(),
        };
        if grounds.is_empty() && allowed {
            basis.decision = Decision::Allow;
            basis.determining = reasons(&response).collect();
            basis.determining.sort();
        }
        basis.obligations = self.obligations(&basis.determining);
        let outcome = match basis.decision {
            Decision::Allow => Ok(basis.obligations),
            Decision::Deny => Err(refusal(grounds, kind)),
        };
        basis.refusal = outcome.as_ref().err().map(|refusal: &Refusal| refusal.class);
        Answer { outcome, basis }
    }

    /// The forbids that hold, and those that erred. Where the schema does not declare the
    /// question, a `forbid` that errs was never valid for it, and nothing is permitted anyway.
    fn grounds(&self, response: &Response, errors: &[PolicyError], declared: bool) -> Vec<Ground> {
        let held =
            response.diagnostics().reason().filter_map(|id| match &self.meta.get(id)?.rule {
                Rule::Permit => None,
                Rule::Forbid { class, message_id, acr } => Some(Ground {
                    id: name(id),
                    refusal: Refusal {
                        class: *class,
                        message_id: message_id.clone(),
                        acr: acr.clone(),
                    },
                }),
            });
        let erred = errors.iter().filter(|error| {
            let meta = self.meta.get(&PolicyId::new(&error.policy));
            declared && meta.is_none_or(|meta| matches!(meta.rule, Rule::Forbid { .. }))
        });
        let unavailable = |error: &PolicyError| Ground {
            id: error.policy.clone(),
            refusal: Refusal { class: Class::Unavailable, message_id: None, acr: None },
        };
        held.chain(erred.map(unavailable)).collect()
    }

    fn obligations(&self, determining: &[String]) -> Obligations {
        determining
            .iter()
            .filter_map(|id| self.meta.get(&PolicyId::new(id)))
            .fold(Obligations::default(), |all, meta| all.and(meta.obligations))
    }
}

/// The worst ground; of equals, the first by id. Without any: nothing permitted.
fn refusal(grounds: Vec<Ground>, kind: PrincipalKind) -> Refusal {
    let default = match kind {
        PrincipalKind::Anonymous => Class::Unauthenticated,
        PrincipalKind::User | PrincipalKind::Workload | PrincipalKind::ApiKey => Class::Forbidden,
    };
    grounds
        .into_iter()
        .map(|ground| ground.refusal)
        .min_by_key(|refusal| refusal.class)
        .unwrap_or(Refusal { class: default, message_id: None, acr: None })
}

/// The question could not be put: refused as unavailable, with the reason for the event.
fn unaskable(error: &InputError) -> Answer {
    let class = Class::Unavailable;
    let error = PolicyError { policy: String::new(), message: capped(error.to_string()) };
    let basis = Basis {
        decision: Decision::Deny,
        determining: Vec::new(),
        errors: vec![error],
        would_refuse: Vec::new(),
        would_permit: Vec::new(),
        refusal: Some(class),
        declared: false,
        obligations: Obligations::default(),
    };
    Answer { outcome: Err(Refusal { class, message_id: None, acr: None }), basis }
}

fn reasons(response: &Response) -> impl Iterator<Item = String> {
    response.diagnostics().reason().map(name)
}

fn errors(response: &Response) -> Vec<PolicyError> {
    let error = |error: &AuthorizationError| match error {
        AuthorizationError::PolicyEvaluationError(error) => PolicyError {
            policy: name(error.policy_id()),
            message: capped(error.inner().to_string()),
        },
    };
    response.diagnostics().errors().map(error).collect()
}

fn name(id: &PolicyId) -> String {
    AsRef::<str>::as_ref(id).to_owned()
}

fn capped(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    message
}
