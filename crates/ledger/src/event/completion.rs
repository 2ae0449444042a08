//! The completion: how a request ended.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::candidate::{Candidate, Told};
use super::cut::Cutter;
use super::objects;
use super::read::{Correlated, DecisionRef};
use super::record::seal;
use super::response::{self, ResponseWaf};
use super::wire::{self, Coded, severity};
use super::{EventError, Kind, Producer, Record, limit};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole answer was written.
    Answered,
    /// The client went away before.
    ClientGone,
    /// The upstream could not be reached or broke off.
    UpstreamFailed,
    /// A deadline passed.
    TimedOut,
    /// Nobody said how it ended: the receipt was dropped.
    Abandoned,
    /// The process ended before; recovery says so.
    Crashed,
}

impl Outcome {
    /// The word events use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::ClientGone => "client_gone",
            Self::UpstreamFailed => "upstream_failed",
            Self::TimedOut => "timed_out",
            Self::Abandoned => "abandoned",
            Self::Crashed => "crashed",
        }
    }

    fn severity(self) -> Coded {
        match self {
            Self::Answered | Self::ClientGone => severity::INFORMATIONAL,
            Self::UpstreamFailed | Self::TimedOut => severity::LOW,
            Self::Abandoned | Self::Crashed => severity::MEDIUM,
        }
    }
}

/// How a request ended, with its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// When it ended, Unix milliseconds.
    pub ended_ms: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, one word of ours (`connect`, `reset`, …).
    pub detail: Option<&'static str>,
    /// What exactly, for the operator: an error and its causes.
    pub fault: Option<String>,
    /// The status that the client was sent.
    pub status: Option<u16>,
    /// Bytes of body that came from the client.
    pub body_in_bytes: u64,
    /// Bytes of body that went to the client.
    pub body_out_bytes: u64,
    /// From the head to the last byte, microseconds.
    pub latency_us: u64,
    /// Where it was forwarded to.
    pub upstream: Option<Upstream>,
    /// SHA-256 of the request's body, if all of it was streamed.
    pub body_sha256: Option<[u8; 32]>,
    /// What a candidate would have answered, if it was to be asked.
    pub candidate: Option<Candidate>,
    /// What rules found in the upstream's response, if they were to look at it.
    pub waf: Option<ResponseWaf>,
}

/// Where a request was forwarded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The upstream's name in the configuration.
    pub name: Arc<str>,
    /// The endpoint, if a connection was made.
    pub address: Option<SocketAddr>,
}

/// What the completion holds beside OCSF's own fields.
#[derive(Serialize)]
struct Unmapped<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
    body_in_bytes: u64,
    body_out_bytes: u64,
    latency_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<Told<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waf: Option<response::Told<'a>>,
}

impl Completion {
    /// An ending without numbers, at `now_ms`.
    pub fn new(outcome: Outcome, now_ms: i64) -> Self {
        Self {
            ended_ms: now_ms,
            outcome,
            detail: None,
            fault: None,
            status: None,
            body_in_bytes: 0,
            body_out_bytes: 0,
            latency_us: 0,
            upstream: None,
            body_sha256: None,
            candidate: None,
            waf: None,
        }
    }

    /// The receipt was dropped, and nobody said how the request ended.
    pub fn abandoned(now_ms: i64) -> Self {
        Self::new(Outcome::Abandoned, now_ms)
    }

    /// The process ended before the request did.
    pub fn crashed(now_ms: i64) -> Self {
        Self::new(Outcome::Crashed, now_ms)
    }

    /// Makes the completion's one line of JSON, at most [`limit::COMPLETION_BYTES_MAX`] long. What
    /// rules found where in a response is left out where there is no room for it.
    ///
    /// # Errors
    /// The producer's own names are too long.
    pub fn record(
        &self,
        uid: Uuid,
        decision: &DecisionRef,
        producer: &Producer,
    ) -> Result<Record, EventError> {
        match self.record_with(limit::RESPONSE_HITS_MAX, uid, decision, producer) {
            Err(EventError::TooLarge { .. }) => self.record_with(0, uid, decision, producer),
            recorded => recorded,
        }
    }

    fn record_with(
        &self,
        hits: usize,
        uid: Uuid,
        decision: &DecisionRef,
        producer: &Producer,
    ) -> Result<Record, EventError> {
        let mut cutter = Cutter::default();
        let waf = self.waf.as_ref().map(|waf| waf.told(hits, &mut cutter));
        let upstream = self
            .upstream
            .as_ref()
            .map(|upstream| cutter.text(&upstream.name, limit::UPSTREAM_BYTES_MAX));
        let fault = self.fault.as_ref().map(|fault| cutter.text(fault, limit::FAULT_BYTES_MAX));
        let class = decision.correlated.class();
        let mut event = wire::Event::new(
            class,
            self.ended_ms,
            metadata(uid, decision, producer),
            self.unmapped(decision, fault, waf),
        );
        event.activity = decision.activity;
        event.severity = self.outcome.severity();
        event.start_time = Some(decision.received_ms);
        event.status = Some(if self.succeeded() { wire::SUCCESS } else { wire::FAILURE });
        event.status_code = self.status;
        event.status_detail = Some(self.outcome.as_str());
        event.message = format!("ended: {}", self.outcome.as_str());
        event.http_request = Some(objects::HttpRequest {
            http_method: decision.method.as_deref(),
            body_length: Some(self.body_in_bytes),
            ..Default::default()
        });
        event.http_response = self.status.map(|code| objects::HttpResponse {
            code,
            latency: self.latency_us / 1000,
            body_length: self.body_out_bytes,
        });
        event.src_endpoint = Some(objects::Endpoint::peer(decision.ip, decision.port));
        event.dst_endpoint = Some(self.destination(upstream, producer));
        event.trace = decision.traceparent.as_deref().and_then(|traceparent| {
            objects::Trace::parse(traceparent, decision.received_ms, self.ended_ms)
        });
        if let Correlated::Call { principal, service, operation } = &decision.correlated {
            let user =
                objects::User { uid: &principal.id, kind: principal.kind.coded(), groups: &[] };
            event.actor = Some(objects::Actor { user, idp: None, app_uid: None });
            event.api = Some(objects::Api { operation, service, request: decision.uid });
        }
        seal(Kind::Completion, event, cutter.bytes, limit::COMPLETION_BYTES_MAX)
    }

    fn unmapped<'a>(
        &'a self,
        decision: &'a DecisionRef,
        fault: Option<&'a str>,
        waf: Option<response::Told<'a>>,
    ) -> Unmapped<'a> {
        Unmapped {
            route: decision.route.as_deref(),
            outcome: self.outcome,
            detail: self.detail,
            fault,
            body_in_bytes: self.body_in_bytes,
            body_out_bytes: self.body_out_bytes,
            latency_us: self.latency_us,
            body_digest: self.body_sha256.map(objects::sha256),
            candidate: self.candidate.as_ref().map(Candidate::told),
            waf,
        }
    }

    /// The upstream, or this instance where nothing was forwarded.
    fn destination<'a>(
        &self,
        upstream: Option<&'a str>,
        producer: &'a Producer,
    ) -> objects::Endpoint<'a> {
        if upstream.is_none() {
            return objects::Endpoint::instance(producer);
        }
        let address = self.upstream.as_ref().and_then(|upstream| upstream.address);
        objects::Endpoint {
            ip: address.map(|address| address.ip()),
            port: address.map(|address| address.port()),
            intermediate_ips: &[],
            svc_name: upstream,
            instance_uid: None,
        }
    }

    fn succeeded(&self) -> bool {
        self.outcome == Outcome::Answered && self.status.is_some_and(|status| status < 400)
    }
}

fn metadata<'a>(
    uid: Uuid,
    decision: &DecisionRef,
    producer: &'a Producer,
) -> objects::Metadata<'a> {
    objects::Metadata {
        uid,
        correlation_uid: Some(decision.uid),
        event_code: "completion",
        profiles: &["trace"],
        producer,
        untruncated_kib: None,
    }
}
