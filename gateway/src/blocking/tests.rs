//! Work that begins when a test says so: who has it begun, who waits, and who is not taken.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Waker};

use super::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

const LIMITS: Limits = Limits { threads: 2, threads_per_source: 1, work: 5, work_per_source: 3 };

/// Says who has begun, and goes on when it is let.
struct Gate {
    begun: Receiver<&'static str>,
    begin: Sender<&'static str>,
}

/// Lets one piece of work end.
struct Let(Sender<()>);

impl Gate {
    fn new() -> Self {
        let (begin, begun) = channel();
        Self { begun, begin }
    }

    fn work(&self, name: &'static str) -> (Let, impl FnOnce() -> &'static str + Send + 'static) {
        let (go, gone) = channel();
        let begin = self.begin.clone();
        let work = move || {
            begin.send(name).expect("a test");
            let _ = gone.recv();
            name
        };
        (Let(go), work)
    }

    fn next(&self) -> &'static str {
        self.begun.recv_timeout(std::time::Duration::from_secs(20)).expect("work that has begun")
    }
}

impl Let {
    fn go(self) {
        self.0.send(()).expect("work");
    }
}

fn on_a_worker(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(test());
}

/// Asked once, it is not there yet.
fn waits<F: Future>(work: &mut std::pin::Pin<&mut F>) -> bool {
    matches!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

fn count(blocking: &Blocking, word: &str) -> u64 {
    blocking.ended().find(|(known, _)| *known == word).expect("a word").1
}

#[test]
fn one_source_has_its_share_of_the_threads() {
    on_a_worker(async || {
        let (blocking, gate) = (Blocking::new(LIMITS), Gate::new());
        let ((one, first), (two, second)) = (gate.work("a1"), gate.work("a2"));
        let (three, other) = gate.work("b");
        let mut first = pin!(blocking.run(A, first));
        let mut second = pin!(blocking.run(A, second));
        let mut other = pin!(blocking.run(B, other));
        assert!(waits(&mut first) && waits(&mut second) && waits(&mut other));
        let mut begun = [gate.next(), gate.next()];
        begun.sort_unstable();
        assert_eq!(begun, ["a1", "b"], "a source's second piece waits, another's first does not");
        assert_eq!(blocking.held(), 3);
        three.go();
        assert_eq!(other.await, Ok("b"));
        assert!(waits(&mut second), "a thread is free, and it is not for this source");
        one.go();
        assert_eq!(first.await, Ok("a1"));
        two.go();
        assert_eq!(second.await, Ok("a2"));
        assert_eq!((gate.next(), count(&blocking, "done")), ("a2", 3));
        assert_eq!(blocking.sources.lock().expect("sources").len(), 2);
    });
}

#[test]
fn limits_at_their_edges() {
    on_a_worker(async || {
        let (blocking, gate) = (Blocking::new(LIMITS), Gate::new());
        let mut lets = Vec::new();
        let mut waiting = Vec::new();
        for (client, want) in [
            (A, None),
            (A, None),
            (A, None),
            (A, Some(Ended::ShareFull)),
            (B, None),
            (B, None),
            (B, Some(Ended::Full)),
        ] {
            let (go, work) = gate.work("work");
            let mut run = Box::pin(blocking.run(client, work));
            let asked = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            match (asked, want) {
                (Poll::Pending, None) => waiting.push(run),
                (Poll::Ready(Err(ended)), Some(want)) => assert_eq!(ended, want),
                (asked, want) => panic!("{asked:?} and not {want:?}"),
            }
            lets.push(go);
        }
        assert_eq!(blocking.held(), 5);
        drop(lets);
        for run in waiting {
            assert_eq!(run.await, Ok("work"));
        }
        assert_eq!(blocking.held(), 0);
        let ended: Vec<u64> = blocking.ended().map(|(_, count)| count).collect();
        assert_eq!(ended, [5, 1, 1, 0, 0]);
        // A source that has nothing here takes no room.
        assert!(blocking.run(A, || ()).await.is_ok());
        assert_eq!(blocking.sources.lock().expect("sources").len(), 1);
    });
}

#[test]
fn who_leaves_makes_room_and_work_that_has_begun_is_done() {
    on_a_worker(async || {
        let (blocking, gate) = (Blocking::new(LIMITS), Gate::new());
        let ((one, first), (_two, second)) = (gate.work("a1"), gate.work("a2"));
        {
            let mut first = pin!(blocking.run(A, first));
            let mut second = pin!(blocking.run(A, second));
            assert!(waits(&mut first) && waits(&mut second));
            assert_eq!((gate.next(), blocking.held()), ("a1", 2));
        }
        assert_eq!(blocking.held(), 1, "what has begun holds its place");
        assert_eq!(count(&blocking, "cancelled"), 2);
        one.go();
        // The thread is free again when it is done.
        assert_eq!(blocking.run(A, || "a3").await, Ok("a3"));
        assert!(gate.begun.try_recv().is_err(), "what had not begun never does");
        assert_eq!(blocking.held(), 0);
    });
}

#[test]
fn a_panic_is_that_works_alone() {
    on_a_worker(async || {
        let blocking = Blocking::new(Limits { threads: 1, ..LIMITS });
        let panics = || -> u8 { panic!("a test of a panic") };
        assert_eq!(blocking.run(A, panics).await, Err(Ended::Panicked));
        assert_eq!(blocking.run(A, || 1).await, Ok(1));
        assert_eq!((count(&blocking, "panicked"), count(&blocking, "done")), (1, 1));
        assert_eq!(blocking.held(), 0);
    });
}

#[test]
fn nobody_has_all_threads() {
    let limits = Limits::default();
    assert!(limits.threads >= 2 && limits.threads_per_source >= 1, "{limits:?}");
    assert!(limits.threads_per_source * 2 <= limits.threads, "{limits:?}");
    assert!(limits.work_per_source * 2 <= limits.work, "{limits:?}");
}
