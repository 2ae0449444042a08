//! `portcullis policy prove`: that the invariants of a policies directory hold.

use std::io::Write;
use std::time::Instant;

use prover::{Held, Holds, Proof};
use serde_json::json;

use super::Directory;
use super::format::{Format, document, invalid, shown};
use super::means::{NO_SOLVER, Proving};
use crate::cli::{FAILED, OK, UNVERIFIED};

/// Prove that no request which matches an invariant (`invariants/*.cedar`) is allowed
///
/// Exit codes: 0 no invariant is known to be broken, also where one is undecided, 1 one is, 3 the set
/// does not load, 4 with --require-proof: none is broken, and not every one is proved, or there is
/// none.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Prove {
    #[command(flatten)]
    directory: Directory,
    /// Fail also where an invariant is neither proved nor broken
    #[arg(long)]
    require_proof: bool,
    #[command(flatten)]
    pub(super) proving: Proving,
}

impl Prove {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let start = Instant::now();
        let policies = match self.directory.policies() {
            Ok(policies) => policies,
            Err(problems) => return invalid("prove", &problems, self.proving.format, out),
        };
        let means = self.proving.means()?;
        let proof = prover::prove(&policies, &means)?;
        let invariants = policies.invariants().len();
        let (broken, undecided) = (proof.count(Holds::Broken), proof.count(Holds::Undecided));
        let beyond = proof.invariants.iter().any(|held| held.beyond.is_some());
        let proved = invariants > 0 && broken == 0 && undecided == 0 && !beyond;
        match self.proving.format {
            Format::Json => {
                let report = json!({
                    "invariants": proof.invariants,
                    "proved": proved,
                    "solver": means.solver.as_ref().map(|solver| &solver.program),
                });
                document(&report, out)?;
            }
            Format::Text => {
                if means.solver.is_none() {
                    writeln!(out, "{NO_SOLVER}")?;
                }
                text(&proof, out)?;
                writeln!(
                    out,
                    "policy prove: invariants={invariants} environments={} proved={} \
                     broken={broken} undecided={undecided} s={:.1}",
                    proof.invariants.len(),
                    proof.count(Holds::Proved),
                    start.elapsed().as_secs_f64()
                )?;
            }
        }
        Ok(match (broken, proved || !self.require_proof) {
            (0, true) => OK,
            (0, false) => UNVERIFIED,
            _ => FAILED,
        })
    }
}

fn text(proof: &Proof, out: &mut impl Write) -> anyhow::Result<()> {
    for Held { invariant, doc, environment, holds, why, beyond, example } in &proof.invariants {
        let word = match holds {
            Holds::Proved => {
                if let Some(beyond) = beyond {
                    writeln!(out, "proved: {invariant}: {environment}")?;
                    writeln!(out, "  it does not speak of {beyond}")?;
                }
                continue;
            }
            Holds::Broken => "broken",
            Holds::Undecided => "undecided",
        };
        writeln!(out, "{word}: {invariant}: {environment}")?;
        for why in doc.iter().chain(why) {
            writeln!(out, "  {}", shown(why))?;
        }
        if let Some(example) = example {
            writeln!(out, "  allowed, for example:")?;
            for line in example.to_string().lines() {
                writeln!(out, "  {line}")?;
            }
        }
    }
    Ok(())
}
