//! `portcullis policy test`: asks every case of a policies directory, and says which conditions
//! no case saw both true and false.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use verdict::{Coverage, cases};

use super::{Directory, invalid, report, runs};
use crate::cli::{FAILED, OK};

/// Run the cases of a policies directory
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
}

impl Test {
    #[cfg(test)]
    pub(super) fn of(directory: Directory, export: Option<PathBuf>) -> Self {
        Self { directory, export, min_coverage: None, coverage_html: None }
    }

    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let (policies, files) = match self.directory.load()? {
            Ok(loaded) => loaded,
            Err(problems) => return invalid("test", &problems, out),
        };
        if let Some(file) = &self.export {
            let cases: Vec<_> = files.iter().flat_map(|(_, cases)| cases).cloned().collect();
            runs::export(&policies, &cases, file)?;
        }
        let (mut passed, mut failed) = runs::run(&policies, &self.directory.directory, out)?;
        for (path, cases) in &files {
            for result in cases::run_cases(&policies, cases) {
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
        let source = match self.directory.source() {
            Ok(source) => source,
            Err(problems) => return invalid("test", &problems, out),
        };
        let cases: Vec<_> = files.into_iter().flat_map(|(_, cases)| cases).collect();
        let coverage = policies.coverage(&source, &cases);
        unseen(&coverage, out)?;
        if let Some(file) = &self.coverage_html {
            let page = report::page(&coverage, &source);
            std::fs::write(file, page).with_context(|| format!("write `{}`", file.display()))?;
        }
        let (conditions, covered) = (coverage.parts.len(), coverage.covered());
        let percent = coverage.percent();
        let low = self.min_coverage.is_some_and(|least| percent < f64::from(least));
        writeln!(
            out,
            "policy test: cases={} passed={passed} failed={failed} conditions={conditions} \
             covered={covered} coverage={percent:.1}",
            passed + failed
        )?;
        Ok(if failed > 0 || passed == 0 || low { FAILED } else { OK })
    }
}

/// What no case saw, by place.
fn unseen(coverage: &Coverage, out: &mut impl Write) -> std::io::Result<()> {
    for part in coverage.parts.iter().filter(|part| !part.is_covered()) {
        let what = match (part.seen_true, part.seen_false) {
            (true, _) => "never false",
            (false, true) => "never true",
            (false, false) => "never reached",
        };
        let text = part.text.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(out, "{}:{}:{}: {what}: {text}", part.file, part.line, part.column)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        (code, String::from_utf8(out).unwrap(), std::fs::read_to_string(html).unwrap())
    }

    #[test]
    fn what_no_case_saw_is_named_by_its_place() {
        let (code, text, html) = run(None);
        assert_eq!(
            text,
            "orders/a.cedar:2:1: never false: resource in Portcullis::Api::\"orders\"\n\
             orders/a.cedar:3:33: never false: context.token.present\n\
             orders/a.cedar:4:10: never true: context.rate.limited\n\
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
}
