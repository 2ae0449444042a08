//! One worker: a thread, a current-thread runtime, its share of every door, its handler.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use signals::{Conn, Scheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio_rustls::TlsAcceptor;

use super::door::{Common, Share};
use super::{Handler, Stage, tls};
use crate::read::{Body, HeadQueue, HeadReader, InFlight, Raw, Tally};

/// Time until accepting is tried again after the system had no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes that hyper buffers of a body.
const HYPER_BUFFER_BYTES: usize = 64 << 10;

/// Serves until everything is drained.
pub(super) fn run<H: Handler>(
    shares: Vec<Share>,
    stage: watch::Receiver<Stage>,
    make: impl FnOnce() -> H,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async move {
        let handler = Rc::new(make());
        let mut doors = JoinSet::new();
        for Share { socket, common } in shares {
            let socket = TcpListener::from_std(socket)?;
            let worker = Worker { common, handler: Rc::clone(&handler), stage: stage.clone() };
            doors.spawn_local(worker.serve(socket));
        }
        while let Some(ended) = doors.join_next().await {
            ended.map_err(io::Error::other)?;
        }
        Ok(())
    }))
}

struct Worker<H> {
    common: Arc<Common>,
    handler: Rc<H>,
    stage: watch::Receiver<Stage>,
}

impl<H: Handler> Worker<H> {
    /// Accepts until told to drain, then waits for what is open.
    async fn serve(self, socket: TcpListener) {
        let mut open = JoinSet::new();
        let mut stage = self.stage.clone();
        let deadline = loop {
            tokio::select! {
                biased;
                changed = stage.changed() => match (changed, *stage.borrow()) {
                    (Ok(()), Stage::Draining(deadline)) => break Some(deadline),
                    (Ok(()), Stage::Serving) => {}
                    (Err(_), _) => break None,
                },
                Some(ended) = open.join_next() => self.ended(ended),
                accepted = socket.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(&mut open, stream, peer),
                    Err(error) => self.pause(&error).await,
                },
            }
        };
        drop(socket);
        let Some(deadline) = deadline else { return };
        let all = async {
            while let Some(ended) = open.join_next().await {
                self.ended(ended);
            }
        };
        if tokio::time::timeout_at(deadline, all).await.is_err() {
            tracing::warn!(listener = %self.common.name, connections = open.len(), "drain deadline: connections are cut off");
        }
    }

    fn admit(&self, open: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr) {
        let tally = &self.common.tally;
        Tally::count(&tally.connections);
        let Some(permit) = self.common.connections.admit(peer.ip()) else {
            Tally::count(&tally.connections_refused);
            return;
        };
        let (common, handler) = (Arc::clone(&self.common), Rc::clone(&self.handler));
        let stage = self.stage.clone();
        open.spawn_local(async move {
            let _permit = permit;
            connection(common, handler, stage, stream, peer).await;
        });
    }

    /// No descriptor or memory for a connection: others must end first.
    async fn pause(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        tracing::error!(listener = %self.common.name, %error, "cannot accept");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    fn ended(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(listener = %self.common.name, "a connection's task panicked");
        }
    }
}

/// One connection, from its handshake to its end.
async fn connection<H: Handler>(
    common: Arc<Common>,
    handler: Rc<H>,
    stage: watch::Receiver<Stage>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    // Answers are written whole: waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let mut conn = Conn { ip: peer.ip().to_canonical(), port: peer.port(), ..Conn::default() };
    let Some(tls) = &common.tls else {
        return serve(common, handler, stage, conn, Scheme::Http, stream).await;
    };
    let handshake = TlsAcceptor::from(tls.load_full()).accept(stream);
    match tokio::time::timeout(common.handshake_timeout, handshake).await {
        Ok(Ok(stream)) => {
            tls::describe(stream.get_ref().1, &mut conn);
            serve(common, handler, stage, conn, Scheme::Https, stream).await;
        }
        Ok(Err(_)) | Err(_) => Tally::count(&common.tally.handshakes_failed),
    }
}

pub(super) async fn serve<H: Handler, IO: AsyncRead + AsyncWrite + Unpin>(
    common: Arc<Common>,
    handler: Rc<H>,
    mut stage: watch::Receiver<Stage>,
    conn: Conn,
    scheme: Scheme,
    io: IO,
) {
    let queue = HeadQueue::default();
    let tally = Arc::clone(&common.tally);
    let reader = HeadReader::new(io, scheme, common.limits, queue.clone(), tally);
    let service = service_fn(|request: Request<Incoming>| {
        answer(&common, &*handler, &queue, &conn, request.into_body())
    });
    let serving = http1::Builder::new()
        .half_close(false)
        .header_read_timeout(None)
        .max_buf_size(HYPER_BUFFER_BYTES)
        .serve_connection(TokioIo::new(reader), service);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        biased;
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
        ended = &mut serving => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(listener = %common.name, %error, "connection ended early");
    }
}

/// hyper called for a request that the head reader did not announce.
#[derive(Debug, thiserror::Error)]
#[error("no head was read for this request")]
struct Unannounced;

async fn answer<H: Handler>(
    common: &Common,
    handler: &H,
    queue: &HeadQueue,
    conn: &Conn,
    incoming: Incoming,
) -> Result<Response<Answering<H::Body>>, Unannounced> {
    let (head, in_flight) = queue.take().ok_or(Unannounced)?;
    Tally::count(&common.tally.heads_taken);
    let raw = Raw {
        head: head.read,
        body: Body::new(incoming, common.limits.body),
        conn: Arc::new(Conn { received_ms: head.received_ms, ..conn.clone() }),
        started: head.at,
        listener: Arc::clone(&common.name),
    };
    let mut response = handler.handle(raw).await.map(|body| Answering { body, in_flight });
    if queue.body_open() {
        // What is left of the body will not be read: the next request could not be found.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// An answer's body; the exchange lasts as long as it does.
struct Answering<B> {
    body: B,
    #[expect(dead_code, reason = "it acts when it is dropped")]
    in_flight: InFlight,
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Answering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
