//! Ranges of addresses: whose connections are what, and which addresses are one client's.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

/// A range of addresses (CIDR, RFC 4632 §3.1, RFC 4291 §2.3): no bits set behind the prefix, and
/// no IPv4 in IPv6 form, which would hold no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotANetwork {
    /// It is no address, a slash and the length of a prefix.
    Malformed,
    /// It could be read, but is written so that another range may be meant: this one.
    Meant(Network),
}

impl Network {
    /// Reads `address/prefix`.
    ///
    /// # Errors
    /// It is malformed, has bits set behind the prefix, or is IPv4 in IPv6 form.
    pub fn parse(text: &str) -> Result<Self, NotANetwork> {
        let parts = text.split_once('/').ok_or(NotANetwork::Malformed)?;
        let (Ok(address), Ok(prefix)) = (parts.0.parse(), parts.1.parse()) else {
            return Err(NotANetwork::Malformed);
        };
        Self::new(address, prefix)
    }

    fn new(address: IpAddr, prefix: u8) -> Result<Self, NotANetwork> {
        let start = match address {
            IpAddr::V4(v4) if prefix <= 32 => {
                IpAddr::V4((v4.to_bits() & high_bits_v4(prefix)).into())
            }
            IpAddr::V6(v6) if prefix <= 128 => match (v6.to_ipv4_mapped(), prefix) {
                (Some(v4), 96..) => {
                    let meant = Self::new(v4.into(), prefix - 96);
                    return Err(meant.map_or_else(|error| error, NotANetwork::Meant));
                }
                _ => IpAddr::V6((v6.to_bits() & high_bits_v6(prefix)).into()),
            },
            _ => return Err(NotANetwork::Malformed),
        };
        let network = Self { address: start, prefix };
        if start == address { Ok(network) } else { Err(NotANetwork::Meant(network)) }
    }

    /// The address is in the range. An IPv4 address in IPv6 form (`::ffff:a.b.c.d`) is that IPv4
    /// address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(start), IpAddr::V4(other)) => {
                start.to_bits() == other.to_bits() & high_bits_v4(self.prefix)
            }
            (IpAddr::V6(start), IpAddr::V6(other)) => {
                start.to_bits() == other.to_bits() & high_bits_v6(self.prefix)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Several ranges. Without any, no address is in it. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks(Arc<[Network]>);

impl Networks {
    /// The address is in one of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Default for Networks {
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

/// What counts as one source: an IPv4 address, or a /64, which is what one IPv6 client is given.
pub fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The first `prefix` bits of an IPv4 address.
fn high_bits_v4(prefix: u8) -> u32 {
    !u32::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

/// The first `prefix` bits of an IPv6 address.
fn high_bits_v6(prefix: u8) -> u128 {
    !u128::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_what_its_prefix_says() {
        for (range, address, want) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.4", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("192.168.1.128/25", "192.168.1.127", false),
            ("192.168.1.128/25", "192.168.1.255", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::10.1.2.3", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("::1/128", "::1", true),
            ("::1/128", "::2", false),
            ("::/0", "::1", true),
            ("::/0", "1.2.3.4", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            let network = Network::parse(range).expect("a range");
            let address = address.parse().expect("an address");
            assert_eq!(network.contains(address), want, "{range} {address}");
            let several: Networks = [network].into_iter().collect();
            assert_eq!(several.contain(address), want, "{range} {address}");
            assert!(!Networks::default().contain(address));
        }
    }

    #[test]
    fn what_may_be_meant_otherwise_is_refused() {
        let read = |text| match Network::parse(text) {
            Ok(network) => format!("ok {network}"),
            Err(NotANetwork::Meant(network)) => format!("meant {network}"),
            Err(NotANetwork::Malformed) => "malformed".to_owned(),
        };
        for (text, want) in [
            ("10.0.0.0/8", "ok 10.0.0.0/8"),
            ("fd00::/8", "ok fd00::/8"),
            ("10.1.0.0/8", "meant 10.0.0.0/8"),
            ("fd00::1/64", "meant fd00::/64"),
            ("::ffff:10.0.0.0/104", "meant 10.0.0.0/8"),
            ("::ffff:10.1.0.0/104", "meant 10.0.0.0/8"),
            ("::ffff:0:0/96", "meant 0.0.0.0/0"),
            ("10.0.0.0/33", "malformed"),
            ("::/129", "malformed"),
            ("10.0.0.0", "malformed"),
            ("10.0.0/8", "malformed"),
            ("10.0.0.0/", "malformed"),
            ("010.0.0.0/8", "malformed"),
            ("10.0.0.0/8/8", "malformed"),
        ] {
            assert_eq!(read(text), want, "{text}");
        }
    }
}
