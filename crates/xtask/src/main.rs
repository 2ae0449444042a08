//! `cargo xtask …`: everything a developer or CI does. Builds in seconds, so that it can check
//! what else a machine needs before the long build starts.
//!
//! Deliberately names no crate of the product: it runs cargo and the built binaries.

mod bench;
mod compliance;
mod crs;
mod demo;
mod equal;
mod ftw;
mod injection;
mod kafka;
mod kill;
mod machine;
mod python;
mod setup;
mod suites;
mod tally;
mod waf;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask demo [--once] [--kafka HOST:PORT]   the product on a tour, then yours to try
       cargo xtask test [SUITE…]                       everything CI runs, or the suites named
       cargo xtask lint                                format and lints only
       cargo xtask bench line [--rounds N] [--seconds N] [--only NAME,…] [--release]
                                                       a request's cost, beside nginx and Envoy
       cargo xtask bench verdict                       a decision's cost, beside Cedar's authorizer
       cargo xtask bench waf                           the rule engine's cost, beside ModSecurity and Coraza
       cargo xtask equal [--cases N] [--seed N]        the policy index against Cedar's authorizer
       cargo xtask ftw                                 the OWASP CRS's own tests, on the rule engine and through the gateway
       cargo xtask injection [--inputs N] [--seed N]   `@detectSQLi` and `@detectXSS` against the C library
       cargo xtask kill                                gateway, sink and Kafka killed under load
       cargo xtask kafka up|down                       real Apache Kafka on loopback
       cargo xtask setup                               check and install what all of it needs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["demo", rest @ ..] => demo::demo(rest),
        ["test", names @ ..] => suites::test(names),
        ["bench", "line", rest @ ..] => bench::line(rest),
        ["bench", "verdict"] => bench::verdict(),
        ["bench", "waf"] => waf::bench(),
        ["equal", rest @ ..] => equal::equal(rest),
        ["ftw"] => ftw::ftw(),
        ["injection", rest @ ..] => injection::injection(rest),
        ["lint"] => suites::test(&["format", "lints"]),
        ["kill"] => kill::kill(),
        ["kafka", "up"] => kafka::up(),
        ["kafka", "down"] => kafka::down(),
        ["setup"] => setup::everything(),
        _ => bail!("{USAGE}"),
    }
}
