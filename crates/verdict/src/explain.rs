//! Why an answer is what it is: the policies that determined it and, of a refusal, the permits
//! that came nearest, each part with what it came to and the values it read; and which change of
//! one attribute would turn the answer.
//!
//! It decides nothing: the answer is that of [`Policies::would_answer`], and a change is told only
//! if the same policies, asked with it, answer otherwise. What was not tried is counted.

mod beside;
mod change;
mod flip;
mod nearest;
mod values;

use std::collections::BTreeSet;

use cedar_policy::Effect;
use serde::Serialize;
use signals::Facts;

use crate::compiled::Compiled;
use crate::decide::Policies;
use crate::inputs::{Asked, InputError, Inputs};
use crate::links::DatedLink;
use crate::outcome::{Basis, Decision};
use crate::question::RecordedQuestion;
use crate::reads::Reads;
use crate::trace::{Came, Kind, Step};
use beside::Beside;

pub use flip::{Flip, Search};
use nearest::{Near, in_scope};

/// Why an answer is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The answer.
    pub basis: Basis,
    /// The policies that determined it.
    pub determining: Vec<Explained>,
    /// Of a refusal: the permits that lacked least, nearest first.
    pub nearest: Vec<Explained>,
    /// Forbids that would have determined it, but for an `unless` that is true.
    pub excepted: Vec<Explained>,
    /// Shadow policies that hold, and count for nothing.
    pub shadow: Vec<Explained>,
    /// Policies of this scope that were looked at for neither.
    pub beside_left: usize,
    /// Changes of one attribute with which the answer is the other one, the smallest first.
    pub flips: Vec<Flip>,
    /// How far they were looked for.
    pub search: Search,
}

/// A question that is put to policies, to be explained.
#[derive(Debug)]
pub struct Inquiry<'a> {
    policies: &'a Policies,
    question: &'a RecordedQuestion,
    facts: &'a Facts,
    asked: Asked<'a>,
    inputs: Inputs,
    at_ms: i64,
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
    /// Explains the answer to a question.
    ///
    /// # Errors
    ///
    /// The question names what Cedar cannot.
    pub fn explain(
        &self,
        question: &RecordedQuestion,
        facts: &Facts,
    ) -> Result<Explanation, ExplainError> {
        Ok(self.inquire(question, facts)?.explain())
    }

    /// Puts a question, to be explained.
    ///
    /// # Errors
    ///
    /// As [`Policies::explain`].
    pub fn inquire<'a>(
        &'a self,
        question: &'a RecordedQuestion,
        facts: &'a Facts,
    ) -> Result<Inquiry<'a>, ExplainError> {
        let RecordedQuestion { principal, action, resource } = question;
        let asked = self.maker().asked(principal, action, resource)?;
        let inputs = asked.inputs(facts, Reads::EVERYTHING)?;
        let at_ms = self.at_ms(facts.conn.received_ms);
        Ok(Inquiry { policies: self, question, facts, asked, inputs, at_ms })
    }
}

impl Inquiry<'_> {
    /// The answer, and why it is so.
    pub fn explain(&self) -> Explanation {
        let basis = self.policies.would_answer(self.question, self.facts);
        let enforced: Vec<&Compiled> = self.there().filter(|one| !one.meta.shadow).collect();
        let determines = |one: &&&Compiled| basis.determining.iter().any(|id| id == one.id());
        let determining = enforced.iter().filter(determines).map(|one| self.explained(one));
        let determining: Vec<Explained> = determining.collect();
        let (sought, shown) = match basis.decision {
            Decision::Allow => (Effect::Forbid, false),
            Decision::Deny => (Effect::Permit, true),
        };
        let near = Near::of(&enforced, sought, self);
        let (flips, search) = flip::Asking::of(self, basis.decision).flips(&determining, &near);
        let nearest = if shown { near.shown } else { Vec::new() };
        let Beside { excepted, shadow, left: beside_left } = Beside::of(self);
        Explanation { basis, determining, nearest, excepted, shadow, beside_left, flips, search }
    }

    /// One policy, by its `@id` or a link's id: what each of its parts comes to, whatever it had to
    /// do with the answer. None, if there is no such policy, or it is a link that was over.
    pub fn policy(&self, id: &str) -> Option<Explained> {
        self.there().find(|one| one.id() == id).map(|one| self.explained(one))
    }

    /// The links that were over, and whose scope is that of the question, by id: permits of what was
    /// refused, forbids of what was allowed. Whether one would have turned the answer is not asked.
    /// Of a set that was loaded with a time, only those that were not over for long.
    pub fn over(&self, decision: Decision) -> Vec<&DatedLink> {
        let sought = match decision {
            Decision::Allow => Effect::Forbid,
            Decision::Deny => Effect::Permit,
        };
        let links = self.policies.links.iter().filter(|link| {
            let sought = link.policy.effect() == sought && !link.meta.shadow;
            sought && link.until.is_over(self.at_ms) && in_scope(link, &self.inputs)
        });
        let ids: BTreeSet<&str> = links.map(|link| link.id()).collect();
        let over = self.policies.links_over(self.at_ms);
        let mut over: Vec<_> = over.filter(|link| ids.contains(link.id.as_str())).collect();
        over.sort_by(|a, b| a.id.cmp(&b.id));
        over
    }

    /// The link of this id, if it was over.
    pub fn link_over(&self, id: &str) -> Option<&DatedLink> {
        self.policies.links_over(self.at_ms).find(|link| link.id == id)
    }

    /// A link that is over is not there.
    fn there(&self) -> impl Iterator<Item = &Compiled> {
        let policies = self.policies.policies.iter().map(AsRef::as_ref);
        policies.filter(|one: &&Compiled| !one.until.is_over(self.at_ms))
    }

    fn explained(&self, one: &Compiled) -> Explained {
        let steps = one.parts().ask(&self.inputs);
        Explained {
            policy: one.id().to_owned(),
            effect: match one.policy.effect() {
                Effect::Permit => "permit",
                Effect::Forbid => "forbid",
            },
            parts: steps.into_iter().map(|step| part(step, &self.inputs)).collect(),
        }
    }
}

fn part(step: Step<'_>, inputs: &Inputs) -> ExplainedPart {
    let Step { part, came, .. } = step;
    let unless = part.kind == Kind::Unless;
    let holds = came == Came::On;
    let (came, error) = match came {
        Came::On if unless => (Outcome::False, None),
        Came::Off if !unless => (Outcome::False, None),
        Came::On | Came::Off => (Outcome::True, None),
        Came::Unreached => (Outcome::NotReached, None),
        Came::Erred(error) => (Outcome::Error, Some(error)),
    };
    let reads = part.values(inputs).into_iter();
    ExplainedPart {
        clause: match part.kind {
            Kind::Scope => "scope",
            Kind::When => "when",
            Kind::Unless => "unless",
        },
        text: part.text.clone(),
        came,
        holds,
        error,
        reads: reads.map(|(path, value)| (path.to_owned(), value)).collect(),
    }
}
