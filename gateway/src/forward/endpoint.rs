//! An upstream and its endpoints: where a request may go, how loaded each endpoint is and which
//! of them are out for a while.
//!
//! Load and health are shared by all workers, in atomics. There is no active probing: an
//! endpoint that refused [`Limits::eject_after`] connections in a row is left out for
//! [`Limits::eject_for`], then tried again by ordinary traffic. Upstreams speak HTTP/1.1 over
//! plain TCP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long a resolved host name is used before it is looked up again.
const RESOLVED_FOR: Duration = Duration::from_secs(5);

/// Addresses of one host name that are tried, in the resolver's order.
const ADDRESSES_MAX: usize = 8;

/// The limits of one upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Name lookup and TCP handshake together.
    pub connect_timeout: Duration,
    /// From the request's last byte to the answer's head.
    pub response_timeout: Duration,
    /// Between two pieces of a body, either way.
    pub idle_timeout: Duration,
    /// Idle connections each worker keeps to one endpoint.
    pub pool_idle_max_per_worker: usize,
    /// How long an idle connection is kept.
    pub pool_idle_timeout: Duration,
    /// Failed connects in a row after which an endpoint is left out.
    pub eject_after: u32,
    /// For how long it is left out.
    pub eject_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            pool_idle_max_per_worker: 64,
            pool_idle_timeout: Duration::from_secs(15),
            eject_after: 5,
            eject_for: Duration::from_secs(5),
        }
    }
}

/// Why an endpoint's address cannot be used. For the operator, at configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// It is not a URL.
    #[error("`{0}` is not a url of the form `http://host:port`")]
    NotAUrl(String),
    /// Only plain HTTP is spoken.
    #[error("`{0}` must begin with `http://`")]
    Scheme(String),
    /// An endpoint is a place, the path is the request's.
    #[error("`{0}` must not have a path, a query or user information")]
    NotAPlace(String),
    /// An upstream without endpoints.
    #[error("upstream `{0}` has no endpoint")]
    Empty(String),
}

/// One service behind the gateway: endpoints that answer alike.
#[derive(Debug)]
pub struct Upstream {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its limits.
    pub limits: Limits,
    endpoints: Box<[Arc<Endpoint>]>,
    turn: AtomicUsize,
}

impl Upstream {
    /// An upstream of at least one endpoint, each `http://host[:port]`.
    pub fn new(name: &str, urls: &[impl AsRef<str>], limits: Limits) -> Result<Self, BadEndpoint> {
        let endpoints = urls
            .iter()
            .map(|url| Endpoint::parse(url.as_ref()).map(Arc::new))
            .collect::<Result<Box<[_]>, _>>()?;
        if endpoints.is_empty() {
            return Err(BadEndpoint::Empty(name.to_owned()));
        }
        Ok(Self { name: Arc::from(name), limits, endpoints, turn: AtomicUsize::new(0) })
    }

    /// Its endpoints, in the configuration's order.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The less loaded of the next two endpoints in turn that are not left out; `None` if all
    /// are. `not` is the endpoint that has just failed this request.
    pub(super) fn choose(&self, now: Instant, not: Option<&Endpoint>) -> Option<&Arc<Endpoint>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.endpoints.len().max(1);
        let (before, after) = self.endpoints.split_at_checked(turn)?;
        let mut open = after
            .iter()
            .chain(before)
            .filter(|endpoint| not.is_none_or(|not| endpoint.id != not.id))
            .filter(|endpoint| endpoint.is_in(now));
        let first = open.next()?;
        Some(match open.next() {
            Some(second) if second.load() < first.load() => second,
            _ => first,
        })
    }
}

/// Where an endpoint is.
#[derive(Debug)]
enum Place {
    Fixed(SocketAddr),
    Named(String, u16),
}

/// One address of an upstream, with what all workers know of it.
pub struct Endpoint {
    /// Unique in the process: the key of each worker's idle connections.
    pub(super) id: u64,
    name: Arc<str>,
    place: Place,
    in_flight: AtomicUsize,
    failures: AtomicU32,
    born: Instant,
    out_until_ms: AtomicU64,
    resolved: Mutex<Option<(Instant, Arc<[SocketAddr]>)>>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({})", self.name)
    }
}

impl Endpoint {
    fn parse(url: &str) -> Result<Self, BadEndpoint> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let uri: Uri = url.parse().map_err(|_| BadEndpoint::NotAUrl(url.to_owned()))?;
        let (Some(authority), Some(scheme)) = (uri.authority(), uri.scheme()) else {
            return Err(BadEndpoint::NotAUrl(url.to_owned()));
        };
        if *scheme != Scheme::HTTP {
            return Err(BadEndpoint::Scheme(url.to_owned()));
        }
        if !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
            || authority.as_str().contains('@')
        {
            return Err(BadEndpoint::NotAPlace(url.to_owned()));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port().map_or(80, |port| port.as_u16());
        Ok(Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            name: Arc::from(authority.as_str()),
            place: match host.parse::<IpAddr>() {
                Ok(ip) => Place::Fixed(SocketAddr::new(ip, port)),
                Err(_) => Place::Named(host.to_owned(), port),
            },
            in_flight: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            born: Instant::now(),
            out_until_ms: AtomicU64::new(0),
            resolved: Mutex::new(None),
        })
    }

    /// `host[:port]` as configured: what events and metrics call it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Requests that are with it now, of all workers.
    pub fn load(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Not left out at `now`.
    pub fn is_in(&self, now: Instant) -> bool {
        self.age_ms(now) >= self.out_until_ms.load(Ordering::Relaxed)
    }

    /// A connect succeeded.
    pub(super) fn connected(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A connect failed at `now`; says whether the endpoint is left out from now on.
    pub(super) fn failed(&self, now: Instant, limits: &Limits) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures < limits.eject_after {
            return false;
        }
        let until = now.checked_add(limits.eject_for).unwrap_or(now);
        self.out_until_ms.store(self.age_ms(until), Ordering::Relaxed);
        true
    }

    /// Opens a connection, trying the host's addresses in the resolver's order. The caller limits
    /// the time.
    pub(super) async fn connect(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for &address in self.addresses(Instant::now()).await?.iter() {
            match TcpStream::connect(address).await {
                Ok(tcp) => {
                    tcp.set_nodelay(true)?;
                    return Ok((tcp, address));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The addresses to try, from the resolver if the last answer is older than
    /// [`RESOLVED_FOR`].
    async fn addresses(&self, now: Instant) -> io::Result<Arc<[SocketAddr]>> {
        let (host, port) = match &self.place {
            Place::Fixed(address) => return Ok(Arc::from([*address])),
            Place::Named(host, port) => (host.as_str(), *port),
        };
        if let Some((at, known)) = &*self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
            && now.saturating_duration_since(*at) < RESOLVED_FOR
        {
            return Ok(Arc::clone(known));
        }
        let found: Arc<[SocketAddr]> =
            tokio::net::lookup_host((host, port)).await?.take(ADDRESSES_MAX).collect();
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((now, Arc::clone(&found)));
        Ok(found)
    }

    fn age_ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }
}

/// One request that is with an endpoint; counted until dropped.
#[derive(Debug)]
pub(super) struct Load(Arc<Endpoint>);

impl Load {
    pub(super) fn on(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(urls: &[&str]) -> Upstream {
        Upstream::new("orders", urls, Limits::default()).expect("a good upstream")
    }

    #[test]
    fn urls() {
        fn check(url: &str, want: Result<&str, BadEndpoint>) {
            let got = Endpoint::parse(url).map(|endpoint| endpoint.name.to_string());
            assert_eq!(got, want.map(str::to_owned), "{url}");
        }
        let url = |url: &str| url.to_owned();
        check("http://127.0.0.1:8080", Ok("127.0.0.1:8080"));
        check("http://orders.internal/", Ok("orders.internal"));
        check("http://[::1]:80", Ok("[::1]:80"));
        check("orders:80", Err(BadEndpoint::NotAUrl(url("orders:80"))));
        check("ftp://orders", Err(BadEndpoint::Scheme(url("ftp://orders"))));
        check("http://orders/v1", Err(BadEndpoint::NotAPlace(url("http://orders/v1"))));
        check("http://orders?x", Err(BadEndpoint::NotAPlace(url("http://orders?x"))));
        check("http://a@orders", Err(BadEndpoint::NotAPlace(url("http://a@orders"))));
        check("https://orders", Err(BadEndpoint::Scheme(url("https://orders"))));
    }

    #[test]
    fn an_upstream_has_an_endpoint() {
        let none: &[&str] = &[];
        let got = Upstream::new("orders", none, Limits::default()).map(|_| ());
        assert_eq!(got, Err(BadEndpoint::Empty("orders".to_owned())));
    }

    #[test]
    fn the_less_loaded_of_two_is_chosen() {
        let upstream = upstream(&["http://a", "http://b"]);
        let busy = Load::on(&upstream.endpoints()[0]);
        for _ in 0..4 {
            let chosen = upstream.choose(Instant::now(), None).expect("one");
            assert_eq!(&**chosen.name(), "b");
        }
        drop(busy);
        let mut seen: Vec<_> = (0..2)
            .filter_map(|_| upstream.choose(Instant::now(), None))
            .map(|endpoint| endpoint.name().to_string())
            .collect();
        seen.sort();
        assert_eq!(seen, ["a", "b"], "equal loads take turns");
    }

    #[test]
    fn the_one_that_failed_is_not_chosen_again() {
        let upstream = upstream(&["http://a", "http://b"]);
        let failed = Arc::clone(&upstream.endpoints()[0]);
        for _ in 0..4 {
            let chosen = upstream.choose(Instant::now(), Some(&failed)).expect("one");
            assert_eq!(&**chosen.name(), "b");
        }
    }

    #[test]
    fn ejection_begins_at_the_limit_and_ends() {
        let upstream = upstream(&["http://a"]);
        let endpoint = &upstream.endpoints()[0];
        let limits =
            Limits { eject_after: 3, eject_for: Duration::from_secs(5), ..Limits::default() };
        let now = Instant::now();
        let failures: Vec<bool> = (0..3).map(|_| endpoint.failed(now, &limits)).collect();
        assert_eq!(failures, [false, false, true]);
        assert!(upstream.choose(now, None).is_none());
        assert!(upstream.choose(now + Duration::from_millis(4_990), None).is_none());
        let later = now + Duration::from_secs(5);
        assert!(upstream.choose(later, None).is_some(), "tried again after the back-off");
        assert!(endpoint.failed(later, &limits), "one more failure is enough");
        endpoint.connected();
        assert!(!endpoint.failed(later, &limits), "a connect clears the count");
    }
}
