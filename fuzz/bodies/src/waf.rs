//! What the rules look at: a value is seen the same whichever way its encoding spells it, and
//! whatever a body claims to be, looking at it ends and says the same each time.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use signals::{
    Checks, Conn, Framing, Header, Headers, Health, Host, Inspect, Inspected, Path, Protocol,
    Query, Request, Rules, Scheme, Waf,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const TYPES: [&str; 5] = [FORM, JSON, "text/plain", "application/octet-stream", ""];

/// Looks at the bytes as bodies of each type, as a query, and as a value that is encoded in
/// several ways. Accepted is a value in which no rule finds anything.
pub fn waf(data: &[u8]) -> bool {
    for content_type in TYPES {
        for whole in [true, false] {
            let request = request(content_type, data, whole, Some(data));
            assert_eq!(observe(&request), observe(&request));
        }
    }
    let encoded = |upper: bool| {
        let hex = |byte: &u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
        format!("p={}", data.iter().map(hex).collect::<String>())
    };
    let fact = of_body(FORM, &encoded(true));
    assert_eq!(of_body(FORM, &encoded(false)), fact);
    if let Ok(text) = std::str::from_utf8(data) {
        let short = format!("{{\"p\":{}}}", serde_json::Value::from(text));
        let long: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let long = format!("{{\"p\":\"{long}\"}}");
        assert_eq!(of_body(JSON, &long), of_body(JSON, &short));
    }
    fact.rules.is_empty()
}

/// The fact, without what depends on the body's length.
fn of_body(content_type: &str, body: &str) -> Waf {
    let fact = observe(&request(content_type, body.as_bytes(), true, None));
    assert!(matches!(fact.health, Health::Ok | Health::Truncated), "{:?}", fact.health);
    Waf { inspected_bytes: 0, ..fact }
}

fn observe(request: &Request) -> Waf {
    static RULES: OnceLock<Rules> = OnceLock::new();
    let checks = Checks { waf: Inspect::Body, ..Checks::default() };
    let rules = RULES.get_or_init(|| Rules::default_rules().expect("our rules"));
    rules.observe(&checks, request, &Conn::default())
}

fn request(content_type: &str, body: &[u8], whole: bool, query: Option<&[u8]>) -> Request {
    let mut fields = Vec::new();
    if !content_type.is_empty() {
        let value = HeaderValue::from_str(content_type).expect("a type");
        fields.push(Header { name: HeaderName::from_static("content-type"), value });
    }
    Request {
        protocol: Protocol::Http11,
        method: Method::POST,
        scheme: Scheme::Https,
        host: Host::parse(b"api.example.com").expect("a host").0,
        port: None,
        path: Path::parse(b"/orders").expect("a path"),
        query: query.and_then(|query| Query::parse(query).ok()),
        headers: Headers::new(fields).expect("fields"),
        framing: Framing::Length(body.len() as u64),
        inspected: Inspected { bytes: Bytes::copy_from_slice(body), whole },
    }
}
