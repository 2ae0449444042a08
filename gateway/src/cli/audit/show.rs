//! `portcullis audit show`: what lies in a spool, also beside the gateway that writes it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::ensure;
use ledger::Look;

use crate::cli::OK;

/// Show what lies in a spool
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Show {
    /// The spool's directory, or a copy of it
    #[arg(long)]
    spool: PathBuf,
    /// What is shown
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Every event, exactly as recorded, one a line, logs in order
    Jsonl,
    /// The newest checkpoint of the newest log
    Checkpoint,
}

impl Show {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let mut newest = None;
        for mut log in Look::all(&self.spool)? {
            while let Some(group) = log.group()? {
                if matches!(self.format, Format::Jsonl) {
                    for record in &group.records {
                        out.write_all(&record.value)?;
                        out.write_all(b"\n")?;
                    }
                }
                newest = Some(group.checkpoint);
            }
        }
        if matches!(self.format, Format::Checkpoint) {
            ensure!(newest.is_some(), "`{}` holds no checkpoint", self.spool.display());
            out.write_all(newest.unwrap_or_default().as_bytes())?;
        }
        Ok(OK)
    }
}
