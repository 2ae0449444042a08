//! Refusals folded together: one event with the exact counts of many requests.

use std::net::IpAddr;

use serde::Serialize;
use uuid::Uuid;

use super::objects;
use super::record::{name, seal};
use super::wire::{self, Class, Coded, severity};
use super::{EventError, Kind, Producer, Record, limit};

/// Refusals of one source that were counted instead of being recorded one by one.
#[derive(Debug, Clone, Copy)]
pub struct Aggregate<'a> {
    /// When the first was counted, Unix milliseconds.
    pub start_ms: i64,
    /// When the last was counted, Unix milliseconds.
    pub end_ms: i64,
    /// Where they came from: an address, or the first of its network.
    pub source: IpAddr,
    /// Length of the network's prefix; 32 or 128 for one address.
    pub prefix_bits: u8,
    /// What was counted: `folded` (like refusals of one source), `connection` (what the protocol
    /// refused on one connection), ….
    pub scope: &'a str,
    /// How many by reason; a reason is one word (`unauthenticated`, `bare_lf`, …).
    pub counts: &'a [(&'a str, u64)],
}

/// What the aggregate holds beside OCSF's own fields.
#[derive(Serialize)]
struct Unmapped<'a> {
    scope: &'a str,
    source: String,
    counts: Counts<'a>,
}

/// Counts by reason, as an object.
struct Counts<'a>(&'a [(&'a str, u64)]);

impl Serialize for Counts<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(reason, count)| (reason, count)))
    }
}

impl Aggregate<'_> {
    /// How many requests it stands for.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
    }

    /// Makes the aggregate's one line of JSON.
    ///
    /// # Errors
    /// More reasons than [`limit::REASONS_MAX`], or one that is too long.
    pub fn record(&self, uid: Uuid, producer: &Producer) -> Result<Record, EventError> {
        if self.counts.len() > limit::REASONS_MAX {
            return Err(EventError::FieldTooLarge {
                field: "counts",
                size: self.counts.len(),
                max: limit::REASONS_MAX,
            });
        }
        for (reason, _) in self.counts {
            name("reason", reason)?;
        }
        let metadata = objects::Metadata {
            uid,
            correlation_uid: None,
            event_code: "aggregate",
            profiles: wire::REQUEST_PROFILES,
            producer,
            untruncated_kib: None,
        };
        let unmapped = Unmapped {
            scope: name("scope", self.scope)?,
            source: format!("{}/{}", self.source.to_canonical(), self.prefix_bits),
            counts: Counts(self.counts),
        };
        let mut event = wire::Event::new(Class::Http, self.end_ms, metadata, unmapped);
        event.severity = severity::MEDIUM;
        event.start_time = Some(self.start_ms);
        event.status = Some(wire::FAILURE);
        event.status_detail = Some(self.scope);
        event.message = format!("refused: {} requests", self.count());
        event.count = Some(self.count());
        event.http_request = Some(objects::HttpRequest::default());
        event.src_endpoint = Some(objects::Endpoint::peer(self.source, 0));
        event.dst_endpoint = Some(objects::Endpoint::instance(producer));
        event.control = Some(wire::Control {
            action: wire::DENIED,
            disposition: Coded(25, "Rejected"),
            is_alert: false,
            authorizations: Vec::new(),
            policy: None,
            firewall_rule: None,
            risk_score: None,
        });
        seal(Kind::Aggregate, event, 0, limit::EVENT_BYTES_MAX)
    }
}
