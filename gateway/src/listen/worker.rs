//! One worker: a thread, a current-thread runtime, its share of every door, its handler.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use signals::{Conn, Request, Scheme, Unreadable};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::LocalRuntime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::connections::Permit;
use super::door::{Common, Share};
use super::edge::{self, HeaderError};
use super::{ConnectionSummary, Handler, Stage, h1, h2, tls};
use crate::panics::caught_in;
use crate::protocol::forwarded::Client;
use crate::read::{Abandoned, Rejected, Tally, now_ms};

/// Time until accepting is tried again after the system had no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time that connections have beyond the deadline, to say what they came to.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves until everything is drained.
pub(super) fn run<H: Handler>(
    shares: Vec<Share>,
    stage: watch::Receiver<Stage>,
    make: impl FnOnce() -> H,
) -> io::Result<()> {
    let runtime = LocalRuntime::new()?;
    runtime.block_on(async move {
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
    })
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
        if !self.over(&mut open, deadline).await {
            tracing::warn!(listener = %self.common.name, connections = open.len(), "drain deadline: connections are cut off");
            // They end by themselves at the deadline.
            self.over(&mut open, deadline + LAST_WORDS).await;
        }
    }

    /// Waits for all that are open; false at the deadline.
    async fn over(&self, open: &mut JoinSet<()>, deadline: Instant) -> bool {
        let all = async {
            while let Some(ended) = open.join_next().await {
                self.ended(ended);
            }
        };
        tokio::time::timeout_at(deadline, all).await.is_ok()
    }

    fn admit(&self, open: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr) {
        let tally = &self.common.tally;
        Tally::count(&tally.connections);
        let source = Some(peer.ip()).filter(|ip| !self.common.edge.speaks_for_many(*ip));
        let Some(permit) = self.common.connections.admit(source) else {
            Tally::count(&tally.connections_refused);
            return;
        };
        let connection = Connection {
            common: Arc::clone(&self.common),
            handler: Rc::clone(&self.handler),
            stage: self.stage.clone(),
            conn: Conn { ip: peer.ip().to_canonical(), port: peer.port(), ..Conn::default() },
            abandoned: Abandoned::default(),
        };
        open.spawn_local(serve(connection, stream, permit));
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

/// A connection, and what is known of it so far.
pub(super) struct Connection<H> {
    pub(super) common: Arc<Common>,
    pub(super) handler: Rc<H>,
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) conn: Conn,
    pub(super) abandoned: Abandoned,
}

impl<H> Connection<H> {
    /// The connection as a request came on it, with its client at the other end; or that this is
    /// not known.
    pub(super) fn seen(
        &self,
        head: &Result<Box<Request>, Rejected>,
        received_ms: i64,
    ) -> (Arc<Conn>, Result<(), Unreadable>) {
        let mut conn = Conn { received_ms, ..self.conn.clone() };
        let told = head.as_ref().ok().map(|request| {
            let told = self.common.edge.client(&self.conn, &request.headers)?;
            if let Some(Client { address, proxies }) = told {
                (conn.ip, conn.port) = (address.ip(), address.port());
                conn.proxies.splice(..0, proxies);
            }
            Ok(())
        });
        (Arc::new(conn), told.unwrap_or(Ok(())))
    }
}

/// Returns when nothing new is to be begun.
pub(super) async fn draining(stage: &mut watch::Receiver<Stage>) {
    let _ = stage.wait_for(|stage| *stage != Stage::Serving).await;
}

/// Returns at the deadline for what is in flight.
pub(super) async fn drained(stage: &mut watch::Receiver<Stage>) {
    draining(stage).await;
    let deadline = match *stage.borrow() {
        Stage::Draining(deadline) => Some(deadline),
        Stage::Serving => None,
    };
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        // Nobody is there to say it.
        None => std::future::pending().await,
    }
}

/// What was refused before there was a request, by reason.
type Refusals = Vec<(&'static str, u64)>;

/// One connection, from its first byte to its end.
async fn serve<H: Handler>(
    mut connection: Connection<H>,
    mut stream: TcpStream,
    mut permit: Permit,
) {
    // Answers are written whole: waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let began_ms = now_ms();
    let deadline = Instant::now() + connection.common.handshake_timeout;
    let (handler, abandoned) = (Rc::clone(&connection.handler), connection.abandoned.clone());
    let arrived = arrived(&mut connection, &mut stream, &mut permit, deadline).await;
    let source = connection.conn.ip;
    let refused = match arrived {
        // Requests are told of also where the connection itself is an error of ours.
        Ok(()) => {
            caught_in(pin!(secured(connection, stream, deadline))).await.unwrap_or_else(|_| {
                tracing::error!("a connection panicked");
                Vec::new()
            })
        }
        Err(refused) => refused,
    };
    let ended_ms = now_ms();
    let (abandoned, panicked) = (abandoned.count(), abandoned.panicked());
    let summary = ConnectionSummary { source, began_ms, ended_ms, refused, abandoned, panicked };
    if !summary.is_empty() {
        handler.ended(summary).await;
    }
}

/// Who may connect does, and a proxy that must say who is behind it says so.
async fn arrived<H>(
    connection: &mut Connection<H>,
    stream: &mut TcpStream,
    permit: &mut Permit,
    deadline: Instant,
) -> Result<(), Refusals> {
    let Connection { common, conn, .. } = connection;
    let peer = conn.ip;
    if !common.edge.admits(peer) {
        Tally::count(&common.tally.connections_refused);
        return Err(vec![("source_not_listed", 1)]);
    }
    if !common.edge.proxy_protocol.contain(peer) {
        return Ok(());
    }
    let source = match tokio::time::timeout_at(deadline, edge::header(stream)).await {
        Ok(Ok(header)) => header.source,
        failed => {
            let reason = match failed {
                // A look whether the port is open, as load balancers have them.
                Ok(Err(HeaderError::Left)) => None,
                Ok(_) => Some("proxy_protocol"),
                Err(_) => Some("proxy_protocol_timeout"),
            };
            Tally::count(&common.tally.handshakes_failed);
            return Err(reason.map(|reason| (reason, 1)).into_iter().collect());
        }
    };
    let Some(source) = source else { return Ok(()) };
    (conn.ip, conn.port) = (source.ip(), source.port());
    conn.proxies.push(peer);
    if !common.edge.trusts(conn.ip) && !permit.is_from(conn.ip) {
        Tally::count(&common.tally.connections_refused);
        return Err(Vec::new());
    }
    Ok(())
}

/// The TLS handshake, if there is one, and what follows.
async fn secured<H: Handler>(
    mut connection: Connection<H>,
    stream: TcpStream,
    deadline: Instant,
) -> Refusals {
    let common = Arc::clone(&connection.common);
    let Some(tls) = &common.tls else {
        h1::serve(&connection, Scheme::Http, stream).await;
        return Vec::new();
    };
    let handshake = TlsAcceptor::from(tls.load_full()).accept(stream);
    let failure = match tokio::time::timeout_at(deadline, handshake).await {
        Ok(Ok(stream)) => {
            tls::describe(stream.get_ref().1, &mut connection.conn);
            if connection.conn.alpn == tls::H2 {
                return h2::serve(Rc::new(connection), stream).await;
            }
            h1::serve(&connection, Scheme::Https, stream).await;
            return Vec::new();
        }
        // rustls refused what came; otherwise the peer only left.
        Ok(Err(error)) => (error.kind() == io::ErrorKind::InvalidData).then_some("tls_handshake"),
        Err(_) => Some("tls_timeout"),
    };
    Tally::count(&common.tally.handshakes_failed);
    failure.map(|reason| (reason, 1)).into_iter().collect()
}
