//! `audit-sink verify`: the evidence, or a copy of it, verified with the audit root's public key.
//!
//! It needs nothing else: no sink, no broker, no manifest. Checkpoints kept apart show a tail that
//! was cut off, or a history that was written anew.

use std::io::Write;
use std::path::PathBuf;

use ledger::keys::Origin;
use ledger::verify::{FindingKind, check_succession, verify_evidence};

use super::{Invalid, OK, UNVERIFIED, read};
use crate::evidence::Evidence;
use crate::time;

/// Verify the evidence
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The evidence's directory, or a copy of it
    #[arg(long)]
    evidence: PathBuf,
    /// The file with the audit root's public key
    #[arg(long)]
    root: PathBuf,
    /// A file with checkpoints kept apart, which their logs must reach and contain
    #[arg(long)]
    checkpoint: Vec<PathBuf>,
    /// When the evidence was copied: a log that was not closed must have records up to then.
    /// Without it, up to the newest record of any log
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<i64>,
}

impl Verify {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let root = super::root(&self.root)?;
        let mut kept = Vec::new();
        for path in &self.checkpoint {
            let notes = notes(&read(path)?);
            if notes.is_empty() {
                return Err(Invalid(format!("`{}` holds no checkpoint", path.display())).into());
            }
            kept.extend(notes);
        }
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        let evidence = Evidence::open(&self.evidence);
        let origins: Vec<Origin> = evidence.origins()?.into_iter().collect();
        let read = |path: &str| evidence.read(path);
        // Silence depends on the time, and the time may depend on the records.
        let verified = verify_evidence(&root, &origins, &kept, i64::MIN, read);
        let (logs, mut findings) = (verified.logs, verified.findings);
        let newest_ms = logs.iter().filter_map(|log| log.last_ms).max();
        if let Some(at_ms) = self.at.or(newest_ms) {
            let found = check_succession(logs.iter(), at_ms).into_iter();
            findings.extend(found.filter(|finding| finding.kind == FindingKind::Silence));
        }
        for finding in &findings {
            writeln!(out, "{finding}")?;
        }
        let events: u64 = logs.iter().map(|log| log.frontier.size()).sum();
        let (logs, found, root) = (logs.len(), findings.len(), root.name());
        writeln!(out, "verify: logs={logs} events={events} findings={found} root={root}")?;
        // Nothing is no evidence.
        Ok(if found == 0 && events > 0 { OK } else { UNVERIFIED })
    }
}

/// The signed notes of a text, one after the other: each ends with its signatures.
pub(super) fn notes(text: &str) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let mut signed = true;
    for line in text.split_inclusive('\n') {
        let signature = line.starts_with('\u{2014}');
        match notes.last_mut() {
            Some(note) if !signed || signature => note.push_str(line),
            _ if line.trim().is_empty() => continue,
            _ => notes.push(line.to_owned()),
        }
        signed = signature;
    }
    notes
}
