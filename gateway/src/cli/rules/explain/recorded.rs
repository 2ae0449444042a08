//! What the record of a decision says of the rules, with what rule files say of these.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Deserialize;
use signals::{Health, WafHit, WafMode};

use super::report::{Report, Scored, Told};
use crate::cli::policy::{recorded_decision, recorded_events};
use crate::rules::Ruleset;

/// Characters of a message that a fact has, at most.
const MESSAGE_CHARS_MAX: usize = 128;

/// What a completion says of the response.
#[derive(Debug, Deserialize)]
struct OfResponse {
    health: String,
    mode: WafMode,
    score: i64,
    threshold: i64,
    rules: Vec<String>,
    hits: Vec<WafHit>,
}

#[derive(Deserialize)]
struct Event {
    metadata: Metadata,
    unmapped: Unmapped,
}

#[derive(Deserialize)]
struct Metadata {
    event_code: String,
    correlation_uid: Option<String>,
}

#[derive(Deserialize)]
struct Unmapped {
    waf: Option<OfResponse>,
}

/// The decision of this id in a record; without an id, the only one that is there.
pub(super) fn report(
    from: &Path,
    decision: Option<&str>,
    rules: Option<&Ruleset>,
) -> anyhow::Result<Report> {
    let (id, recorded) = recorded_decision(from, decision)?;
    let waf = recorded.facts.waf;
    let mut notes = Vec::new();
    let response = response(from, &id)?;
    match (waf.health, &response) {
        (Health::Skipped, None) => notes.push("rules did not look at this request".to_owned()),
        _ => notes.push("what matched is not recorded: no event has a value".to_owned()),
    }
    let found = !waf.rules.is_empty() || response.iter().any(|found| !found.rules.is_empty());
    if rules.is_none() && found {
        notes.push("what the rules are is not known: name their files, or --config".to_owned());
    }
    if !waf.problem.is_empty() {
        notes.push(waf.problem.clone());
    }
    let mut told = hits(&waf.hits, &waf.rules, rules);
    if let Some(found) = &response {
        let (health, shadow) = (&found.health, found.mode == WafMode::Shadow);
        let shadow = if shadow { ", in shadow" } else { "" };
        notes.push(format!("rules looked at the response{shadow}: {health}"));
        told.extend(hits(&found.hits, &found.rules, rules));
    }
    Ok(Report {
        decision: Some(id),
        route: None,
        notes,
        mode: waf.mode,
        hits: told,
        categories: Default::default(),
        score: waf.score,
        threshold: waf.threshold,
        response: response.map(|found| Scored { score: found.score, threshold: found.threshold }),
        health: waf.health.as_str().to_owned(),
        whole: matches!(waf.health, Health::Ok | Health::Skipped),
    })
}

/// What the completion of a decision says of the response, if rules looked at it. What comes by
/// standard input was read for the decision.
fn response(from: &Path, decision: &str) -> anyhow::Result<Option<OfResponse>> {
    let mut found = None;
    if from == Path::new("-") {
        return Ok(found);
    }
    recorded_events(from, |value| {
        if !String::from_utf8_lossy(value).contains(decision) {
            return Ok(ControlFlow::Continue(()));
        }
        match serde_json::from_slice::<Event>(value) {
            Ok(Event { metadata, unmapped })
                if metadata.event_code == "completion"
                    && metadata.correlation_uid.as_deref() == Some(decision) =>
            {
                found = unmapped.waf;
                Ok(ControlFlow::Break(()))
            }
            _ => Ok(ControlFlow::Continue(())),
        }
    })?;
    Ok(found)
}

/// The recorded hits in order, and the rules of which only that they matched is recorded.
fn hits(hits: &[WafHit], ids: &[String], rules: Option<&Ruleset>) -> Vec<Told> {
    let hit = |hit: &WafHit| Told {
        rule: hit.rule.clone(),
        message: hit.message.clone(),
        target: Some(hit.target.clone()),
        ..Told::default()
    };
    let is_told = |rule: &&String| hits.iter().any(|hit| hit.rule == **rule);
    let alone = |rule: &String| Told { rule: rule.clone(), ..Told::default() };
    let all = hits.iter().map(hit);
    let all = all.chain(ids.iter().filter(|rule| !is_told(rule)).map(alone));
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
