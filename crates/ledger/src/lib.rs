//! The signed, append-only, crash-safe record of every decision.

pub mod event;
pub mod keys;
pub mod note;
pub mod proof;
pub mod tiles;
pub mod tlog;
pub mod verify;
