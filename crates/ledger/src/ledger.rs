//! The [`Ledger`]: takes decisions in, hands receipts out.
//!
//! It decides nothing and retries nothing: what cannot be recorded in time is [`Unavailable`],
//! and whoever asked refuses the request.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, TryAcquireError, oneshot};
use uuid::Uuid;

use crate::cursor::Trail;
use crate::event::limit::EVENT_BYTES_MAX;
use crate::event::{Aggregate, Decision, DecisionRef, Durability, EventError, Producer, Record};
use crate::keys::{Issuer, KeyError};
use crate::losses::{Losses, Reason};
use crate::note::NoteError;
use crate::open::OpenDecisions;
use crate::receipt::{Open, Receipt};
use crate::wal::frame::TRACEPARENT_BYTES_MAX;
use crate::wal::space::{COMPLETION_ROOM, Space, event_room};
use crate::wal::{EpochId, Mark, WalError, spool::SpoolOptions};
use crate::writer::{Job, OpenJob};

/// Decisions and notes that wait for the writer, at most. More wait outside, to their deadline.
pub const QUEUE_MAX: usize = 4096;

/// Everything a ledger is started with.
pub struct Options {
    /// Who writes: the product's version and the log's name without its epoch.
    pub producer: Producer,
    /// Certifies each epoch's key; its certificate is kept beside each epoch.
    pub issuer: Issuer,
    /// SHA-256 of the binary, hex: for `log_open`.
    pub binary: String,
    /// Digests of what is loaded, SHA-256 in hex: for `log_open`.
    pub digests: Digests,
    /// Where the record is kept.
    pub spool: SpoolOptions,
    /// How long a decision may wait to be recorded.
    pub deadline: Duration,
    /// Time between heartbeats.
    pub heartbeat: Duration,
    /// Age at which a log is closed and the next one opened, less than its key's 25 hours.
    pub epoch_max: Duration,
    /// The wall clock, Unix milliseconds.
    pub now: fn() -> i64,
}

/// Digests of what is loaded, SHA-256 in hex; empty where nothing is.
#[derive(Debug, Clone, Default)]
pub struct Digests {
    /// The configuration.
    pub config: String,
    /// The policies.
    pub policies: String,
    /// The schema.
    pub schema: String,
    /// The entities.
    pub entities: String,
    /// The rules of the rule engine, and what routes make of them.
    pub rules: String,
}

impl Options {
    /// Options with the usual times: 2 s to record, a heartbeat every 10 s, a log a day.
    pub fn new(producer: Producer, issuer: Issuer, spool: SpoolOptions, now: fn() -> i64) -> Self {
        Self {
            producer,
            issuer,
            binary: String::new(),
            digests: Digests::default(),
            spool,
            deadline: Duration::from_secs(2),
            heartbeat: Duration::from_secs(10),
            epoch_max: Duration::from_secs(23 * 3600),
            now,
        }
    }
}

/// Why a ledger did not start. Nothing that was recorded has been changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An option is out of its range.
    #[error("spool option `{option}` is {value}, allowed is {min} to {max}")]
    Option {
        /// Its name.
        option: &'static str,
        /// Its value.
        value: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// The directory cannot be used.
    #[error("spool `{dir}` cannot be used")]
    Spool {
        /// The spool.
        dir: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process holds it.
    #[error("spool `{dir}` is locked by another process")]
    Locked {
        /// The spool.
        dir: PathBuf,
    },
    /// The filesystem forgets, and nobody declared that this is accepted.
    #[error(
        "spool `{dir}` is on `{filesystem}`, which does not outlive a restart; declare it `volatile` to accept that"
    )]
    Volatile {
        /// The spool.
        dir: PathBuf,
        /// The filesystem's name.
        filesystem: String,
    },
    /// No room for another log beside those that are not shipped.
    #[error(
        "spool `{dir}` is full: `{used}` of `{max}` bytes hold logs that are not shipped; raise `bytes_max` to start and ship them"
    )]
    Full {
        /// The spool.
        dir: PathBuf,
        /// Bytes in use.
        used: u64,
        /// Bytes the spool may use.
        max: u64,
    },
    /// An earlier log cannot be read.
    #[error("an earlier log in the spool cannot be read")]
    Wal(#[from] WalError),
    /// The epoch's key could not be made or certified.
    #[error("the key of a new log cannot be certified")]
    Key(#[from] KeyError),
    /// The first event could not be made.
    #[error("the first event of a new log cannot be made")]
    Event(#[from] EventError),
    /// The writer gave up before its first sync.
    #[error("the first records of a new log cannot be written: {0}")]
    Write(String),
}

impl From<NoteError> for StartError {
    fn from(error: NoteError) -> Self {
        Self::Key(error.into())
    }
}

/// Why a decision was not recorded. The request must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The spool is full.
    #[error("the spool is full")]
    Full,
    /// It took longer than the deadline.
    #[error("the ledger did not record it in time")]
    Late,
    /// The log cannot be written any more.
    #[error("the ledger cannot be written")]
    Failed,
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// The record is empty, too large, or not one line.
    #[error("the record is empty, too large, or not one line")]
    Malformed,
}

/// How the ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It records.
    Ok,
    /// The spool is full: every decision is refused.
    Full,
    /// The disk has not answered for longer than a decision may wait: until it does, every
    /// decision is refused.
    Stalled,
    /// A write failed twice: every decision is refused, until the process is restarted.
    Failed(String),
    /// It was closed.
    Closed,
}

/// What operators see of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The live log's origin.
    pub origin: String,
    /// Its leaves.
    pub size: u64,
    /// Of these, durable.
    pub synced: u64,
    /// Of these, shipped.
    pub shipped: u64,
    /// Earlier logs that are not wholly shipped.
    pub unshipped_epochs: u64,
    /// Decisions without a durable completion.
    pub open_decisions: u64,
    /// Requests that no record stands for yet, and those of which only a loss record tells.
    pub unrecorded: u64,
    /// Bytes of the spool that hold events or are promised to some.
    pub spool_used_bytes: u64,
    /// Bytes the spool may use.
    pub spool_max_bytes: u64,
    /// The spool is filled to 70 % or more.
    pub above_watermark: bool,
    /// How it is.
    pub health: Health,
}

/// Where the live log stands.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    pub(crate) epoch: EpochId,
    pub(crate) origin: Arc<str>,
    pub(crate) size: u64,
    pub(crate) synced: u64,
    pub(crate) shipped: u64,
    /// Since when the writer is at work, if it is.
    pub(crate) busy_since: Option<Instant>,
}

/// How far a log is durable, for whoever reads its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) end: Mark,
    /// No more will come.
    pub(crate) ended: bool,
}

/// What the writer, the callers and the cursors share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) space: Arc<Space>,
    pub(crate) open: OpenDecisions,
    pub(crate) losses: Losses,
    /// Requests that were not recorded, in all.
    pub(crate) unrecorded: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) answers: AtomicU64,
    pub(crate) aggregated: AtomicU64,
    pub(crate) unshipped_epochs: AtomicU64,
    pub(crate) position: Mutex<Position>,
    pub(crate) producer: Producer,
    pub(crate) slots: Semaphore,
    pub(crate) now: fn() -> i64,
    stopped: AtomicBool,
    stop: Mutex<Option<Health>>,
}

impl Shared {
    pub(crate) fn new(
        space: Arc<Space>,
        producer: Producer,
        now: fn() -> i64,
        position: Position,
    ) -> Self {
        Self {
            space,
            open: OpenDecisions::default(),
            losses: Losses::default(),
            unrecorded: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            aggregated: AtomicU64::new(0),
            unshipped_epochs: AtomicU64::new(0),
            position: Mutex::new(position),
            producer,
            slots: Semaphore::new(QUEUE_MAX),
            now,
            stopped: AtomicBool::new(false),
            stop: Mutex::new(None),
        }
    }

    /// Where the live log stands.
    pub(crate) fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is taken any more, for this reason.
    pub(crate) fn stop(&self, health: Health) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(health);
        self.stopped.store(true, Ordering::Release);
        self.slots.close();
        self.space.starve();
    }

    fn health(&self) -> Health {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match stop {
            Some(health) => health,
            None if self.space.is_full() => Health::Full,
            None => Health::Ok,
        }
    }

    /// Why nothing is taken.
    fn why_stopped(&self) -> Unavailable {
        match self.health() {
            Health::Closed => Unavailable::Closed,
            Health::Ok | Health::Full | Health::Stalled | Health::Failed(_) => Unavailable::Failed,
        }
    }

    fn lose(&self, reason: Reason) {
        self.losses.count(reason, (self.now)());
        self.unrecorded.fetch_add(1, Ordering::Relaxed);
    }
}

/// The way to the writer. It ends when the last ledger and the last open decision are gone.
#[derive(Debug)]
pub(crate) struct Handle {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    deadline: Duration,
}

impl Handle {
    /// Sends what has its room already. After the end there is nobody to take it: the writer
    /// has closed every open decision itself.
    pub(crate) fn send(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    /// Records an event that nobody waits for, if there is room for it now.
    pub(crate) fn note_now(&self, record: Record) -> Result<(), Unavailable> {
        let shared = &self.shared;
        if !is_sound(&record) {
            return Err(Unavailable::Malformed);
        }
        let room = event_room(record.value.len());
        let slot = shared.slots.try_acquire().map_err(|error| match error {
            TryAcquireError::Closed => shared.why_stopped(),
            TryAcquireError::NoPermits => Unavailable::Late,
        })?;
        if !shared.space.reserve(room) {
            return Err(Unavailable::Full);
        }
        // The writer gives the place back when it takes the job.
        slot.forget();
        let (durable, _) = oneshot::channel();
        self.send(Job::Note { record, room, durable });
        Ok(())
    }

    /// Who writes events.
    pub(crate) fn producer(&self) -> &Producer {
        &self.shared.producer
    }

    /// An id for an event.
    #[expect(clippy::disallowed_methods, reason = "an id is a time and random bits")]
    pub(crate) fn fresh_uid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// The durable record. Cloning it is cheap; the log is closed by [`close`](Self::close), or
/// when the last clone and the last open decision are gone.
#[derive(Debug, Clone)]
pub struct Ledger {
    handle: Arc<Handle>,
    trail: Arc<Mutex<Option<Trail>>>,
}

impl Ledger {
    pub(crate) fn new(
        jobs: mpsc::Sender<Job>,
        shared: Arc<Shared>,
        deadline: Duration,
        trail: Trail,
    ) -> Self {
        let handle = Handle { jobs, shared, deadline };
        Self { handle: Arc::new(handle), trail: Arc::new(Mutex::new(Some(trail))) }
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// Records a decision. Returns once it is written to the log's file, for `strict` once it
    /// is durable. If the caller gives up waiting, a decision that was already on its way is
    /// recorded and completed as `abandoned`.
    ///
    /// # Errors
    /// [`Unavailable`]: the decision is not recorded, or the caller must take it for that.
    pub async fn open<T>(
        &self,
        decision: Decision,
        durability: Durability,
        value: T,
    ) -> Result<Receipt<T>, Unavailable> {
        let (record, reference) = decision.into_parts();
        let open = self.sequence(record, Arc::new(reference), durability);
        match tokio::time::timeout(self.handle.deadline, open).await {
            Ok(open) => open.map(|open| Receipt::new(value, open)),
            Err(_) => Err(Unavailable::Late),
        }
    }

    async fn sequence(
        &self,
        record: Record,
        reference: Arc<DecisionRef>,
        durability: Durability,
    ) -> Result<Open, Unavailable> {
        let mut loss = Loss { shared: self.shared(), reason: Some(Reason::NotTaken) };
        let room = event_room(record.value.len());
        if let Err(why) = self.admit(&record, room + COMPLETION_ROOM).await {
            loss.reason = Some(match why {
                Unavailable::Full => Reason::SpoolFull,
                Unavailable::Late => Reason::NotTaken,
                Unavailable::Failed | Unavailable::Closed | Unavailable::Malformed => {
                    Reason::WriteFailed
                }
            });
            return Err(why);
        }
        let (written, recorded) = oneshot::channel();
        let ledger = Arc::clone(&self.handle);
        self.handle.send(Job::Open(Box::new(OpenJob {
            record,
            reference,
            durability,
            room,
            ledger,
            written,
        })));
        loss.reason = None;
        recorded.await.map_err(|_| self.shared().why_stopped())
    }

    /// Records an event that has no completion: a reload, an authentication, a finding.
    /// Returns its index once it is durable; the deadline is for its being taken.
    ///
    /// # Errors
    /// [`Unavailable`]: it is not recorded, or the log has failed.
    pub async fn note(&self, record: Record) -> Result<u64, Unavailable> {
        let room = event_room(record.value.len());
        let admitted = tokio::time::timeout(self.handle.deadline, self.admit(&record, room));
        admitted.await.unwrap_or(Err(Unavailable::Late))?;
        let (durable, index) = oneshot::channel();
        self.handle.send(Job::Note { record, room, durable });
        index.await.map_err(|_| self.shared().why_stopped())
    }

    /// Records refusals that were folded together, and counts what they stand for.
    ///
    /// # Errors
    /// [`Unavailable`]: it is not recorded; the caller keeps its counts.
    pub async fn aggregate(&self, aggregate: &Aggregate<'_>) -> Result<u64, Unavailable> {
        let record = aggregate.record(self.handle.fresh_uid(), self.handle.producer());
        let index = self.note(record.map_err(|_| Unavailable::Malformed)?).await?;
        self.shared().aggregated.fetch_add(aggregate.count(), Ordering::Relaxed);
        Ok(index)
    }

    /// A queue place and room in the spool.
    async fn admit(&self, record: &Record, room: i64) -> Result<(), Unavailable> {
        let shared = self.shared();
        if !is_sound(record) {
            return Err(Unavailable::Malformed);
        }
        let slot = shared.slots.acquire().await.map_err(|_| shared.why_stopped())?;
        let reserved = shared.space.reserve_soon(room).await;
        if shared.stopped.load(Ordering::Acquire) {
            return Err(shared.why_stopped());
        }
        if !reserved {
            return Err(Unavailable::Full);
        }
        // The writer gives the place back when it takes the job.
        slot.forget();
        Ok(())
    }

    /// Counts the head of a request, read or not: for the heartbeat.
    pub fn count_request(&self) {
        self.shared().requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer whose head was sent: for the heartbeat.
    pub fn count_answer(&self) {
        self.shared().answers.fetch_add(1, Ordering::Relaxed);
    }

    /// Who writes events, for those who make them.
    pub fn producer(&self) -> &Producer {
        self.handle.producer()
    }

    /// The logs to ship, oldest first, the live one last. The first caller has it.
    pub fn trail(&self) -> Option<Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// How the ledger is.
    pub fn status(&self) -> Status {
        let shared = self.shared();
        let position = shared.position().clone();
        let busy = position.busy_since.map(|since| since.elapsed());
        let stalled = busy.is_some_and(|busy| busy > self.handle.deadline);
        Status {
            origin: position.origin.to_string(),
            size: position.size,
            synced: position.synced,
            shipped: position.shipped,
            unshipped_epochs: shared.unshipped_epochs.load(Ordering::Relaxed),
            open_decisions: shared.open.count(),
            unrecorded: shared.unrecorded.load(Ordering::Relaxed),
            spool_used_bytes: shared.space.used(),
            spool_max_bytes: shared.space.max(),
            above_watermark: shared.space.above_watermark(),
            health: match shared.health() {
                Health::Ok if stalled => Health::Stalled,
                health => health,
            },
        }
    }

    /// Completes what is open as `abandoned`, writes `log_close`, and syncs. Close it when no
    /// request is being handled any more; what comes later is [`Unavailable::Closed`].
    ///
    /// # Errors
    /// [`Unavailable::Failed`] if the log could not be brought to its end.
    pub async fn close(&self) -> Result<(), Unavailable> {
        let (done, closed) = oneshot::channel();
        self.handle.send(Job::End { done });
        match closed.await {
            Ok(()) => Ok(()),
            Err(_) if self.shared().health() == Health::Closed => Ok(()),
            Err(_) => Err(Unavailable::Failed),
        }
    }
}

/// Counts a request that nothing was recorded of, unless it is told otherwise.
struct Loss<'a> {
    shared: &'a Shared,
    reason: Option<Reason>,
}

impl Drop for Loss<'_> {
    fn drop(&mut self) {
        if let Some(reason) = self.reason {
            self.shared.lose(reason);
        }
    }
}

/// Whether the log can hold it.
fn is_sound(record: &Record) -> bool {
    (1..=EVENT_BYTES_MAX).contains(&record.value.len())
        && record.traceparent.as_ref().is_none_or(|text| text.len() <= TRACEPARENT_BYTES_MAX)
        && memchr::memchr(b'\n', &record.value).is_none()
}
