//! `portcullis policy replay`: every recorded decision asked again, of the set that made it, or of
//! a candidate to see whom that would touch.
//!
//! The event holds the whole question, so no gateway, token or upstream is needed; but the set
//! that decided must be there, by the digests in the event: a difference means nothing if the
//! answer was not that set's. Nothing is verified here, and nothing is sent anywhere.

mod tally;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use verdict::{Policies, Recorded};

use super::format::{Format, document, invalid};
use super::record::{self, Event};
use super::sets::{self, Sets};
use crate::cli::{FAILED, OK};
use crate::config::{Config, Problem};
use tally::Tally;

/// Ask recorded decisions again, of the policies that made them or of a candidate
///
/// Exit codes: 0 nothing that fails, 1 without a candidate an answer did not come out again or
/// cannot be asked, with one what --fail-on names, and in any case no decision or a record that
/// cannot be read; 3 a set does not load.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Replay {
    /// A spool, the evidence of a sink, or a file with one event a line; `-` for standard input
    #[arg(long)]
    from: PathBuf,
    /// A policies directory to ask instead; without it, every answer must come out again
    #[arg(long)]
    candidate: Option<PathBuf>,
    /// Where the sets that decided are: a directory where a gateway keeps them, or a policies
    /// directory [default: `bundles` in the evidence]
    #[arg(long)]
    bundles: Vec<PathBuf>,
    /// A configuration, whose kept sets and policies directory are looked at too
    #[arg(long, short)]
    config: Option<PathBuf>,
    /// Annotations that the candidate's policies may carry besides those Portcullis knows
    #[arg(long)]
    allow_annotation: Vec<String>,
    /// Policy files of the candidate that hold for every API and may permit there
    #[arg(long, value_name = "FILE")]
    global: Vec<String>,
    /// Fail if a candidate does this to any decision, or if any cannot be asked
    #[arg(long, value_enum, requires = "candidate")]
    fail_on: Option<FailOn>,
    /// Ids of decisions that are given for each group
    #[arg(long, default_value_t = 5)]
    samples: usize,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// What a candidate must not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    /// Allow what was refused.
    NewlyAllowed,
    /// Refuse what was allowed.
    NewlyDenied,
    /// Answer anything otherwise, by other policies too.
    Any,
}

impl Replay {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let (mut sets, candidate) = match self.load() {
            Ok(loaded) => loaded,
            Err(problems) => return invalid("replay", &problems, self.format, out),
        };
        let begun = Instant::now();
        let mut tally = Tally { samples_max: self.samples, ..Tally::default() };
        record::every(&self.from, |value| {
            if let Some(event) = Event::decided(value)? {
                ask(&event, &mut sets, candidate.as_ref(), &mut tally);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.tell(&tally, begun.elapsed().as_secs_f64(), out)?;
        Ok(if self.is_failure(&tally) { FAILED } else { OK })
    }

    /// Where sets are found, and the candidate.
    fn load(&self) -> Result<(Sets, Option<Policies>), Vec<Problem>> {
        let config = self.config.as_deref().map(Config::load).transpose()?;
        let like = config.as_ref().map(sets::configured).unwrap_or_default();
        let like = sets::with(like, &self.allow_annotation, &self.global);
        let mut sets = Sets::default();
        sets.add_kept(&self.from, &self.bundles, &like)?;
        if let Some(config) = &config {
            sets.add_configured(config);
        }
        let candidate = self.candidate.as_deref().map(|directory| sets::load(directory, like));
        Ok((sets, candidate.transpose()?))
    }

    /// Nothing to ask is a failure too: it would pass whatever the policies say.
    fn is_failure(&self, tally: &Tally) -> bool {
        let wrong = match (&self.candidate, self.fail_on) {
            (None, _) | (Some(_), Some(FailOn::Any)) => tally.differences() + tally.undecidable,
            (Some(_), Some(FailOn::NewlyAllowed)) => tally.newly_allowed.count + tally.undecidable,
            (Some(_), Some(FailOn::NewlyDenied)) => tally.newly_denied.count + tally.undecidable,
            (Some(_), None) => 0,
        };
        wrong > 0 || tally.decisions == 0
    }

    fn tell(&self, tally: &Tally, s: f64, out: &mut impl Write) -> anyhow::Result<()> {
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(flatten)]
            tally: &'a Tally,
            differences: u64,
            s: f64,
        }
        if self.format == Format::Json {
            let told = Told { tally, differences: tally.differences(), s };
            return document(&told, out);
        }
        tally.text(out)?;
        writeln!(
            out,
            "policy replay: decisions={} same={} newly_allowed={} newly_denied={} changed={} \
             undecidable={} s={s:.3}",
            tally.decisions,
            tally.same,
            tally.newly_allowed.count,
            tally.newly_denied.count,
            tally.changed.count,
            tally.undecidable
        )?;
        Ok(())
    }
}

/// Asks one decision again.
fn ask(event: &Event<'_>, sets: &mut Sets, candidate: Option<&Policies>, tally: &mut Tally) {
    let unmapped = &event.unmapped;
    let (Some(question), Some(facts), Some(cedar)) =
        (unmapped.question, unmapped.facts, unmapped.cedar)
    else {
        return tally.undecidable(event.id(), "the question is not recorded whole");
    };
    let Ok(recorded) = Recorded::read(question.get(), facts.get(), cedar.get()) else {
        return tally
            .undecidable(event.id(), "the question is recorded as no version like this does");
    };
    let decided = match sets.find(&recorded.digests) {
        Ok(decided) => decided,
        Err(reason) => return tally.undecidable(event.id(), reason),
    };
    let now = candidate.unwrap_or(&decided).would_answer(&recorded.question, &recorded.facts);
    tally.answered(event.id(), unmapped.route.as_deref().unwrap_or_default(), &recorded, &now);
}

#[cfg(test)]
mod tests;
