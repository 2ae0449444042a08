//! Verification of a directory of logs, as a sink keeps it: for each log, under its origin's path,
//! `checkpoint`, `tile/…`, `tile/entries/…`, `issuer.note` and `epoch.note`.
//!
//! Entries are compared with the hash tiles, so that what was changed can be named, and the root
//! that both give with the signed one. Memory does not grow with the log but for a hash for each
//! bundle.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::log::wrong_note;
use super::{Finding, FindingKind, Findings, Summary, check_succession};
use crate::keys::{Chain, Origin};
use crate::note::{Checkpoint, VerifierKey, claimed_origin};
use crate::tiles::{CHECKPOINT, Entries, Level, Tile, WIDTH, decode_hashes, encode_hashes};
use crate::tlog::{Frontier, Hash, leaf_hash};

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The logs whose key and checkpoint hold, each up to its checkpoint.
    pub logs: Vec<Summary>,
    /// What does not hold. The trail is good if there is nothing.
    pub findings: Vec<Finding>,
}

/// Verifies logs of a copied directory.
///
/// `read` gives the bytes of a file by its path below the directory, with `/` between components.
/// `newest` are checkpoints kept apart: a log must reach and contain each. `now_ms` is when the
/// copy was made, in milliseconds since 1970.
pub fn verify_evidence(
    root: &VerifierKey,
    origins: &[Origin],
    newest: &[&str],
    now_ms: i64,
    mut read: impl FnMut(&str) -> Option<Vec<u8>>,
) -> Evidence {
    let origins: BTreeSet<&Origin> = origins.iter().collect();
    let mut evidence = Evidence { logs: Vec::new(), findings: Vec::new() };
    for origin in &origins {
        let kept = |note: &&&str| claimed_origin(note) == Some(origin.as_str());
        let kept: Vec<&str> = newest.iter().filter(kept).copied().collect();
        let mut findings = Findings::of(origin);
        let log = verify_log(root, &kept, &mut findings, &mut read);
        evidence.logs.extend(log);
        evidence.findings.append(&mut findings.found);
    }
    for note in newest {
        let name = claimed_origin(note).unwrap_or_default();
        if !origins.iter().any(|origin| origin.as_str() == name) {
            let detail = "a checkpoint of this log was kept, but the log is missing".to_owned();
            let (kind, origin) = (FindingKind::Truncation, name.to_owned());
            evidence.findings.push(Finding { kind, origin, index: None, detail });
        }
    }
    evidence.findings.extend(check_succession(evidence.logs.iter(), now_ms));
    evidence
}

fn verify_log(
    root: &VerifierKey,
    newest: &[&str],
    findings: &mut Findings,
    read: &mut impl FnMut(&str) -> Option<Vec<u8>>,
) -> Option<Summary> {
    let origin = findings.origin.clone();
    let mut read = |name: &str| read(&format!("{origin}/{name}"));
    let chain = open_chain(root, findings, &mut read)?;
    let checkpoint = open_checkpoint(&chain, findings, &mut read)?;
    let mut walk = Walk::new(&chain, checkpoint, findings);
    walk.keep(newest);
    for tile in Tile::all(Level::Entries, walk.checkpoint.size) {
        if !walk.bundle(&tile, &mut read) {
            walk.summary.frontier = walk.hashes;
            return Some(walk.summary);
        }
    }
    Some(walk.conclude(&mut read))
}

fn open_chain(
    root: &VerifierKey,
    findings: &mut Findings,
    read: &mut impl FnMut(&str) -> Option<Vec<u8>>,
) -> Option<Chain> {
    let mut note = |name: &str| {
        let text = read(name).and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| format!("`{name}` is missing or not text"))
    };
    let notes = note("issuer.note").and_then(|issuer| Ok((issuer, note("epoch.note")?)));
    let chain = notes.and_then(|(issuer, epoch)| {
        Chain::open(root, &issuer, &epoch, &findings.origin).map_err(|error| error.to_string())
    });
    chain.map_err(|detail| findings.add(FindingKind::Untrusted, None, detail)).ok()
}

fn open_checkpoint(
    chain: &Chain,
    findings: &mut Findings,
    read: &mut impl FnMut(&str) -> Option<Vec<u8>>,
) -> Option<Checkpoint> {
    let Some(bytes) = read(CHECKPOINT) else {
        findings.add(FindingKind::Truncation, None, "`checkpoint` is missing");
        return None;
    };
    let Ok(note) = String::from_utf8(bytes) else {
        findings.add(FindingKind::Alteration, None, "`checkpoint` is not text");
        return None;
    };
    let opened = Checkpoint::open(&note, chain.key()).map_err(wrong_note);
    opened.map_err(|(kind, detail)| findings.add(kind, None, detail)).ok()
}

/// One log, from its first leaf to its checkpoint.
struct Walk<'a> {
    chain: &'a Chain,
    checkpoint: Checkpoint,
    findings: &'a mut Findings,
    summary: Summary,
    /// The tree of the entries; a missing bundle's leaves are taken from the hash tile.
    entries: Frontier,
    /// The tree of the hash tiles; a missing tile's are taken from the entries.
    hashes: Frontier,
    /// Where the two differ: to be told when it is known which is right.
    differences: Vec<Difference>,
    /// Roots of full bundles, and of full hash tiles.
    entries_above: Vec<Hash>,
    hashes_above: Vec<Hash>,
    /// Checkpoints kept apart, by size, and the roots of both trees at that size.
    kept: BTreeMap<u64, Kept>,
}

/// A bundle and its hash tile that differ.
struct Difference {
    /// Index of the first leaf that does.
    first: u64,
    /// They have the same leaves in another order.
    reordered: bool,
}

/// Checkpoints kept apart, of one size.
struct Kept {
    signed: Vec<Hash>,
    entries: Hash,
    hashes: Hash,
}

impl<'a> Walk<'a> {
    fn new(chain: &'a Chain, checkpoint: Checkpoint, findings: &'a mut Findings) -> Self {
        Self {
            chain,
            checkpoint,
            summary: Summary::of(findings.origin.clone()),
            findings,
            entries: Frontier::new(),
            hashes: Frontier::new(),
            differences: Vec::new(),
            entries_above: Vec::new(),
            hashes_above: Vec::new(),
            kept: BTreeMap::new(),
        }
    }

    fn keep(&mut self, newest: &[&str]) {
        for note in newest {
            match Checkpoint::open(note, self.chain.key()) {
                Err(error) => {
                    let (kind, detail) = wrong_note(error);
                    self.findings.add(kind, None, format!("checkpoint kept apart: {detail}"));
                }
                Ok(Checkpoint { size, .. }) if size > self.checkpoint.size => {
                    let found = self.checkpoint.size;
                    let detail = format!("`{found}` leaves; a checkpoint kept apart has `{size}`");
                    self.findings.add(FindingKind::Truncation, Some(found), detail);
                }
                Ok(Checkpoint { size, root, .. }) => {
                    let empty = Frontier::new().root();
                    let (entries, hashes) = (empty, empty);
                    let kept = Kept { signed: Vec::new(), entries, hashes };
                    self.kept.entry(size).or_insert(kept).signed.push(root);
                }
            }
        }
    }

    /// Takes in a bundle and its hash tile. False if there is neither, so that nothing after it
    /// can be verified.
    fn bundle(&mut self, tile: &Tile, read: &mut impl FnMut(&str) -> Option<Vec<u8>>) -> bool {
        let entries = self.read_entries(tile, read);
        let hashes = self.read_hashes(tile, read);
        if let Some(entries) = &entries {
            self.compare(tile, entries, hashes.as_deref().unwrap_or(entries));
        }
        let (entries, hashes) = match (entries, hashes) {
            (None, None) => return false,
            (Some(entries), None) => (entries.clone(), entries),
            (None, Some(hashes)) => (hashes.clone(), hashes),
            (Some(entries), Some(hashes)) => (padded(entries, &hashes), hashes),
        };
        for (entry, hash) in entries.iter().zip(&hashes) {
            self.entries.push(*entry);
            self.hashes.push(*hash);
            if let Some(kept) = self.kept.get_mut(&self.hashes.size()) {
                kept.entries = self.entries.root();
                kept.hashes = self.hashes.root();
            }
        }
        if !tile.is_partial() {
            self.entries_above.push(tree_of(&entries));
            self.hashes_above.push(tree_of(&hashes));
        }
        true
    }

    /// The leaf hashes of a bundle's entries, as far as it goes.
    fn read_entries(
        &mut self,
        tile: &Tile,
        read: &mut impl FnMut(&str) -> Option<Vec<u8>>,
    ) -> Option<Vec<Hash>> {
        let Some((bytes, whole)) = read_tile(tile, read) else {
            let last = tile.start() + tile.width() as u64 == self.checkpoint.size;
            let kind = if last { FindingKind::Truncation } else { FindingKind::Gap };
            self.findings.add(kind, Some(tile.start()), format!("`{tile}` is missing"));
            return None;
        };
        let limit = if whole { tile.width() + 1 } else { tile.width() };
        let mut leaves = Vec::with_capacity(limit);
        for value in Entries::of(&bytes).map_while(Result::ok).take(limit) {
            let index = tile.start() + leaves.len() as u64;
            let validity = self.chain.validity();
            self.summary.read(index, value, &validity, None, self.findings);
            leaves.push(leaf_hash(value));
        }
        Some(leaves)
    }

    fn read_hashes(
        &mut self,
        bundle: &Tile,
        read: &mut impl FnMut(&str) -> Option<Vec<u8>>,
    ) -> Option<Vec<Hash>> {
        let tile = Tile::of(Level::Hashes(0), bundle.index(), self.checkpoint.size)?;
        let Some((bytes, whole)) = read_tile(&tile, read) else {
            self.findings.add(FindingKind::Gap, None, format!("`{tile}` is missing"));
            return None;
        };
        let held = if whole { tile } else { tile.full() };
        let mut hashes = decode_hashes(&held, &bytes)
            .map_err(|error| self.findings.add(FindingKind::Alteration, None, error.to_string()))
            .ok()?;
        hashes.truncate(tile.width());
        Some(hashes)
    }

    fn compare(&mut self, tile: &Tile, entries: &[Hash], hashes: &[Hash]) {
        let same = entries.iter().zip(hashes).take_while(|(entry, hash)| entry == hash).count();
        let same = same.min(tile.width());
        if same == tile.width() && entries.len() == tile.width() {
            return;
        }
        let first = tile.start() + same as u64;
        let last_bundle = tile.start() + tile.width() as u64 == self.checkpoint.size;
        let kind = match entries.len().cmp(&tile.width()) {
            Ordering::Equal => {
                return self.differences.push(Difference::at(first, entries, hashes));
            }
            Ordering::Less if last_bundle && same == entries.len() => FindingKind::Truncation,
            Ordering::Less => FindingKind::Gap,
            Ordering::Greater => FindingKind::Alteration,
        };
        let (found, width) = (entries.len(), tile.width());
        let detail = format!("`{tile}` has `{found}` entries that can be read, not `{width}`");
        self.findings.add(kind, Some(first), detail);
    }

    /// Hash tiles above the leaves must hold the roots of the full tiles below them.
    fn upper_tiles(
        &mut self,
        mut hashes: Vec<Hash>,
        read: &mut impl FnMut(&str) -> Option<Vec<u8>>,
    ) {
        for level in (1..).map(Level::Hashes) {
            if hashes.is_empty() {
                break;
            }
            let mut above = Vec::new();
            for (tile, held) in
                Tile::all(level, self.checkpoint.size).zip(hashes.chunks(WIDTH as usize))
            {
                self.upper_tile(&tile, held, read);
                if !tile.is_partial() {
                    above.push(tree_of(held));
                }
            }
            hashes = above;
        }
    }

    fn upper_tile(
        &mut self,
        tile: &Tile,
        held: &[Hash],
        read: &mut impl FnMut(&str) -> Option<Vec<u8>>,
    ) {
        let Some((bytes, whole)) = read_tile(tile, read) else {
            self.findings.add(FindingKind::Gap, None, format!("`{tile}` is missing"));
            return;
        };
        let held = encode_hashes(held);
        if !bytes.starts_with(&held) || (whole && bytes.len() != held.len()) {
            let detail = format!("`{tile}` does not hold the roots of the tiles below it");
            self.findings.add(FindingKind::Alteration, Some(tile.start()), detail);
        }
    }

    /// Compares both trees with the signed root, and what else there is with the one that holds.
    fn conclude(mut self, read: &mut impl FnMut(&str) -> Option<Vec<u8>>) -> Summary {
        let signed = self.checkpoint.root;
        let entries_hold = self.entries.root() == signed;
        let hashes_hold = self.hashes.root() == signed;
        for Difference { first, reordered } in std::mem::take(&mut self.differences) {
            let (kind, detail) = match (entries_hold, reordered) {
                (true, _) => (FindingKind::Alteration, "a hash tile is not that of its entries"),
                (false, true) => (FindingKind::Reorder, "entries are not in the order signed"),
                (false, false) => (FindingKind::Alteration, "entries are not those signed"),
            };
            self.findings.add(kind, Some(first), format!("from here on: {detail}"));
        }
        if entries_hold || hashes_hold {
            self.compare_kept(entries_hold);
        } else {
            let detail = "neither the entries nor the hash tiles give the signed root";
            self.findings.add(FindingKind::Alteration, None, detail);
        }
        let (tree, above) = if entries_hold {
            (self.entries.clone(), std::mem::take(&mut self.entries_above))
        } else {
            (self.hashes.clone(), std::mem::take(&mut self.hashes_above))
        };
        self.upper_tiles(above, read);
        self.summary.frontier = tree;
        self.summary
    }

    fn compare_kept(&mut self, entries_hold: bool) {
        for (size, kept) in &self.kept {
            let found = if entries_hold { kept.entries } else { kept.hashes };
            if kept.signed.iter().any(|signed| *signed != found) {
                let detail = format!("a checkpoint kept apart, of `{size}`, is of another history");
                self.findings.add(FindingKind::Fork, None, detail);
            }
        }
    }
}

impl Difference {
    fn at(first: u64, entries: &[Hash], hashes: &[Hash]) -> Self {
        let reordered = sorted(entries) == sorted(hashes);
        Self { first, reordered }
    }
}

/// As many leaf hashes as the hash tile has, where the bundle has fewer or more.
fn padded(mut entries: Vec<Hash>, hashes: &[Hash]) -> Vec<Hash> {
    entries.truncate(hashes.len());
    entries.extend(hashes.iter().skip(entries.len()));
    entries
}

/// A tile's bytes, and whether they are those of this width: a partial tile that is gone may have
/// been replaced by the full one.
fn read_tile(
    tile: &Tile,
    read: &mut impl FnMut(&str) -> Option<Vec<u8>>,
) -> Option<(Vec<u8>, bool)> {
    if let Some(bytes) = read(&tile.to_string()) {
        return Some((bytes, true));
    }
    let full = Some(tile.full()).filter(|_| tile.is_partial())?;
    read(&full.to_string()).map(|bytes| (bytes, false))
}

fn sorted(hashes: &[Hash]) -> Vec<Hash> {
    let mut hashes = hashes.to_vec();
    hashes.sort_unstable();
    hashes
}

fn tree_of(hashes: &[Hash]) -> Hash {
    let mut tree = Frontier::new();
    hashes.iter().for_each(|hash| tree.push(*hash));
    tree.root()
}

#[cfg(test)]
mod tests;
