//! The index: what there is to be found, and where.

use rusqlite::ToSql;

use super::{Manifest, ManifestError, as_u64};

/// An event in the index. What it does not say is empty, or 0.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// The log.
    pub origin: String,
    /// Its index in the log.
    pub index: u64,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.correlation_uid`: the decision's id.
    pub correlation_uid: String,
    /// `metadata.event_code`
    pub code: String,
    /// `class_uid`
    pub class_uid: i64,
    /// `time`, Unix milliseconds.
    pub time_ms: i64,
    /// `action`
    pub action: String,
    /// `actor.user.uid`
    pub user: String,
    /// `api.operation`
    pub operation: String,
    /// `uid` of the first of `resources`
    pub resource: String,
    /// `http_response.code`
    pub status: i64,
}

/// What to look for; every field that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The event's id, or its decision's.
    pub id: Option<String>,
    /// Who.
    pub user: Option<String>,
    /// `Allowed`, `Denied` and so on, in any case.
    pub action: Option<String>,
    /// The operation.
    pub operation: Option<String>,
    /// The event's code.
    pub code: Option<String>,
    /// Not before, Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Before, Unix milliseconds.
    pub until_ms: Option<i64>,
    /// Rows, at most.
    pub limit: Option<u32>,
}

/// The order of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By time, oldest first.
    Time,
    /// Log by log, each from its first leaf on.
    Log,
}

/// By the decision's id, and by the event's own where that is another. Each has its index, and
/// the conditions are those of the indexes.
const BY_ID: &str = "(log, idx) IN (
    SELECT log, idx FROM events WHERE correlation_uid = ? AND correlation_uid <> ''
    UNION SELECT log, idx FROM events WHERE uid = ? AND uid <> correlation_uid)";

impl Manifest {
    /// Gives `each` the rows that match, in order.
    ///
    /// # Errors
    /// [`ManifestError`], and what `each` says.
    pub fn search<E: From<ManifestError>>(
        &self,
        search: &Search,
        order: Order,
        mut each: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let (query, values) = query(search, order);
        let mut found = self.db.prepare(&query).map_err(self.failed())?;
        let rows = found.query_map(values.as_slice(), row).map_err(self.failed())?;
        for row in rows {
            each(row.map_err(self.failed())?)?;
        }
        Ok(())
    }
}

fn query(search: &Search, order: Order) -> (String, Vec<&dyn ToSql>) {
    let mut query = "SELECT origin, idx, uid, correlation_uid, code, class_uid, time_ms, action,
                            user, operation, resource, status
                     FROM events JOIN logs ON logs.id = events.log WHERE 1"
        .to_owned();
    let mut values: Vec<&dyn ToSql> = Vec::new();
    if let Some(id) = &search.id {
        query = format!("{query} AND {BY_ID}");
        values.extend([id as &dyn ToSql, id]);
    }
    let texts = [
        ("user = ? AND user <> ''", &search.user),
        ("action = ? COLLATE NOCASE", &search.action),
        ("operation = ?", &search.operation),
        ("code = ?", &search.code),
    ];
    let times = [("time_ms >= ?", &search.since_ms), ("time_ms < ?", &search.until_ms)];
    let texts = texts.iter().filter_map(|(sql, text)| Some((sql, text.as_ref()? as &dyn ToSql)));
    let times = times.iter().filter_map(|(sql, time)| Some((sql, time.as_ref()? as &dyn ToSql)));
    for (sql, value) in texts.chain(times) {
        query = format!("{query} AND {sql}");
        values.push(value);
    }
    query.push_str(match order {
        Order::Time => " ORDER BY time_ms, origin, idx",
        Order::Log => " ORDER BY origin, idx",
    });
    if let Some(limit) = &search.limit {
        query.push_str(" LIMIT ?");
        values.push(limit);
    }
    (query, values)
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        origin: row.get(0)?,
        index: row.get(1).map(as_u64)?,
        uid: row.get(2)?,
        correlation_uid: row.get(3)?,
        code: row.get(4)?,
        class_uid: row.get(5)?,
        time_ms: row.get(6)?,
        action: row.get(7)?,
        user: row.get(8)?,
        operation: row.get(9)?,
        resource: row.get(10)?,
        status: row.get(11)?,
    })
}
