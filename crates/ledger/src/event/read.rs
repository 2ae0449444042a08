//! Reads back what recovery and carriers need of an event, from its value.

use std::net::IpAddr;

use serde::Deserialize;
use uuid::Uuid;

use super::objects;
use super::wire::{Class, Coded};
use super::{ActorKind, Kind, Record, dictionary};

/// What a completion needs of its decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRef {
    pub(super) uid: Uuid,
    pub(super) received_ms: i64,
    pub(super) correlated: Correlated,
    pub(super) activity: Coded,
    pub(super) method: Option<String>,
    pub(super) route: Option<String>,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) traceparent: Option<String>,
}

/// What a completion repeats of its decision, by class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Correlated {
    /// 6003
    Call { principal: Principal, service: String, operation: String },
    /// 4002
    Http,
}

impl Correlated {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Call { .. } => Class::Api,
            Self::Http => Class::Http,
        }
    }
}

/// The principal of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principal {
    pub(super) kind: ActorKind,
    pub(super) id: String,
}

/// A value that is no event of ours.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not the JSON of an event.
    #[error("not an event")]
    Json(#[from] serde_json::Error),
    /// A field holds what we never write.
    #[error("an event whose `{0}` is none of ours")]
    Field(&'static str),
}

impl DecisionRef {
    /// The decision's id.
    pub fn uid(&self) -> Uuid {
        self.uid
    }

    /// Reads it from a decision's value, so that recovery can complete what a crash left open.
    ///
    /// # Errors
    /// The value is no decision of ours.
    pub fn read(value: &[u8]) -> Result<Self, ReadError> {
        let seen: Seen = serde_json::from_slice(value)?;
        if seen.metadata.event_code != "decision" {
            return Err(ReadError::Field("metadata.event_code"));
        }
        let correlated = match (seen.class_uid, seen.actor, seen.api) {
            (6003, Some(actor), Some(api)) => Correlated::Call {
                principal: Principal {
                    kind: ActorKind::of(actor.user.type_id),
                    id: actor.user.uid,
                },
                service: api.service.name,
                operation: api.operation,
            },
            (4002, None, None) => Correlated::Http,
            _ => return Err(ReadError::Field("class_uid")),
        };
        let peer = seen.src_endpoint.ok_or(ReadError::Field("src_endpoint"))?;
        Ok(Self {
            uid: uuid(&seen.metadata.uid)?,
            received_ms: seen.start_time.unwrap_or(seen.time),
            activity: correlated.class().activity_of(seen.activity_id),
            correlated,
            method: seen.http_request.and_then(|request| request.http_method),
            route: seen.unmapped.route,
            ip: peer.ip,
            port: peer.port.unwrap_or(0),
            traceparent: seen.trace.and_then(SeenTrace::traceparent),
        })
    }
}

/// What an event says of itself, read from its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Its kind.
    pub kind: Kind,
    /// `metadata.uid`.
    pub uid: Uuid,
    /// `metadata.correlation_uid`: the decision's id.
    pub correlation_uid: Option<Uuid>,
    /// `metadata.event_code`.
    pub event_code: String,
    /// `class_uid`.
    pub class_uid: u32,
    /// `time`, Unix milliseconds.
    pub time_ms: i64,
    /// The trace's `traceparent`.
    pub traceparent: Option<String>,
}

impl Glance {
    /// Reads it.
    ///
    /// # Errors
    /// The value is no event of ours.
    pub fn read(value: &[u8]) -> Result<Self, ReadError> {
        let seen: Seen = serde_json::from_slice(value)?;
        let entry = dictionary::entry(&seen.metadata.event_code)
            .ok_or(ReadError::Field("metadata.event_code"))?;
        Ok(Self {
            kind: entry.kind,
            uid: uuid(&seen.metadata.uid)?,
            correlation_uid: seen.metadata.correlation_uid.as_deref().map(uuid).transpose()?,
            event_code: seen.metadata.event_code,
            class_uid: seen.class_uid,
            time_ms: seen.time,
            traceparent: seen.trace.and_then(SeenTrace::traceparent),
        })
    }
}

impl Record {
    /// The record of a value that was made here before.
    ///
    /// # Errors
    /// The value is no event of ours.
    pub fn read(value: Vec<u8>) -> Result<Self, ReadError> {
        let Glance { kind, uid, class_uid, time_ms, traceparent, .. } = Glance::read(&value)?;
        Ok(Self { kind, uid, time_ms, class_uid, traceparent, value })
    }
}

fn uuid(text: &str) -> Result<Uuid, ReadError> {
    Uuid::try_parse(text).map_err(|_| ReadError::Field("metadata.uid"))
}

/// The fields of an event that are read back; the others are skipped.
#[derive(Deserialize)]
struct Seen {
    class_uid: u32,
    activity_id: u32,
    time: i64,
    start_time: Option<i64>,
    metadata: SeenMetadata,
    actor: Option<SeenActor>,
    api: Option<SeenApi>,
    http_request: Option<SeenRequest>,
    src_endpoint: Option<SeenPeer>,
    trace: Option<SeenTrace>,
    unmapped: SeenUnmapped,
}

#[derive(Deserialize)]
struct SeenMetadata {
    uid: String,
    correlation_uid: Option<String>,
    event_code: String,
}

#[derive(Deserialize)]
struct SeenActor {
    user: SeenUser,
}

#[derive(Deserialize)]
struct SeenUser {
    uid: String,
    type_id: u32,
}

#[derive(Deserialize)]
struct SeenApi {
    operation: String,
    service: SeenService,
}

#[derive(Deserialize)]
struct SeenService {
    name: String,
}

#[derive(Deserialize)]
struct SeenRequest {
    http_method: Option<String>,
}

#[derive(Deserialize)]
struct SeenPeer {
    ip: IpAddr,
    port: Option<u16>,
}

#[derive(Deserialize)]
struct SeenUnmapped {
    route: Option<String>,
}

#[derive(Deserialize)]
struct SeenTrace {
    uid: String,
    span: SeenSpan,
    #[serde(default)]
    flags: Vec<String>,
}

#[derive(Deserialize)]
struct SeenSpan {
    uid: String,
}

impl SeenTrace {
    fn traceparent(self) -> Option<String> {
        let flags = if self.flags.iter().any(|flag| flag == "sampled") { "01" } else { "00" };
        let text = format!("00-{}-{}-{flags}", self.uid, self.span.uid);
        objects::Trace::parse(&text, 0, 0).is_some().then_some(text)
    }
}
