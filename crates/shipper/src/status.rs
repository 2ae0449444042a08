//! How shipping goes, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How shipping goes.
#[derive(Debug, Default)]
pub struct Status {
    delivered: AtomicU64,
    producers: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Status {
    /// Events whose delivery a broker confirmed.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Producers made so far; more than one means that one failed.
    pub fn producers(&self) -> u64 {
        self.producers.load(Ordering::Relaxed)
    }

    /// What went wrong last; `None` since something was delivered.
    pub fn last_error(&self) -> Option<String> {
        self.error().clone()
    }

    pub(crate) fn add_delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        *self.error() = None;
    }

    pub(crate) fn add_producer(&self) {
        self.producers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_error(&self, error: String) {
        *self.error() = Some(error);
    }

    fn error(&self) -> MutexGuard<'_, Option<String>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
