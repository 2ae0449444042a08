//! Who may sign a log: the audit root key certifies an issuer key for a prefix of origins, and the
//! issuer key signs a statement for each epoch's key. Whoever verifies needs the root's public key.
//!
//! Both statements are signed notes; each line of their text is a field, in this order:
//!
//! ```text
//! portcullis-issuer-key/v1                     portcullis-epoch-key/v1
//! prefix audit.acme.example/eu1                origin audit.acme.example/eu1/gw-a/1795262951123-0a1b2c3d
//! key <verifier key>                           key <verifier key, named as the origin>
//! not-before 1795262951                        not-before 1795262951
//! not-after 1826798951                         not-after 1795349351
//! ```
//!
//! Times are whole seconds since 1970, both inclusive; an epoch's lie within its issuer's and span
//! [`EPOCH_S_MAX`] at most. The first line keeps the kinds of notes apart: a key that signs
//! statements signs no log. There is no revocation here: an issuer's expiry is its end.

mod chain;
mod origin;
mod statement;

pub use chain::{Chain, Issuer, Root};
pub use origin::{COMPONENT_BYTES_MAX, Origin, OriginPrefix};
pub use statement::Validity;

use thiserror::Error;

use crate::note::NoteError;

/// Seconds that an epoch's key is valid for, at most: a day, and an hour to close the log in.
pub const EPOCH_S_MAX: u64 = 25 * 3600;

/// Which link of the chain an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The issuer's certificate, signed by the root.
    Issuer,
    /// The epoch's statement, signed by the issuer.
    Epoch,
}

/// Why a key is not to be trusted, or a statement cannot be made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// A malformed origin or prefix.
    #[error("origin `{text}`: {problem}")]
    Origin {
        /// The text given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A key or its name is refused.
    #[error(transparent)]
    Key(#[from] NoteError),
    /// A statement is not signed by the key above it.
    #[error("{link}: {source}")]
    Note {
        /// The statement.
        link: Link,
        /// What is wrong with it.
        source: NoteError,
    },
    /// A statement's text is not of its form.
    #[error("{link}: expected line `{expected}`")]
    Statement {
        /// The statement.
        link: Link,
        /// The line that is missing or malformed.
        expected: &'static str,
    },
    /// The private key is not the one of the public key it was opened with.
    #[error("the private key is not that of `{0}`")]
    PrivateKey(String),
    /// The end is not after the beginning, or an epoch's span is above [`EPOCH_S_MAX`].
    #[error("{0}")]
    Validity(&'static str),
    /// The statement is about another log.
    #[error("epoch statement is for `{found}`, not `{wanted}`")]
    OtherOrigin {
        /// The log asked about.
        wanted: String,
        /// The log that the statement names.
        found: String,
    },
    /// Another key is certified for the same log: one of them is not its.
    #[error("a second key is certified for `{0}`")]
    SecondKey(String),
    /// The issuer's prefix does not cover the origin.
    #[error("issuer of `{prefix}` may not certify `{origin}`")]
    Prefix {
        /// What the issuer may certify.
        prefix: String,
        /// The log.
        origin: String,
    },
    /// The epoch's key is valid when its issuer's is not.
    #[error("epoch key is valid outside its issuer's time")]
    OutlivesIssuer,
    /// Asked about a time at which the key is not valid.
    #[error("key is valid from `{not_before_s}` to `{not_after_s}`, not at `{time_s}`")]
    NotValidAt {
        /// First second of its validity.
        not_before_s: u64,
        /// Last second of its validity.
        not_after_s: u64,
        /// The time asked about.
        time_s: u64,
    },
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Issuer => "issuer certificate",
            Self::Epoch => "epoch statement",
        })
    }
}
