//! `portcullis`: the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::cli::main()
}
