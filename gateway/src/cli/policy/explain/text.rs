//! Explanations for people.

use std::io::Write;

use verdict::{DatedLink, Decision, Explained, ExplainedPart, Explanation, Flip, Outcome, Search};

use super::super::format::shown;
use super::{Report, Told};

pub(super) fn write(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    for Told { question, note, explanation, rules, over, also } in &report.questions {
        writeln!(out, "{}", shown(question))?;
        if let Some(note) = note {
            writeln!(out, "  note: {}", shown(note))?;
        }
        if let Some(explanation) = explanation {
            explained(explanation, also, out)?;
            super::rules::write(rules, out)?;
            were_over(over, out)?;
        }
    }
    let Report { questions, differing } = report;
    writeln!(out, "policy explain: questions={} differing={differing}", questions.len())
}

/// Links that are named of those that were over.
const OVER_MAX: usize = 5;

fn were_over(over: &[DatedLink], out: &mut impl Write) -> std::io::Result<()> {
    for DatedLink { id, until, ticket, .. } in over.iter().take(OVER_MAX) {
        let of = ticket.as_ref().map(|ticket| format!(" of {ticket}")).unwrap_or_default();
        writeln!(
            out,
            "  link {}{} was over: it held until {}",
            shown(id),
            shown(&of),
            shown(until)
        )?;
    }
    match over.len().saturating_sub(OVER_MAX) {
        0 => Ok(()),
        left => writeln!(out, "  {left} more links of this scope were over"),
    }
}

fn explained(
    explanation: &Explanation,
    also: &[Explained],
    out: &mut impl Write,
) -> std::io::Result<()> {
    let Explanation { basis, determining, nearest, excepted, shadow, beside_left, flips, search } =
        explanation;
    match (basis.decision, basis.refusal) {
        (Decision::Allow, _) => writeln!(out, "  ALLOW")?,
        (Decision::Deny, Some(class)) => writeln!(out, "  DENY {}", class.as_str())?,
        (Decision::Deny, None) => writeln!(out, "  DENY")?,
    }
    if !basis.declared {
        writeln!(out, "  the schema does not declare this question: no permit counts")?;
    }
    if determining.is_empty() {
        writeln!(out, "  nothing permits it")?;
    }
    for (role, policies) in [
        ("determining", determining.as_slice()),
        ("nearest", nearest),
        ("excepted", excepted),
        ("shadow", shadow),
        ("also", also),
    ] {
        policies.iter().try_for_each(|one| policy(role, one, out))?;
    }
    flips.iter().try_for_each(|one| flip(one, out))?;
    if flips.is_empty() && basis.declared {
        writeln!(out, "  no change of one attribute that was tried would turn it")?;
    }
    let Search { tried: _, more, untried, policies_left } = *search;
    for (count, what) in [
        (more, "more changes would turn it, none of them smaller"),
        (untried, "more changes that policies suggest were not tried"),
        (policies_left, "more policies were not looked at for changes"),
        (*beside_left, "more policies were not looked at for exceptions and shadow"),
    ] {
        if count > 0 {
            writeln!(out, "  {count} {what}")?;
        }
    }
    Ok(())
}

fn flip(flip: &Flip, out: &mut impl Write) -> std::io::Result<()> {
    let Flip { attribute, from, to, policy } = flip;
    let attribute = shown(attribute);
    let value = |value: &Option<String>| value.as_deref().map(shown).unwrap_or_default();
    let (from, to) = (value(from), value(to));
    match (from.is_empty(), to.is_empty()) {
        (_, true) => writeln!(out, "  it would turn without {attribute} {from} [{policy}]"),
        (true, false) => writeln!(out, "  it would turn with {attribute} {to} [{policy}]"),
        (false, false) => {
            writeln!(out, "  it would turn with {attribute} {to} (is {from}) [{policy}]")
        }
    }
}

fn policy(role: &str, one: &Explained, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "  {role} {} {}", one.effect, one.policy)?;
    for ExplainedPart { clause, text, came, error, reads, .. } in &one.parts {
        let mark = match came {
            Outcome::True => "true ",
            Outcome::False => "false",
            Outcome::NotReached => "-    ",
            Outcome::Error => "error",
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(out, "    {mark} {clause:<6} {}", shown(&text))?;
        if let Some(error) = error {
            writeln!(out, "                 {}", shown(error))?;
        }
        for (path, value) in reads {
            let value = value.as_deref().unwrap_or("(not there)");
            writeln!(out, "                 {path} = {}", shown(value))?;
        }
    }
    Ok(())
}
