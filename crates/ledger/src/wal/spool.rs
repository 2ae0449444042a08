//! The spool directory: its lock, its filesystem, its epochs, and what outlives an epoch.
//!
//! It creates the spool's own directory if the parent is there, and nothing above it: a missing
//! mount is an error, not an empty spool.

#![expect(clippy::disallowed_methods, reason = "the write-ahead log is files")]

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::segment::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, sync_dir};
use super::space::OWN_ROOM;
use super::{EpochId, WalError, small};
use crate::ledger::StartError;

/// Prefix of directories that are not epochs yet, or no longer.
pub(crate) const UNFINISHED: &str = "tmp-";
const LOCK: &str = "lock";
/// What is there of every spool, also of a copy.
pub(crate) const STATE: &str = "state";

/// Where the record is kept on this machine, and how much of it.
#[derive(Debug, Clone)]
pub struct SpoolOptions {
    /// The directory; its parent must exist.
    pub dir: PathBuf,
    /// Bytes of a segment, 512 KiB to 256 MiB.
    pub segment_bytes: u64,
    /// Bytes of all segments together, at least four of them.
    pub bytes_max: u64,
    /// The operator accepts a filesystem that does not survive a restart of the machine or
    /// container.
    pub volatile: bool,
    /// When groups are compressed.
    pub compress: Compress,
}

/// When groups are compressed (zstd, level 1). It takes 5 to 10 µs an event, and makes groups
/// of more than a few events about ten times smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compress {
    /// Never.
    Never,
    /// While the spool is filled to a tenth or more: when what it is shipped to is behind or
    /// away, and room counts more than time.
    #[default]
    Behind,
    /// Always.
    Always,
}

impl SpoolOptions {
    /// A spool in `dir` of at most `bytes_max` bytes, in segments of 16 MiB.
    pub fn new(dir: impl Into<PathBuf>, bytes_max: u64) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 16 * 1024 * 1024,
            bytes_max,
            volatile: false,
            compress: Compress::default(),
        }
    }

    fn check(&self) -> Result<(), StartError> {
        let within = |option, value, min, max| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(StartError::Option { option, value, min, max })
            }
        };
        within("segment_bytes", self.segment_bytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)?;
        // Two segments for the log's own words and for rotation, two for everything else.
        let least = (self.segment_bytes * 4).max(OWN_ROOM as u64 * 4);
        within("bytes_max", self.bytes_max, least, i64::MAX as u64)
    }
}

/// What outlives the epochs it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Every decision of an epoch before this one has its completion, but for those in `open`.
    pub(crate) settled: Option<EpochId>,
    /// The newest epoch that was shipped and deleted.
    pub(crate) previous: Option<Previous>,
    /// Decisions whose segments were deleted while they were open.
    pub(crate) open: Vec<Carried>,
}

/// The end of an earlier log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Previous {
    pub(crate) epoch: EpochId,
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: [u8; 32],
    /// It ended with a `log_close`.
    pub(crate) closed: bool,
}

/// An open decision whose segment is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Carried {
    /// The decision's id.
    pub(crate) uid: String,
    /// The decision's value, to make its completion with.
    pub(crate) value: String,
}

impl Carried {
    /// The decision's id, if it is one.
    pub(crate) fn id(&self) -> Option<Uuid> {
        Uuid::try_parse(&self.uid).ok()
    }
}

/// A spool that this process holds.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    filesystem: String,
    state: Mutex<State>,
    /// Held until the last user of the spool is gone.
    _lock: File,
}

impl Spool {
    /// Locks the spool and reads its state. Nothing in it is changed but leftovers of
    /// directories that never were epochs.
    ///
    /// # Errors
    /// [`StartError`]: an option out of range, a directory that cannot be used, a lock held
    /// elsewhere, a filesystem that forgets, a damaged state.
    pub(crate) fn lock(options: SpoolOptions) -> Result<Self, StartError> {
        options.check()?;
        let dir = options.dir.clone();
        let failed = |source| StartError::Spool { dir: dir.clone(), source };
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            _ => {}
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join(LOCK));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StartError::Locked { dir }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let (filesystem, forgets) = filesystem(&lock).map_err(failed)?;
        if forgets && !options.volatile {
            return Err(StartError::Volatile { dir, filesystem });
        }
        let state = small::read(&dir, STATE).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => {
                let (path, problem) = (dir.join(STATE), source.to_string());
                StartError::Wal(WalError::Corrupt { path, offset: 0, problem })
            }
            _ => failed(source),
        })?;
        let spool =
            Self { dir, filesystem, state: Mutex::new(state.unwrap_or_default()), _lock: lock };
        spool.sweep().map_err(|source| StartError::Spool { dir: spool.dir.clone(), source })?;
        Ok(spool)
    }

    /// The spool's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory of an epoch.
    pub(crate) fn epoch_dir(&self, epoch: EpochId) -> PathBuf {
        self.dir().join(epoch.to_string())
    }

    /// The filesystem's name.
    pub(crate) fn filesystem(&self) -> &str {
        &self.filesystem
    }

    /// The epochs that have a directory, oldest first.
    pub(crate) fn epochs(&self) -> io::Result<Vec<EpochId>> {
        let mut epochs = Vec::new();
        for entry in fs::read_dir(self.dir())? {
            epochs
                .extend(entry?.file_name().to_str().and_then(|name| name.parse::<EpochId>().ok()));
        }
        epochs.sort_unstable();
        Ok(epochs)
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state as it is.
    pub(crate) fn state(&self) -> State {
        self.lock_state().clone()
    }

    /// Changes the state, durably.
    pub(crate) fn change_state(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.lock_state();
        let mut next = state.clone();
        change(&mut next);
        if next != *state {
            small::replace(self.dir(), STATE, &next)?;
            *state = next;
        }
        Ok(())
    }

    /// Takes an epoch's name from its directory, so that a crash while that is deleted leaves no
    /// half; what it is called now. It may have lost its name before.
    pub(crate) fn doom_epoch(&self, epoch: EpochId) -> io::Result<PathBuf> {
        let (named, doomed) =
            (self.epoch_dir(epoch), self.dir().join(format!("{UNFINISHED}{epoch}")));
        if fs::exists(&named)? {
            fs::rename(named, &doomed)?;
        }
        sync_dir(self.dir())?;
        Ok(doomed)
    }

    /// Deletes what never was an epoch, or no longer is.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.dir())? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The filesystem's name, and whether it forgets when the machine or container restarts.
fn filesystem(file: &File) -> io::Result<(String, bool)> {
    let magic = rustix::fs::fstatfs(file)?.f_type as u64 & 0xffff_ffff;
    Ok(named(magic))
}

/// Names of `statfs(2)`'s magic numbers. An overlay's upper layer goes with its container.
fn named(magic: u64) -> (String, bool) {
    let (name, forgets) = match magic {
        0xef53 => ("ext4", false),
        0x5846_5342 => ("xfs", false),
        0x9123_683e => ("btrfs", false),
        0x2fc1_2fc1 => ("zfs", false),
        0xf2f5_2010 => ("f2fs", false),
        0x6969 => ("nfs", false),
        0x6573_5546 => ("fuse", false),
        0x0102_1994 => ("tmpfs", true),
        0x8584_58f6 => ("ramfs", true),
        0x9584_58f6 => ("hugetlbfs", true),
        0x794c_7630 => ("overlay", true),
        other => return (format!("{other:#x}"), false),
    };
    (name.to_owned(), forgets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filesystems_that_forget_are_known() {
        let check =
            |magic, want: (&str, bool)| assert_eq!(named(magic), (want.0.to_owned(), want.1));
        check(0xef53, ("ext4", false));
        check(0x0102_1994, ("tmpfs", true));
        check(0x794c_7630, ("overlay", true));
        check(0x1234, ("0x1234", false));
    }

    #[test]
    fn options_have_limits() {
        let parent = tempfile::tempdir().unwrap();
        let check = |segment_bytes, bytes_max, want: bool| {
            let dir = parent.path().join("spool");
            let options =
                SpoolOptions { segment_bytes, volatile: true, ..SpoolOptions::new(dir, bytes_max) };
            let locked = Spool::lock(options);
            assert_eq!(locked.is_ok(), want, "{segment_bytes} {bytes_max}: {:?}", locked.err());
        };
        let least = SEGMENT_BYTES_MIN * 4;
        check(SEGMENT_BYTES_MIN, least.max(OWN_ROOM as u64 * 4), true);
        check(SEGMENT_BYTES_MIN, least.max(OWN_ROOM as u64 * 4) - 1, false);
        check(SEGMENT_BYTES_MIN - 1, 1 << 30, false);
        check(SEGMENT_BYTES_MAX, SEGMENT_BYTES_MAX * 4, true);
        check(SEGMENT_BYTES_MAX, SEGMENT_BYTES_MAX * 4 - 1, false);
        check(SEGMENT_BYTES_MAX + 1, 1 << 40, false);
    }

    #[test]
    fn two_users_of_one_spool_are_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let options = SpoolOptions { volatile: true, ..SpoolOptions::new(dir.path(), 1 << 30) };
        let first = Spool::lock(options.clone()).unwrap();
        assert!(matches!(Spool::lock(options.clone()), Err(StartError::Locked { .. })));
        drop(first);
        assert!(Spool::lock(options).is_ok());
    }

    #[test]
    fn a_filesystem_that_forgets_must_be_declared() {
        let shm = Path::new("/dev/shm");
        if !shm.is_dir() {
            return;
        }
        let dir = tempfile::tempdir_in(shm).unwrap();
        let options = SpoolOptions::new(dir.path(), 1 << 30);
        let refused = Spool::lock(options.clone());
        assert!(matches!(refused, Err(StartError::Volatile { .. })), "{refused:?}");
        assert!(Spool::lock(SpoolOptions { volatile: true, ..options }).is_ok());
    }

    #[test]
    fn a_spool_that_cannot_be_used_is_refused_and_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let missing = SpoolOptions::new(parent.path().join("mount/spool"), 1 << 30);
        assert!(matches!(Spool::lock(missing), Err(StartError::Spool { .. })));
        assert!(!parent.path().join("mount").exists());

        let file = parent.path().join("file");
        fs::write(&file, "not a directory").unwrap();
        assert!(matches!(
            Spool::lock(SpoolOptions::new(&file, 1 << 30)),
            Err(StartError::Spool { .. })
        ));

        let dir = parent.path().join("spool");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(STATE), "00000000\n{}").unwrap();
        let options = SpoolOptions { volatile: true, ..SpoolOptions::new(&dir, 1 << 30) };
        assert!(matches!(Spool::lock(options), Err(StartError::Wal(WalError::Corrupt { .. }))));
        assert_eq!(fs::read(dir.join(STATE)).unwrap(), b"00000000\n{}");
    }
}
