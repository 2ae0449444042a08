//! `portcullis rules …`: rule files without a gateway.

mod check;
mod explain;
mod test;

use std::io::Write;
use std::path::PathBuf;

use super::format::{self, Format, document, failed};
use crate::config::{Config, Problem};
use crate::rules::{self, Ruleset};

/// Check and test rule files, and say what they find in a request
#[derive(Debug, clap::Subcommand)]
pub(super) enum Rules {
    Check(check::Check),
    Test(test::Test),
    Explain(explain::Explain),
}

impl Rules {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let (done, format) = match self {
            Self::Check(check) => (check.run(out), check.format),
            Self::Test(test) => (test.run(out), test.format),
            Self::Explain(explain) => (explain.run(out), explain.format),
        };
        done.or_else(|error| failed(error, format, out))
    }
}

/// Which rules.
#[derive(Debug, clap::Args)]
struct Chosen {
    /// SecLang files, in the order in which they are read: `crs-setup.conf rules/*.conf`
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A configuration, whose rules these are
    #[arg(long, short, conflicts_with = "files")]
    config: Option<PathBuf>,
}

impl Chosen {
    /// The rules, or every problem. Without files and configuration, they are our own.
    fn load(&self) -> Result<Ruleset, Vec<Problem>> {
        self.loaded().map(|(ruleset, _)| ruleset)
    }

    /// The same, with the configuration that names them.
    fn loaded(&self) -> Result<(Ruleset, Option<Config>), Vec<Problem>> {
        if let Some(path) = &self.config {
            let config = Config::load(path)?;
            return Ok((Ruleset::load(&config.waf, None)?, Some(config)));
        }
        let ruleset = match self.files.as_slice() {
            [] => Ruleset::own(),
            files => Ruleset::compile(rules::given(files)?),
        };
        Ok((ruleset?, None))
    }

    /// Files are named.
    fn names_files(&self) -> bool {
        !self.files.is_empty()
    }
}

/// Tells every problem of what was given.
fn invalid(
    verb: &str,
    problems: &[Problem],
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    format::invalid(&format!("rules {verb}"), problems, format, out)
}
