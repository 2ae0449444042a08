//! Reads leaves from the evidence, and those that are in no tile yet from the manifest.

use anyhow::Context as _;
use ledger::keys::{Chain, Origin};
use ledger::note::{Checkpoint, VerifierKey};
use ledger::proof::Proof;
use ledger::tiles::{WIDTH, prove_inclusion};
use ledger::tlog::{leaf_hash, verify_inclusion};

use crate::evidence::Evidence;
use crate::manifest::Manifest;

/// Leaves, the last bundle of which is remembered.
pub(super) struct Leaves<'a> {
    evidence: &'a Evidence,
    /// A copy may have none.
    manifest: Option<&'a Manifest>,
    bundle: Option<(Origin, u64, Vec<Vec<u8>>)>,
}

/// A leaf, and what it is verified by.
pub(super) struct Leaf {
    pub(super) value: Vec<u8>,
    /// The tlog-proof it came with, if it is in no tile yet.
    proof: Option<String>,
}

impl<'a> Leaves<'a> {
    pub(super) fn new(evidence: &'a Evidence, manifest: Option<&'a Manifest>) -> Self {
        Self { evidence, manifest, bundle: None }
    }

    /// A leaf; `None` if there is none.
    pub(super) fn read(&mut self, origin: &Origin, index: u64) -> anyhow::Result<Option<Leaf>> {
        if let Some(value) = self.stored(origin, index) {
            return Ok(Some(Leaf { value, proof: None }));
        }
        let Some(manifest) = self.manifest else { return Ok(None) };
        let ahead = manifest.ahead(origin, index)?.map(|ahead| ahead.event);
        let ahead = ahead.filter(|event| event.index == index);
        Ok(ahead.map(|event| Leaf { value: event.value, proof: Some(event.proof) }))
    }

    fn stored(&mut self, origin: &Origin, index: u64) -> Option<Vec<u8>> {
        let (number, at) = (index / WIDTH, usize::try_from(index % WIDTH).ok()?);
        let known = |(of, known, _): &(Origin, u64, Vec<Vec<u8>>)| (of, *known) == (origin, number);
        if !self.bundle.as_ref().is_some_and(known) {
            let size = claimed_size(&self.evidence.checkpoint(origin)?)?;
            let values = self.evidence.bundle(origin, number, size)?;
            self.bundle = Some((origin.clone(), number, values));
        }
        self.bundle.as_ref().and_then(|(_, _, values)| values.get(at).cloned())
    }

    /// Verifies a leaf: its inclusion in the log's checkpoint, the checkpoint's signature, and
    /// the chain from the log's key to the root. Gives the checkpoint's size.
    pub(super) fn verify(
        &self,
        root: &VerifierKey,
        origin: &Origin,
        index: u64,
        leaf: &Leaf,
    ) -> anyhow::Result<u64> {
        let file = |name: &str| {
            let bytes = self.evidence.read(&format!("{origin}/{name}"));
            let bytes = bytes.with_context(|| format!("`{origin}/{name}` is missing"))?;
            String::from_utf8(bytes).with_context(|| format!("`{origin}/{name}` is not text"))
        };
        let chain = Chain::open(root, &file("issuer.note")?, &file("epoch.note")?, origin)?;
        if let Some(proof) = &leaf.proof {
            return Ok(Proof::parse(proof)?.verify(&leaf.value, chain.key())?.size);
        }
        let Checkpoint { size, root, .. } = Checkpoint::open(&file("checkpoint")?, chain.key())?;
        let path = prove_inclusion(index, size, |tile| self.evidence.tile(origin, tile));
        let path = path.context("the hash tiles do not prove it")?;
        let included = verify_inclusion(index, size, &leaf_hash(&leaf.value), &path, &root);
        anyhow::ensure!(included, "it is not leaf `{index}` of the log's first `{size}`");
        Ok(size)
    }
}

/// The size that a checkpoint claims; nothing is verified.
fn claimed_size(note: &str) -> Option<u64> {
    note.lines().nth(1)?.parse().ok()
}
