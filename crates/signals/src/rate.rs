//! The rate check: the generic cell rate algorithm (GCRA) per route and key, in one bounded table.
//!
//! A bucket is one number, the theoretical arrival time of the next conforming request. A bucket
//! that has refilled says nothing that an absent one does not, so only those are evicted; where
//! none can be, the check reports `unavailable` rather than forget somebody's count. Requests over
//! the limit consume too: who keeps hammering stays limited, who stops is let in again within
//! two intervals.
//!
//! It does not coordinate between processes: limits are per process.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Mutex,
};

use crate::{Health, Rate, Seen};

/// Keys the table holds unless told otherwise.
pub const KEYS_MAX: usize = 1_000_000;

/// Buckets looked at, at most, to find one to evict.
const EVICTION_PROBES: usize = 32;

/// Shards of the table; a shard's lock is held for one look-up.
const SHARDS: usize = 64;

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateKey {
    /// The client's address; IPv6 by /64, the smallest block one client is given (RFC 6177).
    Client,
    /// The principal; clients without one by address.
    Principal,
}

/// A route's limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// What the count is for: routes that share a scope share a count.
    pub scope: String,
    /// Requests allowed in one window, at least 1. All may come at once.
    pub limit: u32,
    /// The window, milliseconds, at least 1.
    pub window_ms: u64,
    /// Whose requests are counted together.
    pub key: RateKey,
}

/// All buckets of the process.
#[derive(Debug)]
pub struct RateTable {
    shards: Vec<Mutex<Shard>>,
    keys_max_per_shard: usize,
    low: RandomState,
    high: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    /// Key to theoretical arrival time, microseconds.
    buckets: HashMap<u128, u64>,
    /// The keys of `buckets`, in the order eviction looks at them.
    order: VecDeque<u128>,
}

impl Default for RateTable {
    fn default() -> Self {
        Self::new(KEYS_MAX)
    }
}

impl RateTable {
    /// A table of at most `keys_max` buckets (rounded up to a multiple of the shards).
    pub fn new(keys_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            keys_max_per_shard: keys_max.div_ceil(SHARDS).max(1),
            low: RandomState::new(),
            high: RandomState::new(),
        }
    }

    /// Counts this request against `limit` and reports. It cannot refuse.
    pub fn observe(&self, limit: &RateLimit, seen: &Seen<'_>) -> Rate {
        let now_us = u64::try_from(seen.conn.received_ms).unwrap_or(0).saturating_mul(1000);
        let Some(arrival_us) = self.arrive(self.key(limit, seen), limit, now_us) else {
            return Rate { health: Health::Unavailable, ..limit.full() };
        };
        limit.read(arrival_us.saturating_sub(now_us))
    }

    /// Buckets held now.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).buckets.len()).sum()
    }

    /// No bucket is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn key(&self, limit: &RateLimit, seen: &Seen<'_>) -> u128 {
        let anonymous = seen.identity.principal.kind == crate::PrincipalKind::Anonymous;
        match limit.key {
            RateKey::Principal if !anonymous => {
                self.hash(&(limit.scope.as_str(), 'p', seen.identity.principal.id.as_str()))
            }
            RateKey::Principal | RateKey::Client => {
                self.hash(&(limit.scope.as_str(), 'c', network(seen.conn.ip)))
            }
        }
    }

    fn hash(&self, key: &impl std::hash::Hash) -> u128 {
        u128::from(self.high.hash_one(key)) << 64 | u128::from(self.low.hash_one(key))
    }

    /// The bucket's theoretical arrival time after this request, or `None` when there is no room.
    fn arrive(&self, key: u128, limit: &RateLimit, now_us: u64) -> Option<u64> {
        let shard =
            usize::try_from(key % SHARDS as u128).ok().and_then(|at| self.shards.get(at))?;
        let mut shard = lock(shard);
        if let Some(arrival_us) = shard.buckets.get_mut(&key) {
            *arrival_us = limit.advance(*arrival_us, now_us);
            return Some(*arrival_us);
        }
        if shard.buckets.len() >= self.keys_max_per_shard && !shard.evict(now_us) {
            return None;
        }
        let arrival_us = limit.advance(now_us, now_us);
        shard.buckets.insert(key, arrival_us);
        shard.order.push_back(key);
        Some(arrival_us)
    }
}

impl Shard {
    /// Removes one refilled bucket, if one of the next few is.
    fn evict(&mut self, now_us: u64) -> bool {
        for _ in 0..EVICTION_PROBES.min(self.order.len()) {
            let Some(key) = self.order.pop_front() else {
                return false;
            };
            if self.buckets.get(&key).is_none_or(|arrival_us| *arrival_us <= now_us) {
                self.buckets.remove(&key);
                return true;
            }
            self.order.push_back(key);
        }
        false
    }
}

impl RateLimit {
    /// Time one request costs, microseconds.
    fn interval_us(&self) -> u64 {
        (self.window_us() / u64::from(self.limit.max(1))).max(1)
    }

    fn window_us(&self) -> u64 {
        self.window_ms.saturating_mul(1000)
    }

    /// One more request: later by an interval, at most one interval beyond the limit.
    fn advance(&self, arrival_us: u64, now_us: u64) -> u64 {
        let ceiling_us = now_us.saturating_add(self.window_us()).saturating_add(self.interval_us());
        arrival_us.max(now_us).saturating_add(self.interval_us()).min(ceiling_us)
    }

    /// The fact for a bucket that is `ahead_us` ahead of now, this request included.
    fn read(&self, ahead_us: u64) -> Rate {
        let (window_us, interval_us) = (self.window_us(), self.interval_us());
        let limited = ahead_us > window_us;
        let room_us = window_us.saturating_sub(ahead_us);
        let wait_us = ahead_us.saturating_add(interval_us).saturating_sub(window_us);
        Rate {
            limited,
            remaining: if limited { 0 } else { int(room_us / interval_us) },
            retry_after_s: if limited { int(wait_us.div_ceil(1_000_000)) } else { 0 },
            ..self.full()
        }
    }

    /// The fact for a bucket that nobody has touched.
    fn full(&self) -> Rate {
        Rate {
            health: Health::Ok,
            limited: false,
            limit: i64::from(self.limit),
            window_s: int(self.window_ms.div_ceil(1000)),
            remaining: i64::from(self.limit),
            retry_after_s: 0,
        }
    }
}

/// The block of addresses that counts as one client.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn lock(shard: &Mutex<Shard>) -> std::sync::MutexGuard<'_, Shard> {
    // A count is valid whenever it is visible: a panic elsewhere cannot have torn it.
    shard.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER_SECOND_3: (u32, u64) = (3, 1000);

    fn limit((limit, window_ms): (u32, u64)) -> RateLimit {
        RateLimit { scope: "r".to_owned(), limit, window_ms, key: RateKey::Client }
    }

    /// Times of requests in milliseconds, and for each whether it is limited.
    fn check(rule: (u32, u64), arrivals: &[(u64, bool)]) {
        let (table, rule) = (RateTable::new(64), limit(rule));
        for (at_ms, want) in arrivals {
            let arrival = table.arrive(1, &rule, at_ms * 1000).expect("room");
            let fact = rule.read(arrival - at_ms * 1000);
            assert_eq!(fact.limited, *want, "at {at_ms} of {arrivals:?}: {fact:?}");
        }
    }

    #[test]
    fn a_burst_up_to_the_limit_passes_and_the_next_does_not() {
        check(PER_SECOND_3, &[(0, false), (0, false), (0, false), (0, true)]);
    }

    #[test]
    fn one_interval_refills_one_request() {
        check(PER_SECOND_3, &[(0, false), (0, false), (0, false), (334, false), (334, true)]);
    }

    #[test]
    fn refused_requests_consume() {
        check(
            PER_SECOND_3,
            &[(0, false), (0, false), (0, false), (0, true), (334, true), (668, true)],
        );
    }

    #[test]
    fn who_stops_is_let_in_again_after_the_wait_that_was_told() {
        let (table, rule) = (RateTable::new(64), limit((60, 60_000)));
        let arrivals: Vec<u64> =
            (0..200).map(|_| table.arrive(1, &rule, 0).expect("room")).collect();
        let fact = rule.read(arrivals[199]);
        assert_eq!((fact.limited, fact.retry_after_s), (true, 2));
        let later = rule.read(table.arrive(1, &rule, 2_000_000).expect("room") - 2_000_000);
        assert!(!later.limited, "{later:?}");
    }

    #[test]
    fn remaining_counts_down() {
        let (table, rule) = (RateTable::new(64), limit((3, 3000)));
        let left: Vec<i64> =
            (0..4).map(|_| rule.read(table.arrive(1, &rule, 0).expect("room")).remaining).collect();
        assert_eq!(left, [2, 1, 0, 0]);
    }

    #[test]
    fn a_full_table_is_unavailable_until_a_bucket_has_refilled() {
        let (table, rule) = (RateTable::new(SHARDS), limit((1, 1000)));
        let same_shard = |n: u128| n * SHARDS as u128;
        assert!(table.arrive(same_shard(1), &rule, 0).is_some());
        assert!(table.arrive(same_shard(2), &rule, 0).is_none(), "live buckets stay");
        assert!(table.arrive(same_shard(1), &rule, 0).is_some(), "a known key still counts");
        assert!(table.arrive(same_shard(2), &rule, 10_000_000).is_some(), "refilled ones go");
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_million_keys_stay_bounded() {
        let (table, rule) = (RateTable::new(KEYS_MAX), limit((1, 1000)));
        for key in 0..1_200_000_u128 {
            table.arrive(key, &rule, 0);
        }
        assert_eq!(table.len(), KEYS_MAX.div_ceil(SHARDS) * SHARDS);
    }

    #[test]
    fn addresses_group_by_what_one_client_is_given() {
        for (a, b, same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let [a_net, b_net] = [a, b].map(|ip| network(ip.parse().expect("an address")));
            assert_eq!(a_net == b_net, same, "{a} and {b}");
        }
    }
}
