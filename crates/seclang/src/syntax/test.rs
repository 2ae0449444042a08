//! `"!@rx …"`: what a rule looks for, as it is written.

use super::{Argument, Piece};

/// The operator of a rule.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub(crate) negated: bool,
    pub(crate) operator: Piece,
    pub(crate) argument: Piece,
}

/// Takes the second argument of a `SecRule` apart.
pub(crate) fn test(text: &Argument) -> Test {
    let piece =
        |from: &str| Piece { at: text.place(text.text.len() - from.len()), text: from.to_owned() };
    let trimmed = text.text.trim_start();
    let (negated, rest) = match trimmed.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, trimmed),
    };
    let Some(named) = rest.strip_prefix('@') else {
        // Without a name it is a pattern (the reference manual's default operator).
        let argument = piece(rest);
        return Test {
            negated,
            operator: Piece { text: "rx".to_owned(), ..argument },
            argument: piece(rest),
        };
    };
    let end = named.find(char::is_whitespace).unwrap_or(named.len());
    let (name, argument) = named.split_at_checked(end).unwrap_or((named, ""));
    let at = piece(named).at;
    Test {
        negated,
        operator: Piece { at, text: name.to_owned() },
        argument: piece(argument.trim_start()),
    }
}
