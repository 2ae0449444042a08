//! The event that the README shows, held against one that the same request makes.

use std::time::Duration;

use fixtures::{
    client::Request,
    harness::{Setting, Setup, wait_for},
    idp::login,
};
use serde_json::Value;

use super::document;

/// What is another in every event.
const VOLATILE: [&str; 3] = ["/time", "/metadata/uid", "/unmapped/request_digest"];

/// Where what is shown, which may be shortened, is not what is.
fn differences(shown: &Value, real: &Value, at: &str) -> Vec<String> {
    if VOLATILE.contains(&at) {
        return Vec::new();
    }
    let part = |name: &str, shown: &Value, real: Option<&Value>| {
        let at = format!("{at}/{name}");
        real.map_or(vec![at.clone()], |real| differences(shown, real, &at))
    };
    match (shown, real) {
        (Value::Object(shown), Value::Object(_)) => {
            shown.iter().flat_map(|(name, value)| part(name, value, real.get(name))).collect()
        }
        (Value::Array(shown), Value::Array(_)) => {
            let each = shown.iter().enumerate();
            each.flat_map(|(n, value)| part(&n.to_string(), value, real.get(n))).collect()
        }
        _ if shown == real => Vec::new(),
        _ => vec![format!("{at}: {shown} for {real}")],
    }
}

#[test]
fn the_event_that_is_shown_is_such_an_event() {
    let readme = document("README.md");
    let shown: Value =
        serde_json::from_str(readme.blocks_in("json").next().expect("an event")).expect("JSON");
    let setting = Setting::start("docs-event", &Setup::default()).expect("the product");
    let alice = login(setting.idp.issuer(), "alice", None).expect("a login").access;
    let request = Request::new("GET", "/orders?q=1%27%20OR%20%271%27%3D%271")
        .field("Authorization", &format!("Bearer {alice}"));
    let answer = setting.client().expect("a client").request(&request).expect("an answer");
    let id = answer.field("portcullis-decision-id").expect("a decision id");
    let real = wait_for("the event", Duration::from_secs(10), || {
        Ok(setting.record()?.decisions()?.get(id).map(|event| (*event).clone()))
    });
    assert_eq!(differences(&shown, &real.expect("recorded"), ""), Vec::<String>::new());
}

#[test]
fn what_is_not_so_is_found() {
    let real = serde_json::json!({"a": {"b": [1, 2]}, "time": 1});
    let check = |shown: Value, want: &[&str]| assert_eq!(differences(&shown, &real, ""), want);
    check(serde_json::json!({"a": {"b": [1]}, "time": 2}), &[]);
    check(serde_json::json!({"a": {"c": 1}}), &["/a/c"]);
    check(serde_json::json!({"a": {"b": [2]}}), &["/a/b/0: 2 for 1"]);
    check(serde_json::json!({"a": {"b": [1, 2, 3]}}), &["/a/b/2"]);
}
