//! Writes a batch, within one transaction.

use std::collections::BTreeMap;

use ledger::keys::Origin;
use ledger::verify::Finding;
use rusqlite::{Transaction, params};
use tracing::error;

use super::{Ahead, Batch, Kept, Log, as_i64};
use crate::message::Position;
use crate::projection::Projection;

/// Findings kept, at most: whoever may write to the topics could fill the disk with them.
pub(super) const FINDINGS_MAX: u64 = 100_000;

/// Rejected messages kept, at most.
pub(super) const REJECTED_MAX: u64 = 10_000;

/// Bytes of a rejected message kept, at most: as many as a leaf can have.
pub(super) const REJECTED_BYTES_MAX: usize = 64 * 1024;

/// Each log's number.
type Logs = BTreeMap<Origin, i64>;

/// Gives back how much is kept now, and the findings that are new.
pub(super) fn batch(
    to: &Transaction<'_>,
    batch: Batch,
    kept: Kept,
    now_ms: i64,
) -> rusqlite::Result<(Kept, Vec<Finding>)> {
    let logs = logs(to, &batch.logs)?;
    events(to, &logs, &batch.events)?;
    ahead(to, &logs, &batch.logs, &batch.ahead)?;
    offsets(to, &batch.offsets)?;
    let new = findings(to, batch.findings, kept.findings, now_ms)?;
    let rejected = rejected(to, &batch.rejected, kept.rejected)?;
    Ok((Kept { findings: kept.findings + new.len() as u64, rejected }, new))
}

fn logs(to: &Transaction<'_>, logs: &[Log]) -> rusqlite::Result<Logs> {
    let mut write = to.prepare_cached(
        "INSERT INTO logs (origin, stored, frontier, closed, last_ms, previous_origin,
                           previous_size, previous_root)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (origin) DO UPDATE SET
             stored = excluded.stored, frontier = excluded.frontier, closed = excluded.closed,
             last_ms = excluded.last_ms, previous_origin = excluded.previous_origin,
             previous_size = excluded.previous_size, previous_root = excluded.previous_root
         RETURNING id",
    )?;
    let mut numbers = Logs::new();
    for Log { summary, stored } in logs {
        let previous = summary.previous.as_ref();
        let values = params![
            summary.origin.as_str(),
            as_i64(*stored),
            summary.frontier.to_bytes(),
            summary.closed,
            summary.last_ms,
            previous.map(|previous| previous.origin.as_str()),
            previous.map(|previous| as_i64(previous.size)),
            previous.map(|previous| previous.root),
        ];
        let number = write.query_row(values, |row| row.get(0))?;
        numbers.insert(summary.origin.clone(), number);
    }
    Ok(numbers)
}

fn events(
    to: &Transaction<'_>,
    logs: &Logs,
    events: &[(Origin, u64, Projection)],
) -> rusqlite::Result<()> {
    let mut write = to.prepare_cached(
        "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for (origin, index, row) in events {
        write.execute(params![
            logs.get(origin),
            as_i64(*index),
            row.uid,
            row.correlation_uid,
            row.code,
            row.class_uid,
            row.time_ms,
            row.action,
            row.user,
            row.operation,
            row.resource,
            row.status,
        ])?;
    }
    Ok(())
}

/// Keeps the leaves that are in no tile yet, and drops those that are in one now.
fn ahead(
    to: &Transaction<'_>,
    logs: &Logs,
    changed: &[Log],
    ahead: &[Ahead],
) -> rusqlite::Result<()> {
    let mut write = to.prepare_cached("INSERT OR REPLACE INTO ahead VALUES (?, ?, ?, ?, ?)")?;
    for Ahead { event, seen_ms } in ahead {
        let (log, index) = (logs.get(&event.origin), as_i64(event.index));
        write.execute(params![log, index, seen_ms, event.value, event.proof])?;
    }
    let mut settle = to.prepare_cached("DELETE FROM ahead WHERE log = ? AND idx < ?")?;
    for Log { summary, stored } in changed {
        settle.execute(params![logs.get(&summary.origin), as_i64(*stored)])?;
    }
    Ok(())
}

fn offsets(to: &Transaction<'_>, offsets: &[Position]) -> rusqlite::Result<()> {
    let mut write = to.prepare_cached("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?)")?;
    for at in offsets {
        write.execute(params![at.topic, at.partition, at.offset + 1])?;
    }
    Ok(())
}

fn findings(
    to: &Transaction<'_>,
    findings: Vec<Finding>,
    kept: u64,
    now_ms: i64,
) -> rusqlite::Result<Vec<Finding>> {
    let mut write = to.prepare_cached(
        "INSERT OR IGNORE INTO findings (found_ms, kind, origin, idx, detail)
         VALUES (?, ?, ?, ?, ?)",
    )?;
    let mut new = Vec::new();
    for finding in findings {
        if kept + new.len() as u64 >= FINDINGS_MAX {
            error!(%finding, "not kept, as {FINDINGS_MAX} findings are");
            continue;
        }
        let Finding { kind, origin, index, detail } = &finding;
        let values = params![now_ms, kind.as_str(), origin, index.map(as_i64), detail];
        if write.execute(values)? == 1 {
            new.push(finding);
        }
    }
    Ok(new)
}

fn rejected(
    to: &Transaction<'_>,
    rejected: &[(Position, String, Vec<u8>)],
    mut kept: u64,
) -> rusqlite::Result<u64> {
    let mut write = to.prepare_cached("INSERT OR IGNORE INTO rejected VALUES (?, ?, ?, ?, ?)")?;
    for (at, reason, value) in rejected {
        if kept >= REJECTED_MAX {
            error!(
                topic = at.topic,
                partition = at.partition,
                offset = at.offset,
                reason,
                "a rejected message is not kept, as {REJECTED_MAX} are"
            );
            continue;
        }
        let value = value.get(..REJECTED_BYTES_MAX).unwrap_or(value);
        let written = write.execute(params![at.topic, at.partition, at.offset, reason, value])?;
        kept += written as u64;
    }
    Ok(kept)
}
