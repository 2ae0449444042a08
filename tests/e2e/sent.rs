//! What was authorized is what was sent: the upstream's raw bytes, read by a parser that is not
//! the gateway's, give the digest that is in the event.

use fixtures::{
    client::Request,
    record::text,
    upstream::request_digest,
    wire::{Message, Reader},
};

use super::setting;

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
    for raw in RAW {
        let mut connection = client.connect().expect("connect");
        let raw = raw.replace("{port}", &setting.door().port().to_string());
        connection.send(raw.as_bytes()).expect("send");
        let method = raw.split(' ').next().unwrap_or_default();
        connection.final_answer(method).unwrap_or_else(|error| panic!("{raw}: {error:#}"));
    }
    let token = setting.idp.access_token("alice", "ES256").expect("a token");
    let order = Request::new("POST", "/orders")
        .field("Authorization", &format!("Bearer {token}"))
        .field("Content-Type", "application/json")
        .body(b"{\"item\":\"lamp\"}".to_vec());
    assert_eq!(client.request(&order).expect("an answer").status(), 201);

    let record = setting.record().expect("events");
    let decisions = record.decisions().expect("each once");
    let received = received(&setting.upstream.connections());
    assert_eq!(received.len(), RAW.len() + 1, "what was sent did not all arrive");
    for message in &received {
        let id = message.field("portcullis-decision-id").expect("a decision id");
        let decision = decisions.get(id).unwrap_or_else(|| panic!("no decision {id}"));
        let digest = text(decision, "/unmapped/request_digest");
        assert_eq!(digest, request_digest(message), "{}\n{:?}", message.start, message.fields);
        assert_eq!(message.method(), text(decision, "/http_request/http_method"));
        assert_eq!(message.path(), text(decision, "/http_request/url/path"));
    }
    println!("sent: requests={}", received.len());
}

#[test]
fn a_byte_that_changes_on_the_way_is_seen() {
    let setting = setting("digest-can-fail");
    let client = setting.client().expect("a client");
    client.get("/public?a=1", &[("X-End", "1")]).expect("an answer");
    let record = setting.record().expect("events");
    let decisions = record.decisions().expect("each once");
    let bytes = setting.upstream.connections().concat();
    let digest_of = |from: &str, to: &str| {
        let text = String::from_utf8(bytes.clone()).expect("text");
        assert!(text.contains(from), "{text}");
        request_digest(&received(&[text.replace(from, to).into_bytes()])[0])
    };
    let recorded = text(decisions.values().next().expect("a decision"), "/unmapped/request_digest");
    assert_eq!(digest_of("/public?a=1", "/public?a=1"), recorded);
    for (from, to) in [("?a=1", "?a=2"), ("GET", "PUT"), ("x-end: 1", "x-end: 2")] {
        assert_ne!(digest_of(from, to), recorded, "{from} to {to}");
    }
}
