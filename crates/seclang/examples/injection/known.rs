//! Differences that are there for a reason: by what they have in common, not one by one, and no
//! more of them than the reason can account for.

use anyhow::{Context, Result, ensure};
use regex::bytes::Regex;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    known: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    pattern: String,
    reason: String,
}

/// A reason, and how many differences had it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) name: String,
    pattern: Regex,
    count: usize,
}

/// Reads the file.
pub(crate) fn parse(text: &str) -> Result<Vec<Known>> {
    let File { known } = toml::from_str(text)?;
    let entry = |entry: Entry| {
        let Entry { name, pattern, reason } = entry;
        ensure!(!reason.trim().is_empty(), "`{name}` gives no reason");
        let pattern = Regex::new(&pattern).with_context(|| name.clone())?;
        Ok(Known { name, pattern, count: 0 })
    };
    known.into_iter().map(entry).collect()
}

impl Known {
    /// Whether a value that differs has what this is about.
    pub(crate) fn explains(&self, value: &[u8]) -> bool {
        self.pattern.is_match(value)
    }

    /// Counts one, and says its name.
    pub(crate) fn count(&mut self) -> &str {
        self.count += 1;
        &self.name
    }

    /// Nothing needed it.
    pub(crate) fn is_idle(&self) -> bool {
        self.count == 0
    }
}
