//! Answers to requests that were kept for them.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::body::Reason;

/// An answer of text, to a request that was kept for it.
fn answered(rules: &str, overlay: &Settings, answer: Answer<'_>) -> (Vec<u32>, Health) {
    let set = load(rules);
    let overlay = set.overlay(overlay).expect("an overlay");
    let asked = request(&[], "/?q=query&secret=canary", b"");
    let limits = Limits { response_bytes_max: 8, ..Limits::default() };
    let inspection = set.inspect(&asked, &overlay, &limits);
    let of_request = inspection.outcome();
    let kept = inspection.keep();
    assert!(kept.held_bytes() > 0);
    let mut inspection = kept.resume(&set, &overlay);
    assert!(inspection.outcome().matched.is_empty(), "what is told already is not told again");
    let mut headers = vec![(&b"Content-Type"[..], &b"text/plain"[..])];
    let codings = answer.coding.split(|byte| *byte == b'|');
    headers.extend(codings.map(|coding| (&b"Content-Encoding"[..], coding)));
    inspection.response(&Response {
        status: 200,
        protocol: b"HTTP/1.1",
        headers: &headers,
        body: answer.body,
        whole: answer.whole,
    });
    let outcome = inspection.outcome();
    assert_eq!(outcome.score, of_request.score, "what the request's rules counted is kept");
    (outcome.matched, outcome.health)
}

#[derive(Clone, Copy)]
struct Answer<'a> {
    /// Fields are apart by `|`.
    coding: &'a [u8],
    body: &'a [u8],
    whole: bool,
}

const PLAIN: Answer<'_> = Answer { coding: b"", body: b"trace", whole: true };

#[test]
fn what_is_kept_of_a_request_is_what_an_answers_rules_look_at() {
    let check = |rules: &str, want: &[u32]| {
        let settings = Settings::default();
        assert_eq!(answered(rules, &settings, PLAIN), (want.to_vec(), Health::Ok), "{rules}");
    };
    let after = |before: &str, rule: &str| format!("{before}\n{rule}");
    let sets = |set: &str| format!("SecAction \"id:10,phase:1,nolog,{set}\"");
    let tx = |rule: &str| format!("SecRule TX:a \"{rule}\" \"id:20,phase:4\"");
    check(&after(&sets("setvar:tx.a=7"), &tx("@eq 7")), &[20]);
    check(&after(&sets("setvar:tx.a=text"), &tx("@streq text")), &[20]);
    check(&after(&sets("setvar:tx.a=%{REQUEST_METHOD}x"), &tx("@streq POSTx")), &[20]);
    check(
        &after(
            &sets("setvar:tx.%{REQUEST_METHOD}=1"),
            "SecRule TX:/^post$/ \"@eq 1\" \"id:20,phase:3\"",
        ),
        &[20],
    );
    check("SecRule ARGS:q \"@streq query\" \"id:20,phase:3\"", &[20]);
    check("SecRule ARGS \"@rx canary\" \"id:20,phase:4,t:none,t:urlDecodeUni\"", &[20]);
    check("SecRule ARGS_NAMES \"@streq secret\" \"id:20,phase:4\"", &[20]);
    check("SecRule REQUEST_METHOD \"@streq POST\" \"id:20,phase:4\"", &[20]);
    check(&after(&sets("ctl:ruleRemoveById=20"), "SecAction \"id:20,phase:4\""), &[]);
    let removed = sets("ctl:ruleRemoveTargetById=20;ARGS:secret");
    check(&after(&removed, "SecRule ARGS \"@rx canary\" \"id:20,phase:4\""), &[]);
    check(&after(&removed, "SecRule ARGS \"@rx query\" \"id:20,phase:4\""), &[20]);
    check(&after(&sets("allow"), "SecAction \"id:20,phase:4\""), &[]);
    check(&after(&sets("allow:request"), "SecAction \"id:20,phase:4\""), &[20]);
    check(&after(&sets("ctl:ruleEngine=Off"), "SecAction \"id:20,phase:4\""), &[]);
}

#[test]
fn an_answers_body_is_looked_at_as_far_as_it_goes() {
    let check = |coding: &str, body: &[u8], whole: bool, want: &[u32], health: Health| {
        let rules = "SecRule RESPONSE_BODY \"@rx ^trace\" \"id:20,phase:4\"\n\
                     SecRule RESPONSE_BODY \"@rx end$\" \"id:21,phase:4\"";
        let answer = Answer { coding: coding.as_bytes(), body, whole };
        let got = answered(rules, &Settings::default(), answer);
        assert_eq!(got, (want.to_vec(), health), "{coding} {body:?} {whole}");
    };
    let gzip = |text: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).expect("coded");
        encoder.finish().expect("coded")
    };
    check("", b"trace", true, &[20], Health::Ok);
    check("", b"traceend", true, &[20, 21], Health::Ok);
    check("", b"trace.end", true, &[20], Health::Truncated);
    check("", b"trace", false, &[20], Health::Truncated);
    check("gzip", &gzip(b"traceend"), true, &[20, 21], Health::Ok);
    check("gzip", &gzip(b"traceend.end"), true, &[20, 21], Health::Truncated);
    let coded = gzip(b"traceend");
    let cut = coded.get(..coded.len() - 4).expect("a part");
    check("gzip", cut, false, &[20, 21], Health::Truncated);
    check("gzip", cut, true, &[20, 21], Health::Malformed(Reason::CodingMalformed));
    check("gzip", b"trace", true, &[20], Health::Malformed(Reason::CodingMalformed));
    check("compress", b"trace", true, &[20], Health::Malformed(Reason::CodingUnknown));
    check("gzip, br", b"trace", true, &[20], Health::Malformed(Reason::CodingNested));
    let twice = gzip(b"trace");
    for two in ["identity|gzip", "gzip|identity", "|gzip", "gzip|gzip"] {
        check(two, &twice, true, &[], Health::Malformed(Reason::CodingNested));
    }
    let bomb = gzip(&[b'a'; 1 << 20]);
    check("gzip", &bomb, true, &[], Health::Truncated);
}

#[test]
fn a_body_that_is_decoded_is_as_if_it_had_come_so() {
    // As published, the Core Rule Set leaves coded answers alone.
    let rules = "SecRule RESPONSE_HEADERS:Content-Encoding \"@rx .\" \"id:20,phase:4\"";
    let check = |coding: &[u8], body: &[u8], want: &[u32]| {
        let answer = Answer { coding, body, whole: true };
        assert_eq!(answered(rules, &Settings::default(), answer).0, want, "{coding:?}");
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"trace").expect("coded");
    check(b"gzip", &encoder.finish().expect("coded"), &[]);
    check(b"gzip", b"trace", &[20]);
    check(b"compress", b"trace", &[20]);
}

#[test]
fn a_route_excludes_rules_of_answers_too() {
    let rules = "SecRule RESPONSE_BODY \"@rx trace\" \"id:20,phase:4,tag:leak\"";
    let check = |exclusion: Exclusion, want: &[u32]| {
        let settings = Settings { exclusions: vec![exclusion], ..Settings::default() };
        assert_eq!(answered(rules, &settings, PLAIN), (want.to_vec(), Health::Ok));
    };
    check(Exclusion { rules: vec![20], ..Exclusion::default() }, &[]);
    let target = |target: &str| Some(target.to_owned());
    let tags = vec!["leak".to_owned()];
    check(Exclusion { tags: tags.clone(), target: target("RESPONSE_BODY"), rules: vec![] }, &[]);
    check(Exclusion { tags, target: target("RESPONSE_HEADERS"), rules: vec![] }, &[20]);
}
