//! What the log says of itself: `log_open`, heartbeats, watermarks, losses, `log_close`; and the
//! turn from one epoch to the next.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::watch;
use uuid::Uuid;

use super::{LEAVES_TURN, Writer};
use crate::cursor::Cursor;
use crate::event::{
    Completion, Counters, DecisionRef, Digests, Heartbeat, LogClose, LogOpen, Loss, Previous,
    Record, Watermark,
};
use crate::ledger::{Position, Progress, Shared, StartError};
use crate::wal::segment::SEGMENT_HEADER_BYTES;
use crate::wal::space::{COMPLETION_ROOM, CONTROL_ROOM, LAST_WORDS, OWN_ROOM, event_room};
use crate::wal::spool;
use crate::wal::walk::Walk;

impl Writer {
    /// Writes `log_open` and the completions that a crash left unwritten, durably.
    ///
    /// # Errors
    /// [`StartError`]: what could not be made or written.
    pub(crate) fn begin(
        &mut self,
        previous: Option<&spool::Previous>,
        crashed: &[DecisionRef],
    ) -> Result<(), StartError> {
        self.log_open(previous, crashed.len() as u64)?;
        for reference in crashed {
            let record = Completion::crashed(self.now()).record(
                Uuid::now_v7(),
                reference,
                &self.shared.producer,
            )?;
            self.shared.space.take(COMPLETION_ROOM);
            self.complete(reference.uid(), &record).map_err(write_error)?;
        }
        self.commit_durably().map_err(write_error)
    }

    /// What is done every so often: heartbeat, watermark, losses, turning the epoch.
    pub(super) fn tick(&mut self) -> io::Result<()> {
        self.beat_at = Instant::now() + self.options.heartbeat;
        if !self.segment.is_in(&self.epoch.dir)? {
            let dir = self.epoch.dir.display();
            return Err(io::Error::other(format!("the log's file is gone from `{dir}`")));
        }
        let missing = OWN_ROOM - self.own_room;
        if missing > 0 && self.shared.space.reserve(missing) {
            self.own_room = OWN_ROOM;
        }
        self.watermark()?;
        if !self.shared.space.is_full() {
            self.losses()?;
        }
        self.heartbeat()?;
        self.sync()?;
        let old = self.epoch.opened.elapsed() >= self.options.epoch_max;
        if old || self.epoch.tree.size() >= LEAVES_TURN || !self.key_is_valid() {
            self.turn()?;
        }
        Ok(())
    }

    /// Whether the log's key covers what is recorded now: the wall clock may jump, and the issuer's
    /// key may expire within the day.
    fn key_is_valid(&self) -> bool {
        self.epoch.validity.check(self.now_s()).is_ok()
    }

    fn now_s(&self) -> u64 {
        u64::try_from(self.now() / 1000).unwrap_or(0)
    }

    fn heartbeat(&mut self) -> io::Result<()> {
        if self.own_room < (LAST_WORDS + 1) * CONTROL_ROOM {
            tracing::warn!("the spool is full: no room for a heartbeat");
            return Ok(());
        }
        let counters = self.counters();
        let origin = Arc::clone(&self.epoch.origin);
        let beat = Heartbeat {
            origin: &origin,
            interval_ms: u64::try_from(self.options.heartbeat.as_millis()).unwrap_or(u64::MAX),
            size: self.epoch.tree.size() + 1,
            open: self.shared.open.count(),
            spool_used_bytes: self.shared.space.used(),
            spool_max_bytes: self.shared.space.max(),
            counters,
        };
        let record = beat.record(Uuid::now_v7(), self.now(), &self.shared.producer);
        self.own(record.map_err(io::Error::other)?)
    }

    fn counters(&self) -> Counters {
        let elapsed_us = i64::try_from(self.epoch.opened.elapsed().as_micros()).unwrap_or(i64::MAX);
        let wall_us = self.now().saturating_sub(self.epoch.opened_ms).saturating_mul(1000);
        let now = tally(&self.shared);
        Counters {
            requests: now.requests - self.before.requests,
            answers: now.answers - self.before.answers,
            aggregated: now.aggregated - self.before.aggregated,
            dropped: now.dropped - self.before.dropped,
            clock_offset_us: wall_us.saturating_sub(elapsed_us),
            ..self.counters
        }
    }

    fn watermark(&mut self) -> io::Result<()> {
        let above = self.shared.space.above_watermark();
        if above == self.above_watermark || self.own_room < LAST_WORDS * CONTROL_ROOM {
            return Ok(());
        }
        self.above_watermark = above;
        let (used, max) = (self.shared.space.used(), self.shared.space.max());
        if above {
            tracing::warn!(used, max, "the spool is filled to 70 % or more");
        }
        let origin = Arc::clone(&self.epoch.origin);
        let watermark =
            Watermark { origin: &origin, above, spool_used_bytes: used, spool_max_bytes: max };
        let record = watermark.record(Uuid::now_v7(), self.now(), &self.shared.producer);
        self.own(record.map_err(io::Error::other)?)
    }

    /// Says how many requests were not recorded.
    fn losses(&mut self) -> io::Result<()> {
        while let Some((reason, span)) = self.shared.losses.take() {
            if self.own_room < 2 * CONTROL_ROOM {
                self.shared.losses.add(reason, span);
                return Ok(());
            }
            let origin = Arc::clone(&self.epoch.origin);
            let loss = Loss {
                origin: &origin,
                reason: reason.as_str(),
                count: span.count,
                first_ms: span.first_ms,
                last_ms: span.last_ms,
            };
            let record = loss.record(Uuid::now_v7(), self.now(), &self.shared.producer);
            self.own(record.map_err(io::Error::other)?)?;
        }
        Ok(())
    }

    /// Adds one of the log's own records, on the room kept for them.
    fn own(&mut self, record: Record) -> io::Result<()> {
        self.own_room -= CONTROL_ROOM;
        self.effects.room += CONTROL_ROOM;
        self.push(&record, None)?;
        self.commit()
    }

    pub(super) fn log_open(
        &mut self,
        previous: Option<&spool::Previous>,
        open: u64,
    ) -> Result<(), StartError> {
        let digests = &self.options.digests;
        let record = LogOpen {
            origin: &self.epoch.origin,
            key: &self.epoch.signer.verifier_key().to_string(),
            binary: &self.options.binary,
            digests: Digests {
                config: &digests.config,
                policies: &digests.policies,
                schema: &digests.schema,
                entities: &digests.entities,
                rules: &digests.rules,
            },
            filesystem: self.maker.spool.filesystem(),
            sync_us: self.epoch.sync_us,
            partition: None,
            previous: previous.map(|previous| Previous {
                origin: &previous.origin,
                size: previous.size,
                root: previous.root,
                closed: previous.closed,
                open,
            }),
        };
        let record = record.record(Uuid::now_v7(), self.epoch.opened_ms, &self.shared.producer)?;
        let room = event_room(record.value.len());
        self.shared.space.take(room);
        self.effects.room += room;
        let pushed = self.push(&record, None).and_then(|_| self.commit_durably());
        pushed.map_err(write_error)
    }

    /// Ends the process's last log: everything still open is abandoned.
    pub(super) fn end(&mut self, reason: &str) -> io::Result<()> {
        self.commit_durably()?;
        let open = self.shared.open.all();
        for reference in &open {
            self.abandon(reference.uid())?;
        }
        self.commit_durably()?;
        self.log_close(reason, open.len() as u64)
    }

    /// The last leaf of the present log.
    pub(super) fn log_close(&mut self, reason: &str, open: u64) -> io::Result<()> {
        self.losses()?;
        let counters = self.counters();
        let origin = Arc::clone(&self.epoch.origin);
        let close =
            LogClose { origin: &origin, reason, size: self.epoch.tree.size() + 1, open, counters };
        let record = close.record(Uuid::now_v7(), self.now(), &self.shared.producer);
        self.own(record.map_err(io::Error::other)?)?;
        self.sync()?;
        self.progress.send_modify(|progress| progress.ended = true);
        Ok(())
    }

    /// Closes the log and opens the next one. What is open stays open, and is completed there.
    fn turn(&mut self) -> io::Result<()> {
        let made = self.maker.make(self.now(), Some(self.epoch.id));
        let (epoch, segment) = match made {
            Ok(made) => made,
            Err(error) => return self.stay(&error),
        };
        // The old log's segments may still be needed for its last records.
        self.log_close("rotation", 0)?;
        let previous = spool::Previous {
            epoch: self.epoch.id,
            origin: self.epoch.origin.to_string(),
            size: self.epoch.tree.size(),
            root: self.epoch.tree.root(),
            closed: true,
        };
        self.prepared.turn_to(epoch.dir.clone(), epoch.id, 1)?;
        self.shared.space.segment_sealed(self.segment.offset - SEGMENT_HEADER_BYTES as u64);
        let (progress, seen) = watch::channel(Progress { end: Walk::start(), ended: false });
        (self.segment, self.progress, self.synced) = (segment, progress, 0);
        self.epoch = epoch;
        self.counters = Counters::default();
        self.before = tally(&self.shared);
        *self.shared.position() = Position {
            epoch: self.epoch.id,
            origin: Arc::clone(&self.epoch.origin),
            size: 0,
            synced: 0,
            shipped: 0,
            busy_since: Some(Instant::now()),
        };
        let cursor = Cursor::live(&self.maker.spool, &self.shared, &self.epoch, seen)
            .map_err(io::Error::other)?;
        self.shared.unshipped_epochs.fetch_add(1, Ordering::Relaxed);
        self.log_open(Some(&previous), 0).map_err(io::Error::other)?;
        let _ = self.trail.send(cursor);
        Ok(())
    }

    /// Goes on with the old log until its key expires.
    fn stay(&self, error: &StartError) -> io::Result<()> {
        tracing::error!(error = error as &dyn std::error::Error, "the next log cannot be opened");
        if self.now_s() <= self.epoch.validity.not_after_s() {
            return Ok(());
        }
        Err(io::Error::other("the log's key has expired and the next log cannot be opened"))
    }
}

fn write_error(error: io::Error) -> StartError {
    StartError::Write(error.to_string())
}

/// What callers count, since the process began.
pub(super) fn tally(shared: &Shared) -> Counters {
    Counters {
        requests: shared.requests.load(Ordering::Relaxed),
        answers: shared.answers.load(Ordering::Relaxed),
        aggregated: shared.aggregated.load(Ordering::Relaxed),
        dropped: shared.unrecorded.load(Ordering::Relaxed),
        ..Counters::default()
    }
}
