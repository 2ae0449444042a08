//! One policy of a loaded set, with everything that a decision needs of it. It is made once, when
//! its text is read, and may be shared by the sets that have the same text.

use cedar_policy::Policy;

use crate::annotations::Meta;
use crate::condition::Condition;
use crate::reads::Reads;
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
}

impl Compiled {
    pub(crate) fn of(policy: Policy, meta: Meta) -> Self {
        let (condition, reads) = (Condition::of(&policy), Reads::of(&policy));
        Self { policy, meta, condition, reads, until: Until::Never }
    }

    pub(crate) fn until(self, until: Until) -> Self {
        Self { until, ..self }
    }

    /// Its `@id`.
    pub(crate) fn id(&self) -> &str {
        self.policy.id().as_ref()
    }
}
