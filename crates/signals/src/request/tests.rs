//! What is read, and what is refused, as tables.

use http::{HeaderName, HeaderValue};

use super::*;

fn path(raw: &[u8], want: Result<(&str, &[&str]), Unreadable>) {
    let got = Path::parse(raw);
    let got = got.as_ref().map(|path| {
        let segments: Vec<&str> = path.segments().iter().map(String::as_str).collect();
        (path.as_str(), segments)
    });
    let want = want.map(|(raw, segments)| (raw, segments.to_vec()));
    assert_eq!(got.map_err(|why| *why), want, "{}", raw.escape_ascii());
}

#[test]
fn paths_that_are_read() {
    path(b"/", Ok(("/", &[])));
    path(b"/a/b", Ok(("/a/b", &["a", "b"])));
    path(b"/a/", Ok(("/a/", &["a", ""])));
    path(b"/%61%2D", Ok(("/%61%2D", &["a-"])));
    path(b"/a%2fb", Ok(("/a%2fb", &["a/b"])));
    path(b"/a;v=1", Ok(("/a;v=1", &["a;v=1"])));
    path(b"/...", Ok(("/...", &["..."])));
    path(b"/%252e%252e", Ok(("/%252e%252e", &["%2e%2e"])));
    path(b"/<a>\"{|}^`", Ok(("/%3Ca%3E%22%7B%7C%7D%5E%60", &["<a>\"{|}^`"])));
    path("/é".as_bytes(), Ok(("/%C3%A9", &["é"])));
    path(b"/a:b@c!$&'()*+,=~[]", Ok(("/a:b@c!$&'()*+,=~[]", &["a:b@c!$&'()*+,=~[]"])));
}

#[test]
fn paths_that_two_parsers_could_read_differently() {
    use Unreadable::*;
    for (raw, why) in [
        (&b""[..], BadTarget),
        (b"a", BadTarget),
        (b"//", EmptySegment),
        (b"//a", EmptySegment),
        (b"/a//b", EmptySegment),
        (b"/a//", EmptySegment),
        (b"/.", DotSegment),
        (b"/..", DotSegment),
        (b"/a/./b", DotSegment),
        (b"/a/../b", DotSegment),
        (b"/a/..", DotSegment),
        (b"/%2e", DotSegment),
        (b"/%2E%2e/b", DotSegment),
        (b"/.%2e/b", DotSegment),
        (b"/..;x=1/b", DotSegment),
        (b"/a%2f..%2fb", DotSegment),
        (b"/a%2f%2e%2e", DotSegment),
        (b"/a\\b", Backslash),
        (b"/a%5cb", Backslash),
        (b"/a%5Cb", Backslash),
        (b"/a%00", EncodedNul),
        (b"/a\0", BadTarget),
        (b"/a b", BadTarget),
        (b"/a\tb", BadTarget),
        (b"/a\x7f", BadTarget),
        (b"/a?b", BadTarget),
        (b"/a%0a", BadTarget),
        (b"/a%0d%0a", BadTarget),
        (b"/a%7f", BadTarget),
        (b"/a#b", Fragment),
        (b"/a%", BadPercentEncoding),
        (b"/a%4", BadPercentEncoding),
        (b"/a%zz", BadPercentEncoding),
        (b"/a%+1", BadPercentEncoding),
        (b"/%c0%af", PathNotUtf8),
        (b"/%c0%ae%c0%ae/a", PathNotUtf8),
        (b"/%e0%80%af", PathNotUtf8),
        (b"/\xff", PathNotUtf8),
        (b"/%ff", PathNotUtf8),
    ] {
        path(raw, Err(why));
    }
}

#[test]
fn what_a_route_may_opt_in_to_is_noted() {
    for (raw, slash, matrix) in [
        ("/a", false, false),
        ("/a%2Fb", true, false),
        ("/a;b", false, true),
        ("/a%3bb", false, true),
    ] {
        let path = Path::parse(raw.as_bytes()).unwrap();
        assert_eq!((path.encoded_slash(), path.matrix_params()), (slash, matrix), "{raw}");
    }
}

#[test]
fn queries() {
    for (raw, want) in [
        (&b""[..], Ok("")),
        (b"a=1&b[]=2", Ok("a=1&b[]=2")),
        (b"a=%zz%00/../?", Ok("a=%zz%00/../?")),
        (b"q=<script>\"", Ok("q=%3Cscript%3E%22")),
        ("q=ü".as_bytes(), Ok("q=%C3%BC")),
        (b"q=\xff", Err(Unreadable::BadTarget)),
        (b"a=\\", Ok("a=%5C")),
        (b"a#b", Err(Unreadable::Fragment)),
        (b"a b", Err(Unreadable::BadTarget)),
        (b"a\0", Err(Unreadable::BadTarget)),
    ] {
        let got = Query::parse(raw);
        assert_eq!(
            got.as_ref().map(Query::as_str),
            want.as_ref().copied(),
            "{}",
            raw.escape_ascii()
        );
    }
}

#[test]
fn hosts() {
    use Unreadable::{BadHost, UserInfo};
    for (raw, want) in [
        ("api.example.test", Ok(("api.example.test", None))),
        ("API.Example.TEST.:8443", Ok(("api.example.test", Some(8443)))),
        ("127.0.0.1:80", Ok(("127.0.0.1", Some(80)))),
        ("[::1]:80", Ok(("[::1]", Some(80)))),
        ("[0:0::1]", Ok(("[::1]", None))),
        ("", Err(BadHost)),
        (".", Err(BadHost)),
        ("a..b", Err(BadHost)),
        ("a b", Err(BadHost)),
        ("a/b", Err(BadHost)),
        ("a,b", Err(BadHost)),
        ("a%2eb", Err(BadHost)),
        ("a:", Err(BadHost)),
        ("a:+80", Err(BadHost)),
        ("a:65536", Err(BadHost)),
        ("a:80:80", Err(BadHost)),
        ("[::1", Err(BadHost)),
        ("[::1]x", Err(BadHost)),
        ("[::1%25eth0]", Err(BadHost)),
        ("user@a", Err(UserInfo)),
    ] {
        let got = Host::parse(raw.as_bytes());
        let got = got.as_ref().map(|(host, port)| (host.as_str(), *port)).map_err(|e| *e);
        assert_eq!(got, want, "{raw}");
    }
    let edge = [vec!["a".repeat(49); 5].join("."), "a".repeat(3)].join(".");
    assert_eq!(edge.len(), HOST_EDGE);
    assert!(Host::parse(edge.as_bytes()).is_ok());
    assert_eq!(Host::parse(format!("a{edge}").as_bytes()), Err(BadHost));
}

const HOST_EDGE: usize = 253;

fn headers(fields: &[(&str, &str)]) -> Result<Headers, Unreadable> {
    let field = |(name, value): &(&str, &str)| Header {
        name: HeaderName::from_bytes(name.as_bytes()).unwrap(),
        value: HeaderValue::from_str(value).unwrap(),
    };
    Headers::new(fields.iter().map(field).collect())
}

#[test]
fn fields_that_must_stand_alone_or_spelt_right() {
    use Unreadable::*;
    for (fields, want) in [
        (&[("host", "a"), ("host", "a")][..], Err(DuplicateHost)),
        (&[("content-length", "1"), ("content-length", "1")], Err(DuplicateContentLength)),
        (&[("content-type", "a/b"), ("Content-Type", "a/b")], Err(DuplicateContentType)),
        (&[("authorization", "a"), ("authorization", "b")], Err(SeveralAuthorizations)),
        (&[("x_forwarded_user", "admin")], Err(UnderscoreHeader)),
        (&[("x-forwarded_user", "admin")], Err(UnderscoreHeader)),
        (&[("content_length", "1")], Err(UnderscoreHeader)),
        (&[("portcullis_decision_id", "1")], Err(UnderscoreHeader)),
        (&[("x_custom", "1"), ("accept", "a"), ("accept", "b")], Ok(3)),
    ] {
        assert_eq!(headers(fields).map(|headers| headers.len()), want, "{fields:?}");
    }
}

fn request(fields: &[(&str, &str)]) -> Request {
    Request {
        protocol: Protocol::Http11,
        method: Method::GET,
        scheme: Scheme::Https,
        host: Host::parse(b"a.test").unwrap().0,
        port: Some(8443),
        path: Path::parse(b"/x").unwrap(),
        query: Some(Query::parse(b"q=1").unwrap()),
        headers: headers(fields).unwrap(),
        framing: Framing::None,
        inspected: Inspected::default(),
    }
}

#[test]
fn only_what_is_the_clients_goes_upstream() {
    let request = request(&[
        ("host", "a.test:8443"),
        ("accept", "x"),
        ("connection", "close, X-Listed , x-forwarded-user"),
        ("x-listed", "1"),
        ("x-forwarded-user", "admin"),
        ("x-forwarded-for", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4"),
        ("x-auth-request-email", "a@b"),
        ("x-pomerium-jwt-assertion", "t"),
        ("cf-access-jwt-assertion", "t"),
        ("x-amzn-oidc-data", "t"),
        ("portcullis-decision-id", "1"),
        ("authorization", "Bearer t"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("traceparent", "00-"),
        ("cookie", "a=b"),
        ("x-request-id", "r"),
        ("accept", "y"),
    ]);
    let sent: Vec<String> = request
        .end_to_end()
        .map(|field| format!("{}:{}", field.name, field.value.to_str().unwrap()))
        .collect();
    assert_eq!(sent, ["accept:x", "accept:y", "cookie:a=b", "x-request-id:r"]);
}

#[test]
fn the_digest_is_of_what_goes_upstream() {
    let digest = |fields: &[(&str, &str)]| request(fields).digest();
    let plain = digest(&[("accept", "x"), ("a", "1")]);
    assert_eq!(plain, digest(&[("host", "b"), ("accept", "x"), ("x-real-ip", "1"), ("a", "1")]));
    assert_ne!(plain, digest(&[("a", "1"), ("accept", "x")]), "order counts");
    let together = digest(&[("b", "1"), ("b", "2"), ("a", "1")]);
    assert_eq!(
        together,
        digest(&[("b", "1"), ("a", "1"), ("b", "2")]),
        "but for one name's fields"
    );
    assert_ne!(plain, digest(&[("accept", "y"), ("a", "1")]));
    let want =
        ring::digest::digest(&ring::digest::SHA256, b"GET /x?q=1\na.test:8443\naccept:x\na:1\n");
    assert_eq!(plain, want.as_ref());
}
