//! What rules find in responses, and rule sets that find nothing there.

use super::*;

const CANARY: &str = "c4n4ry-7f3b";

const THRESHOLDS: &str = "SecAction \"id:1,phase:1,nolog,pass,\
    setvar:tx.inbound_anomaly_score_threshold=5,setvar:tx.outbound_anomaly_score_threshold=4\"\n";

fn load(text: &str) -> Rules {
    let file = RuleFile { name: "a.conf".to_owned(), text: text.as_bytes().to_vec() };
    Rules::load(&[file], &|_| Err("no file".to_owned())).expect("rules")
}

/// Places and messages.
fn told(unfit: Vec<(usize, UnfitRuleSetting)>) -> Vec<(usize, String)> {
    unfit.into_iter().map(|(place, unfit)| (place, unfit.message)).collect()
}

fn settings() -> RuleSettings {
    RuleSettings { responses: Some(1 << 10), ..RuleSettings::default() }
}

fn found(rules: &Rules, settings: RuleSettings, body: &str) -> (Waf, Waf) {
    let rules = rules.viewed(&[settings]).expect("a view");
    let checks = Checks { waf: Inspect::Body, ..Checks::default() };
    let request = Asked::get(format!("/?q={CANARY}")).request();
    let (waf, awaited) = rules.observe_and_keep(&checks, &request, &Conn::default());
    let awaited = awaited.expect("a response is awaited");
    assert!(awaited.reads(b"text/html; charset=utf-8") && !awaited.reads(b"image/png"));
    assert_eq!((awaited.bytes_max(), awaited.protocol()), (1 << 10, "HTTP/1.1"));
    let header = (&b"content-type"[..], &b"text/html"[..]);
    let response = seclang::Response {
        status: 200,
        protocol: b"HTTP/1.1",
        headers: &[header],
        body: body.as_bytes(),
        whole: true,
    };
    (waf, awaited.look(&response))
}

#[test]
fn a_responses_fact_has_its_own_score_and_hits_and_no_value() {
    let rules = load(&format!(
        "{THRESHOLDS}\
         SecRule ARGS \"@rx {CANARY}\" \"id:10,phase:2,msg:'in %{{MATCHED_VAR}}',setvar:tx.anomaly_score=+5\"\n\
         SecRule ARGS \"@rx {CANARY}\" \"id:11,phase:4,msg:'in %{{MATCHED_VAR}}',setvar:tx.outbound_anomaly_score=+1\"\n\
         SecRule RESPONSE_BODY \"@rx {CANARY}\" \"id:12,phase:4,tag:attack-leak,\
         msg:'in %{{MATCHED_VAR}}',setvar:tx.outbound_anomaly_score=+4\"\n\
         SecRule TX:outbound_anomaly_score \"@ge 5\" \"id:13,phase:5,msg:'%{{tx.outbound_anomaly_score}}'\"",
    ));
    let body = format!("<p>{CANARY}</p>");
    let (of_request, waf) = found(&rules, settings(), &body);
    assert_eq!((of_request.score, of_request.rules), (5, vec!["10".to_owned()]));
    assert_eq!((waf.health, waf.score, waf.threshold), (Health::Ok, 5, 4));
    assert_eq!(waf.rules, ["11", "12", "13"]);
    assert_eq!(waf.classes, ["attack-leak"]);
    let targets: Vec<&str> = waf.hits.iter().map(|hit| hit.target.as_str()).collect();
    assert_eq!(targets, ["ARGS:q", "RESPONSE_BODY", "TX:outbound_anomaly_score"]);
    assert_eq!(waf.hits[2].message, "5");
    assert_eq!(waf.inspected_bytes, 18);
    let fact = format!("{waf:?} {}", serde_json::to_string(&waf).expect("a fact"));
    assert!(!fact.contains(CANARY), "{fact}");
    let shadow = RuleSettings { mode: WafMode::Shadow, ..settings() };
    assert_eq!(found(&rules, shadow, &body).1.mode, WafMode::Shadow);
}

#[test]
fn rules_that_find_nothing_in_responses_are_not_asked_to_look_at_them() {
    let check = |text: &str, want: Option<&str>| {
        let rules = load(text);
        let problem = rules.viewed(&[RuleSettings::default(), settings()]).err().map(told);
        let want = want.map(|want| vec![(1, want.to_owned())]);
        assert_eq!(problem, want, "{text}");
    };
    let rule = "SecRule RESPONSE_BODY \"@rx a\" \"id:10,phase:4\"";
    let inbound =
        "SecAction \"id:1,phase:1,nolog,pass,setvar:tx.inbound_anomaly_score_threshold=5\"\n";
    check(&format!("{THRESHOLDS}{rule}"), None);
    check(THRESHOLDS, Some("no rule looks at responses: none is of phase 3 or 4"));
    check(
        &format!("{inbound}{rule}"),
        Some("no `SecAction` sets `tx.outbound_anomaly_score_threshold` to a number above 0"),
    );
    let ours = told(rules().viewed(&[settings()]).expect_err("a problem"));
    assert_eq!(ours, [(0, "no rule looks at responses: none is of phase 3 or 4".to_owned())]);
}

#[test]
fn without_a_word_no_response_is_awaited() {
    let rules = load(&format!("{THRESHOLDS}SecRule RESPONSE_BODY \"@rx a\" \"id:10,phase:4\""));
    let request = Asked::get("/").request();
    let awaited = |waf: Inspect, settings: RuleSettings| {
        let rules = rules.viewed(&[settings]).expect("a view");
        let checks = Checks { waf, ..Checks::default() };
        rules.observe_and_keep(&checks, &request, &Conn::default()).1.is_some()
    };
    assert!(!awaited(Inspect::Body, RuleSettings::default()));
    assert!(!awaited(Inspect::Nothing, settings()));
    assert!(awaited(Inspect::Head, settings()));
}
