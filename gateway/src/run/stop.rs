//! What ends the gateway: SIGTERM or SIGINT, heard whatever else is waited for.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tracing::warn;

/// Time after which work that has not ended is told of, each time anew.
const SLOW: Duration = Duration::from_secs(30);

/// The signals that ask for a stop.
#[derive(Debug)]
pub(super) struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    /// From now on they are heard.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Ends when a stop is asked for.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }

    /// What comes of work on a thread of its own; nothing if a stop is asked for first. A file
    /// system that does not answer holds a thread for ever, and is to hold no more than that one:
    /// nobody begins other work meanwhile, and the work is left to itself at a stop.
    pub(super) async fn or<T>(
        &mut self,
        what: &'static str,
        mut work: JoinHandle<T>,
    ) -> Option<Result<T, JoinError>> {
        loop {
            tokio::select! {
                ended = &mut work => return Some(ended),
                () = self.asked() => {
                    warn!(what, "it has not ended, and is left at this stop");
                    return None;
                }
                () = tokio::time::sleep(SLOW) => {
                    warn!(what, "it has not ended, and nothing is loaded before it has");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[test]
    fn a_stop_does_not_wait_for_work_that_hangs() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        for signal in [Signal::TERM, Signal::INT] {
            let (end, hangs) = mpsc::channel::<()>();
            let ended = runtime.block_on(async {
                let mut stop = Stop::listen().unwrap();
                let done = tokio::task::spawn_blocking(|| 7);
                assert_eq!(stop.or("test", done).await.unwrap().unwrap(), 7);
                let work = tokio::task::spawn_blocking(move || hangs.recv());
                kill_process(getpid(), signal).unwrap();
                stop.or("test", work).await
            });
            assert!(ended.is_none(), "{signal:?}");
            drop(end);
        }
    }
}
