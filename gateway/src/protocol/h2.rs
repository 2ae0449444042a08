//! HTTP/2 (RFC 9113): from a head that the h2 crate accepted to the same canonical [`Request`] as
//! HTTP/1.1, by the same constructors, under the same limits.
//!
//! The pseudo-header fields are the absolute form of this version: `:authority` must agree with a
//! `Host`, `:scheme` with the door. `Host` is filled in where only `:authority` names it, and
//! `Cookie` crumbs are joined (§8.2.3), so that everybody behind sees one form.
//!
//! `Expect: 100-continue` is refused by name (RFC 9110 §10.1.1 has the client ask again without
//! it): hyper has no interim answers here, and a client that awaits one must not be left waiting.
//!
//! Deliberately absent: what the h2 crate refuses before anyone is asked (pseudo-header fields
//! missing, repeated or misplaced, upper case, control characters, a length that the body does
//! not have); it resets the stream. A fragment in `:path` it cuts off: nobody behind sees one.

use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, HOST, HeaderName, HeaderValue, TE};
use http::request::Parts;
use http::uri::Scheme as UriScheme;
use http::{HeaderMap, Method, Uri};
use signals::{
    Framing, Header, Headers, Host, Inspected, Path, Protocol, Query, Request, Scheme, Unreadable,
};

use super::h1::{self, METHOD_BYTES_MAX};

/// What a connection may take beside what its heads and bodies may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Streams that are open at once.
    pub streams: u32,
    /// Streams that the client may have reset beyond those that were answered.
    pub resets: u64,
    /// Streams that may have been reset before they were looked at.
    pub resets_unseen: usize,
    /// Streams that the client may make us reset.
    pub errors: usize,
    /// Frames in a row that bring neither a request nor a part of a body, and go with none.
    pub control_frames: u32,
    /// Bytes of a body that may come before it is read, of a stream.
    pub stream_bytes: u32,
    /// The same, of all streams together.
    pub connection_bytes: u32,
    /// Time after which a peer that says nothing is asked whether it is there.
    pub ping_interval: Duration,
    /// Time it has to say so.
    pub ping_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 100,
            resets: 100,
            resets_unseen: 20,
            errors: 100,
            control_frames: 10_000,
            stream_bytes: 256 << 10,
            connection_bytes: 1 << 20,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(20),
        }
    }
}

/// Bytes of a header list (RFC 9113 §6.5.2), which counts 32 for each field, that hold any head
/// that HTTP/1.1 could bring within `limits`, and a little more: what is a little too long is
/// refused by name.
pub fn list_bytes(limits: &h1::Limits) -> u32 {
    let overhead = limits.headers.saturating_add(PSEUDO_FIELDS).saturating_mul(32);
    let bytes = limits.head_bytes.saturating_add(overhead).saturating_add(MARGIN_BYTES);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

const PSEUDO_FIELDS: usize = 4;
const MARGIN_BYTES: usize = 4 << 10;

/// Reads a head; `bodiless`, its stream ended with it.
///
/// # Errors
/// What makes it unacceptable. Its stream is answered; others are not touched.
pub fn parse(parts: Parts, bodiless: bool, limits: &h1::Limits) -> Result<Request, Unreadable> {
    let Parts { method, uri, headers, .. } = parts;
    if method == Method::CONNECT {
        return Err(Unreadable::AuthorityForm);
    }
    if method.as_str().len() > METHOD_BYTES_MAX {
        return Err(Unreadable::BadMethod);
    }
    let target_bytes = target(&uri, limits)?;
    if uri.scheme().is_some_and(|scheme| *scheme != UriScheme::HTTPS) {
        return Err(Unreadable::AbsoluteFormMismatch);
    }
    let line_bytes = method.as_str().len() + target_bytes + " ".len() + " HTTP/1.1\r\n".len();
    let headers = fields(&headers, &uri, line_bytes, limits)?;
    let (host, port) = host(&headers, &uri)?;
    if h1::expects(&headers)? && !bodiless {
        return Err(Unreadable::ExpectUnsupported);
    }
    Ok(Request {
        protocol: Protocol::Http2,
        method,
        scheme: Scheme::Https,
        host,
        port,
        path: Path::parse(uri.path().as_bytes())?,
        query: uri.query().map(|query| Query::parse(query.as_bytes())).transpose()?,
        framing: framing(&headers, bodiless, limits)?,
        headers,
        inspected: Inspected::default(),
    })
}

/// The length of the request target, which has a path.
fn target(uri: &Uri, limits: &h1::Limits) -> Result<usize, Unreadable> {
    // Not `path_and_query`: it says `/` where there is none.
    let path = uri.path();
    let bytes = path.len() + uri.query().map_or(0, |query| "?".len() + query.len());
    match path {
        _ if bytes > limits.target_bytes => Err(Unreadable::TargetTooLong),
        "*" => Err(Unreadable::AsteriskForm),
        "" => Err(Unreadable::BadTarget),
        _ => Ok(bytes),
    }
}

/// The fields, as they would be in HTTP/1.1, within its limits.
fn fields(
    map: &HeaderMap,
    uri: &Uri,
    line_bytes: usize,
    limits: &h1::Limits,
) -> Result<Headers, Unreadable> {
    let mut fields = Vec::with_capacity(map.len() + 1);
    if let Some(authority) = uri.authority().filter(|_| !map.contains_key(HOST)) {
        let value = Bytes::copy_from_slice(authority.as_str().as_bytes());
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Unreadable::BadHost)?;
        fields.push(Header { name: HOST, value });
    }
    for name in map.keys() {
        of_this_version(name, map)?;
        if *name == COOKIE {
            fields.push(Header { name: COOKIE, value: joined(map)? });
        } else {
            let values = map.get_all(name).iter();
            fields.extend(values.map(|value| Header { name: name.clone(), value: value.clone() }));
        }
    }
    let mut head_bytes = line_bytes.saturating_add("\r\n".len());
    for Header { name, value } in &fields {
        let value = value.as_bytes();
        if matches!(value.first(), Some(b' ' | b'\t')) || matches!(value.last(), Some(b' ' | b'\t'))
        {
            return Err(Unreadable::BadHeaderValue);
        }
        let bytes = name.as_str().len() + ": ".len() + value.len() + "\r\n".len();
        head_bytes = head_bytes.saturating_add(bytes);
        if bytes > limits.line_bytes || head_bytes > limits.head_bytes {
            return Err(Unreadable::HeadTooLong);
        }
    }
    if line_bytes > limits.line_bytes {
        return Err(Unreadable::TargetTooLong);
    }
    if fields.len() > limits.headers {
        return Err(Unreadable::TooManyHeaders);
    }
    Headers::new(fields)
}

/// This version has no fields of a connection (RFC 9113 §8.2.2).
fn of_this_version(name: &HeaderName, map: &HeaderMap) -> Result<(), Unreadable> {
    match name.as_str() {
        "transfer-encoding" => Err(Unreadable::BadTransferEncoding),
        "upgrade" => Err(Unreadable::Upgrade),
        "connection" | "keep-alive" | "proxy-connection" => Err(Unreadable::BadHeaderName),
        "te" if map.get_all(TE).iter().any(|te| te != "trailers") => {
            Err(Unreadable::BadHeaderValue)
        }
        _ => Ok(()),
    }
}

/// One `Cookie` of all its crumbs.
fn joined(map: &HeaderMap) -> Result<HeaderValue, Unreadable> {
    let mut crumbs = map.get_all(COOKIE).iter();
    match (crumbs.next(), crumbs.next()) {
        (Some(only), None) => Ok(only.clone()),
        _ => {
            let crumbs: Vec<&[u8]> =
                map.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
            HeaderValue::from_maybe_shared(Bytes::from(crumbs.join(&b"; "[..])))
                .map_err(|_| Unreadable::BadHeaderValue)
        }
    }
}

/// The host that `Host` names, and `:authority` if there is one.
fn host(headers: &Headers, uri: &Uri) -> Result<(Host, Option<u16>), Unreadable> {
    const DEFAULT_PORT: u16 = 443;
    let named = headers.get("host").ok_or(Unreadable::MissingHost)?;
    let (host, port) = Host::parse(named.as_bytes())?;
    let Some(authority) = uri.authority() else {
        return Ok((host, port));
    };
    let (other, other_port) = Host::parse(authority.as_str().as_bytes())?;
    let same_port = port.unwrap_or(DEFAULT_PORT) == other_port.unwrap_or(DEFAULT_PORT);
    if host == other && same_port {
        Ok((host, port))
    } else {
        Err(Unreadable::AbsoluteFormMismatch)
    }
}

/// What the head says of the body. That the body holds to it is the h2 crate's to see to.
fn framing(headers: &Headers, bodiless: bool, limits: &h1::Limits) -> Result<Framing, Unreadable> {
    let Some(length) = headers.get("content-length") else {
        return Ok(if bodiless { Framing::None } else { Framing::Chunked });
    };
    let bytes = h1::content_length(length.as_bytes()).ok_or(Unreadable::BadContentLength)?;
    match bytes {
        1.. if bodiless => Err(Unreadable::BadContentLength),
        _ if bytes > limits.body_bytes => Err(Unreadable::BodyTooLong),
        _ => Ok(Framing::Length(bytes)),
    }
}

#[cfg(test)]
mod tests;
