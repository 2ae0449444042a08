//! The policies that the repository ships with.

use std::collections::BTreeSet;

use verdict::cases::{self, Case, CaseResult};
use verdict::{Action, Policies, UndeclaredRoute};

use crate::support::{load, starter, yaml};

fn cases() -> Vec<Case> {
    let files = starter().files.into_iter().filter(|(path, _)| path.starts_with("cases/"));
    let cases = |(path, text): (String, String)| {
        cases::read(&yaml(&text)).unwrap_or_else(|problems| panic!("{path}: {problems:?}"))
    };
    files.flat_map(cases).collect()
}

fn results(policies: &Policies) -> Vec<CaseResult> {
    cases::run_cases(policies, &cases())
}

#[test]
fn every_case_comes_out_as_it_says() {
    let results = results(&load(&starter()));
    assert!(results.len() >= 38, "{} cases", results.len());
    let failed: Vec<_> = results.iter().filter(|result| !result.passed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn no_starter_policy_errs() {
    for CaseResult { name, basis, .. } in results(&load(&starter())) {
        assert!(basis.errors.is_empty(), "{name}: {:?}", basis.errors);
        assert!(basis.declared, "{name}");
    }
}

#[test]
fn every_starter_policy_determines_some_case() {
    let results = results(&load(&starter()));
    let seen: BTreeSet<&str> = results
        .iter()
        .flat_map(|result| result.basis.determining.iter().chain(&result.basis.would_refuse))
        .map(String::as_str)
        .collect();
    let text: String = starter()
        .files
        .iter()
        .filter(|(path, _)| path.ends_with(".cedar") && !path.starts_with("invariants/"))
        .map(|(_, text)| text.as_str())
        .collect();
    let ids = text.split("@id(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let unseen: Vec<_> = ids.filter(|id| !seen.contains(id)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

/// A set without one of its forbids fails a case: the cases hold the policies.
#[test]
fn the_cases_notice_a_missing_policy() {
    let forbids =
        ["guard-credential", "guard-waf-score", "guard-rate-limited", "orders-delete-step-up"];
    for id in forbids {
        let mut source = starter();
        for text in source.files.values_mut() {
            let marked = format!("@id(\"{id}\")");
            *text = text.replace(&marked, &format!("{marked}\n@mode(\"shadow\")"));
        }
        let failed = results(&load(&source)).into_iter().filter(|result| !result.passed()).count();
        assert!(failed > 0, "{id} in shadow fails no case");
    }
}

#[test]
fn routes_are_checked_against_the_set() {
    let policies = load(&starter());
    let check = |name: &str, kind: &str, api: &str, want: Option<&str>| {
        let action = Action { namespace: "Orders".to_owned(), name: name.to_owned() };
        let got = policies.check_route(&action, kind, api).map_err(|error| error.to_string());
        assert_eq!(got.err().as_deref(), want, "{name} {kind} {api}");
    };
    check("get", "Orders::Order", "orders", None);
    check("list", "Orders::Collection", "orders", None);
    check(
        "gett",
        "Orders::Order",
        "orders",
        Some(
            "the schema has no action `Orders::Action::\"gett\"`; did you mean `Orders::Action::\"get\"`?",
        ),
    );
    check(
        "get",
        "Orders::Ordr",
        "orders",
        Some(
            "`Orders::Action::\"get\"` does not apply to `Orders::Ordr`; did you mean `Orders::Order`?",
        ),
    );
    check(
        "read",
        "Orders::Order",
        "orders",
        Some("`Orders::Action::\"read\"` does not apply to `Orders::Order`"),
    );
    check(
        "get",
        "Orders::Order",
        "order",
        Some("no `Portcullis::Api` named `order` in entities/*.json; did you mean `orders`?"),
    );
    let unknown = Action { namespace: "Billing".to_owned(), name: "get".to_owned() };
    let error = policies.check_route(&unknown, "Orders::Order", "orders").unwrap_err();
    assert!(matches!(error, UndeclaredRoute::Action { near: None, .. }));
}
