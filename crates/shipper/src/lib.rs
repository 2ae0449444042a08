//! Ships the record to Kafka; the only producer of audit events.
//!
//! Events are read from the write-ahead log's *files*, never from memory, and the position in
//! them moves on delivery reports in contiguous order only. Whatever becomes of a broker, a
//! producer or this process, shipping goes on from the first event nobody confirmed: an event may
//! arrive twice, and `(origin, index)` says so; none is lost.
//!
//! It decides nothing about the log: what may be deleted is the cursor's to know.

mod flight;
mod message;
mod partition;
mod producer;
mod ship;
mod status;
#[cfg(test)]
mod tests;

pub use message::Topics;
pub use ship::{Options, ShipError, Shipper};
pub use status::Status;
