//! `audit-sink show`: events exactly as they were recorded, verified as they are read.

use std::io::Write;
use std::path::PathBuf;

use ledger::keys::Origin;

use super::leaves::Leaves;
use super::{FAILED, OK, UNVERIFIED};
use crate::evidence::Evidence;
use crate::manifest::{Manifest, Order, Search};

/// Show events exactly as recorded, one a line
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The evidence's directory, or a copy of it
    #[arg(long)]
    evidence: PathBuf,
    /// The file with the audit root's public key: what does not verify is not shown
    #[arg(long)]
    root: Option<PathBuf>,
    /// An event's id, a decision's (for its completion too), or `ORIGIN#INDEX`
    what: String,
}

impl Show {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let evidence = Evidence::open(&self.evidence);
        let manifest = match evidence.manifest().exists() {
            true => Some(Manifest::read_only(&evidence.manifest())?),
            false => None,
        };
        let root = self.root.as_ref().map(|path| super::root(path)).transpose()?;
        let mut leaves = Leaves::new(&evidence, manifest.as_ref());
        let mut code = FAILED;
        for (origin, index) in self.places(manifest.as_ref())? {
            let Some(leaf) = leaves.read(&origin, index)? else { continue };
            if let Some(root) = &root {
                match leaves.verify(root, &origin, index, &leaf) {
                    Ok(size) => eprintln!("verified: {origin}#{index} of {size}"),
                    Err(error) => {
                        eprintln!("not verified: {origin}#{index}: {error:#}");
                        code = UNVERIFIED;
                        continue;
                    }
                }
            }
            out.write_all(&leaf.value)?;
            out.write_all(b"\n")?;
            code = if code == UNVERIFIED { UNVERIFIED } else { OK };
        }
        match code {
            FAILED => eprintln!("audit-sink: no event `{}`", self.what),
            OK if root.is_none() => eprintln!("not verified: no --root is given"),
            _ => {}
        }
        Ok(code)
    }

    /// Where it is, by its place or by the index.
    fn places(&self, manifest: Option<&Manifest>) -> anyhow::Result<Vec<(Origin, u64)>> {
        if let Some((origin, index)) = self.what.split_once('#') {
            let invalid = |problem: String| super::Invalid(format!("`{}`: {problem}", self.what));
            let origin = Origin::parse(origin).map_err(|error| invalid(error.to_string()))?;
            let index = index.parse().map_err(|_| invalid("the index is no number".to_owned()))?;
            return Ok(vec![(origin, index)]);
        }
        let Some(manifest) = manifest else {
            anyhow::bail!("without a manifest an event is named `ORIGIN#INDEX`");
        };
        let search = Search { id: Some(self.what.clone()), ..Search::default() };
        let mut places = Vec::new();
        manifest.search(&search, Order::Log, |row| {
            places.push((Origin::parse(&row.origin)?, row.index));
            Ok::<_, anyhow::Error>(())
        })?;
        Ok(places)
    }
}
