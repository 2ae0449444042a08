//! `portcullis policy check`: everything there is to say of a policies directory, at once.
//!
//! What does not load is an error, what loads and cannot be meant so is a warning. Nothing is
//! started and no case is asked; a case file that cannot be read, or a test in one that cannot be
//! asked, is an error, because `policy test` would not ask it. So is a file that is not as it was
//! sealed: a gateway refuses that set, though this and the other verbs go on.

mod excerpt;
mod sarif;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use verdict::cases::Case;
use verdict::{Lint, Source};

use super::Directory;
use crate::bundle;
use crate::cli::{INVALID, OK};
use crate::config::{self, Yaml};

/// Tell every problem of policies, with its place and a hint
///
/// Told are also cases that cannot be asked or name what the set does not have, and files that are
/// not as they were sealed. Exit codes: 0 there is no error, 3 there is one, or, with
/// --deny-warnings, a warning.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    directory: Directory,
    /// How problems are told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Let warnings be errors
    #[arg(long)]
    deny_warnings: bool,
}

/// How problems are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people, with the line and what is below it.
    Text,
    /// `{findings, summary}`.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
}

/// One problem, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    severity: Severity,
    rule: &'static str,
    file: String,
    /// 0, if it is the whole file, or a directory.
    #[serde(serialize_with = "config::or_null")]
    line: usize,
    #[serde(serialize_with = "config::or_null")]
    column: usize,
    message: String,
    hint: Option<String>,
    /// The line's text.
    #[serde(skip)]
    text: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Error,
    Warning,
}

impl Severity {
    /// SARIF's levels have the same names.
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Summary {
    policies: usize,
    templates: usize,
    links: usize,
    entities: usize,
    errors: usize,
    warnings: usize,
}

/// What to do about a file that is not as it was sealed.
const UNLIKE_SEALED: &str =
    "a gateway refuses this set: `portcullis policy seal` when the change is done";

#[derive(Debug, Default, Serialize)]
struct Report {
    findings: Vec<Finding>,
    summary: Summary,
}

impl Check {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let report = Report::of(&self.directory);
        match self.format {
            Format::Text => report.text(out)?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, &report)?;
                writeln!(out)?;
            }
            Format::Sarif => sarif::write(&report.findings, out)?,
        }
        let Summary { errors, warnings, .. } = report.summary;
        Ok(if errors > 0 || (self.deny_warnings && warnings > 0) { INVALID } else { OK })
    }
}

impl Report {
    fn of(directory: &Directory) -> Self {
        let mut report = Self::default();
        report.sealed(&directory.directory);
        let source = match directory.source() {
            Ok(source) => source,
            Err(problems) => {
                problems.into_iter().for_each(|problem| report.unread(problem));
                return report;
            }
        };
        let told = Told { root: &directory.directory, files: &source.files };
        let (files, cases) = told.cases(&source, &mut report);
        let checked = verdict::check(&source, &cases);
        if let Some(names) = &checked.names {
            for (path, yaml) in &files {
                told.wrong_cases(path, super::unknown_names(yaml, names), &mut report);
            }
        }
        let verdict::Counts { policies, templates, links, entities } = checked.counts;
        report.summary = Summary { policies, templates, links, entities, ..report.summary };
        for (severity, problems) in
            [(Severity::Error, checked.errors), (Severity::Warning, checked.warnings)]
        {
            problems
                .into_iter()
                .for_each(|problem| report.add(severity, told.finding(severity, problem)));
        }
        report.findings.sort_by(|a, b| {
            (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message))
        });
        report
    }

    fn add(&mut self, severity: Severity, finding: Finding) {
        match severity {
            Severity::Error => self.summary.errors += 1,
            Severity::Warning => self.summary.warnings += 1,
        }
        self.findings.push(finding);
    }

    /// The set has a manifest, and is another.
    fn sealed(&mut self, root: &Path) {
        for problem in bundle::unlike_sealed(root) {
            let hint = Some(UNLIKE_SEALED.to_owned());
            let problem = config::Problem { hint, ..problem };
            self.add(Severity::Error, finding(Severity::Error, Lint::Sealed, problem, None));
        }
    }

    /// The directory could not be read.
    fn unread(&mut self, problem: config::Problem) {
        let finding = finding(Severity::Error, Lint::Layout, problem, None);
        self.add(Severity::Error, finding);
    }

    fn text(&self, out: &mut impl Write) -> std::io::Result<()> {
        for finding in &self.findings {
            excerpt::write(finding, out)?;
        }
        let Summary { policies, templates, links, entities, errors, warnings } = self.summary;
        writeln!(
            out,
            "policy check: policies={policies} templates={templates} links={links} entities={entities} errors={errors} warnings={warnings}"
        )
    }
}

/// The files that problems are in.
#[derive(Clone, Copy)]
struct Told<'a> {
    root: &'a Path,
    files: &'a BTreeMap<String, String>,
}

impl Told<'_> {
    /// The files of cases, and every case that can be read; of the others, what is wrong.
    fn cases(self, source: &Source, report: &mut Report) -> (Vec<(String, Yaml)>, Vec<Case>) {
        let (mut files, mut cases) = (Vec::new(), Vec::new());
        for (path, text) in super::case_texts(source) {
            match Yaml::parse(Path::new(path), text.as_bytes()) {
                Ok(yaml) => {
                    match super::cases_in(&yaml) {
                        Ok(read) => cases.extend(read),
                        Err(problems) => self.wrong_cases(path, problems, report),
                    }
                    files.push((path.to_owned(), yaml));
                }
                Err(problems) => self.wrong_cases(path, problems, report),
            }
        }
        (files, cases)
    }

    fn wrong_cases(self, path: &str, problems: Vec<config::Problem>, report: &mut Report) {
        for problem in problems {
            let line = self.line(path, problem.line);
            let file = self.root.join(path).display().to_string();
            let problem = config::Problem { file, ..problem };
            report.add(Severity::Error, finding(Severity::Error, Lint::Case, problem, line));
        }
    }

    fn finding(self, severity: Severity, problem: verdict::Problem) -> Finding {
        let verdict::Problem { file, line, column, message, hint, lint } = problem;
        let text = self.line(&file, line);
        let file = self.root.join(file).display().to_string();
        finding(severity, lint, config::Problem { file, line, column, message, hint }, text)
    }

    fn line(self, file: &str, line: usize) -> Option<String> {
        self.files.get(file)?.lines().nth(line.checked_sub(1)?).map(str::to_owned)
    }
}

fn finding(
    severity: Severity,
    lint: Lint,
    problem: config::Problem,
    text: Option<String>,
) -> Finding {
    let config::Problem { file, line, column, message, hint } = problem;
    Finding { severity, rule: lint.id(), file, line, column, message, hint, text }
}

#[cfg(test)]
mod tests;
