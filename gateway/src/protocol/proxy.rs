//! The PROXY protocol, versions 1 and 2 (HAProxy, "The PROXY protocol", §2): who connected to the
//! proxy, said before anything else on a connection.
//!
//! [`read`] is asked again as bytes come, and never asks for a byte that is not the header's: what
//! follows stays on the socket. Deliberately absent: what the additional fields (TLVs) say, and
//! any address family but IPv4 and IPv6 over a stream.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a header of version 1, with its CRLF (§2.1).
pub const V1_BYTES_MAX: usize = 107;

/// Bytes of a header of version 2, with its additional fields. The field that says its length
/// could say sixteen times as many.
pub const V2_BYTES_MAX: usize = 4096;

const V1: &[u8] = b"PROXY ";
const V1_BYTES_MIN: usize = "PROXY UNKNOWN\r\n".len();
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family, length.
const V2_FIXED_BYTES: usize = V2.len() + 4;

/// How far a header has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// At least so many bytes, which is some, are still to come.
    Needs(usize),
    /// It is whole.
    Whole(Header),
}

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes that it took.
    pub bytes: usize,
    /// Who connected to the proxy, IPv4 as IPv4; `None` where the proxy speaks for itself (`LOCAL`)
    /// or does not know (`UNKNOWN`).
    pub source: Option<SocketAddr>,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They begin otherwise.
    #[error("there is no PROXY header")]
    Missing,
    /// More than [`V1_BYTES_MAX`] or [`V2_BYTES_MAX`].
    #[error("the PROXY header is too long")]
    TooLong,
    /// A line of version 1 that is not as it must be.
    #[error("the PROXY line is malformed")]
    Line,
    /// Neither version 1 nor 2.
    #[error("the PROXY header has an unknown version")]
    Version,
    /// Neither `LOCAL` nor `PROXY`.
    #[error("the PROXY header has an unknown command")]
    Command,
    /// Not a stream over IPv4 or IPv6.
    #[error("the PROXY header is of another address family")]
    Family,
    /// The length is less than the addresses take.
    #[error("the PROXY header is shorter than its addresses")]
    Addresses,
    /// An additional field is longer than the header.
    #[error("an additional field of the PROXY header is cut off")]
    Additional,
}

/// Reads what `input` begins with.
///
/// # Errors
/// It cannot become a header, or not a short enough one.
pub fn read(input: &[u8]) -> Result<Step, Malformed> {
    let may_be = |start: &[u8]| input.iter().zip(start).all(|(byte, other)| byte == other);
    if may_be(V1) {
        v1(input)
    } else if may_be(V2) {
        v2(input)
    } else {
        Err(Malformed::Missing)
    }
}

fn v1(input: &[u8]) -> Result<Step, Malformed> {
    let start = input.get(..V1_BYTES_MAX).unwrap_or(input);
    let Some(lf) = start.iter().position(|byte| *byte == b'\n') else {
        let ends_in = if start.last() == Some(&b'\r') { 1 } else { 2 };
        if start.len() + ends_in > V1_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        return Ok(Step::Needs(V1_BYTES_MIN.saturating_sub(start.len()).max(ends_in)));
    };
    let line = start.get(..lf).and_then(|line| line.strip_suffix(b"\r")).ok_or(Malformed::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed::Line)?;
    let source = v1_source(line).ok_or(Malformed::Line)?;
    Ok(Step::Whole(Header { bytes: lf + 1, source }))
}

/// What a line says. After `UNKNOWN`, anything may stand, and is ignored.
fn v1_source(line: &str) -> Option<Option<SocketAddr>> {
    if line.contains('\r') {
        return None;
    }
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let [source, destination, source_port, destination_port] =
        [words.next()?, words.next()?, words.next()?, words.next()?];
    let ip: IpAddr = match family {
        "TCP4" => {
            destination.parse::<Ipv4Addr>().ok()?;
            source.parse::<Ipv4Addr>().ok()?.into()
        }
        "TCP6" => {
            destination.parse::<Ipv6Addr>().ok()?;
            source.parse::<Ipv6Addr>().ok()?.into()
        }
        _ => return None,
    };
    port(destination_port)?;
    let source = SocketAddr::new(ip.to_canonical(), port(source_port)?);
    words.next().is_none().then_some(Some(source))
}

/// Decimal digits, as few as there can be.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    (plain && shortest).then(|| text.parse().ok()).flatten()
}

fn v2(input: &[u8]) -> Result<Step, Malformed> {
    let Some((fixed, rest)) = input.split_at_checked(V2_FIXED_BYTES) else {
        return Ok(Step::Needs(V2_FIXED_BYTES - input.len()));
    };
    let &[.., command, family, high, low] = fixed else { return Err(Malformed::Missing) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let bytes = V2_FIXED_BYTES + length;
    if command >> 4 != 2 {
        return Err(Malformed::Version);
    }
    if bytes > V2_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    // Of a LOCAL header the rest says nothing, nor does that of an unspecified family (§2.2).
    let addresses_bytes = match (command & 0x0f, family) {
        (0, _) | (1, 0x00) => None,
        (1, 0x11) => Some(12),
        (1, 0x21) => Some(36),
        (1, _) => return Err(Malformed::Family),
        _ => return Err(Malformed::Command),
    };
    if addresses_bytes.is_some_and(|least| length < least) {
        return Err(Malformed::Addresses);
    }
    let Some(block) = rest.get(..length) else {
        return Ok(Step::Needs(bytes - input.len()));
    };
    let Some(addresses_bytes) = addresses_bytes else {
        return Ok(Step::Whole(Header { bytes, source: None }));
    };
    let (addresses, additional) =
        block.split_at_checked(addresses_bytes).ok_or(Malformed::Addresses)?;
    are_whole(additional)?;
    let source = v2_source(addresses).ok_or(Malformed::Addresses)?;
    Ok(Step::Whole(Header { bytes, source: Some(source) }))
}

/// Source and destination, then the port of each.
fn v2_source(addresses: &[u8]) -> Option<SocketAddr> {
    let (ip, rest): (IpAddr, _) = match addresses.len() {
        12 => {
            let (source, rest) = addresses.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*source).into(), rest.get(4..)?)
        }
        _ => {
            let (source, rest) = addresses.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*source).into(), rest.get(16..)?)
        }
    };
    let port = u16::from_be_bytes(*rest.first_chunk::<2>()?);
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// Type, length in two bytes, value; again and again, to the last byte.
fn are_whole(mut additional: &[u8]) -> Result<(), Malformed> {
    while !additional.is_empty() {
        let &[_, high, low, ref rest @ ..] = additional else { return Err(Malformed::Additional) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        additional = rest.get(length..).ok_or(Malformed::Additional)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the whole of `header`, and the same for each of its beginnings: they need what is left,
    /// or less, and never take what comes behind it.
    fn check(header: &[u8], want: Result<Option<&str>, Malformed>) {
        let shown = header.escape_ascii();
        let want = want.map(|source| {
            let source = source.map(|source| source.parse().expect("an address"));
            Step::Whole(Header { bytes: header.len(), source })
        });
        assert_eq!(read(header), want, "{shown}");
        if want.is_err() {
            return;
        }
        for length in 0..header.len() {
            let step = read(&header[..length]);
            let Ok(Step::Needs(bytes)) = step else { panic!("{length} of {shown}: {step:?}") };
            assert!((1..=header.len() - length).contains(&bytes), "{length} of {shown}: {bytes}");
        }
        assert_eq!(read(&[header, b"PROXY \r\n\0"].concat()), want, "{shown} and more");
    }

    #[test]
    fn lines_of_version_1() {
        use Malformed::Line;
        let line = |text: &str, want| check(format!("PROXY {text}\r\n").as_bytes(), want);
        line("TCP4 192.0.2.1 198.51.100.2 51344 443", Ok(Some("192.0.2.1:51344")));
        line("TCP4 0.0.0.0 255.255.255.255 0 65535", Ok(Some("0.0.0.0:0")));
        line("TCP6 2001:db8::1 2001:DB8::2 65535 1", Ok(Some("[2001:db8::1]:65535")));
        line("TCP6 ::ffff:192.0.2.1 ::1 1 1", Ok(Some("192.0.2.1:1")));
        line("UNKNOWN", Ok(None));
        line("UNKNOWN what ever 7 9", Ok(None));
        for wrong in [
            "",
            "TCP4",
            "TCP4 192.0.2.1 198.51.100.2 51344",
            "TCP4 192.0.2.1 198.51.100.2 51344 443 1",
            "TCP4 192.0.2.1 198.51.100.2 51344 443 ",
            "TCP4  192.0.2.1 198.51.100.2 51344 443",
            "TCP4\t192.0.2.1 198.51.100.2 51344 443",
            "TCP4 192.0.2.01 198.51.100.2 51344 443",
            "TCP4 192.0.2 198.51.100.2 51344 443",
            "TCP4 192.0.2.256 198.51.100.2 51344 443",
            "TCP4 192.0.2.1 198.51.100 51344 443",
            "TCP4 192.0.2.1 ::1 51344 443",
            "TCP4 ::1 ::1 51344 443",
            "TCP6 192.0.2.1 192.0.2.2 51344 443",
            "TCP6 [::1] ::1 51344 443",
            "TCP6 fe80::1%1 ::1 51344 443",
            "TCP4 192.0.2.1 198.51.100.2 +1 443",
            "TCP4 192.0.2.1 198.51.100.2 01 443",
            "TCP4 192.0.2.1 198.51.100.2 1 443.",
            "TCP4 192.0.2.1 198.51.100.2 65536 443",
            "TCP4 192.0.2.1 198.51.100.2 1 65536",
            "TCP4 192.0.2.1\r 198.51.100.2 1 2",
            "tcp4 192.0.2.1 198.51.100.2 1 2",
            "UNKNOWNS",
            "UDP4 192.0.2.1 198.51.100.2 1 2",
            "TCP4 192.0.2.1 198.51.100.2 1 2\u{e9}",
        ] {
            line(wrong, Err(Line));
        }
        check(b"PROXY UNKNOWN\n", Err(Line));
        check(b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", Err(Line));
        check(b"proxy UNKNOWN\r\n", Err(Malformed::Missing));
        check(b"PROXY\tUNKNOWN\r\n", Err(Malformed::Missing));
        check(b" PROXY UNKNOWN\r\n", Err(Malformed::Missing));
        check(b"GET / HTTP/1.1\r\n", Err(Malformed::Missing));
        check(b"\x16\x03\x01\x02\x00", Err(Malformed::Missing));
    }

    #[test]
    fn the_longest_line_at_its_edge() {
        let line = |bytes: usize| {
            let padding = " ".repeat(bytes - "PROXY UNKNOWN\r\n".len());
            format!("PROXY UNKNOWN{padding}\r\n").into_bytes()
        };
        check(&line(V1_BYTES_MAX), Ok(None));
        check(&line(V1_BYTES_MAX + 1), Err(Malformed::TooLong));
        let endless = line(V1_BYTES_MAX + 1);
        assert_eq!(read(&endless[..V1_BYTES_MAX - 2]), Ok(Step::Needs(2)));
        assert_eq!(read(&endless[..V1_BYTES_MAX - 1]), Err(Malformed::TooLong));
    }

    /// A header of version 2 with this length, whatever follows.
    fn header(command: u8, family: u8, length: usize, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(length).expect("a length").to_be_bytes();
        [V2, &[command, family], &length, block].concat()
    }

    fn whole(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        header(command, family, block.len(), block)
    }

    const IPV4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0xc8, 0x90, 1, 0xbb];

    fn ipv6(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().expect("an address");
        [&source.octets()[..], &Ipv6Addr::LOCALHOST.octets(), &[0xc8, 0x90, 1, 0xbb]].concat()
    }

    #[test]
    fn headers_of_version_2() {
        use Malformed::{Additional, Addresses, Command, Family, Missing, Version};
        let v4 = Ok(Some("192.0.2.1:51344"));
        check(&whole(0x21, 0x11, IPV4), v4);
        check(&whole(0x21, 0x21, &ipv6("2001:db8::1")), Ok(Some("[2001:db8::1]:51344")));
        check(&whole(0x21, 0x21, &ipv6("::ffff:192.0.2.1")), v4);
        for local in [&b""[..], b"anything", IPV4] {
            for family in [0x00, 0x11, 0x31, 0xff] {
                check(&whole(0x20, family, local), Ok(None));
            }
            check(&whole(0x21, 0x00, local), Ok(None));
        }
        for family in [0x01, 0x02, 0x10, 0x12, 0x13, 0x20, 0x22, 0x31, 0x32, 0x41, 0xff] {
            check(&whole(0x21, family, &[0; 216]), Err(Family));
        }
        check(&whole(0x22, 0x11, IPV4), Err(Command));
        check(&whole(0x2f, 0x11, IPV4), Err(Command));
        check(&whole(0x11, 0x11, IPV4), Err(Version));
        check(&whole(0x31, 0x11, IPV4), Err(Version));
        check(&whole(0x21, 0x11, &IPV4[..11]), Err(Addresses));
        check(&whole(0x21, 0x21, &ipv6("::1")[..35]), Err(Addresses));
        check(&header(0x21, 0x11, 11, b""), Err(Addresses));
        let with = |additional: &[u8]| whole(0x21, 0x11, &[IPV4, additional].concat());
        check(&with(b"\x04\x00\x00"), v4);
        check(&with(b"\x05\x00\x02id\x04\x00\x01\x00"), v4);
        for cut in [&b"\x04"[..], b"\x04\x00", b"\x04\x00\x01", b"\x05\x00\x02id\x04\x00\x02\x00"] {
            check(&with(cut), Err(Additional));
        }
        check(b"\r\n\r\n\0\r\nQUIT\r\n\x21\x11\0\0", Err(Missing));
        check(b"\r\n\r\n\r\n", Err(Missing));
    }

    #[test]
    fn the_longest_header_at_its_edge() {
        let with = |bytes: usize| {
            let value = bytes - V2_FIXED_BYTES - IPV4.len() - 3;
            let length = u16::try_from(value).expect("a length").to_be_bytes();
            whole(0x21, 0x11, &[IPV4, b"\x04", &length, &vec![0; value]].concat())
        };
        check(&with(V2_BYTES_MAX), Ok(Some("192.0.2.1:51344")));
        check(&with(V2_BYTES_MAX + 1), Err(Malformed::TooLong));
        // It is refused by what its length says, before it is there.
        check(&header(0x20, 0, V2_BYTES_MAX + 1 - V2_FIXED_BYTES, b""), Err(Malformed::TooLong));
        check(&header(0x21, 0x11, 0xffff, b""), Err(Malformed::TooLong));
    }
}
