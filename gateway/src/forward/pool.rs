//! The upstream connections of one worker.
//!
//! Each endpoint has its idle connections, taken last in, first out, so that surplus ones grow
//! old and are closed. A connection that is not idle beyond doubt is never kept: anything out of
//! the ordinary on it (a body cut short, a request not sent whole) closes it.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::endpoint::{Endpoint, Limits, Load};
use super::failure::{Failure, Fault, chain};
use super::upload::Upload;

/// How often connections that idled too long are closed.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// An answer's head, and what hyper reads ahead of a slow client, in bytes.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Fields of an answer's head, and of its trailers: as many as hyper has room for without asking
/// for memory.
const FIELDS_MAX: usize = 100;

/// One worker's idle connections. Cheap to clone; all clones are the same pools.
#[derive(Debug, Clone)]
pub struct Pools(Arc<Idles>);

#[derive(Debug, Default)]
struct Idles(Mutex<HashMap<u64, VecDeque<Idle>>>);

#[derive(Debug)]
struct Idle {
    wire: Wire,
    until: Instant,
}

impl Idles {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, VecDeque<Idle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sweep(&self, now: Instant) {
        self.lock().retain(|_, idles| {
            idles.retain(|idle| now < idle.until && !idle.wire.sender.is_closed());
            !idles.is_empty()
        });
    }
}

impl Pools {
    /// Empty pools, swept on the current runtime until the last clone is dropped.
    pub fn start() -> Self {
        let idles = Arc::new(Idles::default());
        tokio::spawn(sweep(Arc::downgrade(&idles)));
        Self(idles)
    }

    /// Connections that are idle now.
    pub fn idle(&self) -> usize {
        self.0.lock().values().map(VecDeque::len).sum()
    }

    /// Ends the task of every idle connection, unseen until it runs: as if the other end had
    /// closed it a moment ago.
    #[cfg(test)]
    pub(super) fn break_idle(&self) {
        for idle in self.0.lock().values().flatten() {
            idle.wire.task.abort();
        }
    }

    /// The youngest idle connection to the endpoint, if there is one that can be used.
    pub(super) fn reuse(&self, endpoint: &Arc<Endpoint>, limits: &Limits) -> Option<Lease> {
        let now = Instant::now();
        let mut pools = self.0.lock();
        let idles = pools.get_mut(&endpoint.id)?;
        while let Some(idle) = idles.pop_back() {
            if now < idle.until && idle.wire.sender.is_ready() {
                return Some(self.lend(idle.wire, Load::on(endpoint), true, limits));
            }
        }
        None
    }

    /// A new connection to the endpoint.
    pub(super) async fn open(
        &self,
        endpoint: &Arc<Endpoint>,
        limits: &Limits,
    ) -> Result<Lease, Fault> {
        let load = Load::on(endpoint);
        let fault = match tokio::time::timeout(limits.connect_timeout, Wire::open(endpoint)).await {
            Ok(Ok(wire)) => {
                endpoint.connected();
                return Ok(self.lend(wire, load, false, limits));
            }
            Ok(Err(error)) => Fault::new(Failure::Connect, format!("{}: {error}", endpoint.name())),
            Err(_) => Fault::new(Failure::ConnectTimeout, endpoint.name().to_string()),
        };
        if endpoint.failed(Instant::now(), limits) {
            tracing::warn!(endpoint = %endpoint.name(), %fault, "upstream endpoint left out");
        }
        Err(fault)
    }

    fn lend(&self, wire: Wire, load: Load, reused: bool, limits: &Limits) -> Lease {
        Lease {
            wire,
            load,
            reused,
            pools: self.clone(),
            keep_max: limits.pool_idle_max_per_worker,
            keep_for: limits.pool_idle_timeout,
        }
    }

    fn keep(&self, id: u64, idle: Idle, max: usize) {
        let mut pools = self.0.lock();
        let idles = pools.entry(id).or_default();
        idles.push_back(idle);
        while idles.len() > max {
            idles.pop_front();
        }
    }
}

async fn sweep(idles: Weak<Idles>) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = tick.tick().await;
        let Some(idles) = idles.upgrade() else {
            return;
        };
        idles.sweep(now);
    }
}

/// A connection; dropping it closes it.
#[derive(Debug)]
struct Wire {
    sender: SendRequest<Upload>,
    task: AbortHandle,
    address: SocketAddr,
}

impl Wire {
    async fn open(endpoint: &Endpoint) -> io::Result<Self> {
        let (tcp, address) = endpoint.connect().await?;
        let (sender, connection) = Builder::new()
            .max_buf_size(BUFFER_BYTES_MAX)
            .max_headers(FIELDS_MAX)
            .handshake::<_, Upload>(TokioIo::new(tcp))
            .await
            .map_err(io::Error::other)?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, error = %chain(&error), "upstream connection ended");
            }
        });
        Ok(Self { sender, task: task.abort_handle(), address })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection that serves one request. Dropping it closes the connection;
/// [`Lease::release`] keeps it.
#[derive(Debug)]
pub(super) struct Lease {
    wire: Wire,
    load: Load,
    reused: bool,
    pools: Pools,
    keep_max: usize,
    keep_for: Duration,
}

/// What hyper says of a request: the answer's head, or the error and, if not a byte of it was
/// written, the request.
pub(super) type Sent = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

impl Lease {
    /// Sends the request.
    pub(super) fn send(&mut self, request: Request<Upload>) -> impl Future<Output = Sent> + use<> {
        self.wire.sender.try_send_request(request)
    }

    /// The connection had been used before.
    pub(super) fn reused(&self) -> bool {
        self.reused
    }

    /// The endpoint it leads to.
    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        self.load.endpoint()
    }

    /// The address it leads to.
    pub(super) fn address(&self) -> SocketAddr {
        self.wire.address
    }

    /// Keeps the connection for the next request: this one and its answer are over.
    pub(super) fn release(self) {
        let Self { wire, load, pools, keep_max, keep_for, .. } = self;
        let until = Instant::now().checked_add(keep_for);
        let (Some(until), false) = (until, wire.sender.is_closed()) else {
            return;
        };
        pools.keep(load.endpoint().id, Idle { wire, until }, keep_max);
    }
}
