//! Rules as text, requests as lists, hits as ids; and rule files that must not load.

mod response;

use super::{Health, Interruption, MatchedData};
use crate::{
    Exclusion, File, Limits, Loaded, Outcome, Overlay, Request, Response, RuleSet, Settings, Value,
    Variable, Wanted,
};

const THRESHOLD_RULE: &str =
    "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5\"\n";

/// Loads rules; `words.data` is the one file that they may name.
fn read(text: &str) -> Result<Loaded, Vec<crate::Problem>> {
    let fetch = |wanted: Wanted<'_>| match wanted {
        Wanted::Data { name: "words.data", from } => {
            Ok(vec![File { name: from.to_owned(), text: b"# words\nunion\nselect\n".to_vec() }])
        }
        Wanted::Include { pattern: "more/*.conf", .. } => {
            let text = b"SecRule ARGS \"@rx more\" \"id:900\"".to_vec();
            Ok(vec![File { name: "more/a.conf".to_owned(), text }])
        }
        Wanted::Data { name, .. } | Wanted::Include { pattern: name, .. } => {
            Err(format!("no file `{name}`"))
        }
    };
    RuleSet::load(&[File { name: "f.conf".to_owned(), text: text.as_bytes().to_vec() }], &fetch)
}

fn load(rules: &str) -> RuleSet {
    read(&format!("{THRESHOLD_RULE}{rules}"))
        .unwrap_or_else(|problems| panic!("{problems:?}"))
        .rules
}

/// What the test keeps of an outcome.
#[derive(Debug)]
struct Kept {
    score: i64,
    threshold: i64,
    hits: Vec<KeptHit>,
}

#[derive(Debug)]
struct KeptHit {
    message: String,
    tags: Vec<String>,
    target: String,
}

fn kept(outcome: &Outcome<'_>) -> Kept {
    let hits = outcome.hits.iter().map(|hit| KeptHit {
        message: hit.message.clone(),
        tags: hit.tags.iter().map(|tag| (*tag).to_owned()).collect(),
        target: hit.target.clone(),
    });
    Kept { score: outcome.score, threshold: outcome.threshold, hits: hits.collect() }
}

fn check(rules: &str, values: &[(Variable, &str, &[u8])], want: &[u32]) -> Kept {
    let values: Vec<Value<'_>> = values
        .iter()
        .map(|(variable, name, bytes)| Value { variable: *variable, name: name.as_bytes(), bytes })
        .collect();
    let rules_read = load(rules);
    let overlay = Overlay::default();
    let outcome = rules_read.inspect_values(&values, &overlay, &Limits::default()).outcome();
    let ids: Vec<u32> = outcome.hits.iter().map(|hit| hit.id).collect();
    assert_eq!(ids, want, "{rules} on {values:?}");
    kept(&outcome)
}

#[test]
fn each_operator_looks_for_what_it_says() {
    use Variable::{ArgsGet, RequestHeaders};
    let rx = r#"SecRule ARGS "@rx ^a.c$" "id:10,t:none""#;
    check(rx, &[(ArgsGet, "q", b"a\nc")], &[10]);
    check(rx, &[(ArgsGet, "q", b"a\xffc")], &[10]);
    check(rx, &[(ArgsGet, "q", b"abcd")], &[]);
    check(rx, &[(RequestHeaders, "q", b"abc")], &[]);
    check(r#"SecRule ARGS "^a" "id:10""#, &[(ArgsGet, "q", b"ab")], &[10]);
    check(r#"SecRule ARGS "@rx \x{3c}s" "id:10""#, &[(ArgsGet, "q", b"<s")], &[10]);
    let pm = r#"SecRule ARGS "@pm /etc/passwd cmd.exe" "id:10""#;
    check(pm, &[(ArgsGet, "q", b"x CMD.EXE")], &[10]);
    check(pm, &[(ArgsGet, "q", b"cmdXexe")], &[]);
    check(r#"SecRule ARGS "@contains A.b" "id:10""#, &[(ArgsGet, "q", b"xA.by")], &[10]);
    check(r#"SecRule ARGS "@contains A.b" "id:10""#, &[(ArgsGet, "q", b"xa.by")], &[]);
    check(r#"SecRule ARGS "@detectSQLi" "id:10""#, &[(ArgsGet, "q", b"1' OR '1'='1")], &[10]);
    check(r#"SecRule ARGS "@detectSQLi" "id:10""#, &[(ArgsGet, "q", b"O'Reilly")], &[]);
    check(r#"SecRule ARGS "@detectXSS" "id:10""#, &[(ArgsGet, "q", b"<script>a</script>")], &[10]);
    check(r#"SecRule ARGS "@detectXSS" "id:10""#, &[(ArgsGet, "q", b"1 < 2")], &[]);
}

#[test]
fn negation_and_exclusion() {
    use Variable::{ArgsGet, ArgsPost};
    check(r#"SecRule ARGS "!@rx ^\d+$" "id:10""#, &[(ArgsGet, "n", b"12")], &[]);
    check(
        r#"SecRule ARGS "!@rx ^\d+$" "id:10""#,
        &[(ArgsGet, "n", b"12"), (ArgsPost, "m", b"x")],
        &[10],
    );
    let excluded = r#"SecRule ARGS|!ARGS:Token "@rx x" "id:10""#;
    check(excluded, &[(ArgsGet, "token", b"x")], &[]);
    check(excluded, &[(ArgsGet, "tokens", b"x")], &[10]);
    let whole = r#"SecRule ARGS|!ARGS_GET "@rx x" "id:10""#;
    check(whole, &[(ArgsGet, "q", b"x")], &[]);
    check(whole, &[(ArgsPost, "q", b"x")], &[10]);
    check(
        r#"SecRule ARGS:a "@rx x" "id:10""#,
        &[(ArgsGet, "b", b"x"), (ArgsPost, "A", b"x")],
        &[10],
    );
}

#[test]
fn a_chain_needs_all_its_links_and_each_may_match_elsewhere() {
    use Variable::{ArgsGet, RequestMethod};
    let chain = "SecRule REQUEST_METHOD \"@rx ^POST$\" \"id:10,chain,msg:'m'\"\n  \
                 SecRule ARGS \"@rx x\" \"t:lowercase,setvar:tx.blocking_inbound_anomaly_score=+5\"\n";
    let outcome = check(chain, &[(RequestMethod, "", b"POST"), (ArgsGet, "q", b"X")], &[10]);
    assert_eq!((outcome.score, outcome.threshold), (5, 5));
    assert_eq!(outcome.hits[0].target, "ARGS:q");
    let outcome = check(chain, &[(RequestMethod, "", b"GET"), (ArgsGet, "q", b"X")], &[]);
    assert_eq!(outcome.score, 0);
    check(chain, &[(RequestMethod, "", b"POST")], &[]);
}

#[test]
fn a_tokenizer_in_a_chain_waits_for_the_patterns_wherever_it_stands() {
    use Variable::{ArgsGet, RequestCookies};
    const SQL: &[u8] = b"1' OR '1'='1";
    let before = "SecRule ARGS \"@detectSQLi\" \"id:10,chain\"\nSecRule ARGS|REQUEST_COOKIES \"@rx z\" \"t:none\"\n";
    let after = "SecRule ARGS|REQUEST_COOKIES \"@rx z\" \"id:10,chain\"\nSecRule ARGS:q \"@detectSQLi\" \"t:none\"\n";
    let negated = "SecRule ARGS \"!@detectSQLi\" \"id:10,chain\"\nSecRule REQUEST_COOKIES \"@rx z\" \"t:none\"\n";
    for chain in [before, after] {
        check(chain, &[(ArgsGet, "q", SQL), (RequestCookies, "c", b"z")], &[10]);
        check(chain, &[(ArgsGet, "a", b"z"), (ArgsGet, "q", SQL)], &[10]);
        check(chain, &[(ArgsGet, "q", SQL)], &[]);
        check(chain, &[(ArgsGet, "q", b"z")], &[]);
        check(chain, &[(RequestCookies, "c", SQL), (RequestCookies, "d", b"z")], &[]);
    }
    let outcome = check(after, &[(RequestCookies, "c", b"z"), (ArgsGet, "q", SQL)], &[10]);
    assert_eq!(outcome.hits[0].target, "ARGS:q");
    check(negated, &[(ArgsGet, "q", b"plain"), (RequestCookies, "c", b"z")], &[10]);
    check(negated, &[(ArgsGet, "q", SQL), (RequestCookies, "c", b"z")], &[]);
}

#[test]
fn scores_add_up_through_variables_and_phases_order_the_rules() {
    let rules = r#"
SecRule ARGS "@rx a" "id:20,phase:2,setvar:tx.blocking_inbound_anomaly_score=+%{tx.critical_anomaly_score}"
SecRule ARGS "@rx b" "id:21,phase:1,setvar:'tx.blocking_inbound_anomaly_score=+3',setvar:tx.blocking_inbound_anomaly_score=-1"
SecAction "id:2,phase:1,nolog,setvar:tx.critical_anomaly_score=5"
"#;
    let outcome = check(rules, &[(Variable::ArgsPost, "q", b"ab")], &[21, 20]);
    assert_eq!(outcome.score, 7);
}

#[test]
fn transformations_run_in_order_and_none_starts_over() {
    let args = |bytes: &'static [u8]| [(Variable::ArgsGet, "q", bytes)];
    check(
        r#"SecRule ARGS "@rx ^<x>$" "id:10,t:urlDecodeUni,t:lowercase""#,
        &args(b"%3CX%3e"),
        &[10],
    );
    check(r#"SecRule ARGS "@rx ^<x>$" "id:10,t:urlDecodeUni,t:none""#, &args(b"%3Cx%3e"), &[]);
}

#[test]
fn lengths_and_digests_are_those_of_an_empty_value_too() {
    let empty: [(Variable, &str, &[u8]); 1] = [(Variable::ArgsGet, "q", b"")];
    check(r#"SecRule ARGS "@streq 0" "id:10,t:length""#, &empty, &[10]);
    check(r#"SecRule ARGS "@rx ^da39a3ee" "id:10,t:sha1,t:hexEncode""#, &empty, &[10]);
    check(r#"SecRule ARGS "@rx ^d41d8cd9" "id:10,t:md5,t:hexEncode""#, &empty, &[10]);
    check(r#"SecRule ARGS "@streq 0" "id:10,t:lowercase""#, &empty, &[]);
}

#[test]
fn a_hit_names_the_place_and_never_the_value() {
    let rules = r#"SecRule ARGS "@rx s3cret" "id:10,msg:'found, it\'s here',tag:'attack-x',tag:y""#;
    let outcome = check(rules, &[(Variable::ArgsGet, "p", b"s3cret")], &[10]);
    assert_eq!(outcome.hits[0].message, "found, it's here");
    assert_eq!(outcome.hits[0].tags, ["attack-x", "y"]);
    assert!(!format!("{outcome:?}").contains("s3cret"));
}

/// The ids of all rules that match a request with these values, in order.
fn matched(rules: &str, values: &[(Variable, &str, &[u8])]) -> Vec<u32> {
    let values: Vec<Value<'_>> = values
        .iter()
        .map(|(variable, name, bytes)| Value { variable: *variable, name: name.as_bytes(), bytes })
        .collect();
    let set = load(rules);
    let overlay = Overlay::default();
    let mut matched = set.inspect_values(&values, &overlay, &Limits::default()).outcome().matched;
    matched.retain(|id| *id != 1);
    matched
}

#[test]
fn effects_are_done_for_each_value_that_matches_and_a_chain_decides_at_its_end() {
    use Variable::ArgsGet;
    const TWO: [(Variable, &str, &[u8]); 2] = [(ArgsGet, "a", b"x"), (ArgsGet, "b", b"x")];
    let counted = r#"
SecRule ARGS "@rx x" "id:10,phase:1,setvar:tx.n=+1,setvar:'tx.seen_%{MATCHED_VAR_NAME}=%{MATCHED_VAR}'"
SecRule TX:n "@eq 2" "id:11,phase:1"
SecRule TX:/^seen_/ "@streq x" "id:12,phase:1,setvar:tx.m=+1"
SecRule TX:seen_ARGS:b "@streq x" "id:13,phase:1"
SecRule TX:m "@eq 2" "id:14,phase:1""#;
    assert_eq!(matched(counted, &TWO), [10, 11, 12, 13, 14]);
    let starter = r#"
SecRule ARGS:a "@rx x" "id:10,phase:1,setvar:tx.first=1,deny,chain"
SecRule ARGS:b "@rx y" "setvar:tx.second=1"
SecRule &TX:first "@eq 1" "id:11,phase:1"
SecRule &TX:second "@eq 1" "id:12,phase:1""#;
    assert_eq!(matched(starter, &TWO), [11]);
}

#[test]
fn captures_and_matched_variables_are_those_of_the_last_match() {
    use Variable::ArgsGet;
    let rules = r#"
SecRule ARGS "@rx ^(\w)=(\w)?$" "id:10,phase:1,capture,chain"
SecRule TX:1 "@streq %{TX.2}" "t:none"
SecRule ARGS "@rx ^." "id:11,phase:1,chain"
SecRule MATCHED_VARS "@endsWith =q" "chain"
SecRule MATCHED_VARS_NAMES "@streq ARGS:z" "t:none"
SecRule MATCHED_VAR_NAME "@streq ARGS:z" "id:12,phase:1""#;
    assert_eq!(matched(rules, &[(ArgsGet, "z", b"q=q")]), [10, 11, 12]);
    assert_eq!(matched(rules, &[(ArgsGet, "z", b"p=q")]), [11, 12]);
    assert_eq!(matched(rules, &[(ArgsGet, "z", b"p="), (ArgsGet, "y", b"-")]), [] as [u32; 0]);
}

#[test]
fn markers_and_counts_say_which_rules_do_not_run() {
    let rules = r#"
SecAction "id:10,phase:1,pass,setvar:tx.level=1"
SecRule TX:LEVEL "@lt 2" "id:11,phase:1,skipAfter:END"
SecAction "id:12,phase:1"
SecRule &ARGS "@eq 2" "id:13,phase:2,skip:1"
SecAction "id:14,phase:2"
SecAction "id:15,phase:2"
SecMarker "END"
SecAction "id:16,phase:1"
SecRule &ARGS:b "@gt 0" "id:17,phase:1""#;
    use Variable::ArgsGet;
    assert_eq!(matched(rules, &[(ArgsGet, "a", b"")]), [10, 11, 16, 14, 15]);
    let two: [(Variable, &str, &[u8]); 2] = [(ArgsGet, "a", b""), (ArgsGet, "B", b"")];
    assert_eq!(matched(rules, &two), [10, 11, 16, 17, 13, 15]);
}

#[test]
fn rules_switch_off_rules_and_targets_of_rules() {
    use Variable::{ArgsGet, RequestFilename};
    let rule = |id: u32| {
        format!("SecRule ARGS|REQUEST_FILENAME \"@rx x\" \"id:{id},phase:2,tag:t{id}\"\n")
    };
    let both = [(ArgsGet, "q", &b"x"[..]), (RequestFilename, "", &b"x"[..])];
    let arg = [(ArgsGet, "q", &b"x"[..])];
    for (ctl, both_want, arg_want) in [
        ("ruleRemoveById=20", vec![2, 21], vec![2, 21]),
        ("ruleRemoveById=19-20", vec![2, 21], vec![2, 21]),
        ("ruleRemoveByTag=t20", vec![2, 21], vec![2, 21]),
        ("ruleRemoveByTag=t2", vec![2, 20, 21], vec![2, 20, 21]),
        ("ruleRemoveTargetById=20;ARGS:Q", vec![2, 20, 21], vec![2, 21]),
        ("ruleRemoveTargetById=20;ARGS:/^q/", vec![2, 20, 21], vec![2, 21]),
        ("ruleRemoveTargetByTag=t20;ARGS", vec![2, 20, 21], vec![2, 21]),
        ("ruleRemoveTargetByTag=t20;REQUEST_FILENAME", vec![2, 20, 21], vec![2, 20, 21]),
        ("ruleEngine=Off", vec![2], vec![2]),
        ("ruleEngine=DetectionOnly", vec![2, 20, 21], vec![2, 20, 21]),
        ("auditEngine=Off", vec![2, 20, 21], vec![2, 20, 21]),
    ] {
        let rules = format!("SecAction \"id:2,phase:1,ctl:{ctl}\"\n{}{}", rule(20), rule(21));
        assert_eq!(matched(&rules, &both), both_want, "{ctl}");
        assert_eq!(matched(&rules, &arg), arg_want, "{ctl}");
    }
}

#[test]
fn directives_change_and_remove_the_rules_before_them() {
    use Variable::ArgsGet;
    let rules = "SecRule ARGS \"@rx x\" \"id:20,phase:2,tag:t20,msg:'a message'\"\n";
    let args = [(ArgsGet, "q", &b"x"[..])];
    for (directive, want) in [
        ("SecRuleRemoveById 20", vec![]),
        ("SecRuleRemoveById 1 19-21", vec![]),
        ("SecRuleRemoveById 21", vec![20]),
        ("SecRuleRemoveByTag t20", vec![]),
        ("SecRuleRemoveByTag t2", vec![20]),
        ("SecRuleRemoveByMsg \"a message\"", vec![]),
        ("SecRuleUpdateTargetById 20 !ARGS:q", vec![]),
        ("SecRuleUpdateTargetById 20 \"!ARGS:/^Q$/\"", vec![]),
        ("SecRuleUpdateTargetByTag t20 !ARGS:r", vec![20]),
        ("SecRuleUpdateTargetByMsg \"a message\" !ARGS", vec![]),
        ("SecRuleUpdateTargetById 20 REQUEST_URI ARGS", vec![]),
        ("SecRuleUpdateActionById 20 t:uppercase", vec![]),
        ("SecRuleUpdateActionById 20 nolog", vec![20]),
    ] {
        let text = format!("{rules}{directive}\n");
        assert_eq!(matched(&text, &args), want, "{directive}");
    }
    check(&format!("{rules}SecRuleUpdateActionById 20 nolog"), &args, &[]);
}

#[test]
fn defaults_are_what_a_rule_does_not_say() {
    let args = [(Variable::ArgsGet, "q", &b"X"[..])];
    let defaults = "SecDefaultAction \"phase:2,nolog,deny,status:406,t:lowercase\"\n";
    check(&format!("{defaults}SecRule ARGS \"@rx x\" \"id:20\""), &args, &[]);
    check(&format!("{defaults}SecRule ARGS \"@rx x\" \"id:20,log\""), &args, &[20]);
    check(&format!("{defaults}SecRule ARGS \"@rx x\" \"id:20,log,t:none\""), &args, &[]);
    let set = load(&format!("{defaults}SecRule ARGS \"@rx x\" \"id:20,block\""));
    let value = Value { variable: Variable::ArgsGet, name: b"q", bytes: b"x" };
    let overlay = Overlay::default();
    let outcome = set.inspect_values(&[value], &overlay, &Limits::default()).outcome();
    assert_eq!(outcome.interrupted_by, Some(Interruption { id: 20, status: 406 }));
    // Without a word of scores it counts as much as is refused.
    let set = load("SecRule ARGS \"@rx x\" \"id:20,phase:2,deny\"");
    assert_eq!(set.threshold(), 5);
    assert_eq!(set.inspect_values(&[value], &overlay, &Limits::default()).outcome().score, 5);
    assert_eq!(set.inspect_values(&[], &overlay, &Limits::default()).outcome().score, 0);
    let detects = "SecRuleEngine DetectionOnly\nSecRule ARGS \"@rx x\" \"id:20,phase:2,deny\"";
    let set = load(detects);
    let outcome = set.inspect_values(&[value], &overlay, &Limits::default()).outcome();
    assert_eq!((outcome.interrupted_by, outcome.matched), (None, vec![1, 20]));
}

#[test]
fn a_route_pins_levels_and_thresholds_and_leaves_rules_out() {
    let set = load(
        r#"
SecAction "id:2,phase:1,setvar:tx.blocking_paranoia_level=1"
SecRule TX:BLOCKING_PARANOIA_LEVEL "@ge 3" "id:10,phase:1"
SecRule ARGS "@rx x" "id:11,phase:2,tag:a"
SecRule ARGS "@rx x" "id:12,phase:2,tag:b""#,
    );
    let exclusion = |rules: &[u32], tags: &[&str], target: Option<&str>| Exclusion {
        rules: rules.to_vec(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        target: target.map(str::to_owned),
    };
    let look = |settings: &Settings| {
        let overlay = set.overlay(settings).map_err(|unfit| unfit.message)?;
        let value = Value { variable: Variable::ArgsGet, name: b"q", bytes: b"x" };
        let outcome = set.inspect_values(&[value], &overlay, &Limits::default()).outcome();
        Ok::<_, String>((outcome.threshold, outcome.matched))
    };
    let settings = |exclusions| Settings { exclusions, ..Settings::default() };
    let pinned = Settings { paranoia: Some(3), inbound_threshold: Some(9), ..Settings::default() };
    assert!(look(&pinned).is_err(), "there is no level of detection");
    let pinned = Settings { inbound_threshold: Some(9), ..Settings::default() };
    assert_eq!(look(&pinned), Ok((9, vec![1, 2, 11, 12])));
    for (exclusions, want) in [
        (vec![], vec![1, 2, 11, 12]),
        (vec![exclusion(&[11], &[], None)], vec![1, 2, 12]),
        (vec![exclusion(&[], &["b"], None)], vec![1, 2, 11]),
        (vec![exclusion(&[11], &["b"], Some("ARGS:q"))], vec![1, 2]),
        (vec![exclusion(&[11, 12], &[], Some("ARGS:r"))], vec![1, 2, 11, 12]),
    ] {
        assert_eq!(look(&settings(exclusions.clone())), Ok((5, want)), "{exclusions:?}");
    }
    for wrong in [
        exclusion(&[13], &[], None),
        exclusion(&[], &["c"], None),
        exclusion(&[11], &[], Some("ARG")),
    ] {
        assert!(look(&settings(vec![wrong.clone()])).is_err(), "{wrong:?}");
    }
}

#[test]
fn work_has_a_limit_and_what_is_beyond_it_is_not_looked_at() {
    let set = load("SecRule ARGS \"@rx x\" \"id:10\"\nSecRule ARGS \"@rx y\" \"id:11\"");
    let value = Value { variable: Variable::ArgsGet, name: b"q", bytes: b"xy" };
    let overlay = Overlay::default();
    for (work_bytes_max, want) in [(16, vec![1, 10, 11]), (10, vec![1, 10, 11]), (9, vec![1, 10])] {
        let limits = Limits { work_bytes_max, ..Limits::default() };
        let outcome = set.inspect_values(&[value], &overlay, &limits).outcome();
        let health = if want.len() == 3 { Health::Ok } else { Health::Truncated };
        assert_eq!((outcome.matched, outcome.health), (want, health), "{work_bytes_max}");
    }
    let limits = Limits { values_max: 1, ..Limits::default() };
    assert_eq!(
        set.inspect_values(&[value, value], &overlay, &limits).outcome().health,
        Health::Truncated
    );
}

#[test]
fn a_text_that_is_put_into_itself_ends() {
    let set = load(
        "SecAction \"id:2,phase:1,setvar:tx.a=0123456789abcdef\"\n\
         SecRule ARGS \"@rx x\" \"id:10,phase:1,setvar:'tx.a=%{tx.a}%{tx.a}'\"\n",
    );
    let value = Value { variable: Variable::ArgsGet, name: b"q", bytes: b"x" };
    let overlay = Overlay::default();
    for (count, want) in [(16, Health::Ok), (17, Health::Truncated), (1_000, Health::Truncated)] {
        let inspection = set.inspect_values(&vec![value; count], &overlay, &Limits::default());
        assert_eq!(inspection.outcome().health, want, "{count}");
    }
}

fn request<'a>(
    headers: &'a [(&'a [u8], &'a [u8])],
    target: &'a str,
    body: &'a [u8],
) -> Request<'a> {
    Request {
        method: b"POST",
        target: target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers,
        body,
        client: std::net::IpAddr::from([192, 0, 2, 1]),
        client_port: 4711,
        id: "7",
    }
}

#[test]
fn codings_in_several_lines_are_one_list() {
    let set = load("SecRule REQBODY_ERROR \"@eq 1\" \"id:20,phase:2\"");
    let overlay = Overlay::default();
    let check = |codings: &[&[u8]], want: Health| {
        let mut headers = vec![(&b"Content-Type"[..], &b"text/plain"[..])];
        headers.extend(codings.iter().map(|coding| (&b"content-encoding"[..], *coding)));
        let inspection = set.inspect(&request(&headers, "/", b"x"), &overlay, &Limits::default());
        assert_eq!(inspection.outcome().health, want, "{codings:?}");
    };
    let nested = Health::Malformed(crate::body::Reason::CodingNested);
    check(&[b"identity"], Health::Ok);
    check(&[b"identity", b"gzip"], nested);
    check(&[b"gzip", b"identity"], nested);
    check(&[b"", b"gzip"], nested);
    check(&[b"gzip", b"gzip"], nested);
}

#[test]
fn many_short_values_are_work_too() {
    let rules: String =
        (10..30).map(|id| format!("SecRule ARGS \"@rx ;{id}x\" \"id:{id},phase:2\"\n")).collect();
    let set = load(&rules);
    let work = |target: &str| {
        let asked = request(&[], target, b"");
        set.inspect(&asked, &Overlay::default(), &Limits::default()).work_bytes()
    };
    // What is read is as much; that it is in pieces is what differs.
    let one = work(&format!("/?a={}&b=x0123456789", ";".repeat(500)));
    let many = work(&format!("/?{}b=x0123456789", "a=;&".repeat(500)));
    assert!(many > one + 20 * 500, "{one} {many}");
}

/// The ids that a whole request matches, and its health.
fn asked(rules: &str, kind: &str, target: &str, body: &[u8]) -> (Vec<u32>, Health) {
    let set = load(rules);
    let headers = [
        (&b"Host"[..], &b"example.com"[..]),
        (b"Content-Type", kind.as_bytes()),
        (b"Cookie", b"a=1; b=x=y"),
    ];
    let overlay = Overlay::default();
    let inspection = set.inspect(&request(&headers, target, body), &overlay, &Limits::default());
    let mut outcome = inspection.outcome();
    outcome.matched.retain(|id| *id != 1);
    (outcome.matched, outcome.health)
}

#[test]
fn a_request_becomes_variables() {
    for (target, test) in [
        ("/a%20b/c.php?q=1+2&r", r#"REQUEST_URI_RAW "@streq /a%20b/c.php?q=1+2&r""#),
        ("http://h/a?b", r#"REQUEST_URI "@streq /a?b""#),
        ("/a%20b/c.php?q", r#"REQUEST_FILENAME "@streq /a b/c.php""#),
        ("/a%20b/c%2ephp?q", r#"REQUEST_BASENAME "@streq c.php""#),
        ("/?q=1+2&r", r#"QUERY_STRING "@streq q=1+2&r""#),
        ("/?q=1+2&r", r#"ARGS_GET:q "@streq 1 2""#),
        ("/?q=1+2&r", r#"ARGS_NAMES "@streq r""#),
        ("/?q=1+2&r", r#"&ARGS "@eq 2""#),
        ("/?q=12", r#"ARGS_COMBINED_SIZE "@eq 3""#),
        ("/", r#"REQUEST_LINE "@streq POST / HTTP/1.1""#),
        ("/", r#"REQUEST_HEADERS:host "@streq example.com""#),
        ("/", r#"REQUEST_HEADERS_NAMES "@streq Content-Type""#),
        ("/", r#"REQUEST_COOKIES:b "@streq x=y""#),
        ("/", r#"&REQUEST_COOKIES_NAMES "@eq 2""#),
        ("/", r#"REMOTE_ADDR "@ipMatch 192.0.2.0/24""#),
        ("/", r#"REMOTE_PORT "@eq 4711""#),
        ("/", r#"SERVER_NAME "@streq example.com""#),
        ("/", r#"UNIQUE_ID "@streq 7""#),
        ("/", r#"REQBODY_ERROR "@eq 0""#),
        ("/", r#"REQUEST_METHOD "@within GET POST""#),
    ] {
        let rules = format!("SecRule {test} \"id:10,phase:2,t:none\"");
        assert_eq!(asked(&rules, "", target, b""), (vec![10], Health::Ok), "{target} {test}");
    }
}

#[test]
fn a_body_becomes_variables_by_its_processor() {
    const FORM: &str = "application/x-www-form-urlencoded";
    const PARTS: &str = "multipart/form-data; boundary=b";
    let part: &[u8] = b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.php\"\r\n\r\nhello\r\n--b--\r\n";
    for (kind, body, test) in [
        (FORM, &b"q=1%2b"[..], r#"ARGS_POST:q "@streq 1+""#),
        (FORM, b"q=1%2b", r#"REQUEST_BODY "@streq q=1%2b""#),
        (FORM, b"q=1%2b", r#"REQUEST_BODY_LENGTH "@eq 6""#),
        (FORM, b"q=1", r#"REQBODY_PROCESSOR "@streq URLENCODED""#),
        ("text/plain", b"q=1", r#"REQUEST_BODY "@streq q=1""#),
        ("text/plain", b"q=1", r#"&ARGS "@eq 0""#),
        ("application/json", br#"{"a":[{"b":"x"}]}"#, r#"ARGS:json.a.0.b "@streq x""#),
        ("application/json", br#"{"a":[1,2]}"#, r#"ARGS:json.a "@streq 2""#),
        ("text/xml", b"<a b='c'>d</a>", r#"XML:/* "@streq d""#),
        ("text/xml", b"<a b='c'>d</a>", r#"XML://@* "@streq c""#),
        (PARTS, part, r#"FILES "@streq x.php""#),
        (PARTS, part, r#"FILES_NAMES "@streq f""#),
        (PARTS, part, r#"FILES_COMBINED_SIZE "@eq 5""#),
        (PARTS, part, r#"MULTIPART_PART_HEADERS:f "@beginsWith Content-Disposition""#),
        (PARTS, part, r#"MULTIPART_STRICT_ERROR "@eq 0""#),
    ] {
        let rules = format!(
            "SecRule REQUEST_HEADERS:Content-Type \"@contains json\" \"id:2,phase:1,nolog,ctl:requestBodyProcessor=JSON\"\n\
             SecRule REQUEST_HEADERS:Content-Type \"@contains xml\" \"id:3,phase:1,nolog,ctl:requestBodyProcessor=XML\"\n\
             SecRule {test} \"id:10,phase:2,t:none\""
        );
        let (mut ids, health) = asked(&rules, kind, "/", body);
        ids.retain(|id| *id >= 10);
        assert_eq!((ids, health), (vec![10], Health::Ok), "{kind} {test}");
    }
    let rules = "SecAction \"id:2,phase:1,ctl:requestBodyProcessor=JSON\"\n\
                 SecRule REQBODY_ERROR \"@eq 1\" \"id:10,phase:2\"\nSecRule REQUEST_BODY \"@rx x\" \"id:11,phase:2\"";
    let (ids, health) = asked(rules, "application/json", "/", b"{x");
    assert_eq!((ids, health), (vec![2, 10, 11], Health::Malformed(crate::body::Reason::Json)));
    let (ids, health) = asked(rules, "application/json", "/", br#"{"a":1,"\u0061":2}"#);
    assert_eq!((ids, health), (vec![2], Health::Malformed(crate::body::Reason::DuplicateKey)));
}

#[test]
fn an_answer_is_looked_at_where_its_type_is() {
    let set = load(
        "SecResponseBodyAccess On\n\
         SecRule RESPONSE_STATUS \"@eq 500\" \"id:10,phase:3\"\n\
         SecRule RESPONSE_HEADERS:X \"@rx y\" \"id:11,phase:3\"\n\
         SecRule RESPONSE_BODY \"@rx trace\" \"id:12,phase:4\"\n\
         SecAction \"id:13,phase:5\"",
    );
    let overlay = Overlay::default();
    for (kind, want) in
        [("text/html; charset=x", vec![1, 10, 11, 12, 13]), ("image/png", vec![1, 10, 11, 13])]
    {
        let mut inspection = set.inspect(&request(&[], "/", b""), &overlay, &Limits::default());
        inspection.response(&Response {
            status: 500,
            protocol: b"HTTP/1.1",
            headers: &[(b"X", b"y"), (b"Content-Type", kind.as_bytes())],
            body: b"a trace",
            whole: true,
        });
        inspection.finish();
        assert_eq!(inspection.outcome().matched, want, "{kind}");
    }
}

#[test]
fn what_matched_is_told_on_request_and_masked() {
    let set = load(
        "SecRule ARGS \"@rx s3cret\" \"id:10,msg:'%{MATCHED_VAR} %{tx.n}',logdata:'%{MATCHED_VAR}'\"",
    );
    let bytes = b"a s3cret that is rather long";
    let value = Value { variable: Variable::ArgsGet, name: b"q", bytes };
    let overlay = Overlay::default();
    let inspection = set.inspect_values(&[value], &overlay, &Limits::default());
    for (data, told, want) in [
        (MatchedData::Omit, None, false),
        (MatchedData::Masked, Some("a s…ong (28)"), false),
        (MatchedData::Plain, Some("a s3cret that is rather long"), true),
    ] {
        let outcome = inspection.outcome_with(data);
        assert_eq!(outcome.hits[0].data.as_deref(), told);
        assert_eq!(format!("{outcome:?}").contains("s3cret"), want, "{data:?}");
    }
}

#[test]
fn a_message_tells_what_rules_say_and_hides_what_was_sent() {
    let set = load(
        "SecAction \"id:9,phase:1,pass,nolog,setvar:tx.worth=5\"\n\
         SecRule ARGS \"@rx (s3cret)\" \"id:10,phase:1,capture,setvar:'tx.x_score=+%{tx.worth}',\
         msg:'%{tx.worth} in %{MATCHED_VAR_NAME}: %{tx.1}, %{rule.id} %{rule.logdata}',\
         logdata:'%{MATCHED_VAR}'\"\n\
         SecRule ARGS \"@rx (none)?\" \"id:11,phase:1,nolog,pass,capture\"\n\
         SecRule ARGS \"@rx s\" \"id:12,phase:1,msg:'%{rule.msg}!'\"",
    );
    let value = Value { variable: Variable::ArgsGet, name: b"q", bytes: b"a s3cret" };
    let overlay = Overlay::default();
    let inspection = set.inspect_values(&[value], &overlay, &Limits::default());
    for (data, want) in [
        (MatchedData::Omit, "5 in %{MATCHED_VAR_NAME}: %{tx.1}, 10 %{RULE.logdata}"),
        (MatchedData::Masked, "5 in ARGS:q: … (6), 10 a…t (8)"),
        (MatchedData::Plain, "5 in ARGS:q: s3cret, 10 a s3cret"),
    ] {
        let outcome = inspection.outcome_with(data);
        assert_eq!(outcome.hits[0].message, want, "{data:?}");
    }
    // A message of itself has an end.
    assert_eq!(inspection.outcome_with(MatchedData::Plain).hits[1].message, "!!");
    assert_eq!(inspection.adds(10), [("x_score".to_owned(), 5)]);
    assert_eq!(inspection.adds(11), []);
}

#[test]
fn files_that_rules_name_are_fetched() {
    let rules = "Include more/*.conf\nSecRule ARGS \"@pmFromFile words.data\" \"id:10\"";
    check(rules, &[(Variable::ArgsGet, "q", b"a UNION more")], &[900, 10]);
    check(rules, &[(Variable::ArgsGet, "q", b"# words")], &[]);
    refused(
        "Include other\nSecRule ARGS \"@pmFromFile other\" \"id:10\"",
        &["1:9 no file `other`", "2:27 no file `other`"],
    );
}

#[test]
fn what_has_no_meaning_here_is_told() {
    let text = "SecAuditEngine On\nSecRule IP:x|ARGS \"@rx a\" \"id:10,setvar:ip.x=1\"\n\
                SecRule REMOTE_ADDR \"@rbl example.com\" \"id:11,initcol:ip=%{REMOTE_ADDR}\"\nSecRuleRemoveById 12";
    let told: Vec<String> =
        read(text).expect("it loads").notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "f.conf:1:1: `SecAuditEngine` has no meaning here",
            "f.conf:2:9: `IP` is not evaluated here",
            "f.conf:2:41: variables of `ip` are not kept here",
            "f.conf:3:23: `@rbl` is not evaluated here",
            "f.conf:3:47: `initcol` is not evaluated here",
            "f.conf:4:1: `SecRuleRemoveById` means no rule that comes before it",
        ]
    );
}
fn refused(text: &str, want: &[&str]) {
    let problems = read(text).expect_err("refused");
    let got: Vec<String> =
        problems.iter().map(|p| format!("{}:{} {}", p.line, p.column, p.message)).collect();
    assert_eq!(got, want, "{text}");
}

#[test]
fn what_is_not_known_is_an_error_with_its_place_and_all_are_told() {
    let text = r#"# a comment
SecRuleEngin On
SecRule ARGS|FILEZ "@rx a" "id:1,phase:2"
SecRule ARGS "@witin a" "id:2"
SecRule ARGS "@rx (" "id:3"
SecRule ARGS "@rx a" "id:4,t:sha9"
SecRule ARGS "@rx a" \
    "id:5,\
    denie"
SecRule ARGS "@rx a" "msg:x"
SecRule ARGS "@rx a" "id:1"
SecRule ARGS "@rx a" "id:x"
SecRule ARGS "@rx a" "id:6,phase:6"
SecRule ARGS "@rx a" "id:7,setvar:tx"
SecRule ARGS "@rx" "id:8"
SecRule ARGS "@detectXSS x" "id:9"
SecRule ARGS
SecRule !ARGS:a "@rx a" "id:11"
SecRule ARGS "@rx a" "id:12,pass:x"
SecRule ARGS "@rx a" "id:13,t"
SecRule ARGS "@rx a
SecRule ARGS "@rx a(?=b)" "id:14,ctl:ruleRemovById=1"
SecRule ARGS "@rx a" "id:15,skipAfter:NOWHERE"
SecRule ARGS "@streq %{tz.a}" "id:16"
SecRule REQUEST_URI:a "@rx a" "id:17"
SecRule ARGS "@rx a" "id:18,chain"
"#;
    refused(
        text,
        &[
            "2:1 unknown directive `SecRuleEngin`",
            "3:14 unknown variable `FILEZ`",
            "4:16 unknown operator `@witin`",
            "5:19 the pattern does not compile: unclosed group",
            "6:30 unknown transformation `sha9`",
            "9:5 unknown action `denie`",
            "10:1 the rule has no `id`",
            "11:26 the id `1` is used twice",
            "12:1 the rule has no `id`",
            "12:26 `x` is no id: a number above 0 is",
            "13:34 `6` is no phase: 1 to 5 are",
            "14:35 `tx` is no assignment",
            "15:16 `@rx` needs an argument",
            "16:26 `@detectXSS` takes no argument",
            "17:1 `SecRule` takes targets, an operator and actions, not 1 arguments",
            "18:9 the rule excludes targets and names none",
            "19:29 `pass` takes no value",
            "20:29 `t` needs a value",
            "21:14 the quote is not closed",
            "22:19 the pattern does not compile: look-around, including look-ahead and look-behind, is not supported",
            "22:38 unknown setting `ruleRemovById` of `ctl`",
            "23:39 no `SecMarker NOWHERE` comes after this rule",
            "24:22 unknown variable `tz`",
            "25:9 `REQUEST_URI` has no members to choose from",
            "26:1 `chain` with no rule after it",
        ],
    );
    let hints =
        |text: &str| read(text).expect_err("refused").pop().and_then(|problem| problem.hint);
    assert_eq!(hints("SecRuleEngin On").as_deref(), Some("`SecRuleEngine` is known"));
    assert_eq!(hints("SecRule ARG \"@rx a\" \"id:1\"").as_deref(), Some("`ARGS` is known"));
    assert_eq!(hints("SecRule ARGS \"@rxx a\" \"id:1\"").as_deref(), Some("`@rx` is known"));
    // A rule that is removed may have a pattern that cannot be used.
    let removed = "SecRule ARGS \"@rx a(?=b)\" \"id:14\"\nSecRuleRemoveById 14";
    assert!(read(removed).is_ok());
}

#[test]
fn a_set_says_its_threshold_or_has_none() {
    assert_eq!(load("").threshold(), 5);
    assert_eq!(read("SecRule ARGS \"@rx a\" \"id:1\"").expect("it loads").rules.threshold(), 0);
}

/// As a copy of the CRS without the engine's recommended configuration.
#[test]
fn a_body_is_read_by_its_type_where_no_rule_says_how() {
    let rules = "SecRule ARGS|XML:/* \"@contains evil\" \"id:10,phase:2,pass\"\n";
    let check = |kind: &str, body: &str, want: (&[u32], bool)| {
        let (ids, health) = asked(rules, kind, "/", body.as_bytes());
        assert_eq!((ids.as_slice(), health == Health::Ok), want, "{kind} {body}");
    };
    for kind in
        ["application/json", "Application/JSON; charset=utf-8", "application/x.y+json", "text/json"]
    {
        check(kind, "{\"a\":\"evil\"}", (&[10], true));
        check(kind, "{\"a\":\"fine\"}", (&[], true));
        check(kind, "{\"a\":", (&[], false));
    }
    for kind in ["application/xml", "text/xml;charset=utf-8", "application/soap+xml"] {
        check(kind, "<a>evil</a>", (&[10], true));
        check(kind, "<a>", (&[], false));
    }
    check("text/plain", "{\"a\":\"evil\"}", (&[], true));
    // A rule may choose another, or none.
    let other =
        format!("SecAction \"id:20,phase:1,nolog,ctl:requestBodyProcessor=URLENCODED\"\n{rules}");
    let (ids, _) = asked(&other, "application/json", "/", b"a=evil");
    assert!(ids.contains(&10), "{ids:?}");
}
