//! Cross-origin requests of browsers: preflights are answered from the configuration and
//! recorded, and answers say whose pages may read them.

use std::time::Duration;

use fixtures::{
    client::Request,
    h2,
    harness::{Setting, Setup, wait_for},
    record::text,
    wire::Message,
};

use super::id;

const SOON: Duration = Duration::from_secs(20);
const APP: &str = "https://app.example.com";
const EVIL: &str = "https://app.example.com.evil.test";

fn start() -> Setting {
    let cors = "{origins: [\"https://app.example.com\"], headers: [Authorization, Content-Type], max_age: 5m, credentials: true}";
    let setup = Setup::default()
        .change("    namespace: Orders\n", &format!("    namespace: Orders\n    cors: {cors}\n"));
    Setting::start("cors", &setup).expect("the product")
}

fn ask(setting: &Setting, method: &str, path: &str, fields: &[(&str, &str)]) -> Message {
    let request =
        fields.iter().fold(Request::new(method, path), |r, (name, value)| r.field(name, value));
    setting.client().and_then(|client| client.request(&request)).expect("an answer")
}

/// What is said of origins: who may read, with credentials, methods, fields, for how long.
fn said(answer: &Message) -> [Option<&str>; 5] {
    ["allow-origin", "allow-credentials", "allow-methods", "allow-headers", "max-age"]
        .map(|name| answer.field(&format!("access-control-{name}")))
}

const NOTHING: [Option<&str>; 5] = [None; 5];

/// What the record says of an answer: reason, outcome and status.
fn recorded(setting: &Setting, answer: &Message) -> (String, String) {
    let id = id(answer);
    let completed = || {
        let record = setting.record()?;
        Ok(record.completions()?.contains_key(id.as_str()).then_some(record))
    };
    let record = wait_for("its completion", SOON, completed).expect("a completion");
    let decision = record.decisions().expect("once")[id.as_str()];
    let completion = record.completions().expect("once")[id.as_str()];
    assert_eq!(decision["class_uid"], 4002, "{decision}");
    let status = completion["http_response"]["code"].as_u64();
    assert_eq!(status, Some(answer.status().into()), "{completion}");
    (text(decision, "/unmapped/reason").to_owned(), text(decision, "/unmapped/route").to_owned())
}

#[test]
fn a_preflight_is_answered_by_the_configuration_and_recorded() {
    let setting = start();
    let check = |path: &str, origin: &str, method: &str, names: &str, status: u16, reason: &str| {
        let fields = [
            ("Origin", origin),
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", names),
        ];
        let answer = ask(&setting, "OPTIONS", path, &fields);
        assert_eq!(answer.status(), status, "{method} {path} {origin}: {}", answer.text());
        assert_eq!(recorded(&setting, &answer).0, reason, "{method} {path} {origin}");
        if status != 204 {
            assert_eq!(said(&answer), NOTHING, "{method} {path} {origin}");
        }
        answer
    };
    let answer =
        check("/orders/o-1001", APP, "PUT", "authorization,content-type", 204, "preflight");
    let want = [APP, "true", "PUT", "authorization, content-type", "300"].map(Some);
    assert_eq!((said(&answer), answer.field("vary")), (want, Some("Origin")));
    assert_eq!((answer.text().as_str(), answer.field("content-type")), ("", None));
    let answer = check("/orders", APP, "GET", "", 204, "preflight");
    assert_eq!(said(&answer)[2], Some("GET, HEAD"));
    check("/orders", EVIL, "GET", "", 403, "preflight_refused");
    check("/orders", "null", "GET", "", 403, "preflight_refused");
    check("/orders", APP, "GET", "x-other", 403, "preflight_refused");
    check("/orders", APP, "PATCH", "", 403, "preflight_refused");
    // No page of another origin may do anything there: they are requests like any other.
    check("/public", APP, "GET", "", 405, "method_not_allowed");
    check("/nowhere", APP, "GET", "", 404, "not_found");
    check("/orders/../public", APP, "GET", "", 400, "dot_segment");
    assert_eq!(setting.upstream.heads(), 0, "the upstream saw a preflight");
}

#[test]
fn a_preflight_over_http_2() {
    let setting = start();
    let mut connection = setting.client().and_then(|c| c.connect_h2()).expect("connect");
    let fields = [
        (":method", "OPTIONS"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/orders"),
        ("origin", APP),
        ("access-control-request-method", "POST"),
    ];
    connection.send(&h2::request(1, &fields, None)).expect("send");
    let answer = connection.answer(1).expect("an answer");
    assert_eq!((answer.status(), said(&answer)[0]), (204, Some(APP)));
    drop(connection);
    assert_eq!(recorded(&setting, &answer), ("preflight".to_owned(), "create".to_owned()));
}

#[test]
fn answers_say_whose_pages_may_read_them() {
    let setting = start();
    let token = setting.idp.access_token("alice", "RS256").expect("a token");
    let bearer = format!("Bearer {token}");
    let check = |path: &str, origin: &str, known: bool, status: u16, may: bool| {
        let mut fields = vec![("Origin", origin)];
        if known {
            fields.push(("Authorization", bearer.as_str()));
        }
        let answer = ask(&setting, "GET", path, &fields);
        assert_eq!(answer.status(), status, "{path} {origin}: {}", answer.text());
        let want = if may { [Some(APP), Some("true"), None, None, None] } else { NOTHING };
        assert_eq!(said(&answer), want, "{path} {origin}");
        let varies = answer.fields_named("vary").any(|value| value == "Origin");
        assert_eq!(varies, path.starts_with("/orders"), "{path} {origin}");
    };
    check("/orders", APP, true, 200, true);
    // A page may read why it is refused.
    check("/orders", APP, false, 401, true);
    check("/orders/o-1002", APP, true, 403, true);
    // Who asks is decided as ever; only the page may not read the answer.
    check("/orders", EVIL, true, 200, false);
    check("/orders", EVIL, false, 401, false);
    check("/public", APP, false, 200, false);
}
