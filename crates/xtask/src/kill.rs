//! `cargo xtask kill`: gateway and sink killed and Kafka stopped under load, on real Apache Kafka.
//! Deliberately nothing but the one test of the suite `trail` that does it, shown as it goes.

use anyhow::{Context, Result, ensure};

use crate::{
    machine::watch,
    setup::{BUILD, JAVA, MAVEN, obtain, rust_components},
    suites::of_components,
};

/// Runs it; its own last line is the last line.
pub(crate) fn kill() -> Result<()> {
    rust_components()?;
    obtain(&BUILD)?;
    obtain(&[JAVA, MAVEN])?;
    let (success, lines) = watch(&mut of_components("trail::kill::")?)?;
    ensure!(success, "something was lost, came twice or went wrong");
    let last = lines.iter().rev().find(|line| line.starts_with("kill: "));
    println!("{}", last.context("the test did not reach its last line")?);
    Ok(())
}
