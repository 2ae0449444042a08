//! Hands what was counted to the record: at the end of each window, and once more at the end.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ledger::Ledger;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{error, warn};

use super::{Drained, Flood, Folded};

/// Ends every window in its time. It must be [ended](Self::end) before the ledger is closed.
#[derive(Debug)]
pub(crate) struct Flushing {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Flushing {
    /// Starts it on the present runtime.
    pub(crate) fn start(flood: Arc<Flood>, ledger: Ledger, window: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(flush(flood, ledger, window, stopped)) }
    }

    /// Ends the last window.
    pub(crate) async fn end(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            error!(%error, "counted refusals may not be in the record");
        }
    }
}

async fn flush(
    flood: Arc<Flood>,
    ledger: Ledger,
    window: Duration,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut tick = tokio::time::interval(window);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => record(&flood, &ledger).await,
            _ = &mut stopped => break,
        }
    }
    record(&flood, &ledger).await;
    let left: u64 = flood.drain().folded.iter().map(Folded::count).sum();
    if left > 0 {
        error!(refusals = left, "counted refusals are not in the record: the next start has them");
    }
}

/// Records what was counted. What the ledger does not take is counted again.
async fn record(flood: &Flood, ledger: &Ledger) {
    let Drained { folded, journal } = flood.drain();
    let mut left = folded.as_slice();
    while let [next, rest @ ..] = left {
        if let Err(error) = ledger.aggregate(&next.aggregate()).await {
            warn!(%error, "counted refusals could not be recorded: they are kept");
            break;
        }
        left = rest;
    }
    left.iter().for_each(|next| flood.restore(next));
    if let Some(journal) = journal
        && let Err(error) = fs::remove_file(&journal)
    {
        warn!(%error, journal = %journal.display(), "the next start would count these again");
    }
}
