//! The engine for the subset of the language that the default rules need.
//!
//! It goes when the check in `signals` looks with the engine for all of the language.

mod compile;
mod evaluate;
mod input;
pub(crate) mod parse;
mod plan;

pub use compile::RuleSet;
pub use evaluate::{Hit, Outcome};
pub use input::{Collection, Input, Value};
