//! `portcullis policy test`: asks every case of a policies directory.

use std::io::Write;
use std::path::PathBuf;

use verdict::cases;

use super::{Directory, invalid, runs};
use crate::cli::{FAILED, OK};

/// Run the cases of a policies directory
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Test {
    #[command(flatten)]
    directory: Directory,
    /// Write the cases to this file, as Cedar's `run-tests` reads them
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
}

impl Test {
    #[cfg(test)]
    pub(super) fn of(directory: Directory, export: Option<PathBuf>) -> Self {
        Self { directory, export }
    }

    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let (policies, files) = match self.directory.load()? {
            Ok(loaded) => loaded,
            Err(problems) => return invalid("test", &problems, out),
        };
        if let Some(file) = &self.export {
            let cases: Vec<_> = files.iter().flat_map(|(_, cases)| cases).cloned().collect();
            runs::export(&policies, &cases, file)?;
        }
        let (mut passed, mut failed) = runs::run(&policies, &self.directory.directory, out)?;
        for (path, cases) in files {
            for result in cases::run_cases(&policies, &cases) {
                if result.passed() {
                    passed += 1;
                    continue;
                }
                failed += 1;
                writeln!(out, "{}: {}", path.display(), result.name)?;
                for failure in &result.failures {
                    writeln!(out, "  {failure}")?;
                }
            }
        }
        writeln!(out, "policy test: cases={} passed={passed} failed={failed}", passed + failed)?;
        Ok(if failed > 0 || passed == 0 { FAILED } else { OK })
    }
}
