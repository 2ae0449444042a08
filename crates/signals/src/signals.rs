//! The checks, and the one call that makes them look.

use crate::{Conn, Facts, Identity, RateLimit, RateTable, Request, Waf};

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
    /// Whether the rule set looks, and at what.
    pub waf: Inspect,
    /// Which view of the rule set: what the rules count for here.
    pub view: usize,
}

/// How much of a request the rule set looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Inspect {
    /// Nothing: the route does not ask for the check.
    #[default]
    Nothing,
    /// All but the body.
    Head,
    /// All, and as much of the body as was read for it.
    Body,
}

/// All checks of the process. What they count lives as long as it does; the rule set is the
/// snapshot's.
#[derive(Debug, Default)]
pub struct Signals {
    rate: RateTable,
}

impl Signals {
    /// Looks, and reports, with what the rules found: that can be much work, so it is the caller's
    /// where it is done. It cannot refuse.
    pub fn observe(&self, checks: &Checks, waf: Waf, seen: &Seen<'_>) -> Facts {
        Facts {
            identity: seen.identity.fact.clone(),
            token: seen.identity.token.clone(),
            conn: seen.conn.clone(),
            waf,
            rate: checks
                .rate
                .as_ref()
                .map(|limit| self.rate.observe(limit, seen))
                .unwrap_or_default(),
            ..Facts::default()
        }
    }
}
