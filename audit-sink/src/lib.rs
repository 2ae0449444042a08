//! The audit sink: takes the trail from Kafka, verifies every message, and keeps the evidence.
//!
//! Evidence is a directory of C2SP tlog-tiles, which any verifier can read. A SQLite file beside
//! it is the manifest (what was stored, and where in Kafka to go on) and an index for look-ups; it
//! can be rebuilt, the evidence cannot. The manifest is the commit point: a crash anywhere before
//! it leaves files that the next run writes again.
//!
//! What does not hold is a finding and is kept aside, never stored as evidence. The sink changes
//! nothing at Kafka but the offsets that tools show lag by.

pub mod cli;
mod consume;
mod evidence;
mod ingest;
mod manifest;
mod message;
mod projection;
#[cfg(test)]
mod sample;
mod time;

pub use consume::{Options, SinkError, run};
pub use evidence::{Evidence, EvidenceError};
pub use ingest::{Ingest, IngestError, Statement};
pub use manifest::{Manifest, ManifestError, Order, Row, Search};
pub use message::{Event, Position};
