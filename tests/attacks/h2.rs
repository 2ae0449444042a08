//! The same over HTTP/2: each row of `h2/rows.toml` in frames that the test writes itself.
//!
//! A row holds if the stream or the connection ends as it says, the record has its code (in a
//! decision, or in the aggregate of its connection) and nothing else, and the upstream saw nothing.
//! Each connection comes from an address of its own, so that its events can be told apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use fixtures::{
    client::Client,
    h2::{self, Connection, Ending},
    harness::{Setting, wait_for},
    record::{Record, text},
};
use serde::Deserialize;
use serde_json::Value;

use super::{HOST, decision_id, open_setting, unhex};

const ROWS: &str = include_str!("h2/rows.toml");
/// How long the record may take to have what a connection came to.
const SOON: Duration = Duration::from_secs(20);
/// Of a `long` row, a piece that is written at once: no frame ends where one does.
const PIECE_BYTES: usize = 13;
const MANNERS: [Manner; 3] = [Manner::OneWrite, Manner::EachByte, Manner::Behind];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
}

type Fields = Vec<(String, String)>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    fields: Option<Fields>,
    more: Option<Fields>,
    body: Option<String>,
    frames: Option<Vec<Frame>>,
    #[serde(default = "one")]
    rounds: u32,
    #[serde(default)]
    long: bool,
    status: Option<u16>,
    reset: Option<u32>,
    go_away: Option<u32>,
    code: String,
    #[serde(default)]
    decided: bool,
    /// Of several rounds: what else they may come to in the record.
    #[serde(default)]
    also: Vec<String>,
}

/// A frame; its payload is one of these.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    /// A header block: a good GET's fields and these.
    more: Option<Fields>,
    text: Option<String>,
    hex: Option<String>,
    /// A header block with one field of 4,000 bytes, and that so often again.
    bomb: Option<usize>,
    #[serde(default = "one")]
    times: usize,
}

fn one<N: From<u8>>() -> N {
    N::from(1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    OneWrite,
    EachByte,
    /// In one write with a good request before it, on the same connection.
    Behind,
}

impl Row {
    /// Its frames, the first on this stream; `id` is its `X-Request-ID`.
    fn bytes(&self, stream: u32, id: &str) -> Vec<u8> {
        let Some(frames) = &self.frames else {
            let mut fields = self.fields.clone().unwrap_or_else(|| good(HOST, "/a"));
            fields.extend(self.more.iter().flatten().cloned());
            fields.push(("x-request-id".to_owned(), id.to_owned()));
            return h2::request(stream, &fields, self.body.as_deref().map(str::as_bytes));
        };
        let round = |n: u32| frames.iter().flat_map(move |frame| frame.bytes(stream - 1 + 2 * n));
        (0..self.rounds).flat_map(round).collect()
    }
}

impl Frame {
    fn bytes(&self, after: u32) -> Vec<u8> {
        let payload = match (&self.more, &self.text, &self.hex, self.bomb) {
            (Some(more), None, None, None) => {
                let mut fields = good(HOST, "/a");
                fields.extend(more.iter().cloned());
                h2::block(&fields)
            }
            (None, Some(text), None, None) => text.clone().into_bytes(),
            (None, None, Some(hex), None) => unhex(hex),
            (None, None, None, Some(times)) => bomb(times),
            _ => Vec::new(),
        };
        let stream = if self.stream == 0 { 0 } else { self.stream + after };
        h2::frame(self.kind, self.flags, stream, &payload).repeat(self.times)
    }
}

/// RFC 7541 §6.2.1, §6.1: a literal that is indexed, and then its index.
fn bomb(times: usize) -> Vec<u8> {
    let mut block = h2::block(&good(HOST, "/a"));
    let mut large = h2::block(&[("x", "v".repeat(4000))]);
    large[0] = 0x40;
    block.extend(large);
    block.extend(std::iter::repeat_n(0x80 | 62, times));
    block
}

fn good(host: &str, path: &str) -> Fields {
    [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", path)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

/// What was sent, from where, and what the record must have of it.
struct Sent<'a> {
    what: String,
    row: &'a Row,
    manner: Manner,
    source: Ipv4Addr,
    /// It has a decision: of the id in its answer, if it was answered.
    decided: bool,
    id: Option<String>,
}

fn attack<'a>(client: &Client, row: &'a Row, manner: Manner, source: Ipv4Addr) -> Sent<'a> {
    let what = format!("{}-{manner:?}", row.name);
    let mut connection = client.clone().from(source).connect_h2().expect("connect");
    let stream = send(&mut connection, row, manner, &what);
    let ending = match row.go_away {
        Some(_) => connection.closed().map(Ending::Closed),
        None => connection.ending(stream),
    };
    let ending = ending.unwrap_or_else(|error| panic!("{what}: {error:#}"));
    let mut id = None;
    match ending {
        Ending::Answered(answer) => {
            assert_eq!(Some(answer.status()), row.status, "{what}: {}", answer.text());
            id = Some(decision_id(&what, "GET", &answer));
        }
        Ending::Reset(code) => assert_eq!(Some(code), row.reset, "{what}"),
        Ending::Closed(code) => {
            assert_eq!((code, true), (row.go_away, row.go_away.is_some()), "{what}");
        }
    }
    if manner == Manner::Behind && row.go_away.is_none() {
        let good = connection.answer(1).unwrap_or_else(|error| panic!("{what}: {error:#}"));
        assert_eq!(good.status(), 404, "{what}: the upstream's own");
    }
    Sent { decided: row.decided || id.is_some(), what, row, manner, source, id }
}

/// The stream that the row begins on.
fn send(connection: &mut Connection, row: &Row, manner: Manner, what: &str) -> u32 {
    let stream = if manner == Manner::Behind { 3 } else { 1 };
    let bytes = row.bytes(stream, what);
    let sent = match manner {
        Manner::OneWrite => connection.send(&bytes),
        Manner::EachByte if row.long => {
            bytes.chunks(PIECE_BYTES).try_for_each(|piece| connection.send(piece))
        }
        Manner::EachByte => connection.send_each_byte(&bytes),
        Manner::Behind => {
            // Without a body in its answer: to open a window would be a frame within a head.
            let mut fields = good(HOST, &first(what));
            "HEAD".clone_into(&mut fields[0].1);
            let good = h2::request(1, &fields, None);
            connection.send(&[good, bytes].concat())
        }
    };
    sent.unwrap_or_else(|error| panic!("{what}: {error:#}"));
    stream
}

/// The path of the good request before a row.
fn first(what: &str) -> String {
    format!("/first/{what}")
}

/// Of the requests that went before, each reached the upstream once, unless what followed it ended
/// the connection: then it may have been too late. Of the rows, none did.
fn nothing_reached(setting: &Setting, sent: &[Sent<'_>]) {
    let behind = || sent.iter().filter(|sent| sent.manner == Manner::Behind);
    let mut may: BTreeSet<String> = behind().map(|sent| first(&sent.what)).collect();
    for received in setting.upstream.requests() {
        let path = received.message.path();
        assert!(may.remove(path), "reached the upstream: {}", received.message.start);
    }
    for sent in behind().filter(|sent| sent.row.go_away.is_none()) {
        assert!(!may.contains(&first(&sent.what)), "{}: the good request", sent.what);
    }
}

/// The events of this code from an address.
fn of<'a>(record: &'a Record, code: &'a str, source: Ipv4Addr) -> Vec<&'a Value> {
    let source = source.to_string();
    let events = record.with_code(code);
    events.filter(|event| text(event, "/src_endpoint/ip") == source).collect()
}

/// What the aggregate of a connection counts.
fn counts(event: &Value) -> BTreeMap<String, u64> {
    assert_eq!(text(event, "/unmapped/scope"), "connection", "{event}");
    let counts = event.pointer("/unmapped/counts").expect("counts");
    serde_json::from_value(counts.clone()).expect("numbers")
}

impl Sent<'_> {
    /// The record has what it came to, and nothing else of its connection.
    fn is_recorded(&self, record: &Record) {
        let Self { what, row, .. } = self;
        let aggregates = of(record, "aggregate", self.source).into_iter().map(counts).collect();
        let decisions = of(record, "decision", self.source);
        if let Some(id) = &self.id {
            let is = |event: &&Value| text(event, "/metadata/uid") == id;
            let found = decisions.iter().copied().find(is);
            assert_eq!(
                found.map(|event| text(event, "/unmapped/reason")),
                Some(&*row.code),
                "{what}"
            );
        }
        let mut reasons: Vec<&str> =
            decisions.iter().map(|event| text(event, "/unmapped/reason")).collect();
        if self.manner == Manner::Behind {
            self.without_the_good_one(&mut reasons);
        }
        if row.rounds > 1 {
            return self.is_of_rounds(aggregates, &reasons);
        }
        let one = || BTreeMap::from([(row.code.clone(), 1)]);
        let told: (Vec<&str>, Vec<_>) =
            if self.decided { (vec![&row.code], vec![]) } else { (vec![], vec![one()]) };
        assert_eq!((reasons, aggregates), told, "{what}");
    }

    /// The good request has its decision; where the connection broke while it was read, one of
    /// that or none.
    fn without_the_good_one(&self, reasons: &mut Vec<&str>) {
        let broke = self.row.go_away.is_some();
        let is = |reason: &&str| *reason == "permit" || (broke && *reason == "body_malformed");
        match reasons.iter().position(is) {
            Some(at) => drop(reasons.remove(at)),
            None => assert!(broke, "{}: no decision on the good request", self.what),
        }
    }

    /// Each round is in the record once at most, in one of the ways that the row says.
    fn is_of_rounds(&self, mut aggregates: Vec<BTreeMap<String, u64>>, reasons: &[&str]) {
        let Self { what, row, .. } = self;
        assert_eq!(aggregates.len(), 1, "{what}");
        let counted = aggregates.remove(0);
        assert!(counted.contains_key(&row.code), "{what}: {counted:?}");
        let known = |reason: &str| reason == row.code || row.also.iter().any(|it| it == reason);
        let mut all = counted.keys().map(String::as_str).chain(reasons.iter().copied());
        assert!(all.all(known), "{what}: {counted:?} {reasons:?}");
        let rounds: u64 = counted.values().sum::<u64>() + reasons.len() as u64;
        assert!(rounds <= u64::from(row.rounds), "{what}: {counted:?} {reasons:?}");
    }
}

#[test]
fn nothing_ambiguous_passes_over_http_2() {
    let setting = open_setting("attacks-h2");
    let client = setting.client_of(HOST).expect("a client");
    let file: File = toml::from_str(ROWS).expect("rows");
    let mut sent = Vec::new();
    for (row, of) in file.row.iter().zip(0..) {
        for (manner, nth) in MANNERS.into_iter().zip(1..) {
            sent.push(attack(&client, row, manner, Ipv4Addr::new(127, 1, of, nth)));
        }
    }
    let owing: Vec<&Sent<'_>> = sent.iter().filter(|sent| !sent.decided).collect();
    let there = || {
        let record = setting.record()?;
        let told = |sent: &&Sent<'_>| !of(&record, "aggregate", sent.source).is_empty();
        Ok(owing.iter().all(told).then_some(record))
    };
    let record = wait_for("an aggregate of each connection", SOON, there).expect("aggregates");
    sent.iter().for_each(|sent| sent.is_recorded(&record));
    nothing_reached(&setting, &sent);
    println!("attacks over h2: sent={} aggregated={}", sent.len(), owing.len());
}
