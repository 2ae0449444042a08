//! Reads groups back from the log's files, in order, for whoever ships them: from the file,
//! never from the writer's memory, and never past what is durable.
//!
//! A [`Cursor`] is over one epoch. It remembers across restarts how far the epoch was shipped,
//! and deletes segments, and in the end the epoch, once they were. It sends nothing itself.

#![expect(clippy::disallowed_methods, reason = "shipped segments are deleted")]

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::epoch::{Epoch, Notes};
use crate::event::{Kind, Record};
use crate::ledger::{Progress, Shared, StartError};
use crate::proof;
use crate::recover::{Found, recover};
use crate::tlog::{Frontier, group_proofs};
use crate::wal::spool::{Carried, Previous, Spool, SpoolOptions};
use crate::wal::walk::{Step, Walk};
use crate::wal::{EpochId, Mark, WalError, segment, small};

/// The file that says how far an epoch was shipped.
pub(crate) const SHIPPED: &str = "shipped";

/// How far an epoch was shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shipped {
    /// Where reading starts again: the first group that is kept, or one before it.
    pub(crate) floor: Mark,
    /// The tree up to there, base64.
    tree: String,
    /// The first index that is not shipped.
    pub(crate) next: u64,
}

impl Shipped {
    /// Nothing was shipped.
    pub(crate) fn nothing() -> Self {
        Self::new(&Place { at: Walk::start(), tree: Frontier::new() }, 0)
    }

    fn new(place: &Place, next: u64) -> Self {
        Self { floor: place.at, tree: BASE64_STANDARD.encode(place.tree.to_bytes()), next }
    }

    /// The tree up to the floor.
    pub(crate) fn tree(&self, dir: &Path) -> Result<Frontier, WalError> {
        let bytes = BASE64_STANDARD.decode(&self.tree).ok();
        let tree = bytes.and_then(|bytes| Frontier::from_bytes(&bytes).ok());
        tree.filter(|tree| tree.size() == self.floor.index).ok_or_else(|| WalError::Corrupt {
            path: dir.join(SHIPPED),
            offset: 0,
            problem: "the tree is none".to_owned(),
        })
    }
}

/// A place between two groups, and the tree before it.
#[derive(Debug, Clone)]
struct Place {
    at: Mark,
    tree: Frontier,
}

/// One event, with all that its carrier needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its index in the log, from 0.
    pub index: u64,
    /// The event.
    pub record: Record,
    /// Its inclusion in the checkpoint, as C2SP tlog-proof text.
    pub proof: String,
}

/// The events of one group that are not shipped yet, ascending, and their checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The events.
    pub entries: Vec<Entry>,
    /// The signed checkpoint that covers them.
    pub checkpoint: String,
}

/// Why a cursor cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// The log's files cannot be read.
    #[error("the log cannot be read")]
    Wal(#[from] WalError),
    /// How far it was shipped cannot be written, or what was shipped cannot be deleted.
    #[error("`{origin}` is shipped, but that cannot be noted")]
    Note {
        /// The log.
        origin: String,
        /// What the system says.
        source: io::Error,
    },
    /// More was confirmed than was read, or less than before.
    #[error("index {next} cannot be confirmed: {confirmed} is confirmed and {read} is read")]
    Confirm {
        /// What was to be confirmed.
        next: u64,
        /// What is confirmed.
        confirmed: u64,
        /// What was read.
        read: u64,
    },
}

impl CursorError {
    /// The system refused, and may not the next time: the disk was full, or too many files were
    /// open. What is corrupt stays so.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Wal(WalError::Io { .. }) | Self::Note { .. } => true,
            Self::Wal(WalError::Corrupt { .. }) | Self::Confirm { .. } => false,
        }
    }
}

/// Where an epoch ends, for the time being or for good.
#[derive(Debug)]
enum End {
    Old(Mark),
    Live(watch::Receiver<Progress>),
}

/// Reads one epoch. There should be one cursor an epoch, as it keeps the epoch's position.
#[derive(Debug)]
pub struct Cursor {
    spool: Arc<Spool>,
    /// Of the process that writes; `None` if there is none.
    shared: Option<Arc<Shared>>,
    epoch: EpochId,
    origin: Arc<str>,
    notes: (String, String),
    end: End,
    walk: Walk,
    shipped: Shipped,
    /// The first segment that is not deleted.
    oldest: u32,
    /// The starts of groups that are read and not wholly confirmed, oldest first.
    pending: VecDeque<Place>,
    /// The first index that is not confirmed.
    confirmed: u64,
    /// Whether the epoch's files may be deleted.
    deletes: bool,
}

impl Cursor {
    /// A cursor over the epoch that is being written.
    pub(crate) fn live(
        spool: &Arc<Spool>,
        shared: &Arc<Shared>,
        epoch: &Epoch,
        progress: watch::Receiver<Progress>,
    ) -> Result<Self, WalError> {
        let notes = Notes::read(&epoch.dir)?;
        let shipped = Shipped::nothing();
        Self::new(spool, Some(shared), epoch.id, notes, shipped, End::Live(progress), true)
    }

    /// A cursor over an earlier epoch.
    pub(crate) fn old(
        spool: &Arc<Spool>,
        shared: Option<&Arc<Shared>>,
        found: Found,
        deletes: bool,
    ) -> Result<Self, WalError> {
        Self::new(spool, shared, found.id, found.notes, found.shipped, End::Old(found.end), deletes)
    }

    fn new(
        spool: &Arc<Spool>,
        shared: Option<&Arc<Shared>>,
        epoch: EpochId,
        notes: Notes,
        shipped: Shipped,
        end: End,
        deletes: bool,
    ) -> Result<Self, WalError> {
        let dir = spool.epoch_dir(epoch);
        let origin: Arc<str> = notes.key.name().into();
        let tree = shipped.tree(&dir)?;
        let walk = Walk::new(dir, epoch, Arc::clone(&origin), shipped.floor, tree);
        Ok(Self {
            spool: Arc::clone(spool),
            shared: shared.map(Arc::clone),
            epoch,
            origin,
            notes: (notes.epoch, notes.issuer),
            end,
            walk,
            confirmed: shipped.next,
            oldest: shipped.floor.segment,
            shipped,
            pending: VecDeque::new(),
            deletes,
        })
    }

    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The epoch's key statement, a signed note.
    pub fn epoch_note(&self) -> &str {
        &self.notes.0
    }

    /// The certificate of the issuer that signed it.
    pub fn issuer_note(&self) -> &str {
        &self.notes.1
    }

    /// The first index that is not confirmed.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// How many events are durable now, and whether no more will come.
    pub fn durable(&self) -> (u64, bool) {
        let Progress { end, ended } = self.progress();
        (end.index, ended)
    }

    fn progress(&self) -> Progress {
        match &self.end {
            End::Old(end) => Progress { end: *end, ended: true },
            End::Live(progress) => {
                // A writer that is gone, whyever, will write no more.
                let ended = progress.has_changed().is_err();
                let Progress { end, ended: closed } = *progress.borrow();
                Progress { end, ended: ended || closed }
            }
        }
    }

    /// The next group's events that are not shipped; `None` if all that is durable was read.
    ///
    /// # Errors
    /// [`CursorError::Wal`].
    pub fn read(&mut self) -> Result<Option<Batch>, CursorError> {
        let end = self.progress().end;
        while self.walk.at.index < end.index {
            let place = Place { at: self.walk.at, tree: self.walk.tree.clone() };
            match self.walk.step()? {
                Step::Group(grown) => {
                    if grown.group.end() <= self.confirmed {
                        continue;
                    }
                    self.pending.push_back(Place { at: grown.start, ..place });
                    let paths = group_proofs(&grown.before, &grown.leaves);
                    let group = grown.group;
                    let indexed = (group.first..).zip(group.entries).zip(paths);
                    let fresh = indexed.filter(|((index, _), _)| *index >= self.confirmed);
                    let entries = fresh.map(|((index, entry), path)| Entry {
                        index,
                        record: entry.record,
                        proof: proof::format(index, &path, &group.checkpoint),
                    });
                    return Ok(Some(Batch {
                        entries: entries.collect(),
                        checkpoint: group.checkpoint,
                    }));
                }
                Step::Gap(_) if self.walk.at.segment < end.segment => {
                    self.walk.enter(self.walk.at.segment + 1)
                }
                Step::Gap(problem) => return Err(self.walk.corrupt(problem).into()),
            }
        }
        Ok(None)
    }

    /// Waits until there is more to read. False once all was read and no more will come.
    pub async fn more(&mut self) -> bool {
        let read = self.walk.at.index;
        match &mut self.end {
            End::Old(end) => read < end.index,
            End::Live(progress) => {
                let waited =
                    progress.wait_for(|progress| progress.end.index > read || progress.ended).await;
                let end = waited.map(|progress| progress.end.index);
                end.unwrap_or_else(|_| progress.borrow().end.index) > read
            }
        }
    }

    /// Notes in memory that every event before `next` is shipped.
    ///
    /// # Errors
    /// [`CursorError::Confirm`].
    pub fn confirm(&mut self, next: u64) -> Result<(), CursorError> {
        if next < self.confirmed || next > self.walk.at.index {
            let (confirmed, read) = (self.confirmed, self.walk.at.index);
            return Err(CursorError::Confirm { next, confirmed, read });
        }
        self.confirmed = next;
        while self.pending_end().is_some_and(|end| end <= next) {
            self.pending.pop_front();
        }
        if let Some(shared) = &self.shared {
            let mut position = shared.position();
            if position.epoch == self.epoch {
                position.shipped = next;
            }
        }
        Ok(())
    }

    /// The index after the oldest pending group.
    fn pending_end(&self) -> Option<u64> {
        self.pending.front()?;
        Some(self.pending.get(1).map_or(self.walk.at.index, |place| place.at.index))
    }

    /// The first place that must be kept.
    fn place(&self) -> Place {
        let now = || Place { at: self.walk.at, tree: self.walk.tree.clone() };
        self.pending.front().cloned().unwrap_or_else(now)
    }

    /// Goes back to what is not confirmed, after whatever was read since may have been lost.
    pub fn rewind(&mut self) {
        let Place { at, tree } = self.place();
        self.walk =
            Walk::new(self.walk.dir.clone(), self.epoch, Arc::clone(&self.origin), at, tree);
        self.pending.clear();
    }

    /// Makes what is confirmed durable, and deletes segments that are wholly shipped; of an
    /// epoch that has ended and is wholly shipped, everything. True if the epoch is gone. After an
    /// error it goes on where it was.
    ///
    /// # Errors
    /// [`CursorError::Note`], [`CursorError::Wal`].
    pub fn save(&mut self) -> Result<bool, CursorError> {
        let Progress { end, ended } = self.progress();
        // What was not read to its end has no root that could be told.
        let whole = self.walk.at.index >= end.index && self.confirmed >= end.index;
        if self.deletes && ended && whole {
            self.retire_epoch()?;
            return Ok(true);
        }
        let place = self.place();
        if self.deletes && place.at.segment > self.shipped.floor.segment {
            self.retire_segments(&place)?;
        } else if self.confirmed > self.shipped.next {
            self.note_shipped(Shipped { next: self.confirmed, ..self.shipped.clone() })?;
        }
        self.remove_segments().map_err(|source| self.note(source))?;
        Ok(false)
    }

    fn note_shipped(&mut self, shipped: Shipped) -> Result<(), CursorError> {
        small::replace(&self.walk.dir, SHIPPED, &shipped).map_err(|source| self.note(source))?;
        self.shipped = shipped;
        Ok(())
    }

    /// Open decisions are carried over first, then the floor is raised, and only then is
    /// anything deleted: a crash between any two loses nothing.
    fn retire_segments(&mut self, place: &Place) -> Result<(), CursorError> {
        self.carry_open(place.at)?;
        self.note_shipped(Shipped::new(place, self.confirmed))
    }

    /// Deletes the segments before the floor.
    fn remove_segments(&mut self) -> io::Result<()> {
        while self.deletes && self.oldest < self.shipped.floor.segment {
            self.remove_segment(&self.walk.dir, self.oldest)?;
            self.oldest += 1;
        }
        Ok(())
    }

    fn remove_segment(&self, dir: &Path, number: u32) -> io::Result<()> {
        let bytes = fs::metadata(segment::path(dir, number))?.len();
        segment::remove(dir, number)?;
        self.freed(bytes);
        Ok(())
    }

    fn freed(&self, bytes: u64) {
        if let Some(shared) = &self.shared {
            shared.space.freed(bytes);
        }
    }

    fn retire_epoch(&mut self) -> Result<(), CursorError> {
        let end = self.progress().end;
        self.carry_open(end)?;
        let previous = Previous {
            epoch: self.epoch,
            origin: self.origin.to_string(),
            size: end.index,
            root: self.walk.tree.root(),
            closed: true,
        };
        self.remove_epoch(previous).map_err(|source| self.note(source))?;
        if let Some(shared) = &self.shared
            && shared.position().epoch != self.epoch
        {
            shared.unshipped_epochs.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn remove_epoch(&self, previous: Previous) -> io::Result<()> {
        self.spool.change_state(|state| {
            let newest = state.previous.as_ref().is_none_or(|kept| kept.epoch < previous.epoch);
            if newest && previous.size > 0 {
                state.previous = Some(previous);
            }
        })?;
        let doomed = self.spool.doom_epoch(self.epoch)?;
        for number in segment::numbers(&doomed)? {
            self.remove_segment(&doomed, number)?;
        }
        fs::remove_dir_all(doomed)
    }

    /// Puts decisions that are open, and recorded before `until` in segments that are about to
    /// be deleted, into the spool's state. Earlier processes' decisions are settled already.
    fn carry_open(&self, until: Mark) -> Result<(), CursorError> {
        let (Some(shared), End::Live(_)) = (&self.shared, &self.end) else { return Ok(()) };
        let mut wanted: HashSet<_> =
            shared.open.before(self.epoch, until.index).into_iter().collect();
        for carried in self.spool.state().open {
            carried.id().map(|uid| wanted.remove(&uid));
        }
        let values = if wanted.is_empty() { Vec::new() } else { self.values(until, &wanted)? };
        let changed = self.spool.change_state(|state| {
            state.open.retain(|carried| carried.id().is_some_and(|uid| shared.open.contains(&uid)));
            state.open.extend(values);
        });
        changed.map_err(|source| self.note(source))
    }

    /// The values of these decisions, from the floor up to `until`.
    fn values(
        &self,
        until: Mark,
        wanted: &HashSet<uuid::Uuid>,
    ) -> Result<Vec<Carried>, CursorError> {
        let tree = self.shipped.tree(&self.walk.dir)?;
        let mut walk = Walk::new(
            self.walk.dir.clone(),
            self.epoch,
            Arc::clone(&self.origin),
            self.shipped.floor,
            tree,
        );
        let mut values = Vec::new();
        while walk.at.index < until.index {
            match walk.step()? {
                Step::Group(grown) => {
                    let records = grown.group.entries.into_iter().map(|entry| entry.record);
                    let decisions = records.filter(|record| record.kind == Kind::Decision);
                    let wanted = decisions.filter(|record| wanted.contains(&record.uid));
                    values.extend(wanted.map(|record| Carried {
                        uid: record.uid.to_string(),
                        value: String::from_utf8_lossy(&record.value).into_owned(),
                    }));
                }
                Step::Gap(_) if walk.at.segment < until.segment => walk.enter(walk.at.segment + 1),
                Step::Gap(problem) => return Err(walk.corrupt(problem).into()),
            }
        }
        Ok(values)
    }

    fn note(&self, source: io::Error) -> CursorError {
        CursorError::Note { origin: self.origin.to_string(), source }
    }
}

/// The logs to ship, oldest first.
#[derive(Debug)]
pub struct Trail {
    old: VecDeque<Cursor>,
    live: Option<mpsc::UnboundedReceiver<Cursor>>,
}

impl Trail {
    pub(crate) fn new(old: VecDeque<Cursor>, live: mpsc::UnboundedReceiver<Cursor>) -> Self {
        Self { old, live: Some(live) }
    }

    /// The earlier logs of a spool that no process writes to, to ship or to look at them. The
    /// spool stays locked while the trail or one of its cursors lives. Nothing is deleted as
    /// long as a crash has left decisions open: the next start completes them.
    ///
    /// # Errors
    /// [`StartError`]: the spool is locked, corrupt, or cannot be used.
    pub fn of_spool(options: SpoolOptions) -> Result<Self, StartError> {
        let spool = Arc::new(Spool::lock(options)?);
        let recovered = recover(&spool)?;
        let settled = recovered.open.is_empty();
        let old =
            recovered.epochs.into_iter().map(|found| Cursor::old(&spool, None, found, settled));
        Ok(Self { old: old.collect::<Result<_, _>>()?, live: None })
    }

    /// The next log; the live one after the earlier ones, then whatever follows it. `None` once
    /// the ledger is closed, and every log was given out.
    pub async fn next(&mut self) -> Option<Cursor> {
        if let Some(old) = self.old.pop_front() {
            return Some(old);
        }
        self.live.as_mut()?.recv().await
    }
}
