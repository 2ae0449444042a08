//! Who the client is, as trusted proxies tell it: `X-Forwarded-For`, or `Forwarded` (RFC 7239).
//!
//! Each proxy appends who connected to it, so that the field is read from its right end: the client
//! is the first address that is not a trusted proxy's. What stands left of it is the client's own
//! word, and says nothing. What cannot be read, up to there, is refused and never guessed at.
//!
//! Deliberately absent: `by`, `host` and `proto`, which are configured, and every other field.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use signals::{Headers, Unreadable};

use crate::network::Networks;

/// Hops that the field may name, in all its lines.
pub const HOPS_MAX: usize = 32;

/// Which field is read. There is one: proxies append to the one they know, and pass the other on
/// as the client wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `X-Forwarded-For`: addresses, and commas between them.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Who asks, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address, IPv4 as IPv4, and its port, 0 if nobody told.
    pub address: SocketAddr,
    /// The proxies between it and us, the nearest to the client first.
    pub proxies: Vec<IpAddr>,
}

/// The client of a request that `peer` brings. A peer that is not in `trusted` is the client
/// itself, as is one that says nothing of another.
///
/// # Errors
/// [`Unreadable::BadForwarded`]: it is not known who the client is.
/// [`Unreadable::TooManyHops`]: the field names more than [`HOPS_MAX`].
pub fn client(
    field: Field,
    headers: &Headers,
    peer: SocketAddr,
    trusted: &Networks,
) -> Result<Client, Unreadable> {
    let mut client = Client { address: peer, proxies: Vec::new() };
    if !trusted.contain(peer.ip()) {
        return Ok(client);
    }
    for hop in hops(field, headers)?.into_iter().rev() {
        let address = hop.as_deref().and_then(address).ok_or(Unreadable::BadForwarded)?;
        client.proxies.push(client.address.ip());
        client.address = address;
        if !trusted.contain(address.ip()) {
            break;
        }
    }
    client.proxies.reverse();
    Ok(client)
}

/// What each hop says of who connected to it; `None` where it does not say.
type Hops<'a> = Vec<Option<Cow<'a, str>>>;

fn hops(field: Field, headers: &Headers) -> Result<Hops<'_>, Unreadable> {
    let name = match field {
        Field::XForwardedFor => "x-forwarded-for",
        Field::Forwarded => "forwarded",
    };
    let mut hops = Vec::new();
    for line in headers.get_all(name) {
        let line = line.to_str().map_err(|_| Unreadable::BadForwarded)?;
        match field {
            Field::XForwardedFor => {
                hops.extend(line.split(',').map(|hop| Some(Cow::Borrowed(trim(hop)))));
            }
            Field::Forwarded => elements(line, &mut hops).ok_or(Unreadable::BadForwarded)?,
        }
        if hops.len() > HOPS_MAX {
            return Err(Unreadable::TooManyHops);
        }
    }
    Ok(hops)
}

/// The elements of a line of `Forwarded` (RFC 7239 §4). All of it must be well formed: in a
/// quoted string of the client's, what a proxy appended could be hidden.
fn elements<'a>(line: &'a str, hops: &mut Hops<'a>) -> Option<()> {
    let mut rest = trim(line);
    loop {
        let mut hop = None;
        loop {
            let (name, after) = token(rest)?;
            let (value, after) = value(after.strip_prefix('=')?)?;
            if name.eq_ignore_ascii_case("for") && hop.replace(value).is_some() {
                return None;
            }
            rest = after;
            match rest.strip_prefix(';') {
                Some(after) => rest = after,
                None => break,
            }
        }
        hops.push(hop);
        rest = trim(rest);
        if rest.is_empty() {
            return Some(());
        }
        rest = trim(rest.strip_prefix(',')?);
    }
}

/// A token (RFC 9110 §5.6.2), and what follows it.
fn token(text: &str) -> Option<(&str, &str)> {
    let is_of_it = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_of_it(c)).unwrap_or(text.len());
    let (token, after) = text.split_at_checked(end)?;
    (!token.is_empty()).then_some((token, after))
}

/// A token or a quoted string (RFC 9110 §5.6.4), undone, and what follows it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return token(text).map(|(token, after)| (Cow::Borrowed(token), after));
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((Cow::Owned(value), chars.as_str())),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

/// An address, and a port if it is told; IPv6 may stand in brackets, and does before a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port): (IpAddr, &str) = if let Ok(ip) = text.parse() {
        (ip, "")
    } else if let Some(bracketed) = text.strip_prefix('[') {
        let (ip, port) = bracketed.split_once(']')?;
        (ip.parse::<Ipv6Addr>().ok()?.into(), port)
    } else {
        let (ip, port) = text.split_at_checked(text.find(':')?)?;
        (ip.parse::<Ipv4Addr>().ok()?.into(), port)
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => 0,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// Without white space around it.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use signals::Header;

    use super::*;
    use crate::network::Network;

    /// The client, `proxy,proxy`; or the code of the refusal. `10.0.0.0/8` and `fd00::/8` are
    /// trusted.
    fn told(field: Field, peer: &str, lines: &[&str]) -> String {
        let name = match field {
            Field::XForwardedFor => "x-forwarded-for",
            Field::Forwarded => "forwarded",
        };
        let line = |value: &&str| Header {
            name: HeaderName::from_static(name),
            value: HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        };
        let headers = Headers::new(lines.iter().map(line).collect()).expect("fields");
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|text| Network::parse(text).expect("a range"));
        let peer = SocketAddr::new(peer.parse().expect("an address"), 4711);
        match client(field, &headers, peer, &trusted.into_iter().collect()) {
            Ok(Client { address, proxies }) => {
                let proxies: Vec<_> = proxies.iter().map(ToString::to_string).collect();
                format!("{address} {}", proxies.join(",")).trim_end().to_owned()
            }
            Err(why) => why.code().to_owned(),
        }
    }

    #[test]
    fn the_right_most_that_is_not_trusted() {
        let check = |peer: &str, lines: &[&str], want: &str| {
            assert_eq!(told(Field::XForwardedFor, peer, lines), want, "{peer} {lines:?}");
        };
        check("192.0.2.1", &[], "192.0.2.1:4711");
        check("192.0.2.1", &["10.0.0.9"], "192.0.2.1:4711");
        check("192.0.2.1", &["nonsense"], "192.0.2.1:4711");
        check("10.0.0.1", &[], "10.0.0.1:4711");
        check("10.0.0.1", &["203.0.113.7"], "203.0.113.7:0 10.0.0.1");
        check("fd00::1", &["2001:db8::7"], "[2001:db8::7]:0 fd00::1");
        check("10.0.0.1", &["1.1.1.1, 203.0.113.7"], "203.0.113.7:0 10.0.0.1");
        check("10.0.0.1", &["1.1.1.1", "203.0.113.7"], "203.0.113.7:0 10.0.0.1");
        check(
            "10.0.0.1",
            &["203.0.113.7, 10.0.0.2,10.0.0.3"],
            "203.0.113.7:0 10.0.0.2,10.0.0.3,10.0.0.1",
        );
        check("10.0.0.1", &["10.0.0.3, 203.0.113.7, 10.0.0.2"], "203.0.113.7:0 10.0.0.2,10.0.0.1");
        check("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3:0 10.0.0.2,10.0.0.1");
        check("10.0.0.1", &["nonsense, 203.0.113.7"], "203.0.113.7:0 10.0.0.1");
        check("10.0.0.1", &["203.0.113.7:51344"], "203.0.113.7:51344 10.0.0.1");
        check("10.0.0.1", &["[2001:db8::7]:51344"], "[2001:db8::7]:51344 10.0.0.1");
        check("10.0.0.1", &["[2001:db8::7]"], "[2001:db8::7]:0 10.0.0.1");
        check("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7:0 10.0.0.1");
        check("10.0.0.1", &["203.0.113.7, ::ffff:10.0.0.2"], "203.0.113.7:0 10.0.0.2,10.0.0.1");
        for bad in [
            "",
            ",",
            "203.0.113.7,",
            "unknown",
            "_hidden",
            "localhost",
            "203.0.113",
            "203.0.113.07",
            "203.0.113.7:",
            "203.0.113.7:x",
            "203.0.113.7:65536",
            "203.0.113.7:+1",
            "[203.0.113.7]",
            "[2001:db8::7",
            "[2001:db8::7]1",
            "\"203.0.113.7\"",
            "203.0.113.7 10.0.0.2",
            "fe80::1%eth0",
            "203.0.113.7, unknown, 10.0.0.2",
            "203.0.113.7/32",
            "caf\u{e9}",
        ] {
            check("10.0.0.1", &[bad], "bad_forwarded");
        }
        check("10.0.0.1", &["203.0.113.7", ""], "bad_forwarded");
    }

    #[test]
    fn forwarded_is_read_by_its_grammar() {
        let check = |lines: &[&str], want: &str| {
            assert_eq!(told(Field::Forwarded, "10.0.0.1", lines), want, "{lines:?}");
        };
        check(&[], "10.0.0.1:4711");
        check(&["for=203.0.113.7"], "203.0.113.7:0 10.0.0.1");
        check(&["For=203.0.113.7;proto=http;by=10.0.0.1;host=a"], "203.0.113.7:0 10.0.0.1");
        check(&["proto=https;FOR=\"203.0.113.7:51344\""], "203.0.113.7:51344 10.0.0.1");
        check(&["for=\"[2001:db8::7]:51344\""], "[2001:db8::7]:51344 10.0.0.1");
        check(&["for=1.1.1.1, for=203.0.113.7 ,\tfor=10.0.0.2"], "203.0.113.7:0 10.0.0.2,10.0.0.1");
        check(&["for=1.1.1.1", "for=203.0.113.7"], "203.0.113.7:0 10.0.0.1");
        check(&["for=unknown, for=203.0.113.7"], "203.0.113.7:0 10.0.0.1");
        check(&["secret=\"a, for=1.1.1.1\", for=203.0.113.7"], "203.0.113.7:0 10.0.0.1");
        check(&["for=\"203.0.113.\\7\""], "203.0.113.7:0 10.0.0.1");
        for bad in [
            "",
            ",",
            ";",
            "for",
            "for=",
            "=a",
            "for=203.0.113.7,",
            ",for=203.0.113.7",
            "for=203.0.113.7;",
            "for=203.0.113.7:80",
            "for=[2001:db8::7]",
            "for=unknown",
            "for=_gazonk",
            "for=\"_gazonk\"",
            "by=203.0.113.7",
            "for=203.0.113.7;for=203.0.113.7",
            "for =203.0.113.7",
            "for= 203.0.113.7",
            "for=203.0.113.7 for=203.0.113.7",
            "for=\"203.0.113.7",
            "for=\"203.0.113.7\\",
            "for=\"203.0.113.7\"x",
            "for=203.0.113.7, by=10.0.0.2",
            "203.0.113.7",
            // What the client left open would hide what the proxy appended.
            "for=1.1.1.1;x=\", for=203.0.113.7",
            "for=1.1.1.1;x=\", for=\"[2001:db8::7]\"",
        ] {
            check(&[bad], "bad_forwarded");
        }
    }

    #[test]
    fn hops_at_their_limit() {
        let check = |field, one: &str, other: &str| {
            let lines = |count: usize| format!("{}{one}", format!("{other}, ").repeat(count - 1));
            let client = "203.0.113.7:0 10.0.0.1";
            assert_eq!(told(field, "10.0.0.1", &[&lines(HOPS_MAX)]), client);
            assert_eq!(told(field, "10.0.0.1", &[&lines(HOPS_MAX + 1)]), "too_many_hops");
            assert_eq!(told(field, "10.0.0.1", &[&lines(HOPS_MAX), one]), "too_many_hops");
            assert_eq!(told(field, "192.0.2.1", &[&lines(HOPS_MAX + 1)]), "192.0.2.1:4711");
        };
        check(Field::XForwardedFor, "203.0.113.7", "1.1.1.1");
        check(Field::Forwarded, "for=203.0.113.7", "for=1.1.1.1");
    }
}
