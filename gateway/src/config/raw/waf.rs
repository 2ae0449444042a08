//! The rule engine's section, and what an API's route changes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::{Glob, InspectText, RuleTag, RuleTarget};

/// The rules of the check `waf`, and what they count for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Waf {
    /// SecLang files in the order in which they are read, as paths or globs relative to this file: a copy of the OWASP Core Rule Set, say. Without any the rules are Portcullis's own.
    #[serde(default)]
    #[schemars(length(max = 256), extend("uniqueItems" = true))]
    pub(in crate::config) rules: Vec<Glob>,
    /// The paranoia level of rules that count (CRS `blocking_paranoia_level`). Without it, what the files say.
    #[schemars(range(min = 1, max = 4))]
    pub(in crate::config) paranoia: Option<u8>,
    /// The score of a request from which on it is held for an attack (CRS `inbound_anomaly_score_threshold`). Without it, what the files say.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) threshold: Option<u32>,
    /// Whether policy is to heed it. By default it is.
    pub(in crate::config) mode: Option<Mode>,
    /// How much of a response's body its rules (phases 3 and 4) look at: a size up to `1MiB`, or `none`. They look when the response is over, which they neither delay nor refuse, and report into its completion. By default `none`.
    pub(in crate::config) responses: Option<InspectText>,
    /// What is not looked for.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(in crate::config) exclude: Vec<Exclusion>,
}

/// What a route changes of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RouteWaf {
    /// The paranoia level of rules that count (CRS `blocking_paranoia_level`). Without it, what `waf` at the top says.
    #[schemars(range(min = 1, max = 4))]
    pub(in crate::config) paranoia: Option<u8>,
    /// The score of a request from which on it is held for an attack (CRS `inbound_anomaly_score_threshold`). Without it, what `waf` at the top says.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) threshold: Option<u32>,
    /// Whether policy is to heed it. Without it, what `waf` at the top says.
    pub(in crate::config) mode: Option<Mode>,
    /// How much of a response's body its rules (phases 3 and 4) look at: a size up to `1MiB`, or `none`. They look when the response is over, which they neither delay nor refuse, and report into its completion. Without it, what `waf` at the top says.
    pub(in crate::config) responses: Option<InspectText>,
    /// What is not looked for, beside what `waf` at the top says.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub(in crate::config) exclude: Vec<Exclusion>,
}

/// Whether policy is to heed what the rules find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Mode {
    /// It is.
    Enforce,
    /// It is recorded, with what would have come of it.
    Shadow,
}

/// Rules that do not run, or that do not look at a target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Exclusion {
    /// Rules, by id.
    #[serde(default)]
    #[schemars(length(max = 1024), inner(range(min = 0, max = 4_294_967_295_u32)), extend("uniqueItems" = true))]
    pub(in crate::config) rules: Vec<u32>,
    /// Rules, by a tag of theirs.
    #[serde(default)]
    #[schemars(length(max = 64), extend("uniqueItems" = true))]
    pub(in crate::config) tags: Vec<RuleTag>,
    /// What they do not look at. Without it they do not run.
    pub(in crate::config) target: Option<RuleTarget>,
}
