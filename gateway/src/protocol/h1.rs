//! HTTP/1.0 and 1.1 request heads (RFC 9112), read strictly; pure.
//!
//! [`Scan`] finds where a head ends, [`parse`] makes the canonical request of it, [`for_hyper`]
//! writes the few fields hyper needs to frame the exchange: hyper never sees the client's bytes.
//!
//! Deliberately absent: every leniency RFC 9112 allows a recipient. Bare LF, empty lines before
//! the request line, obs-fold, white space before a colon, several spaces between words: refused.

use bytes::{BufMut, Bytes, BytesMut};
use http::Method;
use http::header::{HeaderName, HeaderValue};
use memchr::memchr;
use signals::{
    Framing, Header, Headers, Host, Inspected, Path, Protocol, Query, Request, Scheme, Unreadable,
};

/// Bytes of a method.
pub const METHOD_BYTES_MAX: usize = 32;

/// What a head may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the head, its last CRLF included.
    pub head_bytes: usize,
    /// Header fields.
    pub headers: usize,
    /// Bytes of one line, its CRLF included.
    pub line_bytes: usize,
    /// Bytes of the request target.
    pub target_bytes: usize,
    /// Bytes of the body, where the head declares them.
    pub body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 32 << 10,
            headers: 100,
            line_bytes: 16 << 10,
            target_bytes: 8 << 10,
            body_bytes: 16 << 20,
        }
    }
}

/// A head that was accepted.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The request, its body not yet looked at.
    pub request: Request,
    /// Another request may follow on the connection.
    pub keep_alive: bool,
    /// The client waits for an interim answer before it sends the body (RFC 9110 §10.1.1).
    pub expect_continue: bool,
    /// The client takes trailers in the answer (RFC 9110 §10.1.4).
    pub takes_trailers: bool,
}

/// Looks for the end of a head in bytes that come piece by piece. What it says does not depend on
/// where they were split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scan {
    seen: usize,
    line: usize,
    fields: usize,
}

impl Scan {
    /// The length of the head that `input` begins with, once it is whole. `input` must begin with
    /// what was given before.
    ///
    /// # Errors
    /// The first thing that cannot become an acceptable head: a bare LF, an empty first line, a
    /// limit.
    pub fn find(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, Unreadable> {
        loop {
            let unseen = input.get(self.seen..).unwrap_or_default();
            let lf = memchr(b'\n', unseen).map(|at| self.seen + at);
            let too_long_at = limits.head_bytes.min(self.line.saturating_add(limits.line_bytes));
            if lf.unwrap_or(input.len()) >= too_long_at {
                return Err(self.too_long());
            }
            let Some(lf) = lf else {
                self.seen = input.len();
                return Ok(None);
            };
            let line = input.get(self.line..lf).unwrap_or_default();
            if line.last() != Some(&b'\r') {
                return Err(Unreadable::BareLf);
            }
            let (is_request_line, is_empty) = (self.line == 0, line.len() == 1);
            self.seen = lf + 1;
            self.line = self.seen;
            match (is_request_line, is_empty) {
                (true, true) => return Err(Unreadable::BadRequestLine),
                (true, false) => {}
                (false, true) => return Ok(Some(self.seen)),
                (false, false) => self.fields += 1,
            }
            if self.fields > limits.headers {
                return Err(Unreadable::TooManyHeaders);
            }
        }
    }

    fn too_long(&self) -> Unreadable {
        if self.line == 0 { Unreadable::TargetTooLong } else { Unreadable::HeadTooLong }
    }
}

/// Reads a whole head, its last empty line included, as [`Scan`] found it.
///
/// # Errors
/// What makes it unacceptable. Nothing of it may be acted upon, and where a body would end is
/// unknown.
pub fn parse(head: &Bytes, scheme: Scheme, limits: &Limits) -> Result<Parsed, Unreadable> {
    let mut lines = lines(head)?;
    let line = RequestLine::parse(lines.next().ok_or(Unreadable::BadRequestLine)?)?;
    let target = Target::parse(&line, scheme, limits)?;
    let mut fields = Vec::with_capacity(24);
    for line in lines {
        if fields.len() >= limits.headers {
            return Err(Unreadable::TooManyHeaders);
        }
        fields.push(field(head, line)?);
    }
    let headers = Headers::new(fields)?;
    let authority = headers.get("host").ok_or(Unreadable::MissingHost)?;
    let (host, port) = Host::parse(authority.as_bytes())?;
    target.agrees_with(&host, port)?;
    let framing = framing(&headers, line.protocol, limits)?;
    if headers.get("upgrade").is_some() {
        return Err(Unreadable::Upgrade);
    }
    Ok(Parsed {
        keep_alive: line.protocol == Protocol::Http11 && !lists(&headers, "connection", "close"),
        expect_continue: expects(&headers)? && line.protocol == Protocol::Http11,
        takes_trailers: lists(&headers, "te", "trailers"),
        request: Request {
            protocol: line.protocol,
            method: line.method,
            scheme,
            host,
            port,
            path: Path::parse(target.path)?,
            query: target.query.map(Query::parse).transpose()?,
            headers,
            framing,
            inspected: Inspected::default(),
        },
    })
}

/// The lines of a head, without CRLF; the empty last one is left out.
fn lines(head: &[u8]) -> Result<impl Iterator<Item = &[u8]>, Unreadable> {
    let lines = head.strip_suffix(b"\r\n").filter(|lines| lines.ends_with(b"\r\n"));
    let lines = Lines(lines.ok_or(Unreadable::HeadIncomplete)?);
    for line in lines {
        match line.strip_suffix(b"\r") {
            None => return Err(Unreadable::BareLf),
            Some(line) if memchr(b'\r', line).is_some() => return Err(Unreadable::BareCr),
            Some(_) => {}
        }
    }
    Ok(lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
}

/// What ends in LF each, without it.
#[derive(Clone, Copy)]
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (line, rest) = self.0.split_at_checked(memchr(b'\n', self.0)?)?;
        self.0 = rest.get(1..).unwrap_or_default();
        Some(line)
    }
}

struct RequestLine<'a> {
    method: Method,
    target: &'a [u8],
    protocol: Protocol,
}

impl<'a> RequestLine<'a> {
    /// `method SP request-target SP HTTP-version` (RFC 9112 §3).
    fn parse(line: &'a [u8]) -> Result<Self, Unreadable> {
        let mut words = line.split(|byte| *byte == b' ');
        let words = [words.next(), words.next(), words.next(), words.next()];
        let [Some(method), Some(target), Some(version), None] = words else {
            return Err(Unreadable::BadRequestLine);
        };
        let protocol = protocol(version)?;
        if method.len() > METHOD_BYTES_MAX {
            return Err(Unreadable::BadMethod);
        }
        let method = Method::from_bytes(method).map_err(|_| Unreadable::BadMethod)?;
        Ok(Self { method, target, protocol })
    }
}

/// `HTTP/1.0` or `HTTP/1.1`; another well-formed version is told apart from nonsense.
fn protocol(version: &[u8]) -> Result<Protocol, Unreadable> {
    match version {
        b"HTTP/1.1" => Ok(Protocol::Http11),
        b"HTTP/1.0" => Ok(Protocol::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Unreadable::VersionUnsupported)
        }
        _ => Err(Unreadable::BadRequestLine),
    }
}

/// A request target in origin or absolute form (RFC 9112 §3.2).
struct Target<'a> {
    authority: Option<&'a [u8]>,
    default_port: u16,
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    fn parse(line: &RequestLine<'a>, scheme: Scheme, limits: &Limits) -> Result<Self, Unreadable> {
        let target = line.target;
        if line.method == Method::CONNECT {
            return Err(Unreadable::AuthorityForm);
        }
        if target.len() > limits.target_bytes {
            return Err(Unreadable::TargetTooLong);
        }
        let (own, other, default_port) = match scheme {
            Scheme::Http => (&b"http://"[..], &b"https://"[..], 80),
            Scheme::Https => (&b"https://"[..], &b"http://"[..], 443),
        };
        let (authority, rest) = match target {
            b"*" => return Err(Unreadable::AsteriskForm),
            [b'/', ..] => (None, target),
            _ if starts_with(target, other) => return Err(Unreadable::AbsoluteFormMismatch),
            _ if starts_with(target, own) => {
                let rest = target.get(own.len()..).unwrap_or_default();
                let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
                let end = end.unwrap_or(rest.len());
                let (authority, rest) = rest.split_at_checked(end).ok_or(Unreadable::BadTarget)?;
                (Some(authority), rest)
            }
            _ => return Err(Unreadable::BadTarget),
        };
        let (path, query) = match rest.iter().position(|byte| *byte == b'?') {
            None => (rest, None),
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
        };
        // RFC 9112 §3.2.2: an absolute form without a path means `/`.
        let path = if path.is_empty() && authority.is_some() { b"/" } else { path };
        Ok(Self { authority, default_port, path, query })
    }

    /// The target names the host that `Host` names, or none.
    fn agrees_with(&self, host: &Host, port: Option<u16>) -> Result<(), Unreadable> {
        let Some(authority) = self.authority else {
            return Ok(());
        };
        let (own, own_port) = Host::parse(authority)?;
        let or_default = |port: Option<u16>| port.unwrap_or(self.default_port);
        if own == *host && or_default(own_port) == or_default(port) {
            Ok(())
        } else {
            Err(Unreadable::AbsoluteFormMismatch)
        }
    }
}

fn starts_with(target: &[u8], scheme: &[u8]) -> bool {
    target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// One field line of `head`, without its CRLF: `field-name ":" OWS field-value OWS` (RFC 9112 §5).
///
/// # Errors
/// White space at its start or before the colon; a name that is no token; a value with a control
/// character.
pub fn field(head: &Bytes, line: &[u8]) -> Result<Header, Unreadable> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Unreadable::ObsFold);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Unreadable::BadHeaderName)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Unreadable::BadHeaderName)?;
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Err(Unreadable::SpaceBeforeColon);
    }
    let name = HeaderName::from_bytes(name).map_err(|_| Unreadable::BadHeaderName)?;
    let value = trimmed(value.get(1..).unwrap_or_default());
    let value = if value.is_empty() { Bytes::new() } else { head.slice_ref(value) };
    let value = HeaderValue::from_maybe_shared(value).map_err(|_| Unreadable::BadHeaderValue)?;
    Ok(Header { name, value })
}

/// Without the optional white space around it (RFC 9110 §5.6.3): space and tab, nothing else.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = value.split_first() {
        value = rest;
    }
    while let Some((b' ' | b'\t', rest)) = value.split_last() {
        value = rest;
    }
    value
}

/// Where the body ends (RFC 9112 §6): one `Content-Length` or exactly `chunked`, never both.
fn framing(headers: &Headers, protocol: Protocol, limits: &Limits) -> Result<Framing, Unreadable> {
    let length = headers.get("content-length");
    let mut codings = headers.get_all("transfer-encoding");
    match (length, codings.next()) {
        (None, None) => Ok(Framing::None),
        (Some(_), Some(_)) => Err(Unreadable::ClAndTe),
        (Some(length), None) => {
            let bytes = content_length(length.as_bytes()).ok_or(Unreadable::BadContentLength)?;
            if bytes > limits.body_bytes {
                return Err(Unreadable::BodyTooLong);
            }
            Ok(Framing::Length(bytes))
        }
        (None, Some(coding)) => {
            let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
            if !chunked || codings.next().is_some() || protocol == Protocol::Http10 {
                return Err(Unreadable::BadTransferEncoding);
            }
            Ok(Framing::Chunked)
        }
    }
}

/// Digits only, none of them a leading zero.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    let digits = value.iter().all(u8::is_ascii_digit);
    let padded = value.len() > 1 && value.first() == Some(&b'0');
    let text = std::str::from_utf8(value).ok()?;
    if digits && !padded { text.parse().ok() } else { None }
}

/// The only expectation there is (RFC 9110 §10.1.1).
pub(super) fn expects(headers: &Headers) -> Result<bool, Unreadable> {
    let mut expectations = headers.get_all("expect");
    match (expectations.next(), expectations.next()) {
        (None, _) => Ok(false),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(true),
        _ => Err(Unreadable::ExpectUnsupported),
    }
}

/// A list field has `word` among its members.
fn lists(headers: &Headers, name: &str, word: &str) -> bool {
    headers
        .get_all(name)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|member| trimmed(member).eq_ignore_ascii_case(word.as_bytes()))
}

/// Writes for hyper what it must know of `head`: method, version, framing, whether the connection
/// stays, whether an interim answer is awaited, whether trailers may be sent.
pub fn for_hyper(head: &Parsed, last: bool, to: &mut BytesMut) {
    to.put_slice(head.request.method.as_str().as_bytes());
    to.put_slice(match head.request.protocol {
        Protocol::Http10 => b" / HTTP/1.0\r\nhost: x\r\n",
        Protocol::Http11 | Protocol::Http2 => b" / HTTP/1.1\r\nhost: x\r\n",
    });
    match head.request.framing {
        Framing::None => {}
        Framing::Length(bytes) => {
            to.put_slice(format!("content-length: {bytes}\r\n").as_bytes());
        }
        Framing::Chunked => to.put_slice(b"transfer-encoding: chunked\r\n"),
    }
    if head.expect_continue {
        to.put_slice(b"expect: 100-continue\r\n");
    }
    if head.takes_trailers {
        to.put_slice(b"te: trailers\r\n");
    }
    if last || !head.keep_alive {
        to.put_slice(b"connection: close\r\n");
    }
    to.put_slice(b"\r\n");
}

/// The head that stands in hyper for one that was refused.
pub const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[cfg(test)]
mod tests;
