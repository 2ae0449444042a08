//! Header fields in the order sent, and which of them are whose.

use http::{HeaderName, HeaderValue, header};

use super::Unreadable;

/// One field. Names are lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: HeaderName,
    /// The value, without white space around it.
    pub value: HeaderValue,
}

/// The fields of one head, checked: what must be there once is not there twice, and no name is a
/// trusted one spelt with underscores. Fields of one name stand together, where its first one
/// stood: between names the order means nothing (RFC 9110 §5.3), and everybody keeps it so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// Checks the fields of a head.
    pub fn new(fields: Vec<Header>) -> Result<Self, Unreadable> {
        for field in &fields {
            let name = field.name.as_str();
            if name.contains('_') && is_trusted(&name.replace('_', "-")) {
                return Err(Unreadable::UnderscoreHeader);
            }
        }
        let headers = Self(grouped(fields));
        for (name, refusal) in [
            (header::HOST, Unreadable::DuplicateHost),
            (header::CONTENT_LENGTH, Unreadable::DuplicateContentLength),
            (header::CONTENT_TYPE, Unreadable::DuplicateContentType),
            (header::AUTHORIZATION, Unreadable::SeveralAuthorizations),
        ] {
            if headers.get_all(name.as_str()).nth(1).is_some() {
                return Err(refusal);
            }
        }
        Ok(headers)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first value of `name`, which is lower case.
    pub fn get(&self, name: &str) -> Option<&HeaderValue> {
        self.0.iter().find(|field| field.name.as_str() == name).map(|field| &field.value)
    }

    /// Every value of `name`, which is lower case.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a HeaderValue> {
        self.0.iter().filter(move |field| field.name.as_str() == name).map(|field| &field.value)
    }

    /// The names that `Connection` lists (RFC 9110 §7.6.1), lower case. What describes the body is
    /// for all its recipients and must not be among them: it was inspected as what goes upstream.
    pub fn connection_listed(&self) -> Vec<String> {
        self.get_all("connection")
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty() && !name.starts_with("content-"))
            .collect()
    }
}

/// A field of this name, lower case, may go upstream as the client sent it: it is not of the hop
/// (RFC 9110 §7.6.1), of framing, of identity or of forwarding, in whichever spelling.
pub fn is_end_to_end(name: &str) -> bool {
    let hyphens = name.replace('_', "-");
    !is_of_the_hop(&hyphens) && !is_ours(&hyphens)
}

fn grouped(fields: Vec<Header>) -> Vec<Header> {
    let mut grouped: Vec<Header> = Vec::with_capacity(fields.len());
    for field in fields {
        match grouped.iter().rposition(|known| known.name == field.name) {
            Some(last) => grouped.insert(last + 1, field),
            None => grouped.push(field),
        }
    }
    grouped
}

/// A field of this hop or of this message's framing: never forwarded as the client sent it.
pub(super) fn is_of_the_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "expect"
            | "host"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// A field that says who asks, or where from, or what for instead of what was decided, or which
/// decision it was: the gateway's to set, also under the names that other gateways use.
pub(super) fn is_ours(name: &str) -> bool {
    const PREFIXES: [&str; 16] = [
        "cf-access-",
        "client-cert",
        "portcullis-",
        "x-amzn-",
        "x-auth-request-",
        "x-authentik-",
        "x-envoy-",
        "x-forwarded-",
        "x-goog-authenticated-user-",
        "x-goog-iap-",
        "x-ms-client-principal",
        "x-original-",
        "x-pomerium-",
        "x-remote-",
        "x-ssl-client-",
        "x-webauth-",
    ];
    matches!(
        name,
        "authorization"
            | "cf-connecting-ip"
            | "client-ip"
            | "fastly-client-ip"
            | "forwarded"
            | "remote-email"
            | "remote-groups"
            | "remote-name"
            | "remote-user"
            | "traceparent"
            | "tracestate"
            | "true-client-ip"
            | "x-access-token"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "x-http-method"
            | "x-http-method-override"
            | "x-id-token"
            | "x-method-override"
            | "x-real-ip"
            | "x-rewrite-url"
            | "x-userinfo"
    ) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A name that somebody upstream may trust, so that no other spelling of it may pass.
fn is_trusted(name: &str) -> bool {
    is_of_the_hop(name)
        || is_ours(name)
        || matches!(name, "content-type" | "cookie" | "x-request-id")
}
