//! What can go wrong between the recorded permit and the answer's last byte.
//!
//! A [`Failure`] is what the client may be told, as a status, and the word in the event; its
//! detail is for the operator, in the log and in the event. The shape of the answer is not made here.

use std::net::SocketAddr;

use ledger::event::Outcome;

use crate::read::BodyError;

/// What went wrong, by whom it can be fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Every endpoint of the upstream is left out after failed connects.
    #[error("no endpoint of the upstream is healthy")]
    NoHealthyEndpoint,
    /// The connection was refused.
    #[error("the upstream could not be connected")]
    Connect,
    /// Connecting took longer than `connect_timeout`.
    #[error("connecting to the upstream took too long")]
    ConnectTimeout,
    /// No answer within `response_timeout`, or the upstream stopped taking the request's body.
    #[error("the upstream did not answer in time")]
    ResponseTimeout,
    /// The answer's body paused longer than `idle_timeout`.
    #[error("the upstream's answer stalled")]
    Stalled,
    /// The connection ended before the answer did.
    #[error("the upstream ended the connection")]
    Reset,
    /// The answer cannot be passed on: not HTTP, ambiguous framing, or a switch of protocols.
    #[error("the upstream's answer is not usable")]
    BadResponse,
    /// The client's body did not arrive whole.
    #[error("{0}")]
    ClientBody(ClientBody),
    /// The decision could not be made durable: nothing of the answer may leave.
    #[error("the decision could not be recorded")]
    LedgerUnavailable,
    /// The request cannot be expressed upstream. `read` accepts no such request.
    #[error("the request cannot be sent to the upstream")]
    Unsendable,
}

/// Why the client's body did not arrive whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientBody {
    /// It paused longer than `idle_timeout`, or came slower than the listener allows.
    #[error("the request's body stalled")]
    Stalled,
    /// It is longer than the listener allows.
    #[error("the request's body is too large")]
    TooLarge,
    /// Its framing is wrong.
    #[error("the request's body is malformed")]
    Malformed,
    /// The client went away before its end.
    #[error("the request's body ended early")]
    Gone,
}

impl From<BodyError> for ClientBody {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong => Self::TooLarge,
            BodyError::Stalled => Self::Stalled,
            BodyError::Malformed => Self::Malformed,
            // A request that there was no room for is not forwarded: what is left of it is gone.
            BodyError::Gone | BodyError::NoRoom => Self::Gone,
        }
    }
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NoHealthyEndpoint,
        Self::Connect,
        Self::ConnectTimeout,
        Self::ResponseTimeout,
        Self::Stalled,
        Self::Reset,
        Self::BadResponse,
        Self::ClientBody(ClientBody::Stalled),
        Self::ClientBody(ClientBody::TooLarge),
        Self::ClientBody(ClientBody::Malformed),
        Self::ClientBody(ClientBody::Gone),
        Self::LedgerUnavailable,
        Self::Unsendable,
    ];

    /// The status that tells the client (RFC 9110 §15.5, §15.6).
    pub fn status(self) -> u16 {
        match self {
            Self::ClientBody(ClientBody::Malformed | ClientBody::Gone) => 400,
            Self::ClientBody(ClientBody::Stalled) => 408,
            Self::ClientBody(ClientBody::TooLarge) => 413,
            Self::Unsendable => 500,
            Self::Connect | Self::Reset | Self::Stalled | Self::BadResponse => 502,
            Self::NoHealthyEndpoint | Self::LedgerUnavailable => 503,
            Self::ConnectTimeout | Self::ResponseTimeout => 504,
        }
    }

    /// How an exchange ended that this ended.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::ClientBody(ClientBody::Gone) => Outcome::ClientGone,
            Self::ClientBody(ClientBody::Stalled)
            | Self::ConnectTimeout
            | Self::ResponseTimeout
            | Self::Stalled => Outcome::TimedOut,
            Self::NoHealthyEndpoint | Self::Connect | Self::Reset | Self::BadResponse => {
                Outcome::UpstreamFailed
            }
            Self::ClientBody(ClientBody::TooLarge | ClientBody::Malformed)
            | Self::LedgerUnavailable
            | Self::Unsendable => Outcome::Answered,
        }
    }

    /// The word events and metrics use.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoHealthyEndpoint => "no_healthy_endpoint",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::ResponseTimeout => "response_timeout",
            Self::Stalled => "stalled",
            Self::Reset => "reset",
            Self::BadResponse => "bad_response",
            Self::ClientBody(ClientBody::Stalled) => "client_body_stalled",
            Self::ClientBody(ClientBody::TooLarge) => "client_body_too_large",
            Self::ClientBody(ClientBody::Malformed) => "client_body_malformed",
            Self::ClientBody(ClientBody::Gone) => "client_body_gone",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::Unsendable => "unsendable",
        }
    }
}

/// A failure with what only the operator may read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}: {detail}")]
pub struct Fault {
    pub(super) failure: Failure,
    pub(super) detail: String,
    pub(super) address: Option<SocketAddr>,
}

impl Fault {
    pub(super) fn new(failure: Failure, detail: impl Into<String>) -> Self {
        Self { failure, detail: detail.into(), address: None }
    }

    /// The fault of the endpoint at `address`.
    pub(super) fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }
}

/// An error and its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        line.push_str(": ");
        line.push_str(&next.to_string());
        cause = next.source();
    }
    line
}
