//! One sample of each shape an event can have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::*;

pub(super) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const PROXIES: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9)), IpAddr::V6(Ipv6Addr::LOCALHOST)];

pub(super) fn producer() -> Producer {
    Producer {
        version: "0.1.0".to_owned(),
        log: "audit.acme.example/eu1/gw-a".to_owned(),
        instance: "gw-a".to_owned(),
    }
}

pub(super) fn uid(n: u128) -> Uuid {
    Uuid::from_u128(0x019a_a2b0_7d1c_7c3e_9a41_0000_0000_0000 + n)
}

fn raw(json: &str) -> Json {
    Json::of(&serde_json::from_str::<Value>(json).unwrap()).unwrap()
}

pub(super) fn call<'a>(verdict: Verdict<'a>) -> Call<'a> {
    Call {
        actor: Actor {
            kind: ActorKind::User,
            id: "acme|u-17",
            groups: &[],
            idp: "acme",
            issuer: "https://idp.acme.example",
            client: "web-shop",
        },
        service: "orders",
        operation: "read",
        resource: Resource { kind: "Orders::Order", id: "o-98213" },
        verdict,
        policies: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        firewall_rule: None,
        risk_score: Some(4),
        question: raw(
            r#"{"principal":{"kind":"User","id":"acme|u-17","groups":[],"attributes":{}},"action":"Orders::Action::\"read\"","resource":{"kind":"Orders::Order","id":"o-98213"}}"#,
        ),
        facts: raw(r#"{"waf":{"health":"ok","score":0}}"#),
        cedar: raw(r#"{"decision":"allow"}"#),
    }
}

pub(super) fn fields<'a>(subject: Subject<'a>) -> DecisionFields<'a> {
    DecisionFields {
        uid: uid(1),
        received_ms: 1_795_262_951_123,
        decided_ms: 1_795_262_951_124,
        subject,
        route: Some("orders-read"),
        durability: Durability::Gated,
        http: HttpRequest {
            method: Some("GET"),
            version: Some("HTTP/1.1"),
            scheme: Some("https"),
            host: Some("api.acme.example"),
            port: Some(8443),
            path: Some("/v1/orders/o-98213"),
            user_agent: Some(b"curl/8.5.0"),
            request_id: Some(b"req-1"),
            request_line: None,
        },
        conn: Connection {
            ip: "203.0.113.24".parse().unwrap(),
            port: 51344,
            proxies: &[],
            tls: Some(Tls {
                version: "TLSv1.3",
                cipher: "TLS13_AES_128_GCM_SHA256",
                sni: "api.acme.example",
            }),
        },
        trace: Some(Trace { traceparent: TRACEPARENT, parent_span: Some("a3ce929d0e0e4736") }),
        request_digest: Some([0xab; 32]),
    }
}

pub(super) fn policies(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("orders/owner-{n}")).collect()
}

pub(super) fn allow() -> Decision {
    let determining = policies(1);
    let call = call(Verdict::Allow { determining: &determining });
    fields(Subject::Call(Box::new(call))).seal(&producer()).unwrap()
}

fn decisions() -> Vec<Decision> {
    let determining = policies(2);
    let mut all = vec![allow()];
    for class in [
        Refusal::Unavailable,
        Refusal::Blocked,
        Refusal::Unauthenticated,
        Refusal::Throttled,
        Refusal::StepUp,
        Refusal::Forbidden,
    ] {
        let verdict =
            Verdict::Refuse { class, message_id: Some("orders.closed"), determining: &determining };
        let mut call = call(verdict);
        call.firewall_rule =
            Some(FirewallRule { id: "942100", message: "SQL injection", target: "ARGS:q" });
        all.push(fields(Subject::Call(Box::new(call))).seal(&producer()).unwrap());
    }
    for kind in [ActorKind::User, ActorKind::Workload, ActorKind::ApiKey, ActorKind::Anonymous] {
        for method in ["GET", "POST", "PATCH", "DELETE", "PROPFIND", "CONNECT"] {
            let groups = policies(40);
            let mut call = call(Verdict::Allow { determining: &determining });
            call.actor =
                Actor { kind, id: "anonymous", groups: &groups, idp: "", issuer: "", client: "" };
            let mut fields = fields(Subject::Call(Box::new(call)));
            fields.http.method = Some(method);
            fields.conn.ip = "::ffff:203.0.113.24".parse().unwrap();
            fields.conn.proxies = &PROXIES;
            all.push(fields.seal(&producer()).unwrap());
        }
    }
    for why in [
        Turned::Unreadable { code: "bare_lf" },
        Turned::NotFound,
        Turned::MethodNotAllowed,
        Turned::Preflight,
        Turned::PreflightRefused,
    ] {
        for method in
            ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"]
        {
            let mut fields = fields(Subject::Http(why));
            fields.http.method = Some(method);
            fields.conn.ip = "2001:db8::7".parse().unwrap();
            all.push(fields.seal(&producer()).unwrap());
        }
        let mut fields = fields(Subject::Http(why));
        let request_line = Some("GET /%2e%2e");
        fields.http = HttpRequest { request_line, ..HttpRequest::default() };
        fields.route = None;
        fields.request_digest = None;
        fields.trace = None;
        fields.conn.tls = None;
        fields.conn.port = 0;
        all.push(fields.seal(&producer()).unwrap());
    }
    let mut long = fields(Subject::Http(Turned::NotFound));
    let path = format!("/{}", "a".repeat(5000));
    long.http.path = Some(&path);
    all.push(long.seal(&producer()).unwrap());
    all
}

pub(super) fn completion(outcome: Outcome) -> Completion {
    Completion {
        detail: Some("reset"),
        fault: Some("connection error: Connection reset by peer (os error 104)".to_owned()),
        status: Some(502),
        body_in_bytes: 17,
        body_out_bytes: 212,
        latency_us: 7_300,
        upstream: Some(Upstream {
            name: Arc::from("orders"),
            address: Some(SocketAddr::new(IpAddr::from([10, 0, 4, 12]), 8080)),
        }),
        body_sha256: Some([0xcd; 32]),
        ..Completion::new(outcome, 1_795_262_951_131)
    }
}

fn opinion() -> Opinion {
    Opinion {
        agreement: Agreement::WouldRefuse,
        refusal: Some(Refusal::Unavailable),
        determining: vec!["guard-region".to_owned()],
        errors: vec!["guard-region".to_owned()],
    }
}

fn candidate(heard: Result<Opinion, Unheard>) -> Candidate {
    let digests = CandidateDigests {
        policies: "9f86d1".to_owned(),
        schema: DIGESTS.schema.to_owned(),
        entities: DIGESTS.entities.to_owned(),
    };
    Candidate { digests: Arc::new(digests), heard }
}

pub(super) fn response_waf(finding: bool) -> ResponseWaf {
    let hit = |rule: &str| ResponseHit {
        rule: rule.to_owned(),
        message: "Postgres SQL Information Leakage".to_owned(),
        target: "RESPONSE_BODY".to_owned(),
    };
    let hits = if finding { vec![hit("951240"), hit("959100")] } else { Vec::new() };
    ResponseWaf {
        health: "ok",
        problem: String::new(),
        mode: "enforce",
        score: if finding { 5 } else { 0 },
        threshold: 4,
        rules: hits.iter().map(|hit| hit.rule.clone()).collect(),
        classes: if finding { vec!["attack-disclosure".to_owned()] } else { Vec::new() },
        hits,
        inspected_bytes: 212,
        finding,
    }
}

fn finding(waf: &ResponseWaf, reference: &DecisionRef) -> Record {
    let Completion { ended_ms, status, body_out_bytes, latency_us, upstream, .. } =
        completion(Outcome::Answered);
    let finding = ResponseFinding {
        found_ms: ended_ms,
        waf,
        status,
        body_out_bytes,
        latency_us,
        upstream: upstream.as_ref(),
    };
    finding.record(uid(45), reference, &producer()).unwrap()
}

pub(super) const OUTCOMES: [Outcome; 6] = [
    Outcome::Answered,
    Outcome::ClientGone,
    Outcome::UpstreamFailed,
    Outcome::TimedOut,
    Outcome::Abandoned,
    Outcome::Crashed,
];

const DIGESTS: Digests<'_> = Digests {
    config: "c0ffee",
    policies: "9f86d0",
    schema: "5c4e3a",
    entities: "e47171",
    rules: "5ec1a6",
};

pub(super) const ORIGIN: &str = "audit.acme.example/eu1/gw-a/01jd9";

fn lifecycle() -> Vec<Record> {
    let (now, producer) = (1_795_262_951_000, producer());
    let problems: Vec<String> =
        (0..20).map(|n| format!("portcullis.yaml:{n}:1: unknown key")).collect();
    let previous = Previous { origin: ORIGIN, size: 918, root: [7; 32], closed: false, open: 3 };
    let mut open = LogOpen {
        origin: ORIGIN,
        key: "audit.acme.example/eu1/gw-a/01jd9+00000000+AQID",
        binary: "b1ab1a",
        digests: DIGESTS,
        filesystem: "ext4",
        sync_us: 412,
        partition: Some(3),
        previous: Some(previous),
    };
    let first = open.record(uid(20), now, &producer);
    open.previous = None;
    open.partition = None;
    let counters = Counters { requests: 9, decisions: 8, ..Counters::default() };
    let heartbeat = Heartbeat {
        origin: ORIGIN,
        interval_ms: 10_000,
        size: 77,
        open: 1,
        spool_used_bytes: 1 << 20,
        spool_max_bytes: 1 << 30,
        counters,
    };
    let close = LogClose { origin: ORIGIN, reason: "stop", size: 99, open: 0, counters };
    let (many, one) = (policies(40), policies(1));
    let ids = ["942100".to_owned()];
    let changes =
        PolicyChanges { added: &many, removed: &one, changed: &[], schema: true, entities: false };
    let set = PolicySet {
        digest: "5e7d16",
        revision: Some("2026-11-28.1"),
        author: Some("platform@acme.example"),
        sealed: true,
        source: PolicySource::Directory,
        kept: Some(true),
        changes,
        expired_links: &one,
    };
    let changes = RuleChanges { added: &[], removed: &[], changed: &ids, settings: true };
    let rules =
        RuleSet { digest: "5ec1a6", before: Some("5ec1a5"), files: 31, rules: 648, changes };
    let reload = Reload {
        what: Reloaded::Policies,
        trigger: "signal",
        accepted: true,
        digests: DIGESTS,
        policies: Some(set),
        rules: Some(rules),
        problems: &[],
        candidate: None,
    };
    let digests = candidate(Err(Unheard::Late)).digests;
    let loaded = CandidateLoad { digests: Some(&digests), problems: &[] };
    let loaded = Reload { candidate: Some(loaded), ..reload };
    let broken = CandidateLoad { digests: None, problems: &problems };
    let broken = Reload { candidate: Some(broken), ..reload };
    let old = PolicySet {
        revision: None,
        author: None,
        sealed: false,
        source: PolicySource::Kept,
        kept: None,
        changes: PolicyChanges::default(),
        ..set
    };
    let refused = Reload {
        what: Reloaded::Config,
        accepted: false,
        policies: Some(old),
        problems: &problems,
        ..reload
    };
    let certificates =
        Reload { what: Reloaded::Certificates, policies: None, rules: None, ..reload };
    let loss =
        Loss { origin: ORIGIN, reason: "write_failed", count: 3, first_ms: now, last_ms: now + 9 };
    let above = Watermark { origin: ORIGIN, above: true, spool_used_bytes: 7, spool_max_bytes: 10 };
    let below = Watermark { above: false, ..above };
    [
        first,
        open.record(uid(21), now, &producer),
        heartbeat.record(uid(22), now, &producer),
        close.record(uid(23), now, &producer),
        reload.record(uid(24), now, &producer),
        refused.record(uid(25), now, &producer),
        loaded.record(uid(31), now, &producer),
        broken.record(uid(32), now, &producer),
        certificates.record(uid(29), now, &producer),
        loss.record(uid(26), now, &producer),
        above.record(uid(27), now, &producer),
        below.record(uid(28), now, &producer),
    ]
    .into_iter()
    .map(Result::unwrap)
    .collect()
}

pub(super) fn aggregate<'a>(counts: &'a [(&'a str, u64)]) -> Aggregate<'a> {
    Aggregate {
        start_ms: 1_795_262_950_000,
        end_ms: 1_795_262_951_000,
        source: "2001:db8::".parse().unwrap(),
        prefix_bits: 64,
        scope: "folded",
        counts,
    }
}

/// All samples.
pub(super) fn all() -> Vec<Record> {
    let mut records = lifecycle();
    records.push(
        aggregate(&[("unauthenticated", 40), ("bare_lf", 2)]).record(uid(30), &producer()).unwrap(),
    );
    for decision in decisions() {
        let (record, reference) = decision.into_parts();
        records.push(record);
        for outcome in OUTCOMES {
            records.push(completion(outcome).record(uid(40), &reference, &producer()).unwrap());
        }
        records.push(
            Completion::crashed(1_795_262_960_000)
                .record(uid(41), &reference, &producer())
                .unwrap(),
        );
        let answered = Completion {
            status: Some(200),
            ..Completion::new(Outcome::Answered, 1_795_262_951_130)
        };
        records.push(answered.record(uid(42), &reference, &producer()).unwrap());
        for heard in [Ok(opinion()), Err(Unheard::Panicked)] {
            let tried =
                Completion { candidate: Some(candidate(heard)), ..completion(Outcome::Answered) };
            records.push(tried.record(uid(43), &reference, &producer()).unwrap());
        }
        for found in [true, false] {
            let waf = Some(response_waf(found));
            let looked_at = Completion { waf, ..completion(Outcome::Answered) };
            records.push(looked_at.record(uid(44), &reference, &producer()).unwrap());
        }
        records.push(finding(&response_waf(true), &reference));
    }
    records
}

pub(super) fn question(bytes: usize) -> Json {
    Json::of(&"q".repeat(bytes.saturating_sub(2))).unwrap()
}
