//! The one decision: Cedar policies, asked once for each request.
//!
//! [`Policies::load`] turns the text of a policies directory into something already right, or
//! into *every* problem at once; [`Policies::reload`] does so at the cost of what changed.
//! [`Policies::decide`] answers a [`Question`]: the only way to a
//! [`Permit`], which carries what it was asked about. The answer's [`Basis`] goes into the event;
//! [`Policies::ask_again`] gives the same basis for the recorded question.
//!
//! An erring `forbid` refuses, as `unavailable`: Cedar alone would skip it, and so allow. An
//! erring `permit` does not count. A question that the schema does not declare is never allowed.
//!
//! This crate alone decides; only `prover`, which compares sets, names `cedar_policy` beside it. It
//! reads no file, clock, environment or socket, it maps no error to a page or a header (the shell
//! does), and it keeps no cache of decisions.

mod annotations;
mod answers;
pub mod cases;
mod catalogue;
mod changes;
mod check;
mod compiled;
mod condition;
mod coverage;
mod decide;
mod effect;
mod explain;
mod extent;
mod facts;
mod format;
mod index;
mod inputs;
mod invariants;
mod links;
mod lint;
mod load;
mod matrix;
mod memo;
mod outcome;
mod policy;
mod problem;
pub mod proof;
mod question;
mod reads;
mod recorded;
mod run_tests;
mod schema;
mod source;
mod template;
mod trace;
mod until;

pub use changes::Changes;
pub use check::{Checked, Counts, check};
pub use coverage::{Coverage, Covered};
pub use decide::{AskAgainError, Policies};
pub use effect::Effect;
pub use explain::{
    ExplainError, Explained, ExplainedPart, Explanation, Flip, Inquiry, Outcome, Search,
};
pub use format::format;
pub use links::{DatedLink, Document};
pub use lint::Lint;
pub use load::UndeclaredRoute;
pub use matrix::{Matrix, MatrixPrincipal, MatrixResource, MatrixRow};
pub use outcome::{
    Audit, Basis, Cache, Class, Decision, Obligations, Permit, PolicyError, Refusal, Refused,
    Verdict,
};
pub use problem::Problem;
pub use question::{Action, Question, RecordedQuestion, Resource};
pub use recorded::Recorded;
pub use run_tests::{ExportError, RunTestResult, run_tests};
pub use source::{Digests, Source, is_links};

/// The embedded schema: namespace `Portcullis`, which an operator's `schema.cedarschema` refers to.
pub const PORTCULLIS_SCHEMA: &str = include_str!("portcullis.cedarschema");
