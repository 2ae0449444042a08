//! From text to directives: lines joined at `\`, arguments split, targets and actions taken
//! apart. Every piece keeps its place in the text. What the pieces mean is the compiler's.

mod action;
mod line;
mod macros;
mod target;
mod test;

pub(crate) use action::{Action, actions};
pub(crate) use line::{Argument, Directive, directives};
pub(crate) use macros::{Piece as MacroPiece, pieces as macro_pieces};
pub(crate) use target::{Selector, Target, targets};
pub(crate) use test::{Test, test};

/// A piece of text and its byte offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) at: usize,
    pub(crate) text: String,
}
