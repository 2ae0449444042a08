//! What was authorized is what was sent: the upstream's raw bytes, read by a parser that is not
//! the gateway's, give the digest that is in the decision; and its body the length and the digest
//! that are in the completion. From HTTP/2, all of these bytes are made anew.

use std::time::Duration;

use fixtures::{
    client::{Client, Request},
    h2,
    harness::{Setting, wait_for},
    record::{Record, number, text},
    upstream::{body_digest, request_digest},
    wire::{Message, Reader},
};

use super::setting;

/// How long completions may take to be in the record.
const SOON: Duration = Duration::from_secs(20);

/// Requests that the public page is asked for, spelt in every way that is read.
#[rustfmt::skip]
const RAW: &[&str] = &[
    "GET /public HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HEAD /public HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /public HTTP/1.0\r\nHost: localhost\r\n\r\n",
    "GET /public HTTP/1.1\r\nHOST: LOCALHOST.\r\n\r\n",
    "GET /public HTTP/1.1\r\nHost: LocalHost:{port}\r\n\r\n",
    "GET https://localhost/public HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /%70ublic HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: r-1\r\n\r\n",
    "GET /public?a=%20b&c=d%2Fe&f=%zz HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    "GET /public?a=[1]|{2}^`~ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /public? HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /public HTTP/1.1\r\nHost: localhost\r\nX-Two: 1\r\nAccept: a\r\nX-Two: 2\r\n\r\n",
    "GET /public HTTP/1.1\r\nHost: localhost\r\nX-Empty:\r\nX-Space:   a  b\t \r\n\r\n",
    "GET /public HTTP/1.1\r\nHost: localhost\r\nX-Latin: caf\u{e9}\r\n\r\n",
    "GET /public HTTP/1.1\r\nHost: localhost\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nX-End: 1\r\n\r\n",
    "GET /public HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nCookie: a=b; c=d\r\nReferer: https://x.test/?q\r\n\r\n",
    "GET /public HTTP/1.1\r\nHost: localhost\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=1\r\n\r\n",
    "GET /public HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody",
    "GET /public HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n4\r\nbody\r\n0\r\nX-T: 1\r\n\r\n",
];

type Fields = &'static [(&'static str, &'static str)];

/// A request on a stream.
struct Asked {
    method: &'static str,
    /// None if it is empty.
    authority: &'static str,
    path: &'static str,
    fields: Fields,
    /// Each piece in a frame.
    body: &'static [&'static str],
    trailers: Fields,
}

/// That the page is asked for.
const fn page(path: &'static str, fields: Fields) -> Asked {
    Asked { method: "GET", authority: "localhost", path, fields, body: &[], trailers: &[] }
}

/// The same page over HTTP/2, spelt in every way that is read.
#[rustfmt::skip]
const STREAMS: &[Asked] = &[
    page("/public", &[]),
    Asked { method: "HEAD", ..page("/public", &[]) },
    Asked { authority: "LOCALHOST.", ..page("/public", &[]) },
    Asked { authority: "LocalHost:{port}", ..page("/public", &[]) },
    Asked { authority: "", ..page("/public", &[("host", "localhost")]) },
    page("/%70ublic", &[("x-request-id", "r-1")]),
    page("/public?a=%20b&c=d%2Fe&f=%zz", &[("accept", "*/*")]),
    page("/public?a=[1]|{2}^`~", &[]),
    page("/public?", &[]),
    page("/public", &[("x-two", "1"), ("accept", "a"), ("x-two", "2")]),
    page("/public", &[("x-empty", ""), ("x-inner", "a  b")]),
    page("/public", &[("x-latin", "caf\u{e9}")]),
    page("/public", &[("te", "trailers"), ("referer", "https://x.test/?q")]),
    page("/public", &[("cookie", "a=b"), ("x-end", "1"), ("cookie", "c=d")]),
    page("/public", &[("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", "a=1")]),
    Asked { body: &["body"], ..page("/public", &[("content-length", "4")]) },
    Asked { body: &["bo", "", "dy"], ..page("/public", &[("content-length", "4")]) },
    Asked { body: &["bo", "dy"], ..page("/public", &[]) },
    Asked { body: &[""], ..page("/public", &[]) },
    Asked { body: &["body"], trailers: &[("x-t", "1")], ..page("/public", &[("trailer", "x-t")]) },
];

impl Asked {
    fn frames(&self, stream: u32, port: &str) -> Vec<u8> {
        let authority = self.authority.replace("{port}", port);
        let mut fields = vec![(":method", self.method), (":scheme", "https"), (":path", self.path)];
        fields.extend((!authority.is_empty()).then_some((":authority", authority.as_str())));
        fields.extend(self.fields);
        let mut frames = vec![(h2::HEADERS, h2::END_HEADERS, h2::block(&fields))];
        frames.extend(self.body.iter().map(|piece| (h2::DATA, 0, piece.as_bytes().to_vec())));
        if !self.trailers.is_empty() {
            frames.push((h2::HEADERS, h2::END_HEADERS, h2::block(self.trailers)));
        }
        let last = frames.len() - 1;
        let frames = frames.iter().enumerate().map(|(at, (kind, flags, payload))| {
            let end = if at == last { h2::END_STREAM } else { 0 };
            h2::frame(*kind, flags | end, stream, payload)
        });
        frames.collect::<Vec<_>>().concat()
    }
}

/// Sends all of it, each on a connection of its own.
fn ask_raw(setting: &Setting, client: &Client) {
    for raw in RAW {
        let mut connection = client.connect().expect("connect");
        let raw = raw.replace("{port}", &setting.door().port().to_string());
        connection.send(raw.as_bytes()).expect("send");
        let method = raw.split(' ').next().unwrap_or_default();
        connection.final_answer(method).unwrap_or_else(|error| panic!("{raw}: {error:#}"));
    }
}

/// Sends all of it on one connection.
fn ask_streams(setting: &Setting, client: &Client) {
    let mut connection = client.connect_h2().expect("connect");
    let port = setting.door().port().to_string();
    for (asked, stream) in STREAMS.iter().zip((1..).step_by(2)) {
        connection.send(&asked.frames(stream, &port)).expect("send");
        connection.answer(stream).expect("an answer");
    }
}

/// An order in both versions: its body is read whole before it is decided.
fn order(setting: &Setting, client: &Client) {
    const LAMP: &[u8] = b"{\"item\":\"lamp\"}";
    let token = setting.idp.access_token("alice", "ES256").expect("a token");
    let bearer = format!("Bearer {token}");
    let order = Request::new("POST", "/orders")
        .field("Authorization", &bearer)
        .field("Content-Type", "application/json")
        .body(LAMP.to_vec());
    assert_eq!(client.request(&order).expect("an answer").status(), 201);
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/orders"),
        ("authorization", &bearer),
        ("content-type", "application/json"),
    ];
    let mut connection = client.connect_h2().expect("connect");
    connection.send(&h2::request(1, &fields, Some(LAMP))).expect("send");
    assert_eq!(connection.answer(1).expect("an answer").status(), 201);
}

/// The record, once each decision has its completion.
fn completed(setting: &Setting) -> Record {
    let whole = || {
        let record = setting.record()?;
        let whole = record.completions()?.len() == record.decisions()?.len();
        Ok(whole.then_some(record))
    };
    wait_for("every completion", SOON, whole).expect("completions")
}

/// Every message on the upstream's connections, from the bytes as they came.
fn received(connections: &[Vec<u8>]) -> Vec<Message> {
    let mut messages = Vec::new();
    for bytes in connections {
        let mut reader = Reader::new(bytes.as_slice());
        while let Some(mut message) = reader.request_head().expect("a head") {
            reader.request_body(&mut message).expect("a body");
            messages.push(message);
        }
    }
    messages
}

#[test]
fn the_upstreams_bytes_give_the_digest_in_the_event() {
    let setting = setting("digest");
    let client = setting.client().expect("a client");
    ask_raw(&setting, &client);
    ask_streams(&setting, &client);
    order(&setting, &client);

    let record = completed(&setting);
    let decisions = record.decisions().expect("each once");
    let completions = record.completions().expect("each once");
    let received = received(&setting.upstream.connections());
    assert_eq!(received.len(), RAW.len() + STREAMS.len() + 2, "what was sent did not all arrive");
    let (mut of_streams, mut bodies) = (0, 0);
    for message in &received {
        let id = message.field("portcullis-decision-id").expect("a decision id");
        let decision = decisions.get(id).unwrap_or_else(|| panic!("no decision {id}"));
        let digest = text(decision, "/unmapped/request_digest");
        assert_eq!(digest, request_digest(message), "{}\n{:?}", message.start, message.fields);
        assert_eq!(message.method(), text(decision, "/http_request/http_method"));
        assert_eq!(message.path(), text(decision, "/http_request/url/path"));
        of_streams += usize::from(text(decision, "/http_request/version") == "HTTP/2");
        let completion = completions[id];
        let digest = body_digest(message);
        let recorded = text(completion, "/unmapped/body_digest");
        assert_eq!(recorded, digest.as_deref().unwrap_or_default(), "{message:?}");
        for length in ["/unmapped/body_in_bytes", "/http_request/body_length"] {
            assert_eq!(number(completion, length), message.body.len() as u64, "{completion}");
        }
        bodies += u64::from(digest.is_some());
    }
    assert_eq!(of_streams, STREAMS.len() + 1);
    println!("sent: requests={} of_streams={of_streams} bodies={bodies}", received.len());
}

#[test]
fn a_byte_that_changes_on_the_way_is_seen() {
    let setting = setting("digest-can-fail");
    let client = setting.client().expect("a client");
    let request = Request::new("GET", "/public?a=1").field("X-End", "1").body(b"body".to_vec());
    client.request(&request).expect("an answer");
    let record = completed(&setting);
    let decisions = record.decisions().expect("each once");
    let bytes = setting.upstream.connections().concat();
    let sent = |from: &str, to: &str| {
        let text = String::from_utf8(bytes.clone()).expect("text");
        assert!(text.contains(from), "{text}");
        received(&[text.replace(from, to).into_bytes()]).remove(0)
    };
    let digest_of = |from: &str, to: &str| request_digest(&sent(from, to));
    let recorded = text(decisions.values().next().expect("a decision"), "/unmapped/request_digest");
    assert_eq!(digest_of("/public?a=1", "/public?a=1"), recorded);
    for (from, to) in [("?a=1", "?a=2"), ("GET", "PUT"), ("x-end: 1", "x-end: 2")] {
        assert_ne!(digest_of(from, to), recorded, "{from} to {to}");
    }
    let completions = record.completions().expect("each once");
    let completion = completions.values().next().expect("a completion");
    let recorded = Some(text(completion, "/unmapped/body_digest").to_owned());
    assert_eq!(body_digest(&sent("body", "body")), recorded);
    assert_ne!(body_digest(&sent("body", "bodY")), recorded);
}
