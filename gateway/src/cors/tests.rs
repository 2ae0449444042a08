use http::HeaderMap;
use signals::{Framing, Header, Headers, Host, Inspected, Path, Protocol, Request, Scheme};

use super::*;

fn request(method: Method, fields: &[(&'static str, &str)]) -> Request {
    let header = |(name, value): &(&'static str, &str)| Header {
        name: HeaderName::from_static(name),
        value: HeaderValue::from_bytes(value.as_bytes()).unwrap(),
    };
    Request {
        protocol: Protocol::Http11,
        method,
        scheme: Scheme::Https,
        host: Host::parse(b"api.example").unwrap().0,
        port: None,
        path: Path::parse(b"/a").unwrap(),
        query: None,
        headers: Headers::new(fields.iter().map(header).collect()).unwrap(),
        framing: Framing::None,
        inspected: Inspected::default(),
    }
}

fn cors(origins: Origins, credentials: bool) -> Cors {
    let headers = vec!["authorization".to_owned(), "x-tag".to_owned()];
    Cors { origins, headers, max_age: Duration::from_secs(600), credentials }
}

fn listed() -> Origins {
    Origins::Listed(vec!["https://app.example".to_owned()])
}

/// The fields as lines, without those that are not ours.
fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines
}

#[test]
fn what_is_a_preflight() {
    fn check(method: Method, fields: &[(&'static str, &str)], want: Option<&str>) {
        let got = Preflight::of(&request(method, fields));
        assert_eq!(got.as_ref().map(|preflight| preflight.method.as_str()), want);
    }
    const ORIGIN: (&str, &str) = ("origin", "https://app.example");
    const ASKS: (&str, &str) = ("access-control-request-method", "PUT");
    check(Method::OPTIONS, &[ORIGIN, ASKS], Some("PUT"));
    check(Method::GET, &[ORIGIN, ASKS], None);
    check(Method::OPTIONS, &[ORIGIN], None);
    check(Method::OPTIONS, &[ASKS], None);
    check(Method::OPTIONS, &[ORIGIN, ORIGIN, ASKS], None);
    check(Method::OPTIONS, &[ORIGIN, ASKS, ASKS], None);
    check(Method::OPTIONS, &[ORIGIN, ("access-control-request-method", "P T")], None);
}

#[test]
fn what_an_answer_says() {
    fn check(cors: &Cors, origin: Option<&str>, want: &[&str]) {
        let fields: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        let mut headers = HeaderMap::new();
        for name in ["access-control-allow-origin", "access-control-allow-credentials"] {
            headers.insert(name, HeaderValue::from_static("the upstream's"));
        }
        cors.said(&request(Method::GET, &fields)).put(&mut headers);
        assert_eq!(lines(&headers), want, "{origin:?}");
    }
    let app = "access-control-allow-origin: https://app.example";
    let (any, credentials) =
        ("access-control-allow-origin: *", "access-control-allow-credentials: true");
    check(&cors(listed(), false), Some("https://app.example"), &[app, "vary: Origin"]);
    check(&cors(listed(), true), Some("https://app.example"), &[credentials, app, "vary: Origin"]);
    for other in ["https://app.example.evil", "http://app.example", "null", "https://APP.example"] {
        check(&cors(listed(), true), Some(other), &["vary: Origin"]);
    }
    check(&cors(listed(), true), None, &["vary: Origin"]);
    check(&cors(Origins::Any, false), Some("https://x.example"), &[any]);
    check(&cors(Origins::Any, false), None, &[any]);
}

#[test]
fn what_a_preflight_is_granted() {
    fn check(origin: &str, names: &str, want: bool) {
        let fields = [("origin", origin), ("access-control-request-headers", names)];
        let granted = cors(listed(), true)
            .grant(&request(Method::OPTIONS, &fields), &[Method::GET, Method::PUT]);
        assert_eq!(granted.is_some(), want, "{origin} {names}");
        let Some(granted) = granted else { return };
        let mut headers = HeaderMap::new();
        granted.put(&mut headers);
        let want = [
            "access-control-allow-credentials: true",
            "access-control-allow-headers: authorization, x-tag",
            "access-control-allow-methods: GET, PUT",
            "access-control-allow-origin: https://app.example",
            "access-control-max-age: 600",
            "vary: Origin",
        ];
        assert_eq!(lines(&headers), want);
    }
    check("https://app.example", "", true);
    check("https://app.example", "authorization", true);
    check("https://app.example", "Authorization, X-Tag", true);
    check("https://app.example", "x-other", false);
    check("https://app.example", "authorization,x-other", false);
    check("https://evil.example", "authorization", false);
}
