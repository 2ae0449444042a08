//! `portcullis audit …`: keys of the record, and the record itself, without a gateway.

mod key;
mod pseudonym;
mod show;
mod verify;

use std::io::Write;

/// Keys, and the record as it lies in a spool
#[derive(Debug, clap::Subcommand)]
pub(super) enum Audit {
    #[command(subcommand)]
    Key(key::Key),
    Pseudonym(pseudonym::Pseudonym),
    Show(show::Show),
    Verify(verify::Verify),
}

impl Audit {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        match self {
            Self::Key(key) => key.run(out),
            Self::Pseudonym(pseudonym) => pseudonym.run(out),
            Self::Show(show) => show.run(out),
            Self::Verify(verify) => verify.run(out),
        }
    }
}
