//! Counts what ran, and holds it to what is known to come out otherwise.

use std::collections::BTreeSet;
use std::io::Write;

use ftw::{At, Override, Seen, Stage, Verdict, judge};
use serde::Serialize;

use crate::cli::format::shown;

/// How many stages passed, of how many.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    passed: usize,
    total: usize,
}

/// How the stages came out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    stages: usize,
    /// Those that name rules.
    rules: Count,
    /// Those that only look at the log.
    log: Count,
    /// Those of which nothing can be seen here.
    not_seen: usize,
    /// Those that come out as an override says.
    overridden: Vec<Overridden>,
    failed: Vec<Failed>,
    pub(super) load_ms: u128,
    pub(super) run_ms: u128,
}

/// A stage that is known to come out otherwise.
#[derive(Debug, Serialize)]
struct Overridden {
    test: String,
    stage: usize,
    reason: String,
}

/// A stage that came out otherwise, or an override that is of no use.
#[derive(Debug, Serialize)]
struct Failed {
    test: String,
    stage: usize,
    why: String,
    /// The rules that matched.
    got: BTreeSet<u32>,
}

impl Report {
    /// Adds what was seen of a stage; nothing, if no request can be made of it.
    pub(super) fn add(&mut self, stage: &Stage, seen: Option<Seen>, instead: Option<&Override>) {
        self.stages += 1;
        let Some(seen) = seen else {
            return self.fail(
                stage,
                "its request has no end of its head".to_owned(),
                Seen::default(),
            );
        };
        let verdict = judge(&stage.expected, &seen);
        let names_rules = stage.expected.names_rules();
        let count = if names_rules { &mut self.rules } else { &mut self.log };
        match &verdict {
            Verdict::NotSeen => self.not_seen += 1,
            Verdict::Passed => {
                count.passed += 1;
                count.total += 1;
            }
            Verdict::Missed(_) => count.total += 1,
        }
        let why = match (verdict, instead) {
            (Verdict::Passed | Verdict::NotSeen, None) => return,
            (Verdict::Passed, Some(_)) => "passes, so its override is not needed".to_owned(),
            (Verdict::NotSeen, Some(_)) => "cannot be seen here, yet has an override".to_owned(),
            (Verdict::Missed(why), None) => why,
            (Verdict::Missed(_), Some(instead)) => match judge(&instead.expected(), &seen) {
                Verdict::Passed => {
                    let (test, reason) = (stage.test.clone(), instead.reason.clone());
                    return self.overridden.push(Overridden { test, stage: stage.nth, reason });
                }
                Verdict::Missed(why) => format!("its override {why}"),
                Verdict::NotSeen => "what its override expects cannot be seen here".to_owned(),
            },
        };
        self.fail(stage, why, seen);
    }

    fn fail(&mut self, stage: &Stage, why: String, seen: Seen) {
        let (test, stage) = (stage.test.clone(), stage.nth);
        self.failed.push(Failed { test, stage, why, got: seen.ids });
    }

    /// An override of no stage is a mistake in a name, most likely.
    pub(super) fn hold(&mut self, stages: &[Stage], overrides: &[Override]) {
        let here = overrides.iter().filter(|one| one.is_at(At::Engine));
        for one in here.filter(|one| !stages.iter().any(|stage| one.is_of(stage, At::Engine))) {
            self.failed.push(Failed {
                test: one.test.clone(),
                stage: one.stage,
                why: "an override of no stage".to_owned(),
                got: BTreeSet::new(),
            });
        }
    }

    /// All came out as expected, and something did.
    pub(super) fn is_good(&self) -> bool {
        let judged = self.rules.total + self.log.total;
        self.failed.is_empty() && judged > 0
    }

    pub(super) fn text(&self, out: &mut impl Write) -> std::io::Result<()> {
        for Overridden { test, stage, reason } in &self.overridden {
            let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
            writeln!(
                out,
                "{} stage {stage}: as its override says: {}",
                shown(test),
                shown(&reason)
            )?;
        }
        for Failed { test, stage, why, got } in &self.failed {
            let ids: Vec<String> = got.iter().map(u32::to_string).collect();
            let got = if ids.is_empty() { "no rule".to_owned() } else { ids.join(" ") };
            writeln!(out, "{} stage {stage}: {}; got {got}", shown(test), shown(why))?;
        }
        let Self { stages, rules, log, not_seen, overridden, failed, load_ms, run_ms } = self;
        let (overridden, failed) = (overridden.len(), failed.len());
        writeln!(
            out,
            "rules test: stages={stages} rules={}/{} log={}/{} not_seen={not_seen} \
             overridden={overridden} failed={failed} load_ms={load_ms} run_ms={run_ms}",
            rules.passed, rules.total, log.passed, log.total
        )
    }
}
