//! Python with what the suites and benches need of it: virtual environments in the target
//! directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::machine::{root, succeed, target};

/// The validator of OCSF, and the foreign verifier's cryptography.
const REQUIREMENTS: [&str; 2] = ["tests/ocsf/requirements.txt", "tests/trail/requirements.txt"];

/// The interpreter of the suites' environment.
pub(crate) fn python() -> Result<PathBuf> {
    let root = root()?;
    environment(&target()?.join("python"), &REQUIREMENTS.map(|file| root.join(file)))
}

/// The interpreter of an environment, which is made again when its requirements change.
pub(crate) fn environment(dir: &Path, requirements: &[PathBuf]) -> Result<PathBuf> {
    let (python, stamp) = (dir.join("bin/python3"), dir.join("requirements.txt"));
    let mut wanted = String::new();
    for file in requirements {
        wanted += &fs::read_to_string(file).with_context(|| file.display().to_string())?;
    }
    if fs::read_to_string(&stamp).is_ok_and(|has| has == wanted) && python.exists() {
        return Ok(python);
    }
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(dir))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for file in requirements {
        pip.arg("-r").arg(file);
    }
    succeed(&mut pip)?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}
