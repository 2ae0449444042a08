//! `portcullis policy …`: policies without a gateway.

mod check;
mod diff;
mod explain;
mod fmt;
mod format;
mod matrix;
mod means;
mod prove;
mod record;
mod replay;
mod report;
mod runs;
mod seal;
mod sets;
#[cfg(test)]
pub(super) mod setting;
mod test;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use verdict::cases::{self, Case, CaseProblem, Names};
use verdict::{Policies, Source};

use crate::config::{Problem, Yaml};
use crate::snapshot;
pub(super) use explain::find as recorded_decision;
pub(super) use record::every as recorded_events;

/// Check, test and explain policies, and show what they allow
#[derive(Debug, clap::Subcommand)]
pub(super) enum Policy {
    Check(check::Check),
    Explain(explain::Explain),
    Fmt(fmt::Fmt),
    Test(test::Test),
    Matrix(matrix::Matrix),
    Diff(diff::Diff),
    Prove(prove::Prove),
    Replay(replay::Replay),
    Seal(seal::Seal),
}

impl Policy {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let (done, format) = match self {
            // Whatever is wrong with a directory is a finding.
            Self::Check(check) => return check.run(out),
            Self::Explain(explain) => (explain.run(out), explain.format),
            Self::Fmt(fmt) => (fmt.run(out), fmt.format),
            Self::Test(test) => (test.run(out), test.format),
            Self::Matrix(matrix) => (matrix.run(out), matrix.format),
            Self::Diff(diff) => (diff.run(out), diff.proving.format),
            Self::Prove(prove) => (prove.run(out), prove.proving.format),
            Self::Replay(replay) => (replay.run(out), replay.format),
            Self::Seal(seal) => (seal.run(out), seal.format),
        };
        done.or_else(|error| format::failed(error, format, out))
    }
}

/// Which policies.
#[derive(Debug, clap::Args)]
struct Directory {
    /// The policies directory
    #[arg(default_value = "policies")]
    directory: PathBuf,
    /// Annotations that policies may carry besides those Portcullis knows
    #[arg(long)]
    allow_annotation: Vec<String>,
    /// Policy files, by their path in the directory, that hold for every API and may permit there
    #[arg(long, value_name = "FILE")]
    global: Vec<String>,
}

/// Policies, and the cases of each file.
type Loaded = (Policies, Vec<(PathBuf, Vec<Case>)>);

impl Directory {
    /// A directory whose policies need nothing listed.
    fn of(directory: PathBuf) -> Self {
        Self { directory, allow_annotation: Vec::new(), global: Vec::new() }
    }

    /// What is not the directory's files.
    fn like(&self) -> Source {
        Source {
            annotations: self.allow_annotation.iter().cloned().collect(),
            global: self.global.iter().cloned().collect(),
            ..Source::default()
        }
    }

    /// The text of everything.
    fn source(&self) -> Result<Source, Vec<Problem>> {
        let Source { annotations, global, .. } = self.like();
        snapshot::read_policies(&self.directory, annotations, global)
    }

    /// The policies, or every problem.
    fn policies(&self) -> Result<Policies, Vec<Problem>> {
        self.source().and_then(|source| snapshot::load(&self.directory, &source))
    }

    /// The policies and the cases, or every problem.
    fn load(&self) -> anyhow::Result<Result<Loaded, Vec<Problem>>> {
        let policies = match self.policies() {
            Ok(policies) => policies,
            Err(problems) => return Ok(Err(problems)),
        };
        let (names, mut files, mut problems) = (policies.names(), Vec::new(), Vec::new());
        for path in case_files(&self.directory, &["yaml", "yml"])? {
            match read(&path, Some(&names))? {
                Ok(cases) => files.push((path, cases)),
                Err(found) => problems.extend(found),
            }
        }
        Ok(if problems.is_empty() { Ok((policies, files)) } else { Err(problems) })
    }
}

/// The files of `cases/` whose names end so.
fn case_files(directory: &Path, endings: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let cases = directory.join("cases");
    let entries =
        std::fs::read_dir(&cases).with_context(|| format!("read `{}`", cases.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The cases of a file, or every problem with its line: also what it names that the set does not
/// have, if that is to be looked at.
fn read(path: &Path, names: Option<&Names>) -> anyhow::Result<Result<Vec<Case>, Vec<Problem>>> {
    let bytes = std::fs::read(path).with_context(|| format!("read `{}`", path.display()))?;
    let yaml = match Yaml::parse(path, &bytes) {
        Ok(yaml) => yaml,
        Err(problems) => return Ok(Err(problems)),
    };
    let unknown = names.map(|names| unknown_names(&yaml, names)).unwrap_or_default();
    Ok(match cases_in(&yaml) {
        Ok(cases) if unknown.is_empty() => Ok(cases),
        read => Err(read.err().into_iter().flatten().chain(unknown).collect()),
    })
}

/// The case files of a directory that was read.
fn case_texts(source: &Source) -> impl Iterator<Item = (&str, &str)> {
    let is_yaml = |path: &str| path.ends_with(".yaml") || path.ends_with(".yml");
    let is_cases = move |path: &str| path.starts_with("cases/") && is_yaml(path);
    let files = source.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    files.filter(move |(path, _)| is_cases(path))
}

fn cases_in(yaml: &Yaml) -> Result<Vec<Case>, Vec<Problem>> {
    cases::read(&yaml.to_json())
        .map_err(|problems| problems.iter().map(|problem| problem_in(yaml, problem)).collect())
}

/// What a file of cases names that the set does not have.
fn unknown_names(yaml: &Yaml, names: &Names) -> Vec<Problem> {
    names.unknown(&yaml.to_json()).iter().map(|problem| problem_in(yaml, problem)).collect()
}

fn problem_in(yaml: &Yaml, CaseProblem { pointer, of_key, message }: &CaseProblem) -> Problem {
    match of_key {
        true => yaml.problem_of_key(pointer, message),
        false => yaml.problem(pointer, message),
    }
}
