//! Hands what was counted to the record: some times a second, and once more at the end.

use std::sync::Arc;
use std::time::Duration;

use ledger::{Ledger, Unavailable};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{error, warn};

use super::{Flood, Folded, Uncounted};

/// Time between two batches: how long whoever is counted waits for the answer, at most. A source has
/// no more aggregates than one for each.
const EVERY: Duration = Duration::from_millis(250);

/// Records what is counted, and ends every window in its time. It must be [ended](Self::end) before the ledger is closed.
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

    /// Records what is left.
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
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut renewed, mut failing) = (Instant::now(), false);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = &mut stopped => break,
        }
        let failed = record(&flood, &ledger).await.err();
        if let Some(error) = failed.as_ref().filter(|_| !failing) {
            warn!(%error, "counted refusals cannot be recorded: they are kept");
        }
        failing = failed.is_some();
        if renewed.elapsed() >= window {
            flood.renew();
            renewed = Instant::now();
        }
    }
    let _ = record(&flood, &ledger).await;
    flood.close();
    let left: u64 = flood.drain().1.iter().map(Folded::count).sum();
    if left > 0 {
        error!(refusals = left, "counted refusals are not in the record");
    }
}

/// Records what was counted. What the ledger does not take is counted again.
async fn record(flood: &Flood, ledger: &Ledger) -> Result<(), Unavailable> {
    let (batch, folded) = flood.drain();
    let mut recorded = Ok(());
    let mut left = folded.as_slice();
    while let [next, rest @ ..] = left {
        recorded = ledger.aggregate(&next.aggregate()).await.map(drop);
        if recorded.is_err() {
            break;
        }
        left = rest;
    }
    left.iter().for_each(|next| flood.restore(next));
    flood.tell(batch, recorded.map_err(|_| Uncounted));
    recorded
}
