//! The commit: files first, then the manifest, then what is no longer needed goes.

use std::collections::BTreeMap;

use ledger::keys::Origin;
use ledger::verify::{Finding, LogVerifier};

use super::{Ingest, IngestError, Pending};
use crate::evidence::remove;
use crate::manifest::{self, Ahead};
use crate::message::Position;

/// Leaves written at a time, at most.
const WRITE_MAX: u64 = 2_048;

/// Milliseconds that a partial tile stays after a wider one replaced it, for whoever is copying.
const REPLACED_KEPT_MS: i64 = 15 * 60 * 1000;

/// Logs whose verifiers remember their last leaves. From twice as many on, all but the most
/// recent forget.
pub(super) const AWAKE_MAX: usize = 256;

/// A log that grew in this batch.
pub(super) struct Grown {
    origin: Origin,
    before: u64,
    stored: u64,
}

impl Ingest {
    /// Stores what was taken in, and makes it count. Its findings that are new are given back.
    ///
    /// # Errors
    /// [`IngestError`]. Nothing since the last commit counts: resume anew.
    pub fn commit(&mut self, now_ms: i64) -> Result<Vec<Finding>, IngestError> {
        let Pending { mut batch, leaves, offsets } = std::mem::take(&mut self.pending);
        let at = |((topic, partition), offset)| Position { topic, partition, offset };
        batch.offsets = offsets.into_iter().map(at).collect();
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.commits += 1;
        let mut all = Vec::new();
        for (origin, mut leaves) in leaves {
            let grown = self.store(origin, &mut leaves)?;
            let Some(log) = self.trail.log(&grown.origin) else { continue };
            let (summary, stored) = (log.summary().clone(), grown.stored);
            batch.logs.push(manifest::Log { summary, stored });
            batch.ahead.extend(leaves.into_values());
            all.push(grown);
        }
        let new = self.manifest.commit(batch, now_ms)?;
        self.tiles.forget();
        for grown in all {
            self.settle(grown, now_ms)?;
        }
        self.discard(now_ms);
        self.put_to_rest()?;
        Ok(new)
    }

    /// Writes the leaves of a log up to the newest checkpoint that they reach, and takes them
    /// from `leaves`.
    pub(super) fn store(
        &self,
        origin: Origin,
        leaves: &mut BTreeMap<u64, Ahead>,
    ) -> Result<Grown, IngestError> {
        let (before, reached) = match self.logs.get(&origin) {
            Some(log) if log.stored > 0 => (log.stored, log.reached),
            // Of a log that does not count yet, a crash may have left files, and a lost manifest.
            _ => (0, self.trail.log(&origin).map_or(0, |log| self.reached_on_disk(log.chain()))),
        };
        let size = self.size(&origin);
        let newest = self.newest_checkpoint(&origin, before, size, leaves)?;
        let Some((stored, checkpoint)) = newest.filter(|(stored, _)| *stored >= reached) else {
            return Ok(Grown { origin, before, stored: before });
        };
        let mut writing = self.evidence.write(&origin, before)?;
        let mut at = before;
        while at < stored {
            let end = stored.min(at + WRITE_MAX);
            let mut values = Vec::new();
            for index in at..end {
                let leaf = match leaves.remove(&index) {
                    Some(leaf) => Some(leaf),
                    None => self.waiting(&origin, index)?,
                };
                let lost = || IngestError::Lost { origin: origin.to_string(), size, index };
                values.push(leaf.ok_or_else(lost)?.event.value);
            }
            writing.append(&values)?;
            at = end;
        }
        if let Some(statements) = self.halves.whole(&origin) {
            writing.state(&statements)?;
        }
        writing.conclude(&checkpoint)?;
        Ok(Grown { origin, before, stored })
    }

    /// The newest checkpoint that came with a leaf and covers none beyond `size`, and its size.
    /// Later leaves come with larger checkpoints.
    fn newest_checkpoint(
        &self,
        origin: &Origin,
        before: u64,
        size: u64,
        leaves: &BTreeMap<u64, Ahead>,
    ) -> Result<Option<(u64, String)>, IngestError> {
        let covered = |index: u64| {
            let leaf = match leaves.get(&index) {
                Some(leaf) => Some(checkpoint(&leaf.event.proof)),
                None => {
                    self.waiting(origin, index)?.as_ref().map(|leaf| checkpoint(&leaf.event.proof))
                }
            };
            Ok::<_, IngestError>(leaf.flatten().filter(|(of, _)| (before + 1..=size).contains(of)))
        };
        let (mut low, mut high, mut found) = (before, size, None);
        // The last leaf of a whole group first, as that is the usual case.
        let mut probe = size.checked_sub(1);
        while let Some(index) = probe.filter(|_| low < high) {
            match covered(index)? {
                Some(newer) => (low, found) = (index + 1, Some(newer)),
                None => high = index,
            }
            probe = Some(low + (high - low) / 2);
        }
        Ok(found)
    }

    /// Notes in memory what counts now.
    fn settle(&mut self, grown: Grown, now_ms: i64) -> Result<(), IngestError> {
        let Grown { origin, before, stored } = grown;
        let commits = self.commits;
        let size = self.size(&origin);
        let waits = self.log(&origin).waits && self.manifest.ahead(&origin, size)?.is_some();
        let log = self.log(&origin);
        log.waits = waits;
        log.reordered &= waits;
        log.awake = Some(commits);
        if stored > before {
            (log.stored, log.reached) = (stored, stored);
            self.halves.forget(&origin);
            let replaced = self.evidence.replaced(&origin, before, stored);
            self.replaced.extend(replaced.into_iter().map(|path| (now_ms, path)));
        }
        Ok(())
    }

    fn discard(&mut self, now_ms: i64) {
        while let Some((_, path)) =
            self.replaced.pop_front_if(|(since_ms, _)| now_ms - *since_ms >= REPLACED_KEPT_MS)
        {
            remove(&path);
        }
    }

    /// Lets the verifiers of logs that had no message for longest forget what they can.
    fn put_to_rest(&mut self) -> Result<(), IngestError> {
        let awake = self.logs.iter().filter_map(|(origin, log)| Some((log.awake?, origin.clone())));
        let mut awake: Vec<_> = awake.collect();
        if awake.len() <= 2 * AWAKE_MAX {
            return Ok(());
        }
        awake.sort();
        awake.truncate(awake.len() - AWAKE_MAX);
        for (_, origin) in awake {
            self.log(&origin).awake = None;
            if let Some(log) = self.trail.log(&origin) {
                let (chain, summary) = (log.chain().clone(), log.summary().clone());
                self.wake(LogVerifier::resume(chain, summary))?;
            }
        }
        Ok(())
    }
}

/// The checkpoint of a verified proof, and its size.
fn checkpoint(proof: &str) -> Option<(u64, String)> {
    let (_, note) = proof.split_once("\n\n")?;
    let size = note.lines().nth(1)?.parse().ok()?;
    Some((size, note.to_owned()))
}
