use super::*;

#[track_caller]
fn check(input: &[u8], want: &[&str]) -> Body {
    let body = json(input, &Limits::default());
    assert_eq!(args(&body), want, "{}", show(input));
    assert_eq!((body.error, body.truncated), (None, false), "{}", show(input));
    body
}

#[track_caller]
fn refused(input: &[u8], reason: Reason, want: &[&str]) {
    let body = json(input, &Limits::default());
    assert_eq!((body.error, body.truncated), (Some(reason), reason.is_limit()), "{}", show(input));
    assert_eq!(args(&body), want, "{}", show(input));
}

#[test]
fn names_are_the_way_to_the_value() {
    check(b"", &[]);
    check(
        br#"{"a":{"b":1},"c":[2,{"d":"x"}]}"#,
        &["json.a.b=1", "json.c.0=2", "json.c.1.d=x", "json.c=2"],
    );
    check(br#"[true,false,null]"#, &["json.0=true", "json.1=false", "json.2=null"]);
    check(b" \"x\" ", &["json=x"]);
    check(b"-1.50e+07", &["json=-1.50e+07"]);
    check(b"0", &["json=0"]);
    check(br#"{"":1,"a.b":2}"#, &["json.=1", "json.a.b=2"]);
    check(br#"{"<x>":{},"b":[]}"#, &["json.<x>=", "json.b="]);
    check(b"{}", &[]);
    check(b"[[],[[]]]", &["json.0=", "json.1.0=", "json.1=1"]);
    check(b"\xef\xbb\xbf[1]", &["json.0=1"]);
    check(b"[ 1\t,\r\n2 ]\n", &["json.0=1", "json.1=2"]);
}

#[test]
fn strings_are_unescaped_and_else_taken_as_they_are() {
    check(br#"["\"\\\/\b\f\n\r\t"]"#, &[r#"json.0=\"\\/\x08\x0c\n\r\t"#]);
    check(br#"["\u003cscript\u003E\u0000"]"#, &["json.0=<script>\\x00"]);
    check(r#"["\u00e9é"]"#.as_bytes(), &[r"json.0=\xc3\xa9\xc3\xa9"]);
    check(br#"["\ud83d\ude00"]"#, &[r"json.0=\xf0\x9f\x98\x80"]);
    check(br#"["\ud83dx\ud83d\u0041\ude00"]"#, &[r"json.0=\xed\xa0\xbdx\xed\xa0\xbdA\xed\xb8\x80"]);
    check(b"[\"\xff\xc0\xaf\"]", &[r"json.0=\xff\xc0\xaf"]);
    check(br#"{"\u0061":1}"#, &["json.a=1"]);
    check(b"[\"a\x7fb\"]", &[r"json.0=a\x7fb"]);
}

#[test]
fn a_key_that_is_there_twice_is_told_and_both_values_are_looked_at() {
    assert!(check(br#"{"a":1,"a":2}"#, &["json.a=1", "json.a=2"]).duplicate_key);
    assert!(check(br#"{"a":1,"\u0061":2}"#, &["json.a=1", "json.a=2"]).duplicate_key);
    assert!(check(br#"[{"a":{"b":1},"a":[]}]"#, &["json.0.a.b=1", "json.0.a="]).duplicate_key);
    assert!(!check(br#"{"a":{"a":1},"b":{"a":2}}"#, &["json.a.a=1", "json.b.a=2"]).duplicate_key);
    assert!(!check(br#"{"a":1,"A":2}"#, &["json.a=1", "json.A=2"]).duplicate_key);
}

#[test]
fn what_is_not_json_is_an_error_and_what_came_before_is_kept() {
    for input in [
        " ",
        "{",
        "[",
        "\"",
        "\"a",
        "{\"a\"",
        "{\"a\":",
        "tru",
        "nul",
        "True",
        "NaN",
        "Infinity",
        "+1",
        "01",
        "-",
        ".5",
        "'a'",
        "undefined",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "}",
        "]",
        ",",
        ":",
        "//x\n1",
        "{,}",
        "[,]",
        "\u{feff}\u{feff}1",
        "\u{a0}1",
        "\u{0b}1",
    ] {
        refused(input.as_bytes(), Reason::Json, &[]);
    }
    refused(b"[1", Reason::Json, &["json.0=1"]);
    refused(b"[1,]", Reason::Json, &["json.0=1"]);
    refused(b"[1 2]", Reason::Json, &["json.0=1"]);
    refused(b"[1}", Reason::Json, &["json.0=1"]);
    refused(b"[1,2", Reason::Json, &["json.0=1", "json.1=2"]);
    refused(br#"{"a":1,}"#, Reason::Json, &["json.a=1"]);
    refused(br#"{"a":1 "b":2}"#, Reason::Json, &["json.a=1"]);
    refused(br#"{"a" 1}"#, Reason::Json, &[]);
    refused(b"[1.]", Reason::Json, &[]);
    refused(b"[1e]", Reason::Json, &[]);
    refused(b"[-]", Reason::Json, &[]);
    refused(b"[0x10]", Reason::Json, &["json.0=0"]);
    refused(b"[\"\\q\"]", Reason::Json, &[]);
    refused(b"[\"\\u00g0\"]", Reason::Json, &[]);
    refused(b"[\"\\u00", Reason::Json, &[]);
    refused(b"[\"a\nb\"]", Reason::Json, &[]);
    refused(b"[\"a\0b\"]", Reason::Json, &[]);
    // UTF-16, both ways round
    refused(b"\xff\xfe[\x001\x00]\x00", Reason::Json, &[]);
    refused(b"\x00[\x001\x00]", Reason::Json, &[]);
    refused(b"{} {}", Reason::TrailingData, &[]);
    refused(b"1 2", Reason::TrailingData, &["json=1"]);
    refused(b"[1]]", Reason::TrailingData, &["json.0=1"]);
    refused(b"[1]\0", Reason::TrailingData, &["json.0=1"]);
    refused(b"{\"a\":1}\n{\"b\":2}", Reason::TrailingData, &["json.a=1"]);
}

#[test]
fn limits_at_their_edges() {
    let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert_eq!(json(nested(64).as_bytes(), &Limits::default()).error, None);
    assert_eq!(json(nested(65).as_bytes(), &Limits::default()).error, Some(Reason::Depth));
    assert_eq!(json("[".repeat(1 << 20).as_bytes(), &Limits::default()).error, Some(Reason::Depth));
    assert_eq!(
        json("{\"a\":".repeat(65).as_bytes(), &Limits::default()).error,
        Some(Reason::Depth)
    );
    let many = |count: usize| format!("[{}]", vec!["1"; count].join(","));
    assert_eq!(json(many(10_000).as_bytes(), &Limits::default()).error, None);
    let body = json(many(10_001).as_bytes(), &Limits::default());
    assert_eq!((body.error, body.args.len()), (Some(Reason::Values), 10_000));
    let empty = json(format!("[{}[]]", "[],".repeat(10_000)).as_bytes(), &Limits::default());
    assert_eq!(empty.error, Some(Reason::Values));
    let named = |length: usize| format!("{{\"{}\":1}}", "k".repeat(length));
    assert_eq!(json(named(1_024 - 5).as_bytes(), &Limits::default()).error, None);
    assert_eq!(
        json(named(1_024 - 4).as_bytes(), &Limits::default()).error,
        Some(Reason::NameBytes)
    );
    let limits = Limits { bytes_max: 5, ..Limits::default() };
    assert_eq!(json(b"[1,2]", &limits).error, None);
    assert_eq!(json(b"[1,2] ", &limits).error, Some(Reason::Bytes));
    let cut = json(b"[1,2,3]", &limits);
    assert_eq!(
        (cut.error, args(&cut)),
        (Some(Reason::Bytes), vec!["json.0=1".to_owned(), "json.1=2".to_owned()])
    );
}
