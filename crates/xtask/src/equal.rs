//! `cargo xtask equal`: the index of policies against Cedar's own authorizer, over as many random
//! cases as are asked for. Deliberately nothing but the one test that compares, in a crate that
//! this one does not name.

use anyhow::{Context, Result, bail, ensure};

use crate::{
    machine::{cargo, watch},
    setup::{BUILD, obtain},
    tally::Tally,
};

/// The test, in whichever crate it is.
const TEST: &str = "the_index_answers_as_cedar_does_and_its_mutants_do_not";
/// Without `--cases`.
const CASES: &str = "1000000";
/// As a suite of `cargo xtask test`, with the test's own seed.
const CASES_OF_SUITE: &str = "100000";

/// Runs it; its own last line is the last line.
pub(crate) fn equal(arguments: &[&str]) -> Result<()> {
    obtain(&BUILD)?;
    let (mut cases, mut seed) = (CASES, "1");
    for pair in arguments.chunks(2) {
        match pair {
            ["--cases", number] => cases = number,
            ["--seed", number] => seed = number,
            _ => bail!("usage: cargo xtask equal [--cases N] [--seed N]"),
        }
    }
    let (success, last) = compare(cases, seed)?;
    println!("{last}");
    ensure!(success, "they differ, or a mutant lives");
    Ok(())
}

/// With a fixed seed and fewer cases.
pub(crate) fn suite() -> Result<Tally> {
    let (success, _) = compare(CASES_OF_SUITE, "1")?;
    Ok(Tally::one(success))
}

/// Whether all were equal and every mutant was found, and the line that says so.
fn compare(cases: &str, seed: &str) -> Result<(bool, String)> {
    // the whole workspace, or cargo builds dependencies again with the features of a part
    let mut test = cargo(&["test", "--workspace", "--locked", "--lib", TEST, "--", "--nocapture"])?;
    let (success, lines) = watch(test.env("EQUAL_CASES", cases).env("EQUAL_SEED", seed))?;
    let last = lines.iter().rfind(|line| line.starts_with("equal: "));
    Ok((success, last.context("nothing was compared")?.clone()))
}
