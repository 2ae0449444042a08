//! Tests in the format of Cedar's own command line, in and out.

use serde_json::{Value, json};
use verdict::cases;

use crate::support::{load, shop, starter, yaml};

/// Written, read from text and asked again, every starter case passes; with another answer, it
/// fails.
#[test]
fn what_is_exported_comes_out_the_same() {
    let policies = load(&starter());
    let files = starter().files.into_iter().filter(|(path, _)| path.starts_with("cases/"));
    let cases: Vec<_> = files.flat_map(|(_, text)| cases::read(&yaml(&text)).unwrap()).collect();
    let exported = policies.export_tests(&cases).unwrap();
    let mut exported: Value = serde_json::from_str(&exported.to_string()).unwrap();
    let results = verdict::run_tests(&policies, &exported).unwrap();
    assert_eq!(results.len(), cases.len());
    for (result, case) in results.iter().zip(&cases) {
        assert_eq!((result.name.as_str(), &result.failures), (case.name.as_str(), &Vec::new()));
    }
    for test in exported.as_array_mut().unwrap() {
        let other = if test["decision"] == "allow" { "deny" } else { "allow" };
        test["decision"] = other.into();
    }
    let results = verdict::run_tests(&policies, &exported).unwrap();
    assert!(results.iter().all(|result| result.failures.len() == 1), "{results:#?}");
}

const POLICIES: &str = r#"@id("buyers")
permit (principal in Portcullis::Role::"buyer", action in Shop::Action::"read", resource in Portcullis::Api::"shop");
@id("mine")
permit (principal, action, resource in Portcullis::Api::"shop") when { resource has owner && resource.owner == principal };
@id("shown") @mode("shadow") @refuse("blocked")
forbid (principal, action, resource in Portcullis::Api::"shop");
@id("dear") @refuse("blocked")
forbid (principal, action == Shop::Action::"buy", resource in Portcullis::Api::"shop") when { resource.price + 1 > 100 };
"#;

/// As somebody writes it by hand: what the facts are in short, entities with the test.
fn test() -> Value {
    json!({
        "name": "a buyer sees",
        "request": {
            "principal": "Portcullis::User::\"a\"",
            "action": "Shop::Action::\"see\"",
            "resource": "Shop::Item::\"x\"",
            "context": context(),
        },
        "entities": [
            { "uid": { "type": "Portcullis::User", "id": "a" }, "attrs": {},
              "parents": [{ "type": "Portcullis::Group", "id": "g" }] },
            { "uid": { "type": "Portcullis::Group", "id": "g" }, "attrs": {},
              "parents": [{ "type": "Portcullis::Role", "id": "buyer" }] },
            { "uid": { "type": "Shop::Item", "id": "x" },
              "attrs": { "price": 1, "owner": { "type": "Portcullis::User", "id": "b" } },
              "parents": [{ "type": "Portcullis::Api", "id": "shop" }] },
        ],
        "decision": "allow",
        "reason": ["buyers"],
        "num_errors": 0,
    })
}

fn context() -> Value {
    let health = json!({ "health": "ok" });
    let with = |more: Value| {
        let mut all = health.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    json!({
        "identity": with(json!({ "presented": true, "verified": true, "problem": "", "issuer": "" })),
        "token": { "present": false, "issuer": "", "audience": [], "client": "", "scope": [], "acr": "",
                   "amr": [], "auth_time_s": 0, "issued_at_s": 0, "expires_at_s": 0 },
        "conn": with(json!({ "ip": "192.0.2.1", "port": 1, "proxies": [], "tls": true, "tls_version": "",
                             "cipher": "", "sni": "", "alpn": "", "mtls": false, "received_ms": 1 })),
        "session": with(json!({ "present": false })),
        "waf": with(json!({ "problem": "", "mode": "enforce", "score": 0, "threshold": 5, "rules": [], "classes": [], "inspected_bytes": 0 })),
        "rate": with(json!({ "limited": false, "limit": 0, "window_s": 0, "remaining": 0, "retry_after_s": 0 })),
        "abuse": with(json!({ "score": 0 })),
    })
}

#[test]
fn a_test_of_cedars_is_asked_as_it_stands() {
    let policies = load(&shop(POLICIES, ""));
    let check = |changes: &[(&str, Value)], want: Option<&str>| {
        let mut test = test();
        for (pointer, value) in changes {
            *test.pointer_mut(pointer).unwrap() = value.clone();
        }
        let results = verdict::run_tests(&policies, &json!([test])).unwrap();
        let failures = &results[0].failures;
        assert_eq!(failures.len(), usize::from(want.is_some()), "{changes:?}: {failures:?}");
        assert!(failures.iter().zip(want).all(|(got, want)| got.contains(want)), "{failures:?}");
    };
    let owner = ("/entities/2/attrs/owner/id", json!("a"));
    check(&[], None);
    check(&[("/reason", json!([]))], None);
    check(&[("/reason", json!(["buyers", "mine"]))], Some("lacks [mine]"));
    check(&[owner.clone(), ("/reason", json!(["buyers", "mine"]))], None);
    check(&[("/decision", json!("deny")), ("/reason", json!([]))], Some("the answer is allow"));
    check(&[("/num_errors", json!(1))], Some("0 policies err, expected 1"));
    let buy = ("/request/action", json!("Shop::Action::\"buy\""));
    let denied = [("/decision", json!("deny")), ("/reason", json!([]))];
    check(&[buy.clone(), denied[0].clone(), denied[1].clone()], None);
    // An erring forbid denies here, is no reason, and counts as an error.
    let most = ("/entities/2/attrs/price", json!(i64::MAX));
    let erring = ("/num_errors", json!(1));
    check(&[buy.clone(), owner.clone(), most, denied[0].clone(), denied[1].clone(), erring], None);
    check(&[buy, owner, ("/reason", json!(["mine"]))], None);
    check(&[("/request/action", json!("Shop::Action::\"sell\""))], Some("is not defined"));
    check(&[("/request/principal", json!("nobody"))], Some("`nobody` is not an entity"));
    check(&[("/request/principal", json!("Shop::Item::\"x\""))], Some("the request"));
    check(&[("/request/context", json!({}))], Some("the context"));
    check(&[("/entities", json!("entities.json"))], Some("are not read"));
    check(&[("/entities/2/attrs/price", json!("dear"))], Some("the entities"));
    check(&[("/decision", json!("maybe"))], Some("this is no test"));
    assert!(verdict::run_tests(&policies, &json!({ "cases": [] })).is_err());
}
