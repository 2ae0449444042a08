//! The checks, and the one call that makes them look.

use crate::{Conn, Facts, Identity, RateLimit, RateTable, Request};

/// What the checks may look at.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The request.
    pub request: &'a Request,
    /// Who asks.
    pub identity: &'a Identity,
    /// The connection.
    pub conn: &'a Conn,
}

/// The checks one route asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks {
    /// The route's limit, if it has one.
    pub rate: Option<RateLimit>,
}

/// All checks of the process.
#[derive(Debug, Default)]
pub struct Signals {
    rate: RateTable,
}

impl Signals {
    /// Looks, and reports. It cannot refuse.
    pub fn observe(&self, checks: &Checks, seen: &Seen<'_>) -> Facts {
        Facts {
            identity: seen.identity.fact.clone(),
            token: seen.identity.token.clone(),
            conn: seen.conn.clone(),
            rate: checks
                .rate
                .as_ref()
                .map(|limit| self.rate.observe(limit, seen))
                .unwrap_or_default(),
            ..Facts::default()
        }
    }
}
