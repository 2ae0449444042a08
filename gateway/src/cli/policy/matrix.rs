//! `portcullis policy matrix`: who can do what, as a text to review and to compare.

use std::io::Write;

use super::Directory;
use super::format::{Format, document, invalid};
use crate::cli::OK;

/// Print who can do what: the answer for each principal, action and resource of the cases
///
/// The cases are the directory's `cases/*.yaml`. The text is what `matrix.txt` holds, to be reviewed
/// and compared, so no counts follow it. Exit codes: 0 printed, 1 there is no such directory of cases,
/// or it cannot be read, 3 the policies or the cases do not load.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Matrix {
    #[command(flatten)]
    directory: Directory,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

impl Matrix {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let (policies, files) = match self.directory.load()? {
            Ok(loaded) => loaded,
            Err(problems) => return invalid("matrix", &problems, self.format, out),
        };
        let cases: Vec<_> = files.into_iter().flat_map(|(_, cases)| cases).collect();
        let matrix = policies.matrix(&cases);
        match self.format {
            Format::Text => write!(out, "{matrix}")?,
            Format::Json => document(&matrix, out)?,
        }
        Ok(OK)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// `UPDATE=1 cargo test` writes the file anew.
    #[test]
    fn the_committed_matrix_is_that_of_the_committed_policies() {
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let path = policies.join("matrix.txt");
        let directory = Directory::of(policies);
        let mut printed = Vec::new();
        assert_eq!(Matrix { directory, format: Format::Text }.run(&mut printed).unwrap(), OK);
        let printed = String::from_utf8(printed).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &printed).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap();
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        let (was, is) = (lines(&committed), lines(&printed));
        let (gone, new) = (was.difference(&is), is.difference(&was));
        assert!(
            committed == printed,
            "what the policies allow has changed: review it, and run \
             `UPDATE=1 cargo test -p gateway matrix`\ngone: {:#?}\nnew: {:#?}",
            gone.collect::<Vec<_>>(),
            new.collect::<Vec<_>>()
        );
    }
}
