//! What a policy of a set does, for those who tell of it: operators and their alarms.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use crate::annotations::Rule;
use crate::compiled::Compiled;
use crate::decide::Policies;

/// What a policy does when its conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It permits.
    Permit,
    /// It forbids.
    Forbid,
}

impl Effect {
    /// Cedar's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Forbid => "forbid",
        }
    }
}

/// The effects by id, looked up the first time somebody asks: most sets have no policy that errs.
#[derive(Debug, Default)]
pub(crate) struct Effects(OnceLock<HashMap<String, Effect>>);

impl Policies {
    /// What the policy with this `@id` does; `None` if there is none.
    pub fn effect(&self, id: &str) -> Option<Effect> {
        let all = || self.policies.iter().map(effect_of).collect();
        self.effects.0.get_or_init(all).get(id).copied()
    }
}

fn effect_of(policy: &Arc<Compiled>) -> (String, Effect) {
    let effect = match policy.meta.rule {
        Rule::Permit => Effect::Permit,
        Rule::Forbid { .. } => Effect::Forbid,
    };
    (policy.id().to_owned(), effect)
}
