//! The evidence on disk: for each log a directory named as its origin, with `checkpoint`,
//! `issuer.note`, `epoch.note` and the tiles. At any moment it is what its checkpoint says.
//!
//! Files are written beside, synced, renamed, and their directories synced; a new log's directory
//! appears whole. A partial tile stays until the full one is there, or for a while after a wider
//! one is: until the manifest says otherwise it is what a restart grows from, and whoever copies
//! the directory meanwhile needs it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use ledger::keys::Origin;
use ledger::tiles::{self, CHECKPOINT, Level, Tile, TileError, WIDTH};

/// The manifest's name in the evidence directory.
pub(crate) const MANIFEST: &str = "manifest.sqlite";

const LOCK: &str = "lock";
const ISSUER_NOTE: &str = "issuer.note";
const EPOCH_NOTE: &str = "epoch.note";

/// What makes a directory a log's: any of these, as one that lacks the others is to be noticed.
const PARTS: [&str; 4] = [CHECKPOINT, ISSUER_NOTE, EPOCH_NOTE, "tile"];

/// The evidence directory.
#[derive(Debug)]
pub struct Evidence {
    root: PathBuf,
    _lock: Option<File>,
}

/// Why evidence cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Another sink writes here.
    #[error("evidence `{0}` is in use by another sink")]
    Locked(PathBuf),
    /// The file system refuses.
    #[error("`{path}`")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A tile is missing or malformed.
    #[error("evidence of `{origin}` cannot be continued")]
    Tile {
        /// The log.
        origin: String,
        /// What is wrong.
        source: TileError,
    },
}

/// What certifies a log's key: two signed notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statements {
    pub(crate) issuer: String,
    pub(crate) epoch: String,
}

impl Evidence {
    /// The directory, made if it is not there, locked against a second sink.
    ///
    /// # Errors
    /// [`EvidenceError::Locked`], [`EvidenceError::Io`].
    pub fn lock(root: &Path) -> Result<Self, EvidenceError> {
        let failed = |source| EvidenceError::Io { path: root.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed)?;
        let lock = File::create(root.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err(EvidenceError::Locked(root.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The directory, to read from.
    pub fn open(root: &Path) -> Self {
        Self { root: root.to_owned(), _lock: None }
    }

    /// Where the manifest is.
    pub fn manifest(&self) -> PathBuf {
        self.root.join(MANIFEST)
    }

    /// Every log that there is anything of, by instance and time.
    ///
    /// # Errors
    /// [`EvidenceError::Io`].
    pub fn origins(&self) -> Result<BTreeSet<Origin>, EvidenceError> {
        let mut found = BTreeSet::new();
        let mut open = vec![self.root.clone()];
        while let Some(directory) = open.pop() {
            let failed = |source| EvidenceError::Io { path: directory.clone(), source };
            for entry in fs::read_dir(&directory).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let is_part = PARTS.iter().any(|part| entry.file_name() == *part);
                if is_part {
                    let relative = directory.strip_prefix(&self.root).unwrap_or(&directory);
                    found.extend(Origin::parse(&relative.to_string_lossy()));
                } else if entry.file_type().map_err(failed)?.is_dir() {
                    open.push(entry.path());
                }
            }
        }
        Ok(found)
    }

    /// A file, by its path below the directory; `None` if there is none.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.root.join(path)).ok()
    }

    /// A log's newest checkpoint, a signed note.
    pub fn checkpoint(&self, origin: &Origin) -> Option<String> {
        fs::read_to_string(self.path(origin).join(CHECKPOINT)).ok()
    }

    /// A tile of a log.
    pub fn tile(&self, origin: &Origin, tile: &Tile) -> Option<Vec<u8>> {
        fs::read(self.path(origin).join(tile.to_string())).ok()
    }

    /// The values of a bundle of a log of `size` leaves; where its partial tile is gone, those of
    /// the full one.
    pub fn bundle(&self, origin: &Origin, number: u64, size: u64) -> Option<Vec<Vec<u8>>> {
        let tile = Tile::of(Level::Entries, number, size)?;
        let read = |tile: Tile| self.tile(origin, &tile).map(|bytes| (tile, bytes));
        let (tile, bytes) = read(tile).or_else(|| read(tile.full()))?;
        let values = tiles::decode_bundle(&tile, &bytes).ok()?;
        Some(values.into_iter().map(<[u8]>::to_vec).collect())
    }

    /// A log's statements.
    pub(crate) fn statements(&self, origin: &Origin) -> Option<Statements> {
        let read = |name| fs::read_to_string(self.path(origin).join(name)).ok();
        Some(Statements { issuer: read(ISSUER_NOTE)?, epoch: read(EPOCH_NOTE)? })
    }

    /// Begins to write to a log that has `size` leaves.
    pub(crate) fn write(&self, origin: &Origin, size: u64) -> Result<Writing, EvidenceError> {
        let directory = self.path(origin);
        if size > 0 || directory.is_dir() {
            return Ok(Writing { origin: origin.clone(), directory, becomes: None, size });
        }
        let beside = beside(&directory);
        match fs::remove_dir_all(&beside) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(EvidenceError::Io { path: beside, source })
            }
            _ => {
                let origin = origin.clone();
                Ok(Writing { origin, directory: beside, becomes: Some(directory), size })
            }
        }
    }

    /// Removes the partial tiles of those that are full now; gives back those that only a wider
    /// one replaced.
    pub(crate) fn replaced(&self, origin: &Origin, before: u64, size: u64) -> Vec<PathBuf> {
        let path = |tile: Tile| self.path(origin).join(tile.to_string());
        for level in levels() {
            let (first, full) = (count(level, before) / WIDTH, count(level, size) / WIDTH);
            for tile in (first..full).filter_map(|index| Tile::of(level, index, size)) {
                remove_partials(path(tile));
            }
        }
        let kept: BTreeSet<Tile> = partials(size).collect();
        let wider = |old: &Tile| {
            Tile::of(old.level(), old.index(), size).is_some_and(|new| new.is_partial())
        };
        partials(before).filter(|old| wider(old) && !kept.contains(old)).map(path).collect()
    }

    /// Removes partial tiles that a crash left, but for those that these sizes have.
    pub(crate) fn tidy(&self, origin: &Origin, sizes: [u64; 2]) {
        let kept: BTreeSet<PathBuf> = sizes
            .into_iter()
            .flat_map(partials)
            .map(|tile| self.path(origin).join(tile.to_string()))
            .collect();
        let parents: BTreeSet<&Path> = kept.iter().filter_map(|path| path.parent()).collect();
        for parent in parents {
            let Ok(files) = fs::read_dir(parent) else { continue };
            for path in files.flatten().map(|file| file.path()) {
                if !kept.contains(&path) {
                    remove(&path);
                }
            }
        }
    }

    fn path(&self, origin: &Origin) -> PathBuf {
        self.root.join(origin.as_str())
    }
}

/// A log that is being written to.
#[derive(Debug)]
pub(crate) struct Writing {
    origin: Origin,
    directory: PathBuf,
    /// What the directory of a new log is called once it is whole.
    becomes: Option<PathBuf>,
    size: u64,
}

impl Writing {
    /// Appends values.
    pub(crate) fn append(&mut self, values: &[Vec<u8>]) -> Result<(), EvidenceError> {
        let read = |tile: &Tile| fs::read(self.directory.join(tile.to_string())).ok();
        let grown = tiles::grow(self.size, values, read)
            .map_err(|source| EvidenceError::Tile { origin: self.origin.to_string(), source })?;
        let files = grown.into_iter().map(|(tile, bytes)| (tile.to_string(), bytes));
        self.put(files)?;
        self.size += values.len() as u64;
        Ok(())
    }

    /// Keeps what certifies the log's key.
    pub(crate) fn state(&self, statements: &Statements) -> Result<(), EvidenceError> {
        let Statements { issuer, epoch } = statements;
        let files = [(ISSUER_NOTE, issuer), (EPOCH_NOTE, epoch)];
        self.put(files.map(|(name, note)| (name.to_owned(), note.clone().into_bytes())))
    }

    /// Ends with the checkpoint of all there is now.
    pub(crate) fn conclude(self, checkpoint: &str) -> Result<(), EvidenceError> {
        self.put([(CHECKPOINT.to_owned(), checkpoint.as_bytes().to_vec())])?;
        let Some(becomes) = &self.becomes else { return Ok(()) };
        let renamed = fs::rename(&self.directory, becomes).and_then(|()| sync_parent(becomes));
        renamed.map_err(|source| EvidenceError::Io { path: becomes.clone(), source })
    }

    /// Writes files so that after a crash each is there whole or as it was, and all are there
    /// once this returns.
    fn put(&self, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<(), EvidenceError> {
        let mut directories = BTreeSet::new();
        for (name, bytes) in files {
            let path = self.directory.join(name);
            replace(&path, &bytes)
                .map_err(|source| EvidenceError::Io { path: path.clone(), source })?;
            directories.extend(path.parent().map(Path::to_owned));
        }
        for path in directories {
            sync(&path).map_err(|source| EvidenceError::Io { path, source })?;
        }
        Ok(())
    }
}

fn levels() -> impl Iterator<Item = Level> {
    std::iter::once(Level::Entries).chain((0..8).map(Level::Hashes))
}

/// Entries or hashes of a level in a log of `size` leaves.
fn count(level: Level, size: u64) -> u64 {
    match level {
        Level::Entries => size,
        Level::Hashes(level) => size >> (8 * u32::from(level)),
    }
}

/// The partial tiles of a log of `size` leaves.
fn partials(size: u64) -> impl Iterator<Item = Tile> {
    let last = move |level| Tile::of(level, count(level, size) / WIDTH, size);
    levels().filter_map(last).filter(Tile::is_partial)
}

/// What cannot be removed is in nobody's way.
pub(crate) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a partial tile stays");
    }
}

/// Removes the directory of a full tile's partial widths.
fn remove_partials(full: PathBuf) {
    let mut directory = full.into_os_string();
    directory.push(".p");
    let directory = PathBuf::from(directory);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %directory.display(), %error, "partial tiles stay");
        }
        _ => {}
    }
}

/// A name beside, of nothing that there is: no origin and no tile is called so.
fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    PathBuf::from(beside)
}

/// Writes a file and renames it into place. Its directory is to be synced.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_directory(path.parent().unwrap_or(Path::new(".")))?;
    let beside = beside(path);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Makes a directory and syncs each parent that got a new entry.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    make_directory(directory.parent().unwrap_or(Path::new(".")))?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_parent(directory),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    sync(path.parent().unwrap_or(Path::new(".")))
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
