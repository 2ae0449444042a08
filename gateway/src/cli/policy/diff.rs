//! `portcullis policy diff`: what one set of policies allows beside another, proved.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use prover::{Change, Compared, Diff as Found, Relation};
use serde_json::json;
use verdict::Policies;

use super::Directory;
use super::format::{Format, document, invalid};
use super::means::{NO_SOLVER, Proving};
use crate::cli::{FAILED, OK, UNVERIFIED};
use crate::config::Problem;

/// Compare what two sets of policies allow: for every request, not for some
///
/// For each environment (type of principal, action, type of resource) the new set is equivalent to
/// the old one, narrower, wider, or both, with a request that shows it. Exit codes: 0 it is proved
/// that there is no difference that --fail-on names, 1 there is one, 3 a set does not load, 4 none
/// is known, and that there is none is not proved.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Diff {
    /// The policies directory as it was
    old: PathBuf,
    /// The policies directory as it is to be
    new: PathBuf,
    /// Annotations that policies may carry besides those Portcullis knows
    #[arg(long)]
    allow_annotation: Vec<String>,
    /// Policy files, by their path in the directory, that hold for every API and may permit there
    #[arg(long, value_name = "FILE")]
    global: Vec<String>,
    /// Which differences are a failure
    #[arg(long, value_enum, default_value_t = FailOn::Any)]
    fail_on: FailOn,
    #[command(flatten)]
    proving: Proving,
}

/// Which differences are a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    /// Every difference.
    Any,
    /// Something is allowed that was refused.
    Wider,
    /// Something is refused that was allowed.
    Narrower,
}

impl Diff {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let start = Instant::now();
        let (old, new) = match (self.load(&self.old), self.load(&self.new)) {
            (Ok(old), Ok(new)) => (old, new),
            (old, new) => {
                let problems = [old.err(), new.err()].into_iter().flatten().flatten();
                let problems: Vec<_> = problems.collect();
                return invalid("diff", &problems, self.proving.format, out);
            }
        };
        let means = self.proving.means()?;
        let found = prover::diff(&old, &new, &means)?;
        let code = self.code(&found);
        match self.proving.format {
            Format::Json => {
                let report = json!({
                    "changes": found.changes,
                    "notes": found.notes,
                    "environments": found.environments,
                    "proved": found.proved(),
                    "solver": means.solver.as_ref().map(|solver| &solver.program),
                });
                document(&report, out)?;
            }
            Format::Text => {
                if means.solver.is_none() {
                    writeln!(out, "{NO_SOLVER}")?;
                }
                text(&found, out)?;
                writeln!(out, "{}", summary(&found, start))?;
            }
        }
        Ok(code)
    }

    fn load(&self, directory: &Path) -> Result<Policies, Vec<Problem>> {
        let (allow_annotation, global) = (self.allow_annotation.clone(), self.global.clone());
        Directory { directory: directory.to_owned(), allow_annotation, global }.policies()
    }

    fn code(&self, found: &Found) -> u8 {
        let (mut fails, mut open) = (false, false);
        for Compared { relation, proved, .. } in &found.environments {
            let (wider, narrower) = (relation.widens(), relation.narrows());
            fails |= match self.fail_on {
                FailOn::Any => wider || narrower,
                FailOn::Wider => wider,
                FailOn::Narrower => narrower,
            };
            open |= !proved;
        }
        match (fails, open) {
            (true, _) => FAILED,
            (false, true) => UNVERIFIED,
            (false, false) => OK,
        }
    }
}

fn text(found: &Found, out: &mut impl Write) -> anyhow::Result<()> {
    for Change { policy, what, shadow } in &found.changes {
        let shadow = if *shadow { " (in shadow: decides nothing)" } else { "" };
        writeln!(out, "policy {what}: {policy}{shadow}")?;
    }
    for note in &found.notes {
        writeln!(out, "note: {note}")?;
    }
    let is_dull = |compared: &&Compared| {
        compared.relation == Relation::Equivalent && compared.beyond.is_none()
    };
    let mut dull = 0_usize;
    for compared in &found.environments {
        if is_dull(&compared) {
            dull += 1;
            continue;
        }
        let Compared { environment, relation, proved, why, beyond, wider, narrower } = compared;
        let proved = if *proved { "proved" } else { "not proved" };
        writeln!(out, "{}: {environment} ({proved})", relation.as_str())?;
        for why in why {
            writeln!(out, "  {why}")?;
        }
        if let Some(beyond) = beyond {
            writeln!(out, "  it does not speak of {beyond}")?;
        }
        for (which, example) in [("new", wider), ("old", narrower)] {
            if let Some(example) = example {
                writeln!(out, "  only the {which} set allows, for example:")?;
                for line in example.to_string().lines() {
                    writeln!(out, "  {line}")?;
                }
            }
        }
    }
    if dull > 0 {
        writeln!(out, "equivalent: {dull} environments (proved)")?;
    }
    Ok(())
}

fn summary(found: &Found, start: Instant) -> String {
    let count = |relation| found.count(relation);
    format!(
        "policy diff: environments={} equivalent={} narrower={} wider={} both={} undecided={} \
         proved={} s={:.1}",
        found.environments.len(),
        count(Relation::Equivalent),
        count(Relation::Narrower),
        count(Relation::Wider),
        count(Relation::Both),
        count(Relation::Undecided),
        if found.proved() { "yes" } else { "no" },
        start.elapsed().as_secs_f64()
    )
}
