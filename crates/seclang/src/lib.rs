//! A rule engine for SecLang, the language of ModSecurity rule sets.
//!
//! Text is [parsed](RuleSet::load) with every problem listed at once, compiled, and matched in
//! time linear in what is inspected: transformations are done once for each different text, and a
//! text is searched only for patterns that the bytes in it allow.
//!
//! A rule set reports: what `deny` and `drop` would have done is noted and nothing is refused. Its
//! scores and what matched are facts that policy decides on. What the engine does not know (a
//! directive, an operator, an action) is an error when the rules are loaded, never skipped.

pub mod body;
mod byte_set;
mod nearest;
pub mod operator;
mod problem;
mod program;
mod syntax;
mod transaction;
pub mod transform;
mod variable;

pub use byte_set::ByteSet;
pub use problem::Problem;
pub use program::{
    Exclusion, Fetch, File, Loaded, Overlay, RuleSet, Settings, Unfit, Wanted, Written, WrittenLink,
};
pub use transaction::{
    Health, Hit, Inspection, Interruption, Kept, Limits, MatchedData, Outcome, Request, Response,
    Value,
};
pub use variable::Variable;
