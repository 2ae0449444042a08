//! `cargo xtask injection`: the engine's `@detectSQLi` and `@detectXSS` against libinjection, the C
//! library, which the `libmodsecurity` wheel has in it. Deliberately only gets what that needs.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    crs,
    machine::{built, cargo, root, succeed, target, watch},
    python::environment,
    setup::{BUILD, PYTHON, obtain},
    tally::Tally,
};

/// Without `--inputs`; as a suite too.
const INPUTS: &str = "120000";

/// Runs it; its own last line is the last line.
pub(crate) fn injection(arguments: &[&str]) -> Result<()> {
    let (mut inputs, mut seed) = (INPUTS, "1");
    for pair in arguments.chunks(2) {
        match pair {
            ["--inputs", number] => inputs = number,
            ["--seed", number] => seed = number,
            _ => bail!("usage: cargo xtask injection [--inputs N] [--seed N]"),
        }
    }
    let success = compare(&needed()?, inputs, seed)?;
    ensure!(success, "they differ, and nothing says why");
    Ok(())
}

/// With a fixed seed.
pub(crate) fn suite() -> Result<Tally> {
    match needed() {
        Ok(needed) => Ok(Tally::one(compare(&needed, INPUTS, "1")?)),
        Err(missing) => {
            println!("injection: {missing:#}");
            Ok(Tally::missing())
        }
    }
}

/// What is fetched: the tests whose values are asked of both, and the library.
struct Needed {
    tests: PathBuf,
    python: PathBuf,
    work: PathBuf,
}

fn needed() -> Result<Needed> {
    obtain(&BUILD)?;
    obtain(&[PYTHON])?;
    let (tests, work) = (crs::release()?.join("tests"), target()?.join("waf"));
    fs::create_dir_all(&work)?;
    let requirements = root()?.join("crates/seclang/examples/waf/modsecurity/requirements.txt");
    let python = environment(&work.join("python"), &[requirements]);
    let python = python.context("no wheel of libmodsecurity; let pip reach an index")?;
    Ok(Needed { tests, python, work })
}

/// Whether there is no difference that nothing explains.
fn compare(needed: &Needed, inputs: &str, seed: &str) -> Result<bool> {
    // the whole workspace, or cargo builds dependencies again with the features of a part
    succeed(&mut cargo(&["build", "--workspace", "--example", "injection", "--locked"])?)?;
    let mut program = Command::new(built()?.join("examples/injection"));
    program.args([&needed.tests, &needed.work, &needed.python]);
    program.arg(root()?.join("crates/seclang/examples/injection/peer.py")).args([inputs, seed]);
    Ok(watch(&mut program)?.0)
}
