//! A flood of refusals from one source: it hardly fills the record, and the record still says of
//! each one what became of it, by itself or in a count.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc,
    thread,
    time::Instant,
};

use fixtures::{
    client::{Client, Request},
    harness::{Setting, Setup},
    record::{Record, number, text},
    wire::Message,
};
use serde_json::Value;

/// Requests of the flood: so many on each of so many connections. Who is counted waits for a moment.
const FLOOD: (usize, usize) = (54, 64);
/// What the configuration says: records of a kind and source in a window, and its seconds.
const PER_SOURCE: usize = 20;
const WINDOW_S: u64 = 5;
/// Unreadable, unrouted, unauthenticated, throttled.
const KINDS: usize = 4;

/// One request of the flood, and what must come of it.
struct Row {
    method: &'static str,
    target: &'static str,
    authorization: Option<&'static str>,
    status: u16,
    /// The reason in the counts; `None` if it must have a record of its own.
    reason: Option<&'static str>,
    /// A field of the answer, recorded or not.
    field: Option<&'static str>,
}

const fn row(target: &'static str, status: u16, reason: Option<&'static str>) -> Row {
    Row { method: "GET", target, authorization: None, status, reason, field: None }
}

/// The flood, over and over. Each ninth is unreadable, so that its connection ends.
const ROWS: [Row; 9] = [
    row("/nowhere", 404, Some("not_found")),
    Row {
        method: "DELETE",
        field: Some("allow"),
        ..row("/public", 405, Some("method_not_allowed"))
    },
    Row { field: Some("www-authenticate"), ..row("/orders", 401, Some("unauthenticated")) },
    Row {
        authorization: Some("Bearer nonsense"),
        field: Some("www-authenticate"),
        ..row("/orders/o-1001", 401, Some("unauthenticated"))
    },
    Row { field: Some("retry-after"), ..row("/reflect", 429, Some("throttled")) },
    row("/elsewhere", 404, Some("not_found")),
    row("/nowhere?else=1", 404, Some("not_found")),
    row("/public%2f", 400, Some("encoded_slash")),
    row("/public/../orders", 400, Some("dot_segment")),
];

/// What is never counted, however much of it there is.
const RECORDED: [Row; 2] =
    [row("/public?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E", 403, None), row("/public", 200, None)];

/// Sends them, in this order, over as few connections as the gateway lets.
fn send(client: &Client, rows: impl Iterator<Item = &'static Row>) -> Vec<(&'static Row, Message)> {
    let mut open = None;
    let mut answers = Vec::new();
    for row in rows {
        let mut request = Request::new(row.method, row.target);
        if let Some(authorization) = row.authorization {
            request = request.field("Authorization", authorization);
        }
        let mut connection = open.take().unwrap_or_else(|| client.connect().expect("connect"));
        connection.send(&request.bytes(client.host())).expect("send");
        let answer = connection.final_answer(row.method).expect("an answer");
        let closes = answer.field("connection").is_some_and(|value| value == "close");
        open = (!closes).then_some(connection);
        answers.push((row, answer));
    }
    answers
}

/// As much as the route allows, and one request more: what comes then is throttled.
fn burst(setting: &Setting) -> usize {
    let client = setting.client().expect("a client");
    let request = Request::new("GET", "/reflect");
    (1..).find(|_| client.request(&request).expect("an answer").status() == 429).expect("a limit")
}

/// The flood, and beside it what is never counted.
fn flood(setting: &Setting) -> Vec<(&'static Row, Message)> {
    let client = setting.client().expect("a client");
    let senders = (0..FLOOD.1).map(|_| {
        let client = client.clone();
        thread::spawn(move || send(&client, ROWS.iter().cycle().take(FLOOD.0)))
    });
    let senders: Vec<_> = senders.collect();
    let mut answers = send(&client, RECORDED.iter().cycle().take(6 * PER_SOURCE));
    for sender in senders {
        answers.extend(sender.join().expect("a sender"));
    }
    answers
}

/// The counts of all aggregates, by reason.
fn counts(record: &Record) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for event in record.with_code("aggregate") {
        assert_eq!(text(event, "/unmapped/scope"), "folded");
        assert_eq!(text(event, "/unmapped/source"), "127.0.0.1/32");
        let of_event = event.pointer("/unmapped/counts").and_then(Value::as_object);
        let mut sum = 0;
        for (reason, count) in of_event.expect("counts") {
            let count = count.as_u64().expect("a count");
            *counts.entry(reason.clone()).or_insert(0) += count;
            sum += count;
        }
        assert_eq!(number(event, "/count"), sum);
    }
    counts
}

#[test]
fn a_flood_is_counted_exactly_and_hardly_recorded() {
    let limits = format!("{{per_source: {PER_SOURCE}, in_all: 100000, window: {WINDOW_S}s}}");
    let setup = Setup::default()
        .change("flood: {per_source: 1000000, in_all: 1000000}", &format!("flood: {limits}"));
    let mut setting = Setting::start("flood", &setup).expect("the product");
    let begun = Instant::now();
    let burst = burst(&setting);
    let answers = flood(&setting);
    assert!(setting.gateway.stop().expect("stop").success());
    let windows = usize::try_from(begun.elapsed().as_secs() / WINDOW_S).expect("a number") + 2;

    let mut ids = BTreeSet::new();
    let mut told_of: BTreeMap<String, u64> = BTreeMap::new();
    for (row, answer) in &answers {
        assert_eq!(answer.status(), row.status, "{} {}", row.method, row.target);
        if let Some(field) = row.field {
            assert!(answer.field(field).is_some(), "{} has no `{field}`", row.target);
        }
        let id = answer.field("portcullis-decision-id");
        if row.status != 200 {
            let problem: Value = serde_json::from_slice(&answer.body).expect("a problem");
            assert_eq!(problem.get("decision_id").and_then(Value::as_str), id, "{problem}");
        }
        match (id, row.reason) {
            (Some(id), _) => assert!(ids.insert(id.to_owned()), "`{id}` twice"),
            (None, Some(reason)) => *told_of.entry(reason.to_owned()).or_insert(0) += 1,
            (None, None) => panic!("{} has no decision id", row.target),
        }
    }

    let record = setting.record().expect("events");
    let decisions = record.decisions().expect("decisions");
    let recorded: BTreeSet<String> = decisions.keys().map(|id| (*id).to_owned()).collect();
    assert!(recorded.is_superset(&ids), "answers without their event");
    let counts = counts(&record);
    assert_eq!(counts, told_of, "what the aggregates count is what had no id");
    let counted: u64 = counts.values().sum();
    let close = record.with_code("log_close").next().expect("a log_close");
    let counter = |name: &str| number(close, &format!("/unmapped/counters/{name}"));
    assert_eq!(counter("requests"), decisions.len() as u64 + counted);
    assert_eq!((counter("aggregated"), counter("dropped")), (counted, 0));
    assert_eq!(counter("requests"), counter("answers"));

    let flood = FLOOD.0 * FLOOD.1;
    let alike = KINDS * PER_SOURCE * windows;
    assert_eq!(counter("requests"), (answers.len() + burst) as u64);
    assert_eq!(recorded.len(), ids.len() + burst);
    assert!(recorded.len() <= 6 * PER_SOURCE + burst + alike, "{} decisions", recorded.len());
    let bytes: usize = record.events().iter().map(|event| event.to_string().len()).sum();
    println!(
        "flood: requests={flood} decisions={} counted={counted} aggregates={} event_bytes={bytes} windows<={windows}",
        recorded.len(),
        record.with_code("aggregate").count(),
    );
    assert!(counted as usize >= flood - alike, "{counted} counted");
    // One for each batch in which something was counted, and some four batches a second.
    let batches = usize::try_from(begun.elapsed().as_millis() / 250).expect("a number") + 2;
    let aggregates = record.with_code("aggregate").count();
    assert!(aggregates <= batches, "{aggregates} aggregates in {batches} batches");
}

#[test]
fn no_answer_of_a_flood_is_without_its_count_after_a_kill() {
    const KILLS: usize = 3;
    let setup = Setup::default().change(
        "flood: {per_source: 1000000, in_all: 1000000}",
        &format!("flood: {{per_source: {PER_SOURCE}, in_all: 100000, window: 1m}}"),
    );
    let mut setting = Setting::start("flood-killed", &setup).expect("the product");
    let (mut answered, mut asked) = (0, 0);
    for _ in 0..KILLS {
        let client = setting.client().expect("a client");
        let (told, tell) = mpsc::channel();
        let senders: Vec<_> = (0..FLOOD.1)
            .map(|_| {
                let (client, told) = (client.clone(), told.clone());
                thread::spawn(move || until_cut(&client, &told))
            })
            .collect();
        for _ in 0..FLOOD.1 * PER_SOURCE {
            tell.recv().expect("answers");
        }
        setting.gateway.process().kill().expect("kill");
        for sender in senders {
            let (all, whole) = sender.join().expect("a sender");
            asked += all;
            answered += whole;
        }
        setting.start_again().expect("start");
    }
    assert!(setting.gateway.stop().expect("stop").success());
    let record = setting.record().expect("events");
    let decided = record.decisions().expect("decisions").len() as u64;
    let counts = counts(&record);
    let accounted = decided + counts.values().sum::<u64>();
    println!(
        "flood-killed: kills={KILLS} asked={asked} answered={answered} decisions={decided} \
         counted={counts:?}"
    );
    assert!((answered..=asked).contains(&accounted), "{accounted} accounted for");
    assert!(decided <= (KILLS * PER_SOURCE + KILLS) as u64, "{decided} recorded by themselves");
}

/// Asks for what is not there until the connection breaks: how often, and how often that was
/// answered.
fn until_cut(client: &Client, told: &mpsc::Sender<()>) -> (u64, u64) {
    let (mut asked, mut answered) = (0, 0);
    let Ok(mut connection) = client.connect() else { return (0, 0) };
    let request = Request::new("GET", "/nowhere").bytes(client.host());
    while connection.send(&request).is_ok() {
        asked += 1;
        let Ok(answer) = connection.final_answer("GET") else { break };
        assert_eq!(answer.status(), 404);
        answered += 1;
        let _ = told.send(());
    }
    (asked, answered)
}
