//! Requests of the corpus that the CRS as published blocks, with the rules that do: known false
//! positives. Deliberately exact: other rules than those listed, or none any more, is news.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// For each request that is blocked the rules that match it.
pub(crate) type Known = BTreeMap<String, Vec<u32>>;

const FILE: &str = include_str!("known.toml");

/// Those of a set.
pub(crate) fn of(set: &str) -> Result<Known> {
    parse(FILE, set)
}

fn parse(file: &str, set: &str) -> Result<Known> {
    let mut sets: BTreeMap<String, Known> = toml::from_str(file)?;
    for known in sets.values() {
        for (name, rules) in known {
            ensure!(!rules.is_empty() && rules.is_sorted(), "`{name}`: rules, in order");
        }
    }
    Ok(sets.remove(set).unwrap_or_default())
}

/// What came of a corpus.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Blocked as listed.
    pub(crate) known: usize,
    /// Blocked, and not listed so: the lines that would list them.
    pub(crate) blocked: Vec<String>,
    /// Listed, and not blocked.
    pub(crate) not_needed: Vec<String>,
}

/// Judges what is blocked by what is listed.
pub(crate) fn judge(blocked: &Known, known: &Known) -> Judged {
    let mut judged = Judged::default();
    for (name, rules) in blocked {
        if known.get(name) == Some(rules) {
            judged.known += 1;
        } else {
            // a string of JSON is one of TOML
            judged.blocked.push(format!("{} = {rules:?}", serde_json::Value::from(name.as_str())));
        }
    }
    let gone = known.keys().filter(|name| !blocked.contains_key(*name));
    judged.not_needed = gone.cloned().collect();
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_blocked_and_what_is_listed_must_be_the_same() {
        let check = |blocked: &str, want: (usize, &[&str], &[&str])| {
            let known = parse("[s]\n\"a b\" = [1, 2]\n[t]\nc = [3]\n", "s").unwrap();
            let judged = judge(&parse(&format!("[s]\n{blocked}"), "s").unwrap(), &known);
            let lines = |lines: &[&str]| lines.iter().map(|it| it.to_string()).collect::<Vec<_>>();
            assert_eq!(
                (judged.known, judged.blocked, judged.not_needed),
                (want.0, lines(want.1), lines(want.2)),
                "{blocked}"
            );
        };
        check("\"a b\" = [1, 2]", (1, &[], &[]));
        check("\"a b\" = [1]", (0, &["\"a b\" = [1]"], &[]));
        check("", (0, &[], &["a b"]));
        check("\"a b\" = [1, 2]\nc = [3]", (1, &["\"c\" = [3]"], &[]));
        assert!(parse("[s]\na = []", "s").is_err() && parse("[s]\na = [2, 1]", "s").is_err());
    }

    #[test]
    fn the_list_reads() {
        assert!(!of("crs425").unwrap().is_empty());
    }
}
