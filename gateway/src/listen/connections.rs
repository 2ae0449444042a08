//! How many connections a door has, in all and from each source.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open connections of a door, counted over all workers.
#[derive(Debug)]
pub struct Connections {
    max: usize,
    per_source_max: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One open connection; it counts until it is dropped.
#[derive(Debug)]
pub struct Permit {
    connections: Arc<Connections>,
    source: IpAddr,
}

impl Connections {
    /// At most `max` connections, of which `per_source_max` from one address, or from one /64 of
    /// IPv6.
    pub fn new(max: usize, per_source_max: usize) -> Self {
        Self { max, per_source_max, open: Mutex::default() }
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.lock().all
    }

    /// Counts a connection from `ip`, unless there are too many.
    pub fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Permit> {
        let source = source(ip);
        let mut open = self.lock();
        let from_source = open.by_source.get(&source).copied().unwrap_or(0);
        if open.all >= self.max || from_source >= self.per_source_max {
            return None;
        }
        open.all += 1;
        open.by_source.insert(source, from_source + 1);
        drop(open);
        Some(Permit { connections: Arc::clone(self), source })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing in here can panic between two changes that belong together.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all = open.all.saturating_sub(1);
        let left = open.by_source.get(&self.source).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            open.by_source.remove(&self.source);
        } else {
            open.by_source.insert(self.source, left);
        }
    }
}

/// What counts as one source: an IPv4 address, or a /64, which is what one IPv6 client is given.
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who comes in, of those who come in this order and stay.
    fn check(max: usize, per_source: usize, arrivals: &[(&str, bool)]) {
        let connections = Arc::new(Connections::new(max, per_source));
        let mut stay = Vec::new();
        for (ip, want) in arrivals {
            let permit = connections.admit(ip.parse().expect("an address"));
            assert_eq!(permit.is_some(), *want, "{ip} of {arrivals:?}");
            stay.extend(permit);
        }
        assert_eq!(connections.open(), stay.len());
        drop(stay);
        assert_eq!(connections.open(), 0);
        assert_eq!(connections.lock().by_source.len(), 0, "a source that left takes no room");
    }

    #[test]
    fn limits_at_their_edges() {
        check(2, 9, &[("192.0.2.1", true), ("192.0.2.2", true), ("192.0.2.3", false)]);
        check(9, 2, &[("192.0.2.1", true), ("192.0.2.1", true), ("192.0.2.1", false)]);
        check(9, 1, &[("192.0.2.1", true), ("192.0.2.2", true), ("::ffff:192.0.2.1", false)]);
        check(
            9,
            1,
            &[("2001:db8::1", true), ("2001:db8::ffff:1", false), ("2001:db8:0:1::1", true)],
        );
    }

    #[test]
    fn who_leaves_makes_room() {
        let connections = Arc::new(Connections::new(1, 1));
        let ip: IpAddr = "192.0.2.1".parse().expect("an address");
        let first = connections.admit(ip).expect("room");
        assert!(connections.admit(ip).is_none());
        drop(first);
        assert!(connections.admit(ip).is_some());
    }
}
