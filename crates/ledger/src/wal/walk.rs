//! Walks over an epoch's groups in order and grows the tree with them, so that a group is what
//! its checkpoint says or an error. Recovery walks to find the end, a cursor walks to a known one.
//!
//! It checks no signature: whoever needs that has the key.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::frame::{FrameError, Group};
use super::segment::{self, Frames, SEGMENT_HEADER_BYTES};
use super::{EpochId, Mark, WalError};
use crate::note::Checkpoint;
use crate::tlog::{Frontier, Hash, leaf_hash};

/// A place between two groups, with the tree before it.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    pub(crate) dir: PathBuf,
    pub(crate) epoch: EpochId,
    pub(crate) origin: Arc<str>,
    pub(crate) at: Mark,
    pub(crate) tree: Frontier,
    frames: Option<Arc<Frames>>,
}

/// What is at a place.
#[derive(Debug)]
pub(crate) enum Step {
    /// The next group; the walk is behind it now.
    Group(Box<Grown>),
    /// Nothing here continues the log.
    Gap(String),
}

/// A group that continues the log.
#[derive(Debug)]
pub(crate) struct Grown {
    pub(crate) group: Group,
    /// Where it starts.
    pub(crate) start: Mark,
    /// The tree before it.
    pub(crate) before: Frontier,
    /// The hashes of its leaves.
    pub(crate) leaves: Vec<Hash>,
}

impl Walk {
    /// A walk from a place with this tree.
    pub(crate) fn new(
        dir: PathBuf,
        epoch: EpochId,
        origin: Arc<str>,
        at: Mark,
        tree: Frontier,
    ) -> Self {
        Self { dir, epoch, origin, at, tree, frames: None }
    }

    /// The start of an epoch.
    pub(crate) fn start() -> Mark {
        Mark { segment: 0, offset: SEGMENT_HEADER_BYTES as u64, index: 0 }
    }

    /// Goes to the start of another segment.
    pub(crate) fn enter(&mut self, number: u32) {
        self.frames = None;
        self.at = Mark { segment: number, ..self.at };
        self.at.offset = SEGMENT_HEADER_BYTES as u64;
    }

    /// Looks at the next group.
    ///
    /// # Errors
    /// [`WalError::Corrupt`] if a group is whole and yet not the log's continuation.
    pub(crate) fn step(&mut self) -> Result<Step, WalError> {
        loop {
            let frames = self.frames()?;
            let read = frames.at(self.at.offset).map_err(|source| self.io(source))?;
            let (group, length) = match read {
                Ok(read) => read,
                Err(FrameError::Short | FrameError::Magic) => {
                    return Ok(Step::Gap("no group".to_owned()));
                }
                Err(error) => return Ok(Step::Gap(error.to_string())),
            };
            if group.first == self.at.index {
                return self.grow(group, length).map(|grown| Step::Group(Box::new(grown)));
            }
            if group.end() <= self.at.index {
                // After a failed sync, what was not known to be durable was written once more.
                self.at.offset += length;
                continue;
            }
            if group.first > self.at.index {
                return Ok(Step::Gap(format!(
                    "a group from index {}, not {}",
                    group.first, self.at.index
                )));
            }
            return Err(self.corrupt(format!(
                "a group from index {} overlaps {}",
                group.first, self.at.index
            )));
        }
    }

    /// Everything from the present place to the end of its segment.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>, WalError> {
        let frames = self.frames()?;
        frames.rest(self.at.offset).map_err(|source| self.io(source))
    }

    /// Says that the present place is damaged.
    pub(crate) fn corrupt(&self, problem: String) -> WalError {
        WalError::Corrupt {
            path: segment::path(&self.dir, self.at.segment),
            offset: self.at.offset,
            problem,
        }
    }

    fn grow(&mut self, group: Group, length: u64) -> Result<Grown, WalError> {
        let before = self.tree.clone();
        let leaves: Vec<Hash> =
            group.entries.iter().map(|entry| leaf_hash(&entry.record.value)).collect();
        leaves.iter().for_each(|leaf| self.tree.push(*leaf));
        let want = Checkpoint {
            origin: self.origin.to_string(),
            size: self.tree.size(),
            root: self.tree.root(),
        };
        let text = group.checkpoint.split_once("\n\n").map(|(text, _)| text);
        if text != want.text().strip_suffix('\n') {
            return Err(self.corrupt(format!(
                "the checkpoint does not cover the group from index {}",
                group.first
            )));
        }
        let start = self.at;
        self.at = Mark { offset: start.offset + length, index: group.end(), ..start };
        Ok(Grown { group, start, before, leaves })
    }

    fn frames(&mut self) -> Result<Arc<Frames>, WalError> {
        if let Some(frames) = &self.frames {
            return Ok(Arc::clone(frames));
        }
        let opened = Frames::open(&self.dir, self.epoch, self.at.segment);
        let frames = Arc::new(opened.map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => WalError::Corrupt {
                path: segment::path(&self.dir, self.at.segment),
                offset: 0,
                problem: source.to_string(),
            },
            _ => self.io(source),
        })?);
        self.frames = Some(Arc::clone(&frames));
        Ok(frames)
    }

    fn io(&self, source: io::Error) -> WalError {
        WalError::Io { path: segment::path(&self.dir, self.at.segment), source }
    }
}
