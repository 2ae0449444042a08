//! `portcullis policy …`: policies without a gateway.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use verdict::cases;

use super::{FAILED, INVALID, OK};
use crate::config::{Problem, Yaml};
use crate::snapshot;

/// Test policies
#[derive(Debug, clap::Subcommand)]
pub(super) enum Policy {
    Test(Test),
}

/// Run the cases of a policies directory
#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// The policies directory; cases are its `cases/*.yaml`
    #[arg(default_value = "policies")]
    directory: PathBuf,
    /// Annotations that policies may carry besides those Portcullis knows
    #[arg(long)]
    allow_annotation: Vec<String>,
}

impl Policy {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        match self {
            Self::Test(test) => test.run(out),
        }
    }
}

impl Test {
    fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let annotations = self.allow_annotation.iter().cloned().collect();
        let policies = match snapshot::load_policies(&self.directory, annotations) {
            Ok(policies) => policies,
            Err(problems) => return invalid(&problems, out),
        };
        let (mut passed, mut failed) = (0_usize, 0_usize);
        for path in case_files(&self.directory)? {
            let cases = match read(&path)? {
                Ok(cases) => cases,
                Err(problems) => return invalid(&problems, out),
            };
            for result in cases::run_cases(&policies, &cases) {
                if result.passed() {
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
        writeln!(out, "policy test: cases={} passed={passed} failed={failed}", passed + failed)?;
        Ok(if failed > 0 || passed == 0 { FAILED } else { OK })
    }
}

fn case_files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cases = directory.join("cases");
    let entries =
        std::fs::read_dir(&cases).with_context(|| format!("read `{}`", cases.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The cases of a file, or every problem with its line.
fn read(path: &Path) -> anyhow::Result<Result<Vec<cases::Case>, Vec<Problem>>> {
    let bytes = std::fs::read(path).with_context(|| format!("read `{}`", path.display()))?;
    let yaml = match Yaml::parse(path, &bytes) {
        Ok(yaml) => yaml,
        Err(problems) => return Ok(Err(problems)),
    };
    Ok(cases::read(&yaml.to_json()).map_err(|problems| {
        problems.iter().map(|problem| yaml.problem(&problem.pointer, &problem.message)).collect()
    }))
}

fn invalid(problems: &[Problem], out: &mut impl Write) -> anyhow::Result<u8> {
    for problem in problems {
        writeln!(out, "{problem}")?;
    }
    writeln!(out, "policy test: problems={}", problems.len())?;
    Ok(INVALID)
}
