//! Counts what ran, holds it to the overrides and to the bars, and says it.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    overrides::{At, Override},
    run::{Ran, Verdict, judge},
};

/// What may be missed of the stages that name rules: as many as Coraza misses.
const MISSES_MAX: usize = 5;

/// How many stages passed, of how many.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) total: usize,
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.passed, self.total)
    }
}

/// What a set's run came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Stages that name rules.
    pub(crate) rules: Count,
    /// Stages that only look at the log.
    pub(crate) log: Count,
    /// Stages of which nothing can be seen here.
    pub(crate) not_seen: usize,
    /// Overrides that were needed, by their places in the file.
    pub(crate) needed: BTreeSet<usize>,
    /// What is wrong, a line each.
    pub(crate) wrong: Vec<String>,
}

/// Holds a set's run to the overrides of where it ran.
pub(crate) fn report(set: &str, at: At, ran: &[Ran<'_>], overrides: &[Override]) -> Report {
    let mut report = Report::default();
    for one in ran {
        let count =
            if one.stage.expected.names_rules() { &mut report.rules } else { &mut report.log };
        let place = overrides.iter().position(|it| it.at == at && it.is_of(set, one.stage));
        let instead = place.and_then(|place| overrides.get(place));
        match &one.verdict {
            Verdict::NotSeen => report.not_seen += 1,
            Verdict::Passed => {
                count.passed += 1;
                count.total += 1;
            }
            Verdict::Missed(_) => count.total += 1,
        }
        if let Some(wrong) = held(one, instead) {
            report.wrong.push(format!("{set} {} stage {}: {wrong}", one.stage.test, one.stage.nth));
        } else {
            report.needed.extend(place);
        }
    }
    let misses = report.rules.total - report.rules.passed;
    if at == At::Engine && misses > MISSES_MAX {
        report.wrong.push(format!("{set}: {misses} stages missed, above the bar of {MISSES_MAX}"));
    }
    report
}

/// What is wrong with a stage, if anything, given its override.
fn held(ran: &Ran<'_>, instead: Option<&Override>) -> Option<String> {
    match (&ran.verdict, instead) {
        (Verdict::Passed | Verdict::NotSeen, None) => None,
        (Verdict::Passed, Some(_)) => Some("passes, so its override is not needed".to_owned()),
        (Verdict::NotSeen, Some(_)) => Some("cannot be seen here, yet has an override".to_owned()),
        (Verdict::Missed(why), None) => Some(format!("{why}; {}", seen(ran))),
        (Verdict::Missed(_), Some(instead)) => match judge(&instead.expected(), &ran.seen) {
            Verdict::Passed => None,
            Verdict::Missed(why) => Some(format!("its override {why}; {}", seen(ran))),
            Verdict::NotSeen => Some("what its override expects cannot be seen here".to_owned()),
        },
    }
}

fn seen(ran: &Ran<'_>) -> String {
    let mut text = "got".to_owned();
    for id in &ran.seen.ids {
        let _ = write!(text, " {id}");
    }
    if ran.seen.ids.is_empty() { "got no rule".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        overrides,
        run::Seen,
        suite::{Expected, Input, Stage},
    };

    #[track_caller]
    fn check(expected: &[u32], seen: &[u32], instead: Option<&[u32]>, want: Option<&str>) {
        let expected = Expected { ids: expected.to_vec(), ..Expected::default() };
        let input = Input::Encoded(Vec::new());
        let stage = Stage { test: "9-1".to_owned(), nth: 1, input, expected };
        let seen = Seen { ids: seen.iter().copied().collect(), ..Seen::default() };
        let verdict = judge(&stage.expected, &seen);
        let overrides = instead.map_or(Vec::new(), |ids| {
            let text = "[[override]]\ntest = '9-1'\nat = 'engine'\nreason = 'so'\nids =";
            overrides::parse(&format!("{text} {ids:?}")).unwrap()
        });
        let ran = [Ran { stage: &stage, seen, verdict }];
        let report = report("s", At::Engine, &ran, &overrides);
        assert_eq!(report.wrong.first().map(String::as_str), want);
        assert_eq!(report.needed.len(), usize::from(want.is_none() && instead.is_some()));
    }

    #[test]
    fn a_miss_needs_an_override_and_only_a_miss() {
        check(&[1], &[1, 2], None, None);
        check(&[1], &[2], None, Some("s 9-1 stage 1: expected [1]; got 2"));
        check(&[1], &[2], Some(&[2]), None);
        check(&[1], &[2], Some(&[3]), Some("s 9-1 stage 1: its override expected [3]; got 2"));
        let unneeded = "s 9-1 stage 1: passes, so its override is not needed";
        check(&[1], &[1], Some(&[1]), Some(unneeded));
    }
}
