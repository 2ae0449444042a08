//! Identities of tokens that were verified before, sharded and bounded.
//!
//! A token is known by its SHA-256, so looking it up parses nothing. An entry holds for one issuer
//! and one generation of its keys: a rotated or revoked key ends it. The whole cache belongs to one
//! [`crate::Issuers`], so another configuration starts with none.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ring::digest;
use signals::Identity;

/// Tokens held, at most.
pub(crate) const ENTRIES_MAX: usize = 65_536;

/// Bytes of the tokens held, at most: what an entry weighs grows with its token.
pub(crate) const TOKEN_BYTES_MAX: usize = 128 << 20;

const SHARDS: usize = 16;

/// SHA-256 of a token, signature and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// The key of a token.
    pub(crate) fn of(token: &str) -> Self {
        let mut key = [0; 32];
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        for (to, from) in key.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(key)
    }
}

/// A verified token's identity, and for what and when it holds.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) identity: Arc<Identity>,
    /// The issuer, by its place in the configuration.
    pub(crate) issuer: usize,
    /// The key set of that issuer that it was verified with.
    pub(crate) generation: u64,
    /// The seconds at which it may be used. A clock that was set back is outside of them.
    pub(crate) seconds: Range<i64>,
    /// Bytes of the token.
    pub(crate) bytes: usize,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Key, Entry>,
    order: VecDeque<Key>,
    bytes: usize,
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
    /// What is known of a token now. Whether its issuer and keys still hold is not known here.
    pub(crate) fn get(&self, key: &Key, now_s: i64) -> Option<Entry> {
        let shard = self.shard(key)?;
        shard.entries.get(key).filter(|entry| entry.seconds.contains(&now_s)).cloned()
    }

    /// Keeps `entry`, forgetting the shard's oldest where it is full.
    pub(crate) fn put(&self, key: Key, entry: Entry) {
        let Some(mut shard) = self.shard(&key) else {
            return;
        };
        shard.bytes += entry.bytes;
        if let Some(before) = shard.entries.insert(key, entry) {
            shard.bytes -= before.bytes;
            return;
        }
        shard.order.push_back(key);
        while shard.order.len() > ENTRIES_MAX / SHARDS || shard.bytes > TOKEN_BYTES_MAX / SHARDS {
            let Some(oldest) = shard.order.pop_front() else {
                return;
            };
            if let Some(entry) = shard.entries.remove(&oldest) {
                shard.bytes -= entry.bytes;
            }
        }
    }

    fn shard(&self, key: &Key) -> Option<MutexGuard<'_, Shard>> {
        let Key([first, ..]) = key;
        let shard = self.shards.get(usize::from(*first) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key([1; 32]);

    fn entry(generation: u64, seconds: Range<i64>, bytes: usize) -> Entry {
        Entry { identity: Arc::new(Identity::anonymous()), issuer: 0, generation, seconds, bytes }
    }

    /// All in one shard.
    fn fill(count: usize, bytes: usize) -> (usize, usize) {
        let cache = Cache::default();
        for n in 0..count as u64 {
            let mut key = [0; 32];
            key[1..9].copy_from_slice(&n.to_be_bytes());
            cache.put(Key(key), entry(0, 0..1, bytes));
        }
        let shard = cache.shards[0].lock().unwrap();
        assert_eq!(shard.entries.len(), shard.order.len());
        (shard.entries.len(), shard.bytes)
    }

    #[test]
    fn an_entry_holds_for_its_seconds_only() {
        let cache = Cache::default();
        cache.put(KEY, entry(7, 10..100, 5));
        for (now_s, want) in [(9, None), (10, Some(7)), (99, Some(7)), (100, None), (-1, None)] {
            assert_eq!(cache.get(&KEY, now_s).map(|entry| entry.generation), want, "{now_s}");
        }
        assert!(cache.get(&Key([2; 32]), 50).is_none());
    }

    #[test]
    fn a_token_is_held_once() {
        let cache = Cache::default();
        for generation in 0..3 {
            cache.put(KEY, entry(generation, 0..1, 5));
        }
        assert_eq!(cache.get(&KEY, 0).map(|entry| entry.generation), Some(2));
        let shard = cache.shards[1].lock().unwrap();
        assert_eq!((shard.entries.len(), shard.order.len(), shard.bytes), (1, 1, 5));
    }

    #[test]
    fn it_stays_bounded() {
        let (entries, bytes) = (ENTRIES_MAX / SHARDS, TOKEN_BYTES_MAX / SHARDS);
        assert_eq!(fill(entries, 1), (entries, entries));
        assert_eq!(fill(entries + 1, 1), (entries, entries));
        assert_eq!(fill(8, bytes / 8), (8, bytes));
        assert_eq!(fill(9, bytes / 8), (8, bytes));
    }

    #[test]
    fn the_key_is_of_the_whole_token() {
        assert_eq!(Key::of("a.b.c"), Key::of("a.b.c"));
        assert_ne!(Key::of("a.b.c"), Key::of("a.b.d"));
    }
}
