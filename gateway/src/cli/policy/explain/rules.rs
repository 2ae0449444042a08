//! Which rules of the rule engine are behind a refusal, as the decision's facts have them.

use std::io::Write;

use serde::Serialize;
use signals::{Facts, Waf};
use verdict::{Decision, Explained, Explanation};

use super::super::format::shown;

/// What a policy reads that decides on what rules found.
const FACT: &str = "context.waf";

/// A rule that matched.
#[derive(Debug, Serialize)]
pub(super) struct Matched {
    rule: String,
    /// Its message, and where it matched; the record has both of the first hits alone.
    message: Option<String>,
    target: Option<String>,
}

/// The rules that matched, if a policy refused that reads what rules found.
pub(super) fn behind(explanation: &Explanation, facts: &Facts) -> Vec<Matched> {
    let reads = |policy: &Explained| {
        let mut reads = policy.parts.iter().flat_map(|part| &part.reads);
        reads.any(|(attribute, _)| attribute.starts_with(FACT))
    };
    let refused = explanation.basis.decision == Decision::Deny;
    if refused && explanation.determining.iter().any(reads) { all(&facts.waf) } else { Vec::new() }
}

fn all(waf: &Waf) -> Vec<Matched> {
    let hits = waf.hits.iter().map(|hit| Matched {
        rule: hit.rule.clone(),
        message: Some(hit.message.clone()),
        target: Some(hit.target.clone()),
    });
    let others = waf.rules.iter().filter(|rule| !waf.hits.iter().any(|hit| hit.rule == **rule));
    let others = others.map(|rule| Matched { rule: rule.clone(), message: None, target: None });
    hits.chain(others).collect()
}

/// For people.
pub(super) fn write(matched: &[Matched], out: &mut impl Write) -> std::io::Result<()> {
    for Matched { rule, message, target } in matched {
        let message = message.as_deref().map(shown).unwrap_or_default();
        match target.as_deref().filter(|target| !target.is_empty()) {
            Some(target) => writeln!(out, "  rule {} {message} ({})", shown(rule), shown(target))?,
            None => writeln!(out, "  rule {} {message}", shown(rule))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use signals::WafHit;

    use super::*;

    #[test]
    fn rules_are_named_with_what_is_recorded_of_them() {
        let hit = WafHit {
            rule: "942100".to_owned(),
            message: "SQL \u{1b}[2J".to_owned(),
            target: "ARGS:q".to_owned(),
        };
        let rules = vec!["942100".to_owned(), "949110".to_owned()];
        let mut out = Vec::new();
        write(&all(&Waf { rules, hits: vec![hit], ..Waf::default() }), &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        assert_eq!(told, "  rule 942100 SQL \\u{1b}[2J (ARGS:q)\n  rule 949110 \n");
    }
}
