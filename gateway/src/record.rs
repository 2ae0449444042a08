//! What the ledger records of a request: from the line's types to the event's.
//!
//! It decides nothing, reads no clock and makes no id. No body, cookie, credential, query or
//! `Referer` passes through here: [`HttpRequest`] has no field for them. The question is recorded
//! whole, so that [`verdict::Policies::ask_again`] can put it again.

use ledger::Durability;
use ledger::event::{
    Actor, ActorKind, Call, Connection, Decision, DecisionFields, EventError, FirewallRule,
    HttpRequest, Json, Producer, Refusal, Resource, ResponseHit, ResponseWaf, Subject, Tls, Turned,
    Verdict,
};
use serde::Serialize;
use signals::{
    Conn, Facts, Health, PrincipalKind, Protocol, Request, Scheme, Waf, WafHit, WafMode,
};
use uuid::Uuid;
use verdict::{Basis, Class, Digests, Question};

use crate::trace::Trace;

/// What every record has: which decision, when, in which trace, how durable.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// The decision's id, a UUIDv7.
    pub decision_id: Uuid,
    /// When it was decided, Unix milliseconds.
    pub decided_ms: i64,
    /// The trace that goes upstream.
    pub trace: &'a Trace,
    /// When the record has to be on stable storage.
    pub durability: Durability,
}

/// A request that policy decided.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// Which record.
    pub mark: Mark<'a>,
    /// The request.
    pub request: &'a Request,
    /// Its path, with the parameters as [`crate::route::Route::recorded_path`] has them.
    pub path: &'a str,
    /// The route's name.
    pub route: &'a str,
    /// What policy was asked.
    pub question: Question<'a>,
    /// What it said, and why.
    pub basis: &'a Basis,
    /// What the client is to hear, if it said no.
    pub refusal: Option<&'a verdict::Refusal>,
    /// The digests of what said it.
    pub digests: &'a Digests,
}

/// A request that policy was not asked about.
#[derive(Debug, Clone, Copy)]
pub struct TurnedAway<'a> {
    /// Which record.
    pub mark: Mark<'a>,
    /// Why.
    pub why: Turned<'a>,
    /// The connection.
    pub conn: &'a Conn,
    /// The request, if it could be read.
    pub request: Option<&'a Request>,
    /// Its path, less what routes hide.
    pub path: Option<&'a str>,
    /// If it could not, what may be told of its request line.
    pub request_line: Option<&'a str>,
    /// The route's name, if the path has one.
    pub route: Option<&'a str>,
}

/// The event's `unmapped.cedar`.
#[derive(Serialize)]
struct Cedar<'a> {
    #[serde(flatten)]
    basis: &'a Basis,
    digests: &'a Digests,
}

impl Decided<'_> {
    /// Makes the record.
    ///
    /// # Errors
    /// Identity, question or basis do not fit; the caller refuses.
    pub fn record(&self, producer: &Producer) -> Result<Decision, EventError> {
        let facts = self.question.context;
        let call = Call {
            actor: self.actor(),
            service: &self.question.resource.api,
            operation: &self.question.action.name,
            resource: Resource {
                kind: &self.question.resource.kind,
                id: &self.question.resource.id,
            },
            verdict: self.verdict(),
            policies: &self.digests.policies,
            firewall_rule: facts.waf.hits.first().map(|hit| FirewallRule {
                id: &hit.rule,
                message: &hit.message,
                target: &hit.target,
            }),
            risk_score: risk(facts),
            question: Json::of(&self.question)?,
            facts: Json::of(facts)?,
            cedar: Json::of(&Cedar { basis: self.basis, digests: self.digests })?,
        };
        let http = http(self.request, self.path);
        let subject = Subject::Call(Box::new(call));
        self.mark.seal(subject, &facts.conn, http, Some(self.request), Some(self.route), producer)
    }

    fn actor(&self) -> Actor<'_> {
        let identity = self.question.principal;
        Actor {
            kind: match identity.principal.kind {
                PrincipalKind::User => ActorKind::User,
                PrincipalKind::Workload => ActorKind::Workload,
                PrincipalKind::ApiKey => ActorKind::ApiKey,
                PrincipalKind::Anonymous => ActorKind::Anonymous,
            },
            id: &identity.principal.id,
            groups: &identity.principal.groups,
            idp: &identity.fact.issuer,
            issuer: &identity.token.issuer,
            client: &identity.token.client,
        }
    }

    fn verdict(&self) -> Verdict<'_> {
        let determining = &self.basis.determining;
        let Some(refusal) = self.refusal else {
            return Verdict::Allow { determining };
        };
        let message_id = refusal.message_id.as_deref();
        Verdict::Refuse { class: self::refusal(refusal.class), message_id, determining }
    }
}

impl TurnedAway<'_> {
    /// Makes the record.
    ///
    /// # Errors
    /// A name of the configuration does not fit.
    pub fn record(&self, producer: &Producer) -> Result<Decision, EventError> {
        let mut http = self.request.map_or_else(HttpRequest::default, |request| {
            http(request, before_parameters(self.path.unwrap_or(request.path.as_str())))
        });
        http.request_line = self.request_line;
        let subject = Subject::Http(self.why);
        self.mark.seal(subject, self.conn, http, self.request, self.route, producer)
    }
}

impl Mark<'_> {
    fn seal(
        &self,
        subject: Subject<'_>,
        conn: &Conn,
        http: HttpRequest<'_>,
        request: Option<&Request>,
        route: Option<&str>,
        producer: &Producer,
    ) -> Result<Decision, EventError> {
        let fields = DecisionFields {
            uid: self.decision_id,
            received_ms: conn.received_ms,
            decided_ms: self.decided_ms,
            subject,
            route,
            durability: self.durability,
            http,
            conn: connection(conn),
            trace: Some(ledger::event::Trace {
                traceparent: self.trace.traceparent(),
                parent_span: request.and_then(|request| parent_span(request, self.trace)),
            }),
            request_digest: request.map(Request::digest),
        };
        fields.seal(producer)
    }
}

/// What rules found in a response, for its completion. It is a finding where policy is to heed
/// these rules, and their author would withhold the response.
pub(crate) fn response(waf: Waf) -> ResponseWaf {
    let reached = waf.threshold > 0 && waf.score >= waf.threshold;
    let hit = |hit: WafHit| {
        let WafHit { rule, message, target } = hit;
        ResponseHit { rule, message, target }
    };
    ResponseWaf {
        health: waf.health.as_str(),
        problem: waf.problem,
        mode: waf.mode.as_str(),
        score: waf.score,
        threshold: waf.threshold,
        rules: waf.rules,
        classes: waf.classes,
        hits: waf.hits.into_iter().map(hit).collect(),
        inspected_bytes: u64::try_from(waf.inspected_bytes).unwrap_or_default(),
        finding: reached && waf.mode == WafMode::Enforce,
    }
}

/// The event's word for a class.
pub(crate) fn refusal(class: Class) -> Refusal {
    match class {
        Class::Unavailable => Refusal::Unavailable,
        Class::Blocked => Refusal::Blocked,
        Class::Unauthenticated => Refusal::Unauthenticated,
        Class::Throttled => Refusal::Throttled,
        Class::StepUp => Refusal::StepUp,
        Class::Forbidden => Refusal::Forbidden,
    }
}

/// A path that no route knows, up to its first parameter or encoded `?`: what follows may be what
/// a session's id or a query would hold.
fn before_parameters(path: &str) -> &str {
    let marks = [";", "%3B", "%3b", "%3F", "%3f"];
    let end = marks.iter().filter_map(|mark| path.find(mark)).min().unwrap_or(path.len());
    path.get(..end).unwrap_or_default()
}

fn http<'a>(request: &'a Request, path: &'a str) -> HttpRequest<'a> {
    let field = |name: &str| request.headers.get(name).map(http::HeaderValue::as_bytes);
    HttpRequest {
        method: Some(request.method.as_str()),
        version: Some(match request.protocol {
            Protocol::Http10 => "HTTP/1.0",
            Protocol::Http11 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        }),
        scheme: Some(match request.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }),
        host: Some(request.host.as_str()),
        port: request.port,
        path: Some(path),
        user_agent: field("user-agent"),
        request_id: field("x-request-id"),
        request_line: None,
    }
}

fn connection(conn: &Conn) -> Connection<'_> {
    let tls = Tls { version: &conn.tls_version, cipher: &conn.cipher, sni: &conn.sni };
    let Conn { ip, port, proxies, .. } = conn;
    Connection { ip: *ip, port: *port, proxies, tls: conn.tls.then_some(tls) }
}

/// The client's span, where its trace goes on (W3C Trace Context §3.2.2.4).
fn parent_span<'a>(request: &'a Request, trace: &Trace) -> Option<&'a str> {
    let traceparent = request.headers.get("traceparent").filter(|_| trace.continued())?;
    traceparent.to_str().ok()?.split('-').nth(2)
}

fn risk(facts: &Facts) -> Option<u8> {
    let looked = facts.abuse.health == Health::Ok;
    looked.then(|| u8::try_from(facts.abuse.score.clamp(0, 100)).unwrap_or(100))
}

#[cfg(test)]
mod tests;
