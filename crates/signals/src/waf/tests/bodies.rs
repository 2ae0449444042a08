//! Bodies as values, and what of them could not be looked at.

use Collection::{ArgsNames, ArgsPost, RequestBody};

use super::super::body::OPAQUE;
use super::*;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

type Found<'a> = (Collection, &'a str, &'a [u8]);

/// What a body becomes.
fn check(asked: Asked, want: Read, values: &[Found<'_>]) {
    let request = asked.request();
    let mut input = Input::new(VALUES_MAX);
    let read = body::read(&request, &mut input);
    let found: Vec<Found<'_>> = input
        .values()
        .iter()
        .map(|value| (value.collection, value.name.as_str(), value.bytes.as_slice()))
        .collect();
    assert_eq!((read, found.as_slice()), (want, values), "{:?}", request.inspected.bytes);
}

/// The health of a fact about a body.
fn health(asked: Asked) -> Health {
    asked.observe().health
}

#[test]
fn a_form_becomes_pairs_and_names_decoded_once() {
    check(
        Asked::post(FORM, "a=1&b%20c=d+e%2Bf&&g&=h&i=j=k"),
        Read::All,
        &[
            (ArgsPost, "a", b"1"),
            (ArgsNames, "", b"a"),
            (ArgsPost, "b c", b"d e+f"),
            (ArgsNames, "", b"b c"),
            (ArgsPost, "g", b""),
            (ArgsNames, "", b"g"),
            (ArgsPost, "", b"h"),
            (ArgsNames, "", b""),
            (ArgsPost, "i", b"j=k"),
            (ArgsNames, "", b"i"),
        ],
    );
    check(
        Asked::post(FORM, "p=50%&q=%zz&r=%4&s=%2541&t=%ff%00"),
        Read::All,
        &[
            (ArgsPost, "p", b"50%"),
            (ArgsNames, "", b"p"),
            (ArgsPost, "q", b"%zz"),
            (ArgsNames, "", b"q"),
            (ArgsPost, "r", b"%4"),
            (ArgsNames, "", b"r"),
            (ArgsPost, "s", b"%41"),
            (ArgsNames, "", b"s"),
            (ArgsPost, "t", b"\xff\0"),
            (ArgsNames, "", b"t"),
        ],
    );
}

#[test]
fn json_becomes_values_by_path_and_each_key_once() {
    check(
        Asked::post(JSON, r#"{"a":[{"b":"x"},{"b":-5}],"c":1.5,"d":null,"e":true,"f":"\u0027"}"#),
        Read::All,
        &[
            (ArgsNames, "", b"a"),
            (ArgsNames, "", b"b"),
            (ArgsPost, "json.a.0.b", b"x"),
            (ArgsPost, "json.a.1.b", b"-5"),
            (ArgsNames, "", b"c"),
            (ArgsPost, "json.c", b"1.5"),
            (ArgsNames, "", b"d"),
            (ArgsNames, "", b"e"),
            (ArgsNames, "", b"f"),
            (ArgsPost, "json.f", b"'"),
        ],
    );
    check(Asked::post("application/merge-patch+json", "7"), Read::All, &[(ArgsPost, "json", b"7")]);
}

#[test]
fn what_is_no_json_document_was_not_looked_at_as_one() {
    for body in [
        "{",
        "{\"a\":1}x",
        "{\"a\":1} {\"b\":2}",
        "{\"a\":1,\"a\":2}",
        "[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]",
        "{\"a\":1,\"\\u0061\":2}",
        "{'a':1}",
        "[1,]",
        "[1e999]",
        "\"\\ud800\"",
        "\u{feff}{}",
        " ",
        "a=b",
    ] {
        assert_eq!(health(Asked::post(JSON, body)), Health::Malformed, "{body}");
    }
    // What is there in plain sight still counts.
    let waf = Asked::post(JSON, "{\"a\":\"x\",<script>alert(1)</script>").observe();
    assert_eq!((waf.health, waf.classes), (Health::Malformed, vec!["attack-xss".to_owned()]));
}

#[test]
fn json_may_be_nested_as_deep_as_the_limit() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    for document in [nested(json::DEPTH_MAX), objects(json::DEPTH_MAX)] {
        assert_eq!(health(Asked::post(JSON, document)), Health::Ok);
    }
    for document in [nested(json::DEPTH_MAX + 1), objects(json::DEPTH_MAX + 1), nested(100_000)] {
        assert_eq!(health(Asked::post(JSON, document)), Health::Malformed);
    }
}

#[test]
fn a_request_has_as_many_values_as_the_limit() {
    let request = Asked::post(JSON, "[]").request();
    let mut input = Input::new(VALUES_MAX);
    head(&request, &mut input);
    let room = VALUES_MAX - input.values().len();
    let numbers = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    assert_eq!(health(Asked::post(JSON, numbers(room))), Health::Ok);
    assert_eq!(health(Asked::post(JSON, numbers(room + 1))), Health::Truncated);
    let keys = |count: usize| {
        let pairs: Vec<String> = (0..count).map(|n| format!("\"{n}\":null")).collect();
        format!("{{{}}}", pairs.join(","))
    };
    assert_eq!(health(Asked::post(JSON, keys(room))), Health::Ok);
    assert_eq!(health(Asked::post(JSON, keys(room + 1))), Health::Truncated);
    let pairs = |count: usize| vec!["a=1"; count].join("&");
    assert_eq!(health(Asked::post(FORM, pairs(room / 2))), Health::Ok);
    assert_eq!(health(Asked::post(FORM, pairs(room / 2 + 1))), Health::Truncated);
    assert_eq!(health(Asked::get(format!("/?{}", pairs(VALUES_MAX)))), Health::Truncated);
    // A malformed document is worse than a long one.
    let malformed = format!("[{},]", vec!["1"; VALUES_MAX].join(","));
    assert_eq!(health(Asked::post(JSON, malformed)), Health::Malformed);
}

#[test]
fn text_is_looked_at_as_it_is_and_as_json_if_it_is_that() {
    check(Asked::post("text/plain", "a=1"), Read::All, &[(RequestBody, "", b"a=1")]);
    check(Asked::post("", "a"), Read::All, &[(RequestBody, "", b"a")]);
    check(Asked::post("image/svg+xml", "<svg/>"), Read::All, &[(RequestBody, "", b"<svg/>")]);
    check(
        Asked::post("Text/Plain; Charset=\"UTF-8\"", " [\"x\"]\n{\"a\":\"y\"}\n{"),
        Read::All,
        &[
            (RequestBody, "", b" [\"x\"]\n{\"a\":\"y\"}\n{"),
            (ArgsPost, "json.0", b"x"),
            (ArgsNames, "", b"a"),
            (ArgsPost, "json.a", b"y"),
            (ArgsPost, "json", b"x"),
            (ArgsPost, "json", b"a"),
            (ArgsPost, "json", b"y"),
        ],
    );
    check(
        Asked::post(FORM, r#"{"a":"x"}"#),
        Read::All,
        &[
            (ArgsPost, r#"{"a":"x"}"#, b""),
            (ArgsNames, "", br#"{"a":"x"}"#),
            (ArgsNames, "", b"a"),
            (ArgsPost, "json.a", b"x"),
        ],
    );
}

#[test]
fn text_that_is_nearly_json_hides_nothing_behind_escapes() {
    let attack = r#""1\u0027 \u006fr 1=1-- -"}"#;
    for before in [
        r#"{"q":"#,
        "\u{feff}{\"q\":",
        r#"{"a":1,"a":2,"q":"#,
        r#"{"a":"\ud800","q":"#,
        r#"{"a":1e999,"q":"#,
        r#"{"a":NaN,"q":"#,
        r#"{"a":1,,"q":"#,
        r#"{"a":"\"","a":"\\","q":"#,
        "{}\n{\"a\":[}\n{\"q\":",
    ] {
        for kind in ["text/plain", "", FORM] {
            let waf = Asked::post(kind, format!("{before}{attack}")).observe();
            assert_eq!(waf.classes, ["attack-sqli"], "{kind} {before}");
        }
    }
    let strings = r#"["\u0061\n\/\"\\\x\ud800\u00","b",'c',"\"#;
    check(
        Asked::post("text/plain", strings),
        Read::All,
        &[
            (RequestBody, "", strings.as_bytes()),
            (ArgsPost, "json", "a\n/\"\\x\u{fffd}00".as_bytes()),
            (ArgsPost, "json", b"b"),
            (ArgsPost, "json", b"\\"),
        ],
    );
}

#[test]
fn a_part_of_a_body_is_looked_at_and_called_a_part() {
    let part = |kind: &str, body: &str| Asked { whole: false, ..Asked::post(kind, body) };
    check(part("text/plain", "ab"), Read::Truncated, &[(RequestBody, "", b"ab")]);
    check(part(JSON, "{\"a\":"), Read::Truncated, &[(RequestBody, "", b"{\"a\":")]);
    check(part(FORM, "a=b"), Read::Truncated, &[(ArgsPost, "a", b"b"), (ArgsNames, "", b"a")]);
    check(part("text/plain", ""), Read::Truncated, &[(RequestBody, "", b"")]);
    let waf = part("text/plain", "<script>alert(1)</script>").observe();
    assert_eq!((waf.health, waf.score, waf.inspected_bytes), (Health::Truncated, 10, 25));
}

#[test]
fn what_cannot_be_taken_apart_was_not_looked_at() {
    for kind in [
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "image/png",
        "application/x-protobuf",
        "application/gzip",
        "application/msgpack",
        "text/plain; charset=utf-7",
        "text/plain; charset=UTF-16",
        "application/xml; charset=\"utf-16le\"",
        "application/json; charset=utf-32",
        "application/x-www-form-urlencoded; charset=ibm037",
        "text/plain; charset=utf-8; charset=utf-7",
        "text/plain; x=y ;charset = utf-7",
        "text/plain; charset='cp037'",
        "application/x-www-form-urlencoded; charset*=utf-8''utf-7",
        "text/plain; charset*0=utf; charset*1=-7",
    ] {
        check(Asked::post(kind, "<script>"), Read::Malformed(OPAQUE), &[]);
    }
    for body in [&b"\xff\xfe<\0"[..], b"\xfe\xff\0<", b"\0\0\xfe\xff", b"<\0a\0", b"\0<\0a"] {
        for kind in ["text/xml", "", FORM, JSON] {
            check(Asked::post(kind, body), Read::Malformed(OPAQUE), &[]);
        }
    }
    let waf = Asked::post("image/png", "<script>").observe();
    assert_eq!((waf.health, waf.score, waf.inspected_bytes), (Health::Malformed, 0, 0));
}

#[test]
fn a_coded_body_was_not_looked_at() {
    let coded = |coding: &str| Asked::post("text/plain", "x").header("content-encoding", coding);
    for coding in ["gzip", "GZIP", "br", "identity, gzip", "x", ""] {
        assert_eq!(health(coded(coding)), Health::Malformed, "{coding}");
    }
    let twice = coded("identity").header("content-encoding", "gzip");
    assert_eq!(health(twice), Health::Malformed);
    assert_eq!(health(coded("identity")), Health::Ok);
    assert_eq!(health(coded("Identity")), Health::Ok);
}

#[test]
fn only_what_was_asked_for_is_looked_at() {
    let attack = || Asked::post("text/plain", "<script>alert(1)</script>").request();
    let fact = |inspect: Inspect| observe(rules(), inspect, &attack());
    assert_eq!(fact(Inspect::Nothing), Waf::default());
    let head = fact(Inspect::Head);
    assert_eq!((head.health, head.score, head.inspected_bytes), (Health::Ok, 0, 0));
    let body = fact(Inspect::Body);
    assert_eq!((body.health, body.score, body.inspected_bytes), (Health::Ok, 10, 25));
    let coded = Asked::post("text/plain", "x").header("content-encoding", "gzip").request();
    assert_eq!(observe(rules(), Inspect::Head, &coded).health, Health::Ok);
}

/// Whatever a body holds, looking at it ends: nothing grows faster than the body does.
#[test]
fn adversarial_bodies_end() {
    const BYTES: usize = 100_000;
    let fill = |unit: &str| unit.repeat(BYTES / unit.len());
    for unit in [
        "'",
        "\"",
        "`",
        "(",
        ")",
        "((",
        "/*",
        "/*!",
        "--",
        "%",
        "%25",
        "%2525",
        "+",
        "&",
        "&#",
        "&lt;",
        "\\",
        "\\u",
        "\\x3c",
        "<",
        "<a ",
        "<a b=",
        "<!--",
        "<!",
        "<script",
        "${",
        "${${",
        "${::-",
        "{{",
        "..",
        "../",
        "..\\",
        "$(",
        ";",
        ";c'",
        "|",
        " or ",
        "' or ",
        "' or 1=1",
        "union ",
        "select ",
        "union select ",
        ")(",
        "*)(",
        "\r\n",
        "\r\nx-",
        "() {",
        "O:1:\"",
        "<!DOCTYPE ",
        "<!ENTITY % ",
        "=",
        "a=",
        "a=&",
        "x' ",
        "$a$",
        "q'",
        "0x",
        "1e",
        "@",
        "[",
        "{\"a\":",
        "[[",
        ",",
        "java.lang.",
        "http://",
        "http://a@",
        "javascript:",
        "j\na",
        "\u{c0}\u{af}",
        "\0",
        "a",
        "A",
        "0",
        "é",
    ] {
        for kind in ["text/plain", FORM, JSON] {
            let waf = Asked::post(kind, fill(unit)).observe();
            assert!(waf.threshold > 0, "{unit}");
        }
        let string = serde_json::json!([fill(unit)]).to_string();
        assert_ne!(Asked::post(JSON, string).observe().health, Health::Malformed, "{unit}");
    }
}
