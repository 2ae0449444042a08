//! An operator's own rules: what they find is a fact and in the event, policy decides what follows
//! of it, and files that are wrong change nothing.

use std::{fs, time::Duration};

use fixtures::{
    client::{Client, Request},
    harness::{Setting, wait_for},
    idp::login,
    record::{number, text},
};
use serde_json::{Value, json};

use super::setting;

const SOON: Duration = Duration::from_secs(20);

const RULES: &str =
    "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5\"
SecRule ARGS \"@pmFromFile words.data\" \"id:9001,phase:2,block,t:none,t:lowercase,\\
  msg:'a word of the list',tag:'attack-generic',severity:'CRITICAL',\\
  setvar:'tx.anomaly_score=+5'\"
";

/// The event of a reload.
fn reload(setting: &mut Setting) -> Value {
    let known = setting.record().expect("events").with_code("reload").count();
    setting.gateway.reload().expect("SIGHUP");
    let there = || Ok(setting.record()?.with_code("reload").nth(known).cloned());
    wait_for("the event of a reload", SOON, there).expect("a reload")
}

pub(super) fn accepted(setting: &mut Setting) {
    let event = reload(setting);
    assert_eq!(event["unmapped"]["accepted"], true, "{event}");
}

/// Exchanges a text in a file.
pub(super) fn change(setting: &Setting, file: &str, from: &str, to: &str) {
    let path = setting.dir().join(file);
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.contains(from), "{file} has no `{from}`");
    fs::write(path, text.replacen(from, to, 1)).expect("written");
}

/// Asks, by alice or by nobody: the status and the decision's event.
pub(super) fn ask(setting: &Setting, request: &Request) -> (u16, Value) {
    let answer = setting.client().and_then(|client| client.request(request)).expect("an answer");
    let id = answer.field("portcullis-decision-id").expect("a decision id").to_owned();
    let there = || Ok(setting.record()?.decisions()?.get(id.as_str()).copied().cloned());
    (answer.status(), wait_for("the decision", SOON, there).expect("a decision"))
}

#[test]
fn an_operators_rules_are_facts_that_policy_decides_on() {
    let mut setting = setting("rules");
    let dir = setting.dir().join("rules");
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join("a.conf"), RULES).expect("written");
    fs::write(dir.join("words.data"), "# words\nxyzzy\n").expect("written");
    let waf = "waf:\n  rules: [\"rules/*.conf\"]\npolicies:\n  directory: policies";
    change(&setting, "portcullis.yaml", "policies:\n  directory: policies", waf);
    accepted(&mut setting);

    let alice = login(setting.idp.issuer(), "alice", None).expect("a login").access;
    let bearer = format!("Bearer {alice}");
    let public = Request::new("GET", "/public?q=a%58YZZYb");
    let orders = Request::new("GET", "/orders?q=XYZZY").field("Authorization", &bearer);
    let (status, event) = ask(&setting, &public);
    assert_eq!(status, 403, "{event}");
    let waf = &event["unmapped"]["facts"]["waf"];
    assert_eq!(waf["rules"], json!(["9001"]));
    assert_eq!(waf["hits"][0]["target"], "ARGS:q");
    assert_eq!((number(waf, "/score"), number(waf, "/threshold")), (5, 5), "{waf}");
    assert_eq!(text(&event, "/unmapped/reason"), "blocked");
    let explain = ["policy", "explain", text(&event, "/metadata/uid"), "--from", "spool"];
    let told = setting.portcullis.must(&[&explain[..], &["--bundles", "kept"]].concat());
    let told = told.expect("explained");
    assert!(told.contains("  rule 9001 a word of the list (ARGS:q)\n"), "{told}");
    assert!(!event.to_string().to_ascii_lowercase().contains("xyzzy"), "what matched is told");
    assert_eq!(ask(&setting, &Request::new("GET", "/public?q=fine")).0, 200);
    // Our own rules are not asked.
    assert_eq!(ask(&setting, &Request::new("GET", "/public?q=1%27%20OR%20%271%27%3D%271")).0, 200);
    let metrics = Client::plain(setting.health()).get("/metrics", &[]).expect("metrics").text();
    assert!(metrics.contains("portcullis_waf_rule_hits_total{rule=\"9001\"} 1\n"), "{metrics}");

    // An exception is a line of policy.
    assert_eq!(ask(&setting, &orders).0, 403);
    change(
        &setting,
        "policies/guardrails/waf.cedar",
        "  context.waf.score >= context.waf.threshold\n};",
        "  context.waf.score >= context.waf.threshold\n}\nunless { principal in Portcullis::Group::\"corp|customers\" };",
    );
    accepted(&mut setting);
    let (status, event) = ask(&setting, &orders);
    assert_eq!(status, 200, "{event}");
    assert_eq!(event["unmapped"]["facts"]["waf"]["rules"], json!(["9001"]));
    assert_eq!(ask(&setting, &public).0, 403, "for others nothing changed");

    // A file that is wrong changes nothing, also where another one names it.
    let before = rules_digest(&setting);
    fs::write(dir.join("b.conf"), "SecRule ARGS \"@rxx a\" \"id:9002,phase:2,pass\"\n").expect("w");
    let event = reload(&mut setting);
    assert_eq!(event["unmapped"]["accepted"], false);
    let problem = text(&event, "/unmapped/problems/0");
    assert!(problem.contains("b.conf:1:") && problem.contains("`@rxx`"), "{problem}");
    let told = &event["unmapped"]["rules"];
    assert_eq!((text(told, "/digest"), told.get("before")), (before.as_str(), None), "{event}");
    assert_eq!(rules_digest(&setting), before, "the old ones go on");
    assert_eq!(ask(&setting, &public).0, 403);
    fs::remove_file(dir.join("b.conf")).expect("removed");
    fs::write(dir.join("words.data"), "plugh\n").expect("written");
    accepted(&mut setting);
    assert_eq!(ask(&setting, &public).0, 200, "the words are others");
    fs::write(dir.join("words.data"), "xyzzy\n").expect("written");

    // In shadow nothing is refused, and the event says what would have been.
    change(
        &setting,
        "portcullis.yaml",
        "rules: [\"rules/*.conf\"]",
        "rules: [\"rules/*.conf\"]\n  mode: shadow",
    );
    accepted(&mut setting);
    let (status, event) = ask(&setting, &public);
    assert_eq!(status, 200, "{event}");
    assert_eq!(event["unmapped"]["cedar"]["would_refuse"], json!(["guard-waf-shadow"]));
    assert_eq!(event["unmapped"]["facts"]["waf"]["mode"], "shadow");
}

/// The digest of the rules in force, as metrics have it.
fn rules_digest(setting: &Setting) -> String {
    let metrics = Client::plain(setting.health()).get("/metrics", &[]).expect("metrics").text();
    let line = metrics.lines().find(|line| line.starts_with("portcullis_rules_info{digest=\""));
    line.and_then(|line| line.split('"').nth(1)).expect("a digest").to_owned()
}

/// A changed rule leaves a trace: which rules, and the digests that `/status` and the tools tell.
#[test]
fn a_load_says_which_rules_changed() {
    let mut setting = setting("rules-told");
    let start = setting.record().expect("events").with_code("reload").next().cloned();
    let own = text(&start.expect("the start"), "/unmapped/rules/digest").to_owned();
    assert_eq!(rules_digest(&setting), own, "our own rules have one too");
    let dir = setting.dir().join("rules");
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join("a.conf"), RULES).expect("written");
    fs::write(dir.join("words.data"), "xyzzy\n").expect("written");
    let waf = "waf:\n  rules: [\"rules/*.conf\"]\npolicies:\n  directory: policies";
    change(&setting, "portcullis.yaml", "policies:\n  directory: policies", waf);
    let first = reload(&mut setting);
    let told = &first["unmapped"]["rules"];
    let digest = text(told, "/digest").to_owned();
    assert_eq!((text(told, "/before"), number(told, "/files")), (own.as_str(), 2), "{first}");
    assert_eq!(told["added"]["ids"], json!(["1", "9001"]), "{first}");
    assert!(number(told, "/removed/count") > 10 && told["settings_changed"] == false, "{first}");
    assert_eq!(text(&first, "/unmapped/digests/rules"), digest);
    let check = ["rules", "check", "--config", "portcullis.yaml", "--format", "json"];
    let checked = setting.portcullis.must(&check).expect("checked");
    assert_eq!(serde_json::from_str::<Value>(&checked).expect("JSON")["digest"], digest);
    let step = |setting: &mut Setting, before: &str, what: &str, ids: Value, settings: bool| {
        let event = reload(setting);
        let told = &event["unmapped"]["rules"];
        let changed = json!({"count": ids.as_array().map_or(0, Vec::len), "ids": ids});
        assert_eq!(
            (text(told, "/before"), &told["changed"]),
            (before, &changed),
            "{what}: {event}"
        );
        assert_eq!(told["settings_changed"], settings, "{what}");
        let digest = text(told, "/digest").to_owned();
        assert!(digest != before && rules_digest(setting) == digest, "{what}");
        digest
    };
    fs::write(dir.join("words.data"), "plugh\n").expect("written");
    let digest = step(&mut setting, &digest, "a list of words", json!(["9001"]), false);
    change(&setting, "rules/a.conf", "t:lowercase", "t:urlDecodeUni");
    let digest = step(&mut setting, &digest, "a rule", json!(["9001"]), false);
    change(&setting, "portcullis.yaml", "[\"rules/*.conf\"]", "[\"rules/*.conf\"]\n  threshold: 9");
    let digest = step(&mut setting, &digest, "settings", json!([]), true);
    let event = reload(&mut setting);
    let told = &event["unmapped"]["rules"];
    assert_eq!((text(told, "/digest"), told.get("before")), (digest.as_str(), None), "{event}");
}

/// `rules explain` goes by the route that a request is for, and knows a decision by its id.
#[test]
fn what_rules_found_is_explained_by_route_and_by_decision() {
    let mut setting = setting("rules-explained");
    let dir = setting.dir().join("rules");
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join("a.conf"), RULES).expect("written");
    fs::write(dir.join("words.data"), "xyzzy\n").expect("written");
    let waf = "waf:\n  rules: [\"rules/*.conf\"]\npolicies:\n  directory: policies";
    change(&setting, "portcullis.yaml", "policies:\n  directory: policies", waf);
    change(
        &setting,
        "portcullis.yaml",
        "        path: /public\n",
        "        path: /public\n        waf: {threshold: 9, mode: shadow}\n",
    );
    accepted(&mut setting);
    let (status, event) = ask(&setting, &Request::new("GET", "/public?q=xyzzy"));
    assert_eq!(status, 200, "{event}");
    let request = "GET /public?q=xyzzy HTTP/1.1\r\nHost: localhost\r\n\r\n";
    fs::write(setting.dir().join("request.http"), request).expect("written");
    let explain = |more: &[&str]| {
        let words = ["rules", "explain", "--config", "portcullis.yaml"];
        let output = setting.portcullis.run(&[&words[..], more].concat()).expect("it runs");
        (output.code, output.out)
    };
    let (code, told) = explain(&["--request", "request.http"]);
    let count = "rules explain: hits=1 score=5 threshold=9 health=ok\n";
    assert_eq!((code, told.ends_with(count)), (Some(0), true), "{told}");
    assert!(told.contains("route: public/") && told.contains("mode: shadow\n"), "{told}");
    let id = text(&event, "/metadata/uid");
    let (code, told) = explain(&["--from", "spool", "--decision", id]);
    assert_eq!((code, told.ends_with(count)), (Some(0), true), "{told}");
    assert!(told.contains(&format!("decision: {id}\n")), "{told}");
    assert!(told.contains("9001 a word of the list\n  ARGS:q\n"), "{told}");
    assert!(told.contains("ARGS @pmFromFile words.data\n    after lowercase\n"), "{told}");
    assert!(!told.contains("xyzzy"), "{told}");
}

#[test]
fn a_body_that_is_not_what_it_says_it_is_is_refused() {
    let mut setting = setting("rules-bodies");
    let dir = setting.dir().join("rules");
    fs::create_dir_all(&dir).expect("a directory");
    let json = "SecRule REQUEST_HEADERS:Content-Type \"@contains json\" \\
  \"id:9003,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON\"\n";
    fs::write(dir.join("a.conf"), format!("{RULES}{json}")).expect("written");
    fs::write(dir.join("words.data"), "xyzzy\n").expect("written");
    let waf = "waf:\n  rules: [rules/a.conf]\npolicies:\n  directory: policies";
    change(&setting, "portcullis.yaml", "policies:\n  directory: policies", waf);
    accepted(&mut setting);
    let alice = login(setting.idp.issuer(), "alice", None).expect("a login").access;
    let post = |kind: &str, body: &str| {
        Request::new("POST", "/orders")
            .field("Authorization", &format!("Bearer {alice}"))
            .field("Content-Type", kind)
            .body(body.as_bytes().to_vec())
    };
    let check = |kind: &str, body: &str, status: u16, health: &str| {
        let (got, event) = ask(&setting, &post(kind, body));
        let waf = &event["unmapped"]["facts"]["waf"];
        assert_eq!((got, text(waf, "/health")), (status, health), "{kind} {body}: {waf}");
    };
    check("application/json", "{\"item\":\"lamp\"}", 201, "ok");
    check("application/json", "{\"item\":\"XYZZY\"}", 403, "ok");
    check("application/json", "{\"item\":", 403, "malformed");
    check("application/x-www-form-urlencoded", "item=lamp", 201, "ok");
    check("application/x-www-form-urlencoded", "item=xyzzy", 403, "ok");
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nxyzzy\r\n--b--\r\n";
    check("multipart/form-data; boundary=b", multipart, 403, "ok");
}
