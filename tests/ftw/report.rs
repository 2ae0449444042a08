//! Counts what came through, and holds it to the overrides and to what is known to be reached.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use ftw::{At, Expected, Override, Seen, Stage, Verdict, judge};

use super::through::{Came, Shown};

/// What a set must not fall below.
#[derive(Debug)]
pub(super) struct Floor {
    /// Stages that are to pass or to be refused by `read`, one day.
    pub(super) bar: usize,
    /// As many as do, at least.
    pub(super) good: usize,
    /// Stages of which what comes instead is nowhere said, at most.
    pub(super) missed: usize,
}

/// What a set's run came to: tests' names, by why they did not pass.
#[derive(Debug, Default)]
pub(super) struct Report {
    passed: usize,
    /// Those that could not be read.
    refused: BTreeMap<String, Vec<String>>,
    /// Of those, the ones in which no rule is to match.
    harmless: usize,
    /// Those that come out as an override says.
    overridden: Vec<String>,
    missed: BTreeMap<String, Vec<String>>,
    /// Those of which nothing can be seen here.
    not_seen: usize,
    /// What is wrong with overrides, a line each.
    wrong: Vec<String>,
}

/// What each stage showed, against what is expected.
pub(super) fn report(stages: &[Stage], shown: &[Shown], overrides: &[Override]) -> Report {
    let mut report = Report::default();
    for (stage, shown) in stages.iter().zip(shown) {
        let instead = overrides.iter().find(|it| it.is_of(stage, At::Gateway));
        report.add(stage, shown, instead);
    }
    let named: BTreeSet<&str> = stages.iter().map(|stage| stage.test.as_str()).collect();
    let gone = overrides.iter().filter(|it| it.is_at(At::Gateway));
    let gone = gone.filter(|it| !named.contains(it.test.as_str()));
    report.wrong.extend(gone.map(|it| format!("{}: an override of no stage", it.test)));
    report
}

impl Report {
    fn add(&mut self, stage: &Stage, shown: &Shown, instead: Option<&Override>) {
        let name = match stage.nth {
            1 => stage.test.clone(),
            nth => format!("{} ({nth})", stage.test),
        };
        let out = out(&stage.expected, shown);
        if let (Out::Missed(_), Some(instead)) = (&out, instead) {
            match judge(&instead.expected(), &shown.seen) {
                Verdict::Passed => self.overridden.push(name),
                other => self.wrong.push(format!("{name}: its override: {other:?}; {shown:?}")),
            }
            return;
        }
        if instead.is_some() {
            self.wrong.push(format!("{name}: no override is needed"));
        }
        match out {
            Out::Passed => self.passed += 1,
            Out::NotSeen => self.not_seen += 1,
            Out::Refused(why) => {
                self.harmless += usize::from(stage.expected.ids.is_empty());
                self.refused.entry(why).or_default().push(name);
            }
            Out::Missed(why) => self.missed.entry(why).or_default().push(name),
        }
    }

    fn total(&self) -> usize {
        self.good() + self.overridden.len() + count(&self.missed)
    }

    fn good(&self) -> usize {
        self.passed + count(&self.refused)
    }

    /// What does not hold.
    pub(super) fn held_to(&self, set: &str, floor: &Floor, overrides_max: usize) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        if self.good() < floor.good {
            let (good, floor) = (self.good(), floor.good);
            wrong.push(format!("{good} passed or were refused by read, not {floor}"));
        }
        if count(&self.missed) > floor.missed {
            wrong.push(format!("{} missed, above {}", count(&self.missed), floor.missed));
        }
        if self.overridden.len() > overrides_max {
            let overrides = self.overridden.len();
            wrong.push(format!("{overrides} overrides, above {overrides_max}"));
        }
        wrong.into_iter().map(|line| format!("{set}: {line}")).collect()
    }

    /// Everything that did not pass, by why.
    pub(super) fn table(&self, bar: usize) -> String {
        let mut table = format!(
            "{} of {} passed, {} were refused by read (of which in {} no rule is to match): {} of the \
             {bar} that are to be; {} more only name the log",
            self.passed,
            self.total(),
            count(&self.refused),
            self.harmless,
            self.good(),
            self.not_seen,
        );
        let mut row = |why: &str, names: &[String]| {
            if !names.is_empty() {
                let _ = write!(table, "\n  {:>4}  {why}: {}", names.len(), names.join(" "));
            }
        };
        for (why, names) in &self.refused {
            row(&format!("refused by read, {why}"), names);
        }
        row("overridden", &self.overridden);
        for (why, names) in &self.missed {
            row(&format!("missed, {why}"), names);
        }
        table
    }
}

/// The figures.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, total, refused) = (self.passed, self.total(), count(&self.refused));
        let (missed, overrides) = (count(&self.missed), self.overridden.len());
        write!(
            f,
            "gateway={passed}/{total} refused_by_read={refused} missed={missed} overrides={overrides}"
        )
    }
}

fn count(groups: &BTreeMap<String, Vec<String>>) -> usize {
    groups.values().map(Vec::len).sum()
}

/// States of health in which all was looked at.
const LOOKED: [&str; 2] = ["ok", "malformed"];

/// How a stage came out.
#[derive(Debug, PartialEq, Eq)]
enum Out {
    Passed,
    Refused(String),
    Missed(String),
    NotSeen,
}

/// A rule that does not match shows something only where rules looked. What the log says is not
/// judged: no record has what matched.
fn out(expected: &Expected, shown: &Shown) -> Out {
    let Shown { seen, came } = shown;
    if !expected.names_rules() && expected.status.is_none() {
        return if expected.error { errs(came) } else { Out::NotSeen };
    }
    let Expected { ids, no_ids, status, .. } = expected;
    let (ids, no_ids) = (ids.clone(), no_ids.clone());
    let judged = Expected { ids, no_ids, status: *status, ..Expected::default() };
    let verdict = judge(&judged, seen);
    match came {
        // the status alone is what is asked for
        _ if !expected.names_rules() => of_verdict(verdict, seen),
        Came::Refused(why) => Out::Refused(why.clone()),
        Came::Nowhere => Out::Missed("no answer".to_owned()),
        Came::Turned(why) => Out::Missed(why.clone()),
        // what matched did, however little was looked at
        Came::Rules { request, answer } if expected.ids.is_empty() => {
            let mut health = [Some(request), answer.as_ref()].into_iter().flatten();
            match health.find(|health| !LOOKED.contains(&health.as_str())) {
                Some(health) => Out::Missed(format!("rules looked, and were {health}")),
                None => of_verdict(verdict, seen),
            }
        }
        Came::Rules { .. } => of_verdict(verdict, seen),
    }
}

fn errs(came: &Came) -> Out {
    match came {
        Came::Refused(why) => Out::Refused(why.clone()),
        Came::Nowhere => Out::Passed,
        Came::Turned(_) | Came::Rules { .. } => Out::Missed("no error".to_owned()),
    }
}

fn of_verdict(verdict: Verdict, seen: &Seen) -> Out {
    match verdict {
        Verdict::Passed => Out::Passed,
        Verdict::Missed(why) => Out::Missed(format!("{why}; got {:?} {:?}", seen.status, seen.ids)),
        Verdict::NotSeen => Out::NotSeen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_rules_looked_at_passes_for_what_they_do_not_find() {
        let check = |ids: &[u32], no_ids: &[u32], status, came: Came, want: Out| {
            let (ids, no_ids) = (ids.to_vec(), no_ids.to_vec());
            let expected = Expected { ids, no_ids, status, ..Expected::default() };
            let seen = Seen { ids: [1].into(), status: Some(400), ..Seen::default() };
            let shown = Shown { seen, came };
            assert_eq!(out(&expected, &shown), want, "{expected:?} {shown:?}");
        };
        let text = |text: &str| text.to_owned();
        let rules = |request: &str, answer: Option<&str>| Came::Rules {
            request: text(request),
            answer: answer.map(text),
        };
        check(&[1], &[2], None, rules("ok", Some("ok")), Out::Passed);
        let missed = "expected [2]; got Some(400) {1}";
        check(&[2], &[], None, rules("ok", Some("ok")), Out::Missed(text(missed)));
        check(&[], &[2], None, Came::Nowhere, Out::Missed(text("no answer")));
        check(&[], &[2], None, Came::Turned(text("not_found")), Out::Missed(text("not_found")));
        check(&[], &[2], None, Came::Refused(text("bare_cr")), Out::Refused(text("bare_cr")));
        check(&[], &[2], None, rules("ok", None), Out::Passed);
        let truncated = Out::Missed(text("rules looked, and were truncated"));
        check(&[], &[2], None, rules("truncated", Some("ok")), truncated);
        let unavailable = Out::Missed(text("rules looked, and were unavailable"));
        check(&[], &[2], None, rules("ok", Some("unavailable")), unavailable);
        check(&[1], &[], None, rules("truncated", Some("ok")), Out::Passed);
        check(&[], &[], Some(400), Came::Refused(text("bare_cr")), Out::Passed);
        check(&[], &[], None, rules("ok", Some("ok")), Out::NotSeen);
    }
}
