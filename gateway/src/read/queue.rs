//! What the head reader hands to the service beside hyper, on one connection and one thread.
//!
//! One head at a time: the reader releases the next when the answer to the last is over, so what
//! hyper calls the service for and what is on the queue cannot come apart.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use signals::Request;
use tokio::time::Instant;

use super::Rejected;

/// A head, read or refused.
#[derive(Debug)]
pub struct Head {
    /// The canonical request, or why there is none.
    pub read: Result<Box<Request>, Rejected>,
    /// When it was whole, or was refused.
    pub at: Instant,
    /// The same, Unix milliseconds.
    pub received_ms: i64,
}

/// Heads and connections, counted over all workers.
#[derive(Debug, Default)]
pub struct Tally {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections closed at once, for a limit.
    pub connections_refused: AtomicU64,
    /// PROXY headers and TLS handshakes that failed or took too long.
    pub handshakes_failed: AtomicU64,
    /// Heads of which a byte was read.
    pub heads_begun: AtomicU64,
    /// Heads that a service took. Each has an event, its own or its connection's; the rest ended
    /// with their connection.
    pub heads_taken: AtomicU64,
}

impl Tally {
    /// Several listeners' counts as one.
    pub fn sum(tallies: &[std::sync::Arc<Self>]) -> Self {
        let sum = |counter: fn(&Self) -> &AtomicU64| {
            let counts = tallies.iter().map(|tally| counter(tally).load(Ordering::Relaxed));
            AtomicU64::new(counts.sum())
        };
        Self {
            connections: sum(|tally| &tally.connections),
            connections_refused: sum(|tally| &tally.connections_refused),
            handshakes_failed: sum(|tally| &tally.handshakes_failed),
            heads_begun: sum(|tally| &tally.heads_begun),
            heads_taken: sum(|tally| &tally.heads_taken),
        }
    }

    /// Counts one more.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The place where one head lies between reader and service. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct HeadQueue(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    head: RefCell<Option<Head>>,
    busy: Cell<bool>,
    body_open: Cell<bool>,
    wake: RefCell<Option<Waker>>,
}

impl HeadQueue {
    /// The head that hyper calls the service for. The exchange lasts until the guard is dropped.
    pub fn take(&self) -> Option<(Head, InFlight)> {
        let head = self.0.head.take()?;
        Some((head, InFlight(Rc::clone(&self.0))))
    }

    /// Bytes of the request's body have not been read from the client.
    pub fn body_open(&self) -> bool {
        self.0.body_open.get()
    }

    /// Lays down a head; the connection is busy with it from here.
    pub(super) fn put(&self, head: Head) {
        self.0.busy.set(true);
        self.0.head.replace(Some(head));
    }

    pub(super) fn is_busy(&self) -> bool {
        self.0.busy.get()
    }

    pub(super) fn set_body_open(&self, open: bool) {
        self.0.body_open.set(open);
    }

    /// `waker` is woken when the connection is not busy any more.
    pub(super) fn wake_when_idle(&self, waker: &Waker) {
        let mut wake = self.0.wake.borrow_mut();
        if !wake.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *wake = Some(waker.clone());
        }
    }
}

/// An exchange that is not over: kept beside the answer's body.
#[derive(Debug)]
pub struct InFlight(Rc<Inner>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.busy.set(false);
        if let Some(waker) = self.0.wake.take() {
            waker.wake();
        }
    }
}
