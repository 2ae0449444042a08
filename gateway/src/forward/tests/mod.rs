//! Forwarding over real sockets: an origin that speaks raw bytes, an entry that remembers how it
//! was closed.

mod answers;
mod bodies;
mod heads;
mod pooling;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ledger::event::{Completion, Outcome};
use signals::{Conn, Framing, Identity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::*;
use crate::read::{Body, BodyLimits, Exchange};
use crate::trace::Trace;

/// Long enough that a loaded machine reaches it only if something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough for what must not happen to happen.
const MOMENT: Duration = Duration::from_millis(100);

const ID: Uuid = Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0001);

type Answered = Result<Response<Answer<Remembered>>, Failed<Remembered>>;

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it hangs")
}

/// An entry whose sync the test decides and whose ending it sees.
#[derive(Debug)]
struct Remembered {
    synced: watch::Receiver<Option<bool>>,
    endings: mpsc::UnboundedSender<Completion>,
}

impl Entry for Remembered {
    async fn synced(&mut self) -> bool {
        let told = self.synced.wait_for(Option::is_some).await;
        told.is_ok_and(|told| *told == Some(true))
    }

    fn close(self, completion: Completion) {
        let _ = self.endings.send(completion);
    }
}

/// A gateway's forwarding, with one upstream.
struct Rig {
    pools: Pools,
    upstream: Upstream,
    origin: crate::route::Origin,
    identity: Identity,
    trace: Trace,
    authorization: bool,
    sync: watch::Sender<Option<bool>>,
    endings: mpsc::UnboundedReceiver<Completion>,
    entry: Option<mpsc::UnboundedSender<Completion>>,
}

impl Rig {
    fn to(addresses: &[SocketAddr], limits: Limits) -> Self {
        let urls: Vec<_> = addresses.iter().map(|address| format!("http://{address}")).collect();
        let (entry, endings) = mpsc::unbounded_channel();
        Self {
            pools: Pools::start(),
            upstream: Upstream::new("orders", &urls, limits).expect("good urls"),
            origin: crate::route::Origin::default(),
            identity: Identity::anonymous(),
            trace: Trace::new(std::iter::empty(), [7; 24]),
            authorization: false,
            sync: watch::Sender::new(Some(true)),
            endings,
            entry: Some(entry),
        }
    }

    /// Forwards one request.
    async fn forward(&self, sending: Sending) -> Answered {
        self.forward_at_once(sending.exchange().await).await
    }

    /// Forwards an exchange: the connection is chosen when this is first polled.
    fn forward_at_once(&self, exchange: Exchange) -> impl Future<Output = Answered> + '_ {
        let onward = Onward {
            upstream: &self.upstream,
            origin: self.origin,
            identity: &self.identity,
            trace: &self.trace,
            authorization: self.authorization,
            started: Instant::now(),
        };
        let endings = self.entry.clone().expect("not yet ended");
        let entry = Remembered { synced: self.sync.subscribe(), endings };
        relay(&self.pools, exchange, ID, onward, entry, None)
    }

    /// The only completion there is, with what differs from run to run left out.
    async fn ending(&mut self) -> Completion {
        self.entry = None;
        let mut ending = soon(self.endings.recv()).await.expect("a completion");
        assert_eq!(soon(self.endings.recv()).await, None, "one completion");
        assert!(ending.ended_ms > 0 && ending.latency_us < 60_000_000);
        assert_eq!(&*ending.upstream.take().expect("an upstream").name, "orders");
        // what it says is the system's and hyper's to choose
        let fault = ending.fault.take();
        assert_eq!(fault.is_some(), ending.detail.is_some(), "{fault:?}");
        (ending.ended_ms, ending.latency_us) = (0, 0);
        ending
    }
}

fn ending(outcome: Outcome, status: Option<u16>, body_out_bytes: u64) -> Completion {
    Completion { status, body_out_bytes, ..Completion::new(outcome, 0) }
}

/// An upstream that speaks raw bytes.
struct Origin(TcpListener);

impl Origin {
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        (Self(listener), address)
    }

    async fn accept(&self) -> Wire {
        Wire(soon(self.0.accept()).await.expect("a connection").0)
    }
}

/// One connection at the origin.
struct Wire(TcpStream);

impl Wire {
    /// Everything up to and with `end`.
    async fn read_to(&mut self, end: &[u8]) -> String {
        let mut got = Vec::new();
        while !got.ends_with(end) {
            let byte = soon(self.0.read_u8()).await;
            got.push(byte.unwrap_or_else(|_| panic!("after {:?}", String::from_utf8_lossy(&got))));
        }
        String::from_utf8(got).expect("text")
    }

    async fn head(&mut self) -> String {
        self.read_to(b"\r\n\r\n").await
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.0.write_all(bytes.as_ref())).await.expect("written");
    }

    /// Everything until the gateway closed the connection, in whatever way.
    async fn rest(&mut self) -> Vec<u8> {
        let mut got = Vec::new();
        let _ = soon(self.0.read_to_end(&mut got)).await;
        got
    }
}

pub(super) fn request(
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    framing: Framing,
) -> signals::Request {
    let headers = fields
        .iter()
        .map(|(name, value)| signals::Header {
            name: name.parse().expect("a name"),
            value: value.parse().expect("a value"),
        })
        .collect();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    signals::Request {
        protocol: signals::Protocol::Http11,
        method: method.parse().expect("a method"),
        scheme: signals::Scheme::Https,
        host: signals::Host::parse(b"api.example.com").expect("a host").0,
        port: None,
        path: signals::Path::parse(path.as_bytes()).expect("a path"),
        query: query.map(|query| signals::Query::parse(query.as_bytes()).expect("a query")),
        headers: signals::Headers::new(headers).expect("good fields"),
        framing,
        inspected: signals::Inspected::default(),
    }
}

/// A request and the body that its client sends.
struct Sending {
    request: signals::Request,
    feed: Option<Feed>,
    limits: BodyLimits,
}

impl Sending {
    async fn exchange(self) -> Exchange {
        let conn = Conn { ip: [192, 0, 2, 7].into(), ..Conn::default() };
        let incoming = incoming(self.feed).await;
        let body = Body::new(incoming, self.limits);
        Exchange { request: Box::new(self.request), body: Box::new(body), conn: Arc::new(conn) }
    }
}

fn bodiless(request: signals::Request) -> Sending {
    Sending { request, feed: None, limits: BodyLimits::default() }
}

fn get(target: &str) -> Sending {
    bodiless(request("GET", target, &[], Framing::None))
}

fn post(framing: Framing, feed: Feed) -> Sending {
    let request = request("POST", "/orders", &[], framing);
    Sending { feed: Some(feed), ..bodiless(request) }
}

/// What a client does with its body.
#[derive(Debug)]
enum Piece {
    Data(Bytes),
    Trailers(&'static str),
    /// It hangs up.
    Cut,
}

/// A client's body, as the test feeds it; it ends when the feeder is dropped.
struct Feed {
    pieces: mpsc::Receiver<Piece>,
    /// Bytes that the gateway took off the client.
    taken: Arc<AtomicU64>,
}

type Feeder = mpsc::Sender<Piece>;

impl Feed {
    fn new() -> (Feeder, Self) {
        let (feeder, pieces) = mpsc::channel(1);
        (feeder, Self { pieces, taken: Arc::default() })
    }

    /// A body of these pieces, ready at once.
    fn of<const N: usize>(pieces: [Piece; N]) -> Self {
        let (feeder, ready) = mpsc::channel(N.max(1));
        for piece in pieces {
            feeder.try_send(piece).expect("room");
        }
        Self { pieces: ready, taken: Arc::default() }
    }

    /// Writes the pieces as a chunked body until the end, a cut, or the other side's leaving.
    async fn run(mut self, mut to: DuplexStream) -> std::io::Result<()> {
        let mut byte = [0];
        loop {
            let piece = tokio::select! {
                piece = self.pieces.recv() => piece,
                _ = to.read(&mut byte) => return Ok(()),
            };
            match piece {
                Some(Piece::Data(data)) => {
                    to.write_all(format!("{:x}\r\n", data.len()).as_bytes()).await?;
                    to.write_all(&data).await?;
                    to.write_all(b"\r\n").await?;
                    self.taken.fetch_add(data.len() as u64, Ordering::Relaxed);
                }
                Some(Piece::Trailers(fields)) => {
                    return to.write_all(format!("0\r\n{fields}\r\n").as_bytes()).await;
                }
                Some(Piece::Cut) => return Ok(()),
                None => return to.write_all(b"0\r\n\r\n").await,
            }
        }
    }
}

/// A body off a connection, as hyper reads it.
async fn incoming(feed: Option<Feed>) -> Incoming {
    let (ours, mut theirs) = tokio::io::duplex(16 * 1024);
    tokio::spawn(async move {
        let mut got = Vec::new();
        while !got.ends_with(b"\r\n\r\n") {
            got.push(theirs.read_u8().await?);
        }
        let Some(feed) = feed else {
            return theirs.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        };
        theirs.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
        feed.run(theirs).await
    });
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(ours)).await.expect("a connection");
    tokio::spawn(connection);
    let ask = Request::new(Empty::<Bytes>::new());
    sender.send_request(ask).await.expect("a response").into_body()
}

fn data(bytes: &'static str) -> Piece {
    Piece::Data(Bytes::from_static(bytes.as_bytes()))
}

/// The whole body of an answer.
async fn whole(response: Response<Answer<Remembered>>) -> Result<Bytes, Failure> {
    let collected = soon(response.into_body().collect()).await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|fault| fault.failure)
}

/// `name: value` of every field, sorted.
fn fields(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
        .collect();
    lines.sort();
    lines
}

fn failed(answered: Answered) -> Failed<Remembered> {
    answered.err().expect("a failure")
}
