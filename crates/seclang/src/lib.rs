//! A rule engine for SecLang, the language of ModSecurity rule sets.
//!
//! Text is [parsed](RuleSet::load) with every problem listed at once, compiled, and matched in
//! time linear in what is inspected: all patterns run together on one of the `regex` crate's
//! automata, once for each different text that transformations make of a value.
//!
//! A rule set reports: it has no `deny`, no `drop` and no redirect. Its score and what matched are
//! facts that policy decides on. What the engine does not know (a directive, an operator, an
//! action) is an error when the rules are loaded, never skipped.

pub mod body;
mod byte_set;
mod compile;
mod evaluate;
mod input;
pub mod operator;
mod parse;
mod plan;
mod problem;
pub mod transform;

pub use byte_set::ByteSet;
pub use compile::RuleSet;
pub use evaluate::{Hit, Outcome};
pub use input::{Collection, Input, Value};
pub use problem::Problem;
