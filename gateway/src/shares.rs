//! What one source may hold of something that all sources share, so that none has all of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network::source;

/// So many units, and how many of them each source holds.
#[derive(Debug)]
pub struct Shares {
    max: usize,
    per_source_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// What one holder has; it is given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    source: IpAddr,
    units: usize,
}

/// Why there is nothing more to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All of it is held.
    All,
    /// The source holds as much as one may.
    Source,
}

impl Shares {
    /// `max` units, of which one source may hold `per_source_max`.
    pub fn new(max: usize, per_source_max: usize) -> Arc<Self> {
        Arc::new(Self { max, per_source_max, held: Mutex::default() })
    }

    /// Takes units for a client.
    ///
    /// # Errors
    /// There are not so many left, in all or for its source.
    pub fn take(self: &Arc<Self>, client: IpAddr, units: usize) -> Result<Share, Full> {
        let mut share = Share { shares: Arc::clone(self), source: source(client), units: 0 };
        share.add(units)?;
        Ok(share)
    }

    /// Units that are held now.
    pub fn held(&self) -> usize {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing in here can panic between two changes that belong together.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes more of it for the same client.
    ///
    /// # Errors
    /// There are not so many left; what is held stays.
    pub fn add(&mut self, units: usize) -> Result<(), Full> {
        let mut held = self.shares.lock();
        let own = held.by_source.get(&self.source).copied().unwrap_or(0).saturating_add(units);
        let all = held.all.saturating_add(units);
        if own > self.shares.per_source_max {
            return Err(Full::Source);
        }
        if all > self.shares.max {
            return Err(Full::All);
        }
        held.all = all;
        if own > 0 {
            held.by_source.insert(self.source, own);
        }
        self.units = self.units.saturating_add(units);
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.units == 0 {
            return;
        }
        let mut held = self.shares.lock();
        held.all = held.all.saturating_sub(self.units);
        let left = held.by_source.get(&self.source).copied().unwrap_or(0);
        match left.saturating_sub(self.units) {
            0 => held.by_source.remove(&self.source),
            left => held.by_source.insert(self.source, left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of each who takes so many in this order and keeps them.
    fn check(max: usize, per_source: usize, takes: &[(&str, usize, Result<(), Full>)]) {
        let shares = Shares::new(max, per_source);
        let mut kept = Vec::new();
        for (ip, units, want) in takes {
            let taken = shares.take(ip.parse().expect("an address"), *units);
            assert_eq!(taken.as_ref().map(|_| ()).map_err(|full| *full), *want, "{ip} {takes:?}");
            kept.extend(taken);
        }
        assert_eq!(shares.held(), kept.iter().map(|share| share.units).sum::<usize>());
        drop(kept);
        assert_eq!((shares.held(), shares.lock().by_source.len()), (0, 0));
    }

    #[test]
    fn limits_at_their_edges() {
        use Full::{All, Source};
        let (a, b, c) = ("192.0.2.1", "192.0.2.2", "192.0.2.3");
        check(9, 4, &[(a, 4, Ok(())), (a, 1, Err(Source)), (b, 4, Ok(())), (c, 1, Ok(()))]);
        check(9, 4, &[(a, 4, Ok(())), (b, 4, Ok(())), (c, 2, Err(All)), (c, 1, Ok(()))]);
        check(9, 4, &[(a, 5, Err(Source)), (a, 4, Ok(())), ("::ffff:192.0.2.1", 1, Err(Source))]);
        check(9, 1, &[("2001:db8::1", 1, Ok(())), ("2001:db8::ffff:1", 1, Err(Source))]);
        check(9, 1, &[("2001:db8::1", 1, Ok(())), ("2001:db8:0:1::1", 1, Ok(()))]);
        check(9, 4, &[(a, usize::MAX, Err(Source)), (a, 0, Ok(()))]);
    }

    #[test]
    fn what_is_added_is_the_same_sources() {
        let shares = Shares::new(9, 4);
        let ip = "192.0.2.1".parse().expect("an address");
        let mut share = shares.take(ip, 1).expect("room");
        assert_eq!(share.add(4), Err(Full::Source));
        assert_eq!((share.add(3), shares.held()), (Ok(()), 4));
        assert_eq!(shares.take(ip, 1).map(|_| ()), Err(Full::Source));
        drop(share);
        assert!(shares.take(ip, 4).is_ok());
    }
}
