//! A copy of the OWASP CRS as rules: `crs-setup.conf.example` and `rules/` in a directory, or a Go
//! module's `@crs-setup.conf.example` and `@owasp_crs` below `rules`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use seclang::{File, RuleSet, Wanted};

/// What is beside the CRS: which parser a body gets where its type is not one that every engine
/// knows.
const ENGINE: &str = r#"
SecRuleEngine On
SecRequestBodyAccess On
SecResponseBodyAccess Off
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:text|application)/(?:soap\+)?xml" \
    "id:1000001,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/(?:[a-z0-9.-]+\+)?json" \
    "id:1000002,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=JSON"
"#;

/// Loads a copy, all else as it is published; an error is every problem.
pub(crate) fn load(dir: &Path) -> Result<RuleSet> {
    let (setup, rules) = places(dir)?;
    let engine = File { name: "engine.conf".to_owned(), text: ENGINE.as_bytes().to_vec() };
    let mut files = vec![engine, read(&setup)?];
    files.extend(all(&rules, ".conf")?);
    match RuleSet::load(&files, &fetch) {
        Ok(loaded) => Ok(loaded.rules),
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            bail!("{} problems:\n{}", problems.len(), problems.join("\n"))
        }
    }
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

fn read(path: &Path) -> Result<File> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(File { name: path.display().to_string(), text })
}

/// The files of a directory whose names end so, by name.
fn all(dir: &Path, end: &str) -> Result<Vec<File>> {
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
