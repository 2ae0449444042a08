//! The stages that do not come out as the suite expects, each with what comes out instead and why.
//!
//! Deliberately no way to ignore a stage: what happens instead is held to as well.

use anyhow::{Result, bail, ensure};
use serde::Deserialize;

use super::suite::{Expected, Stage};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "override", default)]
    overrides: Vec<Override>,
}

/// One stage that comes out otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Override {
    /// `920100-4`.
    pub(crate) test: String,
    /// From 1.
    #[serde(default = "first")]
    stage: usize,
    /// Where it does.
    pub(crate) at: At,
    /// In which sets of tests, where it is not in all that have the test.
    #[serde(default)]
    sets: Vec<String>,
    /// Rules that match.
    #[serde(default)]
    ids: Vec<u32>,
    /// Rules that do not.
    #[serde(default)]
    no_ids: Vec<u32>,
    /// What the server answers.
    status: Option<u16>,
    reason: String,
}

/// Where stages are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum At {
    /// In process.
    Engine,
    /// Through the gateway.
    Gateway,
}

fn first() -> usize {
    1
}

/// Reads the file.
pub(crate) fn parse(text: &str) -> Result<Vec<Override>> {
    let File { overrides } = toml::from_str(text)?;
    for it in &overrides {
        let Override { test, ids, no_ids, status, reason, .. } = it;
        ensure!(!reason.trim().is_empty(), "the override of {test} gives no reason");
        if ids.is_empty() && no_ids.is_empty() && status.is_none() {
            bail!("the override of {test} expects nothing instead");
        }
    }
    Ok(overrides)
}

impl Override {
    /// Whether it is about this stage of this set.
    pub(crate) fn is_of(&self, set: &str, stage: &Stage) -> bool {
        self.is_in(set) && self.test == stage.test && self.stage == stage.nth
    }

    /// Whether it is about this set.
    pub(crate) fn is_in(&self, set: &str) -> bool {
        self.sets.is_empty() || self.sets.iter().any(|known| known == set)
    }

    /// What is expected instead.
    pub(crate) fn expected(&self) -> Expected {
        let (ids, no_ids) = (self.ids.clone(), self.no_ids.clone());
        Expected { ids, no_ids, status: self.status, ..Expected::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_says_what_instead_and_why() {
        let check = |text: &str, want: Option<&str>| {
            let found = parse(&format!("[[override]]\n{text}")).err();
            let found = found.map(|error| format!("{error:#}"));
            let as_wanted = match (&found, want) {
                (Some(found), Some(want)) => found.contains(want),
                (found, want) => found.is_none() && want.is_none(),
            };
            assert!(as_wanted, "{text}: {found:?}");
        };
        let whole = "test = '1-1'\nat = 'engine'\nids = [1]\nreason = 'so'";
        check(whole, None);
        check(&whole.replace("'so'", "' '"), Some("no reason"));
        check(&whole.replace("ids = [1]", ""), Some("nothing instead"));
        check(&whole.replace("engine", "moon"), Some("unknown variant"));
        check(&whole.replace("reason", "because"), Some("unknown field"));
    }
}
