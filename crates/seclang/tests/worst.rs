//! Requests that are made to take long, with every rule on: the work must grow no faster than they
//! do. Work is counted in bytes that were read, which is the same in every run; time is only shown.
//!
//! How work grows is measured with limits that nothing reaches, or they would hide it; time, and
//! how much a byte may cost, with those that hold by default.
//!
//! The rules are the CRS's, where this machine has a copy, and ours.

#![expect(clippy::disallowed_methods, reason = "tests read rule files, and how long they took")]

mod common;

use std::{fmt::Write as _, net::IpAddr};

use common::Random;
use seclang::{Limits, Overlay, RuleSet, body};

const KB: usize = 1024;
/// Twice as many bytes are no more work than so many times.
const GROWTH_MAX: f64 = 2.2;
/// What one byte of a request may cost, in bytes read.
const READ_PER_BYTE_MAX: u64 = 2_000;

/// Looks at each, as time is counted in ticks of a few milliseconds.
const RUNS: usize = 5;

/// As by default, but that nothing is too much.
const OUT_OF_REACH: Limits = Limits {
    body: body::Limits {
        bytes_max: 1 << 30,
        values_max: 1 << 30,
        json_values_max: 1 << 30,
        json_depth_max: 64,
        json_name_bytes_max: 1_024,
        xml_values_max: 1 << 30,
        xml_depth_max: 64,
        parts_max: 1 << 30,
        files_max: 1 << 30,
        part_headers_max: 16,
        part_head_bytes_max: 8 << 10,
        decoded_bytes_max: 1 << 30,
        ratio_max: 20,
        ratio_from_bytes: 64 << 10,
    },
    values_max: 1 << 30,
    response_bytes_max: 1 << 30,
    work_bytes_max: u64::MAX,
};

const FORM: &str = "application/x-www-form-urlencoded";

/// Text that is repeated in one field of a form, as it stands there.
const REPEATED: [(&str, &str); 18] = [
    ("substitutions", "$("),
    ("angles", "<"),
    ("quotes", "'"),
    ("spaces", "+"),
    ("letters", "a"),
    ("dots", "../"),
    ("percents", "%2525"),
    ("unicode", "\\u003c"),
    ("code_units", "%u0027"),
    ("entities", "%26%23x3c;"),
    ("sql", "select+union+from+or+"),
    ("comments", "/**/"),
    ("comment_starts", "/*"),
    ("base64", "PHNjcmlwdD4"),
    ("brackets", "[[a]"),
    ("css", "\\3c+"),
    ("exponents", "1e"),
    ("shell", ";cat+`x`|"),
];

/// A request that is hostile by its body, or by its cookies.
struct Hostile {
    name: &'static str,
    kind: &'static str,
    body: Vec<u8>,
    cookie: String,
}

#[test]
fn work_of_our_rules_grows_no_faster_than_requests() {
    grows("own", &common::own(), &Overlay::default());
}

#[test]
fn work_of_the_crs_grows_no_faster_than_requests() {
    let Some(dir) = common::crs_dir() else {
        println!("worst: there is no CRS here (CRS_DIR names one): only our rules were run");
        return;
    };
    let (rules, overlay) = common::crs(&dir);
    grows("crs", &rules, &overlay);
}

fn grows(set: &str, rules: &RuleSet, overlay: &Overlay) {
    let [quarters, halves, wholes] = [25, 50, 100].map(|kb| hostile(kb * KB));
    let (mut slowest, mut most, mut steepest) = ((0.0, ""), (0, ""), (0.0, ""));
    println!(
        "{:<15} {:>8} {:>12} {:>6} {:>6}  health",
        set, "cpu_ms", "work_bytes", "25-50", "50-100"
    );
    for ((quarter, half), whole) in quarters.iter().zip(&halves).zip(&wholes) {
        let name = whole.name;
        let (large, ms, health) = look(rules, overlay, whole, &Limits::default(), true);
        assert!(large <= READ_PER_BYTE_MAX * 100 * KB as u64, "{name}: {large} bytes read");
        let measure = |filtered: bool| {
            [quarter, half, whole].map(|hostile| {
                let looked = look(rules, overlay, hostile, &OUT_OF_REACH, filtered);
                assert!(looked.2 != "Truncated", "{name}: a limit hides how much there is");
                looked.0
            })
        };
        let works = measure(true);
        let (growth, large) = (growth(works), works[2]);
        println!(
            "{name:<15} {ms:>8.1} {large:>12} {:>6.2} {:>6.2}  {health}",
            growth[0], growth[1]
        );
        let mut steep = growth[0].max(growth[1]);
        if steep > GROWTH_MAX {
            // The longer random bytes are, the fewer rules the filters rule out: what they spare
            // may shrink, and what is read without them is the bound.
            let bound = measure(false);
            assert!(works.iter().zip(&bound).all(|(work, bound)| work <= bound), "{name}");
            let bound = self::growth(bound);
            steep = bound[0].max(bound[1]);
        }
        assert!(steep <= GROWTH_MAX, "{name}: {steep:.2} times the work for twice the bytes");
        slowest = if ms > slowest.0 { (ms, name) } else { slowest };
        most = most.max((large, name));
        steepest = if steep > steepest.0 { (steep, name) } else { steepest };
    }
    println!(
        "worst: set={set} requests={} slowest={} cpu_ms={:.1} most={} work_bytes={} steepest={} growth={:.2}",
        wholes.len(),
        slowest.1,
        slowest.0,
        most.1,
        most.0,
        steepest.1,
        steepest.0,
    );
}

/// From each to the next.
fn growth([small, middle, large]: [u64; 3]) -> [f64; 2] {
    [(middle, small), (large, middle)].map(|(more, less)| more as f64 / less as f64)
}

/// Bytes read, milliseconds on a core, and the health; with the filters or without.
fn look(
    rules: &RuleSet,
    overlay: &Overlay,
    hostile: &Hostile,
    limits: &Limits,
    filtered: bool,
) -> (u64, f64, String) {
    let length = hostile.body.len().to_string();
    let mut headers: Vec<(&[u8], &[u8])> = vec![
        (b"Host", b"shop.example.com"),
        (b"User-Agent", b"Mozilla/5.0"),
        (b"Accept", b"*/*"),
        (b"Content-Type", hostile.kind.as_bytes()),
        (b"Content-Length", length.as_bytes()),
    ];
    if !hostile.cookie.is_empty() {
        headers.push((b"Cookie", hostile.cookie.as_bytes()));
    }
    let request = seclang::Request {
        method: b"POST",
        target: b"/a",
        protocol: b"HTTP/1.1",
        headers: &headers,
        body: &hostile.body,
        client: IpAddr::from([192, 0, 2, 1]),
        client_port: 40_000,
        id: "worst",
    };
    let look = || {
        let mut inspection = match filtered {
            true => rules.inspect(&request, overlay, limits),
            false => rules.inspect_unfiltered(&request, overlay, limits),
        };
        inspection.finish();
        inspection
    };
    let before = cpu_ms();
    (1..RUNS).for_each(|_| drop(look()));
    let inspection = look();
    let took = (cpu_ms() - before) / RUNS as f64;
    (inspection.work_bytes(), took, format!("{:?}", inspection.outcome().health))
}

/// How long this thread has run, as Linux counts it; elsewhere nothing is shown.
fn cpu_ms() -> f64 {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = line.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    ns.unwrap_or(0.0) / 1e6
}

/// All of them, of about `size` bytes each.
fn hostile(size: usize) -> Vec<Hostile> {
    let mut all: Vec<Hostile> = REPEATED
        .iter()
        .map(|(name, text)| post(name, FORM, format!("a={}", text.repeat(size / text.len()))))
        .collect();
    let mut random = Random::new(3);
    let printable: String = (0..size)
        .map(|_| char::from(b' ' + random.byte() % 95))
        .collect::<String>()
        .replace(' ', "+");
    all.push(post("printable", FORM, format!("a={}", printable.replace(['&', '%'], "("))));
    let bytes: Vec<u8> = (0..size).map(|_| random.byte()).collect();
    all.push(of("bytes", "application/octet-stream", bytes));
    all.push(post("arguments", FORM, until(size, |n, out| write!(out, "a{n}=<{n}&"))));
    all.push(post("names", FORM, until(size, |n, out| write!(out, "'{n}+or+1&"))));
    let depth = 30;
    let one = format!("{}\"<a'\"{},", "[".repeat(depth), "]".repeat(depth));
    all.push(post("nested", "application/json", format!("[{}0]", one.repeat(size / one.len()))));
    let leaves = until(size, |n, out| write!(out, "\"'{n} or\","));
    all.push(post("leaves", "application/json", format!("[{leaves}0]")));
    let tags = until(size, |n, out| write!(out, "<b a='{n}'>$(</b>"));
    all.push(post("elements", "text/xml", format!("<a>{tags}</a>")));
    let parts = until(size, |n, out| {
        write!(out, "--x\r\nContent-Disposition: form-data; name=\"f{n}\"\r\n\r\n<{n}>\r\n")
    });
    all.push(post("parts", "multipart/form-data; boundary=x", format!("{parts}--x--\r\n")));
    let mut cookies = post("cookies", FORM, "a=1".to_owned());
    cookies.cookie = until(size, |n, out| write!(out, "c{n}='{n}<; "));
    all.push(cookies);
    let mut cookie = post("cookie", FORM, "a=1".to_owned());
    cookie.cookie = format!("c={}", "<'$(".repeat(size / 4));
    all.push(cookie);
    all
}

fn post(name: &'static str, kind: &'static str, body: String) -> Hostile {
    of(name, kind, body.into_bytes())
}

fn of(name: &'static str, kind: &'static str, body: Vec<u8>) -> Hostile {
    Hostile { name, kind, body, cookie: String::new() }
}

fn until(size: usize, piece: impl Fn(usize, &mut String) -> std::fmt::Result) -> String {
    let mut text = String::new();
    for n in 0.. {
        if text.len() >= size {
            break;
        }
        // a string takes all
        let _ = piece(n, &mut text);
    }
    text
}
