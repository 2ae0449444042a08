//! The signed, append-only, crash-safe record of every decision.
//!
//! [`Ledger::open`] writes a decision to a write-ahead log and gives a [`Receipt`]; every commit
//! group ends in a signed checkpoint of a C2SP transparency log. [`Trail`] reads the files again,
//! for whoever ships them; [`Look`] reads them without the spool's lock.
//!
//! The format (`event`, `keys`, `note`, `proof`, `tiles`, `tlog`, `verify`) is pure: it reads no
//! clock, file, socket or environment.

mod cursor;
mod epoch;
pub mod event;
pub mod keys;
mod ledger;
mod look;
mod losses;
pub mod note;
mod open;
pub mod proof;
mod receipt;
mod recover;
mod start;
#[cfg(test)]
mod tests;
pub mod tiles;
pub mod tlog;
mod trial;
pub mod verify;
mod wal;
mod writer;

pub use cursor::{Batch, Cursor, CursorError, Entry, Trail};
pub use event::{Durability, Kind, Record};
pub use ledger::{Digests, Health, Ledger, Options, QUEUE_MAX, StartError, Status, Unavailable};
pub use look::{Group, Look};
pub use receipt::{Open, Receipt};
pub use trial::Trial;
pub use wal::spool::{Compress, SpoolOptions};
pub use wal::{EpochId, NotAnEpoch, WalError};
