//! A copy of the OWASP CRS as rules: `crs-setup.conf.example` and `rules/` in a directory, or a Go
//! module's `@crs-setup.conf.example` and `@owasp_crs` below `rules`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use seclang::RuleSet;

use super::files;

/// Loads a copy as it is published; an error is every problem.
pub(crate) fn load(dir: &Path) -> Result<RuleSet> {
    let (setup, rules) = places(dir)?;
    let mut all = vec![files::read(&setup)?];
    all.extend(files::all(&rules, ".conf")?);
    files::load(&all)
}

fn places(dir: &Path) -> Result<(PathBuf, PathBuf)> {
    let kinds = [
        ("crs-setup.conf.example", "rules"),
        ("rules/@crs-setup.conf.example", "rules/@owasp_crs"),
    ];
    let there = |(setup, rules): &(&str, &str)| {
        let (setup, rules) = (dir.join(setup), dir.join(rules));
        (setup.is_file() && rules.is_dir()).then_some((setup, rules))
    };
    kinds.iter().find_map(there).with_context(|| format!("`{}` is no copy of it", dir.display()))
}
