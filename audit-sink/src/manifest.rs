//! The manifest: which leaves are stored, where in Kafka to go on, what was found wrong, and an
//! index for look-ups.
//!
//! One transaction, synced, makes a batch count. Evidence does not need it: it says what a sink
//! did, and finds what it stored.

mod index;
mod write;

use std::path::{Path, PathBuf};

use ledger::keys::Origin;
use ledger::tlog::Frontier;
use ledger::verify::{Finding, Previous, Summary};
use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::message::{Event, Position};
use crate::projection::Projection;

pub use index::{Order, Row, Search};

/// The schema's version, in `user_version`.
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS logs (
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE, stored INTEGER NOT NULL,
    frontier BLOB NOT NULL, closed INTEGER NOT NULL, last_ms INTEGER,
    previous_origin TEXT, previous_size INTEGER, previous_root BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS offsets (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    log INTEGER NOT NULL, idx INTEGER NOT NULL, uid TEXT NOT NULL, correlation_uid TEXT NOT NULL,
    code TEXT NOT NULL, class_uid INTEGER NOT NULL, time_ms INTEGER NOT NULL, action TEXT NOT NULL,
    user TEXT NOT NULL, operation TEXT NOT NULL, resource TEXT NOT NULL, status INTEGER NOT NULL,
    PRIMARY KEY (log, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_correlation ON events (correlation_uid) WHERE correlation_uid <> '';
CREATE INDEX IF NOT EXISTS events_uid ON events (uid) WHERE uid <> correlation_uid;
CREATE INDEX IF NOT EXISTS events_time ON events (time_ms);
CREATE INDEX IF NOT EXISTS events_user ON events (user, time_ms) WHERE user <> '';
CREATE TABLE IF NOT EXISTS ahead (
    log INTEGER NOT NULL, idx INTEGER NOT NULL, seen_ms INTEGER NOT NULL, value BLOB NOT NULL,
    proof TEXT NOT NULL, PRIMARY KEY (log, idx)
) STRICT;
CREATE TABLE IF NOT EXISTS findings (
    id INTEGER PRIMARY KEY, found_ms INTEGER NOT NULL, kind TEXT NOT NULL, origin TEXT NOT NULL,
    idx INTEGER, detail TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS findings_once
    ON findings (kind, origin, ifnull(idx, -1), detail);
CREATE TABLE IF NOT EXISTS rejected (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL, reason TEXT NOT NULL,
    value BLOB NOT NULL, PRIMARY KEY (topic, partition, offset)
) STRICT;
";

/// The manifest.
#[derive(Debug)]
pub struct Manifest {
    db: Connection,
    path: PathBuf,
    kept: Kept,
}

/// How much of what anyone may send is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kept {
    findings: u64,
    rejected: u64,
}

/// Why the manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// SQLite says no.
    #[error("manifest `{path}`")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A newer sink wrote it.
    #[error("manifest `{path}` has schema {found}; this sink knows {VERSION} at most")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
    },
}

/// A log, as far as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) summary: Summary,
    /// Leaves in tiles; those verified beyond it, and those beyond a gap, are kept here.
    pub(crate) stored: u64,
}

/// A verified leaf that is in no tile yet.
#[derive(Debug, Clone)]
pub(crate) struct Ahead {
    pub(crate) event: Event,
    pub(crate) seen_ms: i64,
}

/// What one batch changes, committed together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) logs: Vec<Log>,
    pub(crate) offsets: Vec<Position>,
    pub(crate) events: Vec<(Origin, u64, Projection)>,
    pub(crate) ahead: Vec<Ahead>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) rejected: Vec<(Position, String, Vec<u8>)>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.offsets.is_empty() && self.findings.is_empty()
    }
}

impl Manifest {
    /// The manifest at `path`, made if it is not there.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn open(path: &Path) -> Result<Self, ManifestError> {
        let db = Connection::open(path).map_err(failed(path))?;
        let mut manifest = Self { db, path: path.to_owned(), kept: Kept::default() };
        manifest.check_version()?;
        manifest.kept = manifest.prepare().map_err(manifest.failed())?;
        Ok(manifest)
    }

    /// The manifest at `path`, to read.
    ///
    /// # Errors
    /// [`ManifestError`], also if it is not there.
    pub fn read_only(path: &Path) -> Result<Self, ManifestError> {
        let opened = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let db = opened.map_err(failed(path))?;
        let manifest = Self { db, path: path.to_owned(), kept: Kept::default() };
        manifest.check_version()?;
        Ok(manifest)
    }

    fn check_version(&self) -> Result<(), ManifestError> {
        let version = self.db.pragma_query_value(None, "user_version", |row| row.get(0));
        match version.map_err(self.failed())? {
            found if found > VERSION => {
                Err(ManifestError::Newer { path: self.path.clone(), found })
            }
            _ => Ok(()),
        }
    }

    fn prepare(&self) -> rusqlite::Result<Kept> {
        self.db.pragma_update(None, "journal_mode", "WAL")?;
        self.db.pragma_update(None, "synchronous", "FULL")?;
        self.db.execute_batch(SCHEMA)?;
        self.db.pragma_update(None, "user_version", VERSION)?;
        let count = |table: &str| {
            let query = format!("SELECT count(*) FROM {table}");
            self.db.query_row(&query, [], |row| row.get(0).map(as_u64))
        };
        Ok(Kept { findings: count("findings")?, rejected: count("rejected")? })
    }

    fn failed(&self) -> impl FnOnce(rusqlite::Error) -> ManifestError + use<> {
        failed(&self.path)
    }

    /// Every log.
    pub(crate) fn logs(&self) -> Result<Vec<Log>, ManifestError> {
        let read = || {
            let mut rows = self.db.prepare(
                "SELECT origin, stored, frontier, closed, last_ms, previous_origin, previous_size,
                        previous_root FROM logs",
            )?;
            let rows = rows.query_map([], log)?;
            rows.collect::<Result<_, _>>()
        };
        read().map_err(self.failed())
    }

    /// How many leaves of a log are in tiles.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn stored(&self, origin: &Origin) -> Result<Option<u64>, ManifestError> {
        let query = "SELECT stored FROM logs WHERE origin = ?";
        let stored = self.db.query_row(query, [origin.as_str()], |row| row.get(0).map(as_u64));
        stored.optional().map_err(self.failed())
    }

    /// Where to go on.
    pub(crate) fn offset(&self, topic: &str, partition: i32) -> Result<Option<i64>, ManifestError> {
        let query = "SELECT next FROM offsets WHERE topic = ? AND partition = ?";
        let next = self.db.query_row(query, params![topic, partition], |row| row.get(0));
        next.optional().map_err(self.failed())
    }

    /// The first leaf at `index` or after it that is in no tile yet.
    pub(crate) fn ahead(
        &self,
        origin: &Origin,
        index: u64,
    ) -> Result<Option<Ahead>, ManifestError> {
        let read = || {
            let mut found = self.db.prepare_cached(
                "SELECT idx, seen_ms, value, proof FROM ahead
                 WHERE log = (SELECT id FROM logs WHERE origin = ?1) AND idx >= ?2
                 ORDER BY idx LIMIT 1",
            )?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Ahead {
                    event: Event {
                        origin: origin.clone(),
                        index: row.get(0).map(as_u64)?,
                        value: row.get(2)?,
                        proof: row.get(3)?,
                    },
                    seen_ms: row.get(1)?,
                })
            };
            found.query_row(params![origin.as_str(), as_i64(index)], row).optional()
        };
        read().map_err(self.failed())
    }

    /// Makes a batch count; when this returns it survives a crash. Gives back its findings that
    /// are new.
    pub(crate) fn commit(
        &mut self,
        batch: Batch,
        now_ms: i64,
    ) -> Result<Vec<Finding>, ManifestError> {
        let failed = self.failed();
        let commit = || {
            let transaction = self.db.transaction()?;
            let written = write::batch(&transaction, batch, self.kept, now_ms)?;
            transaction.commit()?;
            Ok(written)
        };
        let (kept, new) = commit().map_err(failed)?;
        self.kept = kept;
        Ok(new)
    }
}

fn failed(path: &Path) -> impl FnOnce(rusqlite::Error) -> ManifestError + use<> {
    let path = path.to_owned();
    move |source| ManifestError::Sqlite { path, source }
}

fn log(row: &rusqlite::Row<'_>) -> rusqlite::Result<Log> {
    let corrupt = |column: usize, what: &str| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, what.into())
    };
    let origin = |column: usize| {
        let text: String = row.get(column)?;
        Origin::parse(&text).map_err(|_| corrupt(column, "no origin"))
    };
    let frontier: Vec<u8> = row.get(2)?;
    let frontier = Frontier::from_bytes(&frontier).map_err(|_| corrupt(2, "no tree"))?;
    let previous = match row.get_ref(5)? {
        rusqlite::types::ValueRef::Null => None,
        _ => {
            Some(Previous { origin: origin(5)?, size: row.get(6).map(as_u64)?, root: row.get(7)? })
        }
    };
    let summary = Summary {
        origin: origin(0)?,
        frontier,
        previous,
        closed: row.get(3)?,
        last_ms: row.get(4)?,
    };
    Ok(Log { summary, stored: row.get(1).map(as_u64)? })
}

/// SQLite's integers are signed; sizes are far below where that matters.
fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn as_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;
