//! What a fact says, and what it never does.

use super::*;

/// Stands for whatever nobody but the client and the upstream may see.
const CANARY: &str = "c4n4ry-7f3b";

fn evaluate(rules: &str, asked: Asked) -> Waf {
    let threshold = "SecAction \"id:1,nolog,setvar:tx.inbound_anomaly_score_threshold=5\"\n";
    let rules = Rules::ours(&format!("{threshold}{rules}")).expect("rules");
    observe(&rules, Inspect::Body, &asked.request())
}

fn targets(waf: &Waf) -> Vec<&str> {
    waf.hits.iter().map(|hit| hit.target.as_str()).collect()
}

#[test]
fn every_part_of_the_head_is_a_target() {
    let everything = r#"
SecRule REQUEST_METHOD "@rx ^GET$" "id:10"
SecRule REQUEST_URI "@rx ^/a%20b/c\.txt\?q=d%20e&n$" "id:11"
SecRule REQUEST_FILENAME "@rx ^/a b/c\.txt$" "id:12"
SecRule REQUEST_BASENAME "@rx ^c\.txt$" "id:13"
SecRule QUERY_STRING "@rx ^q=d%20e&n$" "id:14"
SecRule ARGS_GET:q "@rx ^d e$" "id:15"
SecRule ARGS_NAMES "@rx ^n$" "id:16"
SecRule REQUEST_HEADERS:Accept "@rx \*/\*" "id:17"
SecRule REQUEST_HEADERS_NAMES "@rx ^accept-language$" "id:18"
SecRule REQUEST_COOKIES:theme "@rx ^dark$" "id:19"
SecRule REQUEST_COOKIES_NAMES "@rx ^theme$" "id:20"
SecRule ARGS_POST|REQUEST_BODY "@rx ." "id:21"
"#;
    let asked = Asked::get("/a%20b/c.txt?q=d%20e&n").header("cookie", "a=b; theme=dark");
    let waf = evaluate(everything, asked);
    let ids: Vec<String> = (10..=20).map(|id| id.to_string()).collect();
    assert_eq!(waf.rules, ids);
    assert!(targets(&waf).contains(&"REQUEST_HEADERS:accept"));
}

#[test]
fn a_rule_that_denies_by_itself_counts_as_the_threshold_and_is_named() {
    let rule = |does: &str| {
        let rule = format!("SecRule ARGS:next \"@beginsWith //\" \"id:10,phase:2,nolog,{does}\"");
        let waf = evaluate(&rule, Asked::get("/?next=//evil.example"));
        (waf.score, waf.threshold, waf.rules)
    };
    assert_eq!(rule("deny"), (5, 5, vec!["10".to_owned()]));
    assert_eq!(rule("drop"), (5, 5, vec!["10".to_owned()]));
    assert_eq!(rule("pass"), (0, 5, Vec::new()));
    assert_eq!(
        rule("block"),
        (0, 5, Vec::new()),
        "it does what the defaults say, which is to pass"
    );
}

#[test]
fn a_name_that_is_a_value_is_not_told() {
    let targets_of = |rules: &str, asked: Asked| {
        let waf = evaluate(rules, asked);
        assert!(!waf.hits.is_empty(), "{rules}");
        targets(&waf).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let names = "SecRule REQUEST_COOKIES_NAMES \"@rx c4n4ry\" \"id:10,phase:2\"";
    let asked = Asked::get("/").header("cookie", CANARY);
    assert_eq!(targets_of(names, asked), ["REQUEST_COOKIES_NAMES"]);
    let made = "SecRule ARGS:q \"@rx .\" \"id:10,phase:2,nolog,setvar:'tx.%{MATCHED_VAR}=1',setvar:tx.known=1\"\n\
        SecRule TX \"@eq 1\" \"id:11,phase:2\"\nSecRule TX:/^c4/ \"@eq 1\" \"id:12,phase:2\"\n\
        SecRule TX:known \"@eq 1\" \"id:13,phase:2\"";
    let told = targets_of(made, Asked::get(format!("/?q={CANARY}")));
    assert_eq!(told.get(1..), Some(&["TX".to_owned(), "TX:known".to_owned()][..]), "{told:?}");
    assert!(!told.concat().contains("c4n4ry"), "{told:?}");
}

#[test]
fn a_path_is_seen_decoded_once() {
    let rule = r#"SecRule REQUEST_FILENAME "@rx ^/x%2f\.\.$" "id:10""#;
    assert_eq!(evaluate(rule, Asked::get("/x%252f..")).rules, ["10"]);
}

#[test]
fn cookies_are_looked_at_one_by_one() {
    let check = |field: &str, want: &[(&str, &str)]| {
        let mut input = Input::new(64);
        cookies(field.as_bytes(), &mut input);
        let found: Vec<(&str, &str)> = input
            .values()
            .iter()
            .filter(|value| value.collection == Collection::RequestCookies)
            .map(|value| (value.name.as_str(), std::str::from_utf8(&value.bytes).expect("text")))
            .collect();
        assert_eq!(found, want, "{field}");
    };
    check("a=1; b=2;c=3", &[("a", "1"), ("b", "2"), ("c", "3")]);
    check("a=b=c; d; =e; ;", &[("a", "b=c"), ("d", ""), ("", "e")]);
    check("a=\"x y\"", &[("a", "\"x y\"")]);
    // Two fields are two lists.
    let rule = r#"SecRule REQUEST_COOKIES:b "@rx ^2$" "id:10""#;
    let asked = Asked::get("/").header("cookie", "a=1").header("cookie", "b=2");
    assert_eq!(evaluate(rule, asked).rules, ["10"]);
    let whole = r#"SecRule REQUEST_HEADERS "@rx session=" "id:10""#;
    assert!(evaluate(whole, Asked::get("/")).rules.is_empty());
}

#[test]
fn authorization_is_never_looked_at() {
    let asked = || Asked::get("/").header("authorization", format!("Bearer {CANARY}<script>"));
    let rule = format!("SecRule REQUEST_HEADERS|REQUEST_COOKIES|ARGS \"@rx {CANARY}\" \"id:10\"");
    assert!(evaluate(&rule, asked()).rules.is_empty());
    assert_eq!(asked().observe().score, 0);
    // That there is one can be seen.
    let name = r#"SecRule REQUEST_HEADERS_NAMES "@rx ^authorization$" "id:10""#;
    assert_eq!(evaluate(name, asked()).rules, ["10"]);
}

#[test]
fn a_fact_never_holds_a_value() {
    let script = format!("<script>{CANARY}</script>");
    let json = serde_json::json!({ "password": CANARY, "note": script }).to_string();
    let form = "application/x-www-form-urlencoded";
    for asked in [
        Asked::get(format!("/search?q={}", encode(&script))),
        Asked::get(format!("/{}", encode(&script).replace('+', "%20"))),
        Asked::get(format!("/search?{}", encode(&script))),
        Asked::get("/").header("cookie", format!("session={script}")),
        Asked::get("/").header("cookie", script.clone()),
        Asked::get("/").header("referer", format!("https://a.example/?t={script}")),
        Asked::get("/").header("user-agent", script.clone()),
        Asked::post(form, format!("note={}", encode(&script))),
        Asked::post(form, json.clone()),
        Asked::post(form, json.replace("<script>", "<script x=1>")),
        Asked::post("text/plain", json.clone()),
        Asked::post("application/json", json.clone()),
        Asked::post("application/json", format!("{json}x")),
        Asked::post("text/plain", script.clone()),
    ] {
        let waf = asked.observe();
        assert!(waf.score >= waf.threshold);
        let fact = format!("{waf:?} {}", serde_json::to_string(&waf).expect("a fact"));
        assert!(!fact.contains(CANARY), "{fact}");
    }
}

#[test]
fn a_name_is_told_if_it_is_one() {
    let check = |query: &str, want: &str| {
        let rule = r#"SecRule ARGS "@rx ^x$" "id:10""#;
        let waf = evaluate(rule, Asked::get(format!("/?{query}=x")));
        assert_eq!(targets(&waf), [want], "{query}");
    };
    check("q", "ARGS:q");
    check("filter[a.b][$gt]", "ARGS:filter[a.b][$gt]");
    check("jane%40example.com", "ARGS");
    check("two%20words", "ARGS");
    check(&"n".repeat(64), &format!("ARGS:{}", "n".repeat(64)));
    check(&"n".repeat(65), &format!("ARGS:{}", "n".repeat(64)));
}

#[test]
fn a_fact_lists_so_many_rules_and_hits_and_no_more() {
    let rules = |count: usize| {
        (0..count).fold(String::new(), |rules, n| {
            rules + &format!("SecRule ARGS \"@rx x\" \"id:{},tag:attack-{n:03}\"\n", 1000 + n)
        })
    };
    let waf = |count: usize| evaluate(&rules(count), Asked::get("/?q=x"));
    let caps = |waf: Waf| (waf.rules.len(), waf.classes.len(), waf.hits.len());
    assert_eq!(caps(waf(16)), (16, 16, 16));
    assert_eq!(caps(waf(64)), (64, 64, 16));
    assert_eq!(caps(waf(65)), (64, 64, 16));
    let message = |chars: usize| {
        let rule = format!("SecRule ARGS \"@rx x\" \"id:10,msg:'{}'\"", "m".repeat(chars));
        evaluate(&rule, Asked::get("/?q=x")).hits[0].message.len()
    };
    assert_eq!((message(128), message(129)), (128, 128));
}

#[test]
fn classes_are_the_attack_tags_sorted_and_once() {
    let rules = r#"
SecRule ARGS "@rx x" "id:11,tag:attack-b,tag:paranoia-level/1,setvar:tx.blocking_inbound_anomaly_score=+3"
SecRule ARGS "@rx x" "id:10,tag:attack-b,tag:attack-a,setvar:tx.blocking_inbound_anomaly_score=+4"
SecAction "id:2,nolog,tag:attack-c"
"#;
    let waf = evaluate(rules, Asked::get("/?q=x"));
    assert_eq!(waf.rules, ["10", "11"]);
    assert_eq!(waf.classes, ["attack-a", "attack-b"]);
    assert_eq!((waf.score, waf.threshold), (7, 5));
}
