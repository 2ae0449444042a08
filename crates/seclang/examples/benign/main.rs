//! Requests that nobody would call an attack, against the OWASP CRS as it is published: paranoia
//! level 1, threshold 5. None may be blocked, but for those in `known.toml`, which the CRS itself
//! takes for attacks. A request counts as blocked, too, if not all of it could be looked at.
//!
//! Each argument is `NAME=DIR`, a copy of the CRS. What is sent is in `corpus/` and `corpus.rs`.

#![expect(clippy::disallowed_methods, reason = "this program reads files: it is a shell")]

mod corpus;
mod crs;
mod files;
mod known;
mod random;
mod request;

use std::{collections::BTreeMap, net::Ipv4Addr, path::Path, process::ExitCode};

use anyhow::{Context, Result, ensure};
use corpus::Row;
use known::Known;
use seclang::{Health, Limits, Overlay, RuleSet};

/// What the corpus is held to.
const REQUESTS_MIN: usize = 2_000;

/// Rules that add up what others found.
const SUMS: [std::ops::Range<u32>; 2] = [949_000..950_000, 980_000..981_000];

fn main() -> ExitCode {
    match all() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("benign: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was wrong.
fn all() -> Result<bool> {
    let (mut requests, mut sets, mut blocked, mut known, mut right) = (0, 0, 0, 0, true);
    for argument in std::env::args().skip(1) {
        let (set, dir) = argument.split_once('=').context("usage: benign NAME=DIR…")?;
        let rules = crs::load(Path::new(dir)).context(set.to_owned())?;
        let listed = known::of(set).context("known.toml")?;
        let rows = corpus::rows(&listed)?;
        ensure!(
            rows.len() >= REQUESTS_MIN,
            "{} requests are fewer than {REQUESTS_MIN}",
            rows.len()
        );
        let found = one(set, &rules, &rows);
        let judged = known::judge(&found, &listed);
        for line in &judged.blocked {
            println!("{set}: blocked: {line}");
        }
        for name in &judged.not_needed {
            println!("{set}: listed in known.toml, and not blocked: `{name}`");
        }
        requests = rows.len();
        sets += 1;
        blocked += judged.blocked.len();
        known += judged.known;
        right &= judged.blocked.is_empty() && judged.not_needed.is_empty();
    }
    ensure!(sets > 0, "usage: benign NAME=DIR…");
    println!("benign: requests={requests} blocked={blocked} known={known} sets={sets}");
    Ok(right)
}

/// What of the rows is blocked.
fn one(set: &str, rules: &RuleSet, rows: &[Row]) -> Known {
    let (mut blocked, mut by_rule, mut noticed) = (Known::new(), BTreeMap::<u32, usize>::new(), 0);
    for row in rows {
        let (is_blocked, ids) = look(rules, row);
        noticed += usize::from(!is_blocked && !ids.is_empty());
        if is_blocked {
            ids.iter().for_each(|id| *by_rule.entry(*id).or_default() += 1);
            blocked.insert(row.name.clone(), ids);
        }
    }
    let mut by_rule: Vec<(usize, u32)> = by_rule.into_iter().map(|(id, n)| (n, id)).collect();
    by_rule.sort_by(|a, b| b.cmp(a));
    let by_rule: Vec<String> = by_rule.iter().map(|(n, id)| format!("{id}×{n}")).collect();
    println!(
        "{set}: {} requests of {} seeds: {} blocked, {noticed} with a lower score; by rule: {}",
        rows.len(),
        corpus::seeds(),
        blocked.len(),
        by_rule.join(" "),
    );
    blocked
}

/// Whether a request is blocked, and the rules that match it; 0 stands for what could not be
/// looked at.
fn look(rules: &RuleSet, row: &Row) -> (bool, Vec<u32>) {
    let headers: Vec<(&[u8], &[u8])> = row
        .request
        .headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    let request = seclang::Request {
        method: row.request.method.as_bytes(),
        target: row.request.target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers: &headers,
        body: &row.request.body,
        client: Ipv4Addr::new(203, 0, 113, 7).into(),
        client_port: 40_000,
        id: "benign",
    };
    let overlay = Overlay::default();
    let outcome = rules.inspect(&request, &overlay, &Limits::default()).outcome();
    let mut ids: Vec<u32> = outcome.hits.iter().map(|hit| hit.id).collect();
    ids.retain(|id| !SUMS.iter().any(|sums| sums.contains(id)));
    if outcome.health != Health::Ok {
        ids.push(0);
    }
    ids.sort_unstable();
    ids.dedup();
    (outcome.score >= outcome.threshold || outcome.health != Health::Ok, ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_large_and_the_same_each_time() {
        let rows = corpus::rows(&Known::new()).unwrap();
        assert!(rows.len() >= REQUESTS_MIN, "{}", rows.len());
        assert_eq!(rows, corpus::rows(&Known::new()).unwrap());
    }
}
