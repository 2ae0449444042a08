//! The one canonical request. It is parsed once; routing, identity, checks, Cedar and the bytes
//! sent upstream all derive from it, and its digest is in the event.
//!
//! What two parsers could read differently is not repaired: the constructors refuse it with an
//! [`Unreadable`]. The only rewriting is percent-encoding of bytes that RFC 3986 does not allow
//! raw in a path or query (`<`, `"`, …): the decoded value stays the same.

mod headers;
mod host;
mod target;
mod unreadable;

use bytes::Bytes;
use http::Method;
use ring::digest;

pub use headers::{Header, Headers, is_end_to_end};
pub use host::Host;
pub use target::{Path, Query};
pub use unreadable::Unreadable;

/// What is digested of a request as a rule, bytes.
const DIGESTED_BYTES: usize = 1024;

/// HTTP version the request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

/// The scheme by which clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// Body framing as the head declares it (RFC 9112 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`, or an h2 body of undeclared length.
    Chunked,
}

/// The part of the body that checks may look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspected {
    /// A prefix of the body, as sent (content codings not undone).
    pub bytes: Bytes,
    /// The prefix is the whole body.
    pub whole: bool,
}

/// A canonical request. See the module's page for what is refused before one exists.
#[derive(Debug, Clone)]
pub struct Request {
    /// HTTP version.
    pub protocol: Protocol,
    /// Method token, case-sensitive (RFC 9110 §9.1).
    pub method: Method,
    /// The front door's scheme as it is read, then that of the host's external origin.
    pub scheme: Scheme,
    /// Host, canonical.
    pub host: Host,
    /// Port, if the client named one.
    pub port: Option<u16>,
    /// Path, canonical.
    pub path: Path,
    /// Query, canonical; `None` where there is no `?`.
    pub query: Option<Query>,
    /// Header fields in the order sent.
    pub headers: Headers,
    /// Body framing.
    pub framing: Framing,
    /// What of the body may be inspected.
    pub inspected: Inspected,
}

impl Request {
    /// The request target in origin form (RFC 9112 §3.2.1), as it is sent upstream.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => [self.path.as_str(), "?", query.as_str()].concat(),
            None => self.path.as_str().to_owned(),
        }
    }

    /// The host as it is sent upstream: canonical, with the port if the client named one.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host.as_str()),
            None => self.host.as_str().to_owned(),
        }
    }

    /// The fields that go upstream of what the client sent, in order: not those of the hop
    /// (RFC 9110 §7.6.1), of framing, of identity or of forwarding, which are the gateway's to set,
    /// and not `Authorization`.
    pub fn end_to_end(&self) -> impl Iterator<Item = &Header> {
        let listed = self.headers.connection_listed();
        self.headers.iter().filter(move |header| {
            let name = header.name.as_str();
            !headers::is_of_the_hop(name)
                && !headers::is_ours(name)
                && !listed.iter().any(|listed| listed == name)
        })
    }

    /// What was authorized: SHA-256 over the method, a space, the target, LF, the authority, LF,
    /// and for each of [`Request::end_to_end`] `name:value` and LF.
    pub fn digest(&self) -> [u8; 32] {
        let mut text = Vec::with_capacity(DIGESTED_BYTES);
        for part in [self.method.as_str(), " ", &self.target(), "\n", &self.authority(), "\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        for header in self.end_to_end() {
            text.extend_from_slice(header.name.as_str().as_bytes());
            text.push(b':');
            text.extend_from_slice(header.value.as_bytes());
            text.push(b'\n');
        }
        let mut out = [0; 32];
        let digest = digest::digest(&digest::SHA256, &text);
        for (to, from) in out.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        out
    }
}

#[cfg(test)]
mod tests;
