//! `portcullis policy diff`: what one set of policies allows beside another, proved.

mod seen;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use prover::{Change, Compared, Diff as Found, Relation};
use serde_json::json;
use verdict::{Policies, RecordedQuestion, Source};

use super::format::{Format, document, invalid, shown};
use super::means::{NO_SOLVER, Proving};
use super::{Directory, case_texts, cases_in};
use crate::cli::{FAILED, OK, UNVERIFIED};
use crate::config::{Problem, Yaml};
use crate::snapshot;
use seen::{Name, Seen};

/// Compare what two sets of policies allow: for every request, not for some
///
/// For each environment (type of principal, action, type of resource) the new set is equivalent to
/// the old one, narrower, wider, or both, with a request that shows it. The new set's cases, and
/// recorded requests with --from, are asked of both sets beside that. Exit codes: 0 it is proved
/// that there is no difference that --fail-on names, 1 there is one, 3 a set or its cases do not
/// load, 4 none is known, and that there is none is not proved: something is undecided, or entities
/// differ, or a link ends at another time, which a note tells.
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
    /// A spool, the evidence of a sink, or a file with one event a line: which of the recorded
    /// requests the change touches
    #[arg(long, value_name = "EVIDENCE")]
    from: Option<PathBuf>,
    /// Which differences are a failure
    #[arg(long, value_enum, default_value_t = FailOn::Any)]
    fail_on: FailOn,
    #[command(flatten)]
    pub(super) proving: Proving,
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
        let ((_, old), (source, new)) = match (self.load(&self.old), self.load(&self.new)) {
            (Ok(old), Ok(new)) => (old, new),
            (old, new) => {
                let problems = [old.err(), new.err()].into_iter().flatten().flatten();
                let problems: Vec<_> = problems.collect();
                return invalid("diff", &problems, self.proving.format, out);
            }
        };
        let means = self.proving.means()?;
        let mut found = prover::diff(&old, &new, &means)?;
        let seen = match self.seen(&source, &old, &new)? {
            Ok(seen) => seen,
            Err(problems) => return invalid("diff", &problems, self.proving.format, out),
        };
        found.environments.iter_mut().for_each(|compared| seen.correct(compared));
        let code = self.code(&found, &seen);
        match self.proving.format {
            Format::Json => {
                let report = json!({
                    "changes": found.changes,
                    "notes": found.notes,
                    "environments": found.environments,
                    "seen": seen,
                    "proved": found.proved(),
                    "solver": means.solver.as_ref().map(|solver| &solver.program),
                });
                document(&report, out)?;
            }
            Format::Text => {
                if means.solver.is_none() {
                    writeln!(out, "{NO_SOLVER}")?;
                }
                text(&found, &seen, out)?;
                writeln!(out, "{}", summary(&found, &seen, start))?;
            }
        }
        Ok(code)
    }

    fn load(&self, directory: &Path) -> Result<(Source, Policies), Vec<Problem>> {
        let (allow_annotation, global) = (self.allow_annotation.clone(), self.global.clone());
        let like = Directory { directory: directory.to_owned(), allow_annotation, global };
        let source = like.source()?;
        let policies = snapshot::load(directory, &source)?;
        Ok((source, policies))
    }

    /// What the new set's cases and the record show.
    fn seen(
        &self,
        source: &Source,
        old: &Policies,
        new: &Policies,
    ) -> anyhow::Result<Result<Seen, Vec<Problem>>> {
        let (mut seen, mut problems) = (Seen::default(), Vec::new());
        for (path, text) in case_texts(source) {
            let yaml = Yaml::parse(&self.new.join(path), text.as_bytes());
            match yaml.and_then(|yaml| cases_in(&yaml)) {
                Ok(cases) => {
                    for case in cases {
                        let (principal, action) = (case.principal, case.action);
                        let question =
                            RecordedQuestion { principal, action, resource: case.resource };
                        seen.ask(Name::Case(&case.name), &question, &case.facts, old, new);
                    }
                }
                Err(found) => problems.extend(found),
            }
        }
        if let Some(from) = &self.from {
            seen.record(from, old, new)?;
        }
        Ok(if problems.is_empty() { Ok(seen) } else { Err(problems) })
    }

    fn code(&self, found: &Found, seen: &Seen) -> u8 {
        let (mut fails, mut open) = (self.names(seen.widens(), seen.narrows()), found.open);
        for Compared { relation, proved, .. } in &found.environments {
            fails |= self.names(relation.widens(), relation.narrows());
            open |= !proved;
        }
        match (fails, open) {
            (true, _) => FAILED,
            (false, true) => UNVERIFIED,
            (false, false) => OK,
        }
    }

    /// Whether this is a difference that is a failure.
    fn names(&self, wider: bool, narrower: bool) -> bool {
        match self.fail_on {
            FailOn::Any => wider || narrower,
            FailOn::Wider => wider,
            FailOn::Narrower => narrower,
        }
    }
}

fn text(found: &Found, seen: &Seen, out: &mut impl Write) -> anyhow::Result<()> {
    for Change { policy, what, shadow } in &found.changes {
        let shadow = if *shadow { " (in shadow: decides nothing)" } else { "" };
        writeln!(out, "policy {what}: {policy}{shadow}")?;
    }
    for note in &found.notes {
        writeln!(out, "note: {note}")?;
    }
    let is_dull = |compared: &&Compared| {
        compared.relation == Relation::Equivalent
            && compared.beyond.is_none()
            && !seen.has(&compared.environment)
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
            writeln!(out, "  {}", shown(why))?;
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
        seen.text(environment, out)?;
    }
    if dull > 0 {
        writeln!(out, "equivalent: {dull} environments (proved)")?;
    }
    Ok(())
}

fn summary(found: &Found, seen: &Seen, start: Instant) -> String {
    let count = |relation| found.count(relation);
    format!(
        "policy diff: environments={} equivalent={} narrower={} wider={} both={} undecided={} \
         proved={} recorded={} touched={} undecidable={} s={:.1}",
        found.environments.len(),
        count(Relation::Equivalent),
        count(Relation::Narrower),
        count(Relation::Wider),
        count(Relation::Both),
        count(Relation::Undecided),
        if found.proved() { "yes" } else { "no" },
        seen.recorded,
        seen.touched(),
        seen.undecidable,
        start.elapsed().as_secs_f64()
    )
}

#[cfg(test)]
mod tests;
