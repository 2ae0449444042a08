//! What the pattern check costs with the default rules, for a request of each usual kind.

#![expect(clippy::expect_used, reason = "a bench stops if it cannot begin")]
#![allow(missing_docs, reason = "criterion's macros make functions")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderName, HeaderValue, Method};
use signals::{
    Checks, Conn, Framing, Header, Headers, Host, Inspect, Inspected, Path, Protocol, Query,
    Request, Rules, Scheme,
};

const BROWSER: [(&str, &str); 10] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "de-DE,de;q=0.8,en-US;q=0.5,en;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example.com/search?q=shoes&sort=price"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("cookie", "_ga=GA1.1.1234567890.1732305330; session=8f3c2a9e51d74b06; theme=dark"),
    ("authorization", "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"),
];

fn request(target: &str, fields: &[(&str, &str)], kind: &str, body: String) -> Request {
    let typed = [("content-type", kind)];
    let typed = typed.iter().filter(|(_, kind)| !kind.is_empty());
    let fields = fields.iter().chain(typed).map(|(name, value)| Header {
        name: HeaderName::from_bytes(name.as_bytes()).expect("a name"),
        value: HeaderValue::from_str(value).expect("a value"),
    });
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Request {
        protocol: Protocol::Http11,
        method: if body.is_empty() { Method::GET } else { Method::POST },
        scheme: Scheme::Https,
        host: Host::parse(b"shop.example.com").expect("a host").0,
        port: None,
        path: Path::parse(path.as_bytes()).expect("a path"),
        query: (!query.is_empty()).then(|| Query::parse(query.as_bytes()).expect("a query")),
        headers: Headers::new(fields.collect()).expect("fields"),
        framing: if body.is_empty() { Framing::None } else { Framing::Chunked },
        inspected: Inspected { bytes: Bytes::from(body), whole: true },
    }
}

/// Ten parameters, a kilobyte in all.
fn arguments() -> String {
    const VALUES: [&str; 5] = [
        "the+quick+brown+fox+jumps+over+the+lazy+dog+and+runs+into+the+woods+before+it+is+dark",
        "O%27Reilly+%26+Sons%2C+12+Union+Street%2C+Portland%2C+OR+97205%2C+US",
        "2026-11-22T20%3A15%3A30.123Z",
        "id%2Cname%2Ctotal%2Ccustomer.name%2Ccustomer.email%2Citems.sku%2Citems.qty%2Cshipping.address",
        "https%3A%2F%2Fshop.example.com%2Forders%2F12345%3Ftab%3Ditems%26sort%3Dprice%23top%26more%3Dtrue",
    ];
    let pairs = VALUES.iter().cycle().take(10).enumerate();
    pairs.map(|(n, value)| format!("parameter{n}={value}")).collect::<Vec<_>>().join("&")
}

const SENTENCES: [&str; 6] = [
    "We'd like to order two of these (or three, if you've got them) by Friday. ",
    "The parcel didn't come; my neighbour says it was left at 12 Union Street. ",
    "Please select a plan from the table below & let me know what it costs, e.g. $5 or $6. ",
    "See https://example.com/terms?x=1&y=2 for details -- it's all there, isn't it? ",
    "Wir h\u{e4}tten gerne zwei St\u{fc}ck; die Lieferung sollte bis zum 24.11. da sein. ",
    "If x < 5 and y > 6 then it's 'fine', otherwise it is not. ",
];

fn prose(bytes: usize) -> String {
    let mut text = String::new();
    for sentence in SENTENCES.iter().cycle() {
        if text.len() >= bytes {
            break;
        }
        text.push_str(sentence);
    }
    text
}

/// Orders with some numbers, identifiers and sentences in each.
fn json(bytes: usize) -> String {
    let mut items = Vec::new();
    for (n, note) in SENTENCES.iter().cycle().enumerate() {
        let item = format!(
            r#"{{"id":{n},"sku":"SKU-{n:05}/B","price":{n}.99,"name":"O'Reilly {n}","at":"2026-11-22T20:15:30Z","paid":true,"note":"{note}"}}"#
        );
        items.push(item);
        if items.iter().map(String::len).sum::<usize>() >= bytes {
            break;
        }
    }
    format!(r#"{{"items":[{}]}}"#, items.join(","))
}

fn waf(criterion: &mut Criterion) {
    let rules = Rules::default_rules().expect("the default rules load");
    let api = BROWSER.get(..2).expect("some fields");
    let kinds = [
        ("small GET", request("/orders/12345", api, "", String::new())),
        ("GET of a browser", request("/orders/12345?page=2", &BROWSER, "", String::new())),
        ("GET, 1 KB, 10 arguments", {
            request(&format!("/search?{}", arguments()), &BROWSER, "", String::new())
        }),
        ("JSON, 10 KB", request("/orders", &BROWSER, "application/json", json(10_000))),
        ("prose, 10 KB", request("/notes", &BROWSER, "text/plain", prose(10_000))),
    ];
    let (checks, conn) = (Checks { waf: Inspect::Body, ..Checks::default() }, Conn::default());
    let mut group = criterion.benchmark_group("waf");
    for (name, request) in kinds {
        let waf = rules.observe(&checks, &request, &conn);
        assert_eq!(waf.score, 0, "{name}: {:?}", waf.hits);
        let bytes = request.target().len() + request.inspected.bytes.len();
        group.throughput(Throughput::Bytes(u64::try_from(bytes).unwrap_or(0)));
        group.bench_function(name, |bencher| {
            bencher.iter(|| rules.observe(&checks, black_box(&request), &conn));
        });
    }
    group.finish();
}

criterion_group!(benches, waf);
criterion_main!(benches);
