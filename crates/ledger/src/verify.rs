//! Verification of logs: message by message as they arrive ([`LogVerifier`], [`TrailVerifier`]),
//! and of a copied directory of tiles ([`verify_evidence`]). Needed are the audit root's public
//! key and, to see a cut tail or a rewritten history, the newest checkpoint kept apart.
//!
//! What does not hold is a [`Finding`]. Nothing here decides what follows from one, keeps the
//! messages, or reads a file or a clock: `now` and what is read are arguments.

mod evidence;
mod log;
mod reading;
mod recent;
mod trail;

pub use evidence::{Evidence, verify_evidence};
pub use log::{LogVerifier, Message, Outcome, Standing};
pub use reading::{Previous, Summary};
pub use trail::{TrailVerifier, check_succession};

use std::fmt;

use serde::Serialize;

use crate::keys::Origin;

/// Milliseconds without a record after which an open log is silent; heartbeats come every 10 s.
pub const SILENCE_MS: i64 = 30_000;

/// Milliseconds that a missing leaf, or a log's predecessor, may be late.
pub const LATE_MS: i64 = 60_000;

/// Milliseconds by which clocks may differ.
pub const CLOCK_MS: i64 = 120_000;

/// Something about a log that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The log.
    pub origin: String,
    /// The leaf, or the first of the leaves, that it is about, if it is about leaves.
    pub index: Option<u64>,
    /// What was expected and what was found.
    pub detail: String,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Leaves, or a whole log, are missing in the middle.
    Gap,
    /// Leaves came in another order than the log's.
    Reorder,
    /// The same leaf came again; reported on request only.
    Duplicate,
    /// Bytes are not those that were signed.
    Alteration,
    /// The log signed two different leaves for one index.
    Equivocation,
    /// The log signed two histories that do not agree.
    Fork,
    /// A log does not continue where the one before it ended.
    Rollback,
    /// A log ends before a checkpoint or a successor says it did.
    Truncation,
    /// A log that was not closed has no new records.
    Silence,
    /// A checkpoint is not signed by the log's key.
    WrongKey,
    /// The log's key is not certified for this log or this time.
    Untrusted,
    /// A record's time cannot be right.
    Clock,
}

impl FindingKind {
    /// The kind's name in events and reports, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Reorder => "reorder",
            Self::Duplicate => "duplicate",
            Self::Alteration => "alteration",
            Self::Equivocation => "equivocation",
            Self::Fork => "fork",
            Self::Rollback => "rollback",
            Self::Truncation => "truncation",
            Self::Silence => "silence",
            Self::WrongKey => "wrong_key",
            Self::Untrusted => "untrusted",
            Self::Clock => "clock",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, origin, index, detail } = self;
        match index {
            Some(index) => write!(f, "{kind} in `{origin}` at {index}: {detail}"),
            None => write!(f, "{kind} in `{origin}`: {detail}"),
        }
    }
}

/// Findings about one log, as they are made.
#[derive(Clone, Debug)]
struct Findings {
    origin: Origin,
    found: Vec<Finding>,
    /// One record outside the key's validity was reported; more would say the same.
    outside_validity: bool,
}

impl Findings {
    fn of(origin: &Origin) -> Self {
        Self { origin: origin.clone(), found: Vec::new(), outside_validity: false }
    }

    fn add(&mut self, kind: FindingKind, index: Option<u64>, detail: impl Into<String>) {
        let (origin, detail) = (self.origin.to_string(), detail.into());
        self.found.push(Finding { kind, origin, index, detail });
    }
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
