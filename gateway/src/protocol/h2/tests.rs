//! What is read and what is refused, and that both versions read the same.

use bytes::Bytes;
use http::HeaderName;
use proptest::prelude::*;

use super::*;
use crate::protocol::h1::Parsed;

const LIMITS: h1::Limits =
    h1::Limits { head_bytes: 400, headers: 4, line_bytes: 200, target_bytes: 100, body_bytes: 50 };

type Fields<'a> = &'a [(&'a str, &'a str)];

/// A head as the h2 crate gives it: `:authority` may be missing, then so is the scheme.
fn parts(method: &str, authority: Option<&str>, target: &str, fields: Fields<'_>) -> Parts {
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(target.parse().expect("a target"));
    if let Some(authority) = authority {
        uri.authority = Some(authority.parse().expect("an authority"));
        uri.scheme = Some(UriScheme::HTTPS);
    }
    let uri = Uri::from_parts(uri).expect("a uri");
    let mut request = http::Request::builder().method(method).uri(uri).body(()).expect("a head");
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        request.headers_mut().append(name, value);
    }
    request.into_parts().0
}

fn read(parts: Parts, bodiless: bool) -> Result<Request, Unreadable> {
    parse(parts, bodiless, &LIMITS)
}

fn lines(request: &Request) -> Vec<String> {
    let line = |field: &Header| {
        format!("{}: {}", field.name, String::from_utf8_lossy(field.value.as_bytes()))
    };
    request.headers.iter().map(line).collect()
}

#[test]
fn heads_that_are_read() {
    fn check(authority: Option<&str>, fields: Fields<'_>, host: &str, want: &[&str]) {
        let got = read(parts("GET", authority, "/a?b=c", fields), true).expect("read");
        assert_eq!(got.authority(), host, "{fields:?}");
        assert_eq!(lines(&got), want);
        assert_eq!((got.protocol, got.scheme), (Protocol::Http2, Scheme::Https));
        assert_eq!((got.method.as_str(), got.target().as_str()), ("GET", "/a?b=c"));
        assert_eq!(got.framing, Framing::None);
    }
    check(Some("A.test:8443"), &[("x", "1")], "a.test:8443", &["host: A.test:8443", "x: 1"]);
    check(None, &[("x", "1"), ("host", "a")], "a", &["x: 1", "host: a"]);
    check(Some("a"), &[("host", "a:443")], "a:443", &["host: a:443"]);
    check(Some("a:443"), &[("host", "A.")], "a", &["host: A."]);
    check(
        Some("a"),
        &[("cookie", "a=1"), ("x", "1"), ("cookie", "b=2"), ("x", "2"), ("cookie", "c=3")],
        "a",
        &["host: a", "cookie: a=1; b=2; c=3", "x: 1", "x: 2"],
    );
    check(Some("a"), &[("te", "trailers")], "a", &["host: a", "te: trailers"]);
}

#[test]
fn framing_of_bodies() {
    use Framing::{Chunked, Length};
    use Unreadable::{BadContentLength, BodyTooLong, DuplicateContentLength};
    for (fields, bodiless, want) in [
        (&[][..], true, Ok(Framing::None)),
        (&[], false, Ok(Chunked)),
        (&[("content-length", "0")], true, Ok(Length(0))),
        (&[("content-length", "0")], false, Ok(Length(0))),
        (&[("content-length", "50")], false, Ok(Length(50))),
        (&[("content-length", "51")], false, Err(BodyTooLong)),
        (&[("content-length", "1")], true, Err(BadContentLength)),
        (&[("content-length", "01")], false, Err(BadContentLength)),
        (&[("content-length", "+1")], false, Err(BadContentLength)),
        (&[("content-length", "1,1")], false, Err(BadContentLength)),
        (&[("content-length", "1"), ("content-length", "1")], false, Err(DuplicateContentLength)),
    ] {
        let got = read(parts("POST", Some("a"), "/", fields), bodiless);
        assert_eq!(got.map(|request| request.framing), want, "{fields:?} {bodiless}");
    }
}

#[test]
fn heads_that_are_refused() {
    fn check(parts: Parts, why: Unreadable) {
        let shown = format!("{parts:?}");
        assert_eq!(read(parts, false).map(|_| ()), Err(why), "{shown}");
    }
    use Unreadable::*;
    let fields = |fields| parts("GET", Some("a"), "/", fields);
    check(parts("GET", None, "/", &[]), MissingHost);
    check(parts("GET", Some("a"), "/", &[("host", "b")]), AbsoluteFormMismatch);
    check(parts("GET", Some("a:1"), "/", &[("host", "a")]), AbsoluteFormMismatch);
    check(parts("GET", Some("a"), "/", &[("host", "a"), ("host", "a")]), DuplicateHost);
    check(parts("GET", Some("user@a"), "/", &[]), UserInfo);
    check(parts("GET", Some("user@a"), "/", &[("host", "a")]), UserInfo);
    check(parts("GET", Some("a"), "/", &[("host", "user@a")]), UserInfo);
    check(parts("OPTIONS", Some("a"), "*", &[]), AsteriskForm);
    check(parts("CONNECT", Some("a"), "/", &[]), AuthorityForm);
    check(parts("GET", Some("a"), "/a/../b", &[]), DotSegment);
    check(parts("GET", Some("a"), "/%00", &[]), EncodedNul);
    check(fields(&[("transfer-encoding", "chunked")]), BadTransferEncoding);
    check(fields(&[("upgrade", "h2c")]), Upgrade);
    check(fields(&[("connection", "x")]), BadHeaderName);
    check(fields(&[("keep-alive", "1")]), BadHeaderName);
    check(fields(&[("proxy-connection", "close")]), BadHeaderName);
    check(fields(&[("te", "gzip")]), BadHeaderValue);
    check(fields(&[("te", "trailers, gzip")]), BadHeaderValue);
    check(fields(&[("x", " 1")]), BadHeaderValue);
    check(fields(&[("x", "1\t")]), BadHeaderValue);
    check(fields(&[("x_forwarded_user", "a")]), UnderscoreHeader);
    check(fields(&[("expect", "x")]), ExpectUnsupported);
    check(fields(&[("content-type", "a/b"), ("content-type", "a/b")]), DuplicateContentType);
    let mut plain = parts("GET", Some("a"), "/", &[]);
    plain.uri = "http://a/".parse().expect("a uri");
    check(plain, AbsoluteFormMismatch);
    let mut nowhere = parts("GET", None, "/", &[("host", "a")]);
    nowhere.uri = Uri::from_parts(http::uri::Parts::default()).expect("a uri");
    check(nowhere, BadTarget);
    check(parts(&"M".repeat(METHOD_BYTES_MAX + 1), Some("a"), "/", &[]), BadMethod);
}

/// The same in the other version, as text.
fn as_h1(method: &str, authority: &str, target: &str, fields: Fields<'_>) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {authority}\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}

fn read_h1(head: String) -> Result<Request, Unreadable> {
    let head = Bytes::from(head);
    h1::Scan::default().find(&head, &LIMITS)?;
    h1::parse(&head, Scheme::Https, &LIMITS).map(|Parsed { request, .. }| request)
}

#[test]
fn limits_at_the_same_edges() {
    fn check(target: &str, fields: Fields<'_>, want: Option<Unreadable>) {
        let h1 = read_h1(as_h1("GET", "a", target, fields));
        let h2 = read(parts("GET", Some("a"), target, fields), true);
        assert_eq!((h1.err(), h2.err()), (want, want), "{} {fields:?}", target.len());
    }
    let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    check(&path(LIMITS.target_bytes), &[], None);
    check(&path(LIMITS.target_bytes + 1), &[], Some(Unreadable::TargetTooLong));
    check("/", &[("a", ""), ("b", ""), ("c", "")], None);
    check("/", &[("a", ""), ("b", ""), ("c", ""), ("c", "")], Some(Unreadable::TooManyHeaders));
    let value = |bytes: usize| "v".repeat(bytes);
    let line = LIMITS.line_bytes - "a: \r\n".len();
    check("/", &[("a", &value(line))], None);
    check("/", &[("a", &value(line + 1))], Some(Unreadable::HeadTooLong));
    let rest = LIMITS.head_bytes - as_h1("GET", "a", "/", &[("a", &value(line)), ("b", "")]).len();
    check("/", &[("a", &value(line)), ("b", &value(rest))], None);
    check("/", &[("a", &value(line)), ("b", &value(rest + 1))], Some(Unreadable::HeadTooLong));
}

#[test]
fn a_head_within_the_limits_is_not_too_long_for_the_h2_crate() {
    let limits = h1::Limits::default();
    // The shortest fields cost most: 32 bytes more each than their own.
    let most = limits.head_bytes + 32 * (limits.headers + PSEUDO_FIELDS);
    assert!(list_bytes(&limits) as usize > most);
}

prop_compose! {
    fn field()(
        name in "[a-z][a-z0-9-]{0,6}|cookie|te|host|content-type|x-forwarded-for|x_forwarded_for",
        value in "[!-~]([ -~]{0,8}[!-~])?|trailers|a\\.test",
    ) -> (String, String) { (name, value) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn both_versions_read_the_same(
        method in "GET|HEAD|POST|PURGE",
        authority in "a\\.test|A\\.Test:8443|user@a|\\[::1\\]:1|a\\.\\.b",
        target in "(/[a-zA-Z0-9%.;~:@!$&'()*+,=-]{0,6}){1,3}(\\?[a-z=&%/.]{0,8})?",
        fields in proptest::collection::vec(field(), 0..5),
    ) {
        // One has `Cookie` in crumbs, both can have it whole; `te` differs, as do the fields of
        // a connection.
        let mut cookie = false;
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .filter(|(name, value)| name != "te" || value == "trailers")
            .filter(|(name, _)| name != "cookie" || !std::mem::replace(&mut cookie, true))
            .filter(|(name, _)| name != "upgrade" && name != "expect")
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let h2 = read(parts(&method, Some(&authority), &target, &fields), true);
        let named = fields.iter().any(|(name, _)| *name == "host");
        let head = as_h1(&method, &authority, &target, &fields);
        match (read_h1(head), h2) {
            // The other version would have two of them.
            (Err(Unreadable::DuplicateHost | Unreadable::TooManyHeaders), _) if named => {}
            (Err(h1), Err(h2)) => prop_assert!(h1.status() == h2.status(), "{h1} {h2}"),
            (Ok(h1), Ok(h2)) => {
                prop_assert_eq!(h1.digest(), h2.digest());
                prop_assert_eq!(lines(&h1), lines(&h2));
                prop_assert_eq!(h1.host, h2.host);
                prop_assert_eq!(h1.port, h2.port);
                prop_assert_eq!(h1.method, h2.method);
                prop_assert_eq!(h1.path, h2.path);
                prop_assert_eq!(h1.query, h2.query);
                prop_assert_eq!(h1.scheme, h2.scheme);
                prop_assert_eq!(h1.framing, h2.framing);
            }
            (h1, h2) => prop_assert!(false, "{h1:?} {h2:?}"),
        }
    }
}
