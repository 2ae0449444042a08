//! Proof that a decision is recorded, and the duty to say how it ended.
//!
//! A [`Receipt`] is made by [`Ledger::open`](crate::Ledger::open) alone, so a function that
//! takes one cannot be called for what is not recorded. It is neither `Clone` nor serializable.

use std::sync::Arc;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::event::{CandidateDigests, Completion, DecisionRef, ResponseFinding};
use crate::ledger::{Handle, Unavailable};
use crate::trial::{self, Awaited, Trial};
use crate::writer::Job;

/// A value whose decision is recorded. Dropped, its completion says `abandoned`.
#[derive(Debug)]
#[must_use = "a receipt that is dropped records the request as abandoned"]
pub struct Receipt<T> {
    value: T,
    open: Open,
}

impl<T> Receipt<T> {
    pub(crate) fn new(value: T, open: Open) -> Self {
        Self { value, open }
    }

    /// The decision's index in the log, from 0.
    pub fn index(&self) -> u64 {
        self.open.index
    }

    /// The decision's id.
    pub fn uid(&self) -> Uuid {
        self.open.uid()
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The value, and the open decision apart.
    pub fn split(self) -> (T, Open) {
        (self.value, self.open)
    }

    /// A candidate is asked about this decision too: the completion has what comes of it, and is
    /// not written before.
    pub fn try_candidate(&mut self, digests: Arc<CandidateDigests>) -> Trial {
        let (trial, awaited) = trial::pair(digests);
        self.open.awaited = Some(awaited);
        trial
    }

    /// The receipt of what `change` makes of the value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Receipt<U> {
        Receipt { value: change(self.value), open: self.open }
    }
}

impl<A, B> Receipt<Result<A, B>> {
    /// The receipt of the one or of the other.
    ///
    /// # Errors
    /// The value's own: it is as recorded as the rest.
    pub fn transpose(self) -> Result<Receipt<A>, Receipt<B>> {
        match self.value {
            Ok(value) => Ok(Receipt { value, open: self.open }),
            Err(value) => Err(Receipt { value, open: self.open }),
        }
    }
}

/// A recorded decision that has not ended. Dropped, its completion says `abandoned`; room for
/// that was reserved with the decision.
#[derive(Debug)]
#[must_use = "an open decision that is dropped is recorded as abandoned"]
pub struct Open {
    ledger: Arc<Handle>,
    reference: Arc<DecisionRef>,
    index: u64,
    durable: Durable,
    /// What a candidate would have answered, where it is asked.
    awaited: Option<Awaited>,
    closed: bool,
}

/// Whether the decision is as durable as its route asks.
#[derive(Debug)]
pub(crate) enum Durable {
    /// It is, or the route does not ask.
    Yes,
    /// This resolves when it is.
    Soon(oneshot::Receiver<()>),
    /// It could not be made so.
    Never,
}

impl Open {
    pub(crate) fn new(
        ledger: Arc<Handle>,
        reference: Arc<DecisionRef>,
        index: u64,
        durable: Durable,
    ) -> Self {
        Self { ledger, reference, index, durable, awaited: None, closed: false }
    }

    /// The decision's index in the log, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The decision's id.
    pub fn uid(&self) -> Uuid {
        self.reference.uid()
    }

    /// Waits until the decision is as durable as its route asks: `strict` was before there was
    /// a receipt, `gated` is now, `buffered` never waits.
    ///
    /// # Errors
    /// [`Unavailable::Failed`] if it could not be made durable.
    pub async fn synced(&mut self) -> Result<(), Unavailable> {
        if let Durable::Soon(synced) = &mut self.durable {
            self.durable = if synced.await.is_ok() { Durable::Yes } else { Durable::Never };
        }
        match self.durable {
            Durable::Yes => Ok(()),
            Durable::Soon(_) | Durable::Never => Err(Unavailable::Failed),
        }
    }

    /// Says how it ended. This never waits: room was reserved with the decision, and a
    /// [`Trial`] that is not over writes the completion itself.
    pub fn close(mut self, completion: Completion) {
        match self.awaited.take() {
            Some(awaited) => awaited.end(self, completion),
            None => self.write(completion),
        }
    }

    pub(crate) fn write(mut self, completion: Completion) {
        self.closed = true;
        let uid = self.ledger.fresh_uid();
        match completion.record(uid, &self.reference, self.ledger.producer()) {
            Ok(record) => {
                self.ledger.send(Job::Close { decision: self.uid(), record });
                self.find(&completion);
            }
            Err(error) => {
                tracing::error!(decision = %self.uid(), %error, "a completion could not be made");
                self.ledger.send(Job::Abandon { decision: self.uid() });
            }
        }
    }
}

impl Open {
    /// A finding is written where there is room for it: nobody waits, and the completion says it
    /// too.
    fn find(&self, completion: &Completion) {
        let Some(waf) = completion.waf.as_ref().filter(|waf| waf.finding) else { return };
        let finding = ResponseFinding {
            found_ms: completion.ended_ms,
            waf,
            status: completion.status,
            body_out_bytes: completion.body_out_bytes,
            latency_us: completion.latency_us,
            upstream: completion.upstream.as_ref(),
        };
        let uid = self.ledger.fresh_uid();
        let noted = match finding.record(uid, &self.reference, self.ledger.producer()) {
            Ok(record) => self.ledger.note_now(record).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = noted {
            tracing::error!(decision = %self.uid(), %error, "a finding was not recorded");
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.closed {
            self.ledger.send(Job::Abandon { decision: self.uid() });
        }
    }
}
