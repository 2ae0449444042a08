//! The decision itself.
//!
//! Of all policies, those whose scope is true are found in the index, and Cedar evaluates the
//! conditions of these, or did so before for the same facts where they read nothing else. Answers
//! are merged as Cedar's authorizer does: a forbid that holds refuses, else a permit that holds
//! permits, else nothing does. Shadow policies are evaluated
//! beside the enforced ones and can change nothing. No schema, text or annotation is parsed here.

#[cfg(test)]
mod equal;

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::Schema;
use serde::Deserialize;
use serde_json::Value;
use signals::{Facts, Principal, PrincipalKind};

use crate::annotations::Rule;
use crate::answers::{Place, Places};
use crate::catalogue::Catalogue;
use crate::compiled::Compiled;
use crate::effect::Effects;
use crate::facts::ContextKey;
use crate::index::{Index, Nth, Part};
use crate::inputs::{InputError, Inputs, Kept, Maker, Types, Who};
use crate::invariants::Invariant;
use crate::links::DatedLink;
use crate::memo::Memo;
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
    /// Every policy, enforced or in shadow; the index knows them by their place here.
    pub(crate) policies: Vec<Arc<Compiled>>,
    pub(crate) index: Index,
    /// The keys of the schema's actions.
    pub(crate) actions: Vec<Part>,
    pub(crate) principals: Memo<Principal, Arc<Who>>,
    pub(crate) contexts: Memo<ContextKey, Kept>,
    pub(crate) places: Places,
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
    pub(crate) effects: Effects,
    /// What the links make of their templates.
    pub(crate) links: Vec<Arc<Compiled>>,
    /// Those that have an end, whether they were loaded or over by then.
    pub(crate) dated: Vec<DatedLink>,
    /// When it was loaded, if that was said.
    pub(crate) now_ms: Option<i64>,
    /// What is proved of it. They take no part in a decision.
    pub(crate) invariants: Vec<Invariant>,
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
    /// The answer.
    #[error("the recorded answer cannot be read: {0}")]
    Basis(#[source] serde_json::Error),
}

/// The answer, before it is bound to what was asked about.
pub(crate) struct Answer {
    outcome: Result<Obligations, Refusal>,
    pub(crate) basis: Basis,
}

/// What the policies came to; each list in the order of the index.
#[derive(Default)]
pub(crate) struct Found<'a> {
    permits: Vec<&'a Compiled>,
    grounds: Vec<Ground<'a>>,
    errors: Vec<PolicyError>,
    would_refuse: Vec<String>,
    would_permit: Vec<String>,
}

/// One forbid that refuses, and how.
struct Ground<'a> {
    by: &'a Compiled,
    class: Class,
    message_id: Option<&'a str>,
    acr: Option<&'a str>,
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
        Ok(self.would_answer(&question, &facts))
    }

    /// What these policies would answer. It permits nothing.
    pub fn would_answer(&self, question: &RecordedQuestion, facts: &Facts) -> Basis {
        let RecordedQuestion { principal, action, resource } = question;
        self.answer(principal, action, resource, facts).basis
    }

    /// The digests of what was loaded.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// The links that are over at that moment, in milliseconds since 1970, by file and place.
    pub fn links_over(&self, at_ms: i64) -> impl Iterator<Item = &DatedLink> {
        self.dated.iter().filter(move |link| link.is_over(at_ms))
    }

    pub(crate) fn maker(&self) -> Maker<'_> {
        let Self { types, vocabulary, catalogue, index, actions, principals, contexts, .. } = self;
        Maker { types, vocabulary, catalogue, index, actions, principals, contexts }
    }

    fn answer(
        &self,
        principal: &Principal,
        action: &Action,
        resource: &Resource,
        facts: &Facts,
    ) -> Answer {
        let found = self.maker().asked(principal, action, resource).and_then(|asked| {
            let (matching, at_ms) = (asked.matching()?, self.at_ms(facts.conn.received_ms));
            let matching = self.in_force(&matching, at_ms);
            let reads =
                matching.iter().fold(Reads::default(), |all, one| all.and(one.compiled.reads));
            let inputs = asked.inputs(facts, reads)?;
            Ok((found(&matching, &inputs), inputs.declared))
        });
        match found {
            Ok((found, declared)) => found.answer(principal.kind, declared),
            Err(error) => unaskable(&error),
        }
    }

    /// When the question is asked: a link counts until its end, to the millisecond, in whichever
    /// set it was loaded and whenever the question is asked again. Where no time is recorded, it is
    /// that of the load; without that, every end has come.
    pub(crate) fn at_ms(&self, received_ms: i64) -> i64 {
        match received_ms {
            received if received > 0 => received,
            _ => self.now_ms.unwrap_or(i64::MAX),
        }
    }

    /// The answer to inputs whose store has every ancestor, whoever made them, by the links that
    /// are not over at that moment.
    pub(crate) fn basis_at(
        &self,
        inputs: &Inputs,
        kind: PrincipalKind,
        at_ms: i64,
    ) -> Option<Basis> {
        let Inputs { request, store, declared, .. } = inputs;
        let above = |uid| store.ancestors(uid).into_iter().flatten();
        let (who, action, what) = (request.principal()?, request.action()?, request.resource()?);
        let who = self.index.part(who, above(who));
        let action = self.index.action(action, above(action));
        let what = self.index.part(what, above(what));
        let matching = self.index.matching(&who, &action, &what);
        Some(found(&self.in_force(&matching, at_ms), inputs).answer(kind, *declared).basis)
    }

    /// Those of these policies that are not over at that moment.
    fn in_force(&self, numbers: &[Nth], at_ms: i64) -> Vec<Matching<'_>> {
        let in_force = |nth: &Nth| {
            let compiled = self.policies.get(usize::try_from(*nth).ok()?)?;
            let place = self.places.of_policy(*nth);
            (!compiled.until.is_over(at_ms)).then_some(Matching { compiled, place })
        };
        numbers.iter().filter_map(in_force).collect()
    }

    pub(crate) fn numbered<'a>(&'a self, numbers: &[Nth]) -> impl Iterator<Item = &'a Compiled> {
        let numbers = numbers.iter().filter_map(|nth| usize::try_from(*nth).ok());
        numbers.filter_map(|nth| self.policies.get(nth)).map(AsRef::as_ref)
    }
}

/// A policy whose scope is true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matching<'a> {
    pub(crate) compiled: &'a Compiled,
    /// Where its answer is kept, if that is.
    pub(crate) place: Option<Place>,
}

/// What each of the policies whose scope is true comes to: asked, or known of the same facts.
pub(crate) fn found<'a>(matching: &[Matching<'a>], inputs: &Inputs) -> Found<'a> {
    let mut found = Found::default();
    for Matching { compiled: one, place } in matching {
        let ask = || one.condition.holds(&inputs.request, &inputs.store);
        let holds = match (&inputs.answers, place) {
            (Some(answers), Some(place)) => answers.get(*place, ask),
            _ => ask(),
        };
        match holds {
            Ok(true) => found.held(one),
            Ok(false) => {}
            Err(message) => found.erred(one, message, inputs.declared),
        }
    }
    found
}

impl<'a> Found<'a> {
    fn held(&mut self, by: &'a Compiled) {
        match (&by.meta.rule, by.meta.shadow) {
            (Rule::Permit, false) => self.permits.push(by),
            (Rule::Permit, true) => self.would_permit.push(by.id().to_owned()),
            (Rule::Forbid { class, message_id, acr }, false) => self.grounds.push(Ground {
                by,
                class: *class,
                message_id: message_id.as_deref(),
                acr: acr.as_deref(),
            }),
            (Rule::Forbid { .. }, true) => self.would_refuse.push(by.id().to_owned()),
        }
    }

    /// A forbid that errs refuses. Where the schema does not declare the question, it was never
    /// valid for it, and nothing is permitted anyway.
    fn erred(&mut self, by: &'a Compiled, message: String, declared: bool) {
        self.errors.push(PolicyError { policy: by.id().to_owned(), message: capped(message) });
        match (&by.meta.rule, by.meta.shadow) {
            (Rule::Forbid { .. }, false) if declared => self.grounds.push(Ground {
                by,
                class: Class::Unavailable,
                message_id: None,
                acr: None,
            }),
            (Rule::Forbid { .. }, true) if declared => self.would_refuse.push(by.id().to_owned()),
            (Rule::Forbid { .. } | Rule::Permit, _) => {}
        }
    }

    pub(crate) fn answer(mut self, kind: PrincipalKind, declared: bool) -> Answer {
        self.grounds.sort_by(|a, b| a.by.id().cmp(b.by.id()));
        self.permits.sort_by(|a, b| a.id().cmp(b.id()));
        self.errors.sort();
        self.would_refuse.sort();
        self.would_permit.sort();
        let allowed = declared && self.grounds.is_empty() && !self.permits.is_empty();
        let determining: Vec<&Compiled> = match allowed {
            true => self.permits,
            false => self.grounds.iter().map(|ground| ground.by).collect(),
        };
        let obligations = determining
            .iter()
            .fold(Obligations::default(), |all, one| all.and(one.meta.obligations));
        let outcome = match allowed {
            true => Ok(obligations),
            false => Err(refusal(&self.grounds, kind)),
        };
        let basis = Basis {
            decision: if allowed { Decision::Allow } else { Decision::Deny },
            determining: determining.iter().map(|one| one.id().to_owned()).collect(),
            errors: self.errors,
            would_refuse: self.would_refuse,
            would_permit: self.would_permit,
            refusal: outcome.as_ref().err().map(|refusal: &Refusal| refusal.class),
            declared,
            obligations,
        };
        Answer { outcome, basis }
    }
}

/// The worst ground; of equals, the first by id. Without any: nothing permitted.
fn refusal(grounds: &[Ground<'_>], kind: PrincipalKind) -> Refusal {
    let default = match kind {
        PrincipalKind::Anonymous => Class::Unauthenticated,
        PrincipalKind::User | PrincipalKind::Workload | PrincipalKind::ApiKey => Class::Forbidden,
    };
    match grounds.iter().min_by_key(|ground| ground.class) {
        Some(Ground { class, message_id, acr, .. }) => Refusal {
            class: *class,
            message_id: message_id.map(str::to_owned),
            acr: acr.map(str::to_owned),
        },
        None => Refusal { class: default, message_id: None, acr: None },
    }
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

fn capped(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    message
}
