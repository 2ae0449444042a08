//! Connections end to end: the table of attacks on framing, then limits, TLS and draining.

mod bodies;
mod edge;
mod framing;
mod h2;
mod limits;
mod sockets;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use signals::{Conn, Scheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;

use super::connections::Connections;
use super::door::Common;
use super::edge::Edge;
use super::{Handler, Stage, h1, worker};
use crate::read::{Abandoned, Limits, Raw, Tally};

/// What the handler saw, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Saw {
    /// A request and its whole body.
    Request(String),
    /// A request whose body did not come whole, and the code of why.
    Broken(&'static str),
    /// A refused head, and the code of why.
    Refused(&'static str),
}

type Log = Rc<RefCell<Vec<Saw>>>;

/// A handler that reads bodies whole and says what it saw.
fn recorder(log: Log) -> impl Handler<Body = Full<Bytes>> {
    move |raw: Raw| {
        let log = Rc::clone(&log);
        async move {
            let (saw, status) = match raw.head {
                Err(rejected) => (Saw::Refused(rejected.why.code()), rejected.why.status()),
                Ok(request) => match raw.body.collect().await {
                    Ok(_) => (Saw::Request(request.path.as_str().to_owned()), 200),
                    Err(error) => {
                        let why = error.unreadable();
                        (Saw::Broken(why.code()), why.status())
                    }
                },
            };
            log.borrow_mut().push(saw);
            answer(status)
        }
    }
}

fn answer(status: u16) -> Response<Full<Bytes>> {
    let body = Full::new(Bytes::from_static(b"body"));
    Response::builder().status(status).header("x-answer", "1").body(body).expect("an answer")
}

fn common(limits: Limits) -> Arc<Common> {
    Arc::new(Common {
        name: "test".into(),
        port: 443,
        tls: None,
        edge: Edge::default(),
        limits,
        handshake_timeout: Duration::from_secs(10),
        connections: Arc::new(Connections::new(10, 10)),
        tally: Arc::new(Tally::default()),
    })
}

/// One connection in memory: `handler` on one side, `client` on the other.
fn connect<H: Handler, T>(
    handler: H,
    common: &Arc<Common>,
    pipe_bytes: usize,
    client: impl AsyncFnOnce(DuplexStream) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (ours, theirs) = tokio::io::duplex(pipe_bytes);
        let (_stage, seen) = watch::channel(Stage::Serving);
        let connection = worker::Connection {
            common: Arc::clone(common),
            handler: Rc::new(handler),
            stage: seen,
            conn: Conn::default(),
            abandoned: Abandoned::default(),
        };
        let serving = h1::serve(&connection, Scheme::Https, theirs);
        let both = async { tokio::join!(serving, client(ours)).1 };
        tokio::time::timeout(Duration::from_secs(20), both).await.expect("no deadlock")
    })
}

/// What the server answered until it closed, or until the connection was closed after
/// `answers` of them.
#[derive(Debug)]
struct Answered {
    statuses: Vec<u16>,
    text: String,
    /// The server closed first.
    closed: bool,
}

/// Sends `raw`, `step` bytes at a time, and reads.
async fn exchange(io: DuplexStream, raw: &[u8], step: usize, answers: usize) -> Answered {
    let (mut from, mut to) = tokio::io::split(io);
    let send = async {
        for piece in raw.chunks(step) {
            // The server may have closed before the end.
            if to.write_all(piece).await.is_err() {
                break;
            }
        }
        to
    };
    let receive = async {
        let (mut got, mut buf) = (Vec::new(), [0; 4096]);
        loop {
            let read = from.read(&mut buf).await.unwrap_or(0);
            got.extend_from_slice(&buf[..read]);
            let text = String::from_utf8_lossy(&got);
            if read == 0 || (text.matches("x-answer").count() >= answers && text.ends_with("body"))
            {
                return (text.into_owned(), read == 0);
            }
        }
    };
    let (to, (mut text, mut closed)) = tokio::join!(send, receive);
    if !closed {
        // Whether it closes by itself now, or waits for another request: then it is told that
        // there is none.
        let mut rest = Vec::new();
        let soon = Duration::from_millis(20);
        closed = tokio::time::timeout(soon, from.read_to_end(&mut rest)).await.is_ok();
        let mut io = from.unsplit(to);
        if !closed {
            let _ = io.shutdown().await;
            let _ = io.read_to_end(&mut rest).await;
        }
        text.push_str(&String::from_utf8_lossy(&rest));
    }
    let statuses =
        text.split("HTTP/1.").skip(1).filter_map(|answer| answer.get(2..5)?.parse().ok());
    Answered { statuses: statuses.filter(|status| *status != 100).collect(), text, closed }
}
