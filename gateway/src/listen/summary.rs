//! What a connection brought that no record of a request tells.

use std::net::IpAddr;

/// Told once, when the connection is over, if there is anything to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSummary {
    /// Who connected.
    pub source: IpAddr,
    /// When, Unix milliseconds.
    pub began_ms: i64,
    /// When it was over, Unix milliseconds.
    pub ended_ms: i64,
    /// What the protocol refused before there was a request, by reason: heads that became none,
    /// or once what broke the connection.
    pub refused: Vec<(&'static str, u64)>,
    /// Requests that were handed on, and whose client left before their record began.
    pub abandoned: u64,
    /// Requests that were handed on, and whose handling panicked before their record began.
    pub panicked: u64,
}

impl ConnectionSummary {
    pub(super) fn is_empty(&self) -> bool {
        self.refused.is_empty() && self.abandoned == 0 && self.panicked == 0
    }
}
