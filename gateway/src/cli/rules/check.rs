//! `portcullis rules check`: what rule files come to, or everything that is wrong with them.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use super::{Chosen, Format, document, invalid};
use crate::cli::OK;
use crate::cli::format::shown;
use crate::rules::Ruleset;

/// What CRS tags a rule with, before its level.
const LEVEL: &str = "paranoia-level/";

/// Tell what rule files come to, or every problem with its place
///
/// Exit codes: 0 they load, 3 they do not.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    chosen: Chosen,
    /// Show each directive that is accepted and has no meaning here, and each rule that is not
    /// evaluated
    #[arg(long)]
    notices: bool,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

impl Check {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let ruleset = match self.chosen.load() {
            Ok(ruleset) => ruleset,
            Err(problems) => return invalid("check", &problems, self.format, out),
        };
        let report = Report::of(&ruleset);
        match self.format {
            Format::Json => document(&report, out)?,
            Format::Text => report.text(self.notices, out)?,
        }
        Ok(OK)
    }
}

/// What rule files come to.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// SHA-256 of all files and of what routes make of them: what a gateway tells of its rules.
    digest: &'a str,
    files: usize,
    rules: usize,
    phases: BTreeMap<u8, usize>,
    /// Rules by the level they are tagged with.
    levels: BTreeMap<&'a str, usize>,
    without_level: usize,
    threshold: i64,
    /// Of what rules count in responses.
    response_threshold: i64,
    /// Types of which they look at bodies.
    response_types: &'a [String],
    signatures: &'a [String],
    notices: Vec<String>,
}

impl<'a> Report<'a> {
    fn of(ruleset: &'a Ruleset) -> Self {
        let rules = ruleset.rules();
        let (mut levels, mut without_level) = (BTreeMap::new(), 0);
        for (_, mut tags) in rules.set().ids() {
            match tags.find_map(|tag| tag.strip_prefix(LEVEL)) {
                Some(level) => *levels.entry(level).or_default() += 1,
                None => without_level += 1,
            }
        }
        Self {
            digest: ruleset.digest(),
            files: ruleset.paths().count(),
            rules: rules.set().len(),
            phases: (1..).zip(rules.set().phases()).collect(),
            levels,
            without_level,
            threshold: rules.set().threshold(),
            response_threshold: rules.set().response_threshold(),
            response_types: rules.set().response_types(),
            signatures: rules.set().signatures(),
            notices: rules.notices().iter().map(ToString::to_string).collect(),
        }
    }

    fn text(&self, notices: bool, out: &mut impl Write) -> std::io::Result<()> {
        for notice in self.notices.iter().filter(|_| notices) {
            writeln!(out, "{}", shown(notice))?;
        }
        for signature in self.signatures {
            writeln!(out, "signature: {}", shown(signature))?;
        }
        writeln!(out, "threshold: {}", self.threshold)?;
        writeln!(out, "threshold for responses: {}", self.response_threshold)?;
        writeln!(out, "bodies of responses: {}", shown(&self.response_types.join(", ")))?;
        writeln!(out, "digest: {}", self.digest)?;
        write!(out, "rules check: files={} rules={}", self.files, self.rules)?;
        for (phase, count) in &self.phases {
            write!(out, " phase{phase}={count}")?;
        }
        for (level, count) in &self.levels {
            write!(out, " pl{}={count}", shown(level))?;
        }
        if self.without_level > 0 {
            write!(out, " without_level={}", self.without_level)?;
        }
        writeln!(out, " notices={} problems=0", self.notices.len())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::INVALID;

    fn run(text: Option<&str>) -> (u8, String) {
        told(text, Format::Text)
    }

    fn told(text: Option<&str>, format: Format) -> (u8, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.conf");
        fs::write(&file, text.unwrap_or_default()).unwrap();
        fs::write(directory.path().join("words.data"), "union\nselect\n").unwrap();
        let files = text.map(|_| file).into_iter().collect();
        let check = Check { chosen: Chosen { files, config: None }, notices: true, format };
        let mut out = Vec::new();
        let code = check.run(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        (code, text.replace(&format!("{}/", directory.path().display()), ""))
    }

    const THRESHOLD: &str =
        "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5\"\n";

    #[test]
    fn what_files_come_to_is_counted() {
        let rules = "SecRule ARGS \"@pmFromFile words.data\" \"id:2,phase:2,deny,tag:'paranoia-level/2'\"\n\
                     SecAuditEngine RelevantOnly\n";
        let (code, text) = run(Some(&format!("{THRESHOLD}{rules}")));
        assert_eq!(code, OK, "{text}");
        assert!(text.starts_with("a.conf:3:1: "), "{text}");
        assert!(
            text.ends_with(
                "rules check: files=2 rules=2 phase1=1 phase2=1 phase3=0 phase4=0 phase5=0 pl2=1 \
                 without_level=1 notices=1 problems=0\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn tools_get_a_document_of_what_is_right_and_of_what_is_wrong() {
        let json = |text: &str| {
            let (code, out) = told(Some(text), Format::Json);
            (code, serde_json::from_str::<serde_json::Value>(&out).unwrap())
        };
        let (code, document) = json(THRESHOLD);
        assert_eq!(
            (code, &document["rules"], &document["phases"]["1"]),
            (OK, &1.into(), &1.into())
        );
        let digest = document["digest"].as_str().unwrap();
        assert!(run(Some(THRESHOLD)).1.contains(&format!("digest: {digest}\n")), "{document}");
        let (code, document) = json("SecRule");
        assert_eq!((code, &document["problems"][0]["line"]), (INVALID, &1.into()), "{document}");
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let rules = "SecRule ARGS \"@rxx a\" \"id:2,phase:2,pass\"\n\
                     SecRule ARGZ \"@rx a\" \"id:3,phase:2,pass\"\n\
                     SecRule ARGS \"@pmFromFile no.data\" \"id:4,phase:2,pass\"\n";
        let (code, text) = run(Some(&format!("{THRESHOLD}{rules}")));
        assert_eq!(code, INVALID, "{text}");
        for part in ["a.conf:2:", "`@rxx`", "a.conf:3:", "`ARGZ`", "a.conf:4:", "no.data"] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        assert!(text.ends_with("rules check: problems=3\n"), "{text}");
    }

    #[test]
    fn what_files_say_moves_no_terminal() {
        let wrong = "SecRu\u{1b}[2Jle ARGS \"@rx a\" \"id:2,phase:2,pass\"\n\
                     SecRule AR\u{7}GS \"@rx a\" \"id:3,phase:2,pass\"\n\
                     SecRule ARGS \"@rx a\" \"id:4,phase:2,pa\u{1b}ss\"\n";
        let tagged = "SecAction \"id:2,phase:1,pass,nolog,tag:'paranoia-level/\u{1b}[1m'\"\n\
                      SecComponentSignature \"x\u{1b}[1m\"\n";
        for (rules, want) in [(wrong, INVALID), (tagged, OK)] {
            let (code, text) = run(Some(&format!("{THRESHOLD}{rules}")));
            assert_eq!(code, want, "{text}");
            assert!(text.contains("\\u{1b}"), "{text}");
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        }
    }

    #[test]
    fn our_own_rules_are_those_without_files() {
        let (code, text) = run(None);
        assert_eq!(code, OK);
        assert!(text.contains("rules check: files=0 rules="), "{text}");
    }
}
