//! The decision as its users meet it: a policies directory goes in, answers come out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at a mistake, in helpers too")]

mod again;
mod check;
mod decide;
mod explain;
mod format;
mod links;
mod load;
mod matrix;
mod proof;
mod reload;
mod run_tests;
mod starter;
mod support;
