//! The verbs of `audit-sink`, one file each.
//!
//! Exit codes are those of `portcullis`: 0 ok, 1 failure, 2 a usage error, 3 invalid, 4 an audit
//! trail that does not verify.

mod checkpoint;
mod environment;
mod leaves;
mod run;
mod search;
mod show;
mod verify;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use ledger::note::VerifierKey;

/// The exit code when all is well.
pub const OK: u8 = 0;
/// The exit code of a failure that is none of the others.
pub const FAILED: u8 = 1;
/// The exit code when a key, a checkpoint or an option is none.
pub const INVALID: u8 = 3;
/// The exit code when the trail does not verify.
pub const UNVERIFIED: u8 = 4;

/// Keep, verify and search the audit trail
///
/// Each flag can also be given by an environment variable: `--topic-prefix` by
/// AUDIT_SINK_TOPIC_PREFIX and so on; several properties are separated by spaces there.
#[derive(Debug, Parser)]
#[command(name = "audit-sink", version, propagate_version = true)]
enum Verb {
    Run(run::Run),
    Verify(verify::Verify),
    Show(show::Show),
    Search(search::Search),
    Checkpoint(checkpoint::Checkpoint),
}

/// What was given is none: the exit code is [`INVALID`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Invalid(String);

/// Runs the verb that the command line and the environment name.
pub fn main() -> ExitCode {
    let arguments = environment::add(std::env::args_os().collect(), |name| std::env::var_os(name));
    let mut out = io::stdout().lock();
    let code = match Verb::try_parse_from(arguments) {
        Ok(verb) => verb.run(&mut out),
        Err(error) => {
            // It says itself where it wants to be printed; there is nobody to tell otherwise.
            let _ = error.print();
            u8::try_from(error.exit_code()).unwrap_or(FAILED)
        }
    };
    ExitCode::from(code)
}

impl Verb {
    fn run(&self, out: &mut impl Write) -> u8 {
        let done = match self {
            Self::Run(run) => run.run(),
            Self::Verify(verify) => verify.run(out),
            Self::Show(show) => show.run(out),
            Self::Search(search) => search.run(out),
            Self::Checkpoint(checkpoint) => checkpoint.run(out),
        };
        let done = done.and_then(|code| Ok(out.flush().map(|()| code)?));
        done.unwrap_or_else(|error| failed(&error))
    }
}

fn failed(error: &anyhow::Error) -> u8 {
    let is = |kind| error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == kind);
    if is(io::ErrorKind::BrokenPipe) {
        // Whoever reads has read enough.
        return OK;
    }
    eprintln!("audit-sink: {error:#}");
    if error.is::<Invalid>() { INVALID } else { FAILED }
}

/// The audit root's public key, from a file.
fn root(path: &Path) -> anyhow::Result<VerifierKey> {
    let text = read(path)?;
    let key = VerifierKey::parse(text.trim());
    Ok(key.map_err(|error| Invalid(format!("`{}`: {error}", path.display())))?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))
}

/// A verb and its arguments, for tests.
#[cfg(test)]
fn run_from(arguments: &[&str]) -> (u8, String) {
    let arguments = std::iter::once("audit-sink").chain(arguments.iter().copied());
    let mut out = Vec::new();
    let code = match Verb::try_parse_from(arguments) {
        Ok(verb) => verb.run(&mut out),
        Err(error) => u8::try_from(error.exit_code()).unwrap(),
    };
    (code, String::from_utf8(out).unwrap())
}

#[cfg(test)]
mod tests;
