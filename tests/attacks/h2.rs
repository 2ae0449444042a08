//! The same over HTTP/2: each row of `h2/rows.toml` in frames that the test writes itself.
//!
//! A row holds if the stream or the connection ends as it says, the record has its code (in a
//! decision, or in the aggregate of its connection), and the upstream saw nothing.

use std::{collections::BTreeMap, time::Duration};

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
    /// Behind a good request on the same connection.
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

/// What the record must have.
#[derive(Debug)]
enum Owed {
    /// A decision of this id, or with this `X-Request-ID`.
    Decision { id: Option<String>, request_id: String },
    /// An aggregate of the connection.
    Aggregate,
}

fn attack(setting: &Setting, client: &Client, row: &Row, manner: Manner) -> (String, Owed) {
    let what = format!("{}-{manner:?}", row.name);
    let before = setting.upstream.heads();
    let mut connection = client.connect_h2().expect("connect");
    let stream = if manner == Manner::Behind { first(&mut connection) } else { 1 };
    let bytes = row.bytes(stream, &what);
    match manner {
        Manner::EachByte => connection.send_each_byte(&bytes).expect("send"),
        Manner::OneWrite | Manner::Behind => connection.send(&bytes).expect("send"),
    }
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
    let reached = setting.upstream.heads() - before;
    assert_eq!(reached, u64::from(manner == Manner::Behind), "{what}: requests at the upstream");
    let decided = row.decided || id.is_some();
    let owed =
        if decided { Owed::Decision { id, request_id: what.clone() } } else { Owed::Aggregate };
    (what, owed)
}

/// A good request and its answer; the next stream.
fn first(connection: &mut Connection) -> u32 {
    connection.send(&h2::request(1, &good(HOST, "/first"), None)).expect("send");
    assert_eq!(connection.answer(1).expect("an answer").status(), 404, "the upstream's own");
    3
}

/// The reason of a decision, if it is there.
fn reason(record: &Record, id: Option<&str>, request_id: &str) -> Option<String> {
    let is = |event: &&Value| {
        id.map_or(text(event, "/http_request/uid") == request_id, |id| {
            text(event, "/metadata/uid") == id
        })
    };
    let found = record.with_code("decision").find(is)?;
    Some(text(found, "/unmapped/reason").to_owned())
}

/// How many connections' aggregates name each reason.
fn aggregated(record: &Record) -> BTreeMap<String, usize> {
    let mut named = BTreeMap::new();
    for event in record.with_code("aggregate") {
        assert_eq!(text(event, "/unmapped/scope"), "connection", "{event}");
        let counts = event.pointer("/unmapped/counts").and_then(Value::as_object);
        for reason in counts.expect("counts").keys() {
            *named.entry(reason.clone()).or_insert(0) += 1;
        }
    }
    named
}

#[test]
fn nothing_ambiguous_passes_over_http_2() {
    let setting = open_setting("attacks-h2");
    let client = setting.client_of(HOST).expect("a client");
    let file: File = toml::from_str(ROWS).expect("rows");
    let (mut decided, mut owed, mut connections) = (Vec::new(), BTreeMap::new(), 0);
    for row in &file.row {
        for manner in [Manner::OneWrite, Manner::EachByte, Manner::Behind] {
            if row.long && manner == Manner::EachByte {
                continue;
            }
            match attack(&setting, &client, row, manner) {
                (what, Owed::Decision { id, request_id }) => {
                    decided.push((what, id, request_id, &row.code));
                }
                (_, Owed::Aggregate) => {
                    connections += 1;
                    *owed.entry(row.code.clone()).or_insert(0) += 1;
                }
            }
        }
    }
    let there = || {
        let record = setting.record()?;
        Ok((record.with_code("aggregate").count() >= connections).then_some(record))
    };
    let record = wait_for("an aggregate of each connection", SOON, there).expect("aggregates");
    for (what, id, request_id, code) in &decided {
        let got = reason(&record, id.as_deref(), request_id);
        assert_eq!(got.as_ref(), Some(*code), "{what}");
    }
    let named = aggregated(&record);
    for (code, count) in &owed {
        assert!(named.get(code).is_some_and(|named| named >= count), "{code}: {named:?}, {owed:?}");
    }
    println!("attacks over h2: decided={} aggregated={connections}", decided.len());
}
