//! What conditions that read facts and nothing else came to, kept beside the context that these
//! facts make: guardrails are asked of every request, and most requests have facts that another
//! one had. Such a condition is a function of its context, so the same facts have the same answer.
//!
//! What erred is not kept, nor what names a principal, an action, a resource or any entity.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::compiled::Compiled;
use crate::index::Nth;

/// How many conditions of a set have a place: a bit each.
const PLACES: usize = u64::BITS as usize;

/// The policies of a set whose answers are kept, ascending: the place of each is its bit.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<Nth>);

/// The place of a policy's answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(u64);

impl Places {
    /// Places for those of `asked_always`, in ascending order, that read facts alone.
    pub(crate) fn of<'a>(asked_always: impl Iterator<Item = (Nth, &'a Compiled)>) -> Self {
        let alone = asked_always.filter(|(_, one)| one.reads.facts_alone()).map(|(nth, _)| nth);
        Self(alone.take(PLACES).collect())
    }

    /// The place of a policy, if it has one.
    pub(crate) fn of_policy(&self, nth: Nth) -> Option<Place> {
        self.0.binary_search(&nth).ok().map(|at| Place(1 << at))
    }
}

/// The answers of one context.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    hold: AtomicU64,
    do_not: AtomicU64,
}

impl Answers {
    /// Whether the condition at `place` holds: asked once, if it does not err.
    pub(crate) fn get<E>(
        &self,
        place: Place,
        ask: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        for (answers, holds) in [(&self.hold, true), (&self.do_not, false)] {
            if answers.load(Ordering::Relaxed) & place.0 != 0 {
                return Ok(holds);
            }
        }
        let holds = ask()?;
        let answers = if holds { &self.hold } else { &self.do_not };
        answers.fetch_or(place.0, Ordering::Relaxed);
        Ok(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(answers: &Answers, place: u64, holds: Result<bool, ()>) -> Result<bool, ()> {
        answers.get(Place(1 << place), || holds)
    }

    #[test]
    fn an_answer_is_kept_and_is_never_anothers() {
        let answers = Answers::default();
        assert_eq!(get(&answers, 0, Ok(true)), Ok(true));
        assert_eq!(get(&answers, 63, Ok(false)), Ok(false));
        assert_eq!(get(&answers, 0, Ok(false)), Ok(true));
        assert_eq!(get(&answers, 63, Ok(true)), Ok(false));
        assert_eq!(get(&answers, 1, Ok(false)), Ok(false));
        assert_eq!(get(&Answers::default(), 0, Ok(false)), Ok(false));
    }

    #[test]
    fn an_error_is_not_kept() {
        let answers = Answers::default();
        assert_eq!(get(&answers, 5, Err(())), Err(()));
        assert_eq!(get(&answers, 5, Ok(true)), Ok(true));
    }
}
