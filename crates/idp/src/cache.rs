//! Identities of tokens that were verified before, sharded and bounded.
//!
//! An entry holds for one issuer's one generation of keys: a rotated or revoked key ends it. The
//! whole cache belongs to one [`crate::Issuers`], so another configuration starts with none.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use signals::Identity;

/// Tokens held, at most.
pub(crate) const ENTRIES_MAX: usize = 65_536;

const SHARDS: usize = 16;

/// SHA-256 of the token and of what else it was verified for.
pub(crate) type Key = [u8; 32];

/// A verified token's identity, and how long it may be used.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) identity: Arc<Identity>,
    /// The key set it was verified with.
    pub(crate) generation: u64,
    /// From this second on it is not used.
    pub(crate) until_s: i64,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Key, Entry>,
    order: VecDeque<Key>,
}

pub(crate) struct Cache {
    shards: Vec<Mutex<Shard>>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Cache {
    pub(crate) fn get(&self, key: &Key, generation: u64, now_s: i64) -> Option<Arc<Identity>> {
        let shard = self.shard(key)?;
        let entry = shard.entries.get(key)?;
        (entry.generation == generation && now_s < entry.until_s)
            .then(|| Arc::clone(&entry.identity))
    }

    /// Keeps `entry`, forgetting the shard's oldest where it is full.
    pub(crate) fn put(&self, key: Key, entry: Entry) {
        let Some(mut shard) = self.shard(&key) else {
            return;
        };
        if shard.entries.insert(key, entry).is_some() {
            return;
        }
        shard.order.push_back(key);
        while shard.order.len() > ENTRIES_MAX / SHARDS {
            if let Some(oldest) = shard.order.pop_front() {
                shard.entries.remove(&oldest);
            }
        }
    }

    fn shard(&self, key: &Key) -> Option<MutexGuard<'_, Shard>> {
        let [first, ..] = key;
        let shard = self.shards.get(usize::from(*first) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(generation: u64, until_s: i64) -> Entry {
        Entry { identity: Arc::new(Identity::anonymous()), generation, until_s }
    }

    #[test]
    fn an_entry_holds_for_its_keys_and_its_time() {
        let cache = Cache::default();
        cache.put([1; 32], entry(7, 100));
        for (generation, now_s, want) in [(7, 99, true), (7, 100, false), (8, 99, false)] {
            assert_eq!(cache.get(&[1; 32], generation, now_s).is_some(), want);
        }
        assert!(cache.get(&[2; 32], 7, 0).is_none());
    }

    #[test]
    fn it_stays_bounded() {
        let cache = Cache::default();
        for n in 0..(2 * ENTRIES_MAX as u64) {
            let mut key = [0; 32];
            key[1..9].copy_from_slice(&n.to_be_bytes());
            cache.put(key, entry(0, i64::MAX));
        }
        let held: usize = cache.shards.iter().map(|s| s.lock().unwrap().entries.len()).sum();
        assert_eq!(held, ENTRIES_MAX / SHARDS);
    }
}
