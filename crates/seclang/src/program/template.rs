//! Texts with macros in them, as numbers and names.

use crate::{
    nearest::nearest,
    problem::Fault,
    syntax::{self, MacroPiece},
    variable::Variable,
};

use super::build::Building;

/// A text with macros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) pieces: Vec<Piece>,
}

/// A piece of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    /// A `tx` variable.
    Tx(u32),
    /// Another variable, and which member of it.
    Variable(Variable, Option<Vec<u8>>),
}

impl Template {
    /// Reads a text.
    pub(crate) fn new(at: usize, text: &str, building: &mut Building<'_>) -> Result<Self, Fault> {
        let piece = |piece: &MacroPiece<'_>| match piece {
            MacroPiece::Text(text) => Ok(Piece::Text(text.as_bytes().to_vec())),
            MacroPiece::Macro(name, key) => match (Variable::named(name), key) {
                (Some(Variable::Tx), Some(key)) => Ok(Piece::Tx(building.tx(key))),
                (Some(variable), key) => {
                    building.used.insert(variable);
                    Ok(Piece::Variable(variable, key.map(|key| key.as_bytes().to_vec())))
                }
                (None, _) => Err(unknown(at, name)),
            },
        };
        let pieces = syntax::macro_pieces(text).iter().map(piece).collect::<Result<_, _>>()?;
        Ok(Self { pieces })
    }

    /// The text, if no macro is in it.
    pub(crate) fn constant(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(b""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// No variable has that name.
pub(crate) fn unknown(at: usize, name: &str) -> Fault {
    let fault = Fault::new(at, format!("unknown variable `{name}`"));
    match nearest(name, Variable::ALL.iter().map(|variable| variable.name())) {
        Some(known) => fault.hint(format!("`{known}` is known")),
        None => fault,
    }
}
