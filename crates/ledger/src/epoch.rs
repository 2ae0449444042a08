//! One epoch: one log, one fresh key that never leaves memory, one directory.

#![expect(clippy::disallowed_methods, reason = "an epoch is a directory with files")]

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use ring::rand::{SecureRandom, SystemRandom};

use crate::keys::{EPOCH_S_MAX, Issuer, Origin, Validity};
use crate::ledger::StartError;
use crate::note::{Note, NoteError, Signer, VerifierKey};
use crate::tlog::Frontier;
use crate::wal::disk::Disk;
use crate::wal::segment::{Segment, sync_dir};
use crate::wal::space::Space;
use crate::wal::spool::{Spool, UNFINISHED};
use crate::wal::{EpochId, WalError};

/// The epoch's key statement.
pub(crate) const EPOCH_NOTE: &str = "epoch.note";
/// The certificate of the issuer that signed it.
pub(crate) const ISSUER_NOTE: &str = "issuer.note";
/// How long before its start an epoch's key is valid, for records whose time was taken just
/// before the epoch turned.
const BACKDATED_S: u64 = 300;

/// The live epoch.
pub(crate) struct Epoch {
    pub(crate) id: EpochId,
    pub(crate) origin: Arc<str>,
    pub(crate) dir: PathBuf,
    pub(crate) tree: Frontier,
    pub(crate) signer: Signer,
    /// When its key is valid.
    pub(crate) validity: Validity,
    pub(crate) opened: Instant,
    pub(crate) opened_ms: i64,
    /// Measured time of one sync, microseconds.
    pub(crate) sync_us: u64,
}

/// What every epoch of a process is made with.
pub(crate) struct Maker {
    pub(crate) spool: Arc<Spool>,
    pub(crate) space: Arc<Space>,
    pub(crate) disk: Disk,
    pub(crate) issuer: Issuer,
    /// The log's name without its epoch.
    pub(crate) log: String,
}

impl Maker {
    /// Makes an epoch later than `after`, and its first segment. Nothing is recorded in it yet.
    ///
    /// # Errors
    /// [`StartError`]: no room for a segment, a key that cannot be certified, or the disk.
    pub(crate) fn make(
        &self,
        now_ms: i64,
        after: Option<EpochId>,
    ) -> Result<(Epoch, Segment), StartError> {
        let id = next_id(now_ms, after)?;
        let origin = Origin::parse(&format!("{}/{id}", self.log))?;
        let signer = Signer::generate(origin.as_str())?;
        let validity = self.validity(now_ms)?;
        let statement = self.issuer.certify(&origin, signer.verifier_key(), validity)?;

        let unfinished = self.spool.dir().join(format!("{UNFINISHED}{id}"));
        let failed = |source| StartError::Spool { dir: self.spool.dir().to_owned(), source };
        if !self.space.claim_segment() {
            return Err(self.full());
        }
        let made = self.fill(&unfinished, id, &statement);
        let (segment, sync_us) =
            made.inspect_err(|_| self.space.unclaim_segment()).map_err(failed)?;
        self.space.segment_made();
        let epoch = Epoch {
            id,
            origin: origin.as_str().into(),
            dir: self.spool.epoch_dir(id),
            tree: Frontier::new(),
            signer,
            validity,
            opened: Instant::now(),
            opened_ms: now_ms,
            sync_us,
        };
        Ok((epoch, segment))
    }

    fn fill(&self, unfinished: &Path, id: EpochId, statement: &str) -> io::Result<(Segment, u64)> {
        DirBuilder::new().mode(0o700).create(unfinished)?;
        write_note(&unfinished.join(EPOCH_NOTE), statement)?;
        write_note(&unfinished.join(ISSUER_NOTE), self.issuer.certificate())?;
        let segment = Segment::create(&self.disk, unfinished, id, 0, self.space.segment_bytes())?;
        let sync_us = segment.measure_sync_us(&self.disk, id)?;
        fs::rename(unfinished, self.spool.epoch_dir(id))?;
        sync_dir(self.spool.dir())?;
        Ok((segment, sync_us))
    }

    /// A day and an hour, as far as the issuer may certify it.
    fn validity(&self, now_ms: i64) -> Result<Validity, StartError> {
        let now_s = u64::try_from(now_ms / 1000).unwrap_or(0);
        let issuer = self.issuer.validity();
        let not_before_s = now_s.saturating_sub(BACKDATED_S).max(issuer.not_before_s());
        let not_after_s = not_before_s.saturating_add(EPOCH_S_MAX).min(issuer.not_after_s());
        issuer.check(now_s)?;
        if not_after_s == issuer.not_after_s() {
            tracing::warn!(not_after_s, "the issuer's key expires: no log is written after that");
        }
        Ok(Validity::new(not_before_s, not_after_s)?)
    }

    pub(crate) fn full(&self) -> StartError {
        StartError::Full {
            dir: self.spool.dir().to_owned(),
            used: self.space.used(),
            max: self.space.max(),
        }
    }
}

/// The time and 32 random bits; later than `after`, whatever the clock says.
fn next_id(now_ms: i64, after: Option<EpochId>) -> Result<EpochId, StartError> {
    let mut random = [0; 4];
    SystemRandom::new().fill(&mut random).map_err(|_| StartError::from(NoteError::Random))?;
    let now = u64::try_from(now_ms).unwrap_or(0);
    let ms = after.map_or(now, |after| now.max(after.ms.saturating_add(1)));
    Ok(EpochId { ms, random: u32::from_le_bytes(random) })
}

fn write_note(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The notes of an epoch, and the key that its statement names. Whether that key is to be
/// trusted is for verifiers, who have the root's key.
pub(crate) struct Notes {
    pub(crate) epoch: String,
    pub(crate) issuer: String,
    pub(crate) key: VerifierKey,
}

impl Notes {
    /// Reads them from an epoch's directory.
    ///
    /// # Errors
    /// [`WalError`]: a note is missing or names no key.
    pub(crate) fn read(dir: &Path) -> Result<Self, WalError> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read_to_string(&path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::InvalidData => {
                    corrupt(&path, source.to_string())
                }
                _ => WalError::Io { path, source },
            })
        };
        let (epoch, issuer) = (read(EPOCH_NOTE)?, read(ISSUER_NOTE)?);
        let key =
            named_key(&epoch).map_err(|error| corrupt(&dir.join(EPOCH_NOTE), error.to_string()))?;
        Ok(Self { epoch, issuer, key })
    }
}

fn corrupt(path: &Path, problem: String) -> WalError {
    WalError::Corrupt { path: path.to_owned(), offset: 0, problem }
}

/// The key on a statement's `key` line.
fn named_key(note: &str) -> Result<VerifierKey, NoteError> {
    let text = Note::parse(note)?.text();
    let line = text.lines().find_map(|line| line.strip_prefix("key "));
    line.ok_or(NoteError::Malformed("no key line"))?.parse()
}
