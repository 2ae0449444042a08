use std::fs;

use clap::Parser as _;
use serde_json::{Value, json};

use super::*;
use crate::cli::INVALID;

const RULES: &str = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5,\
    setvar:tx.critical=5\"\n\
    SecRule ARGS \"@rx (?i)union\\s+select\" \"id:2,phase:2,deny,t:none,t:urlDecodeUni,t:lowercase,\
    msg:'a query in %{MATCHED_VAR_NAME}: %{MATCHED_VAR}',tag:'attack-sqli',severity:'CRITICAL',\
    setvar:'tx.anomaly_score=+%{tx.critical}'\"\n\
    SecRule REQUEST_METHOD \"@streq GET\" \"id:3,phase:2,pass,msg:'both',chain\"\n\
    SecRule ARGS:q|!ARGS:token \"!@contains plain\" \"t:lowercase\"\n";

const ATTACK: &str =
    "GET /?q=0123456789%20union%20select%20secret HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    explain: Explain,
}

/// Files, and what is said of them.
struct Place(tempfile::TempDir);

impl Place {
    fn new(rules: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("a.conf", rules);
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Words that begin with `@` are paths here.
    fn run(&self, line: &str) -> (u8, String) {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.0.path().join(name).display().to_string(),
            None => word.to_owned(),
        };
        let words = std::iter::once("explain".to_owned()).chain(line.split(' ').map(word));
        let mut out = Vec::new();
        let code = Line::try_parse_from(words).unwrap().explain.run(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        (code, text.replace(&format!("{}/", self.0.path().display()), ""))
    }

    fn asked(&self, request: &str, more: &str) -> (u8, String) {
        self.write("request", request);
        self.run(format!("@a.conf --request @request {more}").trim_end())
    }
}

#[test]
fn a_hit_is_told_with_how_the_rule_came_to_it_and_masked() {
    let place = Place::new(RULES);
    let (code, text) = place.asked(ATTACK, "");
    assert_eq!(code, DENIED, "{text}");
    let want = "2 a query in ARGS:q: 012…ret (30)\n  ARGS:q 012…ret (30)\n  severity CRITICAL\n  \
        tags attack-sqli\n  a.conf:2, phase 2\n  ARGS @rx (?i)union\\s+select\n    \
        after urlDecodeUni, lowercase\n    sets tx.anomaly_score=+%{tx.critical}\n  \
        adds 5 to anomaly_score\n\
        3 both\n  ARGS:q 012…ret (30)\n  a.conf:3, phase 2\n  REQUEST_METHOD @streq GET\n  \
        and ARGS:q|!ARGS:token !@contains plain\n    after lowercase\n";
    assert!(text.starts_with(want), "{text}\n{want}");
    assert!(text.ends_with("rules explain: hits=2 score=5 threshold=5 health=ok\n"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert!(place.asked(ATTACK, "--matched").1.contains("union select"));
    let (code, json) = place.asked(ATTACK, "--format json");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["score"]), (DENIED, &5.into()));
    let (first, second) = (&json["hits"][0], &json["hits"][1]);
    assert_eq!(first["adds"], json!([{"variable": "anomaly_score", "amount": 5}]), "{json:#}");
    assert_eq!(second["written"]["links"][1]["operator"], "!@contains plain", "{json:#}");
    assert!(!json.to_string().contains("secret"), "{json:#}");
}

#[test]
fn content_is_looked_at_and_nothing_found_is_said() {
    let place = Place::new(RULES);
    let head = "POST / HTTP/1.1\nHost: a.test\nContent-Type: application/x-www-form-urlencoded\n\n";
    assert_eq!(place.asked(&format!("{head}a=union+select+1"), "").0, DENIED);
    let (code, text) = place.asked(&format!("{head}a=1"), "");
    assert_eq!(code, OK);
    assert_eq!(text, "rules explain: hits=0 score=0 threshold=5 health=ok\n");
    let json = "POST / HTTP/1.1\nHost: a.test\nContent-Type: application/json\n\n{\"a\":";
    let (code, text) = place.asked(json, "");
    assert_eq!(code, DENIED, "what is malformed is not looked at whole");
    assert!(text.ends_with("health=malformed\n") && text.starts_with("note: "), "{text}");
}

#[test]
fn a_response_is_looked_at_after_its_request() {
    let rules = format!(
        "{RULES}SecAction \"id:4,phase:1,pass,nolog,setvar:tx.outbound_anomaly_score_threshold=4\"\n\
         SecResponseBodyAccess On\nSecResponseBodyMimeType text/plain\n\
         SecRule RESPONSE_BODY \"@contains ORA-00933\" \"id:5,phase:4,pass,msg:'a leak',\
         setvar:'tx.outbound_anomaly_score=+4'\"\n"
    );
    let place = Place::new(&rules);
    let request = "GET /?q=a HTTP/1.1\nHost: a.test\n\n";
    let head = "HTTP/1.1 500 Internal Server Error\nContent-Type: text/plain\n\n";
    place.write("response", &format!("{head}ORA-00933: not properly ended"));
    let (code, text) = place.asked(request, "--response @response");
    assert_eq!(code, DENIED, "{text}");
    assert!(text.contains("5 a leak\n  RESPONSE_BODY ORA…ded (29)\n"), "{text}");
    let last = "score=0 threshold=5 response_score=4 response_threshold=4 health=ok\n";
    assert!(text.ends_with(last), "{text}");
    let (_, json) = place.asked(request, "--response @response --format json");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["response"], json!({"score": 4, "threshold": 4}), "{json:#}");
    place.write("response", &format!("{head}all is well"));
    let (code, text) = place.asked(request, "--response @response");
    assert_eq!(code, OK, "{text}");
    assert!(text.ends_with("response_score=0 response_threshold=4 health=ok\n"), "{text}");
}

#[test]
fn wrong_rules_are_told() {
    let (code, text) = Place::new("SecRule").asked("GET / HTTP/1.1\n\n", "");
    assert_eq!(code, INVALID);
    assert!(text.ends_with("rules explain: problems=1\n"), "{text}");
}

/// A decision as it is recorded.
fn event(waf: Value) -> String {
    let policies = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let source = crate::bundle::unsealed(&policies, Default::default()).unwrap().source;
    let policies = crate::snapshot::load(&policies, &source).unwrap();
    let mut event =
        crate::cli::policy::setting::event(&policies, "corp|alice", ("Orders", "get", "o-1"));
    for (name, value) in waf.as_object().unwrap() {
        event["unmapped"]["facts"]["waf"][name] = value.clone();
    }
    event.to_string()
}

#[test]
fn a_recorded_decision_is_told_from_its_facts_and_the_rules_at_hand() {
    let place = Place::new(RULES);
    let hits = json!([
        {"rule": "2", "message": "a query in %{MATCHED_VAR_NAME}: %{MATCHED_VAR}", "target": "ARGS:q"},
        {"rule": "3", "message": "another", "target": "ARGS:q"},
    ]);
    let waf = json!({"health": "ok", "mode": "shadow", "score": 7, "threshold": 5,
        "rules": ["2", "3", "99"], "hits": hits});
    place.write("events", &event(waf));
    let (code, text) = place.run("--from @events --decision corp|alice/o-1 @a.conf");
    assert_eq!(code, DENIED, "{text}");
    for part in [
        "decision: corp|alice/o-1\nnote: what matched is not recorded: no event has a value\nmode: shadow\n",
        "2 a query in %{MATCHED_VAR_NAME}: %{MATCHED_VAR}\n  ARGS:q\n  severity CRITICAL\n",
        "  a.conf:2, phase 2\n  ARGS @rx (?i)union\\s+select\n    after urlDecodeUni, lowercase\n",
        "3 another\n  ARGS:q\n  note: the rule says something else now",
        "99 \n  where is not recorded\n  note: these files have no such rule\n",
        "rules explain: hits=3 score=7 threshold=5 health=ok\n",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let (_, text) = place.run("--from @events");
    assert!(text.contains("note: what the rules are is not known: name their files"), "{text}");
    assert!(!text.contains("phase 2"), "{text}");
    let completion = json!({
        "class_uid": 6003,
        "metadata": {"uid": "2", "event_code": "completion", "correlation_uid": "corp|alice/o-1"},
        "unmapped": {"waf": {"health": "ok", "mode": "enforce", "score": 4, "threshold": 4,
            "rules": ["5"],
            "hits": [{"rule": "5", "message": "a leak", "target": "RESPONSE_BODY"}]}},
    });
    place.write("events", &format!("{}\n{completion}\n", event(json!({"health": "skipped"}))));
    let (code, text) = place.run("--from @events");
    assert_eq!(code, DENIED, "{text}");
    for part in [
        "note: rules looked at the response: ok\n",
        "5 a leak\n  RESPONSE_BODY\n",
        " response_score=4 response_threshold=4 health=skipped\n",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let waf = json!({"health": "ok", "rules": ["2\u{1b}[2J"]});
    place.write("events", &event(waf));
    let (_, text) = place.run("--from @events");
    assert!(text.contains("2\\u{1b}[2J \n  where is not recorded\n"), "{text:?}");
    place.write("events", &event(json!({"health": "skipped"})));
    let (code, text) = place.run("--from @events @a.conf");
    assert_eq!(code, OK, "{text}");
    assert!(text.contains("note: rules did not look at this request\n"), "{text}");
}
