//! Macros, expanded.

use crate::{
    operator::number,
    program::{Comparand, Key, Piece, Selector, Template},
    variable::Variable,
};

use super::{
    Inspection,
    found::{Found, Name, Worth},
    store::Span,
    tx::Held,
};

/// A piece of a text as it was when its rule matched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expanded {
    pub(super) text: Span,
    /// Nothing in it is what a client sent: it is the rules' text, or a number that they counted.
    pub(super) harmless: bool,
}

impl<'r> Inspection<'r> {
    /// The text with its macros replaced; a variable that is not set is nothing.
    pub(super) fn expand(&self, template: &Template, out: &mut Vec<u8>) {
        template.pieces.iter().for_each(|piece| self.expand_piece(piece, out));
    }

    fn expand_piece(&self, piece: &Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Tx(slot) => self.tx(*slot).write(&self.store, out),
            Piece::Variable(variable, key) => self.variable(*variable, key.as_deref(), out),
        }
    }

    /// Expands a text piece by piece, and keeps the pieces apart.
    pub(super) fn put_pieces(&mut self, template: &Template) -> Vec<Expanded> {
        let mut pieces = Vec::with_capacity(template.pieces.len());
        for piece in &template.pieces {
            let harmless = self.is_harmless(piece);
            let text = self.put_made(|here, out| here.expand_piece(piece, out));
            pieces.push(Expanded { text, harmless });
        }
        pieces
    }

    fn is_harmless(&self, piece: &Piece) -> bool {
        match piece {
            Piece::Text(_) => true,
            Piece::Tx(slot) => self.tx.is_counted(*slot),
            Piece::Variable(variable, key) => {
                *variable == Variable::Rule && !key.as_deref().is_some_and(is_text_of_rule)
            }
        }
    }

    /// The text as a value to be kept, without copying it if it is one already.
    pub(super) fn hold(&mut self, template: &'r Template) -> Held<'r> {
        match template.pieces.as_slice() {
            [] => Held::Constant(b""),
            [Piece::Text(text)] => Held::Constant(text),
            [Piece::Tx(slot)] => match self.tx(*slot) {
                Held::Nothing => Held::Constant(b""),
                held => held,
            },
            _ => Held::Text(self.put_expanded(template)),
        }
    }

    /// The text as a number.
    pub(super) fn amount(&mut self, template: &'r Template) -> i64 {
        match template.pieces.as_slice() {
            [Piece::Text(text)] => number(text),
            [Piece::Tx(slot)] => self.tx(*slot).number(&self.store),
            _ => self.hold(template).number(&self.store),
        }
    }

    pub(super) fn comparand(&mut self, comparand: &'r Comparand) -> i64 {
        match comparand {
            Comparand::Constant(number) => *number,
            Comparand::Tx(slot) => self.tx(*slot).number(&self.store),
            Comparand::Made(template) => self.amount(template),
        }
    }

    /// A `tx` variable, by its slot.
    pub(super) fn tx(&self, slot: u32) -> Held<'r> {
        self.tx.get(slot)
    }

    fn variable(&self, variable: Variable, key: Option<&[u8]>, out: &mut Vec<u8>) {
        let (store, program) = (&self.store, &self.rules.program);
        match (variable, key) {
            (Variable::MatchedVar, _) => {
                if let Some(last) = &self.last {
                    last.write_value(store, program, out);
                }
            }
            (Variable::MatchedVarName, _) => {
                if let Some(last) = &self.last {
                    last.write_name(store, program, out);
                }
            }
            (Variable::Rule, key) => self.rule_member(key.unwrap_or_default(), out),
            _ => {
                let key = key.map_or(Key::All, |key| Key::Name(key.to_vec()));
                let mut found = Vec::new();
                self.select(
                    &Selector { variable, key, count: false, slots: Vec::new() },
                    &mut found,
                );
                if let Some(first) = found.first() {
                    first.write_value(store, program, out);
                }
            }
        }
    }

    /// `RULE`: the rule that is running.
    pub(super) fn rule_member(&self, key: &[u8], out: &mut Vec<u8>) {
        let Some(rule) = self.rules.program.rules.get(self.running as usize) else { return };
        if key.eq_ignore_ascii_case(b"id") {
            out.extend(rule.id.to_string().bytes());
        } else if key.eq_ignore_ascii_case(b"msg") {
            self.expand_once(&rule.message, out);
        } else if key.eq_ignore_ascii_case(b"logdata") {
            self.expand_once(&rule.data, out);
        } else if key.eq_ignore_ascii_case(b"severity") {
            out.extend(
                rule.severity.map(|severity| severity.to_string()).unwrap_or_default().bytes(),
            );
        } else if key.eq_ignore_ascii_case(b"ver") {
            out.extend_from_slice(rule.version.as_bytes());
        }
    }

    /// A text of the rule, in which such a text is nothing: it might be itself.
    fn expand_once(&self, template: &Template, out: &mut Vec<u8>) {
        let is_text = |piece: &&Piece| matches!(piece, Piece::Variable(Variable::Rule, Some(key)) if is_text_of_rule(key));
        let pieces = template.pieces.iter().filter(|piece| !is_text(piece));
        pieces.for_each(|piece| self.expand_piece(piece, out));
    }

    /// The values that a selector names, added to a list.
    pub(super) fn select(&self, selector: &Selector, found: &mut Vec<Found<'r>>) {
        let start = found.len();
        match selector.variable {
            Variable::Tx => self.select_tx(selector, found),
            Variable::MatchedVar => found.extend(self.last),
            Variable::MatchedVarName => found.extend(self.last.map(name_of)),
            Variable::MatchedVars | Variable::MatchedVarsNames => {
                let program = &self.rules.program;
                let takes =
                    |found: &&Found<'_>| selector.selects(found.member(&self.store, program));
                let matched = self.matched.iter().filter(takes).copied();
                match selector.variable {
                    Variable::MatchedVars => found.extend(matched),
                    _ => found.extend(matched.map(name_of)),
                }
            }
            Variable::ReqbodyProcessor => {
                found.push(alone(selector.variable, Worth::Bytes(self.body.processor)))
            }
            Variable::Duration => {
                found.push(alone(selector.variable, Worth::Number(self.duration_ms)))
            }
            _ => {
                for value in
                    selector.variable.parts().iter().flat_map(|part| self.store.range(*part))
                {
                    let Some(value) = self.store.get(value) else { continue };
                    if matches!(selector.key, Key::All)
                        || selector.selects(self.store.bytes(value.name))
                    {
                        let (name, worth) = (Name::Of(value.name), Worth::Text(value.text));
                        found.push(Found { variable: selector.variable, name, worth });
                    }
                }
            }
        }
        if selector.count {
            let count = i64::try_from(found.len() - start).unwrap_or(i64::MAX);
            found.truncate(start);
            found.push(alone(selector.variable, Worth::Number(count)));
        }
    }

    fn select_tx(&self, selector: &Selector, found: &mut Vec<Found<'r>>) {
        let found_of = |name: Name, held: Held<'r>| {
            let worth = match held {
                Held::Nothing => return None,
                Held::Number(number) => Worth::Number(number),
                Held::Text(span) | Held::Copied(span) => Worth::Bytes(span),
                Held::Constant(text) => Worth::Constant(text),
            };
            Some(Found { variable: Variable::Tx, name, worth })
        };
        match selector.key {
            Key::Slot(slot) => found.extend(found_of(Name::Slot(slot), self.tx(slot))),
            _ => {
                for slot in &selector.slots {
                    found.extend(found_of(Name::Slot(*slot), self.tx(*slot)));
                }
                for (name, held) in self.tx.made() {
                    if selector.selects(self.store.bytes(name)) {
                        found.extend(found_of(Name::Of(name), held));
                    }
                }
            }
        }
    }
}

/// The member of `RULE` is a text with macros of its own.
fn is_text_of_rule(key: &[u8]) -> bool {
    [&b"msg"[..], b"logdata"].iter().any(|text| text.eq_ignore_ascii_case(key))
}

/// A value without a name.
fn alone(variable: Variable, worth: Worth<'_>) -> Found<'_> {
    Found { variable, name: Name::Of(super::Span::default()), worth }
}

/// What a match is called, as a value.
fn name_of(found: Found<'_>) -> Found<'_> {
    Found { worth: Worth::NameIn(found.variable), ..found }
}
