//! Where recorded decisions come from: a spool, the evidence of a sink, or events one a line.
//! `policy replay` reads all of them, `policy explain` looks for one.
//!
//! Nothing is verified here: `audit verify` and `audit-sink verify` do that, and a record that is
//! not verified is worth what its file is worth.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use ledger::Look;
use ledger::tiles::{CHECKPOINT, Entries, Level, Tile};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The parts of an event that hold a decision.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    pub(super) class_uid: u32,
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    pub(super) unmapped: Unmapped<'a>,
}

#[derive(Debug, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    event_code: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Unmapped<'a> {
    #[serde(borrow)]
    pub(super) route: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) question: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) facts: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) cedar: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    /// The event, if policy decided it: 6003.
    pub(super) fn decided(value: &'a [u8]) -> anyhow::Result<Option<Self>> {
        let event = Self::decision(value)?;
        Ok(event.filter(Self::is_of_policy))
    }

    /// The event, if it is a decision, also where no policy was asked.
    pub(super) fn decision(value: &'a [u8]) -> anyhow::Result<Option<Self>> {
        let event: Self = serde_json::from_slice(value).context("an event that is none of ours")?;
        Ok((event.metadata.event_code == "decision").then_some(event))
    }

    pub(super) fn is_of_policy(&self) -> bool {
        self.class_uid == 6003
    }

    /// The decision's id.
    pub(super) fn id(&self) -> &str {
        &self.metadata.uid
    }
}

/// Whether to go on, or why not.
pub(in crate::cli) type Step = anyhow::Result<ControlFlow<()>>;

/// Hands the events of the record at `from` to `each`, logs in order, until it breaks off.
pub(in crate::cli) fn every(
    from: &Path,
    mut each: impl FnMut(&[u8]) -> Step,
) -> anyhow::Result<()> {
    walk(from, &mut each).map(drop)
}

fn walk(from: &Path, each: &mut impl FnMut(&[u8]) -> Step) -> Step {
    let failed = || format!("read `{}`", from.display());
    if from == Path::new("-") {
        return lines(io::stdin().lock(), each);
    }
    if !fs::metadata(from).with_context(failed)?.is_dir() {
        let file = File::open(from).with_context(failed)?;
        return lines(BufReader::new(file), each);
    }
    if Look::is_spool(from) {
        return spool(from, each);
    }
    let logs = logs(from).with_context(failed)?;
    ensure!(!logs.is_empty(), "`{}` is neither a spool nor evidence", from.display());
    for log in &logs {
        if tiles(log, each)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Bytes of a line, at most. An event has 60 KiB.
const LINE_BYTES_MAX: u64 = 1 << 20;

fn lines(mut from: impl BufRead, each: &mut impl FnMut(&[u8]) -> Step) -> Step {
    let mut line = Vec::new();
    for number in 1_u64.. {
        let read = from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.context("read the events")? == 0 {
            break;
        }
        ensure!(
            (line.len() as u64) < LINE_BYTES_MAX || line.ends_with(b"\n"),
            "line {number} has no end within {LINE_BYTES_MAX} bytes"
        );
        if !line.trim_ascii().is_empty()
            && each(&line).with_context(|| format!("line {number}"))?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        line.clear();
    }
    Ok(ControlFlow::Continue(()))
}

fn spool(from: &Path, each: &mut impl FnMut(&[u8]) -> Step) -> Step {
    let logs = Look::all(from)?;
    ensure!(
        !logs.is_empty(),
        "`{}` has no log any more: what was shipped has left the spool",
        from.display()
    );
    for mut log in logs {
        while let Some(group) = log.group()? {
            for record in &group.records {
                if each(&record.value)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }
    Ok(ControlFlow::Continue(()))
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
fn tiles(log: &Path, each: &mut impl FnMut(&[u8]) -> Step) -> Step {
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
            if each(value?)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            entries += 1;
        }
        ensure!(entries == tile.width(), "`{tile}` of `{}` is not whole", log.display());
    }
    Ok(ControlFlow::Continue(()))
}
