//! `portcullis rules test`: runs regression tests of rules in this process, and says which of their
//! stages come out otherwise.
//!
//! Tests are those of the Core Rule Set, or any in their format. What only a server can show, its
//! status or a connection that breaks, is not judged here.

mod engine;
mod report;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use ftw::{At, Override, SETTINGS, Wrong, reflect, wire};
use signals::{RuleEngineSettings, RuleFile};

use super::{Format, Problem, document, invalid};
use crate::cli::{FAILED, OK};
use crate::config::Config;
use crate::regular;
use crate::rules::{self, Ruleset};
use report::Report;

/// The paranoia level of the Core Rule Set's tests.
const PARANOIA: u8 = 4;

/// Run regression tests of rules, and print the stages that come out otherwise
///
/// Exit codes: 0 all came out as expected, 1 some did not, 3 rules, tests or overrides are wrong.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["crs", "tests"]))]
pub(in crate::cli) struct Test {
    /// A copy of the Core Rule Set: its rules, with the settings that its tests want, and its tests
    #[arg(long, value_name = "DIR")]
    crs: Option<PathBuf>,
    /// Other tests than those of the copy: a directory with FTW files (YAML, as go-ftw reads them)
    #[arg(long, value_name = "DIR")]
    tests: Option<PathBuf>,
    /// SecLang files, in the order in which they are read; with `--crs`, after its rules
    #[arg(long, value_name = "FILE", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// A configuration, whose rules these are, with what it says of them at the top
    #[arg(long, short, conflicts_with_all = ["rules", "crs"])]
    config: Option<PathBuf>,
    /// The paranoia level [default: 4 with `--crs`, else what the files say]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    paranoia: Option<u8>,
    /// Stages that are known to come out otherwise: YAML, a list of `test` (`920100-4`), `stage`,
    /// `at` (`engine`: not through a gateway), what is expected instead (`ids`, `no_ids`) and the
    /// `reason`
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// What is wrong with what was given.
type Problems = Vec<Problem>;

impl Test {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let report = match self.report()? {
            Ok(report) => report,
            Err(problems) => return invalid("test", &problems, self.format, out),
        };
        match self.format {
            Format::Json => document(&report, out)?,
            Format::Text => report.text(out)?,
        }
        Ok(if report.is_good() { OK } else { FAILED })
    }

    fn report(&self) -> anyhow::Result<Result<Report, Problems>> {
        let copy = match self.crs.as_deref().map(ftw::Copy::find).transpose() {
            Ok(copy) => copy,
            Err(wrong) => return Ok(Err(vec![problem(wrong)])),
        };
        let of_copy = copy.as_ref().and_then(|copy| copy.tests.clone());
        let Some(tests) = self.tests.clone().or(of_copy) else {
            bail!("this copy has no tests: name some with --tests");
        };
        let start = Instant::now();
        let (ruleset, settings) = match self.load(copy.as_ref()) {
            Ok(loaded) => loaded,
            Err(problems) => return Ok(Err(problems)),
        };
        let load_ms = start.elapsed().as_millis();
        let (set, paranoia) = (ruleset.rules().set(), self.paranoia().or(settings.paranoia));
        let overlay = set.overlay(&RuleEngineSettings { paranoia, ..settings });
        let overlay = overlay.map_err(anyhow::Error::msg)?;
        let (stages, overrides) = match (ftw::read(&tests), self.overrides()) {
            (Ok(stages), Ok(overrides)) => (stages, overrides),
            (stages, overrides) => {
                let stages = stages.err().map(problem);
                return Ok(Err(stages.into_iter().chain(overrides.err()).collect()));
            }
        };
        let start = Instant::now();
        let mut report = Report::default();
        for stage in &stages {
            let instead = overrides.iter().position(|one| one.is_of(stage, At::Engine));
            let seen = wire::read(&wire::raw(&stage.input)).map(|request| {
                engine::inspect(set, &overlay, &request, &reflect::answer(&request))
            });
            report.add(stage, seen, instead.and_then(|at| overrides.get(at)));
        }
        report.hold(&stages, &overrides);
        (report.load_ms, report.run_ms) = (load_ms, start.elapsed().as_millis());
        Ok(Ok(report))
    }

    /// The rules, and what a configuration says of them at the top.
    fn load(&self, copy: Option<&ftw::Copy>) -> Result<(Ruleset, RuleEngineSettings), Problems> {
        if let Some(config) = &self.config {
            let config = Config::load(config)?;
            let settings = config.waf.views.first().map(|top| top.settings.engine());
            return Ok((Ruleset::load(&config.waf, None)?, settings.unwrap_or_default()));
        }
        let mut files = Vec::new();
        if let Some(copy) = copy {
            files.extend(rules::given(std::slice::from_ref(&copy.setup))?);
            let text = SETTINGS.as_bytes().to_vec();
            files.push(RuleFile { name: "settings.conf".to_owned(), text });
            files.extend(rules::below(&copy.rules)?);
        }
        files.extend(rules::given(&self.rules)?);
        let ruleset = if files.is_empty() { Ruleset::own() } else { Ruleset::compile(files) };
        Ok((ruleset?, RuleEngineSettings::default()))
    }

    fn paranoia(&self) -> Option<u8> {
        self.paranoia.or(self.crs.as_ref().map(|_| PARANOIA))
    }

    fn overrides(&self) -> Result<Vec<Override>, Problem> {
        let Some(path) = &self.overrides else { return Ok(Vec::new()) };
        read_overrides(path).map_err(problem)
    }
}

fn read_overrides(path: &Path) -> Result<Vec<Override>, Wrong> {
    let file = || path.display().to_string();
    let text = regular::text(path, ftw::FILE_BYTES_MAX).map_err(|error| Wrong {
        file: file(),
        line: 1,
        message: format!("cannot be read: {error}"),
    })?;
    ftw::read_overrides(&text).map_err(|wrong| Wrong { file: file(), ..wrong })
}

fn problem(wrong: Wrong) -> Problem {
    let Wrong { file, line, message } = wrong;
    Problem { file, line, column: 1, message, hint: None }
}

#[cfg(test)]
mod tests;
