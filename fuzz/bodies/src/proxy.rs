//! PROXY headers. None asks for a byte that is not its own or is longer than it may be, whichever
//! way its bytes come; one of version 1 says what it says in one way only.

use gateway::protocol::proxy::{Header, Malformed, Step, V1_BYTES_MAX, V2_BYTES_MAX, read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads what the bytes begin with. Accepted is a whole header.
pub fn proxy(data: &[u8]) -> bool {
    let whole = match read(data) {
        Ok(Step::Whole(header)) => Some(header),
        Ok(Step::Needs(bytes)) => {
            assert!(bytes > 0 && data.len() + bytes <= V2_BYTES_MAX);
            None
        }
        Err(_) => None,
    };
    assert_eq!(fed(data).unwrap_or_default(), whole);
    let Some(Header { bytes, source }) = whole else { return false };
    let header = &data[..bytes];
    assert!(source.is_none_or(|source| source.ip() == source.ip().to_canonical()));
    match std::str::from_utf8(header) {
        Ok(line) if line.starts_with("PROXY ") => {
            assert!(bytes <= V1_BYTES_MAX);
            let again = source.map(|source| (source.ip(), source.port()));
            assert_eq!(written(line), again, "{line:?}");
        }
        _ => assert!((16..=V2_BYTES_MAX).contains(&bytes)),
    }
    true
}

/// Reads as from a socket, asking for no more than is needed.
fn fed(data: &[u8]) -> Result<Option<Header>, Malformed> {
    let mut there = 0;
    loop {
        match read(&data[..there])? {
            Step::Whole(header) => {
                assert_eq!(header.bytes, there, "a byte of what follows was asked for");
                return Ok(Some(header));
            }
            Step::Needs(bytes) if there + bytes <= data.len() => there += bytes,
            Step::Needs(_) => return Ok(None),
        }
    }
}

/// What a line of version 1 says, written anew: the same bytes, but for how IPv6 is spelt.
fn written(line: &str) -> Option<(IpAddr, u16)> {
    let words: Vec<&str> = line.strip_suffix("\r\n").expect("an end").split(' ').collect();
    assert_eq!(words[0], "PROXY");
    if words[1] == "UNKNOWN" {
        return None;
    }
    let [_, family, from, to, from_port, to_port] = words[..] else { panic!("{line:?}") };
    let ports: (u16, u16) = (from_port.parse().unwrap(), to_port.parse().unwrap());
    let port = |(from, to): (u16, u16)| format!("{from} {to}\r\n");
    if family == "TCP4" {
        let ips: (Ipv4Addr, Ipv4Addr) = (from.parse().unwrap(), to.parse().unwrap());
        assert_eq!(format!("PROXY TCP4 {} {} {}", ips.0, ips.1, port(ports)), line);
        return Some((ips.0.into(), ports.0));
    }
    let ips: (Ipv6Addr, Ipv6Addr) = (from.parse().unwrap(), to.parse().unwrap());
    assert_eq!(format!("PROXY TCP6 {from} {to} {}", port(ports)), line);
    Some((IpAddr::V6(ips.0).to_canonical(), ports.0))
}
