//! How deep and how long a text may be, looked at before Cedar reads it: whoever reads it goes as
//! deep as it is nested, on the stack of whichever thread asks, and a stack that is too small is the
//! end of the process.
//!
//! It knows strings, comments and brackets, and takes every text apart to its end.

use crate::lint::Lint;
use crate::problem::{Problem, Text};

/// Brackets, of any kind, within each other.
pub(crate) const DEPTH_MAX: usize = 48;

/// Operators and `if`s between two semicolons: in one policy.
pub(crate) const OPERATORS_MAX: usize = 256;

/// The first thing of a policy text or a schema that goes too far.
pub(crate) fn problem(text: Text<'_>) -> Option<Problem> {
    let (at, message, hint) = too_far(text.text)?;
    Some(text.problem(at, message).hint(hint).lint(Lint::Syntax))
}

fn too_far(text: &str) -> Option<(usize, String, &'static str)> {
    let (mut depth, mut operators) = (0_usize, 0_usize);
    let (mut quoted, mut comment, mut escaped) = (false, false, false);
    let mut before = ' ';
    for (at, char) in text.char_indices() {
        let last = std::mem::replace(&mut before, char);
        if comment {
            comment = char != '\n';
            continue;
        }
        if quoted {
            quoted = escaped || char != '"';
            escaped = !escaped && char == '\\';
            continue;
        }
        match (last, char) {
            (_, '"') => quoted = true,
            ('/', '/') => comment = true,
            (_, '(' | '[' | '{' | '<') => depth += 1,
            (_, ')' | ']' | '}' | '>') => depth = depth.saturating_sub(1),
            // A comparison opens nothing.
            ('<', '=' | ' ') => depth = depth.saturating_sub(1),
            (_, ';') => operators = 0,
            ('&', '&') | ('|', '|') | (_, '+' | '*' | '-' | '!' | '.') => operators += 1,
            ('i', 'f') => operators += 1,
            _ => {}
        }
        if depth > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} brackets within each other");
            return Some((at, message, "write it flat, or as several policies"));
        }
        if operators > OPERATORS_MAX {
            let message = format!("more than {OPERATORS_MAX} operators in one policy");
            return Some((at, message, "write several policies, or a set and `contains`"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: bool) {
        assert_eq!(too_far(text).is_none(), want, "{}", text.get(..80).unwrap_or(text));
    }

    #[test]
    fn limits_at_their_edges() {
        let nested = |open: &str, close: &str, n: usize| open.repeat(n) + &close.repeat(n);
        for (open, close) in [("(", ")"), ("[", "]"), ("{a:", "}"), ("Set<", ">"), ("!(", ")")] {
            check(&nested(open, close, DEPTH_MAX), true);
            check(&nested(open, close, DEPTH_MAX + 1), false);
        }
        for operator in [" && a", " || a", " + 1", ".a", " else if a then b"] {
            check(&operator.repeat(OPERATORS_MAX), true);
            check(&operator.repeat(OPERATORS_MAX + 1), false);
        }
        let policy =
            format!("permit (principal, action, resource) when {{ a{} }};", " && a".repeat(200));
        check(&policy.repeat(3), true);
    }

    #[test]
    fn what_is_text_or_comment_does_not_count() {
        let long = "(".repeat(DEPTH_MAX + 1) + &" && ".repeat(OPERATORS_MAX + 1);
        check(&format!("\"{long}\""), true);
        check(&format!("\"\\\"{long}\""), true);
        check(&format!("// {long}\n"), true);
        check(&format!("\"\\\\\"{long}"), false);
        check(&format!("// a\n{long}"), false);
        check(&"a < b && ".repeat(100), true);
        check(&"a <= b && ".repeat(100), true);
    }
}
