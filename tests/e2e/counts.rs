//! Every request is accounted for: one decision, one completion, whatever became of it. The mix is
//! held against the gateway's spool here, and against the sink behind real Kafka in the suite
//! `trail`.

mod cases;

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use anyhow::Result;
use fixtures::{
    client::{Client, Connection, Request},
    h2,
    harness::{Setting, Setup, wait_for},
    idp::Fault,
    record::{Record, number, text},
    wire::Message,
};
use serde_json::Value;

use super::id;
use cases::{Act, CASES, Case, Version};

/// The host for which everything goes upstream, unseen by the rule engine.
const HOST: &str = "api.example.test";
/// How long anything that must happen may take.
const SOON: Duration = Duration::from_secs(20);
/// Requests of the crowd: so many on each of so many connections.
const CROWD: (usize, usize) = (50, 4);
/// The cases, the crowd, and one request before and one after the cases.
const HEADS: usize = CASES.len() + CROWD.0 * CROWD.1 + 2;

/// What the mix is sent to.
pub(crate) fn setup() -> Setup {
    let limits = "head_timeout: 400ms\n      body_idle_timeout: 400ms";
    Setup::open(HOST, false)
        .change("head_timeout: 2s", limits)
        .change("response_timeout: 5s", "response_timeout: 3s")
        .change("allow_plain_http: true", "allow_plain_http: true\n    unknown_key_cooldown: 1ms")
}

/// What the client heard, and what it keeps open.
type Heard = (Option<Message>, Option<h2::Connection>);

/// Does what a case says.
fn act(setting: &Setting, case: &Case) -> Heard {
    let token = setting.idp.access_token("alice", "RS256").expect("a token");
    let unknown = setting.idp.hostile_token("unknown_kid", "alice").expect("a token");
    let bytes = case.bytes.replace("{id}", case.name);
    let bytes = bytes.replace("{token}", &token).replace("{unknown}", &unknown);
    let host = if case.bytes.contains(HOST) { HOST } else { "localhost" };
    let fetches = setting.idp.hits("/jwks");
    let client = setting.client_of(host).expect("a client");
    let until = || match case.act {
        Act::LeaveUpstream => wait_upstream(setting, case.name),
        Act::LeaveIdentify => {
            let asked = || Ok((setting.idp.hits("/jwks") > fetches).then_some(()));
            wait_for("a fetch of keys", SOON, asked).expect("asked");
        }
        Act::Stay | Act::Broken | Act::Leave => {}
    };
    if case.version != Version::H1 {
        return act_h2(&client, case, &case.frames(&bytes), until);
    }
    let mut connection = client.connect().expect("connect");
    connection.send(bytes.as_bytes()).expect("send");
    until();
    match case.act {
        Act::Stay => (Some(answer(case, &mut connection)), None),
        Act::Broken => {
            assert!(connection.answer("GET").is_err(), "{}: a whole answer", case.name);
            (None, None)
        }
        Act::Leave | Act::LeaveUpstream | Act::LeaveIdentify => (None, None),
    }
}

/// The same on a stream. A client that resets it stays connected, unless that is not what it is
/// about.
fn act_h2(client: &Client, case: &Case, frames: &[u8], until: impl FnOnce()) -> Heard {
    let mut connection = client.connect_h2().expect("connect");
    connection.send(frames).expect("send");
    until();
    match case.act {
        Act::Stay => {
            let answer = connection.answer(1);
            (Some(answer.unwrap_or_else(|error| panic!("{}: {error:#}", case.name))), None)
        }
        Act::Broken => {
            let ending = connection.ending(1).expect("an end");
            assert!(!matches!(ending, h2::Ending::Answered(_)), "{}: {ending:?}", case.name);
            (None, None)
        }
        Act::Leave if case.version == Version::H2Frames => (None, None),
        Act::Leave | Act::LeaveUpstream | Act::LeaveIdentify => {
            connection.send(&h2::reset(1, h2::CANCEL)).expect("send");
            (None, Some(connection))
        }
    }
}

fn answer(case: &Case, connection: &mut Connection) -> Message {
    let method = case.bytes.split(' ').next().unwrap_or_default();
    connection.final_answer(method).unwrap_or_else(|error| panic!("{}: {error:#}", case.name))
}

fn wait_upstream(setting: &Setting, name: &str) {
    let there = || {
        let requests = setting.upstream.requests();
        let of_it = |message: &Message| message.field("x-request-id") == Some(name);
        Ok(requests.iter().any(|received| of_it(&received.message)).then_some(()))
    };
    wait_for(name, SOON, there).expect("at the upstream");
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

/// Holds the record of a case against it; the id of its decision, if it has one.
fn check(record: &Record, case: &Case, heard: Option<&Message>) -> Option<String> {
    let name = case.name;
    if case.outcome.is_empty() {
        let decided = |event: &Value| text(event, "/http_request/uid") == name;
        assert!(!record.with_code("decision").any(decided), "{name}: it has a decision");
        return None;
    }
    let id_of_it = decision_of(record, case);
    let (decisions, completions) =
        (record.decisions().expect("once"), record.completions().expect("once"));
    let (decision, completion) = (decisions[id_of_it.as_str()], completions[id_of_it.as_str()]);
    assert_eq!(text(decision, "/unmapped/reason"), case.reason, "{name}: {decision}");
    for (pointer, words) in [("/unmapped/outcome", case.outcome), ("/unmapped/detail", case.detail)]
    {
        let word = text(completion, pointer);
        assert!(words.split('|').any(|one| one == word), "{name}: `{word}` in {completion}");
    }
    assert_eq!(decision["class_uid"], completion["class_uid"], "{name}");
    if let Some(heard) = heard {
        assert_eq!(id(heard), id_of_it, "{name}: the client's id");
        assert_eq!(Some(heard.status()), case.status, "{name}: {}", heard.text());
        let recorded = number(completion, "/http_response/code");
        assert_eq!(recorded, u64::from(heard.status()), "{name}: the recorded status");
    }
    Some(id_of_it)
}

#[test]
fn heads_are_decisions_and_decisions_are_completions() {
    let mut setting = Setting::start("counts", &setup()).expect("the product");
    let mixed = mix(&setting, || setting.record());
    assert!(setting.gateway.stop().expect("stop").success());
    mixed.hold(&setting.record().expect("events"));
}

/// What the mix came to, for those who asked and in the gateway's own figures.
pub(crate) struct Mixed {
    /// What was heard of each case.
    heard: Vec<Option<Message>>,
    /// The decisions that clients have an answer of.
    pub(crate) ids: BTreeSet<String>,
    metrics: String,
    /// Whether each head had its account in time.
    accounted: Result<()>,
}

/// Sends the mix. `record` is what is recorded by now, wherever the events are kept.
pub(crate) fn mix(setting: &Setting, record: impl Fn() -> Result<Record>) -> Mixed {
    let client = setting.client().expect("a client");
    let first = setting.idp.access_token("alice", "RS256").expect("a token");
    let bearer = format!("Bearer {first}");
    let known = client.get("/orders", &[("Authorization", bearer.as_str())]).expect("an answer");
    assert_eq!(known.status(), 200, "the keys are known");
    // One case asks for keys: a second would wait for the fetch of the first, and not be seen to.
    setting.idp.fault("/jwks", Fault::Hang);

    let (heard, open): (Vec<Option<Message>>, Vec<_>) = thread::scope(|scope| {
        let acting: Vec<_> = CASES.iter().map(|case| scope.spawn(|| act(setting, case))).collect();
        acting.into_iter().map(|done| done.join().expect("a case")).unzip()
    });
    setting.upstream.down().expect("down");
    let down = client.get("/public", &[]).expect("an answer");
    assert_eq!(down.status(), 502);
    setting.upstream.up().expect("up");
    let mut ids: BTreeSet<String> = crowd(&client).into_iter().collect();
    assert_eq!(ids.len(), CROWD.0 * CROWD.1, "a decision id twice");
    ids.extend(heard.iter().flatten().chain([&known, &down]).map(id));

    let streams = |record: &Record| Ok::<_, anyhow::Error>(record.completions()?.len());
    let counted = CASES.iter().filter(|case| case.outcome.is_empty()).count();
    let cancelled = || Ok((streams(&record()?)? + counted >= HEADS).then_some(()));
    let ended = wait_for("a completion of each decision", SOON, cancelled);
    // What was refused or abandoned on a connection is told when it is over.
    drop(open);
    let accounted = || Ok((accounted(&record()?)? >= HEADS).then_some(()));
    let all = wait_for("an account of each head", SOON, accounted);
    let health = Client::plain(setting.health());
    let metrics = health.get("/metrics", &[]).expect("metrics").text();
    Mixed { heard, ids, metrics, accounted: ended.and(all) }
}

impl Mixed {
    /// Holds the whole record against what was asked and heard.
    pub(crate) fn hold(&self, record: &Record) {
        let mut unheard = BTreeSet::new();
        for (case, heard) in CASES.iter().zip(&self.heard) {
            let decided = check(record, case, heard.as_ref());
            unheard.extend(decided.filter(|_| heard.is_none()));
        }
        self.accounted
            .as_ref()
            .expect("accounts, the completions while their connections are open");
        let decisions = record.decisions().expect("once");
        let known: BTreeSet<&str> = decisions.keys().copied().collect();
        let told = self.ids.iter().chain(&unheard).map(String::as_str);
        assert_eq!(told.collect::<BTreeSet<_>>(), known, "heard, or left unheard, and decided");
        sums(record, &self.ids, &self.metrics);
    }
}

/// Heads that the record tells the end of.
fn accounted(record: &Record) -> Result<usize> {
    let aggregated: u64 = record.with_code("aggregate").map(|event| number(event, "/count")).sum();
    Ok(record.completions()?.len() + usize::try_from(aggregated)?)
}

/// What the connections' aggregates count, one event for each.
fn counts(record: &Record) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for event in record.with_code("aggregate") {
        assert_eq!(text(event, "/unmapped/scope"), "connection", "{event}");
        let of_event = event.pointer("/unmapped/counts").and_then(Value::as_object);
        for (reason, count) in of_event.expect("counts") {
            assert_eq!(count, 1, "{event}");
            *counts.entry(reason.clone()).or_insert(0) += 1;
        }
    }
    counts
}

/// The cases without a decision.
fn uncounted() -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for case in CASES.iter().filter(|case| case.outcome.is_empty()) {
        *counts.entry(case.reason.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// Heads = decisions + what aggregates stand for; decisions = completions; answers ≤ heads.
fn sums(record: &Record, ids: &BTreeSet<String>, metrics: &str) {
    let (decisions, completions) =
        (record.decisions().expect("once"), record.completions().expect("once"));
    assert_eq!(decisions.keys().collect::<Vec<_>>(), completions.keys().collect::<Vec<_>>());
    let aggregated: u64 = record.with_code("aggregate").map(|event| number(event, "/count")).sum();
    let heads = HEADS as u64;
    let decided = u64::try_from(decisions.len()).expect("a number");
    assert_eq!(heads, decided + aggregated);
    assert_eq!(counts(record), uncounted(), "who has no decision");
    let untaken = |case: &&Case| case.outcome.is_empty() && case.reason != "abandoned";
    let untaken = CASES.iter().filter(untaken).count() as u64;
    for (name, count) in [("heads_begun_total", heads), ("heads_taken_total", heads - untaken)] {
        let line = format!("portcullis_{name} {count}\n");
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
