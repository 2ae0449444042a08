//! The record: its spool, its keys, its floods, and where it is shipped to.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::seconds;
use crate::config::{
    secret::SecretSource,
    units::{HostPort, Size, Time, TopicPrefix},
};

/// The record of every decision.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Audit {
    /// Where the record is written before anything is forwarded.
    pub(in crate::config) spool: Spool,
    /// What signs it.
    pub(in crate::config) keys: Keys,
    /// How people stand in the record, and in what policies are asked.
    #[serde(default)]
    pub(in crate::config) subjects: Subjects,
    /// The key of all pseudonyms, by reference: at least 32 bytes, the same on all gateways.
    pub(in crate::config) pseudonym_key: Option<SecretSource>,
    /// Where it is shipped. Without it, the record stays in the spool, which is full one day.
    pub(in crate::config) kafka: Option<Kafka>,
    /// Time between two heartbeats in the record. At most `1m`.
    #[serde(default = "ten_seconds")]
    pub(in crate::config) heartbeat: Time,
    /// When like refusals are counted instead of being recorded one by one.
    #[serde(default)]
    pub(in crate::config) flood: Flood,
}

/// How people stand in the record, and in what policies are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subjects {
    /// By their ids.
    #[default]
    Clear,
    /// Under pseudonyms: `corp|~` and 22 characters. Policies and entities have to name these. Groups, and claims that become attributes, stay as they are.
    Pseudonym,
}

/// When like refusals are counted instead of being recorded one by one: those of requests that cannot be read, that no route has, without a good credential, or over a limit. Others are always recorded.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Flood {
    /// Records of one source's refusals of one kind, in a window; IPv6 by /64.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) per_source: u32,
    /// Records of all such refusals, in a window.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) in_all: u32,
    /// The window: at its end, sources may have so many records again. From `1s` to `1m`.
    pub(in crate::config) window: Time,
}

impl Default for Flood {
    fn default() -> Self {
        Self { per_source: 20, in_all: 1000, window: seconds(10) }
    }
}

/// The spool: a write-ahead log on a disk of its own, if possible.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Spool {
    /// Its directory. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(in crate::config) directory: PathBuf,
    /// Bytes it may take. A full spool refuses every request. At least four segments.
    #[serde(default = "one_gib")]
    pub(in crate::config) bytes_max: Size,
    /// Bytes of one of its files. From `512KiB` to `256MiB`.
    #[serde(default = "sixteen_mib")]
    pub(in crate::config) segment_bytes: Size,
    /// The directory may be on a file system that does not survive a restart. For development.
    #[serde(default)]
    pub(in crate::config) volatile: bool,
}

/// The keys of the record.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Keys {
    /// The issuer's private key, by reference.
    pub(in crate::config) issuer: SecretSource,
    /// The audit root's note on the issuer key. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(in crate::config) issuer_note: PathBuf,
    /// The audit root's verifier key. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(in crate::config) root: PathBuf,
}

/// Kafka.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Kafka {
    /// Brokers to begin with.
    #[schemars(length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub(in crate::config) brokers: Vec<HostPort>,
    /// The beginning of the topics' names: `<prefix>.events.v1` and so on.
    #[serde(default = "audit")]
    pub(in crate::config) topic_prefix: TopicPrefix,
}

fn ten_seconds() -> Time {
    seconds(10)
}

fn one_gib() -> Size {
    Size(1 << 30)
}

fn sixteen_mib() -> Size {
    Size(16 << 20)
}

fn audit() -> TopicPrefix {
    TopicPrefix("audit".to_owned())
}
