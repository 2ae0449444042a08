//! `Expect: 100-continue` (RFC 9110 §10.1.1): nothing leaves before the decision is recorded, an
//! interim answer neither; who is refused hears that at once, and keeps the body.

use fixtures::{
    client::Client,
    h2,
    harness::{Setting, Setup},
    record::text,
};

use super::id;

/// The host for which everything goes upstream, its body not inspected.
const HOST: &str = "api.example.test";

fn start() -> Setting {
    let create =
        "action: create\n        resource: {type: Collection, id: all}\n        upstream: orders\n";
    let setup = Setup::open(HOST, false).change(create, &format!("{create}        checks: []\n"));
    Setting::start("expect", &setup).expect("the product")
}

fn client(setting: &Setting, host: &str) -> Client {
    setting.client_of(host).expect("a client")
}

/// What is recorded of the request with this id: how many decisions and completions.
fn recorded(setting: &Setting, request_id: &str) -> (usize, usize) {
    let record = setting.record().expect("events");
    let decided: Vec<&str> = record
        .with_code("decision")
        .filter(|event| text(event, "/http_request/uid") == request_id)
        .map(|event| text(event, "/metadata/uid"))
        .collect();
    let completed =
        |event: &&serde_json::Value| decided.contains(&text(event, "/metadata/correlation_uid"));
    (decided.len(), record.with_code("completion").filter(completed).count())
}

#[test]
fn the_body_is_asked_for_when_the_decision_is_recorded() {
    let setting = start();
    let mut connection = client(&setting, HOST).connect().expect("connect");
    let head = "POST /upload HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: waits\r\n\
                Expect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    connection.send(head.as_bytes()).expect("send");
    let interim = connection.answer("POST").expect("readable").expect("an interim answer");
    assert_eq!(interim.status(), 100, "{}", interim.text());
    assert_eq!(recorded(&setting, "waits"), (1, 0), "decisions and completions at the 100");
    connection.send(b"body").expect("send");
    let answer = connection.final_answer("POST").expect("an answer");
    assert_eq!(answer.status(), 404, "the upstream's own: {}", answer.text());
    let received = setting.upstream.requests().pop().expect("a request").message;
    assert_eq!((received.body.as_slice(), received.field("expect")), (&b"body"[..], None));
    // One that announces nothing to wait for is like any other.
    let answer = client(&setting, HOST).get("/public", &[("Expect", "100-continue")]);
    assert_eq!(answer.expect("an answer").status(), 200);
}

#[test]
fn who_is_refused_keeps_the_body() {
    let setting = start();
    let token = setting.idp.access_token("alice", "RS256").expect("a token");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let check = |line: &str, host: &str, more: &str, status: u16, reason: &str| {
        let before = setting.upstream.heads();
        let length = if more.contains("Length") { "" } else { "Content-Length: 4\r\n" };
        let expect = if more.contains("Expect") { "" } else { "Expect: 100-continue\r\n" };
        let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{more}{length}{expect}\r\n");
        let mut connection = client(&setting, host).connect().expect("connect");
        connection.send(head.as_bytes()).expect("send");
        let answer = connection.answer("POST").expect("readable").expect("an answer");
        assert_eq!(answer.status(), status, "{line}: {}", answer.text());
        assert_eq!(connection.rest().expect("a close"), b"", "{line}");
        assert_eq!(setting.upstream.heads(), before, "{line}: the upstream saw it");
        let record = setting.record().expect("events");
        let decision = record.decisions().expect("once")[id(&answer).as_str()].clone();
        assert_eq!(text(&decision, "/unmapped/reason"), reason, "{line}");
    };
    check("POST /orders", "localhost", "", 401, "unauthenticated");
    check("POST /nowhere", "other.example.test", "", 404, "not_found");
    check("PATCH /public", "localhost", "", 405, "method_not_allowed");
    check("POST /a/../b", HOST, "", 400, "dot_segment");
    check("POST /upload", HOST, "Content-Length: 16777217\r\n", 413, "body_too_long");
    check("POST /upload", HOST, "Expect: a-pony\r\n", 417, "expect_unsupported");
    // The decision would need the body: it is not asked for before there is one.
    check("PUT /orders/o-1001", "localhost", &bearer, 417, "expect_unsupported");
}

#[test]
fn over_http_2_the_client_is_told_to_ask_without_it() {
    let setting = start();
    let mut connection = client(&setting, HOST).connect_h2().expect("connect");
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", "/upload"),
        ("content-length", "4"),
    ];
    let awaiting = [&fields[..], &[("expect", "100-continue")]].concat();
    let head = h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &h2::block(&awaiting));
    connection.send(&head).expect("send");
    let answer = connection.answer(1).expect("an answer");
    assert_eq!((answer.status(), connection.interim()), (417, &[][..]), "{}", answer.text());
    assert_eq!(setting.upstream.heads(), 0);
    connection.send(&h2::request(3, &fields, Some(b"body"))).expect("send");
    assert_eq!(connection.answer(3).expect("an answer").status(), 404, "the upstream's own");
    let record = setting.record().expect("events");
    let decision = record.decisions().expect("once")[id(&answer).as_str()].clone();
    assert_eq!(text(&decision, "/unmapped/reason"), "expect_unsupported");
}
