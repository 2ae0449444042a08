//! Each kind of answer, one fact or one policy changed at a time.

use std::collections::BTreeSet;

use signals::{Facts, Identity, Principal, PrincipalKind};
use verdict::{
    Action, Audit, Cache, Class, Decision, Obligations, Policies, Question, Resource, Verdict,
};

use crate::support::{load, shop};

const PERMIT: &str = r#"@id("see") permit (principal, action in Shop::Action::"read", resource in Portcullis::Api::"shop");
@id("buy") permit (principal in Portcullis::Role::"buyer", action == Shop::Action::"buy", resource in Portcullis::Api::"shop");"#;

fn user(id: &str, groups: &[&str]) -> Principal {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    Principal { kind: PrincipalKind::User, id: id.to_owned(), groups, ..Principal::default() }
}

fn ask(policies: &Policies, principal: &Principal, action: &str, item: &str) -> Verdict<u32> {
    ask_with(policies, principal, action, item, &Facts::default())
}

fn ask_with(
    policies: &Policies,
    principal: &Principal,
    action: &str,
    item: &str,
    facts: &Facts,
) -> Verdict<u32> {
    let identity = Identity { principal: principal.clone(), ..Identity::default() };
    let action = Action { namespace: "Shop".to_owned(), name: action.to_owned() };
    let resource =
        Resource { kind: "Shop::Item".to_owned(), id: item.to_owned(), api: "shop".to_owned() };
    let question =
        Question { principal: &identity, action: &action, resource: &resource, context: facts };
    policies.decide(&question, 7)
}

fn class(verdict: &Verdict<u32>) -> Option<Class> {
    let refused = verdict.outcome.as_ref().err().map(|refused| refused.refusal.class);
    assert_eq!(refused, verdict.basis.refusal);
    assert_eq!(refused.is_none(), verdict.basis.decision == Decision::Allow);
    refused
}

#[test]
fn what_was_asked_about_comes_back() {
    let policies = load(&shop(PERMIT, ""));
    let permit = ask(&policies, &user("corp|a", &[]), "see", "book").outcome.unwrap();
    assert_eq!((*permit.get(), permit.into_inner()), (7, 7));
    let refused = ask(&policies, &user("corp|a", &[]), "buy", "book").outcome.unwrap_err();
    assert_eq!((*refused.get(), refused.into_inner()), (7, 7));
}

#[test]
fn without_a_permit_anonymous_is_unauthenticated_and_others_forbidden() {
    let policies = load(&shop("", ""));
    let check = |principal: Principal, want| {
        let verdict = ask(&policies, &principal, "see", "book");
        assert_eq!(class(&verdict), Some(want), "{principal:?}");
        assert!(verdict.basis.determining.is_empty());
    };
    check(Principal::default(), Class::Unauthenticated);
    check(user("corp|a", &[]), Class::Forbidden);
    let kinds = [PrincipalKind::Workload, PrincipalKind::ApiKey];
    for kind in kinds {
        check(Principal { kind, ..user("corp|a", &[]) }, Class::Forbidden);
    }
}

/// What a guardrail said of some facts is never the answer for others, nor for whom or what it
/// names, however often and in whichever order they come.
#[test]
fn a_guardrail_asked_before_answers_for_the_same_facts_alone() {
    let guardrails = r#"@id("own") @refuse("forbidden") forbid (principal, action, resource) when { context.waf.score == 1 && principal == Portcullis::User::"corp|b" };
@id("waf") @refuse("blocked") forbid (principal, action, resource) when { context.waf.score >= 5 };
@id("rate") @refuse("throttled") forbid (principal, action, resource) when { context.rate.limited };
@id("errs") @refuse("blocked") forbid (principal, action, resource) when { context.waf.score > 900 && context.waf.score + 9223372036854775807 > 0 };"#;
    let policies = load(&shop(PERMIT, guardrails));
    let facts = |score, limited| {
        let mut facts = Facts::default();
        (facts.waf.score, facts.rate.limited) = (score, limited);
        facts
    };
    let cases = [
        ("corp|a", 0, false, None),
        ("corp|b", 1, false, Some(Class::Forbidden)),
        ("corp|a", 1, false, None),
        ("corp|a", 5, false, Some(Class::Blocked)),
        ("corp|a", 4, true, Some(Class::Throttled)),
        ("corp|a", 5, true, Some(Class::Blocked)),
        ("corp|a", 901, false, Some(Class::Unavailable)),
        ("corp|b", 0, false, None),
    ];
    for _ in 0..3 {
        for first in &cases {
            for (who, score, limited, want) in [first].into_iter().chain(&cases) {
                let verdict =
                    ask_with(&policies, &user(who, &[]), "see", "book", &facts(*score, *limited));
                assert_eq!(class(&verdict), *want, "{who} {score} {limited}");
                let erred = verdict.basis.errors.iter().map(|error| error.policy.as_str());
                assert_eq!(erred.eq(["errs"]), *score > 900, "{score}");
            }
        }
    }
}

/// More of them than there are places for what they said.
#[test]
fn each_of_a_hundred_guardrails_is_asked() {
    let guardrail = |nth: i64| {
        format!(
            "@id(\"g{nth}\") @refuse(\"blocked\") forbid (principal, action, resource) when {{ context.waf.score == {nth} }};\n"
        )
    };
    let policies = load(&shop(PERMIT, &(1..=100).map(guardrail).collect::<String>()));
    for _ in 0..2 {
        for score in 0..=101 {
            let mut facts = Facts::default();
            facts.waf.score = score;
            let verdict = ask_with(&policies, &user("corp|a", &[]), "see", "book", &facts);
            let want = if (1..=100).contains(&score) { format!("g{score}") } else { "see".into() };
            assert_eq!(verdict.basis.determining, [want], "{score}");
        }
    }
}

/// Every pair of classes: the worse one is what the client hears, and its texts come with it.
#[test]
fn the_worst_class_wins() {
    let forbid = |class: Class| {
        let word = class.as_str();
        let acr = if class == Class::StepUp { "@acr(\"aal3\")" } else { "" };
        format!(
            "@id(\"{word}\") @refuse(\"{word}\") @message_id(\"m-{word}\") {acr}
             forbid (principal, action, resource);\n"
        )
    };
    for worse in Class::ALL {
        for other in Class::ALL.into_iter().filter(|other| *other > worse) {
            let policies = load(&shop(PERMIT, &(forbid(other) + &forbid(worse))));
            let verdict = ask(&policies, &user("corp|a", &[]), "see", "book");
            assert_eq!(class(&verdict), Some(worse), "{worse:?} and {other:?}");
            let refusal = &verdict.outcome.as_ref().unwrap_err().refusal;
            assert_eq!(refusal.message_id, Some(format!("m-{}", worse.as_str())));
            assert_eq!(refusal.acr.as_deref(), (worse == Class::StepUp).then_some("aal3"));
            let both = BTreeSet::from([worse.as_str(), other.as_str()]);
            assert!(verdict.basis.determining.iter().map(String::as_str).eq(both));
        }
    }
}

#[test]
fn each_class_has_its_status() {
    assert_eq!(Class::ALL.map(Class::status), [503, 403, 401, 429, 401, 403]);
    assert!(Class::ALL.is_sorted());
    for class in Class::ALL {
        assert_eq!(Class::parse(class.as_str()), Some(class));
    }
    assert_eq!(Class::parse("deny"), None);
}

#[test]
fn of_two_forbids_of_one_class_the_first_by_id_speaks() {
    let forbids = r#"@id("b") @refuse("blocked") @message_id("of-b") forbid (principal, action, resource);
@id("a") @refuse("blocked") @message_id("of-a") forbid (principal, action, resource);"#;
    let verdict = ask(&load(&shop(PERMIT, forbids)), &user("corp|a", &[]), "see", "book");
    let refusal = &verdict.outcome.as_ref().unwrap_err().refusal;
    assert_eq!(refusal.message_id.as_deref(), Some("of-a"));
    assert_eq!(verdict.basis.determining, ["a", "b"]);
}

const OVERFLOW: &str = r#"@id("dear") @refuse("forbidden")
forbid (principal, action, resource is Shop::Item in Portcullis::Api::"shop") when { resource.price * 2 > 100 };"#;

/// Strictly valid, and errs on one entity: Cedar alone would allow.
#[test]
fn an_erring_forbid_refuses() {
    let policies = load(&shop(&format!("{PERMIT}{OVERFLOW}"), ""));
    let fine = ask(&policies, &user("corp|a", &[]), "see", "book");
    assert_eq!(class(&fine), None);
    assert!(fine.basis.errors.is_empty());
    let erring = ask(&policies, &user("corp|a", &[]), "see", "island");
    assert_eq!(class(&erring), Some(Class::Unavailable));
    assert_eq!(erring.basis.determining, ["dear"]);
    assert_eq!(erring.basis.errors.len(), 1);
    assert_eq!(erring.basis.errors[0].policy, "dear");
    assert!(erring.basis.errors[0].message.contains("overflow"), "{:?}", erring.basis.errors);
}

#[test]
fn an_erring_forbid_is_worse_than_one_that_holds() {
    let blocked =
        r#"@id("all") @refuse("blocked") @message_id("no") forbid (principal, action, resource);"#;
    let policies = load(&shop(&format!("{PERMIT}{OVERFLOW}"), blocked));
    let verdict = ask(&policies, &user("corp|a", &[]), "see", "island");
    assert_eq!(class(&verdict), Some(Class::Unavailable));
    assert_eq!(verdict.outcome.as_ref().unwrap_err().refusal.message_id, None);
    assert_eq!(verdict.basis.determining, ["all", "dear"]);
}

#[test]
fn an_erring_permit_does_not_count() {
    let cheap = r#"@id("cheap") permit (principal, action, resource is Shop::Item in Portcullis::Api::"shop") when { resource.price * 2 > 1 };"#;
    let alone = ask(&load(&shop(cheap, "")), &user("corp|a", &[]), "see", "island");
    assert_eq!(class(&alone), Some(Class::Forbidden));
    assert!(alone.basis.determining.is_empty());
    assert_eq!(alone.basis.errors[0].policy, "cheap");
    let beside =
        ask(&load(&shop(&format!("{PERMIT}{cheap}"), "")), &user("corp|a", &[]), "see", "island");
    assert_eq!(class(&beside), None);
    assert_eq!(beside.basis.determining, ["see"]);
    assert_eq!(beside.basis.errors.len(), 1);
}

/// The schema requires `price`; an item that the catalogue lacks has none.
#[test]
fn a_missing_attribute_refuses_where_a_forbid_reads_it() {
    let policies = load(&shop(&format!("{PERMIT}{OVERFLOW}"), ""));
    let verdict = ask(&policies, &user("corp|a", &[]), "see", "unknown");
    assert_eq!(class(&verdict), Some(Class::Unavailable));
    assert_eq!(verdict.basis.determining, ["dear"]);
}

/// `unless`, `!` and `!=` on what is absent must not allow.
#[test]
fn absence_never_allows() {
    let check = |condition: &str| {
        let permit = format!(
            "@id(\"p\") permit (principal, action, resource is Shop::Item in Portcullis::Api::\"shop\") {condition};"
        );
        let verdict = ask(&load(&shop(&permit, "")), &user("corp|a", &[]), "see", "unknown");
        assert_eq!(class(&verdict), Some(Class::Forbidden), "{condition}");
        assert_eq!(verdict.basis.errors.len(), 1, "{condition}");
    };
    check("unless { resource.price > 100 }");
    check("when { !(resource.price > 100) }");
    check("when { resource.price != 100 }");
}

#[test]
fn roles_come_through_groups_of_groups() {
    let policies = load(&shop(PERMIT, ""));
    let check = |principal: Principal, want| {
        assert_eq!(class(&ask(&policies, &principal, "buy", "book")), want, "{principal:?}");
    };
    check(user("corp|a", &["corp|team"]), None);
    check(user("corp|a", &["corp|unknown", "corp|all"]), None);
    check(user("corp|a", &["corp|unknown"]), Some(Class::Forbidden));
    check(user("corp|a", &["partner|team"]), Some(Class::Forbidden));
    check(user("corp|vip", &[]), None);
    check(user("partner|vip", &[]), Some(Class::Forbidden));
}

#[test]
fn claims_are_tags() {
    let level = r#"@id("cleared") permit (principal is Portcullis::User, action, resource in Portcullis::Api::"shop")
when { principal.hasTag("clearance") && principal.getTag("clearance").contains("high") };"#;
    let policies = load(&shop(level, ""));
    let mut principal = user("corp|a", &[]);
    assert_eq!(class(&ask(&policies, &principal, "see", "book")), Some(Class::Forbidden));
    let values = BTreeSet::from(["low".to_owned(), "high".to_owned()]);
    principal.attributes.insert("clearance".to_owned(), values);
    assert_eq!(class(&ask(&policies, &principal, "see", "book")), None);
}

/// An `Anonymous` that claims groups (no identity source makes one) gains nothing.
#[test]
fn anonymous_has_no_groups() {
    let any = r#"@id("any") permit (principal in Portcullis::Role::"buyer", action, resource in Portcullis::Api::"shop");"#;
    let policies = load(&shop(any, ""));
    let forged = Principal { kind: PrincipalKind::Anonymous, ..user("anonymous", &["corp|team"]) };
    assert_eq!(class(&ask(&policies, &forged, "see", "book")), Some(Class::Unauthenticated));
}

/// `buy` is declared for users alone: a permit that Cedar would find for others does not count.
#[test]
fn what_the_schema_does_not_declare_is_not_allowed() {
    let all = r#"@id("all") permit (principal, action, resource in Portcullis::Api::"shop");"#;
    let policies = load(&shop(all, ""));
    let check = |principal: Principal, action: &str, want, declared| {
        let verdict = ask(&policies, &principal, action, "book");
        assert_eq!(class(&verdict), want, "{principal:?} {action}");
        assert_eq!(verdict.basis.declared, declared, "{principal:?} {action}");
    };
    let workload = Principal { kind: PrincipalKind::Workload, ..user("corp|w", &[]) };
    check(user("corp|a", &[]), "buy", None, true);
    check(workload, "buy", Some(Class::Forbidden), false);
    check(Principal::default(), "buy", Some(Class::Unauthenticated), false);
    check(user("corp|a", &[]), "sell", Some(Class::Forbidden), false);
    check(user("corp|a", &[]), "read", Some(Class::Forbidden), false);
}

/// Guardrails hold there too; a `forbid` that was not made for the question does not say 503.
#[test]
fn forbids_hold_on_what_is_not_declared() {
    let guardrail = r#"@id("limit") @refuse("throttled") forbid (principal, action, resource) when { context.rate.limited };
@id("tagged") @refuse("blocked") forbid (principal, action == Shop::Action::"buy", resource) when { principal.hasTag("x") && principal.getTag("x").contains("y") };
@id("priced") @refuse("blocked") forbid (principal, action == Shop::Action::"buy", resource) when { resource.price > 100 };"#;
    let policies = load(&shop(PERMIT, guardrail));
    let mut facts = Facts::default();
    let verdict = ask_with(&policies, &Principal::default(), "buy", "unknown", &facts);
    assert_eq!(class(&verdict), Some(Class::Unauthenticated));
    assert_eq!(verdict.basis.errors.len(), 1, "{:?}", verdict.basis.errors);
    facts.rate.limited = true;
    let verdict = ask_with(&policies, &Principal::default(), "buy", "unknown", &facts);
    assert_eq!(class(&verdict), Some(Class::Throttled));
}

#[test]
fn a_question_that_cannot_be_put_is_unavailable() {
    let policies = load(&shop(PERMIT, ""));
    let check = |namespace: &str, kind: &str| {
        let identity = Identity { principal: user("book", &["corp|all"]), ..Identity::default() };
        let action = Action { namespace: namespace.to_owned(), name: "see".to_owned() };
        let resource =
            Resource { kind: kind.to_owned(), id: "book".to_owned(), api: "shop".to_owned() };
        let context = &Facts::default();
        let question =
            Question { principal: &identity, action: &action, resource: &resource, context };
        let verdict = policies.decide(&question, 7);
        assert_eq!(class(&verdict), Some(Class::Unavailable), "{namespace} {kind}");
        assert_eq!(verdict.basis.errors[0].policy, "");
    };
    check("not a name", "Shop::Item");
    check("Shop", "not a name");
    // The resource would be the principal itself, told in two ways.
    check("Shop", "Portcullis::User");
}

#[test]
fn the_catalogue_says_which_api_a_resource_is_in() {
    let policies = load(&shop(PERMIT, ""));
    let identity = Identity { principal: user("corp|a", &[]), ..Identity::default() };
    let check = |id: &str, api: &str, want| {
        let action = Action { namespace: "Shop".to_owned(), name: "see".to_owned() };
        let (id, api) = (id.to_owned(), api.to_owned());
        let resource = Resource { kind: "Shop::Item".to_owned(), id, api };
        let context = &Facts::default();
        let question =
            Question { principal: &identity, action: &action, resource: &resource, context };
        assert_eq!(class(&policies.decide(&question, 7)), want, "{resource:?}");
    };
    check("unknown", "shop", None);
    check("unknown", "elsewhere", Some(Class::Forbidden));
    check("book", "elsewhere", None);
}

#[test]
fn shadow_policies_change_nothing_and_are_told() {
    let shadow = r#"@id("s-forbid") @mode("shadow") @refuse("blocked") @audit("strict") forbid (principal, action, resource in Portcullis::Api::"shop");
@id("s-err") @mode("shadow") @refuse("blocked") forbid (principal, action, resource is Shop::Item in Portcullis::Api::"shop") when { resource.price * 2 > 100 };
@id("s-permit") @mode("shadow") @cache("no-store") permit (principal, action == Shop::Action::"buy", resource in Portcullis::Api::"shop");"#;
    let policies = load(&shop(&format!("{PERMIT}{shadow}"), ""));
    let seen = ask(&policies, &user("corp|a", &[]), "see", "island");
    assert_eq!(class(&seen), None);
    assert_eq!(seen.basis.determining, ["see"]);
    assert_eq!(seen.basis.would_refuse, ["s-err", "s-forbid"]);
    assert!(seen.basis.would_permit.is_empty());
    assert_eq!(seen.basis.errors.len(), 1);
    assert_eq!(seen.basis.obligations, Obligations::default());
    let bought = ask(&policies, &user("corp|a", &[]), "buy", "book");
    assert_eq!(class(&bought), Some(Class::Forbidden));
    assert_eq!(bought.basis.would_permit, ["s-permit"]);
    assert_eq!(bought.basis.would_refuse, ["s-forbid"]);
}

#[test]
fn the_strictest_obligation_wins() {
    let permits = r#"@id("a") @audit("gated") @cache("no-store") permit (principal, action, resource in Portcullis::Api::"shop");
@id("b") @audit("strict") @cache("private") permit (principal, action, resource in Portcullis::Api::"shop");
@id("c") @audit("strict") @cache("no-cache") permit (principal in Portcullis::Group::"corp|nobody", action, resource in Portcullis::Api::"shop");"#;
    let verdict = ask(&load(&shop(permits, "")), &user("corp|a", &[]), "see", "book");
    let want = Obligations { audit: Some(Audit::Strict), cache: Some(Cache::NoStore) };
    assert_eq!(verdict.basis.obligations, want);
    assert_eq!(verdict.outcome.unwrap().obligations(), want);
}

/// Obligations of a permit vanish when a forbid holds; the forbid's own hold.
#[test]
fn a_refusal_has_the_obligations_of_its_forbids() {
    let forbid =
        r#"@id("f") @refuse("blocked") @audit("gated") forbid (principal, action, resource);"#;
    let permit = r#"@id("p") @cache("no-store") @audit("strict") permit (principal, action, resource in Portcullis::Api::"shop");"#;
    let verdict = ask(&load(&shop(permit, forbid)), &user("corp|a", &[]), "see", "book");
    assert_eq!(verdict.basis.obligations, Obligations { audit: Some(Audit::Gated), cache: None });
}

/// Numbers at their ends, and an address in another spelling.
#[test]
fn facts_reach_policy_exactly() {
    let guardrails = r#"@id("score") @refuse("blocked") forbid (principal, action, resource) when { context.waf.score >= context.waf.threshold && context.waf.health == "ok" };
@id("net") @refuse("forbidden") forbid (principal, action, resource) when { context.conn.ip.isInRange(ip("10.0.0.0/8")) };"#;
    let policies = load(&shop(PERMIT, guardrails));
    let check = |score: i64, threshold: i64, ip: &str, want| {
        let mut facts = Facts::default();
        (facts.waf.score, facts.waf.threshold) = (score, threshold);
        facts.waf.health = signals::Health::Ok;
        facts.conn.ip = ip.parse().unwrap();
        let verdict = ask_with(&policies, &user("corp|a", &[]), "see", "book", &facts);
        assert_eq!(class(&verdict), want, "{score} {threshold} {ip}");
    };
    check(4, 5, "192.0.2.1", None);
    check(5, 5, "192.0.2.1", Some(Class::Blocked));
    check(i64::MAX, 5, "192.0.2.1", Some(Class::Blocked));
    check(i64::MIN, 5, "192.0.2.1", None);
    check(0, 5, "10.1.2.3", Some(Class::Forbidden));
    check(0, 5, "::ffff:10.1.2.3", Some(Class::Forbidden));
    check(0, 5, "2001:db8::1", None);
}
