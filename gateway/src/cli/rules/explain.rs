//! `portcullis rules explain`: what rules find in a request, where, how they came to it and what it
//! counts for; or what a recorded decision says that they found.
//!
//! A request is looked at as it is written: it need not be one that the gateway would read.
//! Nothing of a record is verified here.

mod on_route;
mod recorded;
mod report;
mod written;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use signals::{MatchedData, RuleEngineSettings, RuleHealth, RuleLimits};

use super::{Chosen, Format, document, invalid};
use crate::cli::{DENIED, OK};
use crate::config::Config;
use crate::rules::Ruleset;
use on_route::OnRoute;
use report::{Adds, Report, Scored, Told};
use written::{Written, WrittenResponse};

/// Say what the rules find in a request, or found in a recorded one, and how
///
/// Exit codes: 0 what is scored is below its threshold, 1 there is no such file or decision, 2 it is
/// not or was not looked at whole, 3 the rules are wrong.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("asked").required(true).args(["request", "from"]))]
pub(in crate::cli) struct Explain {
    #[command(flatten)]
    chosen: Chosen,
    /// A file with an HTTP/1.1 request as it is sent: request line, fields, an empty line, content
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// A file with the response to it: status line, fields, an empty line, content
    #[arg(long, value_name = "FILE", requires = "request")]
    response: Option<PathBuf>,
    /// The record of a decision: a spool, the evidence of a sink, or a file with one event a line;
    /// `-` for standard input
    #[arg(long, value_name = "PLACE")]
    from: Option<PathBuf>,
    /// The decision's id; may be left out where the record holds but one
    #[arg(long, value_name = "ID", requires = "from", conflicts_with = "request")]
    decision: Option<String>,
    /// The route whose settings hold, as `api/route` [default: the one that the request is for]
    #[arg(long, value_name = "NAME", requires = "config", conflicts_with = "from")]
    route: Option<String>,
    /// The paranoia level, instead of what files and route say
    #[arg(long, conflicts_with = "from", value_parser = clap::value_parser!(u8).range(1..=4))]
    paranoia: Option<u8>,
    /// Show what matched whole, which may be somebody's secret; else it is masked
    #[arg(long, conflicts_with = "from")]
    matched: bool,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

impl Explain {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let (ruleset, config) = match self.chosen.loaded() {
            Ok(loaded) => loaded,
            Err(problems) => return invalid("explain", &problems, self.format, out),
        };
        let report = match (&self.request, &self.from) {
            (Some(request), _) => self.looked(request, &ruleset, config.as_ref())?,
            (None, Some(from)) => {
                let given = config.is_some() || self.chosen.names_files();
                recorded::report(from, self.decision.as_deref(), given.then_some(&ruleset))?
            }
            (None, None) => bail!("nothing is asked about"),
        };
        match self.format {
            Format::Json => document(&report, out)?,
            Format::Text => report.text(out)?,
        }
        Ok(if report.is_clean() { OK } else { DENIED })
    }

    /// What the rules find in a request.
    fn looked(
        &self,
        file: &Path,
        ruleset: &Ruleset,
        config: Option<&Config>,
    ) -> anyhow::Result<Report> {
        let name = file.display();
        let text = read(file)?;
        let mut written =
            Written::read(&text).with_context(|| format!("`{name}` is no request"))?;
        let mut notes = Vec::new();
        let on_route = match config {
            None => OnRoute::default(),
            Some(config) => OnRoute::of(config, self.route.as_deref(), &written)?,
        };
        written.body = on_route.inspected(written.body, &mut notes);
        let settings = on_route.settings.engine();
        let paranoia = self.paranoia.or(settings.paranoia);
        let set = ruleset.rules().set();
        let overlay = set.overlay(&RuleEngineSettings { paranoia, ..settings });
        let overlay = overlay.map_err(anyhow::Error::msg)?;
        let mut inspection = set.inspect(&written.asked(), &overlay, &RuleLimits::default());
        if let Some(file) = &self.response {
            let text = read(file)?;
            let response = WrittenResponse::read(&text)
                .with_context(|| format!("`{}` is no response", file.display()))?;
            inspection.response(&response.answered(on_route.of_response(&mut notes)));
        }
        inspection.finish();
        let data = if self.matched { MatchedData::Plain } else { MatchedData::Masked };
        let outcome = inspection.outcome_with(data);
        let adds = |id| inspection.adds(id).into_iter().map(Adds::of).collect();
        let hits = outcome.hits.into_iter().map(|hit| Told::of(set, adds(hit.id), hit)).collect();
        let categories =
            outcome.categories.iter().map(|(name, score)| ((*name).to_owned(), *score));
        let (health, whole) = match outcome.health {
            RuleHealth::Ok => ("ok", true),
            RuleHealth::Truncated => ("truncated", false),
            RuleHealth::Malformed(reason) => {
                notes.push(reason.as_str().to_owned());
                ("malformed", false)
            }
        };
        Ok(Report {
            decision: None,
            route: on_route.route,
            notes: on_route.notes.into_iter().chain(notes).collect(),
            mode: on_route.settings.mode,
            hits,
            categories: categories.collect(),
            score: outcome.score,
            threshold: outcome.threshold,
            response: self.response.is_some().then_some(Scored {
                score: outcome.outbound_score,
                threshold: outcome.outbound_threshold,
            }),
            health: health.to_owned(),
            whole,
        })
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("read `{}`", file.display()))
}

#[cfg(test)]
mod tests;
