//! Recovery: what of every earlier epoch is durable, and which decisions a crash left open.
//!
//! An epoch's durable prefix ends with its last whole group whose checkpoint covers it. What a
//! crash tore is not part of it; damage before its end is an error, and nothing is repaired,
//! rewritten or skipped. That the key may be trusted is not decided here.

#![expect(clippy::disallowed_methods, reason = "recovery reads the spool's directories")]

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use crate::cursor::{SHIPPED, Shipped};
use crate::epoch::Notes;
use crate::event::{DecisionRef, Kind};
use crate::ledger::StartError;
use crate::note::Checkpoint;
use crate::tlog::Frontier;
use crate::wal::segment::{self, SEGMENT_HEADER_BYTES};
use crate::wal::spool::{Previous, Spool, State};
use crate::wal::walk::{Grown, Step, Walk};
use crate::wal::{EpochId, Mark, WalError, frame, small};

/// An earlier epoch, as far as it is durable.
pub(crate) struct Found {
    pub(crate) id: EpochId,
    pub(crate) notes: Notes,
    pub(crate) shipped: Shipped,
    pub(crate) end: Mark,
    tree: Frontier,
    closed: bool,
}

/// What the spool holds of earlier processes.
pub(crate) struct Recovered {
    /// Oldest first.
    pub(crate) epochs: Vec<Found>,
    /// Decisions without a completion anywhere.
    pub(crate) open: Vec<DecisionRef>,
    /// The end of the newest earlier log.
    pub(crate) previous: Option<Previous>,
    /// The newest epoch that ever was.
    pub(crate) newest: Option<EpochId>,
    /// Bytes of all segments.
    pub(crate) bytes: u64,
}

/// Decisions seen, without their completion, by id; with their value.
type Opens = HashMap<Uuid, Vec<u8>>;

/// Reads every epoch of the spool. Unused segments behind the end of one are deleted, and those
/// before the first that is not shipped; nothing else is changed.
///
/// # Errors
/// [`StartError::Wal`]: an epoch is corrupt or cannot be read.
pub(crate) fn recover(spool: &Spool) -> Result<Recovered, StartError> {
    let failed = |source| StartError::Spool { dir: spool.dir().to_owned(), source };
    let state = spool.state();
    let mut opens = carried(spool, &state)?;
    let mut epochs = Vec::new();
    for id in spool.epochs().map_err(failed)? {
        let settled = state.settled.is_some_and(|settled| id < settled);
        epochs.push(epoch(spool, id, &mut opens, settled)?);
    }
    let mut bytes = 0;
    for found in &epochs {
        bytes += trim(&spool.epoch_dir(found.id), found).map_err(failed)?;
    }
    let references = opens.values().map(|value| DecisionRef::read(value));
    let open = references.collect::<Result<_, _>>().map_err(|error| {
        let problem = format!("a decision that is open cannot be read: {error}");
        WalError::Corrupt { path: spool.dir().to_owned(), offset: 0, problem }
    })?;
    let newest = epochs
        .last()
        .map(|found| found.id)
        .max(state.previous.as_ref().map(|previous| previous.epoch));
    let last = epochs.iter().rev().find(|found| found.end.index > 0).map(Found::previous);
    Ok(Recovered { epochs, open, previous: last.or(state.previous), newest, bytes })
}

/// The open decisions whose segments are gone.
fn carried(spool: &Spool, state: &State) -> Result<Opens, WalError> {
    let opens =
        state.open.iter().map(|carried| Some((carried.id()?, carried.value.clone().into_bytes())));
    let opens = opens.collect::<Option<_>>();
    opens.ok_or_else(|| WalError::Corrupt {
        path: spool.dir().join("state"),
        offset: 0,
        problem: "the id of an open decision is none".to_owned(),
    })
}

impl Found {
    /// How the next log names this one.
    pub(crate) fn previous(&self) -> Previous {
        Previous {
            epoch: self.id,
            origin: self.notes.key.name().to_owned(),
            size: self.end.index,
            root: self.tree.root(),
            closed: self.closed,
        }
    }
}

/// Walks one epoch to its end, and joins its decisions with completions.
fn epoch(spool: &Spool, id: EpochId, opens: &mut Opens, settled: bool) -> Result<Found, WalError> {
    let dir = spool.epoch_dir(id);
    let notes = Notes::read(&dir)?;
    let io = |source| WalError::Io { path: dir.clone(), source };
    let shipped = Shipped::read(&dir)?;
    let numbers = segment::numbers(&dir).map_err(io)?;
    let origin: Arc<str> = notes.key.name().into();
    let tree = shipped.tree(&dir)?;
    let mut walk = Walk::new(dir.clone(), id, origin, shipped.floor, tree);
    if !numbers.contains(&shipped.floor.segment) {
        return Err(walk.corrupt("the segment is missing".to_owned()));
    }
    let mut end = (shipped.floor, walk.tree.clone(), None, false);
    loop {
        match walk.step()? {
            Step::Group(grown) => {
                if !settled {
                    join(&grown, opens);
                }
                let closed = grown
                    .group
                    .entries
                    .last()
                    .is_some_and(|entry| entry.record.kind == Kind::LogClose);
                let Grown { group, start, .. } = *grown;
                end = (walk.at, walk.tree.clone(), Some((start, group.checkpoint)), closed);
            }
            Step::Gap(problem) => {
                check_tail(&mut walk, &problem)?;
                let next = walk.at.segment + 1;
                if !numbers.contains(&next) {
                    if numbers.last().is_some_and(|last| *last > next) {
                        walk.enter(next);
                        return Err(walk.corrupt("the segment is missing".to_owned()));
                    }
                    break;
                }
                walk.enter(next);
            }
        }
    }
    let (end, tree, last, closed) = end;
    if let Some((start, checkpoint)) = last {
        walk.at = start;
        Checkpoint::open(&checkpoint, &notes.key)
            .map_err(|error| walk.corrupt(error.to_string()))?;
    }
    if shipped.next > end.index {
        walk.at = end;
        return Err(walk.corrupt(format!(
            "the log ends at {}, but was shipped up to {}",
            end.index, shipped.next
        )));
    }
    Ok(Found { id, notes, shipped, end, tree, closed })
}

/// A gap is the end of the log, unless something behind it was written when what belongs here
/// was durable already.
pub(crate) fn check_tail(walk: &mut Walk, problem: &str) -> Result<(), WalError> {
    let index = walk.at.index;
    let rest = walk.rest()?;
    let proof = frame::find(&rest, |head| {
        if head.synced > index { ControlFlow::Break(head.first) } else { ControlFlow::Continue(()) }
    });
    match proof {
        None => Ok(()),
        Some(later) => Err(walk.corrupt(format!(
            "{problem}, though index {index} was durable when the group from index {later} was written"
        ))),
    }
}

fn join(grown: &Grown, opens: &mut Opens) {
    for entry in &grown.group.entries {
        match (entry.record.kind, entry.decision) {
            (Kind::Decision, _) => drop(opens.insert(entry.record.uid, entry.record.value.clone())),
            (Kind::Completion, Some(decision)) => drop(opens.remove(&decision)),
            _ => {}
        }
    }
}

/// Deletes segments that hold nothing that is needed, the last one first, so that no hole is
/// left if it is broken off; returns the bytes of the others.
fn trim(dir: &Path, found: &Found) -> io::Result<u64> {
    let mut bytes = 0;
    for number in segment::numbers(dir)?.into_iter().rev() {
        let path = segment::path(dir, number);
        let behind = number > found.end.segment && is_unused(&path)?;
        if number < found.shipped.floor.segment || behind {
            fs::remove_file(path)?;
        } else {
            bytes += fs::metadata(path)?.len();
        }
    }
    Ok(bytes)
}

/// Nothing but zeros behind the header.
fn is_unused(path: &Path) -> io::Result<bool> {
    let bytes = fs::read(path)?;
    Ok(bytes.iter().skip(SEGMENT_HEADER_BYTES).all(|byte| *byte == 0))
}

impl Shipped {
    /// Reads it from an epoch's directory; an epoch without one starts at its beginning.
    pub(crate) fn read(dir: &Path) -> Result<Self, WalError> {
        let path = || dir.join(SHIPPED);
        match small::read(dir, SHIPPED) {
            Ok(read) => Ok(read.unwrap_or_else(Self::nothing)),
            Err(source) if source.kind() == io::ErrorKind::InvalidData => {
                Err(WalError::Corrupt { path: path(), offset: 0, problem: source.to_string() })
            }
            Err(source) => Err(WalError::Io { path: path(), source }),
        }
    }
}
