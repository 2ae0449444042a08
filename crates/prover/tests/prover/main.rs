//! What the prover says without a real solver: to solvers that fail, and by searching.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at a mistake, in helpers too")]

mod solvers;
mod support;
mod without;
