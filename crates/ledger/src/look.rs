//! A look at a spool, or at a copy of one, without its lock and without changing anything: for
//! showing and verifying what lies there, also beside the process that writes it.
//!
//! What a writer is just writing is not seen. Nothing here decides whom to trust.

#![expect(clippy::disallowed_methods, reason = "it reads the spool's directories")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cursor::Shipped;
use crate::epoch::Notes;
use crate::event::Record;
use crate::recover::check_tail;
use crate::tlog::Frontier;
use crate::wal::walk::{Step, Walk};
use crate::wal::{EpochId, WalError, segment, spool};

/// How often a place is looked at before it is called damaged: the file is not read at once, and
/// its writer may go on meanwhile.
const LOOKS: u32 = 5;

/// One log as it lies in a spool.
#[derive(Debug)]
pub struct Look {
    epoch_note: String,
    issuer_note: String,
    before: Frontier,
    numbers: Vec<u32>,
    walk: Walk,
}

/// One commit group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The index of its first event.
    pub first: u64,
    /// Its events.
    pub records: Vec<Record>,
    /// The signed checkpoint that covers them.
    pub checkpoint: String,
}

impl Look {
    /// The directory is a spool, or a copy of one, with logs or without.
    pub fn is_spool(dir: &Path) -> bool {
        dir.join(spool::STATE).is_file()
    }

    /// Every log of the spool in `dir`, oldest first.
    ///
    /// # Errors
    /// [`WalError`]: the directory or a log's statements cannot be read.
    pub fn all(dir: &Path) -> Result<Vec<Self>, WalError> {
        let failed = |source| WalError::Io { path: dir.to_owned(), source };
        let mut epochs: Vec<(EpochId, PathBuf)> = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            epochs.extend(id.map(|id| (id, entry.path())));
        }
        epochs.sort();
        epochs.into_iter().map(|(id, dir)| Self::new(id, dir)).collect()
    }

    fn new(id: EpochId, dir: PathBuf) -> Result<Self, WalError> {
        let notes = Notes::read(&dir)?;
        let shipped = Shipped::read(&dir)?;
        let io = |source: io::Error| WalError::Io { path: dir.clone(), source };
        let numbers = segment::numbers(&dir).map_err(io)?;
        let before = shipped.tree(&dir)?;
        let origin: Arc<str> = notes.key.name().into();
        let walk = Walk::new(dir, id, origin, shipped.floor, before.clone());
        let Notes { epoch: epoch_note, issuer: issuer_note, .. } = notes;
        Ok(Self { epoch_note, issuer_note, before, numbers, walk })
    }

    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.walk.origin
    }

    /// The epoch's key statement.
    pub fn epoch_note(&self) -> &str {
        &self.epoch_note
    }

    /// The issuer's certificate.
    pub fn issuer_note(&self) -> &str {
        &self.issuer_note
    }

    /// The tree of what was shipped and deleted before the first group that is here.
    pub fn before(&self) -> &Frontier {
        &self.before
    }

    /// The next group; `None` at the end.
    ///
    /// # Errors
    /// [`WalError`]: what is here is damaged, or cannot be read.
    pub fn group(&mut self) -> Result<Option<Group>, WalError> {
        let place = self.walk.clone();
        let mut looks = LOOKS;
        loop {
            looks -= 1;
            match self.next() {
                // Beside its writer: what was not there yet, and what follows it already.
                Err(WalError::Corrupt { .. }) if looks > 0 => self.walk = place.clone(),
                found => return found,
            }
        }
    }

    fn next(&mut self) -> Result<Option<Group>, WalError> {
        if !self.numbers.contains(&self.walk.at.segment) {
            return match self.numbers.last() {
                Some(last) if *last > self.walk.at.segment => {
                    Err(self.walk.corrupt("the segment is missing".to_owned()))
                }
                _ => Ok(None),
            };
        }
        loop {
            match self.walk.step()? {
                Step::Group(grown) => {
                    let group = grown.group;
                    return Ok(Some(Group {
                        first: group.first,
                        records: group.entries.into_iter().map(|entry| entry.record).collect(),
                        checkpoint: group.checkpoint,
                    }));
                }
                Step::Gap(problem) => {
                    check_tail(&mut self.walk, &problem)?;
                    let next = self.walk.at.segment + 1;
                    if !self.numbers.contains(&next) {
                        return Ok(None);
                    }
                    self.walk.enter(next);
                }
            }
        }
    }
}
