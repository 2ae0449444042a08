//! From messages to evidence: verified, written, indexed, committed, in this order.
//!
//! What was taken in counts when [`Ingest::commit`] returns; a crash before it leaves files that
//! the next run writes again. Tiles reach as far as a checkpoint does: leaves of a group that is
//! not whole yet, and those beyond a gap, are kept in the manifest until it is.
//!
//! It takes messages of any number of logs, interleaved in any way; of one log in any order. It
//! reads no clock and knows no broker.

mod compare;
mod statements;
mod store;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use ledger::keys::{Chain, Origin};
use ledger::note::{Checkpoint, VerifierKey, claimed_origin};
use ledger::verify::{
    Finding, FindingKind, LogVerifier, Message, Outcome, Standing, Summary, TrailVerifier,
};

use crate::evidence::{Evidence, EvidenceError};
use crate::manifest::{Ahead, Batch, Manifest, ManifestError};
use crate::message::{Event, Position};
use crate::projection::Projection;
use compare::Tiles;
use statements::Halves;

pub use statements::Statement;

/// Why a batch cannot be stored. Nothing of it counts, and the next run takes it again.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The evidence cannot be written.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The manifest cannot be read or written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest does not hold what it should.
    #[error("`{origin}` is verified up to leaf {size}, but leaf {index} was not kept")]
    Lost {
        /// The log.
        origin: String,
        /// How far it is verified.
        size: u64,
        /// The leaf.
        index: u64,
    },
}

/// Takes messages in.
pub struct Ingest {
    root: VerifierKey,
    trail: TrailVerifier,
    evidence: Evidence,
    manifest: Manifest,
    logs: BTreeMap<Origin, Log>,
    /// Logs of which something is stored, but whose statements did not hold at the start.
    unproven: BTreeMap<Origin, Summary>,
    halves: Halves,
    pending: Pending,
    /// Partial tiles that a wider one replaced, and when.
    replaced: VecDeque<(i64, PathBuf)>,
    tiles: Tiles,
    commits: u64,
}

/// How far a log is stored.
#[derive(Debug, Default)]
struct Log {
    /// Leaves in tiles.
    stored: u64,
    /// Leaves of the checkpoint on disk. After a crash they may be more than what counts as
    /// stored; the checkpoint never goes back.
    reached: u64,
    /// Leaves wait beyond a gap.
    waits: bool,
    /// That they came before those in the gap was reported.
    reordered: bool,
    /// The commit after its last message, while its verifier remembers more than it must.
    awake: Option<u64>,
}

/// What has been taken in since the last commit.
#[derive(Default)]
struct Pending {
    batch: Batch,
    leaves: BTreeMap<Origin, BTreeMap<u64, Ahead>>,
    offsets: BTreeMap<(String, i32), i64>,
}

impl Ingest {
    /// Goes on where the manifest says.
    ///
    /// # Errors
    /// [`IngestError::Manifest`].
    pub fn resume(
        root: VerifierKey,
        evidence: Evidence,
        manifest: Manifest,
    ) -> Result<Self, IngestError> {
        let mut ingest = Self {
            trail: TrailVerifier::new(root.clone()),
            root,
            logs: BTreeMap::new(),
            unproven: BTreeMap::new(),
            halves: Halves::default(),
            pending: Pending::default(),
            replaced: VecDeque::new(),
            tiles: Tiles::default(),
            commits: 0,
            evidence,
            manifest,
        };
        for log in ingest.manifest.logs()? {
            ingest.resume_log(log.summary, log.stored)?;
        }
        Ok(ingest)
    }

    fn resume_log(&mut self, summary: Summary, stored: u64) -> Result<(), IngestError> {
        let origin = summary.origin.clone();
        let chain = self.evidence.statements(&origin).and_then(|statements| {
            Chain::open(&self.root, &statements.issuer, &statements.epoch, &origin).ok()
        });
        let reached = chain.as_ref().map_or(0, |chain| self.reached_on_disk(chain)).max(stored);
        self.evidence.tidy(&origin, [stored, reached]);
        self.logs.insert(origin.clone(), Log { stored, reached, ..Log::default() });
        match chain {
            Some(chain) => self.wake(LogVerifier::resume(chain, summary)),
            None => {
                self.unproven.insert(origin, summary);
                Ok(())
            }
        }
    }

    /// Leaves of the log's checkpoint on disk.
    fn reached_on_disk(&self, chain: &Chain) -> u64 {
        let note = self.evidence.checkpoint(chain.origin());
        let signed = note.and_then(|note| Checkpoint::open(&note, chain.key()).ok());
        signed.map_or(0, |checkpoint| checkpoint.size)
    }

    /// Goes on with a log. The first of the leaves that wait beyond its gap makes the gap known.
    fn wake(&mut self, log: LogVerifier) -> Result<(), IngestError> {
        let (origin, size) = (log.origin().clone(), log.size());
        self.trail.resume(log);
        let first = self.manifest.ahead(&origin, size)?;
        if let Some(log) = self.logs.get_mut(&origin) {
            log.waits = first.is_some();
        }
        if let Some(Ahead { event, seen_ms }) = first {
            self.verify_again(&event, seen_ms);
        }
        Ok(())
    }

    /// What was committed.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether the log's key is known.
    pub fn knows(&self, origin: &Origin) -> bool {
        self.trail.log(origin).is_some()
    }

    /// Takes in an event, which arrived at `now_ms`.
    ///
    /// # Errors
    /// [`IngestError::Manifest`].
    pub fn event(&mut self, at: Position, event: Event, now_ms: i64) -> Result<(), IngestError> {
        self.reached(&at);
        let outcome = self.trail.message(&event.origin, &message(&event, now_ms));
        let mut found = self.trail.take_findings();
        match outcome {
            Outcome::Next => {
                let origin = event.origin.clone();
                if self.logs.get(&origin).is_some_and(|log| log.waits) {
                    self.only_new_of_a_gap(&origin, &mut found);
                }
                self.keep(event, now_ms);
                self.follow(&origin)?;
            }
            Outcome::Ahead => match self.waiting(&event.origin, event.index)? {
                None => {
                    self.log(&event.origin).waits = true;
                    self.keep(event, now_ms);
                }
                Some(known) if known.event.value == event.value => {}
                Some(_) => {
                    let detail = "the log signed another leaf for this index before";
                    found.push(finding(FindingKind::Equivocation, &event, detail));
                    self.reject(at, event, &found);
                }
            },
            Outcome::Duplicate => {}
            Outcome::Past { leaf, checkpoint } => {
                found.extend(self.compare_leaf(&event, &leaf)?);
                found.extend(self.compare_root(&event.origin, &checkpoint));
                if !found.is_empty() {
                    self.reject(at, event, &found);
                }
            }
            Outcome::Rejected => self.reject(at, event, &found),
        }
        self.pending.batch.findings.append(&mut found);
        Ok(())
    }

    /// Takes in a checkpoint that came by itself. Of a log whose key nobody has certified it says
    /// nothing; of leaves that have not come yet it is not a finding.
    pub fn checkpoint(&mut self, at: &Position, note: &str) {
        self.reached(at);
        let origin = claimed_origin(note).and_then(|name| Origin::parse(name).ok());
        let Some(origin) = origin.filter(|origin| self.knows(origin)) else { return };
        let standing = self.trail.checkpoint(note);
        let mut found = self.trail.take_findings();
        if let Standing::Past(checkpoint) = standing {
            found.extend(self.compare_root(&origin, &checkpoint));
        }
        self.pending.batch.findings.append(&mut found);
    }

    /// Takes note of a message that is none of the trail's.
    pub fn malformed(&mut self, at: Position, reason: String, value: Vec<u8>) {
        self.reached(&at);
        self.pending.batch.rejected.push((at, reason, value));
    }

    /// Everything written before `until_ms` was taken in: what is overdue by then is found.
    pub fn tick(&mut self, until_ms: i64) {
        self.trail.tick(until_ms);
        self.pending.batch.findings.append(&mut self.trail.take_findings());
    }

    /// Keeps a verified leaf, and makes it findable.
    fn keep(&mut self, event: Event, seen_ms: i64) {
        let row = Projection::of(&event.value);
        self.pending.batch.events.push((event.origin.clone(), event.index, row));
        let leaves = self.pending.leaves.entry(event.origin.clone()).or_default();
        leaves.insert(event.index, Ahead { event, seen_ms });
    }

    /// Leaves that fill a gap came late, one as the other: that is said once, and that each is
    /// older than those that waited says nothing of clocks.
    fn only_new_of_a_gap(&mut self, origin: &Origin, found: &mut Vec<Finding>) {
        let reported = std::mem::replace(&mut self.log(origin).reordered, true);
        found.retain(|finding| match finding.kind {
            FindingKind::Clock => false,
            FindingKind::Reorder => !reported,
            _ => true,
        });
    }

    /// Goes on with what waits after the log's last leaf: after a restart the verifier does not
    /// remember it, and it remembers only so much.
    fn follow(&mut self, origin: &Origin) -> Result<(), IngestError> {
        while self.logs.get(origin).is_some_and(|log| log.waits) {
            let size = self.size(origin);
            let Some(Ahead { event, seen_ms }) = self.waiting(origin, size)? else { break };
            if self.verify_again(&event, seen_ms) != Outcome::Next {
                break;
            }
        }
        Ok(())
    }

    /// Verifies a leaf that was kept. Its time has been judged when it came.
    fn verify_again(&mut self, event: &Event, seen_ms: i64) -> Outcome {
        let outcome = self.trail.message(&event.origin, &message(event, seen_ms));
        let found = self.trail.take_findings().into_iter();
        let found = found
            .filter(|finding| !matches!(finding.kind, FindingKind::Clock | FindingKind::Silence));
        self.pending.batch.findings.extend(found);
        outcome
    }

    /// A leaf that is in no tile yet.
    fn waiting(&self, origin: &Origin, index: u64) -> Result<Option<Ahead>, IngestError> {
        if let Some(leaf) = self.pending.leaves.get(origin).and_then(|leaves| leaves.get(&index)) {
            return Ok(Some(leaf.clone()));
        }
        let found = self.manifest.ahead(origin, index)?;
        Ok(found.filter(|ahead| ahead.event.index == index))
    }

    /// Leaves verified without a gap.
    fn size(&self, origin: &Origin) -> u64 {
        self.trail.log(origin).map_or(0, LogVerifier::size)
    }

    fn log(&mut self, origin: &Origin) -> &mut Log {
        self.logs.entry(origin.clone()).or_default()
    }

    fn reached(&mut self, at: &Position) {
        match self.pending.offsets.get_mut(&(at.topic.clone(), at.partition)) {
            Some(offset) => *offset = at.offset,
            None => drop(self.pending.offsets.insert((at.topic.clone(), at.partition), at.offset)),
        }
    }

    fn reject(&mut self, at: Position, event: Event, found: &[Finding]) {
        let reason = found.first().map_or("rejected", |finding| finding.kind.as_str());
        self.pending.batch.rejected.push((at, reason.to_owned(), event.value));
    }
}

fn message(event: &Event, seen_ms: i64) -> Message<'_> {
    Message { index: event.index, value: &event.value, proof: &event.proof, seen_ms }
}

fn finding(kind: FindingKind, event: &Event, detail: &str) -> Finding {
    let (origin, detail) = (event.origin.to_string(), detail.to_owned());
    Finding { kind, origin, index: Some(event.index), detail }
}

#[cfg(test)]
mod tests;
