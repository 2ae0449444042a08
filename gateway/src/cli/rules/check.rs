//! `portcullis rules check`: what rule files come to, or everything that is wrong with them.

use std::collections::BTreeMap;
use std::io::Write;

use super::{Chosen, invalid};
use crate::cli::OK;

/// What CRS tags a rule with, before its level.
const LEVEL: &str = "paranoia-level/";

/// Tell what rule files come to, or every problem with its place
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    chosen: Chosen,
    /// Show each directive that is accepted and has no meaning here, and each rule that is not
    /// evaluated
    #[arg(long)]
    notices: bool,
}

impl Check {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let ruleset = match self.chosen.load() {
            Ok(ruleset) => ruleset,
            Err(problems) => return invalid("check", &problems, out),
        };
        let rules = ruleset.rules();
        let notices = rules.notices();
        for notice in notices.iter().filter(|_| self.notices) {
            writeln!(out, "{notice}")?;
        }
        let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, mut tags) in rules.set().ids() {
            let level = tags.find_map(|tag| tag.strip_prefix(LEVEL)).unwrap_or("none");
            *levels.entry(level).or_default() += 1;
        }
        for signature in rules.set().signatures() {
            writeln!(out, "signature: {signature}")?;
        }
        writeln!(out, "threshold: {}", rules.set().threshold())?;
        write!(out, "rules check: files={}", ruleset.paths().count())?;
        write!(out, " rules={}", rules.set().len())?;
        for (phase, count) in (1..).zip(rules.set().phases()) {
            write!(out, " phase{phase}={count}")?;
        }
        for (level, count) in levels {
            match level {
                "none" => write!(out, " without_level={count}")?,
                level => write!(out, " pl{level}={count}")?,
            }
        }
        writeln!(out, " notices={} problems=0", notices.len())?;
        Ok(OK)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::INVALID;

    fn run(text: Option<&str>) -> (u8, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.conf");
        fs::write(&file, text.unwrap_or_default()).unwrap();
        fs::write(directory.path().join("words.data"), "union\nselect\n").unwrap();
        let files = text.map(|_| file).into_iter().collect();
        let check = Check { chosen: Chosen { files, config: None }, notices: true };
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
    fn our_own_rules_are_those_without_files() {
        let (code, text) = run(None);
        assert_eq!(code, OK);
        assert!(text.contains("rules check: files=0 rules="), "{text}");
    }
}
