use http::{HeaderName, Method};
use signals::{Framing, Header, Headers, Host, IdentityFact, Inspected, Path, Protocol, Scheme};

use super::*;
use crate::forward::ClientBody;

const ID: Uuid = Uuid::from_u128(0x019a_a2b0_7d1c_7c3e_9a41_0000_0000_0001);
const ID_TEXT: &str = "019aa2b0-7d1c-7c3e-9a41-000000000001";

fn request(fields: &[(&'static str, &str)]) -> Request {
    let header = |(name, value): &(&'static str, &str)| Header {
        name: HeaderName::from_static(name),
        value: HeaderValue::from_bytes(value.as_bytes()).unwrap(),
    };
    Request {
        protocol: Protocol::Http11,
        method: Method::GET,
        scheme: Scheme::Https,
        host: Host::parse(b"api.example").unwrap().0,
        port: None,
        path: Path::parse(b"/secret-path").unwrap(),
        query: None,
        headers: Headers::new(fields.iter().map(header).collect()).unwrap(),
        framing: Framing::None,
        inspected: Inspected::default(),
    }
}

fn client() -> Client<'static> {
    Client { decision_id: Some(ID), request_id: None, html: false, realm: "orders", message: None }
}

fn refusal(class: Class) -> Refusal {
    Refusal { class, message_id: None, acr: None }
}

fn field<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    assert!(response.headers().get_all(name).iter().count() < 2, "{name} twice");
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

fn presented() -> Facts {
    let identity = IdentityFact {
        presented: true,
        problem: "expired-secret-word".to_owned(),
        ..IdentityFact::default()
    };
    Facts { identity, ..Facts::default() }
}

#[test]
fn each_reason_has_its_status_and_a_problem() {
    let facts = presented();
    let check = |reason: Reason<'_>, status: u16, title: &str| {
        let response = answer(reason, &client());
        assert_eq!(response.status(), status, "{reason:?}");
        assert_eq!(field(&response, "content-type"), Some("application/problem+json"));
        assert_eq!(field(&response, "cache-control"), Some("no-store"));
        assert_eq!(field(&response, "portcullis-decision-id"), Some(ID_TEXT));
        let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["title"], title);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["instance"], format!("urn:uuid:{ID_TEXT}"));
        assert_eq!(problem["decision_id"], ID_TEXT);
        let text = std::str::from_utf8(response.body()).unwrap();
        assert!(!text.contains("secret"), "{text}");
    };
    for (class, status, title) in [
        (Class::Unavailable, 503, "Service Unavailable"),
        (Class::Blocked, 403, "Forbidden"),
        (Class::Unauthenticated, 401, "Unauthorized"),
        (Class::Throttled, 429, "Too Many Requests"),
        (Class::StepUp, 401, "Unauthorized"),
        (Class::Forbidden, 403, "Forbidden"),
    ] {
        check(Reason::Refused(&refusal(class), &facts), status, title);
    }
    check(Reason::Unreadable(Unreadable::BareLf), 400, "Bad Request");
    check(Reason::Unreadable(Unreadable::HeadTimeout), 408, "Request Timeout");
    check(Reason::Unreadable(Unreadable::HeadTooLong), 431, "Request Header Fields Too Large");
    check(Reason::NotFound, 404, "Not Found");
    check(Reason::MethodNotAllowed("GET"), 405, "Method Not Allowed");
    check(Reason::Failed(Failure::Connect), 502, "Bad Gateway");
    check(Reason::Failed(Failure::ResponseTimeout), 504, "Gateway Timeout");
    check(Reason::Failed(Failure::NoHealthyEndpoint), 503, "Service Unavailable");
    check(Reason::Failed(Failure::ClientBody(ClientBody::TooLarge)), 413, "Payload Too Large");
    check(Reason::Failed(Failure::Unsendable), 500, "Internal Server Error");
    check(Reason::Unrecorded, 503, "Service Unavailable");
    check(Reason::Panicked, 500, "Internal Server Error");
}

#[test]
fn what_has_no_decision_has_no_id() {
    let response = answer(Reason::Unrecorded, &Client { decision_id: None, ..client() });
    assert_eq!(field(&response, "portcullis-decision-id"), None);
    let want = r#"{"type":"about:blank","title":"Service Unavailable","status":503}"#;
    assert_eq!(response.body().as_ref(), want.as_bytes());
}

#[test]
fn challenges() {
    let check = |class, acr: Option<&str>, facts: &Facts, realm, want: Option<&str>| {
        let refusal = Refusal { class, message_id: None, acr: acr.map(str::to_owned) };
        let client = Client { realm, ..client() };
        let response = answer(Reason::Refused(&refusal, facts), &client);
        assert_eq!(field(&response, "www-authenticate"), want, "{class:?} {realm}");
    };
    let (bare, bad) = (Facts::default(), presented());
    let step = "Bearer realm=\"orders\", error=\"insufficient_user_authentication\"";
    let step_acr = format!("{step}, acr_values=\"urn:acr:gold urn:acr:silver\"");
    check(Class::Unauthenticated, None, &bare, "orders", Some("Bearer realm=\"orders\""));
    check(
        Class::Unauthenticated,
        None,
        &bad,
        "orders",
        Some("Bearer realm=\"orders\", error=\"invalid_token\""),
    );
    check(
        Class::Unauthenticated,
        None,
        &bare,
        "a\"b\\c\r\n\u{e9}",
        Some("Bearer realm=\"a\\\"b\\\\c\""),
    );
    check(Class::StepUp, None, &bare, "orders", Some(step));
    check(Class::StepUp, Some("urn:acr:gold urn:acr:silver"), &bare, "orders", Some(&step_acr));
    for class in [Class::Unavailable, Class::Blocked, Class::Throttled, Class::Forbidden] {
        check(class, None, &bad, "orders", None);
    }
}

#[test]
fn rate_fields() {
    let ok = Rate {
        health: Health::Ok,
        limited: true,
        limit: 100,
        window_s: 60,
        remaining: 0,
        retry_after_s: 7,
    };
    let check = |class, rate: Rate, want: Option<(&str, &str)>, retry: Option<&str>| {
        let facts = Facts { rate, ..Facts::default() };
        let response = answer(Reason::Refused(&refusal(class), &facts), &client());
        assert_eq!(field(&response, "ratelimit"), want.map(|(limit, _)| limit));
        assert_eq!(field(&response, "ratelimit-policy"), want.map(|(_, policy)| policy));
        assert_eq!(field(&response, "retry-after"), retry);
    };
    let policy = "\"default\";q=100;w=60";
    check(Class::Throttled, ok.clone(), Some(("\"default\";r=0;t=7", policy)), Some("7"));
    let now = Rate { retry_after_s: 0, ..ok.clone() };
    check(Class::Throttled, now, Some(("\"default\";r=0;t=0", policy)), Some("1"));
    let free = Rate { limited: false, remaining: 9, retry_after_s: 0, ..ok.clone() };
    check(Class::Throttled, free.clone(), Some(("\"default\";r=9;t=0", policy)), None);
    check(Class::Forbidden, free, Some(("\"default\";r=9;t=0", policy)), None);
    check(Class::Forbidden, ok.clone(), Some(("\"default\";r=0;t=7", policy)), None);
    for health in [Health::Skipped, Health::Truncated, Health::Unavailable] {
        check(Class::Throttled, Rate { health, ..ok.clone() }, None, None);
    }
}

#[test]
fn a_wrong_method_hears_the_right_ones() {
    let response = answer(Reason::MethodNotAllowed("GET, HEAD"), &client());
    assert_eq!(field(&response, "allow"), Some("GET, HEAD"));
    assert_eq!(field(&answer(Reason::NotFound, &client()), "allow"), None);
}

#[test]
fn browsers_get_a_page() {
    let check = |accept: &[&str], html: bool| {
        let fields: Vec<_> = accept.iter().map(|value| ("accept", *value)).collect();
        let html_wanted = prefers_html(&request(&fields));
        let response = answer(Reason::NotFound, &Client { html: html_wanted, ..client() });
        let kind = field(&response, "content-type").unwrap();
        assert_eq!(kind == "text/html; charset=utf-8", html, "{accept:?}: {kind}");
        assert_eq!(field(&response, "content-security-policy").is_some(), html);
        assert_eq!(response.body().starts_with(b"<!doctype html>"), html);
        assert!(std::str::from_utf8(response.body()).unwrap().contains(ID_TEXT));
    };
    check(&[], false);
    check(&["*/*"], false);
    check(&["text/*"], false);
    check(&["text/html"], true);
    check(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], true);
    check(&["application/json", "text/html;q=0.9"], false);
    check(&["application/json;q=0.1", "TEXT/HTML ; Q=0.2"], true);
    check(&["application/problem+json, text/html"], false);
    check(&["text/html;q=0"], false);
    check(&["text/html;q=0.000"], false);
    check(&["text/html;q=0.001"], true);
    check(&["text/html;q=1.000"], true);
    check(&["text/html;q=1.001"], false);
    check(&["text/html;q=0.0001"], false);
    check(&["text/html;q=nan"], false);
    check(&["text/html;q="], false);
    check(&["text/html;level=1;q=0.5, application/json;q=0.4"], true);
    check(&[",,;,=;q"], false);
}

#[test]
fn an_operators_text_is_said_and_escaped() {
    let text = "Orders are <closed> & \"quiet\".";
    let message = Some(text);
    let refusal = refusal(Class::Forbidden);
    let facts = Facts::default();
    let page =
        answer(Reason::Refused(&refusal, &facts), &Client { html: true, message, ..client() });
    let page = std::str::from_utf8(page.body()).unwrap().to_owned();
    assert!(page.contains("<p>Orders are &lt;closed&gt; &amp; &quot;quiet&quot;.</p>"), "{page}");
    let json = answer(Reason::Refused(&refusal, &facts), &Client { message, ..client() });
    let problem: serde_json::Value = serde_json::from_slice(json.body()).unwrap();
    assert_eq!(problem["detail"], text);
}

#[test]
fn a_plain_request_id_is_echoed() {
    let check = |values: &[&str], echoed: bool| {
        let fields: Vec<_> = values.iter().map(|value| ("x-request-id", *value)).collect();
        let request_id = request_id(&request(&fields));
        let client = Client { request_id: request_id.as_ref(), ..client() };
        let response = answer(Reason::NotFound, &client);
        let want = if echoed { values.first().copied() } else { None };
        assert_eq!(field(&response, "x-request-id"), want);
    };
    let long = "a".repeat(129);
    check(&[], false);
    check(&["req-1._~+/=:@Z"], true);
    check(&[long.split_at(128).0], true);
    check(&[&long], false);
    check(&[""], false);
    check(&["a b"], false);
    check(&["<script>"], false);
    check(&["\u{e9}"], false);
    check(&["a", "b"], false);
    check(&["a", "a"], false);
}

#[test]
fn caching_is_restricted_and_never_loosened() {
    let check = |cache: Option<Cache>, upstream: &[&'static str], want: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in upstream {
            headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
        }
        restrict(&mut headers, cache);
        let got: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
        assert_eq!(got, want, "{cache:?} {upstream:?}");
    };
    let (private, ask, never) = (Some(Cache::Private), Some(Cache::NoCache), Some(Cache::NoStore));
    check(None, &["public, max-age=60"], &["public, max-age=60"]);
    check(None, &[], &[]);
    check(private, &[], &["private"]);
    check(private, &["public, max-age=60, s-maxage=90"], &["private, max-age=60"]);
    check(private, &["PUBLIC", "Max-Age=0"], &["private, max-age=0"]);
    check(private, &["no-cache"], &["private, no-cache"]);
    check(private, &["no-store"], &["private, no-store"]);
    check(private, &["private=\"set-cookie, x\", max-age=9"], &["private, no-cache, max-age=9"]);
    check(private, &["no-cache=\"set-cookie\""], &["private, no-cache"]);
    check(ask, &[], &["private, no-cache"]);
    check(ask, &["max-age=60"], &["private, no-cache, max-age=60"]);
    check(ask, &["no-store"], &["private, no-cache, no-store"]);
    check(never, &[], &["no-store"]);
    check(never, &["public, max-age=60", "immutable"], &["no-store"]);
}

#[test]
fn fields_for_single_caches_go() {
    for name in ["cdn-cache-control", "surrogate-control"] {
        for (cache, stays) in [(None, true), (Some(Cache::Private), false)] {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("max-age=60"));
            restrict(&mut headers, cache);
            assert_eq!(headers.contains_key(name), stays, "{name}");
        }
    }
}
