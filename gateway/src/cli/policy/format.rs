//! What the verbs of policies tell alike: problems, by their files.

use std::io::Write;
use std::path::Path;

use crate::cli::format;
pub(super) use crate::cli::format::{Format, document, shown};
use crate::config::Problem;

/// A problem of a file of this directory.
pub(super) fn placed(directory: &Path, problem: verdict::Problem) -> Problem {
    let verdict::Problem { file, line, column, message, hint, lint: _ } = problem;
    let file = directory.join(file).display().to_string();
    Problem { file, line, column, message, hint }
}

pub(super) use crate::cli::format::failed;

/// Tells every problem of what was given.
pub(super) fn invalid(
    verb: &str,
    problems: &[Problem],
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    format::invalid(&format!("policy {verb}"), problems, format, out)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;
    use serde_json::Value;

    use super::super::Policy;
    use super::super::setting::Setting;

    #[derive(Debug, clap::Parser)]
    struct Verb {
        #[command(subcommand)]
        policy: Policy,
    }

    fn run(setting: &Setting, line: &str) -> String {
        let words = setting.words(&format!("portcullis {line}"));
        let mut out = Vec::new();
        let verb = Verb::try_parse_from(words).unwrap();
        verb.policy.run(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const CASES: &str = "cases: []\n";

    /// Every verb that has a format, on what is right and on what is wrong.
    #[test]
    fn a_document_is_all_that_tools_get_and_a_line_of_counts_ends_the_text() {
        let setting = Setting::new();
        fs::write(setting.path("cases.yaml"), CASES).unwrap();
        let check = |verb: &str, arguments: &str, formats: &[&str]| {
            for format in formats {
                let out = run(&setting, &format!("{verb} {arguments} --format {format}"));
                let document: Result<Value, _> = serde_json::from_str(&out);
                assert!(document.is_ok_and(|document| document.is_object()), "{verb}: {out}");
            }
            let out = run(&setting, &format!("{verb} {arguments}"));
            let last = out.lines().last().unwrap_or_default();
            assert!(last.starts_with(&format!("policy {verb}: ")), "{verb}: {out}");
        };
        let all = || {
            let json: &[&str] = &["json"];
            check("check", "@candidate", &["json", "sarif"]);
            check("test", "@candidate", json);
            check("explain", "--request @cases.yaml --policies @candidate", json);
            check("replay", "--from @events.jsonl --bundles @kept --candidate @candidate", json);
            // No difference is left to a solver, where there is one.
            check("diff", "@candidate @candidate --requests 1", json);
            check("prove", "@candidate --requests 1", json);
            check("fmt", "@candidate --check", json);
            check("seal", "@candidate", json);
        };
        all();
        let one = "corp|alice/o-1001 --from @events.jsonl --bundles @kept";
        check("explain", one, &["json"]);
        let matrix = run(&setting, "matrix @candidate --format json");
        let matrix: Value = serde_json::from_str(&matrix).unwrap();
        let row = &matrix["resources"][0]["rows"][0];
        let actions = &matrix["resources"][0]["actions"];
        let count = |list: &Value| list.as_array().unwrap().len();
        assert_eq!(count(&row["answers"]), count(actions), "{matrix:#}");
        fs::write(setting.path("candidate/public/broken.cedar"), "permit (everyone").unwrap();
        all();
        let wrong = run(&setting, "matrix @candidate --format json");
        let wrong: Value = serde_json::from_str(&wrong).unwrap();
        assert_eq!(wrong["problems"][0]["line"], 1, "{wrong:#}");
        assert!(run(&setting, "matrix @candidate").ends_with("policy matrix: problems=1\n"));
        // A failure that has no place in a file is a document too.
        let failed = |line: &str, why: &str| {
            let told = run(&setting, &format!("{line} --format json"));
            let told: Value = serde_json::from_str(&told).unwrap();
            let message = told["problems"][0]["message"].as_str().unwrap();
            assert!(message.contains(why), "{told:#}");
        };
        failed(
            "explain no-such-id --from @events.jsonl --bundles @kept",
            "no decision `no-such-id`",
        );
        failed("replay --from @nowhere --bundles @kept", "read `");
        fs::remove_dir_all(setting.path("candidate/public")).unwrap();
        fs::remove_dir_all(setting.path("candidate/cases")).unwrap();
        failed("matrix @candidate", "cases`");
    }
}
