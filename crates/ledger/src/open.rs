//! The decisions that are open: recorded, and without a durable completion.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::event::DecisionRef;
use crate::wal::EpochId;

/// Every open decision of this process, by id.
#[derive(Debug, Default)]
pub(crate) struct OpenDecisions {
    all: Mutex<HashMap<Uuid, OpenDecision>>,
}

/// One open decision and where it is recorded.
#[derive(Debug, Clone)]
pub(crate) struct OpenDecision {
    pub(crate) reference: Arc<DecisionRef>,
    pub(crate) epoch: EpochId,
    pub(crate) index: u64,
}

impl OpenDecisions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, OpenDecision>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what a group opened.
    pub(crate) fn insert(&self, opened: impl IntoIterator<Item = OpenDecision>) {
        let opened = opened.into_iter().map(|open| (open.reference.uid(), open));
        self.lock().extend(opened);
    }

    /// Removes what has a durable completion now.
    pub(crate) fn remove(&self, closed: impl IntoIterator<Item = Uuid>) {
        let mut all = self.lock();
        for uid in closed {
            all.remove(&uid);
        }
    }

    /// What a completion of `uid` needs.
    pub(crate) fn reference(&self, uid: &Uuid) -> Option<Arc<DecisionRef>> {
        self.lock().get(uid).map(|open| Arc::clone(&open.reference))
    }

    /// Whether `uid` is open.
    pub(crate) fn contains(&self, uid: &Uuid) -> bool {
        self.lock().contains_key(uid)
    }

    /// How many are open.
    pub(crate) fn count(&self) -> u64 {
        self.lock().len() as u64
    }

    /// All that are open.
    pub(crate) fn all(&self) -> Vec<Arc<DecisionRef>> {
        self.lock().values().map(|open| Arc::clone(&open.reference)).collect()
    }

    /// The ids of those that are recorded before `index` of `epoch`, or in an earlier epoch.
    pub(crate) fn before(&self, epoch: EpochId, index: u64) -> Vec<Uuid> {
        let earlier = |open: &OpenDecision| (open.epoch, open.index) < (epoch, index);
        let all = self.lock();
        all.iter().filter(|(_, open)| earlier(open)).map(|(uid, _)| *uid).collect()
    }
}
