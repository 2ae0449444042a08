//! The line from outside: what a client gets, what the upstream got, and what the record says,
//! each read by itself and held against the others.

use std::collections::{BTreeMap, BTreeSet};

use fixtures::{
    client::Request,
    harness::{Setting, Setup},
    idp::login,
    upstream::request_digest,
    wire::Message,
};
use serde_json::Value;

fn setting(name: &str) -> Setting {
    Setting::start(name, &Setup::default()).expect("the product")
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Events of a code, by the decision they belong to.
fn by_decision(events: &[Value], code: &str) -> BTreeMap<String, Value> {
    let of_code = events.iter().filter(|event| text(event, "/metadata/event_code") == code);
    of_code
        .map(|event| (text(event, "/metadata/correlation_uid").to_owned(), event.clone()))
        .collect()
}

fn id(answer: &Message) -> String {
    answer.field("portcullis-decision-id").expect("a decision id").to_owned()
}

/// A mix of what is allowed, refused, unrouted, unreadable and failing upstream.
fn mix(setting: &Setting) -> Vec<Message> {
    let client = setting.client().expect("a client");
    let alice = login(setting.idp.issuer(), "alice", None).expect("a login").access;
    let bearer = format!("Bearer {alice}");
    let ask = |method: &str, target: &str, authorization: Option<&str>, body: Option<&[u8]>| {
        let mut request = Request::new(method, target);
        if let Some(authorization) = authorization {
            request = request.field("Authorization", authorization);
        }
        if let Some(body) = body {
            request = request.field("Content-Type", "application/json").body(body.to_vec());
        }
        client.request(&request).expect("an answer")
    };
    let mut answers = vec![
        ask("GET", "/public", None, None),
        ask("HEAD", "/public", None, None),
        ask("GET", "/orders", None, None),
        ask("GET", "/orders", Some(&bearer), None),
        ask("GET", "/orders/o-1001", Some(&bearer), None),
        ask("GET", "/orders/o-1002", Some(&bearer), None),
        ask("POST", "/orders", Some(&bearer), Some(b"{\"item\":\"lamp\"}")),
        ask("GET", "/orders", Some("Bearer nonsense"), None),
        ask("GET", "/nowhere", None, None),
        ask("DELETE", "/orders", Some(&bearer), None),
        ask("GET", "/public/../orders", Some(&bearer), None),
    ];
    setting.upstream.down().expect("down");
    answers.push(ask("GET", "/public", None, None));
    setting.upstream.up().expect("up");
    answers
}

#[test]
fn every_answer_has_one_decision_and_every_decision_one_completion() {
    let mut setting = setting("counts");
    let answers = mix(&setting);
    let statuses: Vec<u16> = answers.iter().map(Message::status).collect();
    assert_eq!(statuses, [200, 200, 401, 200, 200, 403, 201, 401, 404, 405, 400, 502]);
    let ids: BTreeSet<String> = answers.iter().map(id).collect();
    assert_eq!(ids.len(), answers.len(), "a decision id twice");
    assert!(setting.gateway.stop().expect("stop").success());

    let events = setting.events().expect("events");
    let (decisions, completions) =
        (by_decision(&events, "decision"), by_decision(&events, "completion"));
    assert_eq!(decisions.keys().cloned().collect::<BTreeSet<_>>(), ids);
    assert_eq!(completions.keys().collect::<Vec<_>>(), decisions.keys().collect::<Vec<_>>());
    for (id, decision) in &decisions {
        assert_eq!(decision["class_uid"], completions[id]["class_uid"], "{id}");
    }
    let codes: Vec<&str> = events.iter().map(|event| text(event, "/metadata/event_code")).collect();
    assert_eq!((codes.first(), codes.last()), (Some(&"log_open"), Some(&"log_close")));
}

#[test]
fn what_was_authorized_is_what_was_sent() {
    let setting = setting("digest");
    let client = setting.client().expect("a client");
    let requests = [
        Request::new("GET", "/public"),
        Request::new("GET", "/public?a=%20b&c=d%2Fe").field("Accept", "*/*"),
        Request::new("GET", "/%70ublic").field("X-Request-ID", "r-1"),
        Request::new("GET", "/public").field("X-Two", "1").field("X-Two", "2"),
        Request::new("GET", "/public")
            .field("Connection", "X-Hop")
            .field("X-Hop", "1")
            .field("X-End", "1"),
        Request::new("GET", "/public").field("X-Latin", "caf\u{e9}"),
        Request::new("GET", "/public")
            .field("X-Forwarded-For", "6.6.6.6")
            .field("X-Forwarded-User", "admin")
            .field("X-Auth-Request-User", "admin")
            .field("Portcullis-Decision-Id", "forged"),
    ];
    for request in &requests {
        client.request(request).expect("an answer"); // whatever the upstream makes of it
    }
    let decisions = by_decision(&setting.events().expect("events"), "decision");
    let received = setting.upstream.requests();
    assert_eq!(received.len(), requests.len());
    for received in received {
        let message = received.message;
        let id = message.field("portcullis-decision-id").expect("a decision id");
        let decision = decisions.get(id).expect("its decision");
        assert_eq!(
            text(decision, "/unmapped/request_digest"),
            request_digest(&message),
            "{}",
            message.start
        );
        assert_eq!(message.field("x-forwarded-for"), Some("127.0.0.1"));
        for forged in ["x-forwarded-user", "x-auth-request-user", "x-hop"] {
            assert_eq!(message.field(forged), None, "{forged}");
        }
    }
}

#[test]
fn nothing_internal_reaches_a_client() {
    let setting = setting("internal");
    let inner = [
        setting.upstream.addr().to_string(),
        setting.idp.addr().to_string(),
        setting.dir().display().to_string(),
        "guard-".to_owned(),
        "orders-customer".to_owned(),
    ];
    for answer in mix(&setting) {
        let fields: Vec<String> =
            answer.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let all = format!("{}\n{}\n{}", answer.start, fields.join("\n"), answer.text());
        for inner in &inner {
            assert!(!all.contains(inner.as_str()), "`{inner}` in:\n{all}");
        }
    }
}

#[test]
fn a_killed_gateway_keeps_what_it_answered() {
    let mut setting = setting("killed");
    let before: BTreeSet<String> = mix(&setting).iter().map(id).collect();
    setting.restart().expect("restart");
    let client = setting.client().expect("a client");
    let after = id(&client.get("/public", &[]).expect("an answer"));
    let events = setting.events().expect("events");
    let decisions: BTreeSet<String> = by_decision(&events, "decision").into_keys().collect();
    assert!(decisions.is_superset(&before), "lost: {:?}", before.difference(&decisions));
    assert!(decisions.contains(&after));
    let opened = events.iter().filter(|event| text(event, "/metadata/event_code") == "log_open");
    assert_eq!(opened.count(), 2, "a start is a new log");
}
