//! What cvc5 proves of policies, by the built binary: a change of the starter policies in each
//! direction, the invariants, and the time that one edit among a hundred policies takes.

mod walk_through;

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use fixtures::harness::{Work, binary, repository};
use serde_json::Value;

/// One edit among a hundred policies in sixteen environments, with its counterexample.
const EDIT_MAX: Duration = Duration::from_secs(10);

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("the policies") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a copy");
        }
    }
}

/// The starter policies, with one text exchanged in one file.
fn edited(to: &Path, file: &str, from: &str, with: &str) {
    copy(&repository().expect("the repository").join("policies"), to);
    let text = fs::read_to_string(to.join(file)).expect("the file");
    assert!(text.contains(from), "{file} has no `{from}`");
    fs::write(to.join(file), text.replace(from, with)).expect("the file");
}

/// The exit code and what was printed, as JSON.
fn run(arguments: &[&str]) -> (i32, Value) {
    let mut command = Command::new(binary("portcullis").expect("the binary"));
    let output = command.arg("policy").args(arguments).args(["--format", "json"]).output();
    let output = output.expect("run");
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code().expect("a code"), report)
}

/// The environments that are not equivalent: principal, action and relation.
fn others(report: &Value) -> Vec<String> {
    let all = report["environments"].as_array().expect("environments").iter();
    let last = |value: &Value| {
        let text = value.as_str().expect("a text");
        text.rsplit("::").next().unwrap_or_default().trim_matches('"').to_owned()
    };
    all.filter(|it| it["relation"] != "equivalent")
        .map(|it| {
            format!("{} {} {}", last(&it["principal"]), last(&it["action"]), last(&it["relation"]))
        })
        .collect()
}

#[test]
fn each_direction_of_a_change_is_proved() {
    let old = repository().expect("the repository").join("policies");
    let old = old.to_str().expect("a path");
    let check = |file: &str, from: &str, with: &str, want: &[&str]| {
        let work = Work::new("prove").expect("work");
        let new = work.path().join("policies");
        edited(&new, file, from, with);
        let (code, report) = run(&["diff", old, new.to_str().expect("a path")]);
        assert_eq!(others(&report), want, "{with}: {report:#}");
        assert_eq!(report["proved"], true, "{with}: {report:#}");
        assert_eq!(code, i32::from(!want.is_empty()), "{with}");
        for compared in report["environments"].as_array().expect("environments") {
            let relation = compared["relation"].as_str().expect("a relation");
            let has = |which: &str| !compared[which].is_null();
            assert_eq!(has("wider"), ["wider", "both"].contains(&relation), "{compared:#}");
            assert_eq!(has("narrower"), ["narrower", "both"].contains(&relation), "{compared:#}");
        }
    };
    let (staff, customers) = ("orders/staff.cedar", "orders/customers.cedar");
    check(
        staff,
        "unless { context.token.acr == \"aal2\" };",
        "unless { !(context.token.acr != \"aal2\") };",
        &[],
    );
    check(staff, "context.token.acr == \"aal2\"", "context.token.present", &["User delete both"]);
    check(
        staff,
        "unless { context.token.acr == \"aal2\" }",
        "unless { context.token.acr == \"aal2\" || context.token.acr == \"aal3\" }",
        &["User delete wider"],
    );
    check(
        customers,
        "resource.owner == principal }",
        "resource.owner == principal && context.conn.mtls }",
        &["User get narrower", "User update narrower"],
    );
    check(
        "guardrails/rate.cedar",
        "when { context.rate.limited }",
        "when { context.rate.limited && (context.rate.health == \"ok\" || context.rate.health != \"ok\") }",
        &[],
    );
    // the four words are all that a check can say
    check(
        "guardrails/waf.cedar",
        "context.waf.health != \"skipped\" &&",
        "[\"ok\", \"truncated\", \"unavailable\"].contains(context.waf.health) &&",
        &[],
    );
}

/// Cedar skips a policy that errs. The gateway does not skip a `forbid`.
#[test]
fn a_forbid_that_can_err_is_a_refusal_in_the_proof() {
    let work = Work::new("prove").expect("work");
    let (old, new) = (work.path().join("old"), work.path().join("new"));
    let (file, from) =
        ("guardrails/abuse.cedar", "when { context.abuse.health == \"unavailable\" };");
    let with = |condition: &str| {
        format!(
            "{from}\n@id(\"sum\") @refuse(\"blocked\") forbid (principal, action, resource) when {{ {condition} }};"
        )
    };
    edited(&old, file, from, &with("context.abuse.score > 9223372036854775806"));
    let check = |condition: &str, want: &str| {
        edited(&new, file, from, &with(condition));
        let (_, report) = run(&["diff", old.to_str().unwrap(), new.to_str().unwrap()]);
        let touched = others(&report);
        assert_eq!(report["proved"], true, "{condition}: {report:#}");
        assert_eq!(touched.is_empty(), want.is_empty(), "{condition}: {touched:?}");
        assert!(touched.iter().all(|other| other.ends_with(want)), "{condition}: {touched:?}");
    };
    check("context.abuse.score + 1 < 0 && context.abuse.score >= 0", "");
    check("context.abuse.score + 1 > 9223372036854775806", "narrower");
    check("context.abuse.score - 1 > 9223372036854775806", "both");
}

#[test]
fn the_starter_invariants_hold_and_a_wrong_policy_breaks_one() {
    let policies = repository().expect("the repository").join("policies");
    let (code, report) = run(&["prove", policies.to_str().expect("a path"), "--require-proof"]);
    let all = report["invariants"].as_array().expect("invariants");
    assert!(code == 0 && report["proved"] == true && !all.is_empty(), "{report:#}");

    let work = Work::new("prove").expect("work");
    let new = work.path().join("policies");
    let delete = "action in [Orders::Action::\"get\", Orders::Action::\"update\"]";
    edited(
        &new,
        "orders/customers.cedar",
        delete,
        "action in [Orders::Action::\"get\", Orders::Action::\"delete\"]",
    );
    let (code, report) = run(&["prove", new.to_str().expect("a path")]);
    let all = report["invariants"].as_array().expect("invariants").iter();
    let broken: Vec<_> = all.filter(|held| held["holds"] == "broken").collect();
    assert!(code == 1 && broken.len() == 1, "{report:#}");
    assert_eq!(broken[0]["invariant"], "never-delete-without-second-factor");
    assert_eq!(broken[0]["example"]["answers"]["the set"]["by"][0], "orders-customer-own");
}

/// What the README shows of an exception is the whole change: with all of it the invariants hold,
/// the cases pass and see everything; without the invariant's part, one is broken.
#[test]
fn the_exception_of_the_readme_is_the_whole_change() {
    let root = repository().expect("the repository");
    let page = fs::read_to_string(root.join("README.md")).expect("the page");
    let shown = page.split_once("An exception names who and where").expect("the section").1;
    let mut blocks = shown.split("```").skip(1).step_by(2).map(|block| {
        let (_, text) = block.split_once('\n').expect("a language");
        text.to_owned()
    });
    let mut block = || blocks.next().expect("a block");
    let work = Work::new("prove-exception").expect("work");
    let new = work.path().join("policies");
    copy(&root.join("policies"), &new);
    // Each takes the place of the policy of that id, which ends where the next begins.
    let exchange = |file: &str, id: &str, with: &str| {
        let text = fs::read_to_string(new.join(file)).expect("the file");
        let (before, rest) = text.split_once(&format!("@id(\"{id}\")\n")).expect(id);
        let after = rest.split_once("\n};\n").expect("its end").1;
        assert!(with.starts_with(&format!("@id(\"{id}\")\n")), "{with}");
        fs::write(new.join(file), format!("{before}{with}{after}")).expect("written");
    };
    let path = new.to_str().expect("a path");
    exchange("guardrails/waf.cedar", "guard-waf-score", &block());
    let (code, report) = run(&["prove", path]);
    let all = report["invariants"].as_array().expect("invariants").iter();
    let broken: Vec<_> = all.filter(|held| held["holds"] == "broken").collect();
    assert!(code == 1 && !broken.is_empty(), "{report:#}");
    assert!(broken.iter().all(|held| held["invariant"] == "never-attacked"), "{report:#}");
    exchange("invariants/orders.cedar", "never-attacked", &block());
    let (code, report) = run(&["prove", path, "--require-proof"]);
    assert_eq!((code, &report["proved"]), (0, &Value::Bool(true)), "{report:#}");
    fs::write(new.join("cases/scanners.yaml"), block()).expect("written");
    let (code, report) = run(&["test", path, "--min-coverage", "100"]);
    assert_eq!(code, 0, "{report:#}");
    let (code, report) = run(&["check", path, "--deny-warnings"]);
    assert_eq!(code, 0, "{report:#}");
}

/// A hundred policies of an API of its own: four actions by four kinds of principal.
fn hundred(to: &Path, edit: bool) {
    copy(&repository().expect("the repository").join("policies"), to);
    for directory in ["orders", "public", "invariants", "cases"] {
        fs::remove_dir_all(to.join(directory)).expect("remove");
    }
    let who = "[Portcullis::User, Portcullis::Workload, Portcullis::ApiKey, Portcullis::Anonymous]";
    let action = |n: usize| {
        format!(
            "  action a{n} in [all] appliesTo {{ principal: {who}, resource: [Thing], context: Portcullis::Facts }};\n"
        )
    };
    let actions: String = (0..4).map(action).collect();
    let schema = format!(
        "namespace Bench {{\n  entity Thing in [Portcullis::Api] {{ owner?: Portcullis::User, level?: Long }};\n  action all;\n{actions}}}\n"
    );
    fs::write(to.join("schema.cedarschema"), schema).expect("the schema");
    let entities =
        r#"[{"uid": {"type": "Portcullis::Api", "id": "bench"}, "attrs": {}, "parents": []}]"#;
    fs::remove_dir_all(to.join("entities")).expect("remove");
    fs::create_dir(to.join("entities")).expect("a directory");
    fs::write(to.join("entities/all.json"), entities).expect("the entities");
    let policy = |n: usize| {
        let limit = if edit && n == 50 { n + 1 } else { n };
        let action = n % 4;
        let kind =
            ["principal", "principal is Portcullis::User", "principal is Portcullis::Workload"]
                [n % 3];
        let condition = match n % 5 {
            0 => format!("context.waf.score < {limit}"),
            1 => format!("resource has level && resource.level < {limit}"),
            2 => format!("context.token.acr == \"aal{n}\" || context.conn.mtls"),
            3 => format!("context.conn.sni like \"*.{n}.example\""),
            _ => format!("context.token.scope.contains(\"s{n}\")"),
        };
        format!(
            "@id(\"p{n:03}\")\npermit ({kind} in Portcullis::Role::\"r{n}\", action == Bench::Action::\"a{action}\", resource in Portcullis::Api::\"bench\")\nwhen {{ {condition} }};\n"
        )
    };
    let policies: String = (0..91).map(policy).collect();
    fs::create_dir(to.join("bench")).expect("a directory");
    fs::write(to.join("bench/all.cedar"), policies).expect("the policies");
}

/// Two copies of the starter policies with a template, and these links.
fn linked(work: &Work, links: [&str; 2]) -> [String; 2] {
    let template = "@id(\"orders-read-one\")\npermit (principal == ?principal, action == Orders::Action::\"get\", resource in ?resource)\nwhen { resource in Portcullis::Api::\"orders\" };\n";
    let mut nth = 0;
    links.map(|links| {
        nth += 1;
        let to = work.path().join(format!("set-{nth}"));
        copy(&repository().expect("the repository").join("policies"), &to);
        fs::write(to.join("orders/template.cedar"), template).expect("written");
        fs::create_dir_all(to.join("links")).expect("a directory");
        fs::write(to.join("links/a.yaml"), links).expect("written");
        to.to_str().expect("a path").to_owned()
    })
}

#[test]
fn links_are_compared_by_who_and_what_they_grant_and_until_when() {
    let link = |who: &str, what: &str, until: &str| {
        format!(
            "- {{id: one, template: orders-read-one, principal: 'Portcullis::User::\"{who}\"', \
             resource: '{what}', until: {until}}}\n"
        )
    };
    let (order, api) = ("Orders::Order::\"o-1002\"", "Portcullis::Api::\"orders\"");
    let first = link("corp|alice", order, "never");
    let check = |second: &str, want: &[&str], code: i32| {
        let work = Work::new("prove-links").expect("work");
        let [old, new] = linked(&work, [&first, second]);
        let (got, report) = run(&["diff", &old, &new]);
        assert_eq!(others(&report), want, "{second}: {report:#}");
        assert_eq!(got, code, "{second}: {report:#}");
    };
    check(&first, &[], 0);
    check(&link("corp|alice", api, "never"), &["User get wider"], 1);
    check(&link("corp|mallory", order, "never"), &["User get both"], 1);
    check("[]\n", &["User get narrower"], 1);
    // What is allowed longer or shorter is not compared, and so not proved to be the same.
    check(&link("corp|alice", order, "2999-12-31"), &[], 4);
    let work = Work::new("prove-links").expect("work");
    let [old, new] = linked(&work, [&first, &link("corp|alice", order, "2999-12-31")]);
    let (_, report) = run(&["diff", &old, &new]);
    assert_eq!(report["proved"], false, "{report:#}");
    assert!(report["notes"].to_string().contains("links end at other times"), "{report:#}");
}

#[test]
fn entities_that_differ_are_not_proved_to_be_the_same() {
    let old = repository().expect("the repository").join("policies");
    let work = Work::new("prove-entities").expect("work");
    let new = work.path().join("policies");
    edited(&new, "entities/roles.json", "\"id\": \"support\" }]", "\"id\": \"admin\" }]");
    let cases = new.join("cases");
    fs::remove_dir_all(cases).expect("removed");
    let (code, report) =
        run(&["diff", old.to_str().expect("a path"), new.to_str().expect("a path")]);
    assert_eq!((code, &report["proved"]), (4, &Value::Bool(false)), "{report:#}");
    assert!(report["notes"].to_string().contains("the entities differ"), "{report:#}");
}

#[test]
fn what_would_take_for_ever_is_undecided_at_once() {
    let old = repository().expect("the repository").join("policies");
    let work = Work::new("prove-sums").expect("work");
    let new = work.path().join("policies");
    let sum = vec!["context.conn.port"; 40].join(" + ");
    edited(&new, "guardrails/rate.cedar", "context.rate.limited", &format!("{sum} > 7"));
    fs::remove_dir_all(new.join("cases")).expect("removed");
    let begun = Instant::now();
    let (code, report) =
        run(&["diff", old.to_str().expect("a path"), new.to_str().expect("a path")]);
    assert_eq!(code, 4, "{report:#}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn one_edit_among_a_hundred_policies_is_quick() {
    let work = Work::new("prove").expect("work");
    let (old, new) = (work.path().join("old"), work.path().join("new"));
    hundred(&old, false);
    hundred(&new, true);
    let start = Instant::now();
    let (code, report) = run(&["diff", old.to_str().unwrap(), new.to_str().unwrap()]);
    let took = start.elapsed();
    let environments = report["environments"].as_array().expect("environments").len();
    let others = others(&report);
    println!(
        "policy diff: policies=100 environments={environments} edits=1 s={:.1}",
        took.as_secs_f64()
    );
    assert_eq!((code, environments, &report["proved"]), (1, 16, &Value::Bool(true)), "{report:#}");
    assert!(
        !others.is_empty() && others.iter().all(|other| other.ends_with("wider")),
        "{others:?}"
    );
    assert!(took < EDIT_MAX, "{took:?}");
}
