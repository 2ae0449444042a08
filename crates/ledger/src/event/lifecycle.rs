//! The life of a log and of the process that writes it (6002 Application Lifecycle).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::candidate::{CandidateLoad, ToldLoad};
use super::cut::Cutter;
use super::objects;
use super::record::{name, seal};
use super::rules::{RuleSet, ToldRules};
use super::wire::{self, Class, Coded, severity};
use super::{EventError, Kind, Producer, Record, limit};

const START: Coded = Coded(3, "Start");
const STOP: Coded = Coded(4, "Stop");
const UPDATE: Coded = Coded(8, "Update");
const OTHER: Coded = Coded(99, "Other");

/// The first leaf: who opened this log, with what, on what, after which other log.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LogOpen<'a> {
    /// The log's origin, with its epoch.
    pub origin: &'a str,
    /// The log's verifier key (C2SP signed-note vkey).
    pub key: &'a str,
    /// SHA-256 of the binary, hex.
    pub binary: &'a str,
    /// What is loaded.
    pub digests: Digests<'a>,
    /// Type of the filesystem that holds the spool.
    pub filesystem: &'a str,
    /// Measured time of one sync, microseconds.
    pub sync_us: u64,
    /// The partition that this log is sent to, if it is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// The log that this instance wrote before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous<'a>>,
}

/// The log before, as far as it is durable.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Previous<'a> {
    /// Its origin.
    pub origin: &'a str,
    /// Its number of leaves.
    pub size: u64,
    /// Its root, base64 in the event as in a checkpoint.
    #[serde(serialize_with = "base64_text")]
    pub root: [u8; 32],
    /// It ended with a `log_close`.
    pub closed: bool,
    /// Decisions that it left open; each was completed as `crashed`.
    pub open: u64,
}

/// Digests of what is loaded, SHA-256 in hex; empty where nothing is.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Digests<'a> {
    /// The configuration.
    pub config: &'a str,
    /// The policies.
    pub policies: &'a str,
    /// The schema.
    pub schema: &'a str,
    /// The entities.
    pub entities: &'a str,
    /// The rules of the rule engine, and what routes make of them.
    pub rules: &'a str,
}

/// The last leaf of a log.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LogClose<'a> {
    /// The log's origin, with its epoch.
    pub origin: &'a str,
    /// Why, one word (`stop`, `rotation`, …).
    pub reason: &'a str,
    /// Leaves of the log, this one included.
    pub size: u64,
    /// Decisions still open; each was completed as `abandoned`.
    pub open: u64,
    /// The counters at the end.
    pub counters: Counters,
}

/// A sign of life.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Heartbeat<'a> {
    /// The log's origin, with its epoch.
    pub origin: &'a str,
    /// Time to the next one, milliseconds.
    pub interval_ms: u64,
    /// Leaves of the log, this one included.
    pub size: u64,
    /// Decisions open now.
    pub open: u64,
    /// Bytes of the spool in use.
    pub spool_used_bytes: u64,
    /// Bytes the spool may use.
    pub spool_max_bytes: u64,
    /// The counters.
    pub counters: Counters,
}

/// Counters since the log was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Heads that came, read or not.
    pub requests: u64,
    /// Decisions recorded.
    pub decisions: u64,
    /// Completions recorded.
    pub completions: u64,
    /// Answers whose head was sent.
    pub answers: u64,
    /// Requests that aggregates stand for.
    pub aggregated: u64,
    /// Bytes of events.
    pub event_bytes: u64,
    /// Wall clock minus monotonic clock since the log was opened, microseconds.
    pub clock_offset_us: i64,
    /// Events lost. Anything but 0 is an alarm.
    pub dropped: u64,
}

/// A reload, taken or refused.
#[derive(Debug, Clone, Copy)]
pub struct Reload<'a> {
    /// What was to be reloaded.
    pub what: Reloaded,
    /// What asked for it, one word (`signal`, `watch`, …).
    pub trigger: &'a str,
    /// The new one is in use; else the old one is kept.
    pub accepted: bool,
    /// Digests of what is in use now.
    pub digests: Digests<'a>,
    /// The policies that are in use now, where they were looked at.
    pub policies: Option<PolicySet<'a>>,
    /// The rules that are in use now, where they were looked at.
    pub rules: Option<RuleSet<'a>>,
    /// Why it was refused. All are counted, the first [`limit::PROBLEMS_MAX`] are named.
    pub problems: &'a [String],
    /// The candidate that is tried beside it, if there is to be one.
    pub candidate: Option<CandidateLoad<'a>>,
}

/// The set of policies that is in use, and what a load changed of it. Revision and author are
/// what whoever wrote the set declares; they are cut at [`limit::DECLARED_BYTES_MAX`].
#[derive(Debug, Clone, Copy)]
pub struct PolicySet<'a> {
    /// Digest of the whole set, SHA-256 in hex.
    pub digest: &'a str,
    /// Which it is.
    pub revision: Option<&'a str>,
    /// Who made it.
    pub author: Option<&'a str>,
    /// Its manifest matched.
    pub sealed: bool,
    /// Where it comes from.
    pub source: PolicySource,
    /// Whether it is kept for the next start and for replay; `None` if sets are not kept.
    pub kept: Option<bool>,
    /// What the load changed; nothing if it was refused.
    pub changes: PolicyChanges<'a>,
    /// Its links that are over, by their ids; counted and named as changes are.
    pub expired_links: &'a [String],
}

/// What a load changed, policies by their ids. All are counted, the first
/// [`limit::POLICY_IDS_MAX`] of each kind are named.
#[derive(Debug, Clone, Copy, Default)]
pub struct PolicyChanges<'a> {
    /// Policies that were not there.
    pub added: &'a [String],
    /// Policies that are gone.
    pub removed: &'a [String],
    /// Policies that are others.
    pub changed: &'a [String],
    /// The schema is another.
    pub schema: bool,
    /// The entities are others.
    pub entities: bool,
}

/// Where a set of policies comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicySource {
    /// The directory of the configuration.
    Directory,
    /// The last set that was kept: the directory was wrong at the start.
    Kept,
}

impl PolicySource {
    /// The word that events use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Kept => "kept",
        }
    }
}

/// [`PolicySet`] in the event.
#[derive(Serialize)]
struct Set<'a> {
    digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    sealed: bool,
    source: PolicySource,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<bool>,
    added: Ids<'a>,
    removed: Ids<'a>,
    changed: Ids<'a>,
    schema_changed: bool,
    entities_changed: bool,
    expired_links: Ids<'a>,
}

/// What changed: all are counted, the first are named.
#[derive(Serialize)]
pub(super) struct Ids<'a> {
    count: usize,
    ids: Vec<&'a str>,
}

impl<'a> Ids<'a> {
    pub(super) fn cut(of: &'a [String], cutter: &mut Cutter) -> Self {
        let first = of.iter().take(limit::POLICY_IDS_MAX);
        let ids = first.map(|id| cutter.text(id, limit::POLICY_ID_BYTES_MAX)).collect();
        Self { count: of.len(), ids }
    }
}

impl<'a> PolicySet<'a> {
    fn cut(self, cutter: &mut Cutter) -> Set<'a> {
        let Self { digest, revision, author, sealed, source, kept, changes, expired_links } = self;
        let mut ids = |of| Ids::cut(of, cutter);
        let (added, removed) = (ids(changes.added), ids(changes.removed));
        let (changed, expired_links) = (ids(changes.changed), ids(expired_links));
        let mut declared = |text: &'a str| cutter.text(text, limit::DECLARED_BYTES_MAX);
        Set {
            digest,
            revision: revision.map(&mut declared),
            author: author.map(&mut declared),
            sealed,
            source,
            kept,
            added,
            removed,
            changed,
            schema_changed: changes.schema,
            entities_changed: changes.entities,
            expired_links,
        }
    }
}

/// What can be reloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reloaded {
    /// The configuration.
    Config,
    /// Policies, schema and entities.
    Policies,
    /// Certificates and keys of listeners.
    Certificates,
    /// The rules of the rule engine.
    Rules,
}

/// Events were lost. It is written as soon as anything can be.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Loss<'a> {
    /// The log's origin, with its epoch.
    pub origin: &'a str,
    /// Why, one word (`spool_full`, `write_failed`, …).
    pub reason: &'a str,
    /// How many.
    pub count: u64,
    /// When the first was lost, Unix milliseconds.
    pub first_ms: i64,
    /// When the last was lost, Unix milliseconds.
    pub last_ms: i64,
}

/// The spool passed its watermark, or came back below it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Watermark<'a> {
    /// The log's origin, with its epoch.
    pub origin: &'a str,
    /// It is above now.
    pub above: bool,
    /// Bytes of the spool in use.
    pub spool_used_bytes: u64,
    /// Bytes the spool may use.
    pub spool_max_bytes: u64,
}

/// What sets one lifecycle event apart from the next.
struct Life {
    kind: Kind,
    code: &'static str,
    activity: Coded,
    severity: Coded,
    status: Coded,
    max: usize,
}

impl Life {
    fn seal<U: Serialize>(
        self,
        at: (Uuid, i64),
        producer: &Producer,
        unmapped: U,
        cut: usize,
    ) -> Result<Record, EventError> {
        let (uid, now_ms) = at;
        let metadata = objects::Metadata {
            uid,
            correlation_uid: None,
            event_code: self.code,
            profiles: &[],
            producer,
            untruncated_kib: None,
        };
        let mut event = wire::Event::new(Class::Lifecycle, now_ms, metadata, unmapped);
        event.activity = self.activity;
        event.severity = self.severity;
        event.status = Some(self.status);
        event.status_detail = Some(self.code);
        event.message = self.code.replace('_', " ");
        event.app = Some(objects::Product::new(producer));
        seal(self.kind, event, cut, self.max)
    }
}

impl LogOpen<'_> {
    /// Makes the event.
    ///
    /// # Errors
    /// A name is too long.
    pub fn record(
        &self,
        uid: Uuid,
        now_ms: i64,
        producer: &Producer,
    ) -> Result<Record, EventError> {
        name("origin", self.origin)?;
        let life = Life {
            kind: Kind::LogOpen,
            code: "log_open",
            activity: START,
            severity: severity::INFORMATIONAL,
            status: wire::SUCCESS,
            max: limit::EVENT_BYTES_MAX,
        };
        life.seal((uid, now_ms), producer, self, 0)
    }
}

impl LogClose<'_> {
    /// Makes the event, at most [`limit::CONTROL_BYTES_MAX`] long.
    ///
    /// # Errors
    /// A name is too long.
    pub fn record(
        &self,
        uid: Uuid,
        now_ms: i64,
        producer: &Producer,
    ) -> Result<Record, EventError> {
        name("origin", self.origin)?;
        name("reason", self.reason)?;
        let life = Life {
            kind: Kind::LogClose,
            code: "log_close",
            activity: STOP,
            severity: severity::INFORMATIONAL,
            status: wire::SUCCESS,
            max: limit::CONTROL_BYTES_MAX,
        };
        life.seal((uid, now_ms), producer, self, 0)
    }
}

impl Heartbeat<'_> {
    /// Makes the event, at most [`limit::CONTROL_BYTES_MAX`] long.
    ///
    /// # Errors
    /// A name is too long.
    pub fn record(
        &self,
        uid: Uuid,
        now_ms: i64,
        producer: &Producer,
    ) -> Result<Record, EventError> {
        name("origin", self.origin)?;
        let life = Life {
            kind: Kind::Heartbeat,
            code: "heartbeat",
            activity: OTHER,
            severity: severity::INFORMATIONAL,
            status: wire::SUCCESS,
            max: limit::CONTROL_BYTES_MAX,
        };
        life.seal((uid, now_ms), producer, self, 0)
    }
}

impl Reload<'_> {
    /// Makes the event. Problems are cut at [`limit::PROBLEM_BYTES_MAX`].
    ///
    /// # Errors
    /// A name is too long.
    pub fn record(
        &self,
        uid: Uuid,
        now_ms: i64,
        producer: &Producer,
    ) -> Result<Record, EventError> {
        #[derive(Serialize)]
        struct Unmapped<'a> {
            what: Reloaded,
            trigger: &'a str,
            accepted: bool,
            digests: Digests<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            policies: Option<Set<'a>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            rules: Option<ToldRules<'a>>,
            problem_count: usize,
            problems: Vec<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            candidate: Option<ToldLoad<'a>>,
        }
        let mut cutter = Cutter::default();
        let policies = self.policies.map(|policies| policies.cut(&mut cutter));
        let rules = self.rules.map(|rules| rules.told(&mut cutter));
        let problems = self.problems.iter().take(limit::PROBLEMS_MAX);
        let unmapped = Unmapped {
            what: self.what,
            trigger: name("trigger", self.trigger)?,
            accepted: self.accepted,
            digests: self.digests,
            policies,
            rules,
            problem_count: self.problems.len(),
            problems: problems.map(|text| cutter.text(text, limit::PROBLEM_BYTES_MAX)).collect(),
            candidate: self.candidate.map(|candidate| candidate.told(&mut cutter)),
        };
        let clean =
            self.accepted && self.candidate.is_none_or(|candidate| candidate.problems.is_empty());
        let life = Life {
            kind: Kind::Lifecycle,
            code: "reload",
            activity: UPDATE,
            severity: if clean { severity::INFORMATIONAL } else { severity::MEDIUM },
            status: if self.accepted { wire::SUCCESS } else { wire::FAILURE },
            max: limit::EVENT_BYTES_MAX,
        };
        life.seal((uid, now_ms), producer, unmapped, cutter.bytes)
    }
}

impl Loss<'_> {
    /// Makes the event, at most [`limit::CONTROL_BYTES_MAX`] long.
    ///
    /// # Errors
    /// A name is too long.
    pub fn record(
        &self,
        uid: Uuid,
        now_ms: i64,
        producer: &Producer,
    ) -> Result<Record, EventError> {
        name("origin", self.origin)?;
        name("reason", self.reason)?;
        let life = Life {
            kind: Kind::Lifecycle,
            code: "loss",
            activity: OTHER,
            severity: Coded(5, "Critical"),
            status: wire::FAILURE,
            max: limit::CONTROL_BYTES_MAX,
        };
        life.seal((uid, now_ms), producer, self, 0)
    }
}

impl Watermark<'_> {
    /// Makes the event, at most [`limit::CONTROL_BYTES_MAX`] long.
    ///
    /// # Errors
    /// A name is too long.
    pub fn record(
        &self,
        uid: Uuid,
        now_ms: i64,
        producer: &Producer,
    ) -> Result<Record, EventError> {
        name("origin", self.origin)?;
        let life = Life {
            kind: Kind::Lifecycle,
            code: "watermark",
            activity: OTHER,
            severity: if self.above { severity::HIGH } else { severity::INFORMATIONAL },
            status: if self.above { wire::FAILURE } else { wire::SUCCESS },
            max: limit::CONTROL_BYTES_MAX,
        };
        life.seal((uid, now_ms), producer, self, 0)
    }
}

fn base64_text<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}
