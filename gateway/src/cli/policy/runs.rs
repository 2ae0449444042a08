//! Tests in the format of Cedar's command line: `cases/*.json` in, `--export` out.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use verdict::cases::Case;
use verdict::{Policies, RunTestResult};

use super::format::placed;
use crate::config::Problem;

/// A test of this file, and how it came out.
pub(super) type Ran = (PathBuf, RunTestResult);

/// Asks every test of `cases/*.json`; or every problem with what cannot be asked.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn run(
    policies: &Policies,
    directory: &Path,
) -> anyhow::Result<Result<Vec<Ran>, Vec<Problem>>> {
    let (mut results, mut problems) = (Vec::new(), Vec::new());
    for path in super::case_files(directory, &["json"])? {
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("read `{}`", path.display()))?;
        let found = policies.test_problems(&path.to_string_lossy(), &text);
        if !found.is_empty() {
            problems.extend(found.into_iter().map(|problem| placed(Path::new(""), problem)));
            continue;
        }
        let file = serde_json::from_str(&text)?;
        let ran = verdict::run_tests(policies, &file).map_err(|reason| anyhow!(reason))?;
        results.extend(ran.into_iter().map(|result| (path.clone(), result)));
    }
    Ok(if problems.is_empty() { Ok(results) } else { Err(problems) })
}

/// Writes the cases as such tests.
pub(super) fn export(policies: &Policies, cases: &[Case], to: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(&policies.export_tests(cases)?)?;
    text.push('\n');
    std::fs::write(to, text).with_context(|| format!("write `{}`", to.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::super::test::Test;
    use super::super::{Directory, Policy};
    use super::*;

    /// A copy of the starter policies with these tests as their only cases.
    fn copy(tests: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        for (path, text) in Directory::of(from).source().unwrap().files {
            if path.starts_with("cases/") {
                continue;
            }
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir(root.path().join("cases")).unwrap();
        fs::write(root.path().join("cases/a.json"), tests).unwrap();
        root
    }

    fn run(directory: &Path, export: Option<PathBuf>) -> (u8, String) {
        let mut out = Vec::new();
        let test = Test::of(Directory::of(directory.to_owned()), export);
        let code = Policy::Test(test).run(&mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn exported_cases_pass_as_tests_of_cedars() {
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let file = tempfile::NamedTempFile::new().unwrap();
        let (code, out) = run(&starter, Some(file.path().to_owned()));
        assert_eq!(code, 0, "{out}");
        let tests = fs::read_to_string(file.path()).unwrap();
        let (code, again) = run(copy(&tests).path(), None);
        // Conditions are seen by cases of our own alone.
        let counts = |out: &str| {
            let line = out.lines().last().unwrap_or_default();
            line.split(" conditions=").next().map(str::to_owned)
        };
        assert_eq!((code, counts(&out)), (0, counts(&again)));
        let (code, other) = run(copy(&tests.replacen("\"allow\"", "\"deny\"", 1)).path(), None);
        assert!(
            other.contains("the answer is allow, expected deny") && other.contains(" failed=1 ")
        );
        assert_eq!(code, 1, "{other}");
    }
}
