use serde_json::json;

use super::*;
use crate::Decision;

fn file() -> Value {
    json!({
        "principals": {
            "alice": { "kind": "User", "id": "corp|alice", "groups": ["corp|customers"] },
            "nobody": { "kind": "Anonymous" }
        },
        "resources": { "hers": { "kind": "Orders::Order", "id": "o-1", "api": "orders" } },
        "cases": [{
            "name": "n", "principal": "alice", "action": "Orders::get", "resource": "hers",
            "facts": { "waf": { "score": 7, "classes": ["attack-sqli"] } }, "expect": "blocked"
        }]
    })
}

#[test]
fn a_case_is_a_plain_request_with_its_changes() {
    let cases = read(&file()).unwrap();
    assert_eq!(cases.len(), 1);
    let case = &cases[0];
    assert_eq!(case.principal.groups, ["corp|customers"]);
    assert_eq!(case.action, Action { namespace: "Orders".to_owned(), name: "get".to_owned() });
    assert_eq!(case.expect.refusal, Some(Class::Blocked));
    assert_eq!((case.facts.waf.score, case.facts.waf.health), (7, Health::Skipped));
    assert!(case.facts.identity.verified && case.facts.token.present);
    assert_eq!(case.facts.identity.issuer, "corp");
}

#[test]
fn each_mistake_has_its_pointer() {
    let check = |pointer: &str, value: Value, want: &str, message: &str| {
        let mut file = file();
        *file.pointer_mut(pointer).unwrap() = value;
        let problems = read(&file).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].pointer, want, "{problems:?}");
        assert!(problems[0].message.contains(message), "{problems:?}");
    };
    check("/cases/0/principal", json!("bob"), "/cases/0/principal", "nothing is named `bob`");
    check("/cases/0/resource", json!("his"), "/cases/0/resource", "nothing is named `his`");
    check("/cases/0/resource", json!({"kind": "K"}), "/cases/0/resource", "missing field `id`");
    check("/cases/0/action", json!("get"), "/cases/0/action", "is not `<Namespace>::<action>`");
    check("/cases/0/expect", json!("deny"), "/cases/0/expect", "neither `allow` nor");
    check("/cases/0/facts", json!({"wav": {}}), "/cases/0/facts/wav", "did you mean `waf`");
    check("/cases/0/facts", json!({"waf": {"scores": 1}}), "/cases/0/facts/waf/scores", "`score`");
    check("/cases/0/facts", json!({"waf": {"score": "x"}}), "/cases/0/facts", "invalid type");
    check("/cases/0/facts", json!({"waf": 1}), "/cases/0/facts", "invalid type");
    check("/cases/0", json!({"nome": "n"}), "/cases/0", "unknown field `nome`");
    check("/principals/nobody", json!({"kind": "User"}), "/principals/nobody", "needs an `id`");
    check("/cases", json!({}), "/cases", "not a list");
}

#[test]
fn an_unknown_key_is_a_mistake() {
    let mut file = file();
    file["case"] = json!([]);
    assert_eq!(read(&file).unwrap_err()[0].pointer, "/case");
}

#[test]
fn expectations_that_are_not_met_are_told() {
    let basis = Basis {
        decision: Decision::Deny,
        determining: vec!["a".to_owned()],
        errors: Vec::new(),
        would_refuse: Vec::new(),
        would_permit: Vec::new(),
        refusal: Some(Class::Blocked),
        declared: true,
        obligations: Default::default(),
    };
    let refusal = crate::Refusal { class: Class::Blocked, message_id: None, acr: None };
    let verdict = Verdict { outcome: Err(crate::Refused::new((), refusal)), basis };
    let check = |expect: Expect, want: &[&str]| assert_eq!(failures(&expect, &verdict), want);
    let blocked = Expect { refusal: Some(Class::Blocked), ..Expect::default() };
    check(blocked.clone(), &[]);
    check(Expect::default(), &["the answer is blocked, expected allow"]);
    check(
        Expect { determining: Some(BTreeSet::from(["b".to_owned()])), ..blocked.clone() },
        &["determining is [a], expected [b]"],
    );
    check(
        Expect { message_id: Some("m".to_owned()), ..blocked.clone() },
        &["message_id is none, expected m"],
    );
    check(
        Expect { cache: Some(Cache::NoStore), audit: Some(Audit::Strict), ..blocked },
        &["audit is none, expected strict", "cache is none, expected no-store"],
    );
}
