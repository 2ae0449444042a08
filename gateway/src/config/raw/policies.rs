//! The policies that decide, and a candidate beside them.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{Annotation, Name, PercentText};

/// Where the policies are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Policies {
    /// The directory of the schema, the policies and the entities. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(in crate::config) directory: PathBuf,
    /// Annotations that policies may carry besides those Portcullis knows.
    #[serde(default)]
    #[schemars(length(max = 64), extend("uniqueItems" = true))]
    pub(in crate::config) annotations_allowed: Vec<Annotation>,
    /// Policy files, by their path in the directory, that hold for every API and whose permits may have an empty scope.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)), extend("uniqueItems" = true))]
    pub(in crate::config) global: Vec<String>,
    /// What clients are told, by a policy's `@message_id`.
    #[serde(default)]
    #[schemars(inner(length(min = 1, max = 1024)))]
    pub(in crate::config) messages: BTreeMap<Name, String>,
    /// Policies that are to be enforced one day. They are asked too, after the answer is decided, and what they would have said is in the record. They decide nothing. Without it there are none.
    pub(in crate::config) candidate: Option<Candidate>,
    /// A set without a manifest (`portcullis policy seal`) is refused.
    #[serde(default)]
    pub(in crate::config) require_manifest: bool,
    /// Where each set that was in force is kept, for the next start and for replay.
    pub(in crate::config) keep: Option<Keep>,
    /// If the directory is wrong at the start, the set that was last in force is served, and said to be.
    #[serde(default)]
    pub(in crate::config) start_from_kept: bool,
}

/// Policies that are to be enforced one day.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Candidate {
    /// The directory of their schema, the policies and the entities: a whole one. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(in crate::config) directory: PathBuf,
    /// Of how many decisions in a hundred they are asked: a whole number, or one with decimals in quotes.
    #[serde(default = "ten_percent")]
    pub(in crate::config) percent: Percent,
}

/// A share of decisions: a whole number, or a text with decimals.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Percent {
    /// Whole.
    Whole(#[schemars(range(min = 0, max = 100))] u32),
    /// With decimals.
    Decimals(PercentText),
}

/// Where each set that was in force is kept, under its digest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Keep {
    /// The directory, of this gateway alone. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(in crate::config) directory: PathBuf,
    /// How many sets are kept.
    #[serde(default = "sixteen")]
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) sets_max: u32,
}

fn ten_percent() -> Percent {
    Percent::Whole(10)
}

fn sixteen() -> u32 {
    16
}
