//! One log, verified as its messages arrive.
//!
//! Memory is bounded: the last leaves, checkpoints and opened notes are remembered. What lies
//! further back is proven to be in a signed tree and returned as [`Outcome::Past`], to be compared
//! with what the caller has stored.

use std::collections::{BTreeMap, VecDeque};

use super::recent::Recent;
use super::{Finding, FindingKind, Findings, LATE_MS, Summary};
use crate::keys::{Chain, Origin};
use crate::note::{Checkpoint, NoteError};
use crate::proof::Proof;
use crate::tlog::{Hash, leaf_hash};

/// Leaves remembered beyond a gap, at most.
pub(super) const HELD_MAX: usize = 65_536;

/// Roots remembered by size, at most.
const ROOTS_MAX: usize = 4096;

/// Opened checkpoints remembered by their text, at most.
const OPENED_MAX: usize = 16;

/// One message: a record with its proof.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Index that the message claims.
    pub index: u64,
    /// The leaf's value, exactly.
    pub value: &'a [u8],
    /// The tlog-proof.
    pub proof: &'a str,
    /// When it arrived, in milliseconds since 1970.
    pub seen_ms: i64,
}

/// What a message turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The log's next leaf.
    Next,
    /// A leaf beyond a gap. Store it; the log goes on here when the gap is filled.
    Ahead,
    /// A leaf that is known already.
    Duplicate,
    /// A leaf further back than is remembered, in a signed tree. Compare the leaf with the stored
    /// one and the checkpoint's root with the stored tree's: a difference is an equivocation or
    /// a fork.
    Past {
        /// The message's leaf hash.
        leaf: Hash,
        /// The checkpoint that the message came with.
        checkpoint: Checkpoint,
    },
    /// Not to be stored as a leaf; a finding says why.
    Rejected,
}

/// How a signed checkpoint agrees with the leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its root is that of the leaves.
    Proven,
    /// It covers leaves that have not come yet.
    Ahead,
    /// It ends further back than is remembered; compare it with the stored tree.
    Past(Checkpoint),
    /// A finding says why.
    Rejected,
}

/// Verifies the messages of one log.
#[derive(Clone, Debug)]
pub struct LogVerifier {
    chain: Chain,
    strict: bool,
    summary: Summary,
    recent: Recent,
    /// Leaves beyond the gap.
    held: BTreeMap<u64, Hash>,
    gap: Option<Gap>,
    /// Signed roots by size: those ahead, and the last ones that were proven.
    roots: BTreeMap<u64, Hash>,
    newest: u64,
    opened: VecDeque<(String, Checkpoint)>,
    findings: Findings,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    since_ms: i64,
    reported: bool,
}

/// Why a message does not hold.
type Wrong = (FindingKind, String);

impl LogVerifier {
    /// A verifier from the log's first leaf on.
    #[must_use]
    pub fn new(chain: Chain) -> Self {
        let summary = Summary::of(chain.origin().clone());
        Self::resume(chain, summary)
    }

    /// A verifier that goes on after what was verified before.
    #[must_use]
    pub fn resume(chain: Chain, summary: Summary) -> Self {
        let frontier = summary.frontier.clone();
        Self {
            strict: false,
            recent: Recent::after(frontier),
            held: BTreeMap::new(),
            gap: None,
            roots: BTreeMap::new(),
            newest: summary.frontier.size(),
            opened: VecDeque::new(),
            findings: Findings::of(chain.origin()),
            chain,
            summary,
        }
    }

    /// Makes every duplicate a finding.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// The log.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.chain.origin()
    }

    /// The verified chain to the log's key.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What is known of the log.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Leaves verified without a gap from the first on.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.summary.frontier.size()
    }

    /// The findings since the last call.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings.found)
    }

    /// Verifies a message.
    pub fn message(&mut self, message: &Message<'_>) -> Outcome {
        let leaf = leaf_hash(message.value);
        let checkpoint = match self.prove(message, &leaf) {
            Ok(checkpoint) => checkpoint,
            Err((kind, detail)) => {
                self.findings.add(kind, Some(message.index), detail);
                return Outcome::Rejected;
            }
        };
        if self.compare(&checkpoint) == Standing::Rejected {
            if self.recent.leaf(message.index).is_some_and(|known| *known != leaf) {
                self.equivocation(message.index);
            }
            return Outcome::Rejected;
        }
        match message.index.cmp(&self.size()) {
            std::cmp::Ordering::Less => self.known(message, leaf, checkpoint),
            std::cmp::Ordering::Equal => self.next(message, leaf),
            std::cmp::Ordering::Greater => self.ahead(message, leaf),
        }
    }

    /// Verifies a whole commit group: the leaves from `first` on, and the checkpoint that covers
    /// them, all or nothing.
    pub fn group(&mut self, first: u64, values: &[impl AsRef<[u8]>], checkpoint: &str) -> Outcome {
        match self.check_group(first, values, checkpoint) {
            Err((kind, detail)) => {
                self.findings.add(kind, Some(first), detail);
                return Outcome::Rejected;
            }
            Ok(checkpoint) => {
                if self.compare(&checkpoint) == Standing::Rejected {
                    return Outcome::Rejected;
                }
            }
        }
        for (index, value) in (first..).zip(values) {
            self.append(leaf_hash(value.as_ref()));
            self.read(index, value.as_ref(), None);
        }
        Outcome::Next
    }

    /// Verifies a checkpoint that came by itself, or that was kept apart.
    pub fn checkpoint(&mut self, note: &str) -> Standing {
        match self.open(note) {
            Ok(checkpoint) => self.compare(&checkpoint),
            Err((kind, detail)) => {
                self.findings.add(kind, None, detail);
                Standing::Rejected
            }
        }
    }

    /// Reports a gap that has been open for [`LATE_MS`].
    pub fn tick(&mut self, now_ms: i64) {
        if let Some(gap) = &mut self.gap
            && !gap.reported
            && now_ms.saturating_sub(gap.since_ms) >= LATE_MS
        {
            gap.reported = true;
            self.report_gap();
        }
    }

    /// Reports what is missing, now that nothing more comes.
    pub fn finish(&mut self) {
        if self.gap.take().is_some_and(|gap| !gap.reported) {
            self.report_gap();
        }
        let last_held = self.held.last_key_value().map(|(index, _)| index + 1);
        let size = last_held.unwrap_or(self.size());
        if size < self.newest {
            let detail = format!("`{size}` leaves; a signed checkpoint has `{}`", self.newest);
            self.findings.add(FindingKind::Truncation, Some(size), detail);
        }
    }

    fn prove(&mut self, message: &Message<'_>, leaf: &Hash) -> Result<Checkpoint, Wrong> {
        let altered = |detail: String| (FindingKind::Alteration, detail);
        let proof = Proof::parse(message.proof).map_err(|error| altered(error.to_string()))?;
        if proof.index != message.index {
            return Err(altered(format!("the proof is for leaf `{}`", proof.index)));
        }
        let checkpoint = self.open(proof.checkpoint)?;
        proof.verify_in(leaf, &checkpoint).map_err(|error| altered(error.to_string()))?;
        Ok(checkpoint)
    }

    /// Opens a checkpoint, each text once.
    fn open(&mut self, note: &str) -> Result<Checkpoint, Wrong> {
        let known = self.opened.iter().rev().find(|(text, _)| text == note);
        if let Some((_, checkpoint)) = known {
            return Ok(checkpoint.clone());
        }
        let checkpoint = Checkpoint::open(note, self.chain.key()).map_err(wrong_note)?;
        if self.opened.len() == OPENED_MAX {
            self.opened.pop_front();
        }
        self.opened.push_back((note.to_owned(), checkpoint.clone()));
        Ok(checkpoint)
    }

    fn check_group(
        &mut self,
        first: u64,
        values: &[impl AsRef<[u8]>],
        note: &str,
    ) -> Result<Checkpoint, Wrong> {
        let checkpoint = self.open(note)?;
        let size = self.size();
        if first != size {
            let kind = if first > size { FindingKind::Gap } else { FindingKind::Reorder };
            return Err((kind, format!("a group follows `{size}` leaves")));
        }
        let mut frontier = self.summary.frontier.clone();
        values.iter().for_each(|value| frontier.push(leaf_hash(value.as_ref())));
        if frontier.size() != checkpoint.size || frontier.root() != checkpoint.root {
            let detail =
                format!("the group is not what its checkpoint of `{}` has", checkpoint.size);
            return Err((FindingKind::Alteration, detail));
        }
        Ok(checkpoint)
    }

    /// Compares a signed checkpoint with the leaves and with the other checkpoints.
    fn compare(&mut self, checkpoint: &Checkpoint) -> Standing {
        let Checkpoint { size, root, .. } = checkpoint;
        self.newest = self.newest.max(*size);
        let ahead = *size > self.size();
        let known = self.roots.get(size).copied();
        let Some(known) = known.or_else(|| self.recent.root(*size)).or(ahead.then_some(*root))
        else {
            return Standing::Past(checkpoint.clone());
        };
        if known != *root {
            self.report_fork(*size);
            return Standing::Rejected;
        }
        self.roots.insert(*size, *root);
        if self.roots.len() > ROOTS_MAX {
            self.roots.pop_first();
        }
        if ahead { Standing::Ahead } else { Standing::Proven }
    }

    fn known(&mut self, message: &Message<'_>, leaf: Hash, checkpoint: Checkpoint) -> Outcome {
        match self.recent.leaf(message.index) {
            Some(known) if *known == leaf => self.duplicate(message.index),
            Some(_) => self.equivocation(message.index),
            None => Outcome::Past { leaf, checkpoint },
        }
    }

    fn ahead(&mut self, message: &Message<'_>, leaf: Hash) -> Outcome {
        match self.held.get(&message.index) {
            Some(known) if *known == leaf => return self.duplicate(message.index),
            Some(_) => return self.equivocation(message.index),
            None => {}
        }
        self.gap.get_or_insert(Gap { since_ms: message.seen_ms, reported: false });
        if self.held.len() < HELD_MAX {
            self.held.insert(message.index, leaf);
        }
        self.read(message.index, message.value, Some(message.seen_ms));
        Outcome::Ahead
    }

    fn next(&mut self, message: &Message<'_>, leaf: Hash) -> Outcome {
        if self.gap.is_some() {
            let detail = "came after a later leaf";
            self.findings.add(FindingKind::Reorder, Some(message.index), detail);
        }
        self.append(leaf);
        self.read(message.index, message.value, Some(message.seen_ms));
        while let Some(held) = self.held.remove(&self.size()) {
            self.append(held);
        }
        if self.held.is_empty() {
            self.gap = None;
        }
        Outcome::Next
    }

    fn duplicate(&mut self, index: u64) -> Outcome {
        if self.strict {
            self.findings.add(FindingKind::Duplicate, Some(index), "the same leaf again");
        }
        Outcome::Duplicate
    }

    fn equivocation(&mut self, index: u64) -> Outcome {
        let detail = "the log signed another leaf for this index before";
        self.findings.add(FindingKind::Equivocation, Some(index), detail);
        Outcome::Rejected
    }

    fn append(&mut self, leaf: Hash) {
        self.summary.frontier.push(leaf);
        self.recent.push(leaf);
        let size = self.size();
        if let Some(root) = self.roots.get(&size)
            && *root != self.summary.frontier.root()
        {
            self.report_fork(size);
        }
    }

    fn read(&mut self, index: u64, value: &[u8], seen_ms: Option<i64>) {
        let validity = self.chain.validity();
        self.summary.read(index, value, &validity, seen_ms, &mut self.findings);
    }

    fn report_fork(&mut self, size: u64) {
        let detail = format!("the signed checkpoint of `{size}` leaves is of another history");
        self.findings.add(FindingKind::Fork, None, detail);
    }

    fn report_gap(&mut self) {
        let first = self.size();
        let last = self.held.first_key_value().map_or(first, |(index, _)| index - 1);
        let detail = format!("leaves `{first}` to `{last}` are missing");
        self.findings.add(FindingKind::Gap, Some(first), detail);
    }
}

/// Whether a note is by another key, or not what was signed.
pub(super) fn wrong_note(error: NoteError) -> Wrong {
    let kind = match error {
        NoteError::Unsigned(_) | NoteError::Origin { .. } => FindingKind::WrongKey,
        _ => FindingKind::Alteration,
    };
    (kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Keys, Log, feed};
    use super::*;

    #[test]
    fn what_is_remembered_of_checkpoints_has_limits() {
        let log = Log::new(&Keys::new(100), 0, ROOTS_MAX + 10, None);
        let mut verifier = log.verifier();
        feed(&mut verifier, &log.messages_in_groups_of(1));
        assert_eq!(verifier.size(), ROOTS_MAX as u64 + 10);
        assert_eq!(verifier.roots.len(), ROOTS_MAX);
        assert_eq!(verifier.roots.first_key_value().map(|(size, _)| *size), Some(11));
        assert_eq!(verifier.opened.len(), OPENED_MAX);
    }
}
