//! `audit-sink checkpoint`: what to keep apart, so that a cut or rewritten copy is found later.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use ledger::keys::Origin;

use super::{Invalid, OK};
use crate::evidence::Evidence;

/// Print the newest checkpoint of each instance, one after the other
#[derive(Debug, clap::Args)]
pub(super) struct Checkpoint {
    /// The evidence's directory, or a copy of it
    #[arg(long)]
    evidence: PathBuf,
    /// Of this log only
    #[arg(long, value_parser = Origin::parse)]
    origin: Option<Origin>,
}

impl Checkpoint {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let evidence = Evidence::open(&self.evidence);
        let origins = match &self.origin {
            Some(origin) => vec![origin.clone()],
            None => evidence.origins()?.into_iter().collect(),
        };
        // Origins are ordered by instance and then by time.
        let mut newest: BTreeMap<String, String> = BTreeMap::new();
        for origin in origins {
            if let Some(note) = evidence.checkpoint(&origin) {
                newest.insert(origin.instance().to_owned(), note);
            }
        }
        if newest.is_empty() {
            let directory = self.evidence.display();
            return Err(Invalid(format!("`{directory}` holds no such checkpoint")).into());
        }
        for note in newest.values() {
            out.write_all(note.as_bytes())?;
        }
        Ok(OK)
    }
}
