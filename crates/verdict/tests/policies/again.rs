//! A recorded decision, asked again, gives the same answer.

use std::sync::LazyLock;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use signals::{Facts, Health, Identity, Principal, PrincipalKind};
use verdict::{Action, Basis, Policies, Question, Resource};

use crate::support::{load, starter};

static POLICIES: LazyLock<Policies> = LazyLock::new(|| load(&starter()));

fn principal() -> impl Strategy<Value = Principal> {
    use PrincipalKind::{Anonymous, ApiKey, User, Workload};
    let kind = select(vec![User, Workload, ApiKey, Anonymous]);
    let id = prop_oneof!["corp\\|(alice|bob|carol)", ".{0,12}"];
    let group = prop_oneof![
        select(vec!["corp|customers", "corp|support", "corp|admins"]).prop_map(str::to_owned),
        ".{0,8}"
    ];
    let attributes = btree_map(".{0,6}", btree_set(".{0,6}", 0..3), 0..3);
    (kind, id, vec(group, 0..3), attributes).prop_map(|(kind, id, groups, attributes)| Principal {
        kind,
        id,
        groups,
        attributes,
    })
}

fn action() -> impl Strategy<Value = Action> {
    let name = prop_oneof!["list|get|create|update|delete|read|view", ".{0,6}"];
    (select(vec!["Orders", "Public", "Other", "not a name"]), name)
        .prop_map(|(namespace, name)| Action { namespace: namespace.to_owned(), name })
}

fn resource() -> impl Strategy<Value = Resource> {
    let kind = select(vec![
        "Orders::Order",
        "Orders::Collection",
        "Public::Page",
        "Portcullis::User",
        "?",
    ]);
    let id = prop_oneof!["o-100[1-4]", ".{0,8}"];
    (kind, id, select(vec!["orders", "public", "other"])).prop_map(|(kind, id, api)| Resource {
        kind: kind.to_owned(),
        id,
        api: api.to_owned(),
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    use Health::{Ok, Skipped, Truncated, Unavailable};
    let health = || select(vec![Ok, Ok, Ok, Ok, Skipped, Skipped, Truncated, Unavailable]);
    let healths = (health(), health(), health(), health(), health());
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.1));
    let numbers = (any::<i64>(), 0..8_i64, 0..100_i64);
    let words = ("aal[123]|", vec(".{0,6}", 0..4), any::<std::net::IpAddr>());
    (healths, flags, numbers, words).prop_map(|(healths, flags, numbers, words)| {
        let mut facts = Facts::default();
        (
            facts.identity.health,
            facts.session.health,
            facts.waf.health,
            facts.rate.health,
            facts.abuse.health,
        ) = healths;
        (facts.identity.presented, facts.identity.verified, facts.rate.limited) = flags;
        (facts.token.expires_at_s, facts.waf.score, facts.abuse.score) = numbers;
        facts.waf.threshold = 5;
        (facts.token.acr, facts.token.scope, facts.conn.ip) = words;
        facts
    })
}

fn through_text(value: &impl serde::Serialize) -> Value {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_recorded_question_has_the_same_answer(
        principal in principal(),
        action in action(),
        resource in resource(),
        facts in facts(),
    ) {
        let identity = Identity { principal, fact: facts.identity.clone(), token: facts.token.clone() };
        let question = Question { principal: &identity, action: &action, resource: &resource, context: &facts };
        let basis = POLICIES.decide(&question, ()).basis;
        prop_assert_eq!(&POLICIES.decide(&question, ()).basis, &basis);
        let again = POLICIES.ask_again(&through_text(&question), &through_text(&facts)).unwrap();
        prop_assert_eq!(&again, &basis);
        let recorded: Basis = serde_json::from_value(through_text(&basis)).unwrap();
        prop_assert_eq!(&recorded, &basis);
    }
}

/// Two loads of the same text decide alike, to the byte, and have the same digests.
#[test]
fn a_second_load_answers_alike() {
    let other = load(&starter());
    assert_eq!(POLICIES.digests(), other.digests());
    let identity = Identity::anonymous();
    let action = Action { namespace: "Orders".to_owned(), name: "delete".to_owned() };
    let resource = Resource {
        kind: "Orders::Order".to_owned(),
        id: "o-1001".to_owned(),
        api: "orders".to_owned(),
    };
    let mut facts = Facts::default();
    facts.rate.limited = true;
    facts.waf.health = Health::Truncated;
    facts.identity.presented = true;
    let question =
        Question { principal: &identity, action: &action, resource: &resource, context: &facts };
    let text =
        |policies: &Policies| serde_json::to_string(&policies.decide(&question, ()).basis).unwrap();
    assert_eq!(text(&POLICIES), text(&other));
    assert_eq!(
        text(&other),
        r#"{"decision":"deny","determining":["guard-credential","guard-rate-limited","guard-waf-score","guard-waf-truncated"],"errors":[],"would_refuse":[],"would_permit":[],"refusal":"blocked","declared":true,"obligations":{}}"#
    );
}

#[test]
fn what_cannot_be_read_back_is_an_error() {
    let good = serde_json::json!({
        "principal": Principal::default(),
        "action": {"namespace": "Orders", "name": "get"},
        "resource": {"kind": "Orders::Order", "id": "o-1001", "api": "orders"}
    });
    let facts = serde_json::to_value(Facts::default()).unwrap();
    assert!(POLICIES.ask_again(&good, &facts).is_ok());
    let check = |question: &Value, facts: &Value, want: &str| {
        let error = POLICIES.ask_again(question, facts).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    };
    let mut cut = good.clone();
    cut.as_object_mut().unwrap().remove("action");
    check(&cut, &facts, "missing field `action`");
    let mut more = good.clone();
    more["resource"]["attributes"] = Value::Null;
    check(&more, &facts, "unknown field `attributes`");
    check(&good, &Value::Null, "the recorded facts");
}
