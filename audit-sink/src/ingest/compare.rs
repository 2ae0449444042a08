//! What lies further back than a verifier remembers is compared with what is stored.

use std::collections::BTreeMap;

use ledger::keys::Origin;
use ledger::note::Checkpoint;
use ledger::tiles::{self, Tile};
use ledger::tlog::{self, Hash, leaf_hash};
use ledger::verify::{Finding, FindingKind};

use super::{Ingest, IngestError, finding};
use crate::evidence::Evidence;
use crate::message::Event;

/// Tiles remembered, at most.
const TILES_MAX: usize = 64;

/// Tiles that were read, until they may have changed, and the last root made of them.
#[derive(Debug, Default)]
pub(super) struct Tiles {
    read: BTreeMap<(Origin, Tile), Option<Vec<u8>>>,
    root: Option<(Origin, u64, Option<Hash>)>,
}

impl Tiles {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn tile(&mut self, evidence: &Evidence, origin: &Origin, tile: &Tile) -> Option<Vec<u8>> {
        if self.read.len() >= TILES_MAX {
            self.read.clear();
        }
        let read = || evidence.tile(origin, tile);
        self.read.entry((origin.clone(), *tile)).or_insert_with(read).clone()
    }

    fn node(
        &mut self,
        evidence: &Evidence,
        origin: &Origin,
        size: u64,
        (level, index): (u32, u64),
    ) -> Option<Hash> {
        tiles::node(size, level, index, &mut |tile| self.tile(evidence, origin, tile))
    }

    fn root(&mut self, evidence: &Evidence, origin: &Origin, size: u64, of: u64) -> Option<Hash> {
        if let Some((known, at, root)) = &self.root
            && known == origin
            && *at == of
        {
            return *root;
        }
        let root = tlog::root(of, |level, index| self.node(evidence, origin, size, (level, index)));
        self.root = Some((origin.clone(), of, root));
        root
    }
}

impl Ingest {
    /// A leaf that came again, and the one that was taken in first.
    pub(super) fn compare_leaf(
        &mut self,
        event: &Event,
        leaf: &Hash,
    ) -> Result<Option<Finding>, IngestError> {
        let (origin, index) = (&event.origin, event.index);
        let stored = self.logs.get(origin).map_or(0, |log| log.stored);
        let known = if index < stored {
            self.tiles.node(&self.evidence, origin, stored, (0, index))
        } else {
            self.waiting(origin, index)?.map(|known| leaf_hash(&known.event.value))
        };
        let (kind, detail) = match known {
            Some(known) if known == *leaf => return Ok(None),
            Some(_) => {
                (FindingKind::Equivocation, "the log signed another leaf for this index before")
            }
            None => (FindingKind::Gap, "the leaf was taken in before, but cannot be read back"),
        };
        Ok(Some(finding(kind, event, detail)))
    }

    /// A signed root, and that of the leaves that are stored, if there are as many.
    pub(super) fn compare_root(
        &mut self,
        origin: &Origin,
        checkpoint: &Checkpoint,
    ) -> Option<Finding> {
        let stored = self.logs.get(origin).map_or(0, |log| log.stored);
        let Checkpoint { size, root, .. } = checkpoint;
        if *size > stored {
            return None;
        }
        let (kind, detail) = match self.tiles.root(&self.evidence, origin, stored, *size) {
            Some(known) if known == *root => return None,
            Some(_) => (FindingKind::Fork, "is of another history"),
            None => (FindingKind::Gap, "cannot be compared: stored tiles cannot be read"),
        };
        let detail = format!("the signed checkpoint of `{size}` leaves {detail}");
        Some(Finding { kind, origin: origin.to_string(), index: None, detail })
    }
}
