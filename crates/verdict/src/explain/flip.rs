//! The changes of one attribute that turn an answer, found by asking: of all that the policies in
//! question suggest, each once, the smallest first.
//!
//! Nothing is told that was not asked through the same evaluation as every decision, and what was
//! not asked is counted.

use std::collections::HashSet;

use serde::Serialize;

use super::change::{Base, Change, Size};
use super::nearest::Near;
use super::{Explained, Inquiry, values};
use crate::inputs::InputError;
use crate::outcome::Decision;

/// Changes that are tried, and told, at most.
const TRIED_MAX: usize = 1_000;
const TOLD_MAX: usize = 5;

/// One change, with which the answer is the other one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Flip {
    /// What is changed: `context.token.acr`, `principal in`, `resource.owner`.
    pub attribute: String,
    /// As it is: JSON, or an entity; nothing, if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// As it would be; nothing, if it would not be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The policy that names it.
    pub policy: String,
}

/// How far changes were looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Search {
    /// Changes that were asked.
    pub tried: usize,
    /// Changes that turn the answer, and are not told: the smaller ones are.
    pub more: usize,
    /// Changes that were not asked: there are too many, or they cannot be put.
    pub untried: usize,
    /// Policies that were not looked at for changes, of those that a change could make hold.
    pub policies_left: usize,
}

/// What is asked again and again, with changes.
pub(super) struct Asking<'a> {
    base: Base<'a>,
    answer: Decision,
}

impl<'a> Asking<'a> {
    pub(super) fn of(inquiry: &'a Inquiry<'a>, answer: Decision) -> Self {
        Self { base: Base::of(inquiry), answer }
    }

    /// The changes that turn the answer: with which policies that determined it do not hold, or
    /// those hold that came near.
    pub(super) fn flips(&self, determining: &[Explained], near: &Near) -> (Vec<Flip>, Search) {
        // What the schema does not declare is refused, whatever the attributes are.
        if !self.base.inquiry.inputs.declared {
            return (Vec::new(), Search::default());
        }
        let mut search = Search { policies_left: near.left, ..Search::default() };
        let changes = self.changes(determining, &near.turning);
        search.untried = changes.len().saturating_sub(TRIED_MAX);
        let mut flips: Vec<Flip> = Vec::new();
        for (size, change, flip) in changes.into_iter().take(TRIED_MAX) {
            match self.turns(&change) {
                Ok(None) => continue,
                Ok(Some(turns)) => {
                    search.tried += 1;
                    // Of one attribute's numbers, the nearest says it.
                    let is_told = |told: &Flip| told.attribute == flip.attribute;
                    if !turns || (size.is_number() && flips.iter().any(is_told)) {
                        continue;
                    }
                }
                Err(_) => {
                    search.untried += 1;
                    continue;
                }
            }
            match flips.len() < TOLD_MAX {
                true => flips.push(flip),
                false => search.more += 1,
            }
        }
        (flips, search)
    }

    /// Every change that these policies suggest, once, the smallest first; of equal ones, that of
    /// the policy that comes first.
    fn changes(
        &self,
        determining: &[Explained],
        turning: &[Explained],
    ) -> Vec<(Size, Change, Flip)> {
        let (mut changes, mut seen) = (Vec::new(), HashSet::new());
        // Each part of what holds can be made false; what does not hold lacks those that are.
        let breaking = determining.iter().flat_map(|one| one.parts.iter().map(move |p| (one, p)));
        let making = turning.iter().flat_map(|one| {
            one.parts.iter().filter(|part| !part.holds).map(move |part| (one, part))
        });
        for (policy, part) in breaking.chain(making) {
            for (size, change) in values::suggested(&self.base, part) {
                let flip = self.base.told(&change, &policy.policy);
                if flip.from != flip.to
                    && seen.insert((flip.attribute.clone(), flip.from.clone(), flip.to.clone()))
                {
                    changes.push((size, change, flip));
                }
            }
        }
        changes.sort_by_key(|(size, _, _)| *size);
        changes
    }

    /// Whether the answer is the other one with a change; none, if there is no such change.
    fn turns(&self, change: &Change) -> Result<Option<bool>, InputError> {
        let Some((inputs, at_ms)) = self.base.with(change)? else { return Ok(None) };
        let Inquiry { policies, question, .. } = self.base.inquiry;
        let basis = policies.basis_at(&inputs, question.principal.kind, at_ms);
        Ok(basis.map(|basis| basis.decision != self.answer))
    }
}
