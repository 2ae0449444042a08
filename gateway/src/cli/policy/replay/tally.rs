//! What came of each decision that was asked again, counted and grouped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use verdict::{Basis, Decision, Recorded};

use crate::cli::policy::format::shown;

/// Groups of one kind that the text shows, the largest first; JSON has all.
const SHOWN_MAX: usize = 20;

/// How an answer differs from the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// It was refused, and would be allowed.
    NewlyAllowed,
    /// It was allowed, and would be refused.
    NewlyDenied,
    /// As before, by other policies, with another refusal or other obligations.
    Changed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NewlyAllowed => "newly allowed",
            Self::NewlyDenied => "newly denied",
            Self::Changed => "changed",
        })
    }
}

/// Decisions that have something in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) count: u64,
    /// The first of their ids.
    pub(super) decisions: Vec<String>,
}

/// One kind of difference.
#[derive(Debug, Default, Serialize)]
pub(super) struct Differences {
    pub(super) count: u64,
    pub(super) by_policy: BTreeMap<String, Group>,
    pub(super) by_route: BTreeMap<String, Group>,
    pub(super) by_principal: BTreeMap<String, Group>,
}

/// What came of all of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tally {
    pub(super) decisions: u64,
    pub(super) same: u64,
    pub(super) newly_allowed: Differences,
    pub(super) newly_denied: Differences,
    pub(super) changed: Differences,
    pub(super) undecidable: u64,
    pub(super) undecidable_by_reason: BTreeMap<String, Group>,
    #[serde(skip)]
    pub(super) samples_max: usize,
}

impl Tally {
    /// The decision cannot be asked again.
    pub(super) fn undecidable(&mut self, id: &str, reason: &str) {
        self.decisions += 1;
        self.undecidable += 1;
        add(&mut self.undecidable_by_reason, reason, id, self.samples_max);
    }

    /// The decision was asked again, and this is the answer.
    pub(super) fn answered(&mut self, id: &str, route: &str, recorded: &Recorded, now: &Basis) {
        self.decisions += 1;
        let was = &recorded.basis;
        let differences = match change(was, now) {
            None => {
                self.same += 1;
                return;
            }
            Some(Change::NewlyAllowed) => &mut self.newly_allowed,
            Some(Change::NewlyDenied) => &mut self.newly_denied,
            Some(Change::Changed) => &mut self.changed,
        };
        differences.count += 1;
        for policy in policies(was, now) {
            add(&mut differences.by_policy, &policy, id, self.samples_max);
        }
        add(&mut differences.by_route, route, id, self.samples_max);
        let principal = &recorded.question.principal.id;
        add(&mut differences.by_principal, principal, id, self.samples_max);
    }

    pub(super) fn differences(&self) -> u64 {
        self.newly_allowed.count + self.newly_denied.count + self.changed.count
    }

    /// The differences, for people.
    pub(super) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        for (change, differences) in [
            (Change::NewlyAllowed, &self.newly_allowed),
            (Change::NewlyDenied, &self.newly_denied),
            (Change::Changed, &self.changed),
        ] {
            if differences.count == 0 {
                continue;
            }
            writeln!(out, "{change}: {}", differences.count)?;
            groups(out, "policy", &differences.by_policy)?;
            groups(out, "route", &differences.by_route)?;
            groups(out, "principal", &differences.by_principal)?;
        }
        if self.undecidable > 0 {
            writeln!(out, "undecidable: {}", self.undecidable)?;
            groups(out, "because", &self.undecidable_by_reason)?;
        }
        Ok(())
    }
}

fn change(was: &Basis, now: &Basis) -> Option<Change> {
    match (was.decision, now.decision) {
        (Decision::Deny, Decision::Allow) => Some(Change::NewlyAllowed),
        (Decision::Allow, Decision::Deny) => Some(Change::NewlyDenied),
        (Decision::Allow, Decision::Allow) | (Decision::Deny, Decision::Deny) => {
            (was != now).then_some(Change::Changed)
        }
    }
}

/// The policies that make the difference: `+` those that determine the answer now, `-` those that
/// did. Where these are the same, they or the default give another answer.
fn policies(was: &Basis, now: &Basis) -> Vec<String> {
    let ids = |basis: &Basis| {
        let shadow = basis.would_refuse.iter().chain(&basis.would_permit);
        basis.determining.iter().chain(shadow).cloned().collect::<BTreeSet<String>>()
    };
    let (before, after) = (ids(was), ids(now));
    let new = after.difference(&before).map(|id| format!("+{id}"));
    let gone = before.difference(&after).map(|id| format!("-{id}"));
    let differing: Vec<String> = new.chain(gone).collect();
    match (differing.is_empty(), after.is_empty()) {
        (false, _) => differing,
        (true, false) => after.into_iter().collect(),
        (true, true) => vec!["default".to_owned()],
    }
}

fn add(groups: &mut BTreeMap<String, Group>, name: &str, id: &str, samples_max: usize) {
    let group = match groups.get_mut(name) {
        Some(group) => group,
        None => groups.entry(name.to_owned()).or_default(),
    };
    group.count += 1;
    if group.decisions.len() < samples_max {
        group.decisions.push(id.to_owned());
    }
}

fn groups(out: &mut impl Write, kind: &str, groups: &BTreeMap<String, Group>) -> io::Result<()> {
    let mut largest: Vec<(&String, &Group)> = groups.iter().collect();
    largest.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
    for (name, Group { count, decisions }) in largest.iter().take(SHOWN_MAX) {
        // who a principal is says the principal: not to a terminal
        let name = name.escape_debug();
        writeln!(out, "  {kind} {name}: {count} ({})", shown(&decisions.join(", ")))?;
    }
    if let Some(more) = groups.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        writeln!(out, "  {kind}: {more} more")?;
    }
    Ok(())
}
