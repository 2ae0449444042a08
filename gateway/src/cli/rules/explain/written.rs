//! Messages as they are written in files. Lines may end with LF alone.

use std::net::{IpAddr, Ipv4Addr};

use signals::{RuleRequest, RuleResponse};

/// Names and values, as the rules take them.
type Fields<'a> = Vec<(&'a [u8], &'a [u8])>;

/// A request's parts.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    protocol: &'a [u8],
    headers: Fields<'a>,
    pub(super) body: &'a [u8],
}

/// A response's parts.
#[derive(Debug)]
pub(super) struct WrittenResponse<'a> {
    protocol: &'a [u8],
    status: u16,
    headers: Fields<'a>,
    body: &'a [u8],
}

impl<'a> Written<'a> {
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let (line, rest) = line(text);
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (method, target) = (words.next()?, words.next()?);
        let protocol = words.next().unwrap_or(b"HTTP/1.1");
        if method.starts_with(b"HTTP/") {
            return None;
        }
        let (headers, body) = fields(rest)?;
        Some(Self { method, target, protocol, headers, body })
    }

    /// The first field of that name, in lower case.
    pub(super) fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        let mut of = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        of.next().map(|(_, value)| *value)
    }

    pub(super) fn asked(&self) -> RuleRequest<'_> {
        RuleRequest {
            method: self.method,
            target: self.target,
            protocol: self.protocol,
            headers: &self.headers,
            body: self.body,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            client_port: 0,
            id: "",
        }
    }
}

impl<'a> WrittenResponse<'a> {
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let (line, rest) = line(text);
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (protocol, status) = (words.next()?, words.next()?);
        let status = std::str::from_utf8(status).ok()?.parse().ok()?;
        let (headers, body) = fields(rest)?;
        protocol.starts_with(b"HTTP/").then_some(Self { protocol, status, headers, body })
    }

    /// As it is looked at where no more than so many bytes of a body are.
    pub(super) fn answered(&self, bytes_max: usize) -> RuleResponse<'_> {
        RuleResponse {
            status: self.status,
            protocol: self.protocol,
            headers: &self.headers,
            body: self.body.get(..bytes_max).unwrap_or(self.body),
            whole: self.body.len() <= bytes_max,
        }
    }
}

/// Fields, and what comes after the empty line.
fn fields(mut rest: &[u8]) -> Option<(Fields<'_>, &[u8])> {
    let mut headers = Vec::new();
    while !rest.is_empty() {
        let (field, after) = line(rest);
        rest = after;
        if field.is_empty() {
            break;
        }
        let colon = field.iter().position(|byte| *byte == b':')?;
        let (name, value) = field.split_at_checked(colon)?;
        headers.push((name, value.get(1..)?.trim_ascii()));
    }
    Some((headers, rest))
}

/// The first line, and what comes after it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n');
    let (line, rest) = match end.and_then(|end| text.split_at_checked(end)) {
        Some((line, rest)) => (line, rest.get(1..).unwrap_or_default()),
        None => (text, &b""[..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}
