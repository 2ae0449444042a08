//! What rules found, for people and for tools.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;
use signals::{RuleHit, RuleSet, WafMode, WrittenRule, WrittenRuleLink};

use crate::cli::format::shown;

/// Severities, by their numbers.
const SEVERITIES: [&str; 8] =
    ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The decision, if it is a recorded one.
    pub(super) decision: Option<String>,
    /// The route whose settings hold, if one is known.
    pub(super) route: Option<String>,
    pub(super) notes: Vec<String>,
    pub(super) mode: WafMode,
    pub(super) hits: Vec<Told>,
    /// Scores by category; the record has none.
    pub(super) categories: BTreeMap<String, i64>,
    pub(super) score: i64,
    pub(super) threshold: i64,
    /// What the response counts, if there is one.
    pub(super) response: Option<Scored>,
    pub(super) health: String,
    /// All was looked at, or nothing was to be.
    pub(super) whole: bool,
}

/// What a message counts.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Scored {
    pub(super) score: i64,
    pub(super) threshold: i64,
}

/// A rule that matched.
#[derive(Debug, Default, Serialize)]
pub(super) struct Told {
    pub(super) rule: String,
    /// What the client sent is masked in it, or is left as the macro that stands for it.
    pub(super) message: String,
    pub(super) severity: Option<&'static str>,
    pub(super) tags: Vec<String>,
    /// Where; `None` if that is not recorded.
    pub(super) target: Option<String>,
    /// What matched; masked, unless it is asked for whole. The record has none.
    pub(super) matched: Option<String>,
    /// What the rule's author would have logged.
    pub(super) log: Option<String>,
    pub(super) adds: Vec<Adds>,
    /// As the rule files have it, if they do.
    pub(super) written: Option<RuleText>,
    pub(super) note: Option<String>,
}

/// What a match adds to a score.
#[derive(Debug, Serialize)]
pub(super) struct Adds {
    variable: String,
    amount: i64,
}

/// A rule as its file has it.
#[derive(Debug, Serialize)]
pub(super) struct RuleText {
    place: String,
    phase: u8,
    pub(super) message: String,
    /// Its tests, the first and those that are chained to it.
    links: Vec<LinkText>,
}

#[derive(Debug, Serialize)]
struct LinkText {
    targets: String,
    operator: String,
    transformations: Vec<&'static str>,
    sets: Vec<String>,
}

impl Scored {
    fn is_below(self) -> bool {
        self.score < self.threshold || self.threshold <= 0 && self.score <= 0
    }
}

impl Adds {
    pub(super) fn of((variable, amount): (String, i64)) -> Self {
        Self { variable, amount }
    }
}

impl Told {
    pub(super) fn of(set: &RuleSet, adds: Vec<Adds>, hit: RuleHit<'_>) -> Self {
        let told = Self {
            rule: hit.id.to_string(),
            message: hit.message,
            target: Some(hit.target),
            matched: hit.data,
            log: hit.log,
            adds,
            ..Self::default()
        };
        told.with(set.written(hit.id))
    }

    /// With what the rule files say of it.
    pub(super) fn with(self, written: Option<WrittenRule<'_>>) -> Self {
        let Some(written) = written else { return self };
        let severity = written.severity.and_then(|number| SEVERITIES.get(usize::from(number)));
        Self {
            severity: severity.copied(),
            tags: written.tags.iter().map(|tag| (*tag).to_owned()).collect(),
            written: Some(RuleText::of(written)),
            ..self
        }
    }

    fn text(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{} {}", shown(&self.rule), shown(&self.message))?;
        match (&self.target, &self.matched) {
            (Some(target), matched) => {
                let matched = matched.as_deref().map(|matched| format!(" {}", shown(matched)));
                writeln!(out, "  {}{}", shown(target), matched.unwrap_or_default())?;
            }
            (None, _) => writeln!(out, "  where is not recorded")?,
        }
        if let Some(note) = &self.note {
            writeln!(out, "  note: {}", shown(note))?;
        }
        if let Some(log) = &self.log {
            writeln!(out, "  {}", shown(log))?;
        }
        if let Some(severity) = self.severity {
            writeln!(out, "  severity {severity}")?;
        }
        if !self.tags.is_empty() {
            writeln!(out, "  tags {}", shown(&self.tags.join(" ")))?;
        }
        if let Some(written) = &self.written {
            written.text(out)?;
        }
        for Adds { variable, amount } in &self.adds {
            writeln!(out, "  adds {amount} to {}", shown(variable))?;
        }
        Ok(())
    }
}

impl RuleText {
    fn of(written: WrittenRule<'_>) -> Self {
        let WrittenRule { place, phase, message, links, .. } = written;
        let link = |link: WrittenRuleLink<'_>| LinkText {
            targets: link.targets.to_owned(),
            operator: link.operator.to_owned(),
            transformations: link.transformations,
            sets: link.sets,
        };
        Self { place, phase, message, links: links.into_iter().map(link).collect() }
    }

    fn text(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "  {}, phase {}", shown(&self.place), self.phase)?;
        for (nth, LinkText { targets, operator, transformations, sets }) in
            self.links.iter().enumerate()
        {
            let and = if nth == 0 { "" } else { "and " };
            match operator.as_str() {
                "" => writeln!(out, "  {and}always")?,
                operator => writeln!(out, "  {and}{} {}", shown(targets), shown(operator))?,
            }
            if !transformations.is_empty() {
                writeln!(out, "    after {}", transformations.join(", "))?;
            }
            for set in sets {
                writeln!(out, "    sets {}", shown(set))?;
            }
        }
        Ok(())
    }
}

impl Report {
    /// It scores below the threshold, and all was looked at.
    pub(super) fn is_clean(&self) -> bool {
        let request = Scored { score: self.score, threshold: self.threshold };
        let response = self.response.is_none_or(Scored::is_below);
        self.whole && request.is_below() && response
    }

    pub(super) fn text(&self, out: &mut impl Write) -> std::io::Result<()> {
        if let Some(decision) = &self.decision {
            writeln!(out, "decision: {}", shown(decision))?;
        }
        if let Some(route) = &self.route {
            writeln!(out, "route: {}", shown(route))?;
        }
        for note in &self.notes {
            writeln!(out, "note: {}", shown(note))?;
        }
        if self.mode == WafMode::Shadow {
            writeln!(out, "mode: shadow")?;
        }
        self.hits.iter().try_for_each(|hit| hit.text(out))?;
        for (category, score) in &self.categories {
            writeln!(out, "{}: {score}", shown(category))?;
        }
        let (hits, score, threshold) = (self.hits.len(), self.score, self.threshold);
        write!(out, "rules explain: hits={hits} score={score} threshold={threshold}")?;
        if let Some(Scored { score, threshold }) = self.response {
            write!(out, " response_score={score} response_threshold={threshold}")?;
        }
        writeln!(out, " health={}", shown(&self.health))
    }
}
