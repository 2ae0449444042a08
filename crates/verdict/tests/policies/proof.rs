//! What a prover is handed, and that none of it decides.

use cedar_policy::{Context, Entity, EntityUid};
use verdict::proof::MadeUp;
use verdict::{Decision, Policies};

use crate::support::{load, shop};

const SEE: &str = r#"@id("see") permit (principal, action == Shop::Action::"see", resource in Portcullis::Api::"shop") when { resource.price > 1 };"#;
const NEVER: &str =
    r#"@id("never") @doc("why") forbid (principal, action, resource) unless { context.conn.tls };"#;

fn uid(text: &str) -> EntityUid {
    text.parse().unwrap()
}

/// Somebody sees an item of this price.
fn asked(policies: &Policies, action: &str, price: &str) -> MadeUp {
    let user = "Portcullis::User".parse().unwrap();
    let (action, see) = (uid(action), uid("Shop::Action::\"see\""));
    let context = Policies::plain_context(&user).unwrap();
    let resource = serde_json::json!({
        "uid": {"type": "Shop::Item", "id": "x"},
        "attrs": serde_json::from_str::<serde_json::Value>(price).unwrap(),
        "parents": [{"type": "Portcullis::Api", "id": "shop"}],
    });
    MadeUp {
        principal: Entity::with_uid(uid("Portcullis::User::\"corp|x\"")),
        context: Context::from_json_value(context, Some((policies.schema(), &see))).unwrap(),
        action,
        resource: Entity::from_json_value(resource, None).unwrap(),
    }
}

#[test]
fn a_made_up_request_has_the_answer_of_a_real_one() {
    let policies = load(&shop(SEE, ""));
    let check = |action: &str, price: &str, want: (Decision, usize, usize, bool)| {
        let basis = policies.judge(&asked(&policies, action, price)).unwrap();
        let got = (basis.decision, basis.determining.len(), basis.errors.len(), basis.declared);
        assert_eq!(got, want, "{action} {price}");
    };
    let see = "Shop::Action::\"see\"";
    check(see, r#"{"price": 2}"#, (Decision::Allow, 1, 0, true));
    check(see, r#"{"price": 1}"#, (Decision::Deny, 0, 0, true));
    check(see, "{}", (Decision::Deny, 0, 1, true));
    check("Shop::Action::\"buy\"", r#"{"price": 2}"#, (Decision::Deny, 0, 0, true));
    check("Shop::Action::\"read\"", r#"{"price": 2}"#, (Decision::Deny, 0, 0, false));
}

#[test]
fn an_invariant_is_handed_out_and_decides_nothing() {
    let mut source = shop(SEE, "");
    let without = load(&source);
    source.files.insert("invariants/a.cedar".to_owned(), NEVER.to_owned());
    let with = load(&source);
    assert_eq!(without.invariants().len(), 0);
    assert_eq!(with.invariants().len(), 1);
    assert_eq!(with.digests(), without.digests());
    assert_eq!(with.deciding().unwrap().keys().collect::<Vec<_>>(), ["see"]);
    let asked = asked(&with, "Shop::Action::\"see\"", r#"{"price": 2}"#);
    assert_eq!(with.judge(&asked), without.judge(&asked));
    assert!(with.matches(&with.invariants()[0], &asked));
}

#[test]
fn a_wrong_invariant_keeps_a_set_from_loading() {
    let mut source = shop(SEE, "");
    source.files.insert("invariants/a.cedar".to_owned(), NEVER.replace("tls", "tsl"));
    let problems = Policies::load(&source).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].file, "invariants/a.cedar");
}

#[test]
fn what_a_resource_must_have_is_known() {
    let policies = load(&shop(SEE, ""));
    let item = "Shop::Item".parse().unwrap();
    assert_eq!(policies.required_attributes(&item), ["price"]);
    assert_eq!(policies.known_resources(&item).len(), 2);
}
