//! What rules found in the upstream's response: a part of the completion, since it comes after the
//! decision, and the evidence of a finding. Nothing is refused for it.
//!
//! It names rules and places, and nothing that matched.

use serde::Serialize;

use super::cut::Cutter;
use super::limit;

/// What rules found in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseWaf {
    /// How much was looked at, a word of the facts'.
    pub health: &'static str,
    /// Why it is malformed, in words; else empty.
    pub problem: String,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// The anomaly score of the response.
    pub score: i64,
    /// The score from which on the rules' author would withhold it.
    pub threshold: i64,
    /// Ids of the rules that matched.
    pub rules: Vec<String>,
    /// Their classes (`attack-disclosure`, …).
    pub classes: Vec<String>,
    /// What matched where.
    pub hits: Vec<ResponseHit>,
    /// Bytes of the body that were looked at, as they came.
    pub inspected_bytes: u64,
    /// It is a finding: an event of its own is written.
    pub finding: bool,
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHit {
    /// The rule's id.
    pub rule: String,
    /// Its message.
    pub message: String,
    /// Where it matched (`RESPONSE_BODY`), never what.
    pub target: String,
}

/// `unmapped.waf`.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    health: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    problem: &'a str,
    mode: &'static str,
    score: i64,
    threshold: i64,
    rules: Vec<&'a str>,
    classes: Vec<&'a str>,
    hits: Vec<ToldHit<'a>>,
    hit_count: usize,
    inspected_bytes: u64,
    finding: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct ToldHit<'a> {
    pub(super) rule: &'a str,
    pub(super) message: &'a str,
    pub(super) target: &'a str,
}

impl ResponseWaf {
    /// With the first so many hits; the rules' ids are there in any case, and all hits are counted.
    pub(super) fn told(&self, hits: usize, cutter: &mut Cutter) -> Told<'_> {
        let classes = if hits == 0 { 0 } else { limit::RESPONSE_CLASSES_MAX };
        let classes = self.classes.iter().take(classes);
        Told {
            health: self.health,
            problem: &self.problem,
            mode: self.mode,
            score: self.score,
            threshold: self.threshold,
            rules: self.rules.iter().take(limit::RESPONSE_RULES_MAX).map(String::as_str).collect(),
            classes: classes
                .map(|class| cutter.text(class, limit::RESPONSE_CLASS_BYTES_MAX))
                .collect(),
            hits: self.hits.iter().take(hits).map(|hit| hit.told(cutter)).collect(),
            hit_count: self.hits.len(),
            inspected_bytes: self.inspected_bytes,
            finding: self.finding,
        }
    }
}

impl ResponseHit {
    pub(super) fn told(&self, cutter: &mut Cutter) -> ToldHit<'_> {
        ToldHit {
            rule: &self.rule,
            message: cutter.text(&self.message, limit::RULE_MESSAGE_BYTES_MAX),
            target: cutter.text(&self.target, limit::RULE_TARGET_BYTES_MAX),
        }
    }
}
