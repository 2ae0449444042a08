//! Every request is accounted for: one decision, one completion, whatever became of it.

use std::{collections::BTreeSet, thread, time::Duration};

use anyhow::Result;
use fixtures::{
    client::{Client, Connection, Request},
    harness::{Setting, Setup, wait_for},
    idp::Fault,
    record::{Record, number, text},
    wire::Message,
};
use serde_json::Value;

use super::id;

/// The host for which everything goes upstream, unseen by the rule engine.
const HOST: &str = "api.example.test";
/// How long anything that must happen may take.
const SOON: Duration = Duration::from_secs(20);
/// Requests of the crowd: so many on each of so many connections.
const CROWD: (usize, usize) = (50, 4);

/// What a client does, and what the record must say of it.
struct Case {
    /// Also its `X-Request-ID`.
    name: &'static str,
    act: Act,
    /// The request; `{id}` and `{token}` are filled in.
    bytes: &'static str,
    /// Of its decision; nothing if it has none, and is counted in an aggregate.
    reason: &'static str,
    outcome: &'static str,
    detail: &'static str,
    /// The status that the client hears, if it stays to hear one.
    status: Option<u16>,
}

/// When the client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// With the answer, which is whole.
    Stay,
    /// With an answer that breaks off.
    Broken,
    /// As soon as it has sent.
    Leave,
    /// When the upstream has the head.
    LeaveUpstream,
    /// When the gateway asks the identity provider.
    LeaveIdentify,
}

macro_rules! case {
    ($name:literal, $act:ident, $status:expr, $reason:literal, $outcome:literal, $detail:literal, $bytes:expr) => {
        Case {
            name: $name,
            act: Act::$act,
            bytes: $bytes,
            reason: $reason,
            outcome: $outcome,
            detail: $detail,
            status: $status,
        }
    };
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    case!("answered", Stay, Some(200), "permit", "answered", "",
        "GET /public HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("head", Stay, Some(200), "permit", "answered", "",
        "HEAD /public HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("nobody", Stay, Some(401), "unauthenticated", "answered", "",
        "GET /orders HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("not-the-owner", Stay, Some(403), "forbidden", "answered", "",
        "GET /orders/o-1002 HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\nAuthorization: Bearer {token}\r\n\r\n"),
    case!("unrouted", Stay, Some(404), "not_found", "answered", "",
        "GET /nowhere HTTP/1.1\r\nHost: other.example.test\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("wrong-method", Stay, Some(405), "method_not_allowed", "answered", "",
        "PATCH /public HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("unreadable", Stay, Some(400), "bare_lf", "answered", "",
        "GET /public HTTP/1.1\nHost: localhost\n\n"),
    case!("late-head", Stay, Some(408), "head_timeout", "answered", "",
        "GET /public HTTP/1.1\r\nHost: loc"),
    case!("cut-head", Leave, None, "head_incomplete", "answered", "",
        "GET /public HTTP/1.1\r\nHost: loc"),
    case!("cut-inspected-body", Leave, None, "body_malformed", "answered", "",
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\nContent-Length: 100\r\n\r\nten bytes."),
    case!("late-inspected-body", Stay, Some(408), "body_timeout", "answered", "",
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\nContent-Length: 100\r\n\r\nten bytes."),
    case!("cut-streamed-body", LeaveUpstream, None, "permit", "client_gone", "client_body_gone",
        "POST /upload HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\nContent-Length: 100\r\n\r\nten bytes."),
    case!("late-streamed-body", Stay, Some(408), "permit", "timed_out", "client_body_stalled",
        "POST /upload HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\nContent-Length: 100\r\n\r\nten bytes."),
    case!("malformed-streamed-body", Stay, Some(400), "permit", "answered", "client_body_malformed",
        "POST /upload HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\nfour\r\n"),
    case!("left-while-waiting", LeaveUpstream, None, "permit", "client_gone", "",
        "GET /slow?ms=2000 HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("left-while-streaming", LeaveUpstream, None, "permit", "client_gone", "",
        "GET /stream?chunks=100000&ms=1 HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("left-while-keys-are-fetched", LeaveIdentify, None, "", "", "",
        "GET /orders HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\nAuthorization: Bearer {unknown}\r\n\r\n"),
    case!("late-upstream", Stay, Some(504), "permit", "timed_out", "response_timeout",
        "GET /slow?ms=60000 HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("reset-upstream", Broken, None, "permit", "upstream_failed", "reset",
        "GET /reset HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\n\r\n"),
];

fn start() -> Setting {
    let limits = "head_timeout: 400ms\n      body_idle_timeout: 400ms";
    let setup = Setup::open(HOST, false)
        .change("head_timeout: 2s", limits)
        .change("response_timeout: 5s", "response_timeout: 3s")
        .change("allow_plain_http: true", "allow_plain_http: true\n    unknown_key_cooldown: 1ms");
    Setting::start("counts", &setup).expect("the product")
}

/// Does what a case says; what the client heard.
fn act(setting: &Setting, case: &Case) -> Option<Message> {
    let token = setting.idp.access_token("alice", "RS256").expect("a token");
    let unknown = setting.idp.hostile_token("unknown_kid", "alice").expect("a token");
    let bytes = case.bytes.replace("{id}", case.name);
    let bytes = bytes.replace("{token}", &token).replace("{unknown}", &unknown);
    let host = if case.bytes.contains(HOST) { HOST } else { "localhost" };
    let fetches = setting.idp.hits("/jwks");
    let mut connection = setting.client_of(host).and_then(|c| c.connect()).expect("connect");
    connection.send(bytes.as_bytes()).expect("send");
    match case.act {
        Act::Stay => Some(answer(case, &mut connection)),
        Act::Broken => {
            assert!(connection.answer("GET").is_err(), "{}: a whole answer", case.name);
            None
        }
        Act::Leave => None,
        Act::LeaveUpstream => wait_upstream(setting, case.name),
        Act::LeaveIdentify => {
            let asked = || Ok((setting.idp.hits("/jwks") > fetches).then_some(()));
            wait_for("a fetch of keys", SOON, asked).expect("asked");
            None
        }
    }
}

fn answer(case: &Case, connection: &mut Connection) -> Message {
    let method = case.bytes.split(' ').next().unwrap_or_default();
    connection.final_answer(method).unwrap_or_else(|error| panic!("{}: {error:#}", case.name))
}

fn wait_upstream(setting: &Setting, name: &str) -> Option<Message> {
    let there = || {
        let requests = setting.upstream.requests();
        let of_it = |message: &Message| message.field("x-request-id") == Some(name);
        Ok(requests.iter().any(|received| of_it(&received.message)).then_some(()))
    };
    wait_for(name, SOON, there).expect("at the upstream");
    None
}

/// Good requests, one behind the other on each connection; the ids heard.
fn crowd(client: &Client) -> Vec<String> {
    let one = || {
        let mut connection = client.connect().expect("connect");
        let ask = |n: usize| {
            let bytes = Request::new("GET", &format!("/public?n={n}")).bytes(client.host());
            connection.send(&bytes).expect("send");
            id(&connection.final_answer("GET").expect("an answer"))
        };
        (0..CROWD.0).map(ask).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let connections: Vec<_> = (0..CROWD.1).map(|_| scope.spawn(one)).collect();
        connections.into_iter().flat_map(|done| done.join().expect("a connection")).collect()
    })
}

/// The case's decision: by its `X-Request-ID`, or by its reason where the head says nothing.
fn decision_of(record: &Record, case: &Case) -> String {
    let decisions = record.decisions().expect("each once");
    let is = |event: &Value| {
        if case.bytes.contains("{id}") {
            text(event, "/http_request/uid") == case.name
        } else {
            text(event, "/unmapped/reason") == case.reason
        }
    };
    let found: Vec<&str> =
        decisions.iter().filter(|(_, event)| is(event)).map(|(id, _)| *id).collect();
    assert_eq!(found.len(), 1, "{}: decisions {found:?}", case.name);
    found[0].to_owned()
}

fn check(record: &Record, case: &Case, heard: Option<&Message>) {
    let name = case.name;
    if case.reason.is_empty() {
        let decided = |event: &Value| text(event, "/http_request/uid") == name;
        assert!(!record.with_code("decision").any(decided), "{name}: it has a decision");
        return;
    }
    let id_of_it = decision_of(record, case);
    let (decisions, completions) =
        (record.decisions().expect("once"), record.completions().expect("once"));
    let (decision, completion) = (decisions[id_of_it.as_str()], completions[id_of_it.as_str()]);
    let is = (
        text(decision, "/unmapped/reason"),
        text(completion, "/unmapped/outcome"),
        text(completion, "/unmapped/detail"),
    );
    assert_eq!(is, (case.reason, case.outcome, case.detail), "{name}: {completion}");
    assert_eq!(decision["class_uid"], completion["class_uid"], "{name}");
    if let Some(heard) = heard {
        assert_eq!(id(heard), id_of_it, "{name}: the client's id");
        assert_eq!(Some(heard.status()), case.status, "{name}: {}", heard.text());
        let recorded = number(completion, "/http_response/code");
        assert_eq!(recorded, u64::from(heard.status()), "{name}: the recorded status");
    }
}

#[test]
fn heads_are_decisions_and_decisions_are_completions() {
    let mut setting = start();
    let client = setting.client().expect("a client");
    let first = setting.idp.access_token("alice", "RS256").expect("a token");
    let bearer = format!("Bearer {first}");
    let known = client.get("/orders", &[("Authorization", bearer.as_str())]).expect("an answer");
    assert_eq!(known.status(), 200, "the keys are known");
    setting.idp.fault("/jwks", Fault::Hang);

    let heard: Vec<Option<Message>> = thread::scope(|scope| {
        let setting = &setting;
        let acting: Vec<_> = CASES.iter().map(|case| scope.spawn(|| act(setting, case))).collect();
        acting.into_iter().map(|done| done.join().expect("a case")).collect()
    });
    setting.upstream.down().expect("down");
    let down = client.get("/public", &[]).expect("an answer");
    assert_eq!(down.status(), 502);
    setting.upstream.up().expect("up");
    let mut ids: BTreeSet<String> = crowd(&client).into_iter().collect();
    assert_eq!(ids.len(), CROWD.0 * CROWD.1, "a decision id twice");
    ids.extend(heard.iter().flatten().chain([&known, &down]).map(id));

    let heads = CASES.len() + CROWD.0 * CROWD.1 + 2;
    let accounted = || Ok((accounted(&setting.record()?)? >= heads).then_some(()));
    let all = wait_for("an account of each head", SOON, accounted);
    let health = Client::plain(setting.health());
    let metrics = health.get("/metrics", &[]).expect("metrics").text();
    assert!(setting.gateway.stop().expect("stop").success());
    let record = setting.record().expect("events");
    for (case, heard) in CASES.iter().zip(&heard) {
        check(&record, case, heard.as_ref());
    }
    all.expect("accounts");
    sums(&record, heads, &ids, &metrics);
}

/// Heads that the record tells the end of.
fn accounted(record: &Record) -> Result<usize> {
    let aggregated: u64 = record.with_code("aggregate").map(|event| number(event, "/count")).sum();
    Ok(record.completions()?.len() + usize::try_from(aggregated)?)
}

/// Heads = decisions + what aggregates stand for; decisions = completions; answers ≤ heads.
fn sums(record: &Record, heads: usize, ids: &BTreeSet<String>, metrics: &str) {
    let (decisions, completions) =
        (record.decisions().expect("once"), record.completions().expect("once"));
    assert_eq!(decisions.keys().collect::<Vec<_>>(), completions.keys().collect::<Vec<_>>());
    let aggregated: u64 = record.with_code("aggregate").map(|event| number(event, "/count")).sum();
    let heads = u64::try_from(heads).expect("a number");
    let decided = u64::try_from(decisions.len()).expect("a number");
    assert_eq!(heads, decided + aggregated);
    assert!(ids.iter().all(|id| decisions.contains_key(id.as_str())), "an id without a decision");
    assert_eq!(aggregated, 1, "who left before there was a decision");
    for name in ["heads_begun_total", "heads_taken_total"] {
        let line = format!("portcullis_{name} {heads}\n");
        assert!(metrics.contains(&line), "no `{}` in:\n{metrics}", line.trim_end());
    }
    let close = record.with_code("log_close").next().expect("a log_close");
    let counter = |name: &str| number(close, &format!("/unmapped/counters/{name}"));
    assert_eq!((counter("requests"), counter("decisions")), (heads, decided));
    assert_eq!((counter("completions"), counter("aggregated")), (decided, aggregated));
    assert_eq!(counter("dropped"), 0);
    let heard = u64::try_from(ids.len()).expect("a number");
    assert!((heard..=heads).contains(&counter("answers")), "answers={}", counter("answers"));
    assert_eq!(record.events().last().map(|e| text(e, "/metadata/event_code")), Some("log_close"));
    println!(
        "counts: heads={heads} decisions={decided} aggregated={aggregated} answers={} heard={heard}",
        counter("answers")
    );
}
