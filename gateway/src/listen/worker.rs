//! One worker: a thread, a current-thread runtime, its share of every door, its handler.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use signals::{Conn, Scheme};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::door::{Common, Share};
use super::{ConnectionSummary, Handler, Stage, h1, h2, tls};
use crate::read::{Abandoned, Tally, now_ms};

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

/// A connection whose handshake is done.
pub(super) struct Connection<H> {
    pub(super) common: Arc<Common>,
    pub(super) handler: Rc<H>,
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) conn: Conn,
    pub(super) abandoned: Abandoned,
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
    let began_ms = now_ms();
    let conn = Conn { ip: peer.ip().to_canonical(), port: peer.port(), ..Conn::default() };
    let (source, abandoned) = (conn.ip, Abandoned::default());
    let connection = Connection {
        common,
        handler: Rc::clone(&handler),
        stage,
        conn,
        abandoned: abandoned.clone(),
    };
    let refused = secured(connection, stream).await;
    let ended_ms = now_ms();
    let abandoned = abandoned.count();
    let summary = ConnectionSummary { source, began_ms, ended_ms, refused, abandoned };
    if !summary.is_empty() {
        handler.ended(summary).await;
    }
}

/// The handshake, if there is one, and what follows. Gives what was refused before there was a
/// request.
async fn secured<H: Handler>(
    mut connection: Connection<H>,
    stream: TcpStream,
) -> Vec<(&'static str, u64)> {
    let common = Arc::clone(&connection.common);
    let Some(tls) = &common.tls else {
        h1::serve(&connection, Scheme::Http, stream).await;
        return Vec::new();
    };
    let handshake = TlsAcceptor::from(tls.load_full()).accept(stream);
    let failure = match tokio::time::timeout(common.handshake_timeout, handshake).await {
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
