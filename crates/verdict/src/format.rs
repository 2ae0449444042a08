//! Policies in Cedar's own layout: one way to write them, so that a diff shows what changed.
//!
//! Cedar's formatter does the work. What comes out has the same policies and the same comments, or
//! nothing comes out. Schemas are left alone: Cedar can print one, but not with its comments.

use std::collections::BTreeMap;

use cedar_policy::PolicySet;
use cedar_policy_formatter::{Config, policies_str_to_pretty};
use serde_json::Value;

use crate::extent;
use crate::problem::{Problem, Text};

/// Columns that a line has, where it can be broken.
const LINE_WIDTH: usize = 100;
/// Columns that each level is indented by.
const INDENT_WIDTH: isize = 2;

/// The text of a policy file, laid out. An empty file, or one of comments alone, stays.
///
/// # Errors
///
/// It is not Cedar, or cannot be laid out without losing something.
pub fn format(file: &str, text: &str) -> Result<String, Vec<Problem>> {
    let place = Text::new(file, text);
    if let Some(problem) = extent::problem(place) {
        return Err(vec![problem]);
    }
    let set: PolicySet = text.parse().map_err(|errors| place.problems(&errors, 0))?;
    if set.is_empty() && set.num_of_templates() == 0 {
        return Ok(text.to_owned());
    }
    let failed = |message: String| place.problem(0, message);
    let config = Config { line_width: LINE_WIDTH, indent_width: INDENT_WIDTH };
    let (head, rest) = head(text);
    let rest = policies_str_to_pretty(rest, &config)
        .map_err(|error| vec![failed(format!("it cannot be laid out: {error}"))])?;
    let formatted = if head.is_empty() { rest } else { format!("{head}\n\n{rest}") };
    let after: PolicySet = formatted.parse().map_err(|errors| place.problems(&errors, 0))?;
    let is_same = shapes(&set).is_some_and(|before| Some(before) == shapes(&after));
    if !is_same {
        return Err(vec![failed("laid out, its policies would not be the same".to_owned())]);
    }
    if comments(text) != comments(&formatted) {
        let problem = failed("laid out, it would lose a comment".to_owned());
        return Err(vec![problem.hint("put comments on lines of their own")]);
    }
    Ok(formatted)
}

/// Comments that an empty line parts from the first policy are about the file; Cedar's formatter
/// would give them to the policy.
fn head(text: &str) -> (&str, &str) {
    let (mut at, mut end) = (0_usize, 0_usize);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if !trimmed.is_empty() && !trimmed.starts_with("//") {
            break;
        }
        at = at.saturating_add(line.len());
        if trimmed.is_empty() {
            end = at;
        }
    }
    let (head, rest) = text.split_at_checked(end).unwrap_or(("", text));
    (head.trim(), rest)
}

/// Every policy and template as Cedar's JSON, which knows nothing of layout, by the id that its
/// place in the file gives it; `None` if one has no such form.
fn shapes(set: &PolicySet) -> Option<BTreeMap<String, Value>> {
    let policies =
        set.policies().map(|policy| Some((policy.id().to_string(), policy.to_json().ok()?)));
    let templates =
        set.templates().map(|template| Some((template.id().to_string(), template.to_json().ok()?)));
    policies.chain(templates).collect()
}

/// The text of every comment, in their order.
fn comments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('"', _) => {
                while let Some(within) = rest.next() {
                    match within {
                        '\\' => drop(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            ('/', Some('/')) => {
                let comment: String = rest.by_ref().take_while(|c| *c != '\n').collect();
                found.push(comment.trim_end().to_owned());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_told_from_texts() {
        let check = |text: &str, want: &[&str]| assert_eq!(comments(text), want, "{text}");
        check("a // b \n//c\n", &["/ b", "/c"]);
        check(r#"@doc("// no") // yes"#, &["/ yes"]);
        check(r#""a\"// no" // yes"#, &["/ yes"]);
        check("a / b", &[]);
    }
}
