//! `portcullis audit pseudonym`: what stands in the record for a person or a parameter, for whoever
//! has the key. It cannot say whom a pseudonym stands for.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};

use crate::cli::{INVALID, OK};
use crate::config::Config;
use crate::snapshot;

/// Print the pseudonyms of people and of parameters, to search and to name in policies
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Pseudonym {
    /// The main file of the configuration that names the key
    #[arg(long, short, default_value = "portcullis.yaml")]
    config: PathBuf,
    /// A principal's id, `<issuer>|<subject>`
    #[arg(long, required_unless_present = "parameter")]
    subject: Vec<String>,
    /// A parameter of a path, decoded
    #[arg(long)]
    parameter: Vec<String>,
}

impl Pseudonym {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let config = match Config::load(&self.config) {
            Ok(config) => config,
            Err(problems) => {
                for problem in problems {
                    writeln!(out, "{problem}")?;
                }
                return Ok(INVALID);
            }
        };
        let pseudonyms = snapshot::pseudonyms(&config).map_err(|error| anyhow!(error))?;
        let pseudonyms = pseudonyms.context("the configuration has no `audit.pseudonym_key`")?;
        for subject in &self.subject {
            writeln!(out, "{}", pseudonyms.subject(subject))?;
        }
        for parameter in &self.parameter {
            writeln!(out, "{}", pseudonyms.parameter(parameter))?;
        }
        Ok(OK)
    }
}
