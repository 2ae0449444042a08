//! Rule files from the disk, with what they name.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use seclang::{File, RuleSet, Wanted};

/// Loads files in order, with what they include; an error is every problem.
pub(crate) fn load(files: &[File]) -> Result<RuleSet> {
    match RuleSet::load(files, &fetch) {
        Ok(loaded) => Ok(loaded.rules),
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            bail!("{} problems:\n{}", problems.len(), problems.join("\n"))
        }
    }
}

/// One file.
pub(crate) fn read(path: &Path) -> Result<File> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(File { name: path.display().to_string(), text })
}

/// The files of a directory whose names end so, by name.
pub(crate) fn all(dir: &Path, end: &str) -> Result<Vec<File>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// What a rule file names: a file, or, with `*` first in its name, all that end so.
fn fetch(wanted: Wanted<'_>) -> Result<Vec<File>, String> {
    let (from, name) = match wanted {
        Wanted::Include { from, pattern } => (from, pattern),
        Wanted::Data { from, name } => (from, name),
    };
    let path = Path::new(from).parent().unwrap_or(Path::new("")).join(name);
    let last = path.file_name().unwrap_or_default().to_string_lossy();
    let files = match (last.strip_prefix('*'), path.parent()) {
        (Some(end), Some(dir)) => all(dir, end),
        _ => read(&path).map(|file| vec![file]),
    };
    files.map_err(|error| format!("{error:#}"))
}
