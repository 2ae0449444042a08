//! A request as it is written in a file. Lines may end with LF alone.

use std::net::{IpAddr, Ipv4Addr};

use signals::RuleRequest;

/// A request's parts.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    protocol: &'a [u8],
    headers: Vec<(&'a [u8], &'a [u8])>,
    pub(super) body: &'a [u8],
}

impl<'a> Written<'a> {
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let (line, mut rest) = line(text);
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (method, target) = (words.next()?, words.next()?);
        let protocol = words.next().unwrap_or(b"HTTP/1.1");
        let mut headers = Vec::new();
        while !rest.is_empty() {
            let (field, after) = self::line(rest);
            rest = after;
            if field.is_empty() {
                break;
            }
            let colon = field.iter().position(|byte| *byte == b':')?;
            let (name, value) = field.split_at_checked(colon)?;
            headers.push((name, value.get(1..)?.trim_ascii()));
        }
        Some(Self { method, target, protocol, headers, body: rest })
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

/// The first line, and what comes after it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n');
    let (line, rest) = match end.and_then(|end| text.split_at_checked(end)) {
        Some((line, rest)) => (line, rest.get(1..).unwrap_or_default()),
        None => (text, &b""[..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}
