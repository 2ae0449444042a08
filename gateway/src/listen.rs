//! Listening: from sockets to [`Raw`] requests, on one current-thread runtime per worker.
//!
//! Every worker has its own socket for each door (SO_REUSEPORT) and its own handler; what is
//! shared is each door's count of connections. Over TLS the client chooses between HTTP/2 and
//! HTTP/1.1. What stands before a door may tell who the client is, if the door is told to believe
//! it. Stopping is graceful: no more is accepted, answers carry `Connection: close` and
//! HTTP/2 clients get a `GOAWAY`, and what is not over at the deadline is aborted.
//!
//! Deliberately absent: any knowledge of requests beyond handing them to the handler, and HTTP/2
//! without TLS.

mod connections;
mod door;
mod edge;
mod h1;
mod h2;
mod summary;
#[cfg(test)]
mod tests;
mod tls;
mod worker;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use http::Response;
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::connections::{Connections, Permit};
pub use self::door::{BindError, Door, DoorOptions};
pub use self::edge::{Edge, Trusted};
pub use self::summary::ConnectionSummary;
pub use self::tls::{Oldest, server_config};
use crate::read::Raw;

/// What answers requests, on one worker. It need not be `Send`; a closure will do.
pub trait Handler: 'static {
    /// The body of an answer.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static;

    /// Answers one request.
    fn handle(&self, raw: Raw) -> impl Future<Output = Response<Self::Body>>;

    /// The answer to a request whose handling panicked. Without one the stream is reset, or its
    /// connection closed.
    fn panicked(&self) -> Option<Response<Self::Body>> {
        None
    }

    /// A connection is over, and no record of a request tells all that came on it.
    fn ended(&self, summary: ConnectionSummary) -> impl Future<Output = ()> {
        tracing::debug!(?summary, "connection");
        std::future::ready(())
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<F, A, B> Handler for F
where
    F: Fn(Raw) -> A + 'static,
    A: Future<Output = Response<B>>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static,
{
    type Body = B;

    fn handle(&self, raw: Raw) -> impl Future<Output = Response<B>> {
        self(raw)
    }
}

/// How far the workers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Nothing is accepted; what is in flight has until then.
    Draining(Instant),
}

/// The running workers.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<io::Result<()>>>,
    stage: watch::Sender<Stage>,
}

/// Starts `workers` threads that serve `doors`. `make` is called on each, within its runtime,
/// with its number, and makes its handler.
///
/// # Errors
/// A thread could not be started.
pub fn serve<H: Handler>(
    doors: Vec<Door>,
    workers: usize,
    make: impl Fn(usize) -> H + Send + Sync + 'static,
) -> io::Result<Workers> {
    let (stage, seen) = watch::channel(Stage::Serving);
    let make = Arc::new(make);
    let mut shares: Vec<Vec<door::Share>> = Vec::new();
    shares.resize_with(workers, Vec::new);
    for door in doors {
        for (worker, share) in shares.iter_mut().zip(door.shares()) {
            worker.push(share);
        }
    }
    let mut threads = Vec::with_capacity(workers);
    for (number, shares) in shares.into_iter().enumerate() {
        let (make, seen) = (Arc::clone(&make), seen.clone());
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        threads.push(thread.spawn(move || worker::run(shares, seen, || make(number)))?);
    }
    Ok(Workers { threads, stage })
}

impl Workers {
    /// Accepts no more, and gives what is in flight until `deadline`.
    pub fn drain(&self, deadline: Instant) {
        self.stage.send_replace(Stage::Draining(deadline));
    }

    /// Waits until every worker has stopped, which they do after [`Workers::drain`].
    ///
    /// # Errors
    /// A worker's runtime or sockets failed, or it panicked.
    pub fn join(self) -> io::Result<()> {
        let mut outcome = Ok(());
        for thread in self.threads {
            let ended =
                thread.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked")));
            outcome = outcome.and(ended);
        }
        outcome
    }
}
