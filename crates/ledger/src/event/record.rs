//! What goes into the log: a value and the few things its carriers need to know of it.

use serde::Serialize;
use uuid::Uuid;

use super::printable::json_bytes;
use super::{json, limit, wire};

/// One event, ready for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What kind of event.
    pub kind: Kind,
    /// `metadata.uid`.
    pub uid: Uuid,
    /// `time`, Unix milliseconds.
    pub time_ms: i64,
    /// `class_uid`.
    pub class_uid: u32,
    /// W3C `traceparent` of the request, where there is one.
    pub traceparent: Option<String>,
    /// One line of OCSF JSON without a line feed, at most [`limit::EVENT_BYTES_MAX`] bytes.
    pub value: Vec<u8>,
}

/// Kinds of events. The codes are on disk and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The first leaf of a log.
    LogOpen = 1,
    /// The last leaf of a log that was closed.
    LogClose = 2,
    /// A sign of life, with counters.
    Heartbeat = 3,
    /// A request was decided.
    Decision = 4,
    /// A request ended.
    Completion = 5,
    /// Refusals folded together.
    Aggregate = 6,
    /// A reload, a loss, a watermark.
    Lifecycle = 7,
    /// A login, a logout, a session.
    Authentication = 8,
    /// A detection.
    Finding = 9,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::LogOpen,
        Self::LogClose,
        Self::Heartbeat,
        Self::Decision,
        Self::Completion,
        Self::Aggregate,
        Self::Lifecycle,
        Self::Authentication,
        Self::Finding,
    ];

    /// The code on disk.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a code, or `None` if it is none of ours.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LogOpen => "log_open",
            Self::LogClose => "log_close",
            Self::Heartbeat => "heartbeat",
            Self::Decision => "decision",
            Self::Completion => "completion",
            Self::Aggregate => "aggregate",
            Self::Lifecycle => "lifecycle",
            Self::Authentication => "authentication",
            Self::Finding => "finding",
        }
    }
}

/// When a decision has to be on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Before the first byte to the upstream.
    Strict,
    /// Before the first byte of the answer.
    Gated,
    /// Within one commit group.
    Buffered,
}

impl Durability {
    /// The word that configuration and events use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Gated => "gated",
            Self::Buffered => "buffered",
        }
    }
}

/// Who writes events: the same for every event of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// The product's version.
    pub version: String,
    /// The log's name without its epoch: `audit.<domain>/<cluster>/<instance>`.
    pub log: String,
    /// This instance's name.
    pub instance: String,
}

/// Why an event could not be made. Nothing of it was written; the caller refuses.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The whole value is too long, though everything a client controls was cut.
    #[error("an event of {bytes} bytes exceeds the limit of {max}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A field that is never cut is too long.
    #[error("`{field}` of {size} exceeds the limit of {max}")]
    FieldTooLarge {
        /// The field.
        field: &'static str,
        /// Its length as JSON, or the number of its entries.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// The value could not be serialised.
    #[error("an event could not be serialised")]
    Serialise(#[from] serde_json::Error),
}

/// What a decision's value takes as a rule.
const VALUE_BYTES: usize = 4096;

/// Bytes of JSON that a byte of text can take: `\u` and four digits.
pub(super) const JSON_BYTES_PER_BYTE_MAX: usize = 6;

/// Serialises `event`, whose client-controlled fields lost `cut` bytes.
pub(super) fn seal<U: Serialize>(
    kind: Kind,
    mut event: wire::Event<'_, U>,
    cut: usize,
    max: usize,
) -> Result<Record, EventError> {
    let Producer { version, log, instance } = event.metadata.producer;
    for (field, text) in [("version", version), ("log", log), ("instance", instance)] {
        name(field, text)?;
    }
    let mut value = json::text(&event, VALUE_BYTES)?;
    if cut > 0 {
        event.metadata.untruncated_kib = Some((value.len() + cut).div_ceil(1024));
        value = json::text(&event, VALUE_BYTES)?;
    }
    if value.len() > max {
        return Err(EventError::TooLarge { bytes: value.len(), max });
    }
    Ok(Record {
        kind,
        uid: event.metadata.uid,
        time_ms: event.time,
        class_uid: event.class.uid(),
        traceparent: event.trace.as_ref().map(|trace| trace.traceparent.to_owned()),
        value: value.into_bytes(),
    })
}

/// Checks a text that is never cut.
pub(super) fn whole<'a>(
    field: &'static str,
    text: &'a str,
    max: usize,
) -> Result<&'a str, EventError> {
    // Most are too short for their escapes to matter.
    if text.len().saturating_mul(JSON_BYTES_PER_BYTE_MAX) <= max {
        return Ok(text);
    }
    let size = text.chars().map(json_bytes).sum();
    if size > max {
        return Err(EventError::FieldTooLarge { field, size, max });
    }
    Ok(text)
}

/// Checks a name of the configuration.
pub(super) fn name<'a>(field: &'static str, text: &'a str) -> Result<&'a str, EventError> {
    whole(field, text, limit::NAME_JSON_BYTES_MAX)
}
