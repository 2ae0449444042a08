//! What the record of a decision says of the rules, with what rule files say of these.

use std::path::Path;

use signals::{Health, Waf, WafHit};

use super::report::{Report, Told};
use crate::cli::policy::recorded_decision;
use crate::rules::Ruleset;

/// Characters of a message that a fact has, at most.
const MESSAGE_CHARS_MAX: usize = 128;

/// The decision of this id in a record; without an id, the only one that is there.
pub(super) fn report(
    from: &Path,
    decision: Option<&str>,
    rules: Option<&Ruleset>,
) -> anyhow::Result<Report> {
    let (id, recorded) = recorded_decision(from, decision)?;
    let waf = recorded.facts.waf;
    let mut notes = Vec::new();
    if waf.health == Health::Skipped {
        notes.push("rules did not look at this request".to_owned());
    } else {
        notes.push("what matched is not recorded: no event has a value".to_owned());
    }
    if rules.is_none() && !waf.rules.is_empty() {
        notes.push("what the rules are is not known: name their files, or --config".to_owned());
    }
    let health = match waf.problem.as_str() {
        "" => waf.health.as_str().to_owned(),
        problem => problem.to_owned(),
    };
    Ok(Report {
        decision: Some(id),
        route: None,
        notes,
        mode: waf.mode,
        hits: hits(&waf, rules),
        categories: Default::default(),
        score: waf.score,
        threshold: waf.threshold,
        response: None,
        health,
        whole: matches!(waf.health, Health::Ok | Health::Skipped),
    })
}

/// The recorded hits in order, and the rules of which only that they matched is recorded.
fn hits(waf: &Waf, rules: Option<&Ruleset>) -> Vec<Told> {
    let hit = |hit: &WafHit| Told {
        rule: hit.rule.clone(),
        message: hit.message.clone(),
        target: Some(hit.target.clone()),
        ..Told::default()
    };
    let is_told = |rule: &&String| waf.hits.iter().any(|hit| hit.rule == **rule);
    let alone = |rule: &String| Told { rule: rule.clone(), ..Told::default() };
    let all = waf.hits.iter().map(hit);
    let all = all.chain(waf.rules.iter().filter(|rule| !is_told(rule)).map(alone));
    all.map(|told| with(told, rules)).collect()
}

/// With what the rules say now, and what of it is not as it was recorded.
fn with(told: Told, rules: Option<&Ruleset>) -> Told {
    let Some(rules) = rules else { return told };
    let written = told.rule.parse().ok().and_then(|id| rules.rules().set().written(id));
    if written.is_none() {
        let note = Some("these files have no such rule".to_owned());
        return Told { note, ..told };
    }
    let mut told = told.with(written);
    let now = told.written.as_ref().map(|written| written.message.as_str()).unwrap_or_default();
    if told.message.is_empty() {
        told.message = now.to_owned();
    } else if !now.contains("%{") {
        let now: String = now.chars().take(MESSAGE_CHARS_MAX).collect();
        if now != told.message {
            let note = "the rule says something else now: it is another than the one that matched";
            told.note = Some(note.to_owned());
        }
    }
    told
}
