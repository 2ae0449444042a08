//! Rules as text, requests as lists, hits as ids; and rule files that must not load.

use super::*;
use crate::subset::Collection;

const THRESHOLD_RULE: &str =
    "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5\"\n";

fn load(rules: &str) -> RuleSet {
    let text = format!("{THRESHOLD_RULE}{rules}");
    RuleSet::load(&[("test.conf", &text)]).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn check(rules: &str, values: &[(Collection, &str, &[u8])], want: &[&str]) -> Outcome {
    let mut input = Input::new(64);
    for (collection, name, bytes) in values {
        input.push(*collection, *name, *bytes);
    }
    let outcome = load(rules).evaluate(&input);
    let ids: Vec<&str> = outcome.hits.iter().map(|hit| hit.id.as_str()).collect();
    assert_eq!(ids, want, "{rules} on {values:?}");
    outcome
}

#[test]
fn each_operator_looks_for_what_it_says() {
    use Collection::{ArgsGet, RequestHeaders};
    let rx = r#"SecRule ARGS "@rx ^a.c$" "id:10,t:none""#;
    check(rx, &[(ArgsGet, "q", b"a\nc")], &["10"]);
    check(rx, &[(ArgsGet, "q", b"a\xffc")], &["10"]);
    check(rx, &[(ArgsGet, "q", b"abcd")], &[]);
    check(rx, &[(RequestHeaders, "q", b"abc")], &[]);
    check(r#"SecRule ARGS "^a" "id:10""#, &[(ArgsGet, "q", b"ab")], &["10"]);
    check(r#"SecRule ARGS "@rx \x{3c}s" "id:10""#, &[(ArgsGet, "q", b"<s")], &["10"]);
    let pm = r#"SecRule ARGS "@pm /etc/passwd cmd.exe" "id:10""#;
    check(pm, &[(ArgsGet, "q", b"x CMD.EXE")], &["10"]);
    check(pm, &[(ArgsGet, "q", b"cmdXexe")], &[]);
    check(r#"SecRule ARGS "@contains A.b" "id:10""#, &[(ArgsGet, "q", b"xA.by")], &["10"]);
    check(r#"SecRule ARGS "@contains A.b" "id:10""#, &[(ArgsGet, "q", b"xa.by")], &[]);
    check(r#"SecRule ARGS "@detectSQLi" "id:10""#, &[(ArgsGet, "q", b"1' OR '1'='1")], &["10"]);
    check(r#"SecRule ARGS "@detectSQLi" "id:10""#, &[(ArgsGet, "q", b"O'Reilly")], &[]);
    check(
        r#"SecRule ARGS "@detectXSS" "id:10""#,
        &[(ArgsGet, "q", b"<script>a</script>")],
        &["10"],
    );
    check(r#"SecRule ARGS "@detectXSS" "id:10""#, &[(ArgsGet, "q", b"1 < 2")], &[]);
}

#[test]
fn negation_and_exclusion() {
    use Collection::{ArgsGet, ArgsPost};
    check(r#"SecRule ARGS "!@rx ^\d+$" "id:10""#, &[(ArgsGet, "n", b"12")], &[]);
    check(
        r#"SecRule ARGS "!@rx ^\d+$" "id:10""#,
        &[(ArgsGet, "n", b"12"), (ArgsPost, "m", b"x")],
        &["10"],
    );
    let excluded = r#"SecRule ARGS|!ARGS:Token "@rx x" "id:10""#;
    check(excluded, &[(ArgsGet, "token", b"x")], &[]);
    check(excluded, &[(ArgsGet, "tokens", b"x")], &["10"]);
    let whole = r#"SecRule ARGS|!ARGS_GET "@rx x" "id:10""#;
    check(whole, &[(ArgsGet, "q", b"x")], &[]);
    check(whole, &[(ArgsPost, "q", b"x")], &["10"]);
    check(
        r#"SecRule ARGS:a "@rx x" "id:10""#,
        &[(ArgsGet, "b", b"x"), (ArgsPost, "A", b"x")],
        &["10"],
    );
}

#[test]
fn a_chain_needs_all_its_links_and_each_may_match_elsewhere() {
    use Collection::{ArgsGet, RequestMethod};
    let chain = "SecRule REQUEST_METHOD \"@rx ^POST$\" \"id:10,chain,msg:'m'\"\n  \
                 SecRule ARGS \"@rx x\" \"t:lowercase,setvar:tx.blocking_inbound_anomaly_score=+5\"\n";
    let outcome = check(chain, &[(RequestMethod, "", b"POST"), (ArgsGet, "q", b"X")], &["10"]);
    assert_eq!((outcome.score, outcome.threshold), (5, 5));
    assert_eq!(outcome.hits[0].target, "ARGS:q");
    let outcome = check(chain, &[(RequestMethod, "", b"GET"), (ArgsGet, "q", b"X")], &[]);
    assert_eq!(outcome.score, 0);
    check(chain, &[(RequestMethod, "", b"POST")], &[]);
}

#[test]
fn a_tokenizer_in_a_chain_waits_for_the_patterns_wherever_it_stands() {
    use Collection::{ArgsGet, RequestCookies};
    const SQL: &[u8] = b"1' OR '1'='1";
    let before = "SecRule ARGS \"@detectSQLi\" \"id:10,chain\"\nSecRule ARGS|REQUEST_COOKIES \"@rx z\" \"t:none\"\n";
    let after = "SecRule ARGS|REQUEST_COOKIES \"@rx z\" \"id:10,chain\"\nSecRule ARGS:q \"@detectSQLi\" \"t:none\"\n";
    let negated = "SecRule ARGS \"!@detectSQLi\" \"id:10,chain\"\nSecRule REQUEST_COOKIES \"@rx z\" \"t:none\"\n";
    for chain in [before, after] {
        check(chain, &[(ArgsGet, "q", SQL), (RequestCookies, "c", b"z")], &["10"]);
        check(chain, &[(ArgsGet, "a", b"z"), (ArgsGet, "q", SQL)], &["10"]);
        check(chain, &[(ArgsGet, "q", SQL)], &[]);
        check(chain, &[(ArgsGet, "q", b"z")], &[]);
        check(chain, &[(RequestCookies, "c", SQL), (RequestCookies, "d", b"z")], &[]);
    }
    let outcome = check(after, &[(RequestCookies, "c", b"z"), (ArgsGet, "q", SQL)], &["10"]);
    assert_eq!(outcome.hits[0].target, "ARGS:q");
    check(negated, &[(ArgsGet, "q", b"plain"), (RequestCookies, "c", b"z")], &["10"]);
    check(negated, &[(ArgsGet, "q", SQL), (RequestCookies, "c", b"z")], &[]);
}

#[test]
fn scores_add_up_through_variables_and_phases_order_the_rules() {
    let rules = r#"
SecRule ARGS "@rx a" "id:20,phase:2,setvar:tx.blocking_inbound_anomaly_score=+%{tx.critical_anomaly_score}"
SecRule ARGS "@rx b" "id:21,phase:1,setvar:'tx.blocking_inbound_anomaly_score=+3',setvar:tx.blocking_inbound_anomaly_score=-1"
SecAction "id:2,phase:1,setvar:tx.critical_anomaly_score=5"
"#;
    let outcome = check(rules, &[(Collection::ArgsPost, "q", b"ab")], &["21", "20"]);
    assert_eq!(outcome.score, 7);
}

#[test]
fn transformations_run_in_order_and_none_starts_over() {
    let args = |bytes: &'static [u8]| [(Collection::ArgsGet, "q", bytes)];
    check(
        r#"SecRule ARGS "@rx ^<x>$" "id:10,t:urlDecodeUni,t:lowercase""#,
        &args(b"%3CX%3e"),
        &["10"],
    );
    check(r#"SecRule ARGS "@rx ^<x>$" "id:10,t:urlDecodeUni,t:none""#, &args(b"%3Cx%3e"), &[]);
}

#[test]
fn a_hit_names_the_place_and_never_the_value() {
    let rules = r#"SecRule ARGS "@rx s3cret" "id:10,msg:'found, it\'s here',tag:'attack-x',tag:y""#;
    let outcome = check(rules, &[(Collection::ArgsGet, "p", b"s3cret")], &["10"]);
    assert_eq!(outcome.hits[0].message, "found, it's here");
    assert_eq!(outcome.hits[0].tags, ["attack-x", "y"]);
    assert!(!format!("{outcome:?}").contains("s3cret"));
}

fn refused(text: &str, want: &[&str]) {
    let problems = RuleSet::load(&[("f.conf", text)]).expect_err("refused");
    let got: Vec<String> =
        problems.iter().map(|p| format!("{}:{} {}", p.line, p.column, p.message)).collect();
    assert_eq!(got, want, "{text}");
}

#[test]
fn what_is_not_known_is_an_error_with_its_place_and_all_are_told() {
    let text = r#"# a comment
SecRuleEngine On
SecRule ARGS|FILES "@rx a" "id:1,phase:2"
SecRule ARGS "@within a" "id:2"
SecRule ARGS "@rx (" "id:3"
SecRule ARGS "@rx a" "id:4,t:sha9"
SecRule ARGS "@rx a" \
    "id:5,\
    deny"
SecRule ARGS "@rx a" "msg:x"
SecRule ARGS "@rx a" "id:1"
SecRule ARGS "@rx a" "id:x"
SecRule ARGS "@rx a" "id:6,phase:3"
SecRule ARGS "@rx a" "id:7,setvar:tx.a"
SecRule ARGS "@rx" "id:8"
SecRule ARGS "@detectXSS x" "id:9"
SecRule ARGS "@rx a"
SecRule !ARGS:a "@rx a" "id:11"
SecRule ARGS "@rx a" "id:12,pass:x"
SecRule ARGS "@rx a" "id:13,t"
SecRule ARGS "@rx a
SecRule ARGS "@rx a" "id:14,chain"
"#;
    refused(
        text,
        &[
            "2:1 unknown directive `SecRuleEngine`",
            "3:14 unknown target `FILES`",
            "4:16 unknown operator `@within`",
            "5:19 the pattern does not compile: unclosed group",
            "6:30 unknown transformation `sha9`",
            "9:5 unknown action `deny`",
            "10:1 the rule has no `id`",
            "11:1 the id `1` is used twice",
            "12:1 the rule has no `id`",
            "12:26 `x` is no id: a number above 0 is",
            "13:34 phase `3` is not evaluated: 1 and 2 are",
            "14:35 `tx.a` is no assignment",
            "15:16 `@rx` needs an argument",
            "16:26 `@detectXSS` takes no argument",
            "17:1 `SecRule` takes targets, an operator and actions, not 2 arguments",
            "18:10 the rule excludes targets and names none",
            "19:34 `pass` takes no value",
            "20:29 `t` needs a value",
            "21:14 the quote is not closed",
            "22:1 `chain` with no rule after it",
        ],
    );
}

#[test]
fn a_set_without_a_threshold_does_not_load() {
    refused(
        r#"SecRule ARGS "@rx a" "id:1""#,
        &["1:1 no `SecAction` sets `tx.inbound_anomaly_score_threshold` to a number above 0"],
    );
}
