//! Python with what the suites need of it: the validator of OCSF, and the foreign verifier's
//! cryptography. Deliberately one virtual environment, in the target directory.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Result;

use crate::machine::{root, succeed, target};

const REQUIREMENTS: [&str; 2] = ["tests/ocsf/requirements.txt", "tests/trail/requirements.txt"];

/// The interpreter of the environment, which is made again when its requirements change.
pub(crate) fn python() -> Result<PathBuf> {
    let dir = target()?.join("python");
    let (python, stamp) = (dir.join("bin/python3"), dir.join("requirements.txt"));
    let mut wanted = String::new();
    for requirements in REQUIREMENTS {
        wanted += &fs::read_to_string(root()?.join(requirements))?;
    }
    if fs::read_to_string(&stamp).is_ok_and(|has| has == wanted) && python.exists() {
        return Ok(python);
    }
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for requirements in REQUIREMENTS {
        pip.arg("-r").arg(root()?.join(requirements));
    }
    succeed(&mut pip)?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}
