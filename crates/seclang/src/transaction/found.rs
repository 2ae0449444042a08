//! A match: of which variable, and of what.

use crate::{program::Program, variable::Variable};

use super::store::{Span, Store};

/// A value that is looked at, or that matched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'r> {
    pub(super) variable: Variable,
    pub(super) name: Name,
    pub(super) worth: Worth<'r>,
}

/// What the value is called.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name {
    Of(Span),
    /// A `tx` variable that rules name.
    Slot(u32),
}

/// What it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Worth<'r> {
    Number(i64),
    Bytes(Span),
    /// A text that was made before.
    Text(u32),
    /// A text in the rules.
    Constant(&'r [u8]),
    /// What a member of that variable is called.
    NameIn(Variable),
}

impl Found<'_> {
    /// The member's name.
    pub(super) fn member<'a>(&self, store: &'a Store, program: &'a Program) -> &'a [u8] {
        match self.name {
            Name::Of(span) => store.bytes(span),
            Name::Slot(slot) => program.tx_names.get(slot as usize).map_or(b"", Vec::as_slice),
        }
    }

    /// `ARGS:q`, in bytes.
    pub(super) fn write_name(&self, store: &Store, program: &Program, out: &mut Vec<u8>) {
        self.write_name_in(self.variable, store, program, out);
    }

    /// As [`Self::write_name`], but of a `tx` variable that a rule named after what it saw only that
    /// it is one: its name is a value.
    pub(super) fn write_place(&self, store: &Store, program: &Program, out: &mut Vec<u8>) {
        match (self.variable, self.name) {
            (Variable::Tx, Name::Of(_)) => out.extend_from_slice(self.variable.name().as_bytes()),
            _ => self.write_name(store, program, out),
        }
    }

    fn write_name_in(
        &self,
        variable: Variable,
        store: &Store,
        program: &Program,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(variable.name().as_bytes());
        let member = self.member(store, program);
        if !member.is_empty() {
            out.push(b':');
            out.extend_from_slice(member);
        }
    }

    pub(super) fn write_value(&self, store: &Store, program: &Program, out: &mut Vec<u8>) {
        match self.worth {
            Worth::Number(number) => out.extend(number.to_string().bytes()),
            Worth::Bytes(span) => out.extend_from_slice(store.bytes(span)),
            Worth::Text(text) => out.extend_from_slice(store.text_bytes(text)),
            Worth::Constant(text) => out.extend_from_slice(text),
            Worth::NameIn(variable) => self.write_name_in(variable, store, program, out),
        }
    }
}
