//! Tells the operator of policies that err. Each is counted as often as it errs (the metrics) and
//! named in each event; here it is named once in a while, so that the log stays readable.
//!
//! The message is not told: it may speak of the request, and the event has it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};
use verdict::Effect;

/// How often one policy is named.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Policies that are told apart at a time. Others are not named until one of these is old.
const POLICIES_MAX: usize = 256;

/// When each policy that errs was named last.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    told: Mutex<HashMap<String, Instant>>,
}

impl Alarms {
    /// A policy erred; without an id, the question could not be put to any.
    pub(crate) fn erred(&self, policy: &str, effect: Option<Effect>) {
        if !self.is_due(policy, Instant::now()) {
            return;
        }
        match effect.map(Effect::as_str) {
            Some(effect) => tracing::error!(policy, effect, "a policy errs: see the record"),
            None => tracing::error!("a question cannot be put to the policies: see the record"),
        }
    }

    fn is_due(&self, policy: &str, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |last: &Instant| now.saturating_duration_since(*last) >= TELL_EVERY;
        if told.get(policy).is_some_and(|last| !is_old(last)) {
            return false;
        }
        if told.len() >= POLICIES_MAX {
            told.retain(|_, last| !is_old(last));
        }
        let due = told.len() < POLICIES_MAX;
        if due {
            told.insert(policy.to_owned(), now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_is_named_once_in_a_while() {
        let (alarms, start) = (Alarms::default(), Instant::now());
        let check = |policy: &str, after: Duration, want: bool| {
            assert_eq!(alarms.is_due(policy, start + after), want, "{policy} after {after:?}");
        };
        check("a", Duration::ZERO, true);
        check("a", TELL_EVERY / 2, false);
        check("b", TELL_EVERY / 2, true);
        check("a", TELL_EVERY, true);
        check("b", TELL_EVERY, false);
        check("a", TELL_EVERY * 3 / 2, false);
    }

    #[test]
    fn more_policies_than_the_limit_are_not_named_until_there_is_room() {
        let (alarms, start) = (Alarms::default(), Instant::now());
        let due = |policy: usize, after| alarms.is_due(&policy.to_string(), start + after);
        assert!((0..POLICIES_MAX).all(|policy| due(policy, Duration::ZERO)));
        assert!(!due(POLICIES_MAX, Duration::ZERO));
        assert!(due(POLICIES_MAX, TELL_EVERY));
    }
}
