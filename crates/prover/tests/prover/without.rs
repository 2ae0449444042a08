//! Without a solver: what is found is real, and nothing is proved but what needs no solver.

use prover::{Holds, Relation, diff, prove};
use serde_json::json;

use crate::support::{BUY, SEE, means, others, shop};

#[test]
fn what_no_change_touches_needs_no_solver() {
    let check = |old: &str, new: &str, want: &[(&str, &str)]| {
        let found = diff(&shop(old, "", ""), &shop(new, "", ""), &means(None)).unwrap();
        let got = others(&found);
        let want: Vec<_> = want.iter().map(|(env, word)| ((*env).to_owned(), *word)).collect();
        assert_eq!(got, want, "{old}\n{new}\n{found:#?}");
    };
    let all = format!("{SEE}; {BUY};");
    check(&all, &all, &[]);
    check(&all, &format!("// moved\n{BUY};\n{SEE};"), &[]);
    check(&all, &format!("{SEE};"), &[("User buy", "narrower")]);
    check(&format!("{SEE};"), &all, &[("User buy", "wider")]);
    check(&all, &format!("{BUY};"), &[("Anonymous see", "narrower"), ("User see", "narrower")]);
    let tls = format!("{SEE}; {BUY} when {{ context.conn.tls }};");
    check(&all, &tls, &[("User buy", "narrower")]);
    let (one, two) = (
        format!("{BUY} when {{ context.token.acr == \"aal1\" }};"),
        format!("{BUY} when {{ context.token.acr == \"aal2\" }};"),
    );
    check(&one, &two, &[("User buy", "both")]);
    let twice = format!("{BUY} when {{ context.conn.tls || !context.conn.tls }};");
    check(&format!("{BUY};"), &twice, &[("User buy", "undecided")]);
}

#[test]
fn a_difference_is_one_small_request() {
    let old = format!(
        "{BUY} when {{ principal in Portcullis::Role::\"buyer\" && context.token.acr == \"aal2\" }};"
    );
    let new = format!("{BUY} when {{ principal in Portcullis::Role::\"buyer\" }};");
    let found = diff(&shop(&old, "", ""), &shop(&new, "", ""), &means(None)).unwrap();
    let wider: Vec<_> = found.environments.iter().filter_map(|env| env.wider.as_ref()).collect();
    assert_eq!(wider.len(), 1);
    let role = json!([{"type": "Portcullis::Role", "id": "buyer"}]);
    assert_eq!(wider[0].principal["parents"], role, "{}", wider[0]);
    assert_eq!(wider[0].resource["attrs"], json!({}));
    assert_eq!(wider[0].facts.get("token.acr"), Some(&json!("")));
    assert_eq!(wider[0].facts.len(), 1, "{}", wider[0]);
    assert_eq!(wider[0].answers["new set"].by, ["buy"]);
    assert!(wider[0].answers["old set"].by.is_empty());
}

/// A refusal by error is one: Cedar alone would let such a request pass.
#[test]
fn a_forbid_that_errs_refuses() {
    let guard = "@id(\"guard\") @refuse(\"blocked\") forbid (principal, action, resource) when { context.abuse.score + 1 < 0 };";
    let buy = format!("{BUY};");
    let found = diff(&shop(&buy, "", ""), &shop(&buy, guard, ""), &means(None)).unwrap();
    let narrower = found.environments.iter().find_map(|env| env.narrower.as_ref()).unwrap();
    assert_eq!(narrower.facts.get("abuse.score"), Some(&json!(i64::MAX)), "{narrower}");
    assert_eq!(narrower.answers["new set"].by, ["guard"]);
}

#[test]
fn shadow_and_annotations_are_listed_and_not_compared() {
    let shadow = "@id(\"guard\") @mode(\"shadow\") @refuse(\"blocked\") forbid (principal, action, resource) when { context.conn.tls };";
    let other = shadow.replace("blocked", "forbidden");
    let cached = BUY.replace("permit", "@cache(\"no-store\") permit");
    let (old, new) = (format!("{SEE}; {BUY};"), format!("{SEE}; {cached};"));
    let found = diff(&shop(&old, shadow, ""), &shop(&new, &other, ""), &means(None)).unwrap();
    assert!(found.proved() && found.count(Relation::Equivalent) == 4, "{found:#?}");
    let changes: Vec<_> = found
        .changes
        .iter()
        .map(|change| (change.policy.as_str(), change.what, change.shadow))
        .collect();
    assert_eq!(changes, [("buy", "annotations", false), ("guard", "annotations", true)]);
    let enforced = shadow.replace("@mode(\"shadow\") ", "");
    let found = diff(&shop(&old, shadow, ""), &shop(&old, &enforced, ""), &means(None)).unwrap();
    let changes: Vec<_> = found.changes.iter().map(|change| (change.what, change.shadow)).collect();
    assert_eq!(changes, [("added", false), ("removed", true)]);
    assert_eq!(found.count(Relation::Narrower), 3, "{found:#?}");
}

#[test]
fn a_broken_invariant_is_found_and_none_is_proved() {
    let check = |policies: &str, want: Holds| {
        let invariant = "@id(\"tls\") @doc(\"why\") forbid (principal, action == Shop::Action::\"buy\", resource) unless { context.conn.tls };";
        let proof = prove(&shop(policies, "", invariant), &means(None)).unwrap();
        let user =
            proof.invariants.iter().find(|held| held.environment.principal.ends_with("User"));
        let user = user.unwrap();
        assert_eq!(user.holds, want, "{user:#?}");
        assert_eq!(user.example.is_some(), want == Holds::Broken);
        assert_eq!(proof.invariants.len(), 2, "it speaks of one action of two principals");
    };
    check(&format!("{BUY};"), Holds::Broken);
    check(&format!("{BUY} when {{ context.conn.tls }};"), Holds::Undecided);
}
