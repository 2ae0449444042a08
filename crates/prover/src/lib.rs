//! What a change of policies changes, and whether invariants hold: for all requests at once.
//!
//! [`diff`] compares two loaded sets for each request environment (type of principal, action, type
//! of resource), [`prove`] holds a set against its invariants. Both ask an SMT solver, and every
//! counterexample is put to the sets' own authorizer before it is told: what that does not confirm
//! is `undecided`, not a finding. Without a solver both look for counterexamples among made up
//! requests: what they find is real, and that they find none proves nothing.
//!
//! What is compared is what `verdict` decides, not what Cedar alone would: a `forbid` that errs
//! refuses (see `weave`). A proof speaks of requests and entities that are as the schema says.
//!
//! Nothing here decides about a request of anybody's, and nothing on a request's way uses this.

mod compare;
mod compile;
mod environment;
mod example;
mod invariant;
mod report;
mod search;
mod solver;
mod weave;

use std::time::Duration;

pub use compare::diff;
pub use environment::Environment;
pub use example::{Answer, Example};
pub use invariant::{Held, Holds, Proof, prove};
pub use report::{Change, Compared, Diff, Relation};
pub use solver::Solver;

/// Longest time that a single question may take a solver, unless it is told otherwise.
pub const QUERY: Duration = Duration::from_secs(20);

/// What there is to prove with.
#[derive(Debug)]
pub struct Means {
    /// The solver, if there is one.
    pub solver: Option<Solver>,
    /// The time for everything; what is not settled then is `undecided`.
    pub deadline: Duration,
    /// Where there is no solver: how many requests are made up for each environment.
    pub requests: usize,
}

/// Nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runtime that waits for the solver.
    #[error("cannot wait for a solver: {0}")]
    Runtime(#[source] std::io::Error),
    /// The actions of a set's schema.
    #[error("the schema's actions cannot be read: {0}")]
    Actions(String),
    /// A link.
    #[error(transparent)]
    Link(#[from] verdict::proof::LinkError),
}

/// Runs what waits for a solver, on a runtime of its own.
fn wait<T>(what: impl Future<Output = T>) -> Result<T, Error> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    Ok(runtime.enable_all().build().map_err(Error::Runtime)?.block_on(what))
}
