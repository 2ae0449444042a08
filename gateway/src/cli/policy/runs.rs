//! Tests in the format of Cedar's command line: `cases/*.json` in, `--export` out.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use verdict::Policies;
use verdict::cases::Case;

/// Asks every test of `cases/*.json`: how many passed, and how many did not.
///
/// # Errors
/// A file that is no list of tests, or what `out` refuses.
pub(super) fn run(
    policies: &Policies,
    directory: &Path,
    out: &mut impl Write,
) -> anyhow::Result<(usize, usize)> {
    let (mut passed, mut failed) = (0, 0);
    for path in super::case_files(directory, &["json"])? {
        let text = std::fs::read(&path).with_context(|| format!("read `{}`", path.display()))?;
        let file = serde_json::from_slice(&text)
            .with_context(|| format!("read `{}` as JSON", path.display()))?;
        let results = verdict::run_tests(policies, &file)
            .map_err(|reason| anyhow!("`{}` is {reason}", path.display()))?;
        for result in results {
            if result.failures.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            writeln!(out, "{}: {}", path.display(), result.name)?;
            for failure in &result.failures {
                writeln!(out, "  {failure}")?;
            }
        }
    }
    Ok((passed, failed))
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
            other.contains("the answer is Allow, expected Deny") && other.contains(" failed=1 ")
        );
        assert_eq!(code, 1, "{other}");
    }
}
