//! A request that is read and not yet recorded: whatever becomes of it, it is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::panicking;

/// Requests of one connection that ended before their record began.
#[derive(Debug, Clone, Default)]
pub struct Abandoned(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    abandoned: AtomicU64,
    panicked: AtomicU64,
}

/// Goes with a request until the ledger has it. Dropped before, the request is counted as
/// abandoned, or as panicked where that is why.
#[derive(Debug, Default)]
pub struct PendingRecord {
    abandoned: Option<Abandoned>,
    begun: AtomicBool,
}

impl Abandoned {
    /// How many were abandoned, so far.
    pub fn count(&self) -> u64 {
        self.0.abandoned.load(Ordering::Relaxed)
    }

    /// How many panicked, so far.
    pub fn panicked(&self) -> u64 {
        self.0.panicked.load(Ordering::Relaxed)
    }

    /// A request came.
    pub fn pending(&self) -> PendingRecord {
        PendingRecord { abandoned: Some(self.clone()), begun: AtomicBool::new(false) }
    }
}

impl PendingRecord {
    /// Its record begins: from here the ledger accounts for it.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }
}

impl Drop for PendingRecord {
    fn drop(&mut self) {
        if let (Some(Abandoned(counts)), false) = (&self.abandoned, *self.begun.get_mut()) {
            let count = if panicking() { &counts.panicked } else { &counts.abandoned };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_recorded_is_counted() {
        let abandoned = Abandoned::default();
        let (recorded, dropped, open) =
            (abandoned.pending(), abandoned.pending(), abandoned.pending());
        recorded.begin();
        drop((recorded, dropped));
        assert_eq!(abandoned.count(), 1);
        drop(open);
        assert_eq!(abandoned.count(), 2);
    }
}
