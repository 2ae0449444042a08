//! Whether what was seen of a stage is what it expects.

use std::collections::BTreeSet;

use super::suite::Expected;

/// What a run shows of a stage.
#[derive(Debug, Default)]
pub struct Seen {
    /// The rules that matched and are logged.
    pub ids: BTreeSet<u32>,
    /// What they say, as ModSecurity's log has it: `[id "1"] [msg "…"] [data "…"]`, a line each.
    pub log: String,
    /// The answer's status, of a server.
    pub status: Option<u16>,
}

/// How a stage came out.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Not, and why.
    Missed(String),
    /// Nothing that it expects can be seen here.
    NotSeen,
}

/// Whether what is expected was seen. A status is judged only where there is one.
pub fn judge(expected: &Expected, seen: &Seen) -> Verdict {
    let mut wrong = Vec::new();
    let missing: Vec<_> = expected.ids.iter().filter(|id| !seen.ids.contains(id)).collect();
    if !missing.is_empty() {
        wrong.push(format!("expected {missing:?}"));
    }
    let unwanted: Vec<_> = expected.no_ids.iter().filter(|id| seen.ids.contains(id)).collect();
    if !unwanted.is_empty() {
        wrong.push(format!("did not expect {unwanted:?}"));
    }
    if let Some(log) = expected.log.as_ref().filter(|log| !log.is_match(&seen.log)) {
        wrong.push(format!("expected a log with `{log}`"));
    }
    if let Some(log) = expected.no_log.as_ref().filter(|log| log.is_match(&seen.log)) {
        wrong.push(format!("expected a log without `{log}`"));
    }
    let status = expected.status.filter(|_| seen.status.is_some());
    if status.is_some() && status != seen.status {
        wrong.push(format!("expected the status {status:?}, not {:?}", seen.status));
    }
    if !wrong.is_empty() {
        return Verdict::Missed(wrong.join(", "));
    }
    let looked = expected.names_rules() || expected.reads_log() || status.is_some();
    if looked { Verdict::Passed } else { Verdict::NotSeen }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn all_that_is_expected_must_be_seen() {
        let check = |expected: &Expected, status: Option<u16>, want: &str| {
            let log = "[id \"1\"] [msg \"a\"]\n".to_owned();
            let verdict = match judge(expected, &Seen { ids: [1, 2].into(), log, status }) {
                Verdict::Passed => "passed".to_owned(),
                Verdict::NotSeen => "not seen".to_owned(),
                Verdict::Missed(why) => why,
            };
            assert_eq!(verdict, want, "{expected:?}");
        };
        let ids = |ids: &[u32], no_ids: &[u32]| Expected {
            ids: ids.to_vec(),
            no_ids: no_ids.to_vec(),
            ..Expected::default()
        };
        check(&ids(&[1, 2], &[3]), None, "passed");
        check(&ids(&[1, 3], &[]), None, "expected [3]");
        check(&ids(&[], &[2, 3]), None, "did not expect [2]");
        let log = |pattern: &str| Some(Regex::new(pattern).unwrap());
        check(&Expected { log: log("msg .a"), ..ids(&[], &[]) }, None, "passed");
        check(&Expected { log: log("b$"), ..ids(&[1], &[]) }, None, "expected a log with `b$`");
        check(&Expected { no_log: log("1"), ..ids(&[], &[]) }, None, "expected a log without `1`");
        let status = Expected { status: Some(400), ..ids(&[], &[]) };
        check(&status, None, "not seen");
        check(&status, Some(400), "passed");
        check(&status, Some(200), "expected the status Some(400), not Some(200)");
        check(&Expected { status: Some(400), ..ids(&[1], &[]) }, None, "passed");
    }
}
