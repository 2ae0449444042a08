//! A finding: something was detected that a person should look at (2004 Detection Finding). It
//! refuses nothing, and what it is about is in the events that it names.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::cut::Cutter;
use super::objects;
use super::read::Correlated;
use super::record::seal;
use super::response::{self, ResponseWaf};
use super::wire::{self, Class, Coded, severity};
use super::{DecisionRef, EventError, Kind, Producer, Record, Upstream, limit};

/// What was detected, in words that never change.
const TITLE: &str = "a response that the rules' author would withhold";

/// Rules found so much in a response that their author would withhold it. It was sent.
#[derive(Debug, Clone, Copy)]
pub struct ResponseFinding<'a> {
    /// When the response ended, Unix milliseconds.
    pub found_ms: i64,
    /// What was found.
    pub waf: &'a ResponseWaf,
    /// The status that the client was sent.
    pub status: Option<u16>,
    /// Bytes of body that went to the client.
    pub body_out_bytes: u64,
    /// From the head of the request to the last byte, microseconds.
    pub latency_us: u64,
    /// Where the response is from.
    pub upstream: Option<&'a Upstream>,
}

/// What the finding holds beside OCSF's own fields.
#[derive(Serialize)]
struct Unmapped<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    check: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    waf: response::Told<'a>,
}

impl ResponseFinding<'_> {
    /// Makes the finding's one line of JSON.
    ///
    /// # Errors
    /// The producer's own names are too long.
    pub fn record(
        &self,
        uid: Uuid,
        decision: &DecisionRef,
        producer: &Producer,
    ) -> Result<Record, EventError> {
        let mut cutter = Cutter::default();
        let firewall_rule = self.waf.hits.first().map(|hit| hit.told(&mut cutter));
        let firewall_rule = firewall_rule.map(|hit| objects::FirewallRule {
            uid: hit.rule,
            name: hit.message,
            match_location: hit.target,
        });
        let upstream = self.upstream.map(|upstream| &upstream.name);
        let upstream = upstream.map(|name: &Arc<str>| cutter.text(name, limit::UPSTREAM_BYTES_MAX));
        let unmapped = Unmapped {
            route: decision.route.as_deref(),
            check: "waf",
            upstream,
            waf: self.waf.told(self.waf.hits.len(), &mut cutter),
        };
        let mut event = wire::Event::new(
            Class::Finding,
            self.found_ms,
            metadata(uid, decision, producer),
            unmapped,
        );
        event.activity = Coded(1, "Create");
        event.severity = severity::HIGH;
        event.status = Some(Coded(1, "New"));
        event.status_detail = Some("response");
        let ResponseWaf { score, threshold, .. } = self.waf;
        event.message = format!("found: a response that scores {score} of {threshold}");
        event.control = Some(wire::Control {
            action: Coded(3, "Observed"),
            disposition: Coded(15, "Detected"),
            is_alert: true,
            authorizations: Vec::new(),
            policy: None,
            firewall_rule,
            risk_score: None,
        });
        event.finding = Some(objects::FindingInfo {
            uid,
            title: TITLE,
            analytic: objects::Analytic { uid: "waf", kind: Coded(1, "Rule") },
            created_time: self.found_ms,
            related_events: [objects::RelatedEvent { uid: decision.uid }],
        });
        event.evidence = Some(self.evidence(decision));
        seal(Kind::Finding, event, cutter.bytes, limit::EVENT_BYTES_MAX)
    }

    fn evidence<'a>(&self, decision: &'a DecisionRef) -> objects::Evidence<'a> {
        let mut evidence = objects::Evidence {
            actor: None,
            api: None,
            http_request: objects::HttpRequest {
                http_method: decision.method.as_deref(),
                ..Default::default()
            },
            http_response: self.status.map(|code| objects::HttpResponse {
                code,
                latency: self.latency_us / 1000,
                body_length: self.body_out_bytes,
            }),
            src_endpoint: objects::Endpoint::peer(decision.ip, decision.port),
        };
        if let Correlated::Call { principal, service, operation } = &decision.correlated {
            let user =
                objects::User { uid: &principal.id, kind: principal.kind.coded(), groups: &[] };
            evidence.actor = Some(objects::Actor { user, idp: None, app_uid: None });
            evidence.api = Some(objects::Api { operation, service, request: decision.uid });
        }
        evidence
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
        event_code: "finding",
        profiles: &["security_control"],
        producer,
        untruncated_kib: None,
    }
}
