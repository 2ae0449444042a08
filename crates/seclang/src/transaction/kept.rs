//! A transaction between its request and its answer. Nothing of it is borrowed, so that whoever
//! waits for the answer may keep it, and what it takes is known.
//!
//! What was found in the request is not kept: it was told, and the answer's outcome is its own.

use std::borrow::Cow;

use crate::program::{EngineState, Overlay, RuleSet, Rules, Selector};

use super::{Inspection, Limits, store::Store, tx::Tx};

/// What the answer's rules may look at of a request, and what the request's rules said of them.
#[derive(Debug)]
pub struct Kept {
    limits: Limits,
    store: Store,
    tx: Tx<'static>,
    removed: Rules,
    filtered: Rules,
    removals: Vec<(Rules, Selector)>,
    state: EngineState,
    allowed_below: u8,
}

impl Inspection<'_> {
    /// Keeps it for its answer.
    pub fn keep(self) -> Kept {
        let mut store = self.store.values_alone();
        let tx = self.tx.moved(&self.store, &mut store);
        let removals = self.removals.into_iter();
        Kept {
            limits: self.limits,
            store,
            tx,
            removed: self.removed,
            filtered: self.filtered,
            removals: removals.map(|(of, what)| (of.into_owned(), what.into_owned())).collect(),
            state: self.state,
            allowed_below: self.allowed_below,
        }
    }
}

impl Kept {
    /// Goes on with it, by the rules and the overlay that it began with.
    pub fn resume<'r>(self, rules: &'r RuleSet, overlay: &'r Overlay) -> Inspection<'r> {
        let removals = self.removals.into_iter();
        Inspection {
            store: self.store,
            tx: self.tx.pinned(&overlay.pinned),
            removed: self.removed,
            filtered: self.filtered,
            removals: removals.map(|(of, what)| (Cow::Owned(of), Cow::Owned(what))).collect(),
            state: self.state,
            allowed_below: self.allowed_below,
            ..Inspection::new(rules, overlay, self.limits)
        }
    }

    /// These are the limits from now on.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Bytes of memory that it takes, about.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.store.held_bytes() + self.tx.held_bytes()
    }
}
