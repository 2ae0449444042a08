//! A filter is what lets the engine not look: a pattern is not searched for in a text without the
//! bytes that it needs, a transformation is not done that has nothing to act on. With and without
//! them the outcome of a transaction must be the same, in every part of it.
//!
//! Requests are those of the CRS's own tests, where this machine has them, and some of ours; each is
//! changed at random, the same way in each run.

#![expect(clippy::disallowed_methods, reason = "tests read rule files")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it is wrong")]

mod common;

use std::net::IpAddr;

use common::Random;
use ftw::wire::{self, Request};
use seclang::{Limits, MatchedData, Outcome, Overlay, RuleSet};

/// Transactions of each rule set.
const TRANSACTIONS: usize = 20_000;
/// Changes of a request.
const CHANGES_MAX: usize = 4;
/// Bytes of a body that are kept.
const BODY_BYTES_MAX: usize = 2_000;

/// Requests of ours: target, content type, cookie, body.
const REQUESTS: [(&str, &str, &str, &str); 14] = [
    ("/a?q=1%27+union+select+1--+", "", "", ""),
    ("/a?q=<script>alert(1)</script>&skip=s", "", "a=1", ""),
    ("/a/../../etc/passwd?f=..%5c..%2f", "", "s='or'1", ""),
    ("/%C0%AE/x.php?a=%u0027&b=%", "", "", ""),
    ("/?a=a&b=bc&c=&d=x", "", "", ""),
    ("/", FORM, "c=%27%20or%201", "a=union/**/select&b=%26lt%3Bb&c=%00"),
    ("/", FORM, "", "cmd=;cat+/etc/passwd&x=`id`&y=${jndi:x}&z=a'b"),
    ("/", FORM, "", "u=java%09script:&v=\\u003cimg src=x onerror=1>&w=\\3c b"),
    ("/", FORM, "", "d=c2VsZWN0&e=4111111111111111&f=0x73656c656374--"),
    ("/", "application/json", "", r#"{"a":{"b":["' or 1=1","<svg onload=x>"]},"c":"\u0000"}"#),
    ("/", "text/xml", "", "<a b='1'>&lt;script&gt;<c>' or 1=1--</c></a>"),
    ("/", "multipart/form-data; boundary=x", "", PARTS),
    ("/?x=1&x=2&y=or&z=%e4%f6", "text/plain", "", "anything at all %zz"),
    ("/?a=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", "", ""),
];
const FORM: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n<b>\r\n--x\r\n\
    Content-Disposition: form-data; name=\"f\"; filename=\"a.php\"\r\n\r\n' or 1=1\r\n--x--\r\n";

/// What is put into requests, beside parts of other requests.
const PIECES: [&[u8]; 48] = [
    b"'",
    b"\"",
    b"<",
    b">",
    b"=",
    b"%",
    b"&",
    b";",
    b"|",
    b"`",
    b"$(",
    b"${",
    b"\\",
    b"/",
    b"..",
    b"../",
    b"--",
    b"/*",
    b"*/",
    b"#",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xc3\xa4",
    b"%00",
    b"%27",
    b"%253c",
    b"%u003c",
    b"&#60;",
    b"&lt",
    b"\\x3c",
    b"\\u003c",
    b"\\74",
    b"0x3c",
    b" ",
    b"+",
    b"\t",
    b"\r\n",
    b" or ",
    b" and ",
    b"union",
    b"select ",
    b"script",
    b"javascript:",
    b"sleep(",
    b"1=1",
    b"^",
    b"{}",
];

#[test]
fn filters_change_nothing_in_what_our_rules_say() {
    let requests = ours();
    let (found, all) = compare("own", &common::own(), &Overlay::default(), &requests);
    // or there was nothing to compare
    assert!(found > TRANSACTIONS / 2, "{found} of {TRANSACTIONS}");
    assert!(all > 30, "{all} rules matched at all");
}

#[test]
fn filters_change_nothing_in_what_the_crs_says() {
    let Some(dir) = common::crs_dir() else {
        println!("differential: there is no CRS here (CRS_DIR names one): only our rules were run");
        return;
    };
    let tests = ["tests/regression/tests", "tests/regression", "tests"];
    let tests = tests.iter().map(|tests| dir.join(tests)).find(|tests| tests.is_dir());
    let mut requests = ours();
    for stage in ftw::read(&tests.expect("tests")).expect("the CRS's tests") {
        requests.extend(wire::read(&wire::raw(&stage.input)));
    }
    let (rules, overlay) = common::crs(&dir);
    let (found, all) = compare("crs", &rules, &overlay, &requests);
    assert!(found > TRANSACTIONS / 2, "{found} of {TRANSACTIONS}");
    assert!(all > 300, "{all} rules matched at all");
}

fn ours() -> Vec<Request> {
    let request = |(target, kind, cookie, body): &(&str, &str, &str, &str)| {
        let mut headers = vec![("Host", "a.example"), ("User-Agent", "Mozilla/5.0")];
        headers.extend([("Content-Type", *kind), ("Cookie", *cookie)]);
        headers.retain(|(_, value)| !value.is_empty());
        let bytes = |text: &str| text.as_bytes().to_vec();
        Request {
            method: bytes(if body.is_empty() { "GET" } else { "POST" }),
            target: bytes(target),
            protocol: bytes("HTTP/1.1"),
            headers: headers.iter().map(|(name, value)| (bytes(name), bytes(value))).collect(),
            body: bytes(body),
        }
    };
    REQUESTS.iter().map(request).collect()
}

/// How many transactions had a hit, and how many rules matched in any.
fn compare(name: &str, rules: &RuleSet, overlay: &Overlay, from: &[Request]) -> (usize, usize) {
    let seen = std::sync::Mutex::new((0, std::collections::BTreeSet::new()));
    common::each(TRANSACTIONS, |number| {
        let request = changed(from, number);
        let [with, without] = [true, false].map(|filters| look(rules, overlay, &request, filters));
        assert_eq!(with, without, "{name} {number}: {}", shown(&request));
        let mut seen = seen.lock().unwrap();
        seen.0 += usize::from(!with.hits.is_empty());
        seen.1.extend(with.matched);
    });
    let (found, all) = seen.into_inner().unwrap();
    let (from, rules) = (from.len(), all.len());
    println!(
        "differential: {name} transactions={TRANSACTIONS} requests={from} with_hits={found} rules={rules}"
    );
    (found, rules)
}

fn look<'r>(
    rules: &'r RuleSet,
    overlay: &'r Overlay,
    request: &Request,
    filters: bool,
) -> Outcome<'r> {
    let headers: Vec<(&[u8], &[u8])> =
        request.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let request = seclang::Request {
        method: &request.method,
        target: &request.target,
        protocol: &request.protocol,
        headers: &headers,
        body: &request.body,
        client: IpAddr::from([192, 0, 2, 1]),
        client_port: 40_000,
        id: "differential",
    };
    // no filter is more work, and must not be cut short by it
    let limits = Limits { work_bytes_max: u64::MAX, ..Limits::default() };
    let mut inspection = match filters {
        true => rules.inspect(&request, overlay, &limits),
        false => rules.inspect_unfiltered(&request, overlay, &limits),
    };
    inspection.finish();
    inspection.outcome_with(MatchedData::Plain)
}

/// One of the requests; the first of each as it is.
fn changed(from: &[Request], number: usize) -> Request {
    let Request { method, target, protocol, headers, body } = &from[number % from.len()];
    let mut request = Request {
        method: method.clone(),
        target: target.clone(),
        protocol: protocol.clone(),
        headers: headers.clone(),
        body: body.clone(),
    };
    request.body.truncate(BODY_BYTES_MAX);
    if number < from.len() {
        return request;
    }
    let mut random = Random::new(number as u64);
    for _ in 0..=random.below(CHANGES_MAX) {
        let other = &from[random.below(from.len())];
        let places = request.headers.len() + 2;
        let place = random.below(places);
        let (field, others) = match place {
            0 => (&mut request.target, &other.target),
            1 => (&mut request.body, &other.body),
            nth => {
                let others = other.headers.get(nth - 2).map_or(&other.target, |(_, value)| value);
                (&mut request.headers[nth - 2].1, others)
            }
        };
        change(field, others, &mut random);
        request.body.truncate(BODY_BYTES_MAX);
    }
    request
}

fn change(field: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(field.len() + 1);
    let len = random.below(12);
    let end = field.len().min(at + len);
    match random.below(8) {
        0 => drop(field.splice(at..end, other.iter().copied().skip(random.below(40)).take(60))),
        1 => field.iter_mut().skip(at).take(len).for_each(|byte| *byte ^= 0x20),
        2 => {
            let coded: Vec<u8> = field[at..end]
                .iter()
                .flat_map(|byte| format!("%{byte:02x}").into_bytes())
                .collect();
            field.splice(at..end, coded);
        }
        3 => {
            let again = field[at..end].to_vec();
            field.splice(at..at, again);
        }
        4 => drop(field.drain(at..end)),
        5 => field.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.byte()),
        _ => drop(field.splice(at..at, random.one(&PIECES).iter().copied())),
    }
}

fn shown(request: &Request) -> String {
    let mut shown = format!("{}\n", request.target.escape_ascii());
    for (name, value) in &request.headers {
        shown += &format!("{}: {}\n", name.escape_ascii(), value.escape_ascii());
    }
    format!("{shown}\n{}", request.body.escape_ascii())
}
