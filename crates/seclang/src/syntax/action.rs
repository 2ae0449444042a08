//! `id:100,msg:'…',chain`: what a rule is and does, as it is written.

use crate::problem::Fault;

use super::{Argument, Piece};

/// One of the actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) name: Piece,
    pub(crate) value: Option<Piece>,
}

impl Action {
    /// The name is this, in whatever case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.text.eq_ignore_ascii_case(name)
    }
}

type Chars<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

/// Splits at commas outside `'…'`, in which `\'` is a quote.
pub(crate) fn actions(argument: &Argument, faults: &mut Vec<Fault>) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut chars = argument.text.char_indices().peekable();
    loop {
        while chars.next_if(|(_, char)| char.is_whitespace() || *char == ',').is_some() {}
        let Some((start, _)) = chars.peek().copied() else { return actions };
        let mut name = String::new();
        while let Some((_, char)) = chars.next_if(|(_, char)| !matches!(char, ',' | ':')) {
            name.push(char);
        }
        let name = Piece { at: argument.place(start), text: name.trim().to_owned() };
        let value = match chars.next_if(|(_, char)| *char == ':') {
            Some((colon, _)) => match value(&mut chars) {
                Ok(text) => Some(Piece { at: argument.place(colon + 1), text }),
                Err(message) => {
                    faults.push(Fault::new(name.at, message));
                    return actions;
                }
            },
            None => None,
        };
        actions.push(Action { name, value });
    }
}

fn value(chars: &mut Chars<'_>) -> Result<String, &'static str> {
    let mut text = String::new();
    if chars.next_if(|(_, char)| *char == '\'').is_none() {
        while let Some((_, char)) = chars.next_if(|(_, char)| *char != ',') {
            text.push(char);
        }
        return Ok(text.trim().to_owned());
    }
    loop {
        match chars.next() {
            Some((_, '\'')) => return Ok(text),
            Some((_, '\\')) if chars.next_if(|(_, char)| *char == '\'').is_some() => {
                text.push('\'');
            }
            Some((_, char)) => text.push(char),
            None => return Err("the value's quote is not closed"),
        }
    }
}
