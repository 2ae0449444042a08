//! Statements arrive in halves: the issuer's certificate and the epoch's statement, each under
//! its own key.

use std::collections::BTreeMap;

use ledger::keys::Origin;
use ledger::verify::LogVerifier;

use super::{Ingest, IngestError};
use crate::evidence::Statements;

/// Logs of which half a statement is remembered, at most.
pub(super) const HALVES_MAX: usize = 10_000;

/// Bytes of a statement, at most.
pub(super) const STATEMENT_BYTES_MAX: usize = 8 * 1024;

/// What a statement was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// The log's key is known.
    Known,
    /// The other half has not come.
    Half,
    /// It is none, does not hold, or there is no room for it.
    Refused,
}

/// Statements of logs that have none in the evidence.
#[derive(Debug, Default)]
pub(super) struct Halves {
    logs: BTreeMap<Origin, Half>,
}

#[derive(Debug, Default, Clone)]
struct Half {
    issuer: Option<String>,
    epoch: Option<String>,
}

impl Halves {
    /// Adds half a statement; gives the whole once there is one. `None` if there is no room.
    fn add(&mut self, origin: &Origin, issuer: bool, note: &str) -> Option<Option<Statements>> {
        if self.logs.len() >= HALVES_MAX && !self.logs.contains_key(origin) {
            return None;
        }
        let half = self.logs.entry(origin.clone()).or_default();
        let which = if issuer { &mut half.issuer } else { &mut half.epoch };
        *which = Some(note.to_owned());
        Some(self.whole(origin))
    }

    pub(super) fn whole(&self, origin: &Origin) -> Option<Statements> {
        let Half { issuer, epoch } = self.logs.get(origin)?.clone();
        Some(Statements { issuer: issuer?, epoch: epoch? })
    }

    pub(super) fn forget(&mut self, origin: &Origin) {
        self.logs.remove(origin);
    }
}

impl Ingest {
    /// Takes in half a statement: `key` is the origin, with `#issuer` for the issuer's
    /// certificate.
    ///
    /// # Errors
    /// [`IngestError::Manifest`].
    pub fn statement(&mut self, key: &str, note: &str) -> Result<Statement, IngestError> {
        let (name, issuer) = match key.strip_suffix("#issuer") {
            Some(name) => (name, true),
            None => (key, false),
        };
        let Ok(origin) = Origin::parse(name) else { return Ok(Statement::Refused) };
        if note.len() > STATEMENT_BYTES_MAX {
            return Ok(Statement::Refused);
        }
        let whole = match self.halves.add(&origin, issuer, note) {
            None => return Ok(Statement::Refused),
            Some(None) if self.knows(&origin) => return Ok(Statement::Known),
            Some(None) => return Ok(Statement::Half),
            Some(Some(whole)) => whole,
        };
        let taken = self.trail.statement(&origin, &whole.issuer, &whole.epoch);
        self.pending.batch.findings.append(&mut self.trail.take_findings());
        if taken.is_err() {
            self.halves.forget(&origin);
            return Ok(if self.knows(&origin) { Statement::Known } else { Statement::Refused });
        }
        if let Some(summary) = self.unproven.remove(&origin)
            && let Some(log) = self.trail.log(&origin)
        {
            let chain = log.chain().clone();
            self.wake(LogVerifier::resume(chain, summary))?;
        } else if self.logs.contains_key(&origin) {
            // They are in the evidence already.
            self.halves.forget(&origin);
        }
        Ok(Statement::Known)
    }
}
