//! `@ipMatch` and `@ipMatchFromFile`: addresses and networks.

use std::net::{IpAddr, Ipv6Addr};

use super::phrase::lines;

/// Addresses, as ranges in order that do not meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// `@ipMatch`: addresses and networks between commas.
    pub fn new(argument: &str) -> Result<Self, String> {
        Self::of(argument.split(',').map(str::trim))
    }

    /// `@ipMatchFromFile`: one on each line; what follows a `#` says nothing.
    pub fn of_file(text: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(text).map_err(|error| format!("not UTF-8: {error}"))?;
        let said = |line: &str| line.split_once('#').map_or(line.len(), |(said, _)| said.len());
        let each = lines(text.as_bytes()).filter_map(|line| str::from_utf8(line).ok());
        Self::of(each.filter_map(|line| line.get(..said(line))).map(str::trim))
    }

    fn of<'a>(each: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut networks = Self::default();
        for text in each {
            let (range, is_v4) =
                range(text).ok_or_else(|| format!("`{text}` is no address and no network"))?;
            if is_v4 { &mut networks.v4 } else { &mut networks.v6 }.push(range);
        }
        if networks == Self::default() {
            return Err("there is no address to look for".to_owned());
        }
        merge(&mut networks.v4);
        merge(&mut networks.v6);
        Ok(networks)
    }

    /// The address is one of them, or in one. IPv4 in IPv6's clothes is IPv4.
    pub fn have(&self, address: IpAddr) -> bool {
        let (ranges, number) = match address.to_canonical() {
            IpAddr::V4(address) => (&self.v4, u128::from(u32::from(address))),
            IpAddr::V6(address) => (&self.v6, u128::from(address)),
        };
        let after = ranges.partition_point(|(first, _)| *first <= number);
        let before = after.checked_sub(1).and_then(|at| ranges.get(at));
        before.is_some_and(|(_, last)| number <= *last)
    }

    /// As [`Self::have`], of a text; one that is no address is in none.
    pub fn have_text(&self, text: &[u8]) -> bool {
        let text = str::from_utf8(text).ok().map(str::trim);
        text.and_then(|text| text.parse().ok()).is_some_and(|address| self.have(address))
    }
}

/// The first and the last address of a network, and whether they are IPv4.
fn range(text: &str) -> Option<((u128, u128), bool)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) if !prefix.starts_with('+') => {
            (address, Some(prefix.parse::<u32>().ok()?))
        }
        Some(_) => return None,
        None => (text, None),
    };
    let (number, bits, is_v4) = match address.parse().ok()? {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32, true),
        IpAddr::V6(address) => {
            let mapped = address.to_ipv4_mapped().filter(|_| prefix.is_none_or(|bits| bits >= 96));
            match mapped {
                Some(address) => (u128::from(u32::from(address)), 32, true),
                None => (u128::from(Ipv6Addr::from(address.octets())), 128, false),
            }
        }
    };
    let prefix = match prefix {
        None => bits,
        Some(prefix) if is_v4 && address.contains(':') => prefix.checked_sub(96)?,
        Some(prefix) => prefix,
    };
    let host = match bits.checked_sub(prefix)? {
        128 => u128::MAX,
        free => (1 << free) - 1,
    };
    Some(((number & !host, number | host), is_v4))
}

/// In order, and those that meet as one.
fn merge(ranges: &mut Vec<(u128, u128)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let meets = next.0 <= kept.1.saturating_add(1);
        if meets {
            kept.1 = kept.1.max(next.1);
        }
        meets
    });
}
