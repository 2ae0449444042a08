//! `portcullis audit verify`: a spool, or a copy of one, verified against the audit root's key.
//!
//! It needs nothing else, and no gateway. A checkpoint kept apart shows a tail that was cut off.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ledger::keys::{Chain, Origin};
use ledger::note::VerifierKey;
use ledger::verify::{Finding, FindingKind, LogVerifier, Summary, TrailVerifier};
use ledger::{Look, WalError};

use crate::asked::now_ms;
use crate::cli::{OK, UNVERIFIED};

/// Verify a spool
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Verify {
    /// The spool's directory, or a copy of it
    #[arg(long)]
    spool: PathBuf,
    /// The audit root's public key
    #[arg(long)]
    root: PathBuf,
    /// A checkpoint kept apart, which its log must reach and contain
    #[arg(long)]
    checkpoint: Vec<PathBuf>,
}

/// What was verified.
struct Verified {
    trail: TrailVerifier,
    logs: usize,
    events: u64,
    findings: Vec<Finding>,
}

impl Verify {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))
        };
        let root = VerifierKey::parse(read(&self.root)?.trim())?;
        let kept = self.checkpoint.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let mut verified = Verified {
            trail: TrailVerifier::new(root.clone()),
            logs: 0,
            events: 0,
            findings: Vec::new(),
        };
        verified.trail.begin_anywhere();
        match Look::all(&self.spool) {
            Ok(logs) => logs.into_iter().try_for_each(|log| verified.log(&root, log))?,
            Err(error) => verified.damaged("", None, error)?,
        }
        for note in &kept {
            verified.trail.checkpoint(note);
        }
        verified.trail.finish(now_ms());
        verified.findings.extend(verified.trail.take_findings());
        for finding in &verified.findings {
            writeln!(out, "{finding}")?;
        }
        let oldest = verified.trail.logs().next().map(LogVerifier::summary);
        if let Some(before) = oldest.and_then(|log| log.previous.as_ref()) {
            // Only whoever has what was shipped, or a checkpoint kept apart, can tell which.
            let (origin, size) = (&before.origin, before.size);
            writeln!(out, "begins after `{origin}` of `{size}` leaves: shipped, or missing")?;
        }
        let Verified { logs, events, findings, .. } = verified;
        if events == 0 {
            let why = match logs {
                0 if !Look::is_spool(&self.spool) => "it is no spool",
                _ if findings.is_empty() => "what was shipped has left the spool",
                _ => "see above",
            };
            writeln!(out, "nothing is verified of `{}`: {why}", self.spool.display())?;
        }
        writeln!(
            out,
            "audit verify: logs={logs} events={events} findings={} root={}",
            findings.len(),
            root.name()
        )?;
        Ok(if findings.is_empty() && events > 0 { OK } else { UNVERIFIED })
    }
}

impl Verified {
    fn log(&mut self, root: &VerifierKey, mut log: Look) -> anyhow::Result<()> {
        self.logs += 1;
        let name = log.origin().to_owned();
        let opened = Origin::parse(&name)
            .and_then(|origin| Chain::open(root, log.issuer_note(), log.epoch_note(), &origin));
        let chain = match opened {
            Ok(chain) => chain,
            Err(error) => {
                self.find(FindingKind::Untrusted, &name, None, error.to_string());
                return Ok(());
            }
        };
        // What was shipped and deleted is a tree: the log goes on from its root.
        let mut summary = Summary::of(chain.origin().clone());
        summary.frontier = log.before().clone();
        let mut verifier = LogVerifier::resume(chain, summary);
        loop {
            match log.group() {
                Ok(Some(group)) => {
                    let values: Vec<&[u8]> =
                        group.records.iter().map(|record| record.value.as_slice()).collect();
                    verifier.group(group.first, &values, &group.checkpoint);
                    self.events += values.len() as u64;
                }
                Ok(None) => break,
                Err(error) => {
                    self.damaged(&name, Some(verifier.size()), error)?;
                    break;
                }
            }
        }
        self.findings.extend(verifier.take_findings());
        self.trail.resume(verifier);
        Ok(())
    }

    /// Damage is a finding; that files cannot be read is not.
    fn damaged(&mut self, origin: &str, index: Option<u64>, error: WalError) -> anyhow::Result<()> {
        match error {
            WalError::Corrupt { .. } => {
                self.find(FindingKind::Alteration, origin, index, error.to_string());
                Ok(())
            }
            WalError::Io { .. } => Err(error.into()),
        }
    }

    fn find(&mut self, kind: FindingKind, origin: &str, index: Option<u64>, detail: String) {
        self.findings.push(Finding { kind, origin: origin.to_owned(), index, detail });
    }
}
