//! `audit-sink`: the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    audit_sink::cli::main()
}
