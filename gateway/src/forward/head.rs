//! The head that goes upstream. It derives from the canonical request whose digest is in the
//! event, and from what was decided on: nothing else can put a field here.
//!
//! Added to the client's end-to-end fields, each in place of any of that name: `host`, the
//! framing and the announcement of trailers, `x-forwarded-for`, which is the client alone, so that its
//! first and its last address agree, `x-forwarded-proto`, `-host` and `-port`, which are the
//! configured origin's (`Forwarded` and `Via` are not sent: one way to say it), `x-forwarded-user` and `-groups` of a known principal, `traceparent` (and
//! `tracestate`), `portcullis-decision-id`, `te: trailers` where the client takes trailers, and
//! `authorization` where the route hands it on.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri, Version};
use signals::{Conn, Framing, Identity, PrincipalKind, Scheme};
use uuid::Uuid;

use super::failure::{Failure, Fault};
use crate::route::Origin;
use crate::trace::Trace;

/// The decision's id, upstream and back to the client.
pub const DECISION_ID: HeaderName = HeaderName::from_static("portcullis-decision-id");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_USER: HeaderName = HeaderName::from_static("x-forwarded-user");
const FORWARDED_GROUPS: HeaderName = HeaderName::from_static("x-forwarded-groups");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Fields we add beyond those the client sent.
const ADDED_MAX: usize = 15;

/// What the head is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) request: &'a signals::Request,
    pub(super) conn: &'a Conn,
    pub(super) origin: Origin,
    pub(super) identity: &'a Identity,
    pub(super) trace: &'a Trace,
    pub(super) decision_id: Uuid,
    pub(super) authorization: bool,
}

impl Source<'_> {
    /// The head. A request that hyper's types would write differently from the canonical one is
    /// refused.
    pub(super) fn head(&self) -> Result<Request<()>, Fault> {
        let request = self.request;
        if request.method == Method::CONNECT {
            return Err(unsendable("connect is not forwarded"));
        }
        let mut headers = HeaderMap::with_capacity(ADDED_MAX + request.headers.len());
        headers.insert(HOST, value(request.authority())?);
        for field in request.end_to_end() {
            headers.append(field.name.clone(), field.value.clone());
        }
        self.framing(&mut headers);
        self.client(&mut headers)?;
        self.principal(&mut headers)?;
        self.trace(&mut headers)?;
        headers.insert(DECISION_ID, decision_value(self.decision_id));
        let mut head = Request::new(());
        *head.method_mut() = request.method.clone();
        *head.uri_mut() = uri(request)?;
        *head.version_mut() = Version::HTTP_11;
        *head.headers_mut() = headers;
        Ok(head)
    }

    fn framing(&self, headers: &mut HeaderMap) {
        match self.request.framing {
            Framing::None => {}
            Framing::Length(bytes) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
            }
            Framing::Chunked => {
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                for announced in self.request.headers.get_all(TRAILER.as_str()) {
                    headers.append(TRAILER, announced.clone());
                }
            }
        }
        let takes_trailers = self
            .request
            .headers
            .get_all(TE.as_str())
            .filter_map(|te| te.to_str().ok())
            .flat_map(|te| te.split(','))
            .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"));
        if takes_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
    }

    fn client(&self, headers: &mut HeaderMap) -> Result<(), Fault> {
        headers.insert(FORWARDED_FOR, value(self.conn.ip.to_canonical().to_string())?);
        let host = self.origin.authority(self.request.host.as_str());
        headers.insert(FORWARDED_HOST, value(host)?);
        headers.insert(FORWARDED_PORT, HeaderValue::from(self.origin.port));
        let proto = match self.origin.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
        Ok(())
    }

    fn principal(&self, headers: &mut HeaderMap) -> Result<(), Fault> {
        if self.authorization {
            for credential in self.request.headers.get_all(AUTHORIZATION.as_str()) {
                headers.append(AUTHORIZATION, credential.clone());
            }
        }
        let principal = &self.identity.principal;
        if principal.kind == PrincipalKind::Anonymous {
            return Ok(());
        }
        headers.insert(FORWARDED_USER, value(encoded(&principal.id))?);
        if !principal.groups.is_empty() {
            let groups: Vec<_> = principal.groups.iter().map(|group| encoded(group)).collect();
            headers.insert(FORWARDED_GROUPS, value(groups.join(","))?);
        }
        Ok(())
    }

    fn trace(&self, headers: &mut HeaderMap) -> Result<(), Fault> {
        headers.insert(TRACEPARENT, value(self.trace.traceparent())?);
        if self.trace.continued() {
            for state in self.request.headers.get_all(TRACESTATE.as_str()) {
                headers.append(TRACESTATE, state.clone());
            }
        }
        Ok(())
    }
}

/// The decision's id as a field's value.
pub fn decision_value(id: Uuid) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    #[expect(clippy::expect_used, reason = "hex digits and hyphens are a field's value")]
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).expect("visible ascii")
}

/// The request target, byte for byte the canonical one.
pub(super) fn uri(request: &signals::Request) -> Result<Uri, Fault> {
    let target = request.target();
    let Ok(parsed) = PathAndQuery::try_from(target.as_str()) else {
        return Err(unsendable("the target is not a uri's"));
    };
    if parsed.as_str() != target {
        return Err(unsendable("the target would be written differently"));
    }
    Ok(Uri::from(parsed))
}

/// A name as a field value: visible ASCII as it is, and percent-encoded what is not, as are `%`
/// and `,`, so that a list of names can be split and each decoded.
fn encoded(name: &str) -> String {
    let mut value = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'%' | b',' => push_encoded(&mut value, byte),
            0x21..=0x7e => value.push(char::from(byte)),
            _ => push_encoded(&mut value, byte),
        }
    }
    value
}

fn push_encoded(value: &mut String, byte: u8) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    value.push('%');
    value.extend(DIGITS.get(usize::from(byte >> 4)));
    value.extend(DIGITS.get(usize::from(byte & 0x0f)));
}

fn value(text: impl TryInto<HeaderValue>) -> Result<HeaderValue, Fault> {
    text.try_into().map_err(|_| unsendable("a value is not a field's"))
}

fn unsendable(why: &str) -> Fault {
    Fault::new(Failure::Unsendable, why)
}
