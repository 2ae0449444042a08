//! What was made before, kept for the next request that needs the same.
//!
//! Bounded by its number of slots: a new value takes the place of whatever was in its slot, so
//! there is nothing to evict and nothing grows old. Nobody waits: a slot that another thread is
//! at is as good as empty. Keys are compared whole, so a value is never another key's. It is not
//! for decisions: each is made anew.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Mutex;

type Slot<K, V> = Mutex<Option<(K, V)>>;

/// Values by key, in a fixed number of slots.
#[derive(Debug)]
pub(crate) struct Memo<K, V> {
    slots: Box<[Slot<K, V>]>,
    /// With a seed of its own, so that no client can choose who shares a slot.
    hasher: RandomState,
}

impl<K: Hash + Eq + Clone, V: Clone> Memo<K, V> {
    pub(crate) fn new(slots: usize) -> Self {
        let slots = (0..slots).map(|_| Mutex::new(None)).collect();
        Self { slots, hasher: RandomState::new() }
    }

    /// The value of `key`, made if it is not there.
    pub(crate) fn get<E>(&self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let Some(slot) = self.slot(key) else { return make() };
        if let Ok(slot) = slot.try_lock()
            && let Some((known, value)) = slot.as_ref()
            && known == key
        {
            return Ok(value.clone());
        }
        let value = make()?;
        if let Ok(mut slot) = slot.try_lock() {
            *slot = Some((key.clone(), value.clone()));
        }
        Ok(value)
    }

    fn slot(&self, key: &K) -> Option<&Slot<K, V>> {
        let hash = usize::try_from(self.hasher.hash_one(key) >> 32).ok()?;
        self.slots.get(hash.checked_rem(self.slots.len())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(memo: &Memo<u32, u32>, key: u32, value: u32) -> u32 {
        memo.get(&key, || Ok::<_, ()>(value)).unwrap()
    }

    #[test]
    fn a_value_is_made_once_and_never_anothers() {
        let memo = Memo::new(1);
        assert_eq!(get(&memo, 1, 10), 10);
        assert_eq!(get(&memo, 1, 11), 10);
        assert_eq!(get(&memo, 2, 20), 20);
        assert_eq!(get(&memo, 1, 12), 12);
    }

    #[test]
    fn what_cannot_be_made_is_not_kept() {
        let memo = Memo::new(1);
        assert_eq!(memo.get(&1, || Err::<u32, _>("no")), Err("no"));
        assert_eq!(get(&memo, 1, 10), 10);
    }

    #[test]
    fn nobody_waits_for_a_slot() {
        let memo = Memo::new(1);
        assert_eq!(get(&memo, 1, 10), 10);
        let held = memo.slots[0].lock().unwrap();
        assert_eq!(get(&memo, 1, 11), 11);
        drop(held);
        assert_eq!(get(&memo, 1, 12), 10);
        assert_eq!(get(&Memo::new(0), 1, 10), 10);
    }
}
