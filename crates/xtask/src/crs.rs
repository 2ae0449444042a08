//! The OWASP Core Rule Set as test data. The project holds none of it: a release comes as a Go
//! module, through the ordinary client and held to a checksum; an older one as Debian has it; and
//! `CRS_DIR` names any other copy.
//!
//! Every copy is given as a directory with `crs-setup.conf.example`, `rules/` and, of those that
//! have any, `tests/`.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    machine::{succeed, target},
    setup::{GO, obtain},
};

const MODULE: &str = "github.com/corazawaf/coraza-coreruleset/v4@v4.25.0";
/// As Go's checksum database has it.
const SUM: &str = "h1:tqFO1lfVpTiyWtlN618OXpZMfw+nnN0Q4///W5W+/HM=";
/// What Debian has.
const PACKAGE: &str = "modsecurity-crs";

/// Release 4.25.0 with its regression tests.
pub(crate) fn release() -> Result<PathBuf> {
    obtain(&[GO])?;
    let dir = place("4.25.0")?;
    let mut go = Command::new("go");
    // outside of any module
    let output = go.args(["mod", "download", "-json", MODULE]).current_dir(&dir).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("`go mod download {MODULE}` did not: {said}");
    }
    let value = |name: &str| {
        let value = said.split(&format!("\"{name}\": \"")).nth(1)?.split('"').next()?;
        Some(value.to_owned())
    };
    let sum = value("Sum").context("go names no checksum")?;
    ensure!(sum == SUM, "{MODULE} has the checksum `{sum}`, not `{SUM}`");
    let module = PathBuf::from(value("Dir").context("go names no directory")?);
    link(&module.join("rules/@crs-setup.conf.example"), &dir.join("crs-setup.conf.example"))?;
    link(&module.join("rules/@owasp_crs"), &dir.join("rules"))?;
    link(&module.join("tests"), &dir.join("tests"))?;
    Ok(dir)
}

/// As Debian packs it, unpacked and not installed; it has no tests.
pub(crate) fn debian() -> Result<PathBuf> {
    let dir = place("debian")?;
    let tree = dir.join("tree");
    if !tree.is_dir() {
        let mut apt = Command::new("apt-get");
        succeed(apt.args(["-qq", "download", PACKAGE]).current_dir(&dir))?;
        let file = fs::read_dir(&dir)?.filter_map(|entry| Some(entry.ok()?.path()));
        let file = file.filter(|path| path.extension().is_some_and(|it| it == "deb")).last();
        let file = file.context("apt-get left no package")?;
        succeed(Command::new("dpkg").arg("-x").arg(file).arg(&tree))?;
    }
    let setup = tree.join("etc/modsecurity/crs/crs-setup.conf");
    link(&setup, &dir.join("crs-setup.conf.example"))?;
    link(&tree.join("usr/share/modsecurity-crs/rules"), &dir.join("rules"))?;
    Ok(dir)
}

/// The three rules of 3.3 whose patterns look around, which takes more than linear time; CRS 4 has
/// none. Its operator must leave them out.
const DEBIAN_END: &str = "SecRuleRemoveById 920120 942130 953120\n";

/// The rule files of Debian's copy in order, with what its operator says at their end.
pub(crate) fn files_of_debian(dir: &str) -> Result<Vec<PathBuf>> {
    let dir = Path::new(dir);
    let entries = fs::read_dir(dir.join("rules"))?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut rules: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "conf")).collect();
    rules.sort();
    let end = dir.join("end.conf");
    fs::write(&end, DEBIAN_END).with_context(|| format!("write `{}`", end.display()))?;
    rules.insert(0, dir.join("crs-setup.conf.example"));
    rules.push(end);
    Ok(rules)
}

/// The copy that `CRS_DIR` names, if it names one.
pub(crate) fn named() -> Result<Option<PathBuf>> {
    let Some(dir) = env::var_os("CRS_DIR").filter(|dir| !dir.is_empty()) else { return Ok(None) };
    let dir = PathBuf::from(dir);
    for needed in ["crs-setup.conf.example", "rules", "tests"] {
        let path = dir.join(needed);
        ensure!(path.exists(), "CRS_DIR: `{}` is not there", path.display());
    }
    Ok(Some(fs::canonicalize(dir)?))
}

fn place(name: &str) -> Result<PathBuf> {
    let dir = target()?.join("crs").join(name);
    fs::create_dir_all(&dir).with_context(|| format!("create `{}`", dir.display()))?;
    Ok(dir)
}

/// Makes a link, or makes it anew.
fn link(to: &Path, at: &Path) -> Result<()> {
    ensure!(to.exists(), "`{}` is not there", to.display());
    let _ = fs::remove_file(at);
    symlink(to, at).with_context(|| format!("link `{}`", at.display()))
}
