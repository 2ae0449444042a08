//! Policies beside the answer: forbids that an exception took out of it, and shadow policies that
//! would have had to do with it.

use cedar_policy::Effect;

use super::nearest::in_scope;
use super::{Explained, Inquiry, Outcome};

/// Policies whose conditions are looked at.
const LOOKED_MAX: usize = 1_024;

/// What stood beside the answer.
#[derive(Debug)]
pub(super) struct Beside {
    /// Forbids of which only an `unless` does not hold.
    pub(super) excepted: Vec<Explained>,
    /// Shadow policies that hold.
    pub(super) shadow: Vec<Explained>,
    /// How many more policies of this scope there are, which were not looked at.
    pub(super) left: usize,
}

impl Beside {
    pub(super) fn of(inquiry: &Inquiry<'_>) -> Self {
        let candidates = inquiry.there().filter(|one| {
            let shadow = one.meta.shadow;
            (shadow || one.policy.effect() == Effect::Forbid) && in_scope(one, &inquiry.inputs)
        });
        let mut beside = Self { excepted: Vec::new(), shadow: Vec::new(), left: 0 };
        for (nth, one) in candidates.enumerate() {
            if nth >= LOOKED_MAX {
                beside.left += 1;
                continue;
            }
            let explained = inquiry.explained(one);
            match one.meta.shadow {
                true if explained.parts.iter().all(|part| part.holds) => {
                    beside.shadow.push(explained);
                }
                false if is_excepted(&explained) => beside.excepted.push(explained),
                true | false => {}
            }
        }
        beside.excepted.sort_by(|a, b| a.policy.cmp(&b.policy));
        beside.shadow.sort_by(|a, b| a.policy.cmp(&b.policy));
        beside
    }
}

/// All of it holds, but for an `unless` that is true.
fn is_excepted(one: &Explained) -> bool {
    let is_exception =
        |part: &super::ExplainedPart| part.clause == "unless" && part.came == Outcome::True;
    one.parts.iter().any(is_exception)
        && one.parts.iter().all(|part| part.holds || is_exception(part))
}
