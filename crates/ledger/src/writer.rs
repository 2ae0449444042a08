//! The one thread that writes: it gives each event its index, grows the tree, signs one
//! checkpoint a group, writes the frame, and then tells whoever waits.
//!
//! A group is what queued up while the last one was written; when there is much to write, it is
//! what came within [`INTERVAL`], so that a signature, a write and a waking stand for many events
//! and not for a few. It never retries a sync on the
//! same file: after an error all that is not known to be durable goes to a new segment once
//! more, byte for byte, and if that fails too the ledger has failed.

#![expect(clippy::disallowed_methods, reason = "heartbeats and turning epochs need a clock")]

mod own;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc as async_mpsc, oneshot, watch};
use uuid::Uuid;

use crate::cursor::Cursor;
use crate::epoch::{Epoch, Maker};
use crate::event::{Completion, Counters, DecisionRef, Durability, Record};
use crate::ledger::{Digests, Handle, Health, Progress, Shared};
use crate::open::OpenDecision;
use crate::receipt::{Durable, Open};
use crate::tlog::leaf_hash;
use crate::wal::Mark;
use crate::wal::frame::{Builder, Codec};
use crate::wal::prepare::Prepared;
use crate::wal::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::wal::space::{COMPLETION_ROOM, OWN_ROOM, body_bytes_max};
use crate::wal::spool::Compress;

/// How long a group that nobody waits for may stay unsynced when nothing follows it.
const UNSYNCED_MAX: Duration = Duration::from_millis(20);
/// Time from the beginning of one group to that of the next, when there is much to write.
const INTERVAL: Duration = Duration::from_millis(1);
/// Events of a group after which there is: fewer come from clients that wait for one answer
/// before they ask again, and they are not held up.
const DENSE: usize = 8;
/// Leaves at which a log is turned: well before a path has more than 24 hashes.
const LEAVES_TURN: u64 = (1 << 24) - (1 << 20);

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Record a decision.
    Open(Box<OpenJob>),
    /// Record an event; `room` was promised for it.
    Note { record: Record, room: i64, durable: oneshot::Sender<u64> },
    /// Record how a decision ended.
    Close { decision: Uuid, record: Record },
    /// Record that nobody said how a decision ended.
    Abandon { decision: Uuid },
    /// End the log.
    End { done: oneshot::Sender<()> },
}

/// A decision to record.
#[derive(Debug)]
pub(crate) struct OpenJob {
    pub(crate) record: Record,
    pub(crate) reference: Arc<DecisionRef>,
    pub(crate) durability: Durability,
    /// Promised for the decision itself.
    pub(crate) room: i64,
    pub(crate) ledger: Arc<Handle>,
    pub(crate) written: oneshot::Sender<Open>,
}

/// What is done for the events of a group once it is written, and once it is durable.
#[derive(Default)]
struct Effects {
    opened: Vec<(OpenDecision, Opened)>,
    closed: Vec<Uuid>,
    noted: Vec<(u64, oneshot::Sender<u64>)>,
    /// Room that was promised for the events.
    room: i64,
    /// Somebody waits for the sync.
    awaited: bool,
}

struct Opened {
    durability: Durability,
    ledger: Arc<Handle>,
    written: oneshot::Sender<Open>,
}

/// What becomes of a group, or of several, once they are durable.
#[derive(Default)]
struct OnSync {
    strict: Vec<(oneshot::Sender<Open>, Open)>,
    gated: Vec<oneshot::Sender<()>>,
    closed: Vec<Uuid>,
    noted: Vec<(u64, oneshot::Sender<u64>)>,
}

/// The writer and all it owns.
pub(crate) struct Writer {
    pub(crate) options: Fixed,
    pub(crate) shared: Arc<Shared>,
    pub(crate) maker: Maker,
    pub(crate) prepared: Arc<Prepared>,
    jobs: Receiver<Job>,
    trail: async_mpsc::UnboundedSender<Cursor>,
    epoch: Epoch,
    segment: Segment,
    progress: watch::Sender<Progress>,
    builder: Builder,
    effects: Effects,
    on_sync: OnSync,
    /// Frames that are not known to be durable.
    unsynced: Vec<Vec<u8>>,
    synced: u64,
    /// A job that did not fit the group before.
    held_back: Option<Job>,
    /// What is left of the room for the log's own records.
    own_room: i64,
    counters: Counters,
    /// What callers had counted when the log was opened.
    before: Counters,
    beat_at: Instant,
    /// Since when the last group was gathered, and whether it was [`DENSE`].
    began: Instant,
    dense: bool,
    above_watermark: bool,
}

/// What does not change while the process lives.
pub(crate) struct Fixed {
    pub(crate) binary: String,
    pub(crate) digests: Digests,
    pub(crate) compress: Compress,
    pub(crate) heartbeat: Duration,
    pub(crate) epoch_max: Duration,
}

/// The epoch that a writer begins with.
pub(crate) struct Begin {
    pub(crate) epoch: Epoch,
    pub(crate) segment: Segment,
    pub(crate) progress: watch::Sender<Progress>,
}

/// What came out of the queue.
enum Next {
    Job(Job),
    Idle,
    Gone,
}

impl Writer {
    pub(crate) fn new(
        options: Fixed,
        shared: Arc<Shared>,
        maker: Maker,
        prepared: Arc<Prepared>,
        begin: Begin,
        jobs: Receiver<Job>,
        trail: async_mpsc::UnboundedSender<Cursor>,
    ) -> Self {
        let Begin { epoch, segment, progress } = begin;
        // Whatever else happens, the log can say its last words.
        shared.space.take(OWN_ROOM);
        Self {
            builder: Builder::new(body_bytes_max(shared.space.segment_bytes())),
            beat_at: Instant::now() + options.heartbeat,
            began: Instant::now(),
            dense: false,
            options,
            shared,
            maker,
            prepared,
            jobs,
            trail,
            epoch,
            segment,
            progress,
            effects: Effects::default(),
            on_sync: OnSync::default(),
            unsynced: Vec::new(),
            synced: 0,
            held_back: None,
            own_room: OWN_ROOM,
            counters: Counters::default(),
            before: Counters::default(),
            above_watermark: false,
        }
    }

    /// Works until the ledger is closed or nobody is left to use it.
    pub(crate) fn run(mut self) {
        let ended = self.work().and_then(|closer| self.prepared.stop().map(|()| closer));
        if let Err(error) = &ended {
            tracing::error!(%error, "the ledger has failed");
            self.shared.stop(Health::Failed(error.to_string()));
        }
        let jobs = self.into_jobs();
        match ended {
            // The spool's lock is released before the closer is told.
            Ok(closer) => drop(closer.map(|done| done.send(()))),
            // Nothing can be recorded any more: jobs are refused until nobody sends any.
            Err(_) => while jobs.recv().is_ok() {},
        }
    }

    /// Returns whom to tell that the log has ended, if somebody asked for it.
    fn work(&mut self) -> io::Result<Option<oneshot::Sender<()>>> {
        loop {
            self.shared.position().busy_since = None;
            let next = self.next();
            self.shared.position().busy_since = Some(Instant::now());
            match next {
                Next::Job(Job::End { done }) => {
                    self.shared.stop(Health::Closed);
                    return self.end("stop").map(|()| Some(done));
                }
                Next::Job(job) => {
                    self.pace();
                    self.gather(job)?;
                    self.commit()?;
                }
                Next::Idle => self.sync()?,
                Next::Gone => {
                    self.shared.stop(Health::Closed);
                    return self.end("stop").map(|()| None);
                }
            }
            if Instant::now() >= self.beat_at {
                self.tick()?;
            }
        }
    }

    /// The next job, or nothing to do until the next sync or heartbeat is due.
    fn next(&mut self) -> Next {
        if let Some(job) = self.held_back.take() {
            return Next::Job(job);
        }
        let mut patience = self.beat_at.saturating_duration_since(Instant::now());
        if !self.unsynced.is_empty() {
            patience = patience.min(UNSYNCED_MAX);
        }
        match self.jobs.recv_timeout(patience) {
            Ok(job) => Next::Job(job),
            Err(RecvTimeoutError::Timeout) => Next::Idle,
            Err(RecvTimeoutError::Disconnected) => Next::Gone,
        }
    }

    /// Lets more come, if much came last time.
    fn pace(&mut self) {
        if self.dense {
            std::thread::sleep(INTERVAL.saturating_sub(self.began.elapsed()));
        }
        self.began = Instant::now();
    }

    /// Takes `job` and whatever else has queued up, as far as it fits one group.
    fn gather(&mut self, job: Job) -> io::Result<()> {
        let mut slots = 0;
        let mut next = Some(job);
        while let Some(job) = next.take() {
            let fits = match &job {
                Job::Open(open) => self.builder.fits(&open.record),
                Job::Note { record, .. } | Job::Close { record, .. } => self.builder.fits(record),
                Job::Abandon { .. } => true,
                Job::End { .. } => false,
            };
            if !fits {
                self.held_back = Some(job);
                break;
            }
            slots += usize::from(matches!(job, Job::Open(_) | Job::Note { .. }));
            self.take(job)?;
            next = self.jobs.try_recv().ok();
        }
        self.shared.slots.add_permits(slots);
        Ok(())
    }

    /// Puts one job's event into the group.
    fn take(&mut self, job: Job) -> io::Result<()> {
        match job {
            Job::Open(job) => {
                let OpenJob { record, reference, durability, room, ledger, written } = *job;
                let index = self.push(&record, None)?;
                let open = OpenDecision { reference, epoch: self.epoch.id, index };
                self.effects.opened.push((open, Opened { durability, ledger, written }));
                self.effects.room += room;
                self.effects.awaited |= durability != Durability::Buffered;
                self.counters.decisions += 1;
            }
            Job::Note { record, room, durable } => {
                let index = self.push(&record, None)?;
                self.effects.noted.push((index, durable));
                self.effects.room += room;
                self.effects.awaited = true;
            }
            Job::Close { decision, record } => self.complete(decision, &record)?,
            Job::Abandon { decision } => self.abandon(decision)?,
            // `gather` lets no end through.
            Job::End { .. } => {}
        }
        Ok(())
    }

    fn complete(&mut self, decision: Uuid, record: &Record) -> io::Result<()> {
        self.push(record, Some(decision))?;
        self.effects.closed.push(decision);
        self.effects.room += COMPLETION_ROOM;
        self.counters.completions += 1;
        Ok(())
    }

    fn abandon(&mut self, decision: Uuid) -> io::Result<()> {
        let Some(reference) = self.shared.open.reference(&decision) else {
            return Ok(());
        };
        let completion = Completion::abandoned(self.now());
        let record = completion.record(Uuid::now_v7(), &reference, &self.shared.producer);
        let record = record.map_err(io::Error::other)?;
        self.complete(decision, &record)
    }

    /// Adds an event to the group, as the tree's next leaf.
    fn push(&mut self, record: &Record, decision: Option<Uuid>) -> io::Result<u64> {
        if !self.builder.fits(record) {
            self.commit()?;
        }
        let index = self.epoch.tree.size();
        self.epoch.tree.push(leaf_hash(&record.value));
        self.builder.push(record, decision);
        self.counters.event_bytes += record.value.len() as u64;
        Ok(index)
    }

    /// Writes the group, and syncs if somebody waits or the one before is not synced either.
    fn commit(&mut self) -> io::Result<()> {
        if self.builder.events() == 0 {
            return Ok(());
        }
        let size = self.epoch.tree.size();
        let first = size - self.builder.events() as u64;
        self.dense = self.builder.events() >= DENSE;
        let checkpoint = self.epoch.signer.sign_checkpoint(size, &self.epoch.tree.root());
        let frame = self.builder.seal(self.codec(), first, self.synced, &checkpoint);
        let effects = std::mem::take(&mut self.effects);
        self.shared.space.give_back(effects.room - frame.len() as i64);
        self.append(frame)?;
        let awaited = effects.awaited;
        self.written(effects);
        self.shared.position().size = size;
        if awaited || self.unsynced.len() > 1 {
            self.sync()?;
        }
        Ok(())
    }

    fn commit_durably(&mut self) -> io::Result<()> {
        self.effects.awaited = true;
        self.commit()?;
        self.effects.awaited = false;
        self.sync()
    }

    /// Hands out what was promised for a written group, and keeps the rest until the sync.
    fn written(&mut self, effects: Effects) {
        self.shared.open.insert(effects.opened.iter().map(|(open, _)| open.clone()));
        for (open, Opened { durability, ledger, written }) in effects.opened {
            let (durable, receiver) = match durability {
                Durability::Gated => {
                    let (sender, receiver) = oneshot::channel();
                    (Durable::Soon(receiver), Some(sender))
                }
                Durability::Strict | Durability::Buffered => (Durable::Yes, None),
            };
            let open = Open::new(ledger, open.reference, open.index, durable);
            self.on_sync.gated.extend(receiver);
            match durability {
                Durability::Strict => self.on_sync.strict.push((written, open)),
                // If the caller has given up, the open decision comes back, is dropped, and so abandoned.
                Durability::Gated | Durability::Buffered => drop(written.send(open)),
            }
        }
        self.on_sync.closed.extend(effects.closed);
        self.on_sync.noted.extend(effects.noted);
    }

    /// Makes everything written durable, and tells whoever waited for it.
    fn sync(&mut self) -> io::Result<()> {
        if self.unsynced.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.segment.sync(&self.maker.disk) {
            self.move_on(&error)?;
        }
        self.synced_now();
        Ok(())
    }

    fn synced_now(&mut self) {
        self.unsynced.clear();
        self.synced = self.progress_index();
        let end =
            Mark { segment: self.segment.number, offset: self.segment.offset, index: self.synced };
        self.progress.send_replace(Progress { end, ended: false });
        self.shared.position().synced = self.synced;
        let done = std::mem::take(&mut self.on_sync);
        self.shared.open.remove(done.closed);
        for (written, open) in done.strict {
            drop(written.send(open));
        }
        for durable in done.gated {
            let _ = durable.send(());
        }
        for (index, durable) in done.noted {
            let _ = durable.send(index);
        }
    }

    /// The index after the last event that is written.
    fn progress_index(&self) -> u64 {
        self.epoch.tree.size() - self.builder.events() as u64
    }

    /// Appends a frame; a segment is synced before the next one is begun.
    fn append(&mut self, frame: Vec<u8>) -> io::Result<()> {
        if !self.segment.has_room(frame.len()) {
            if !self.unsynced.is_empty()
                && let Err(error) = self.segment.sync(&self.maker.disk)
            {
                self.move_on(&error)?;
            } else {
                self.next_segment()?;
            }
            // What is known to be durable is not written again if the new segment fails.
            self.unsynced.clear();
        }
        let appended = self.segment.append(&self.maker.disk, &frame);
        self.unsynced.push(frame);
        match appended {
            Ok(()) => Ok(()),
            Err(error) => self.move_on(&error),
        }
    }

    /// Leaves a segment that failed: what is not known to be durable goes to a new one, synced.
    fn move_on(&mut self, error: &io::Error) -> io::Result<()> {
        tracing::warn!(%error, segment = self.segment.number, "the log leaves a segment that failed");
        self.next_segment()?;
        for frame in &self.unsynced {
            if !self.segment.has_room(frame.len()) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.segment.append(&self.maker.disk, frame)?;
            self.shared.space.take(frame.len() as i64);
        }
        self.segment.sync(&self.maker.disk)
    }

    fn next_segment(&mut self) -> io::Result<()> {
        let next = self.prepared.take()?;
        self.shared.space.segment_sealed(self.segment.offset - SEGMENT_HEADER_BYTES as u64);
        self.segment = next;
        Ok(())
    }

    fn codec(&self) -> Codec {
        match self.options.compress {
            Compress::Never => Codec::Raw,
            Compress::Behind if !self.shared.space.is_behind() => Codec::Raw,
            Compress::Behind | Compress::Always => Codec::Zstd,
        }
    }

    fn now(&self) -> i64 {
        (self.shared.now)()
    }

    /// Lets everything go but the queue: whoever waits is told by the end of their channel.
    fn into_jobs(self) -> Receiver<Job> {
        let Self { jobs, .. } = self;
        jobs
    }
}
