//! `cargo xtask bench waf`: what a request costs in the rule engine, beside libmodsecurity (a wheel)
//! and Coraza (a Go module) with the same rules. Gets the two, builds, then becomes the bench.
//!
//! Deliberately no suite of `cargo xtask test`: on a machine with other work its numbers move.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    crs,
    machine::{built, cargo, root, succeed, target},
    python::environment,
    setup::{BUILD, GO, PYTHON, obtain},
};

const PEERS: &str = "crates/seclang/examples/waf";

/// Returns only if the bench could not be started.
pub(crate) fn bench() -> Result<()> {
    obtain(&BUILD)?;
    obtain(&[PYTHON, GO])?;
    let (work, rules) = (target()?.join("waf"), crs::release()?);
    fs::create_dir_all(&work)?;
    let coraza = coraza(&work)?;
    let peer = root()?.join(PEERS).join("modsecurity");
    let python = environment(&work.join("python"), &[peer.join("requirements.txt")])?;
    let examples = ["--example", "waf", "--example", "waf_allocations"];
    // the whole workspace, or cargo builds dependencies again with the features of a part
    succeed(cargo(&["build", "--workspace", "--locked"])?.args(examples))?;
    let mut bench = Command::new(built()?.join("examples/waf"));
    bench.args([rules, work, coraza, python, peer.join("peer.py")]);
    Err(bench.exec()).context("start the bench")
}

/// The harness of Coraza, built from its source with the checksums beside it.
fn coraza(work: &Path) -> Result<PathBuf> {
    let (from, to) = (root()?.join(PEERS).join("coraza"), work.join("coraza"));
    fs::create_dir_all(&to)?;
    for file in ["main.go", "go.mod", "go.sum"] {
        fs::copy(from.join(file), to.join(file)).with_context(|| file.to_owned())?;
    }
    let mut go = Command::new("go");
    succeed(go.args(["build", "-o", "peer", "."]).current_dir(&to)).context("build Coraza")?;
    Ok(to.join("peer"))
}
