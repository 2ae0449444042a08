//! A request that is read and not yet recorded: whatever becomes of it, it is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Requests of one connection that ended before their record began.
#[derive(Debug, Clone, Default)]
pub struct Abandoned(Arc<AtomicU64>);

/// Goes with a request until the ledger has it. Dropped before, the request is counted as
/// abandoned.
#[derive(Debug, Default)]
pub struct PendingRecord {
    abandoned: Option<Abandoned>,
    begun: AtomicBool,
}

impl Abandoned {
    /// How many, so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
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
        if let (Some(Abandoned(count)), false) = (&self.abandoned, *self.begun.get_mut()) {
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
