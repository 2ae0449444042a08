//! Room in the spool. Nothing is promised that is not allocated on disk: an open decision holds
//! room for itself and for its completion, and the log for its own last words.
//!
//! `room` is what is left of the allocated segments once every promise is kept. A segment adds
//! what is sure to be usable (all but its header and the largest frame, which may not fit its
//! tail); what a segment turns out to hold beyond that is given back when it is full.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use tokio::sync::Notify;

use super::frame::{
    self, BODY_BYTES_MAX, CHECKPOINT_BYTES_MAX, EVENT_OVERHEAD_BYTES, HEADER_BYTES,
};
use super::segment::SEGMENT_HEADER_BYTES;
use crate::event::limit::{COMPLETION_BYTES_MAX, CONTROL_BYTES_MAX, EVENT_BYTES_MAX};

/// Bytes a checkpoint takes, for promises. Ours has about 250; its origin is bounded.
const CHECKPOINT_PROMISE_BYTES: i64 = 1024;
/// Bytes beside the value, if the event is alone in its group.
const OVERHEAD_BYTES: i64 =
    (HEADER_BYTES + EVENT_OVERHEAD_BYTES + 16 + frame::TRACEPARENT_BYTES_MAX) as i64
        + CHECKPOINT_PROMISE_BYTES;
/// Room for a completion.
pub(crate) const COMPLETION_ROOM: i64 = COMPLETION_BYTES_MAX as i64 + OVERHEAD_BYTES;
/// Room for one of the log's own records.
pub(crate) const CONTROL_ROOM: i64 = CONTROL_BYTES_MAX as i64 + OVERHEAD_BYTES;
/// Records of the log's own that always have room: `log_close`, one loss record of each reason,
/// one watermark.
pub(crate) const LAST_WORDS: i64 = 6;
/// Heartbeats that a full spool still takes.
pub(crate) const HEARTBEATS: i64 = 64;
/// What the log keeps for itself.
pub(crate) const OWN_ROOM: i64 = (LAST_WORDS + HEARTBEATS) * CONTROL_ROOM;
/// Tenths of the spool from which it counts as filling up.
const WATERMARK_TENTHS: u64 = 7;

/// Room that an event of `value_bytes` needs.
pub(crate) fn event_room(value_bytes: usize) -> i64 {
    OVERHEAD_BYTES + value_bytes as i64
}

/// What is allocated, promised and free. All sizes in bytes.
#[derive(Debug)]
pub(crate) struct Space {
    max: u64,
    segment: u64,
    usable: i64,
    room: AtomicI64,
    allocated: AtomicU64,
    /// No further segment can be made: the spool is at its bound, or the disk refused.
    starved: AtomicBool,
    more: Notify,
    low: Mutex<bool>,
    lowered: Condvar,
}

impl Space {
    /// A spool of at most `max` bytes that already holds `allocated` bytes of segments.
    pub(crate) fn new(max: u64, segment: u64, allocated: u64) -> Self {
        let usable = segment as i64 - SEGMENT_HEADER_BYTES as i64 - frame_bytes_max(segment) as i64;
        Self {
            max,
            segment,
            usable,
            room: AtomicI64::new(0),
            allocated: AtomicU64::new(allocated),
            starved: AtomicBool::new(false),
            more: Notify::new(),
            low: Mutex::new(false),
            lowered: Condvar::new(),
        }
    }

    /// Bytes of a segment.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment
    }

    /// Bytes the spool may use.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// Bytes of the spool that hold events or are promised to some.
    pub(crate) fn used(&self) -> u64 {
        let room = u64::try_from(self.room.load(Ordering::Relaxed)).unwrap_or(0);
        self.allocated.load(Ordering::Relaxed).saturating_sub(room)
    }

    /// The spool is filled to seven tenths or more.
    pub(crate) fn above_watermark(&self) -> bool {
        self.used() >= self.max / 10 * WATERMARK_TENTHS
    }

    /// The spool is filled to a tenth or more: whatever it is shipped to does not keep up.
    pub(crate) fn is_behind(&self) -> bool {
        self.used() >= self.max / 10
    }

    /// The last attempt to make a segment found no space.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Acquire)
    }

    /// There is no room for the largest event, and no further segment can be made.
    pub(crate) fn is_full(&self) -> bool {
        self.is_starved()
            && self.room.load(Ordering::Relaxed) < event_room(EVENT_BYTES_MAX) + COMPLETION_ROOM
    }

    /// Promises `bytes`, if there is room.
    pub(crate) fn reserve(&self, bytes: i64) -> bool {
        let left = self.room.fetch_sub(bytes, Ordering::AcqRel) - bytes;
        if left < 0 {
            self.room.fetch_add(bytes, Ordering::AcqRel);
        }
        if left < self.usable && !self.is_starved() {
            self.ask();
        }
        left >= 0
    }

    /// Promises `bytes`, waiting for a segment that is being made. False if none can be.
    pub(crate) async fn reserve_soon(&self, bytes: i64) -> bool {
        loop {
            let mut more = std::pin::pin!(self.more.notified());
            more.as_mut().enable();
            if self.reserve(bytes) {
                return true;
            }
            if self.is_starved() {
                return false;
            }
            more.await;
        }
    }

    /// Takes `bytes` that something must have whatever room there is.
    pub(crate) fn take(&self, bytes: i64) {
        self.room.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Gives back `bytes` of a promise.
    pub(crate) fn give_back(&self, bytes: i64) {
        self.room.fetch_add(bytes, Ordering::AcqRel);
    }

    /// The sure room of all segments that may still be made.
    pub(crate) fn room_to_come(&self) -> i64 {
        let left = self.max.saturating_sub(self.allocated.load(Ordering::Relaxed)) / self.segment;
        (left as i64).saturating_mul(self.usable)
    }

    /// Claims the disk space of one more segment. False at the spool's bound.
    pub(crate) fn claim_segment(&self) -> bool {
        let grown = |now: u64| Some(now + self.segment).filter(|grown| *grown <= self.max);
        self.allocated.fetch_update(Ordering::AcqRel, Ordering::Acquire, grown).is_ok()
    }

    /// The claimed segment is there: its room counts from now on.
    pub(crate) fn segment_made(&self) {
        self.room.fetch_add(self.usable, Ordering::AcqRel);
        self.starved.store(false, Ordering::Release);
        self.more.notify_waiters();
    }

    /// No segment could be made: whoever waits for room is told.
    pub(crate) fn starve(&self) {
        self.starved.store(true, Ordering::Release);
        self.more.notify_waiters();
    }

    /// A segment will take no more frames, and `written` bytes of frames are in it: what it
    /// held beyond its sure room is given back, what it did not hold is gone.
    pub(crate) fn segment_sealed(&self, written: u64) {
        self.room.fetch_add(written as i64 - self.usable, Ordering::AcqRel);
    }

    /// An unused segment was deleted.
    pub(crate) fn segment_discarded(&self) {
        self.room.fetch_sub(self.usable, Ordering::AcqRel);
        self.freed(self.segment);
    }

    /// `bytes` of segment files were deleted.
    pub(crate) fn freed(&self, bytes: u64) {
        self.allocated.fetch_sub(bytes, Ordering::AcqRel);
        self.ask();
    }

    /// The claimed segment could not be made.
    pub(crate) fn unclaim_segment(&self) {
        self.allocated.fetch_sub(self.segment, Ordering::AcqRel);
    }

    /// Whether another segment is wanted, `ready` of them being unused.
    pub(crate) fn wants_segment(&self, ready: usize) -> bool {
        ready == 0 || self.room.load(Ordering::Acquire) < self.usable
    }

    /// Wakes whoever makes segments.
    pub(crate) fn ask(&self) {
        *self.low.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.lowered.notify_one();
    }

    /// Waits, at most `patience`, until somebody asks.
    pub(crate) fn await_asked(&self, patience: std::time::Duration) {
        let low = self.low.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.lowered.wait_timeout_while(low, patience, |low| !*low);
        let (mut low, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *low = false;
    }
}

/// The largest frame that is written to segments of `segment` bytes: a quarter of one, at most
/// the decoder's limit.
pub(crate) fn frame_bytes_max(segment: u64) -> usize {
    body_bytes_max(segment) + HEADER_BYTES
}

/// The largest body of such a frame.
pub(crate) fn body_bytes_max(segment: u64) -> usize {
    usize::try_from(segment / 4).unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX)
}

// One event of any size, alone in its group, fits the smallest segment's largest frame.
const _: () = assert!(
    EVENT_BYTES_MAX
        + EVENT_OVERHEAD_BYTES
        + 16
        + frame::TRACEPARENT_BYTES_MAX
        + CHECKPOINT_BYTES_MAX
        + 2
        <= super::segment::SEGMENT_BYTES_MIN as usize / 4
);

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 512 * 1024;

    #[test]
    fn nothing_is_promised_that_is_not_allocated() {
        let space = Space::new(SEGMENT * 2, SEGMENT, 0);
        assert!(!space.reserve(1), "nothing is allocated yet");
        assert!(space.claim_segment());
        space.segment_made();
        assert!(space.reserve(space.usable));
        assert!(!space.reserve(1), "the edge of one segment");
        assert!(space.claim_segment());
        space.segment_made();
        assert!(space.reserve(space.usable));
        assert!(!space.claim_segment(), "the spool's bound");
        space.freed(SEGMENT);
        assert!(space.claim_segment(), "room again after a segment was deleted");
    }

    #[test]
    fn a_full_segment_gives_back_what_it_held_beyond_its_sure_room() {
        let space = Space::new(SEGMENT * 4, SEGMENT, 0);
        space.claim_segment();
        space.segment_made();
        let held = space.usable as u64 + 1000;
        assert!(space.reserve(space.usable));
        space.segment_sealed(held);
        assert!(space.reserve(1000));
        assert!(!space.reserve(1));
    }

    #[test]
    fn a_tenth_of_the_spool_is_behind() {
        let check = |used: u64, want: bool| {
            assert_eq!(Space::new(1000, 100, used).is_behind(), want, "{used}");
        };
        check(99, false);
        check(100, true);
    }

    #[test]
    fn the_watermark_is_at_seven_tenths() {
        let check = |used: u64, want: bool| {
            let space = Space::new(1000, 100, used);
            assert_eq!(space.above_watermark(), want, "{used}");
        };
        check(699, false);
        check(700, true);
    }
}
