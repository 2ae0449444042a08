//! The Core Rule Set as it is published, under a running gateway: what it blocks is recorded with
//! the rule's id, an exception from it is a line of policy, and in shadow it refuses nobody.

use std::{path::PathBuf, process::Command};

use fixtures::{client::Request, idp::login, record::text};
use serde_json::{Value, json};

use super::{
    rules::{accepted, ask, change},
    setting,
};

/// As `cargo xtask ftw` has it.
const MODULE: &str = "github.com/corazawaf/coraza-coreruleset/v4@v4.25.0";
/// What libinjection finds in a parameter.
const SQLI: &str = "942100";

/// The copy that the ordinary Go client gets; without it there is nothing to test, but in CI.
fn copy() -> Option<PathBuf> {
    let outside = std::env::temp_dir();
    let go =
        Command::new("go").args(["mod", "download", "-json", MODULE]).current_dir(outside).output();
    let said = go.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let said: Option<Value> = said.and_then(|said| serde_json::from_slice(&said).ok());
    let dir = said.and_then(|said| Some(PathBuf::from(said.get("Dir")?.as_str()?)));
    let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(dir.is_some() || !is_ci, "`go mod download {MODULE}` gets nothing");
    dir
}

fn matched(event: &Value) -> Vec<&str> {
    let rules = event.pointer("/unmapped/facts/waf/rules").and_then(Value::as_array);
    rules.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn the_core_rule_set_blocks_is_excepted_from_and_is_tried_in_shadow() {
    let Some(dir) = copy() else { return println!("crs: absent") };
    let mut setting = setting("crs");
    let (setup, rules) = ("rules/@crs-setup.conf.example", "rules/@owasp_crs/*.conf");
    let waf = format!(
        "waf:\n  rules: [\"{}\", \"{}\"]\npolicies:\n  directory: policies",
        dir.join(setup).display(),
        dir.join(rules).display()
    );
    change(&setting, "portcullis.yaml", "policies:\n  directory: policies", &waf);
    accepted(&mut setting);
    let alice = login(setting.idp.issuer(), "alice", None).expect("a login").access;
    let attack = "q=1%27%20OR%20%271%27%3D%271";
    let public = Request::new("GET", &format!("/public?{attack}"));
    let orders = Request::new("GET", &format!("/orders?{attack}"))
        .field("Authorization", &format!("Bearer {alice}"));

    // It blocks, and the event has the rule.
    for request in [&public, &orders] {
        let (status, event) = ask(&setting, request);
        assert_eq!((status, text(&event, "/unmapped/reason")), (403, "blocked"), "{event}");
        assert!(matched(&event).contains(&SQLI), "{event}");
    }
    let clean = ask(&setting, &Request::new("GET", "/public?q=a+lamp"));
    assert_eq!((clean.0, matched(&clean.1)), (200, vec![]), "{}", clean.1);

    // An exception for one group and one action.
    change(
        &setting,
        "policies/guardrails/waf.cedar",
        "  context.waf.score >= context.waf.threshold\n};",
        "  context.waf.score >= context.waf.threshold\n}\nunless { principal in Portcullis::Group::\"corp|customers\" && action == Orders::Action::\"list\" };",
    );
    accepted(&mut setting);
    let (status, event) = ask(&setting, &orders);
    assert_eq!(status, 200, "{event}");
    assert!(matched(&event).contains(&SQLI), "{event}");
    let explained = |event: &Value| {
        let words = ["policy", "explain", text(event, "/metadata/uid"), "--from", "spool"];
        let also = ["--bundles", "kept", "--also", "guard-waf-score"];
        setting.portcullis.must(&[&words[..], &also].concat()).expect("explained")
    };
    let told = explained(&event);
    let exception = "unless principal in Portcullis::Group::\"corp|customers\"";
    assert!(told.contains(exception), "{told}");
    let (status, event) = ask(&setting, &public);
    assert_eq!(status, 403, "for others nothing changed: {event}");
    let told = explained(&event);
    assert!(told.contains("determining forbid guard-waf-score"), "{told}");
    assert!(told.contains(&format!("  rule {SQLI} ")), "{told}");

    // In shadow.
    change(&setting, "portcullis.yaml", "waf:\n  rules:", "waf:\n  mode: shadow\n  rules:");
    accepted(&mut setting);
    let (status, event) = ask(&setting, &public);
    assert_eq!(status, 200, "{event}");
    assert!(matched(&event).contains(&SQLI), "{event}");
    assert_eq!(event["unmapped"]["cedar"]["would_refuse"], json!(["guard-waf-shadow"]));
}
