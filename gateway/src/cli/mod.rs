//! The verbs of `portcullis`, one file each.
//!
//! Exit codes are those of Cedar's command line: 0 ok, 1 failure, 2 denied (or a usage error),
//! 3 invalid; and 4 for an audit trail that does not verify, and for what is not proved.

mod audit;
pub mod check;
mod format;
mod policy;
mod rules;
mod run;
pub mod schema;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;

use crate::snapshot;

/// The exit code when all is well.
pub const OK: u8 = 0;
/// The exit code of a failure that is none of the others.
pub const FAILED: u8 = 1;
/// The exit code of an answer that is no: a request that the rules hold for an attack.
pub const DENIED: u8 = 2;
/// The exit code when a configuration or policies are wrong.
pub const INVALID: u8 = 3;
/// The exit code when the audit trail does not verify, or when what was to be proved of policies
/// is not.
pub const UNVERIFIED: u8 = 4;

/// A policy-as-code gateway with an audit trail that anyone can verify
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, propagate_version = true)]
enum Verb {
    Run(run::Run),
    Check(check::Check),
    Schema(schema::Schema),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    Rules(rules::Rules),
    #[command(subcommand)]
    Audit(audit::Audit),
}

/// Runs the verb that the command line names.
pub fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match Verb::parse() {
        Verb::Run(run) => {
            drop(out);
            return ExitCode::from(run.run());
        }
        Verb::Check(check) => check.run(snapshot::problems, &mut out).map_err(anyhow::Error::from),
        Verb::Schema(schema) => schema.run(&mut out).map(|()| OK).map_err(anyhow::Error::from),
        Verb::Policy(policy) => policy.run(&mut out),
        Verb::Rules(rules) => rules.run(&mut out),
        Verb::Audit(audit) => audit.run(&mut out),
    };
    let code = done.unwrap_or_else(|error| {
        // Whoever read it, as `head` does, has enough.
        if !is_broken_pipe(&error) {
            eprintln!("portcullis: {error:#}");
        }
        FAILED
    });
    match out.flush() {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(FAILED),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| {
        let own = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        // Of a document: serde_json keeps the error to itself, and tells its kind.
        let of_json = || cause.downcast_ref().and_then(serde_json::Error::io_error_kind);
        own.or_else(of_json) == Some(io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that nobody reads any more.
    struct Closed;

    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_enough_is_no_error_to_tell() {
        let error = format::document(&serde_json::json!({ "a": 1 }), &mut Closed).unwrap_err();
        assert!(is_broken_pipe(&error), "{error:?}");
        let text = anyhow::Error::from(writeln!(Closed, "a").unwrap_err());
        assert!(is_broken_pipe(&text.context("tell")));
        assert!(!is_broken_pipe(&anyhow::anyhow!("another")));
    }
}
