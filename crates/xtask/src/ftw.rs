//! `cargo xtask ftw`: the regression tests of the OWASP CRS against the rule engine, in process.
//! Deliberately only gets what that needs: what passes is for the program that runs them to say.

use std::{ffi::OsString, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    crs,
    machine::{built, cargo, succeed, watch},
    setup::{BUILD, obtain},
    tally::Tally,
};

/// Runs it; its own last line is the last line.
pub(crate) fn ftw() -> Result<()> {
    let (tally, last) = run()?;
    println!("{last}");
    ensure!(tally.failed == 0, "a stage does not come out as expected, or a set is not there");
    Ok(())
}

/// As a suite of `cargo xtask test`: what is there is one each.
pub(crate) fn suite() -> Result<Tally> {
    Ok(run()?.0)
}

fn run() -> Result<(Tally, String)> {
    obtain(&BUILD)?;
    let mut tally = Tally::default();
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |name: &str, dir: std::path::PathBuf| {
        let mut argument = OsString::from(name);
        argument.push("=");
        argument.push(dir);
        arguments.push(argument);
    };
    match crs::release() {
        Ok(dir) => add("crs425", dir),
        Err(missing) => {
            println!("ftw: {missing:#}; have Go, and let it reach a module proxy (GOPROXY)");
            tally += Tally::missing();
        }
    }
    match crs::debian() {
        Ok(dir) => add("debian", dir),
        Err(missing) => {
            println!("ftw: Debian's copy is absent: {missing:#}");
            tally += Tally::skipped();
        }
    }
    if let Some(dir) = crs::named()? {
        add("crs429", dir);
    }
    // the whole workspace, or cargo builds dependencies again with the features of a part
    succeed(&mut cargo(&["build", "--workspace", "--example", "ftw", "--locked"])?)?;
    let (success, lines) = watch(Command::new(built()?.join("examples/ftw")).args(&arguments))?;
    let last = lines.iter().rfind(|line| line.starts_with("ftw: ")).context("nothing was run")?;
    Ok((tally + Tally::one(success), last.clone()))
}
