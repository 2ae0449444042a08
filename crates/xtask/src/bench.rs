//! `cargo xtask bench line`: what a request costs, beside nginx and Envoy. Builds, gets the two,
//! then becomes the bench. `cargo xtask bench verdict`: what a decision costs, beside Cedar's own
//! authorizer.
//!
//! Deliberately no suite of `cargo xtask test`: on a machine with other work its numbers move.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    machine::{build, built, cargo, root, succeed, target},
    python::environment,
    setup::{BUILD, JAVA, MAVEN, NGINX, PYTHON, TASKSET, obtain},
};

/// Where a wheel puts Envoy's binary, below the directory of the environment's packages.
const ENVOY: &str = "envoy/_bin/envoy";

const RELEASE: &str = "--release";

/// Returns only if the bench could not be started. Measured is what the demo runs or, with
/// `--release`, what is packaged.
pub(crate) fn line(arguments: &[&str]) -> Result<()> {
    obtain(&BUILD)?;
    obtain(&[JAVA, MAVEN, PYTHON, NGINX, TASKSET])?;
    let envoy = envoy()?;
    let rest = arguments.iter().filter(|argument| **argument != RELEASE);
    let binaries = if arguments.contains(&RELEASE) {
        succeed(&mut cargo(&["build", "--workspace", "--bins", "--locked", RELEASE])?)?;
        target()?.join("release")
    } else {
        build()?;
        built()?
    };
    let mut bench = Command::new(binaries.join("fixtures"));
    bench.arg("bench").arg("--envoy").arg(envoy).args(rest);
    Err(bench.exec()).context("start the bench")
}

/// Returns only if the bench could not be started.
pub(crate) fn verdict() -> Result<()> {
    obtain(&BUILD)?;
    // the whole workspace, or cargo builds dependencies again with the features of a part
    let examples = ["--example", "figures", "--example", "reload"];
    succeed(cargo(&["build", "--workspace", "--locked"])?.args(examples))?;
    let mut bench = Command::new(built()?.join("examples/figures"));
    bench.arg(built()?.join("examples/reload"));
    Err(bench.exec()).context("start the bench")
}

/// Envoy in a virtual environment; made again when its requirements change.
fn envoy() -> Result<PathBuf> {
    let requirements = root()?.join("crates/fixtures/bench/requirements.txt");
    let python = environment(&target()?.join("envoy"), &[requirements])?;
    let print = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = Command::new(python).args(["-c", print]).output()?;
    let packages = String::from_utf8(packages.stdout)?;
    let envoy = Path::new(packages.trim()).join(ENVOY);
    ensure!(envoy.is_file(), "`{}` is not there", envoy.display());
    Ok(envoy)
}
