//! A front door: an address, bound once and shared by all workers.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};

use super::connections::Connections;
use super::edge::Edge;
use crate::read::{Limits, Tally};

/// Connections that wait to be accepted, for each worker.
const BACKLOG: i32 = 1024;

/// What a door is.
#[derive(Debug, Clone)]
pub struct DoorOptions {
    /// Its name in logs and metrics.
    pub name: String,
    /// Where it listens; port 0 for any free one.
    pub address: SocketAddr,
    /// TLS, which may be swapped while it listens; `None` for plain HTTP.
    pub tls: Option<Arc<ArcSwap<ServerConfig>>>,
    /// What is in front of it.
    pub edge: Edge,
    /// What a connection may use.
    pub limits: Limits,
    /// Time for the PROXY header and the TLS handshake.
    pub handshake_timeout: Duration,
    /// Connections in all.
    pub connections: usize,
    /// Connections from one source address; IPv6 by /64.
    pub connections_per_source: usize,
}

/// An address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("listener `{name}` cannot listen on `{address}`")]
pub struct BindError {
    /// The listener.
    pub name: String,
    /// Where it was to listen.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// A bound front door.
#[derive(Debug)]
pub struct Door {
    sockets: Vec<TcpListener>,
    common: Arc<Common>,
    address: SocketAddr,
}

/// What the workers share of a door.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) name: Arc<str>,
    pub(super) port: u16,
    pub(super) tls: Option<Arc<ArcSwap<ServerConfig>>>,
    pub(super) edge: Edge,
    pub(super) limits: Limits,
    pub(super) handshake_timeout: Duration,
    pub(super) connections: Arc<Connections>,
    pub(super) tally: Arc<Tally>,
}

/// One worker's part of a door.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) socket: TcpListener,
    pub(super) common: Arc<Common>,
}

impl Door {
    /// Binds one socket for each of `workers`.
    ///
    /// # Errors
    /// The address is in use, also by another process that shares its own among workers, or it
    /// may not be bound.
    pub fn bind(options: DoorOptions, workers: usize) -> Result<Self, BindError> {
        let DoorOptions { name, address, tls, edge, limits, handshake_timeout, .. } = options;
        let (sockets, address) = match bind(address, workers) {
            Ok(bound) => bound,
            Err(source) => return Err(BindError { name, address, source }),
        };
        let connections = Connections::new(options.connections, options.connections_per_source);
        let common = Common {
            name: name.into(),
            port: address.port(),
            tls,
            edge,
            limits,
            handshake_timeout,
            connections: Arc::new(connections),
            tally: Arc::default(),
        };
        Ok(Self { sockets, common: Arc::new(common), address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has counted.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.common.tally)
    }

    /// Its open connections.
    pub fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.common.connections)
    }

    pub(super) fn shares(self) -> impl Iterator<Item = Share> {
        let common = self.common;
        self.sockets.into_iter().map(move |socket| Share { socket, common: Arc::clone(&common) })
    }
}

/// The first socket is bound alone, so that an address in use is seen; only then does it agree to
/// share the address, and the others join it.
fn bind(address: SocketAddr, workers: usize) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let first = socket(address)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    let bound = first.local_addr()?.as_socket().unwrap_or(address);
    let mut sockets = vec![first];
    for _ in 1..workers {
        let next = socket(bound)?;
        next.set_reuse_port(true)?;
        next.bind(&bound.into())?;
        sockets.push(next);
    }
    let listening = sockets.into_iter().map(|socket| {
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    });
    Ok((listening.collect::<io::Result<_>>()?, bound))
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without it a restart would wait for connections of the last run to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
