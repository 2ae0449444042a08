//! One policy of a loaded set, with everything that a decision needs of it. It is made once, when
//! its text is read, and may be shared by the sets that have the same text.

use std::sync::OnceLock;

use cedar_policy::Policy;

use crate::annotations::Meta;
use crate::condition::Condition;
use crate::reads::Reads;
use crate::trace::Parts;
use crate::until::Until;

/// A policy, ready to be asked.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Under its `@id`.
    pub(crate) policy: Policy,
    pub(crate) meta: Meta,
    pub(crate) condition: Condition,
    pub(crate) reads: Reads,
    /// Of a link; policies have no end.
    pub(crate) until: Until,
    parts: OnceLock<Parts>,
}

impl Compiled {
    pub(crate) fn of(policy: Policy, meta: Meta) -> Self {
        let (condition, reads) = (Condition::of(&policy), Reads::of(&policy));
        Self { policy, meta, condition, reads, until: Until::Never, parts: OnceLock::new() }
    }

    pub(crate) fn until(self, until: Until) -> Self {
        Self { until, ..self }
    }

    /// Its parts, to be shown and counted: made when they are first asked for, as most policies
    /// are never explained, and then kept as long as the policy.
    pub(crate) fn parts(&self) -> &Parts {
        self.parts.get_or_init(|| Parts::of(&self.policy))
    }

    /// Its `@id`.
    pub(crate) fn id(&self) -> &str {
        self.policy.id().as_ref()
    }
}
