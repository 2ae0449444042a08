//! This machine: the repository, the target directory, and running a command while reading it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// The repository's root.
pub(crate) fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map(Path::to_owned).context("the repository's root")
}

/// The directory that holds this program and all other binaries of the workspace.
pub(crate) fn built() -> Result<PathBuf> {
    let program = std::env::current_exe().context("this program's path")?;
    program.parent().map(Path::to_owned).context("this program's directory")
}

/// The target directory.
pub(crate) fn target() -> Result<PathBuf> {
    built()?.parent().map(Path::to_owned).context("the target directory")
}

/// Cargo, in the repository, for the target directory that this program was built in.
pub(crate) fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root()?).env("CARGO_TARGET_DIR", target()?);
    forget_package(&mut cargo);
    Ok(cargo)
}

/// Cargo tells this program which package it is. Build scripts look at these variables, so that one
/// more cargo with them would build their crates anew, and all that depends on them.
fn forget_package(cargo: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&*name);
        }
    }
}

/// Builds every binary.
pub(crate) fn build() -> Result<()> {
    succeed(&mut cargo(&["build", "--workspace", "--bins", "--locked"])?)
}

/// Builds the fixtures alone.
pub(crate) fn build_fixtures() -> Result<()> {
    succeed(&mut cargo(&["build", "--package", "fixtures", "--bins", "--locked"])?)
}

/// Runs a command to its end; an error unless it succeeds.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("run {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// Whether a command runs and succeeds; its output is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a command, shows its standard output line by line as it comes, and gives it back with
/// whether the command succeeded.
pub(crate) fn watch(command: &mut Command) -> Result<(bool, Vec<String>)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {command:?}"))?;
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().context("its output")?).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        lines.push(line);
    }
    Ok((child.wait()?.success(), lines))
}
