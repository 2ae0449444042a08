//! A copy of the Core Rule Set, as it is published by OWASP or as a Go module.

use std::path::{Path, PathBuf};

use super::{Result, Wrong};

/// Set-up and rules, below the copy's directory.
const KINDS: [(&str, &str); 3] = [
    ("crs-setup.conf", "rules"),
    ("crs-setup.conf.example", "rules"),
    ("rules/@crs-setup.conf.example", "rules/@owasp_crs"),
];

/// Where its parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The file with its settings, which is read first.
    pub setup: PathBuf,
    /// The directory with its rules.
    pub rules: PathBuf,
    /// The directory with its tests, if it has any.
    pub tests: Option<PathBuf>,
}

impl Copy {
    /// Finds them.
    ///
    /// # Errors
    /// The directory holds no copy.
    pub fn find(dir: &Path) -> Result<Self> {
        let there = |(setup, rules): &(&str, &str)| {
            let (setup, rules) = (dir.join(setup), dir.join(rules));
            (setup.is_file() && rules.is_dir()).then_some((setup, rules))
        };
        let message = "no copy of the Core Rule Set: there is no `crs-setup.conf.example` with \
                       `rules`, and no `rules/@crs-setup.conf.example` with `rules/@owasp_crs`";
        let (setup, rules) =
            KINDS.iter().find_map(there).ok_or_else(|| Wrong::at(1, message).of(dir))?;
        let tests = ["tests/regression/tests", "tests/regression", "tests"];
        let tests = tests.iter().map(|tests| dir.join(tests)).find(|tests| tests.is_dir());
        Ok(Self { setup, rules, tests })
    }
}
