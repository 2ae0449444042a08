//! Rules on upstreams' responses: the room for what is copied of them, and the thread on which the
//! longer ones are looked at.
//!
//! They are looked at when they are over, so nobody waits but the completion, which has what comes
//! of it. What holds room is all that can wait; where there is no room, the completion says so.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ledger::event::ResponseWaf;

use crate::metrics::Metrics;
use crate::shares::{Share, Shares};

/// Bytes of all responses that are held to be looked at, and of what is kept of their requests, of
/// the process. Without it, every client that takes its time would hold as much as its route says.
pub(crate) const RESPONSES_BYTES_MAX: usize = 64 << 20;

/// And of those to one source, so that none can have others' go by unseen.
pub(crate) const RESPONSES_BYTES_PER_SOURCE_MAX: usize = RESPONSES_BYTES_MAX / 4;

/// Bytes of a body that are looked at where it ends. Longer ones would keep a worker from others.
const AT_ONCE_BYTES_MAX: usize = 8 << 10;

/// As that, of what is kept of the request: rules look at it again.
pub(crate) const KEPT_AT_ONCE_BYTES_MAX: usize = 32 << 10;

/// How often it is asked whether the thread has ended.
const POLL: Duration = Duration::from_millis(5);

/// Looks at one response, and completes its request.
type Job = Box<dyn FnOnce() + Send>;

/// What all responses share. See the module.
#[derive(Debug)]
pub(crate) struct Responses {
    room: Arc<Shares>,
    queue: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// What waits still is not looked at any more.
    hurried: AtomicBool,
    metrics: Arc<Metrics>,
}

enum Message {
    Look(Job),
    End,
}

impl Responses {
    /// Starts the thread. Without it all is looked at where it ends.
    pub(crate) fn start(metrics: Arc<Metrics>) -> Self {
        let room = Shares::new(RESPONSES_BYTES_MAX, RESPONSES_BYTES_PER_SOURCE_MAX);
        Self::with_room(metrics, room)
    }

    pub(crate) fn with_room(metrics: Arc<Metrics>, room: Arc<Shares>) -> Self {
        let (queue, waiting) = channel();
        let thread = std::thread::Builder::new()
            .name("responses".to_owned())
            .spawn(move || work(&waiting))
            .inspect_err(|error| tracing::error!(%error, "workers look at all responses"))
            .ok();
        let hurried = AtomicBool::new(false);
        Self { room, queue, thread: Mutex::new(thread), hurried, metrics }
    }

    /// Room for so many bytes of a response to this client, if there is.
    pub(crate) fn take(&self, client: IpAddr, bytes: usize) -> Option<Share> {
        self.room.take(client, bytes).ok()
    }

    /// Whether there is no time left to look.
    pub(crate) fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Acquire)
    }

    /// This was found in one response.
    pub(crate) fn count(&self, found: &ResponseWaf) {
        self.metrics.rule_hits.count(&found.rules);
        self.metrics.response_looked_at(found.health, found.finding);
    }

    /// Has a body of so many bytes looked at, now or soon.
    pub(crate) fn look(&self, bytes: usize, job: impl FnOnce() + Send + 'static) {
        if bytes <= AT_ONCE_BYTES_MAX {
            return job();
        }
        if let Err(unsent) = self.queue.send(Message::Look(Box::new(job)))
            && let Message::Look(job) = unsent.0
        {
            job();
        }
    }

    /// Looks at what waits, as long as there is `patience`, and ends; of the rest the completions
    /// say that nobody looked. What comes later is looked at where it ends.
    pub(crate) fn end(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let _ = self.queue.send(Message::End);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(POLL);
        }
        if !thread.is_finished() {
            tracing::warn!("the responses that wait still are not looked at");
            self.hurried.store(true, Ordering::Release);
        }
        if thread.join().is_err() {
            tracing::error!("the thread that looks at responses did not end as it should");
        }
    }
}

fn work(waiting: &Receiver<Message>) {
    while let Ok(Message::Look(job)) = waiting.recv() {
        // A rule that panics is the loss of what one response shows; its request is abandoned, and
        // this thread goes on with the next.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("what rules found in a response is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn long_ones_are_looked_at_elsewhere_and_none_is_left() {
        let responses = Responses::start(Arc::default());
        let (told, looked) = mpsc::channel();
        let here = thread::current().id();
        let check = |bytes: usize, want_here: bool| {
            let told = told.clone();
            responses.look(bytes, move || told.send(thread::current().id()).unwrap());
            assert_eq!(looked.recv().unwrap() == here, want_here, "{bytes}");
        };
        check(0, true);
        check(AT_ONCE_BYTES_MAX, true);
        check(AT_ONCE_BYTES_MAX + 1, false);
        for _ in 0..100 {
            let told = told.clone();
            responses.look(usize::MAX, move || told.send(thread::current().id()).unwrap());
        }
        responses.end(Duration::MAX / 4);
        assert_eq!(looked.try_iter().count(), 100);
        check(usize::MAX, true);
    }

    #[test]
    fn who_is_out_of_patience_waits_for_what_runs_and_hurries_the_rest() {
        let responses = Arc::new(Responses::start(Arc::default()));
        let (told, looked) = mpsc::channel();
        let (go, waits) = mpsc::channel::<()>();
        responses.look(usize::MAX, move || waits.recv().unwrap());
        for _ in 0..3 {
            let (told, asked) = (told.clone(), Arc::clone(&responses));
            responses.look(usize::MAX, move || told.send(asked.is_hurried()).unwrap());
        }
        let ends = Arc::clone(&responses);
        let end = thread::spawn(move || ends.end(Duration::ZERO));
        while !responses.is_hurried() {
            thread::sleep(POLL);
        }
        go.send(()).unwrap();
        end.join().unwrap();
        assert_eq!(looked.try_iter().collect::<Vec<_>>(), [true; 3]);
    }
}
