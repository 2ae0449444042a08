//! Segments made ahead of need, on a thread of their own: zero-filling one takes longer than a
//! request may wait.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::EpochId;
use super::disk::Disk;
use super::segment::{self, Segment};
use super::space::Space;

/// How long the thread waits before it tries again to make a segment that could not be made.
const RETRY: Duration = Duration::from_secs(1);

/// The unused segments of the live epoch, and the thread that makes them.
#[derive(Debug)]
pub(crate) struct Prepared {
    space: Arc<Space>,
    disk: Disk,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    dir: PathBuf,
    epoch: EpochId,
    next: u32,
    ready: VecDeque<Segment>,
    /// One is being made now.
    making: bool,
    /// Why the last segment could not be made.
    error: Option<io::Error>,
    stopped: bool,
}

impl Prepared {
    /// Starts the thread for an epoch whose segments below `next` exist.
    pub(crate) fn start(
        space: Arc<Space>,
        disk: Disk,
        dir: PathBuf,
        epoch: EpochId,
        next: u32,
    ) -> io::Result<Arc<Self>> {
        let state = State {
            dir,
            epoch,
            next,
            ready: VecDeque::new(),
            making: false,
            error: None,
            stopped: false,
        };
        let prepared =
            Arc::new(Self { space, disk, state: Mutex::new(state), changed: Condvar::new() });
        let own = Arc::clone(&prepared);
        std::thread::Builder::new().name("ledger-prepare".to_owned()).spawn(move || own.run())?;
        Ok(prepared)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let mut state = self.lock();
            if state.stopped {
                return;
            }
            if !self.space.wants_segment(state.ready.len()) {
                drop(state);
                self.space.await_asked(RETRY);
                continue;
            }
            state.making = true;
            let (dir, epoch, number) = (state.dir.clone(), state.epoch, state.next);
            drop(state);
            let made = self.make(&dir, epoch, number);
            let failed = made.is_err();
            if let Err(error) = &made
                && !self.space.is_starved()
            {
                tracing::error!(%error, "the spool gets no further segment, and fills up");
            }
            self.made(made);
            if failed {
                self.space.starve();
                self.space.await_asked(RETRY);
            }
        }
    }

    fn make(&self, dir: &Path, epoch: EpochId, number: u32) -> io::Result<Segment> {
        if !self.space.claim_segment() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the spool is at its bound"));
        }
        let made = Segment::create(&self.disk, dir, epoch, number, self.space.segment_bytes());
        made.inspect_err(|_| self.space.unclaim_segment())
    }

    /// Puts a segment, or why there is none, where the writer finds it.
    fn made(&self, made: io::Result<Segment>) {
        let mut state = self.lock();
        state.making = false;
        match made {
            Ok(segment) => {
                state.next = segment.number + 1;
                state.ready.push_back(segment);
                state.error = None;
                self.space.segment_made();
            }
            Err(error) => state.error = Some(error),
        }
        self.changed.notify_all();
    }

    /// The state while no segment is being made.
    fn lock_idle(&self) -> MutexGuard<'_, State> {
        let idle = self.changed.wait_while(self.lock(), |state| state.making);
        idle.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until as much is prepared as is wanted, or no more can be.
    pub(crate) fn await_ready(&self) {
        let mut state = self.lock();
        while (state.making || self.space.wants_segment(state.ready.len())) && state.error.is_none()
        {
            self.space.ask();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next segment; waits while one is being made.
    ///
    /// # Errors
    /// Why none can be made.
    pub(crate) fn take(&self) -> io::Result<Segment> {
        let mut state = self.lock();
        // Only an attempt from now on counts: space may have come free since the last one.
        state.error = None;
        loop {
            self.space.ask();
            if let Some(segment) = state.ready.pop_front() {
                return Ok(segment);
            }
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Turns to another epoch; the unused segments of the old one are deleted.
    pub(crate) fn turn_to(&self, dir: PathBuf, epoch: EpochId, next: u32) -> io::Result<()> {
        let mut state = self.lock_idle();
        self.discard(&mut state)?;
        (state.dir, state.epoch, state.next, state.error) = (dir, epoch, next, None);
        Ok(())
    }

    /// Ends the thread and deletes the unused segments.
    pub(crate) fn stop(&self) -> io::Result<()> {
        let mut state = self.lock_idle();
        state.stopped = true;
        self.space.ask();
        self.discard(&mut state)
    }

    /// Deletes the unused segments, the last one first: whenever it is broken off, the segments
    /// that are left have no hole.
    fn discard(&self, state: &mut State) -> io::Result<()> {
        while let Some(segment) = state.ready.pop_back() {
            segment::remove(&state.dir, segment.number)?;
            self.space.segment_discarded();
        }
        Ok(())
    }
}
