//! Every answer that is the gateway's own: the one place that turns an error into a status, a
//! challenge and a page (RFC 9457 problem details, or HTML where a browser asks).
//!
//! What the client hears is made of the words in this file and of the text that the operator
//! wrote for it, never of an error, a policy, a fact or an address. The decision's id is what a
//! client can hand to an operator, who finds the rest in the log.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use serde::Serialize;
use signals::{Facts, Health, Rate, Request, Unreadable};
use uuid::Uuid;
use verdict::{Cache, Class, Refusal};

use crate::forward::{DECISION_ID, Failure, decision_value};

const REQUEST_ID: &str = "x-request-id";
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Fields that a single kind of cache obeys before `Cache-Control`.
const TARGETED: [&str; 2] = ["cdn-cache-control", "surrogate-control"];

/// An `X-Request-ID` that is echoed, bytes. A longer one is data for the event only.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// Why the answer is the gateway's own.
#[derive(Debug, Clone, Copy)]
pub enum Reason<'a> {
    /// Policy said no, of these facts.
    Refused(&'a Refusal, &'a Facts),
    /// The request could not be read.
    Unreadable(Unreadable),
    /// No route has this host and path.
    NotFound,
    /// The path is known, the method is not; the methods it has, for `Allow`.
    MethodNotAllowed(&'a str),
    /// A page of this origin may not send such a request.
    PreflightRefused,
    /// Forwarding went wrong.
    Failed(Failure),
    /// The decision could not be recorded, so nothing is done.
    Unrecorded,
    /// Handling it panicked.
    Panicked,
}

/// Whom the answer is for.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The decision's id; `None` where it has no record: it could not be recorded, or is one of a
    /// flood, and counted.
    pub decision_id: Option<Uuid>,
    /// The client's [`request_id`].
    pub request_id: Option<&'a HeaderValue>,
    /// The client [`prefers_html`].
    pub html: bool,
    /// The protection space (RFC 9110 §11.5) that challenges name.
    pub realm: &'a str,
    /// What the operator wrote for the policy's `@message_id`.
    pub message: Option<&'a str>,
}

/// RFC 9457.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<String>,
}

/// The answer. That `HEAD` gets no body is its writer's to see to.
pub fn answer(reason: Reason<'_>, client: &Client<'_>) -> Response<Bytes> {
    let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let problem = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail: client.message.or(reason.detail()),
        instance: client.decision_id.map(|id| id.urn().to_string()),
        decision_id: client.decision_id.map(|id| id.to_string()),
    };
    let mut response = Response::new(if client.html { page(&problem) } else { json(&problem) });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let media_type =
        if client.html { "text/html; charset=utf-8" } else { "application/problem+json" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if client.html {
        let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    reason.fields(client.realm, headers);
    mark(headers, client.decision_id, client.request_id.cloned());
    response
}

/// An answer that says all in its fields.
pub fn no_content(client: &Client<'_>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    mark(response.headers_mut(), client.decision_id, client.request_id.cloned());
    response
}

/// Marks an answer, whoever made it, with the decision's id and the client's `X-Request-ID`.
pub fn mark(headers: &mut HeaderMap, decision_id: Option<Uuid>, request_id: Option<HeaderValue>) {
    let id = decision_id.map(decision_value);
    for (name, value) in [(DECISION_ID, id), (HeaderName::from_static(REQUEST_ID), request_id)] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

/// The client's `X-Request-ID`, if there is one and it is plain.
pub fn request_id(request: &Request) -> Option<HeaderValue> {
    let mut values = request.headers.get_all(REQUEST_ID);
    let (only, None) = (values.next()?, values.next()) else {
        return None;
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=:@".contains(byte);
    let bytes = only.as_bytes();
    let sane = !bytes.is_empty() && bytes.len() <= REQUEST_ID_BYTES_MAX && bytes.iter().all(plain);
    sane.then(|| only.clone())
}

/// Restricts how an upstream's answer may be cached (RFC 9111 §5.2.2) to what policy obliges;
/// what the upstream restricts further stays. Fields for single caches (RFC 9213), which would
/// take precedence, go.
pub fn restrict(headers: &mut HeaderMap, cache: Option<Cache>) {
    let Some(cache) = cache else {
        return;
    };
    for name in TARGETED {
        headers.remove(name);
    }
    let stays = |directive: &&str| {
        let name = directive.split('=').next().unwrap_or_default();
        !matches!(name, "" | "public" | "private" | "no-cache" | "s-maxage")
    };
    let upstream = directives(headers);
    let theirs = upstream.iter().flat_map(|line| line.split(',')).map(str::trim);
    // a value with quotes names fields, and cannot be split: what it says is left out
    let asks_again = cache == Cache::NoCache
        || theirs.clone().any(|directive| directive.split('=').next() == Some("no-cache"))
        || upstream.iter().any(|line| line.contains('"'));
    let ours = if asks_again { "private, no-cache" } else { "private" };
    let mut value = ours.to_owned();
    for directive in theirs.filter(stays).filter(|directive| !directive.contains('"')) {
        value.push_str(", ");
        value.push_str(directive);
    }
    if cache == Cache::NoStore {
        value = "no-store".to_owned();
    }
    set(headers, CACHE_CONTROL, value);
}

fn directives(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(CACHE_CONTROL).iter();
    lines.filter_map(|line| line.to_str().ok()).map(str::to_ascii_lowercase).collect()
}

impl Reason<'_> {
    fn status(self) -> u16 {
        match self {
            Self::Refused(refusal, _) => refusal.class.status(),
            Self::Unreadable(unreadable) => unreadable.status(),
            Self::NotFound => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::PreflightRefused => 403,
            Self::Failed(failure) => failure.status(),
            Self::Unrecorded => 503,
            Self::Panicked => 500,
        }
    }

    fn detail(self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal, facts) => match refusal.class {
                Class::Unavailable => Some("The service cannot decide about this request now."),
                Class::Blocked | Class::Forbidden => Some("This request is not allowed."),
                Class::Unauthenticated if facts.identity.presented => {
                    Some("The credential is not valid here.")
                }
                Class::Unauthenticated => Some("A credential is needed."),
                Class::Throttled => Some("Too many requests. Try again later."),
                Class::StepUp => Some("A stronger authentication is needed."),
            },
            Self::Unreadable(_) => Some("The request cannot be read without doubt."),
            Self::NotFound => None,
            Self::MethodNotAllowed(_) => Some("The resource does not take this method."),
            Self::PreflightRefused => Some("Pages of this origin may not send this request."),
            Self::Failed(failure) => match failure.status() {
                502 => Some("The service behind did not answer as it should."),
                504 => Some("The service behind did not answer in time."),
                _ => None,
            },
            Self::Unrecorded | Self::Panicked => None,
        }
    }

    fn fields(self, realm: &str, headers: &mut HeaderMap) {
        match self {
            Self::Refused(refusal, facts) => {
                let challenge = challenge(refusal, facts, realm);
                set(headers, WWW_AUTHENTICATE, challenge.unwrap_or_default());
                rate(refusal.class, &facts.rate, headers);
            }
            Self::MethodNotAllowed(methods) => set(headers, ALLOW, methods.to_owned()),
            Self::Unreadable(_)
            | Self::NotFound
            | Self::PreflightRefused
            | Self::Failed(_)
            | Self::Unrecorded
            | Self::Panicked => {}
        }
    }
}

/// `WWW-Authenticate`: RFC 6750 §3, RFC 9470 §3.
fn challenge(refusal: &Refusal, facts: &Facts, realm: &str) -> Option<String> {
    let mut text = format!("Bearer realm={}", quoted(realm));
    match refusal.class {
        Class::Unauthenticated if facts.identity.presented => {
            text.push_str(", error=\"invalid_token\"");
        }
        Class::Unauthenticated => {}
        Class::StepUp => {
            text.push_str(", error=\"insufficient_user_authentication\"");
            if let Some(acr) = &refusal.acr {
                text.push_str(", acr_values=");
                text.push_str(&quoted(acr));
            }
        }
        Class::Unavailable | Class::Blocked | Class::Throttled | Class::Forbidden => return None,
    }
    Some(text)
}

/// `Retry-After` (RFC 9110 §10.2.3) of who came too often, and [`tell_limit`].
fn rate(class: Class, rate: &Rate, headers: &mut HeaderMap) {
    tell_limit(rate, headers);
    if was_looked_at(rate) && class == Class::Throttled && rate.limited {
        set(headers, RETRY_AFTER, rate.retry_after_s.max(1).to_string());
    }
}

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), where the limit was
/// looked at: beside those of an upstream, which has limits of its own.
pub fn tell_limit(rate: &Rate, headers: &mut HeaderMap) {
    if !was_looked_at(rate) {
        return;
    }
    let (remaining, wait_s) = (rate.remaining.max(0), rate.retry_after_s.max(0));
    for (name, value) in [
        (RATE_LIMIT_POLICY, format!("\"default\";q={};w={}", rate.limit, rate.window_s)),
        (RATE_LIMIT, format!("\"default\";r={remaining};t={wait_s}")),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.append(name, value);
        }
    }
}

fn was_looked_at(rate: &Rate) -> bool {
    rate.health == Health::Ok && rate.limit >= 1
}

/// Sets a field of ours; one that is empty or no field value is left out.
fn set(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value)
        && !value.is_empty()
    {
        headers.insert(name, value);
    }
}

/// A quoted string (RFC 9110 §5.6.4) of visible ASCII; anything else is left out.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars().filter(|c| matches!(c, ' '..='~')) {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
    out
}

/// Whether `Accept` (RFC 9110 §12.5.1) names HTML, and JSON no higher: so do browsers.
pub fn prefers_html(request: &Request) -> bool {
    let mut html = 0;
    let mut json = 0;
    let values = request.headers.get_all("accept").filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
        let weight = weight(parameters);
        let kind = kind.trim();
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        if is("text/html") {
            html = weight.max(html);
        } else if is("application/json") || is("application/problem+json") {
            json = weight.max(json);
        }
    }
    html > json
}

/// `q` in thousandths (RFC 9110 §12.4.2); 0 where it is malformed.
fn weight(parameters: &str) -> u16 {
    let q = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let Some(q) = q else {
        return 1000;
    };
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths = format!("{fraction:0<3}").parse().ok().filter(|_| digits);
    match (whole, thousandths) {
        ("0", Some(thousandths)) => thousandths,
        ("1", Some(0)) => 1000,
        _ => 0,
    }
}

fn json(problem: &Problem<'_>) -> Bytes {
    // strings and a number always serialise
    Bytes::from(serde_json::to_vec(problem).unwrap_or_default())
}

fn page(problem: &Problem<'_>) -> Bytes {
    let Problem { title, status, .. } = problem;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>{status} {title}</title>\n<h1>{title}</h1>\n"
    );
    // writing to a string does not fail
    if let Some(detail) = problem.detail {
        let _ = writeln!(page, "<p>{}</p>", escaped(detail));
    }
    if let Some(id) = &problem.decision_id {
        let _ = writeln!(page, "<p>Decision <code>{id}</code></p>");
    }
    page.push_str("</html>\n");
    Bytes::from(page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
