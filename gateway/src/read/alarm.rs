//! A timer that is made when it is first waited for, and used again.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Alarm {
    /// Ready when `after` has passed since the first poll after a stop.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, after: Duration) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
        if !self.running {
            sleep.as_mut().reset(Instant::now() + after);
            self.running = true;
        }
        sleep.as_mut().poll(cx)
    }

    /// Says whether it was running.
    pub(crate) fn stop(&mut self) -> bool {
        std::mem::take(&mut self.running)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running
    }
}
