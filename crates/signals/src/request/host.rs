//! The host of a request, in one spelling.

use std::net::Ipv6Addr;

use super::Unreadable;

/// Bytes of a host, at most (RFC 1035 §2.3.4, less the trailing dot).
const HOST_BYTES_MAX: usize = 253;

/// A host name or address: lower case, without port, userinfo or trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host(String);

impl Host {
    /// Reads `host[:port]` (RFC 9110 §7.2).
    pub fn parse(authority: &[u8]) -> Result<(Self, Option<u16>), Unreadable> {
        let text = std::str::from_utf8(authority).map_err(|_| Unreadable::BadHost)?;
        if text.contains('@') {
            return Err(Unreadable::UserInfo);
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or(Unreadable::BadHost)?;
                let address: Ipv6Addr = address.parse().map_err(|_| Unreadable::BadHost)?;
                let port = match rest {
                    "" => None,
                    rest => Some(rest.strip_prefix(':').ok_or(Unreadable::BadHost)?),
                };
                (format!("[{address}]"), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (name(host)?, Some(port)),
                None => (name(text)?, None),
            },
        };
        Ok((Self(host), port.map(number).transpose()?))
    }

    /// The host; an IPv6 address in brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn name(host: &str) -> Result<String, Unreadable> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(allowed);
    if host.len() > HOST_BYTES_MAX || !host.split('.').all(label) {
        return Err(Unreadable::BadHost);
    }
    Ok(host.to_ascii_lowercase())
}

fn number(port: &str) -> Result<u16, Unreadable> {
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unreadable::BadHost);
    }
    port.parse().map_err(|_| Unreadable::BadHost)
}
