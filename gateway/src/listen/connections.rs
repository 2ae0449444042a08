//! How many connections a door has, in all and from each source. A proxy that speaks for many is
//! no source; who is behind it may be told later.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network::source;

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
    source: Option<IpAddr>,
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

    /// Counts a connection, in all and from `ip` if that is known, unless there are too many.
    pub fn admit(self: &Arc<Self>, ip: Option<IpAddr>) -> Option<Permit> {
        let mut open = self.lock();
        if open.all >= self.max {
            return None;
        }
        let source = match ip.map(source) {
            Some(source) if !open.add(source, self.per_source_max) => return None,
            source => source,
        };
        open.all += 1;
        drop(open);
        Some(Permit { connections: Arc::clone(self), source })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing in here can panic between two changes that belong together.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Counts one more from `source`; false if there are `max`.
    fn add(&mut self, source: IpAddr, max: usize) -> bool {
        let count = self.by_source.get(&source).copied().unwrap_or(0);
        if count >= max {
            return false;
        }
        self.by_source.insert(source, count + 1);
        true
    }

    fn take_away(&mut self, source: IpAddr) {
        let left = self.by_source.get(&source).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            self.by_source.remove(&source);
        } else {
            self.by_source.insert(source, left);
        }
    }
}

impl Permit {
    /// Counts the connection for `ip`, who was behind what connected; false if there are too many
    /// from there.
    pub fn is_from(&mut self, ip: IpAddr) -> bool {
        let source = source(ip);
        let mut open = self.connections.lock();
        if !open.add(source, self.connections.per_source_max) {
            return false;
        }
        if let Some(before) = self.source.replace(source) {
            open.take_away(before);
        }
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all = open.all.saturating_sub(1);
        if let Some(source) = self.source {
            open.take_away(source);
        }
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
            let permit = connections.admit(Some(ip.parse().expect("an address")));
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
        let first = connections.admit(Some(ip)).expect("room");
        assert!(connections.admit(Some(ip)).is_none());
        drop(first);
        assert!(connections.admit(Some(ip)).is_some());
    }

    #[test]
    fn who_is_behind_a_proxy_counts_once_it_is_told() {
        let connections = Arc::new(Connections::new(4, 1));
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mut behind: Vec<Permit> =
            (0..4).map(|_| connections.admit(None).expect("room")).collect();
        assert!(connections.admit(None).is_none(), "a proxy counts in all");
        assert!(behind[0].is_from(ip("192.0.2.1")));
        assert!(!behind[1].is_from(ip("192.0.2.1")));
        assert!(behind[1].is_from(ip("192.0.2.2")));
        assert!(behind[1].is_from(ip("192.0.2.3")), "from somewhere else after all");
        assert!(behind[2].is_from(ip("192.0.2.2")));
        behind.remove(0);
        assert!(connections.admit(Some(ip("192.0.2.1"))).is_some());
        drop(behind);
        assert_eq!((connections.open(), connections.lock().by_source.len()), (0, 0));
    }
}
