//! `portcullis policy test`: asks every case of a policies directory, and says which conditions
//! no case saw both true and false.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use verdict::cases::{self, CaseResult};
use verdict::{Coverage, RunTestResult};

use super::format::{Format, document, invalid, shown};
use super::{Directory, report, runs};
use crate::cli::{FAILED, OK};

/// Run the cases of a policies directory
///
/// The cases are the directory's `cases/*.yaml`, and `cases/*.json` as Cedar's `run-tests` has them.
/// Exit codes: 0 every case came out as expected, 1 one did not, there is none, or the coverage is
/// below --min-coverage, 3 the policies or the cases do not load, or cases name what the set does not
/// have.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Test {
    #[command(flatten)]
    directory: Directory,
    /// Write the cases to this file, as Cedar's `run-tests` reads them
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Fail below so many of a hundred scopes and conditions seen both true and false
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Write the policies with their conditions coloured by what the cases saw
    #[arg(long, value_name = "FILE")]
    coverage_html: Option<PathBuf>,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

impl Test {
    #[cfg(test)]
    pub(super) fn of(directory: Directory, export: Option<PathBuf>) -> Self {
        Self { directory, export, min_coverage: None, coverage_html: None, format: Format::Text }
    }

    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let (policies, files) = match self.directory.load()? {
            Ok(loaded) => loaded,
            Err(problems) => return invalid("test", &problems, self.format, out),
        };
        if let Some(file) = &self.export {
            let cases: Vec<_> = files.iter().flat_map(|(_, cases)| cases).cloned().collect();
            runs::export(&policies, &cases, file)?;
        }
        let ran = runs::run(&policies, &self.directory.directory)?;
        let (ran, source) = match ran.and_then(|ran| Ok((ran, self.directory.source()?))) {
            Ok(read) => read,
            Err(problems) => return invalid("test", &problems, self.format, out),
        };
        let mut report = Report::default();
        for (path, RunTestResult { name, failures }) in ran {
            report.add(&path, name, failures);
        }
        for (path, cases) in &files {
            for CaseResult { name, failures, .. } in cases::run_cases(&policies, cases) {
                report.add(path, name, failures);
            }
        }
        let cases: Vec<_> = files.into_iter().flat_map(|(_, cases)| cases).collect();
        let coverage = policies.coverage(&source, &cases);
        report.saw(&self.directory.directory, &coverage);
        if let Some(file) = &self.coverage_html {
            let page = report::page(&coverage, &source);
            std::fs::write(file, page).with_context(|| format!("write `{}`", file.display()))?;
        }
        match self.format {
            Format::Text => report.text(out)?,
            Format::Json => document(&report, out)?,
        }
        let low = self.min_coverage.is_some_and(|least| report.coverage < f64::from(least));
        Ok(if report.failed > 0 || report.passed == 0 || low { FAILED } else { OK })
    }
}

/// How the cases came out.
#[derive(Debug, Default, Serialize)]
struct Report {
    cases: usize,
    passed: usize,
    failed: usize,
    failures: Vec<Failed>,
    /// Scopes and conditions.
    conditions: usize,
    covered: usize,
    /// Of a hundred.
    coverage: f64,
    unseen: Vec<Unseen>,
}

/// A case that came out otherwise.
#[derive(Debug, Serialize)]
struct Failed {
    file: String,
    case: String,
    failures: Vec<String>,
}

/// A scope or condition of which no case saw something.
#[derive(Debug, Serialize)]
struct Unseen {
    file: String,
    line: usize,
    column: usize,
    policy: String,
    text: String,
    /// `never false`, `never true` or `never reached`.
    what: &'static str,
}

impl Report {
    fn add(&mut self, path: &Path, case: String, failures: Vec<String>) {
        self.cases += 1;
        if failures.is_empty() {
            self.passed += 1;
            return;
        }
        self.failed += 1;
        self.failures.push(Failed { file: path.display().to_string(), case, failures });
    }

    fn saw(&mut self, root: &Path, coverage: &Coverage) {
        self.conditions = coverage.parts.len();
        (self.covered, self.coverage) = (coverage.covered(), coverage.percent());
        let unseen = coverage.parts.iter().filter(|part| !part.is_covered());
        self.unseen = unseen
            .map(|part| Unseen {
                file: root.join(&part.file).display().to_string(),
                line: part.line,
                column: part.column,
                policy: part.policy.clone(),
                text: part.text.split_whitespace().collect::<Vec<_>>().join(" "),
                what: match (part.seen_true, part.seen_false) {
                    (true, _) => "never false",
                    (false, true) => "never true",
                    (false, false) => "never reached",
                },
            })
            .collect();
    }

    fn text(&self, out: &mut impl Write) -> std::io::Result<()> {
        for Failed { file, case, failures } in &self.failures {
            writeln!(out, "{file}: {}", shown(case))?;
            failures.iter().try_for_each(|failure| writeln!(out, "  {}", shown(failure)))?;
        }
        for Unseen { file, line, column, text, what, .. } in &self.unseen {
            writeln!(out, "{file}:{line}:{column}: {what}: {}", shown(text))?;
        }
        let Self { cases, passed, failed, conditions, covered, coverage, .. } = self;
        writeln!(
            out,
            "policy test: cases={cases} passed={passed} failed={failed} conditions={conditions} \
             covered={covered} coverage={coverage:.1}"
        )
    }
}

#[cfg(test)]
mod tests {
    use verdict::Class;

    use super::super::cases_in;
    use super::*;
    use crate::config::Yaml;

    const POLICY: &str = "@id(\"a\")
permit (principal, action, resource in Portcullis::Api::\"orders\")
when { context.waf.score < 5 && context.token.present }
unless { context.rate.limited };
";
    const CASES: &str = "cases:
  - name: a clean one
    principal: { kind: User, id: corp|alice }
    action: Orders::get
    resource: { kind: Orders::Order, id: o-1, api: orders }
    facts: { token: { present: true } }
    expect: allow
  - name: an attack
    principal: { kind: User, id: corp|alice }
    action: Orders::get
    resource: { kind: Orders::Order, id: o-1, api: orders }
    facts: { waf: { score: 9 } }
    expect: forbidden
";

    fn run(min_coverage: Option<u8>) -> (u8, String, String) {
        let directory = tempfile::tempdir().unwrap();
        let policies = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let root = directory.path();
        for (path, text) in [("orders/a.cedar", POLICY), ("cases/a.yaml", CASES)] {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        }
        std::fs::create_dir(root.join("entities")).unwrap();
        for file in ["schema.cedarschema", "entities/apis.json"] {
            std::fs::copy(policies.join(file), root.join(file)).unwrap();
        }
        let html = root.join("coverage.html.md");
        let mut test = Test::of(Directory::of(root.to_owned()), None);
        (test.min_coverage, test.coverage_html) = (min_coverage, Some(html.clone()));
        let mut out = Vec::new();
        let code = test.run(&mut out).unwrap();
        let out = String::from_utf8(out).unwrap().replace(&format!("{}/", root.display()), "d/");
        (code, out, std::fs::read_to_string(html).unwrap())
    }

    #[test]
    fn what_no_case_saw_is_named_by_its_place() {
        let (code, text, html) = run(None);
        assert_eq!(
            text,
            "d/orders/a.cedar:2:1: never false: resource in Portcullis::Api::\"orders\"\n\
             d/orders/a.cedar:3:33: never false: context.token.present\n\
             d/orders/a.cedar:4:10: never true: context.rate.limited\n\
             policy test: cases=2 passed=2 failed=0 conditions=4 covered=1 coverage=25.0\n"
        );
        assert_eq!(code, OK);
        assert!(html.contains(">context.waf.score &lt; 5</span>"), "{html}");
    }

    #[test]
    fn coverage_below_the_least_fails() {
        assert_eq!(run(Some(25)).0, OK);
        assert_eq!(run(Some(26)).0, FAILED);
    }

    /// What the README shows of cases is a file of cases, and comes out of the policies beside it.
    #[test]
    fn the_cases_of_the_readme_pass() {
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let page = std::fs::read_to_string(policies.join("README.md")).unwrap();
        let shown = page.split("## Cases").nth(1).unwrap();
        let shown = shown.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
        let yaml = Yaml::parse(Path::new("README.md"), shown.as_bytes()).unwrap();
        let cases = cases_in(&yaml).unwrap();
        assert_eq!(cases.len(), 2);
        let policies = Directory::of(policies).policies().unwrap();
        for CaseResult { name, failures, .. } in cases::run_cases(&policies, &cases) {
            assert!(failures.is_empty(), "{name}: {failures:#?}");
        }
        for class in Class::ALL {
            assert!(page.contains(&format!("`{}`", class.as_str())), "{class:?}");
        }
    }
}
