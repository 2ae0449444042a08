//! Work that would hold a worker: it is done on threads of its own, so many at once, and so much of
//! it waits. One source has a share of both, so that what one client sends keeps nobody else's
//! waiting.
//!
//! Work cannot be interrupted: that of a client who left is done all the same if it has begun, and
//! holds its thread until then.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

use crate::network::source;
use crate::shares::{Full, Shares};

/// Work that has begun or waits, of the process.
pub const WORK_MAX: usize = 256;

/// As that, of one source.
pub const WORK_PER_SOURCE_MAX: usize = 64;

/// What becomes of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was done.
    Done,
    /// It was not taken: too much waits.
    Full,
    /// It was not taken: too much of its source's waits.
    ShareFull,
    /// It panicked.
    Panicked,
    /// Nobody waited for it any more.
    Cancelled,
}

/// The threads, and who waits for one.
#[derive(Debug)]
pub struct Blocking {
    taken: Arc<Shares>,
    threads: Arc<Semaphore>,
    threads_per_source: usize,
    /// The share of threads of each source that has work here.
    sources: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
    ended: [AtomicU64; Ended::ALL.len()],
}

/// Limits of the work, in all and of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At once.
    pub threads: usize,
    /// At once, of one source.
    pub threads_per_source: usize,
    /// At once and waiting.
    pub work: usize,
    /// At once and waiting, of one source.
    pub work_per_source: usize,
}

impl Default for Limits {
    /// As many threads as there are processors, and two at least, of which one source has half.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, NonZero::get).max(2);
        Self {
            threads,
            threads_per_source: threads / 2,
            work: WORK_MAX,
            work_per_source: WORK_PER_SOURCE_MAX,
        }
    }
}

impl Ended {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::Done, Self::Full, Self::ShareFull, Self::Panicked, Self::Cancelled];

    /// The word in metrics, and in facts where something was not done.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Full => "pool_full",
            Self::ShareFull => "share_full",
            Self::Panicked => "panicked",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Default for Blocking {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Blocking {
    /// Threads and room for work within `limits`. Threads start when there is work.
    pub fn new(limits: Limits) -> Self {
        Self {
            taken: Shares::new(limits.work, limits.work_per_source),
            threads: Arc::new(Semaphore::new(limits.threads)),
            threads_per_source: limits.threads_per_source,
            sources: Mutex::default(),
            ended: [const { AtomicU64::new(0) }; Ended::ALL.len()],
        }
    }

    /// Does work for a client, and waits for it; if this is dropped before the work began, it is
    /// not done.
    ///
    /// # Errors
    /// It was not taken, or panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        client: IpAddr,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Ended> {
        let mut counted = Counted { blocking: self, ended: Ended::Cancelled };
        let place = self.taken.take(client, 1).map_err(|full| {
            counted.ended = match full {
                Full::All => Ended::Full,
                Full::Source => Ended::ShareFull,
            };
            counted.ended
        })?;
        let source = self.source(source(client));
        // Its source's first: who waits for that keeps no place in the line of all.
        let (Ok(own), Ok(thread)) =
            (source.acquire_owned().await, Arc::clone(&self.threads).acquire_owned().await)
        else {
            return Err(Ended::Cancelled);
        };
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work ends, whoever waits for it, and however it does.
            let _held = (place, own, thread);
            work()
        });
        let done = done.await;
        counted.ended = if done.is_ok() { Ended::Done } else { Ended::Panicked };
        done.map_err(|error| {
            tracing::error!(%error, "work on a request panicked");
            Ended::Panicked
        })
    }

    /// How often work ended so.
    pub fn ended(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.ended.iter().map(|count| count.load(Ordering::Relaxed));
        Ended::ALL.into_iter().map(Ended::as_str).zip(counts)
    }

    /// Work that has begun or waits.
    pub fn held(&self) -> usize {
        self.taken.held()
    }

    /// A source's threads. Who holds a place holds this, so there are no more than places.
    fn source(&self, source: IpAddr) -> Arc<Semaphore> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sources.get(&source).and_then(Weak::upgrade) {
            return known;
        }
        sources.retain(|_, known| known.strong_count() > 0);
        let threads = Arc::new(Semaphore::new(self.threads_per_source));
        sources.insert(source, Arc::downgrade(&threads));
        threads
    }
}

/// Counts how work ended, when nobody waits for it any more.
struct Counted<'a> {
    blocking: &'a Blocking,
    ended: Ended,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let place = Ended::ALL.iter().position(|ended| *ended == self.ended);
        if let Some(count) = place.and_then(|place| self.blocking.ended.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
