//! Where recorded decisions come from: a spool, the evidence of a sink, or events one a line.
//!
//! Nothing is verified here: `audit verify` and `audit-sink verify` do that, and a record that is
//! not verified is worth what its file is worth.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use ledger::tiles::{CHECKPOINT, Entries, Level, Tile};
use ledger::{EpochId, Look};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The parts of an event that replay needs.
#[derive(Debug, Deserialize)]
pub(in crate::cli::policy) struct Event<'a> {
    class_uid: u32,
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    pub(in crate::cli::policy) unmapped: Unmapped<'a>,
}

#[derive(Debug, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    event_code: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(in crate::cli::policy) struct Unmapped<'a> {
    #[serde(borrow)]
    pub(in crate::cli::policy) route: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::cli::policy) question: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::cli::policy) facts: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::cli::policy) cedar: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    /// The event, if policy decided it: 6003.
    pub(in crate::cli::policy) fn decided(value: &'a [u8]) -> anyhow::Result<Option<Self>> {
        let event: Self = serde_json::from_slice(value).context("an event that is none of ours")?;
        let is_decision = event.metadata.event_code == "decision" && event.class_uid == 6003;
        Ok(is_decision.then_some(event))
    }

    /// The decision's id.
    pub(in crate::cli::policy) fn id(&self) -> &str {
        &self.metadata.uid
    }
}

/// Hands every event of the record at `from` to `each`, logs in order.
pub(in crate::cli::policy) fn every(
    from: &Path,
    mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let failed = || format!("read `{}`", from.display());
    if fs::metadata(from).with_context(failed)?.is_file() {
        return lines(from, &mut each);
    }
    if is_spool(from).with_context(failed)? {
        for mut log in Look::all(from)? {
            while let Some(group) = log.group()? {
                group.records.iter().try_for_each(|record| each(&record.value))?;
            }
        }
        return Ok(());
    }
    let logs = logs(from).with_context(failed)?;
    ensure!(!logs.is_empty(), "`{}` is neither a spool nor evidence", from.display());
    logs.iter().try_for_each(|log| tiles(log, &mut each))
}

fn lines(file: &Path, each: &mut impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut reader = BufReader::new(File::open(file)?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if !line.trim_ascii().is_empty() {
            each(&line)?;
        }
        line.clear();
    }
    Ok(())
}

/// A spool holds a directory for each epoch.
fn is_spool(directory: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        if entry?.file_name().to_str().is_some_and(|name| name.parse::<EpochId>().is_ok()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The logs of evidence: directories with a checkpoint.
fn logs(root: &Path) -> std::io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        if directory.join(CHECKPOINT).is_file() {
            found.insert(directory);
            continue;
        }
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// The entries of one log, up to its checkpoint.
fn tiles(log: &Path, each: &mut impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let note = fs::read_to_string(log.join(CHECKPOINT))
        .with_context(|| format!("the checkpoint of `{}`", log.display()))?;
    let size = note.lines().nth(1).and_then(|size| size.parse().ok());
    let Some(size) = size else { bail!("the checkpoint of `{}` is none", log.display()) };
    for tile in Tile::all(Level::Entries, size) {
        let read = |tile: &Tile| fs::read(log.join(tile.to_string()));
        let bytes = read(&tile)
            .or_else(|_| read(&tile.full()))
            .with_context(|| format!("`{tile}` of `{}`", log.display()))?;
        let mut entries = 0;
        for value in Entries::of(&bytes).take(tile.width()) {
            each(value?)?;
            entries += 1;
        }
        ensure!(entries == tile.width(), "`{tile}` of `{}` is not whole", log.display());
    }
    Ok(())
}
