//! Makes a decision's line of JSON: caps what is the client's, checks what is ours.

use serde::Serialize;
use uuid::Uuid;

use super::cut::Cutter;
use super::objects;
use super::read::{Correlated, Principal};
use super::record::{name, seal, whole};
use super::wire::{self, Class, Coded};
use super::{
    Actor, Call, Decision, DecisionFields, DecisionRef, Durability, EventError, Json, Kind,
    Producer, Refusal, Subject, Trace, Turned, Verdict, limit,
};

/// What the decision holds beside OCSF's own fields.
#[derive(Serialize)]
struct Unmapped<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    durability: Durability,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cedar: Option<&'a Json>,
}

impl DecisionFields<'_> {
    /// Makes the decision's one line of JSON.
    ///
    /// # Errors
    /// What is never cut (identity, decision, policy, names) does not fit.
    pub fn seal(&self, producer: &Producer) -> Result<Decision, EventError> {
        let mut cutter = Cutter::default();
        let user_agent =
            self.http.user_agent.map(|raw| cutter.raw(raw, limit::USER_AGENT_BYTES_MAX));
        let request_id =
            self.http.request_id.map(|raw| cutter.raw(raw, limit::REQUEST_ID_BYTES_MAX));
        let http_request = objects::HttpRequest {
            http_method: self.http.method.filter(|method| wire::is_named(method)),
            version: self.http.version,
            user_agent: user_agent.as_deref(),
            uid: request_id.as_deref(),
            body_length: None,
            url: self.url(&mut cutter),
        };
        let unnamed = self.http.method.filter(|method| !wire::is_named(method));
        let unmapped = Unmapped {
            route: self.route.map(|route| name("route", route)).transpose()?,
            durability: self.durability,
            method: unnamed.map(|method| cutter.text(method, limit::METHOD_BYTES_MAX)),
            request_digest: self.request_digest.map(objects::sha256),
            request_line: self
                .http
                .request_line
                .map(|line| cutter.text(line, limit::REQUEST_LINE_BYTES_MAX)),
            reason: None,
            message_id: None,
            question: None,
            facts: None,
            cedar: None,
        };
        let class = self.class();
        let mut event = wire::Event::new(class, self.decided_ms, self.metadata(producer), unmapped);
        event.activity = class.activity(self.http.method);
        event.start_time = Some(self.received_ms);
        event.http_request = Some(http_request);
        let client = objects::Endpoint::peer(self.conn.ip, self.conn.port);
        event.src_endpoint = Some(client.behind(self.conn.proxies));
        event.dst_endpoint = Some(objects::Endpoint::instance(producer));
        event.trace = self.trace.and_then(|trace| self.trace(trace));
        match &self.subject {
            Subject::Call(call) => call.fill(self.uid, &mut event, &mut cutter)?,
            Subject::Http(turned) => self.turn(*turned, &mut event, &mut cutter)?,
        }
        let record = seal(Kind::Decision, event, cutter.bytes, limit::EVENT_BYTES_MAX)?;
        Ok(Decision { record, reference: self.reference() })
    }

    fn class(&self) -> Class {
        match &self.subject {
            Subject::Call(_) => Class::Api,
            Subject::Http(_) => Class::Http,
        }
    }

    fn metadata<'a>(&self, producer: &'a Producer) -> objects::Metadata<'a> {
        objects::Metadata {
            uid: self.uid,
            correlation_uid: Some(self.uid),
            event_code: "decision",
            profiles: wire::REQUEST_PROFILES,
            producer,
            untruncated_kib: None,
        }
    }

    fn url<'a>(&'a self, cutter: &mut Cutter) -> Option<objects::Url<'a>> {
        Some(objects::Url {
            scheme: self.http.scheme,
            hostname: self.http.host.map(|host| cutter.text(host, limit::HOST_BYTES_MAX)),
            port: self.http.port,
            path: cutter.text(self.http.path?, limit::PATH_BYTES_MAX),
        })
    }

    fn trace<'a>(&self, trace: Trace<'a>) -> Option<objects::Trace<'a>> {
        let mut wire = objects::Trace::parse(trace.traceparent, self.received_ms, self.decided_ms)?;
        wire.parent_span = trace.parent_span.filter(|span| objects::is_span(span));
        Some(wire)
    }

    fn turn<'a>(
        &'a self,
        turned: Turned<'a>,
        event: &mut wire::Event<'a, Unmapped<'a>>,
        cutter: &mut Cutter,
    ) -> Result<(), EventError> {
        let reason = name("reason", turned.as_str())?;
        let allowed = turned == Turned::Preflight;
        event.severity = turned.severity();
        event.status = Some(if allowed { wire::SUCCESS } else { wire::FAILURE });
        event.status_detail = Some(reason);
        event.message = format!("{}: {reason}", if allowed { "answered" } else { "refused" });
        event.unmapped.reason = Some(reason);
        event.control = Some(wire::Control {
            action: if allowed { wire::ALLOWED } else { wire::DENIED },
            disposition: if allowed { wire::ALLOWED } else { Coded(25, "Rejected") },
            is_alert: false,
            authorizations: Vec::new(),
            policy: None,
            firewall_rule: None,
            risk_score: None,
        });
        event.tls = self.conn.tls.map(|tls| objects::Tls {
            version: tls.version,
            cipher: tls.cipher,
            sni: cutter.text(tls.sni, limit::SNI_BYTES_MAX),
        });
        Ok(())
    }

    fn reference(&self) -> DecisionRef {
        let correlated = match &self.subject {
            Subject::Call(call) => Correlated::Call {
                principal: Principal { kind: call.actor.kind, id: call.actor.id.to_owned() },
                service: call.service.to_owned(),
                operation: call.operation.to_owned(),
            },
            Subject::Http(_) => Correlated::Http,
        };
        DecisionRef {
            uid: self.uid,
            received_ms: self.received_ms,
            correlated,
            activity: self.class().activity(self.http.method),
            method: self.http.method.filter(|method| wire::is_named(method)).map(str::to_owned),
            route: self.route.map(str::to_owned),
            ip: self.conn.ip,
            port: self.conn.port,
            traceparent: self
                .trace
                .and_then(|trace| self.trace(trace))
                .map(|trace| trace.traceparent.to_owned()),
        }
    }
}

impl Call<'_> {
    fn fill<'a>(
        &'a self,
        uid: Uuid,
        event: &mut wire::Event<'a, Unmapped<'a>>,
        cutter: &mut Cutter,
    ) -> Result<(), EventError> {
        event.actor = Some(self.actor.wire()?);
        event.api = Some(objects::Api {
            operation: name("operation", self.operation)?,
            service: name("service", self.service)?,
            request: uid,
        });
        event.resource =
            Some(objects::Resource { uid: self.resource.id, kind: self.resource.kind });
        event.unmapped.question = Some(&self.question);
        event.unmapped.facts = Some(&self.facts);
        event.unmapped.cedar = Some(&self.cedar);
        let (word, determining) = match self.verdict {
            Verdict::Allow { determining } => ("permit", determining),
            Verdict::Refuse { class, message_id, determining } => {
                event.severity = class.severity();
                event.unmapped.message_id = message_id;
                (class.as_str(), determining)
            }
        };
        let by = determining.first().map_or("default", String::as_str);
        event.message = format!("{word}: {} on {} by {by}", self.operation, self.service);
        event.status = Some(match self.verdict {
            Verdict::Allow { .. } => wire::SUCCESS,
            Verdict::Refuse { .. } => wire::FAILURE,
        });
        event.status_detail = Some(word);
        event.unmapped.reason = Some(word);
        event.control = Some(self.control(determining, cutter));
        Ok(())
    }

    fn control<'a>(&'a self, determining: &'a [String], cutter: &mut Cutter) -> wire::Control<'a> {
        let (action, disposition, decision, is_alert) = match self.verdict {
            Verdict::Allow { .. } => (wire::ALLOWED, wire::ALLOWED, "Allow", false),
            Verdict::Refuse { class, .. } => {
                (wire::DENIED, class.disposition(), "Deny", class == Refusal::Blocked)
            }
        };
        let authorization = |uid: &'a String| objects::Authorization {
            decision,
            policy: objects::Policy { uid, kind: "cedar", is_applied: true },
        };
        wire::Control {
            action,
            disposition,
            is_alert,
            authorizations: determining
                .iter()
                .take(limit::PROJECTED_MAX)
                .map(authorization)
                .collect(),
            policy: Some(objects::Policy {
                uid: self.policies,
                kind: "cedar policy set",
                is_applied: true,
            }),
            firewall_rule: self.firewall_rule.map(|rule| objects::FirewallRule {
                uid: rule.id,
                name: cutter.text(rule.message, limit::RULE_MESSAGE_BYTES_MAX),
                match_location: cutter.text(rule.target, limit::RULE_TARGET_BYTES_MAX),
            }),
            risk_score: self.risk_score,
        }
    }
}

impl Actor<'_> {
    fn wire(&self) -> Result<objects::Actor<'_>, EventError> {
        let uid = whole("principal", self.id, limit::PRINCIPAL_JSON_BYTES_MAX)?;
        Ok(objects::Actor {
            user: objects::User { uid, kind: self.kind.coded(), groups: self.groups },
            idp: (!self.idp.is_empty())
                .then_some(objects::Idp { name: self.idp, issuer: self.issuer }),
            app_uid: (!self.client.is_empty()).then_some(self.client),
        })
    }
}
