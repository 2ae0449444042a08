//! `audit-sink search`: what the index knows of events, or the events themselves.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use ledger::event::{is_printable, printable_json};
use ledger::keys::Origin;

use super::OK;
use super::leaves::Leaves;
use crate::evidence::Evidence;
use crate::manifest::{self, Manifest, Order, Row};
use crate::time;

/// Search events; every flag that is given must hold
#[derive(Debug, clap::Args)]
pub(super) struct Search {
    /// The evidence's directory, with its manifest
    #[arg(long)]
    evidence: PathBuf,
    /// The event's id, or its decision's
    #[arg(long)]
    id: Option<String>,
    /// Who: `<issuer>|<subject>`
    #[arg(long)]
    user: Option<String>,
    /// What became of it: `Allowed`, `Denied` and so on
    #[arg(long)]
    action: Option<String>,
    /// The operation
    #[arg(long)]
    operation: Option<String>,
    /// The event's code: `decision`, `completion` and so on
    #[arg(long)]
    code: Option<String>,
    /// Not before this time: 2026-11-21T12:09:11Z, 2026-11-21, or Unix milliseconds
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    since: Option<i64>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<i64>,
    /// Events, at most
    #[arg(long)]
    limit: Option<u32>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// A line an event with tabs between columns, by time
    Text,
    /// The index's rows as JSON, by time
    Jsonl,
    /// The events exactly as recorded, one a line, log by log
    Events,
}

impl Search {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let evidence = Evidence::open(&self.evidence);
        let manifest = Manifest::read_only(&evidence.manifest())?;
        let mut leaves = Leaves::new(&evidence, Some(&manifest));
        let order = match self.format {
            Format::Text | Format::Jsonl => Order::Time,
            Format::Events => Order::Log,
        };
        manifest.search(&self.search(), order, |row| {
            let line = match self.format {
                Format::Text => text(&row).into_bytes(),
                Format::Jsonl => printable_json(serde_json::to_string(&row)?).into_bytes(),
                Format::Events => {
                    let leaf = leaves.read(&Origin::parse(&row.origin)?, row.index)?;
                    let place = || format!("`{}#{}` is not in the evidence", row.origin, row.index);
                    leaf.with_context(place)?.value
                }
            };
            out.write_all(&line)?;
            Ok::<_, anyhow::Error>(out.write_all(b"\n")?)
        })?;
        Ok(OK)
    }

    fn search(&self) -> manifest::Search {
        manifest::Search {
            id: self.id.clone(),
            user: self.user.clone(),
            action: self.action.clone(),
            operation: self.operation.clone(),
            code: self.code.clone(),
            since_ms: self.since,
            until_ms: self.until,
            limit: self.limit,
        }
    }
}

pub(super) fn text(row: &Row) -> String {
    let place = format!("{}#{}", row.origin, row.index);
    let status = if row.status == 0 { String::new() } else { row.status.to_string() };
    let columns = [
        &time::format(row.time_ms),
        &row.code,
        &row.action,
        &status,
        &row.user,
        &row.operation,
        &row.resource,
        &row.uid,
        &place,
    ];
    columns.map(|column| plain(column)).join("\t")
}

/// A column that is empty is `-`; what a client chose must not move anyone's cursor, nor
/// look like something else.
fn plain(column: &str) -> String {
    if column.is_empty() {
        return "-".to_owned();
    }
    let escape = |char: char| match is_printable(char) && char != '\\' {
        true => char.to_string(),
        false => char.escape_default().to_string(),
    };
    column.chars().map(escape).collect()
}
