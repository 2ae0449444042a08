//! The admin listener: how the gateway is, and a reload with its outcome.

use std::fs;

use fixtures::{
    client::{Client, Request},
    harness::{Setting, Setup, free_port},
    record::text,
    wire::Message,
};
use serde_json::Value;

fn json(answer: &Message) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}", answer.text()))
}

#[test]
fn an_operator_sees_the_status_and_reloads() {
    let port = free_port().expect("a port");
    let admin = format!("admin:\n  address: 127.0.0.1:{port}\npolicies:\n");
    let setup = Setup::default().change("policies:\n", &admin);
    let setting = Setting::start("admin", &setup).expect("the product");
    let client = Client::plain(([127, 0, 0, 1], port).into());
    let ask = |method: &str, target: &str| {
        client.request(&Request::new(method, target)).expect("an answer")
    };
    let before = json(&ask("GET", "/status"));
    assert_eq!((&before["ready"], &before["record"]), (&true.into(), &"ok".into()));
    assert!(
        text(&before, "/log/origin").starts_with("audit.portcullis.test/demo/gw-1/"),
        "{before}"
    );
    assert!(text(&before, "/certificates/0/not_after").ends_with('Z'), "{before}");

    let reload = ask("POST", "/reload");
    assert_eq!(reload.status(), 200, "{}", reload.text());
    assert_eq!(
        json(&reload),
        serde_json::json!({"accepted": true, "problems": [], "kept": [], "candidate_problems": []})
    );

    let config = fs::read_to_string(setting.config()).expect("the configuration");
    let other = config.replace("bytes_max: 256MiB", "bytes_max: 128MiB");
    fs::write(setting.config(), &other).expect("write");
    assert_eq!(json(&ask("POST", "/reload"))["kept"], serde_json::json!(["audit"]));
    let taken = json(&ask("GET", "/status"));
    assert_ne!(taken["digests"]["config"], before["digests"]["config"]);
    assert_eq!(taken["spool"]["max_bytes"], before["spool"]["max_bytes"]);

    fs::write(setting.config(), other.replace("upstream: orders", "upstream: order"))
        .expect("write");
    let refused = ask("POST", "/reload");
    assert_eq!(refused.status(), 422, "{}", refused.text());
    assert!(text(&json(&refused), "/problems/0").contains("`order`"), "{}", refused.text());
    assert_eq!(json(&ask("GET", "/status"))["digests"], taken["digests"]);

    let record = setting.record().expect("events");
    let accepted: Vec<bool> = record
        .with_code("reload")
        .filter(|event| text(event, "/unmapped/trigger") == "admin")
        .map(|event| event["unmapped"]["accepted"] == true)
        .collect();
    assert_eq!(accepted, [true, true, false]);
}

#[test]
fn who_is_not_of_this_machine_is_misdirected() {
    let port = free_port().expect("a port");
    let admin = format!("admin:\n  address: 127.0.0.1:{port}\npolicies:\n");
    let setup = Setup::default().change("policies:\n", &admin);
    let setting = Setting::start("admin-foreign", &setup).expect("the product");
    let client = Client::plain(([127, 0, 0, 1], port).into());
    for (name, value, status) in [
        ("Host", "attacker.test", 421),
        ("Host", "127.0.0.1", 421),
        ("Origin", "http://attacker.test", 403),
        ("X-Other", "x", 200),
    ] {
        let request = Request::new("POST", "/reload").field(name, value);
        assert_eq!(
            client.request(&request).expect("an answer").status(),
            status,
            "{name}: {value}"
        );
    }
    assert_eq!(
        setting.record().expect("events").with_code("reload").count(),
        2,
        "the start and one"
    );
    let health = Client::plain(setting.health());
    assert_eq!(health.request(&Request::new("POST", "/reload")).expect("an answer").status(), 404);
}
