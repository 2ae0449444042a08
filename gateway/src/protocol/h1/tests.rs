//! Heads as tables, limits at their edges, and properties. What is refused is in
//! `tests/attacks/framing.toml`, which `listen` runs.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits =
    Limits { head_bytes: 400, headers: 4, line_bytes: 300, target_bytes: 100, body_bytes: 50 };

/// Scans pieces of `step` bytes, then parses.
fn read_by(raw: &[u8], step: usize, limits: &Limits) -> Result<Parsed, Unreadable> {
    let (mut scan, mut seen) = (Scan::default(), 0);
    while seen < raw.len() {
        seen = seen.saturating_add(step).min(raw.len());
        if let Some(length) = scan.find(&raw[..seen], limits)? {
            return parse(&Bytes::copy_from_slice(&raw[..length]), Scheme::Https, limits);
        }
    }
    Err(Unreadable::HeadIncomplete)
}

/// The same in one piece, byte by byte and in between.
fn read(raw: &str, limits: &Limits) -> Result<Parsed, Unreadable> {
    let whole = read_by(raw.as_bytes(), usize::MAX, limits);
    for step in [1, 2, 3, 5, 17] {
        let pieces = read_by(raw.as_bytes(), step, limits);
        let [a, b] = [&whole, &pieces].map(|read| read.as_ref().map(|_| ()).map_err(|why| *why));
        assert_eq!(a, b, "by {step}: {raw:?}");
    }
    whole
}

fn hyper_sees(head: &Parsed, last: bool) -> String {
    let mut to = BytesMut::new();
    for_hyper(head, last, &mut to);
    String::from_utf8(to.to_vec()).expect("ascii")
}

#[test]
fn what_hyper_sees() {
    fn check(raw: &str, want: &str) {
        let head = read(raw, &Limits::default()).expect("readable");
        assert_eq!(hyper_sees(&head, false), want, "{raw:?}");
    }
    check("GET /a?b HTTP/1.1\r\nHost: a\r\nCookie: c\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    check(
        "PURGE /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        "PURGE / HTTP/1.0\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    check(
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length:\t 7 \r\nExpect: 100-Continue\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 7\r\nexpect: 100-continue\r\n\r\n",
    );
    check(
        "POST /a HTTP/1.0\r\nHost: a\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.0\r\nhost: x\r\ncontent-length: 7\r\nconnection: close\r\n\r\n",
    );
    check(
        "POST /a HTTP/1.1\r\nHost: a\r\nTE: gzip, Trailers\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nte: trailers\r\n\r\n",
    );
    check(
        "GET /a HTTP/1.1\r\nHost: a\r\nConnection: x ,\tclose\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    let head = read("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &LIMITS).expect("readable");
    assert_eq!(hyper_sees(&head, true), "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
}

#[test]
fn what_the_request_says() {
    let raw = "POST /a/%62?c=<d> HTTP/1.1\r\nHost: A.Test.:8443\r\nX-E:\t f g \r\nX-H:\r\n\
               Content-Length: 3\r\n\r\n";
    let request = read(raw, &Limits::default()).expect("readable").request;
    assert_eq!(request.method, "POST");
    assert_eq!(request.protocol, Protocol::Http11);
    assert_eq!(request.scheme, Scheme::Https);
    assert_eq!(request.authority(), "a.test:8443");
    assert_eq!(request.target(), "/a/%62?c=%3Cd%3E");
    assert_eq!(request.framing, Framing::Length(3));
    let fields: Vec<_> =
        request.headers.iter().map(|field| (field.name.as_str(), field.value.as_bytes())).collect();
    let want: [(&str, &[u8]); 4] =
        [("host", b"A.Test.:8443"), ("x-e", b"f g"), ("x-h", b""), ("content-length", b"3")];
    assert_eq!(fields, want);
}

#[test]
fn absolute_forms() {
    fn check(target: &str, host: &str, want: Result<&str, Unreadable>) {
        let raw = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let got = read(&raw, &LIMITS).map(|head| head.request.target());
        assert_eq!(got.as_deref().map_err(|why| *why), want, "{raw:?}");
    }
    check("https://a.test/b?c", "a.test", Ok("/b?c"));
    check("https://a.test", "a.test", Ok("/"));
    check("https://a.test?c", "a.test", Ok("/?c"));
    check("https://A.test.:443/", "a.test", Ok("/"));
    check("https://a.test/", "a.test:443", Ok("/"));
    check("https://a.test:8443/", "a.test:8443", Ok("/"));
    check("https://a.test/", "a.test:8443", Err(Unreadable::AbsoluteFormMismatch));
    check("https://a.test#b", "a.test", Err(Unreadable::BadTarget));
    check("https://b.test/", "a.test", Err(Unreadable::AbsoluteFormMismatch));
    check("http://a.test/", "a.test", Err(Unreadable::AbsoluteFormMismatch));
}

#[test]
fn limits_at_their_edges() {
    fn check(raw: String, want: Result<(), Unreadable>) {
        assert_eq!(read(&raw, &LIMITS).map(|_| ()), want, "{} bytes: {raw:?}", raw.len());
    }
    let head = |line: &str, fields: &str| format!("{line}\r\nhost: a\r\n{fields}\r\n");
    let get = |fields: &str| head("GET / HTTP/1.1", fields);
    let filled = |bytes: usize| {
        let half = get("a: \r\nb: \r\n").len();
        get(&format!("a: {}\r\nb: {}\r\n", "x".repeat(200), "x".repeat(bytes - half - 200)))
    };
    assert_eq!(filled(LIMITS.head_bytes).len(), LIMITS.head_bytes);
    check(filled(LIMITS.head_bytes), Ok(()));
    check(filled(LIMITS.head_bytes + 1), Err(Unreadable::HeadTooLong));
    check(get(&"a: 1\r\n".repeat(3)), Ok(()));
    check(get(&"a: 1\r\n".repeat(4)), Err(Unreadable::TooManyHeaders));
    let line = |bytes: usize| get(&format!("a: {}\r\n", "x".repeat(bytes - 5)));
    check(line(LIMITS.line_bytes), Ok(()));
    check(line(LIMITS.line_bytes + 1), Err(Unreadable::HeadTooLong));
    let target = |bytes: usize| head(&format!("GET /{} HTTP/1.1", "a".repeat(bytes - 1)), "");
    check(target(LIMITS.target_bytes), Ok(()));
    check(target(LIMITS.target_bytes + 1), Err(Unreadable::TargetTooLong));
    check(target(LIMITS.line_bytes), Err(Unreadable::TargetTooLong));
    let method = |bytes: usize| head(&format!("{} / HTTP/1.1", "A".repeat(bytes)), "");
    check(method(METHOD_BYTES_MAX), Ok(()));
    check(method(METHOD_BYTES_MAX + 1), Err(Unreadable::BadMethod));
    check(get("content-length: 50\r\n"), Ok(()));
    check(get("content-length: 51\r\n"), Err(Unreadable::BodyTooLong));
}

#[test]
fn a_head_that_was_not_scanned_is_still_read_strictly() {
    fn check(raw: &'static [u8], want: Unreadable) {
        let got = parse(&Bytes::from_static(raw), Scheme::Https, &LIMITS).map(|_| ());
        assert_eq!(got, Err(want), "{}", raw.escape_ascii());
    }
    check(b"", Unreadable::HeadIncomplete);
    check(b"\r\n\r\n", Unreadable::BadRequestLine);
    check(b"GET / HTTP/1.1\r\nhost: a\r\n", Unreadable::HeadIncomplete);
    check(b"GET / HTTP/1.1\nhost: a\r\n\r\n", Unreadable::BareLf);
    check(b"GET / HTTP/1.1\r\n\r\nhost: a\r\n\r\n", Unreadable::BadHeaderName);
    check(
        b"GET / HTTP/1.1\r\nhost: a\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\n\r\n",
        Unreadable::TooManyHeaders,
    );
}

/// Words that heads are made of, good and bad.
const PIECES: &[&str] = &[
    "GET",
    "POST",
    "CONNECT",
    " ",
    "/",
    "/a?b",
    "HTTP/1.1",
    "HTTP/1.0",
    "\r\n",
    "\n",
    "\r",
    ":",
    "Host",
    "host: a",
    "Content-Length",
    "content-length: 5",
    "Transfer-Encoding",
    "chunked",
    "transfer-encoding: chunked",
    "connection: close",
    "expect: 100-continue",
    "5",
    "+",
    ",",
    "\t",
    "\0",
    "x",
    "_",
    "http://",
    "https://a/",
    "\u{7f}",
    "é",
    "\r\n\r\n",
];

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let good = prop_oneof![
        Just("GET /a HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n"),
        Just("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"),
        Just("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n"),
        Just("HEAD https://a/ HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n"),
    ];
    let piece = prop_oneof![
        prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..3),
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, piece), 0..5);
    (good, edits).prop_map(|(good, edits)| {
        let mut raw = good.as_bytes().to_vec();
        for (at, cut, piece) in edits {
            let at = at.index(raw.len() + 1);
            let end = (at + cut).min(raw.len());
            raw.splice(at..end, piece);
        }
        raw
    })
}

/// What an independent parser says of a head: method, framing, and whether it closes.
fn independent(head: &[u8]) -> Option<(String, Framing, bool)> {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(head).ok()?;
    assert_eq!(parsed, httparse::Status::Complete(head.len()), "a head, and nothing after it");
    let all = |name: &str| -> Vec<String> {
        let named = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        named
            .map(|field| String::from_utf8_lossy(field.value).trim().to_ascii_lowercase())
            .collect()
    };
    let framing = match (all("content-length").as_slice(), all("transfer-encoding").as_slice()) {
        ([], []) => Framing::None,
        ([length], []) => Framing::Length(length.parse().ok()?),
        ([], [coding]) if coding == "chunked" => Framing::Chunked,
        _ => return None,
    };
    let close =
        all("connection").iter().any(|list| list.split(',').any(|one| one.trim() == "close"));
    Some((request.method?.to_owned(), framing, close || request.version? == 0))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is accepted, an independent parser accepts and reads the same, and hyper is told it.
    #[test]
    fn accepted_is_canonical(raw in mutated()) {
        let limits = Limits::default();
        let (mut scan, mut seen) = (Scan::default(), None);
        if let Ok(Some(length)) = scan.find(&raw, &limits) {
            seen = Some(&raw[..length]);
        }
        if let Some(head) = seen
            && let Ok(parsed) = parse(&Bytes::copy_from_slice(head), Scheme::Https, &limits)
        {
            let request = &parsed.request;
            let says = (request.method.to_string(), request.framing, !parsed.keep_alive);
            prop_assert_eq!(independent(head), Some(says.clone()));
            prop_assert_eq!(independent(hyper_sees(&parsed, false).as_bytes()), Some(says));
        }
    }

    /// Where the bytes were split changes nothing.
    #[test]
    fn splits_change_nothing(raw in mutated(), step in 1..40_usize) {
        let short = Limits { head_bytes: 120, headers: 3, line_bytes: 60, ..Limits::default() };
        for limits in [Limits::default(), short] {
            let [a, b] = [usize::MAX, step].map(|step| {
                read_by(&raw, step, &limits).map(|head| (hyper_sees(&head, false), head.request.digest()))
            });
            prop_assert_eq!(a, b);
        }
    }

    /// Nothing panics, whatever comes.
    #[test]
    fn noise(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_by(&raw, 7, &LIMITS);
        let _ = parse(&Bytes::from(raw), Scheme::Http, &LIMITS);
    }
}
