//! The write-ahead log: a spool directory of epochs, an epoch of segments, a segment of frames.
//!
//! ```text
//! <spool>/lock                     held exclusively while a process uses the spool
//! <spool>/state                    what outlives an epoch: see `spool`
//! <spool>/<epoch>/epoch.note       the epoch's key statement, signed by the issuer
//! <spool>/<epoch>/issuer.note      the issuer's statement, signed by the audit root
//! <spool>/<epoch>/00000000.wal …   segments, of one size, zero-filled before use
//! <spool>/<epoch>/shipped          how far the epoch has been shipped: see `cursor`
//! ```
//!
//! An epoch's directory is made whole under a `tmp-` name and renamed, so a directory that has
//! an epoch's name has its notes and its first segment.
//!
//! All integers are little-endian. A segment starts with a header of 64 bytes ([`segment`]),
//! then frames without gaps, then zeros. A frame is one commit group ([`frame`]): its events
//! *and* the signed checkpoint that covers them, under one CRC, so a torn group is dropped whole.
//!
//! ```text
//! segment header                       frame
//!  0  8  "PCWALSEG"                     0  4  "PCG1"
//!  8  4  version, 1                     4  1  version, 1
//! 12  4  number in the epoch            5  1  codec of the body: 0 raw, 1 zstd
//! 16  8  epoch, Unix milliseconds       6  2  events in the group, 1..=256
//! 24  4  epoch, random                  8  4  bytes of body as stored
//! 28  8  bytes of the segment          12  4  bytes of body decoded
//! 36  4  CRC-32 of bytes 0..36         16  8  index of the first event
//! 40 24  zero                          24  8  index up to which all was durable when written
//!                                      32  4  CRC-32 of bytes 0..32 and the stored body
//!                                      36     body
//! body, decoded: the events, then the checkpoint
//!  1  kind              4  OCSF class_uid            16  decision's uid, in completions only
//! 16  uid               1  traceparent's length       4  value's length, 1..=61440
//!  8  time, Unix ms     n  traceparent                n  value
//!  2  checkpoint's length     n  checkpoint (signed note, UTF-8)
//! ```
//!
//! The field at 24 tells damage from a crash. Groups behind a frame that cannot be read are
//! leftovers of a write that was never synced, unless one of them was written when the
//! unreadable one was already durable: then the log is corrupt, and nothing skips over it.
//!
//! It does not know what an event means, and it never rewrites a byte it has written.

pub(crate) mod disk;
pub(crate) mod frame;
pub(crate) mod prepare;
pub(crate) mod segment;
pub(crate) mod small;
pub(crate) mod space;
pub(crate) mod spool;
pub(crate) mod walk;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place in an epoch's files: the end of a group, which is the start of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The segment's number.
    pub(crate) segment: u32,
    /// Bytes into the segment.
    pub(crate) offset: u64,
    /// The index of the next event.
    pub(crate) index: u64,
}

/// The last part of an origin: start time and 32 random bits, `1795262951123-9f3a01bc`.
/// Epochs of one spool sort by it, because a new one is always later than the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochId {
    /// Unix milliseconds.
    pub ms: u64,
    /// Random bits, so that two processes that share a name never share an origin.
    pub random: u32,
}

impl fmt::Display for EpochId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{:08x}", self.ms, self.random)
    }
}

/// Why the files of a log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The system refused.
    #[error("`{path}` cannot be used")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The files hold something else than what was written. Nothing skips over it.
    #[error("`{path}` is corrupt at byte {offset}: {problem}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
}

/// The text is not an epoch's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an epoch id")]
pub struct NotAnEpoch(String);

impl FromStr for EpochId {
    type Err = NotAnEpoch;

    fn from_str(text: &str) -> Result<Self, NotAnEpoch> {
        let bad = || NotAnEpoch(text.to_owned());
        let (ms, random) = text.split_once('-').ok_or_else(bad)?;
        let id = Self {
            ms: ms.parse().map_err(|_| bad())?,
            random: u32::from_str_radix(random, 16).map_err(|_| bad())?,
        };
        // One spelling for one id: signs, case and width are as `Display` has them.
        if id.to_string() == text { Ok(id) } else { Err(bad()) }
    }
}

impl Serialize for EpochId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EpochId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::EpochId;

    #[test]
    fn epoch_ids_have_one_spelling() {
        let check = |text: &str, want: Option<EpochId>| {
            assert_eq!(text.parse().ok(), want, "{text}");
        };
        let id = EpochId { ms: 1_795_262_951_123, random: 0x9f3a_01bc };
        check("1795262951123-9f3a01bc", Some(id));
        check("1795262951123-9F3A01BC", None);
        check("+1795262951123-9f3a01bc", None);
        check("01795262951123-9f3a01bc", None);
        check("1795262951123-9f3a01b", None);
        check("1795262951123", None);
        check("7-00000000", Some(EpochId { ms: 7, random: 0 }));
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
