//! `portcullis policy test`: asks every case of a policies directory.

use std::io::Write;

use verdict::cases;

use super::{Directory, invalid};
use crate::cli::{FAILED, OK};

/// Run the cases of a policies directory
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Test {
    #[command(flatten)]
    directory: Directory,
}

impl Test {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let (policies, files) = match self.directory.load()? {
            Ok(loaded) => loaded,
            Err(problems) => return invalid("test", &problems, out),
        };
        let (mut passed, mut failed) = (0_usize, 0_usize);
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
