//! The one outgoing HTTP client for issuers, with its guard: one GET, no redirects, no proxy, a
//! deadline for the whole, a limit on the body, and an address that was checked *after* the name
//! was resolved and is the one connected to (so a name cannot be rebound in between).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time,
};
use tokio_rustls::TlsConnector;

/// Bytes of a discovery document or key set, at most.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// Time for the whole of one fetch: resolve, connect, handshake, head and body.
const DEADLINE: Duration = Duration::from_secs(5);

/// Time for a connection to one of a name's addresses, so that a dead one leaves time for the next.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// Where the gateway may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guard {
    /// Loopback, private and other addresses that are not globally reachable may be connected to;
    /// never those where no issuer can be, link-local ones and those of instance metadata.
    pub allow_private_addresses: bool,
    /// `http` may be used: for development on one machine.
    pub allow_plain_http: bool,
    /// Trust anchors in PEM; the system's if `None`.
    pub trust_anchors_pem: Option<Vec<u8>>,
}

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum FetchError {
    #[error("`{0}` is no absolute URL, or has a user in it")]
    Url(String),
    #[error("`{0}` is not `https`")]
    PlainHttp(String),
    #[error(
        "`{host}` resolves to `{address}`, which is not a public address: an issuer that is there needs `allow_private_addresses: true`"
    )]
    PrivateAddress { host: String, address: IpAddr },
    #[error("`{host}` resolves to `{address}`, where no issuer can be")]
    NobodysAddress { host: String, address: IpAddr },
    #[error("`{0}` does not resolve")]
    Unresolved(String),
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    #[error("connection to `{host}` failed")]
    Connect { host: String, source: std::io::Error },
    #[error("`{0}` is no name a certificate can have")]
    ServerName(String),
    #[error("http exchange failed")]
    Http(#[from] hyper::Error),
    #[error("status {0}")]
    Status(StatusCode),
    #[error("body could not be read, or is longer than {BODY_BYTES_MAX} bytes")]
    Body,
    #[error("trust anchors: {0}")]
    Trust(String),
}

/// A client bound to one issuer's guard.
#[derive(Clone)]
pub(crate) struct Fetcher {
    guard: Guard,
    tls: TlsConnector,
    deadline: Duration,
}

impl Fetcher {
    pub(crate) fn new(guard: Guard) -> Result<Self, FetchError> {
        let roots = match &guard.trust_anchors_pem {
            Some(pem) => anchors(pem)?,
            None => system_anchors(),
        };
        if roots.is_empty() && !guard.allow_plain_http {
            return Err(FetchError::Trust("the system has none".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FetchError::Trust(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { guard, tls: TlsConnector::from(Arc::new(tls)), deadline: DEADLINE })
    }

    /// The body of a 200 answer to a GET of `url`.
    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let fetched = time::timeout(self.deadline, self.get_unbounded(url)).await;
        fetched.map_err(|_| FetchError::Deadline(self.deadline))?
    }

    async fn get_unbounded(&self, url: &str) -> Result<Bytes, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::Url(url.to_owned()))?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or_else(|| FetchError::Url(url.to_owned()))?;
        let host = authority.host().to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.guard.allow_plain_http => false,
            _ => return Err(FetchError::PlainHttp(url.to_owned())),
        };
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let stream = self.connect(&host, port).await?;
        if !tls {
            return exchange(stream, &uri).await;
        }
        let name = ServerName::try_from(bare(&host).to_owned())
            .map_err(|_| FetchError::ServerName(host.clone()))?;
        let stream = self.tls.connect(name, stream).await;
        exchange(stream.map_err(|source| FetchError::Connect { host, source })?, &uri).await
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((bare(host), port))
            .await
            .map_err(|_| FetchError::Unresolved(host.to_owned()))?
            .collect();
        // One such address among others is refused whole: which one is used must not depend on
        // the order of an answer that somebody else wrote.
        for address in found.iter().map(SocketAddr::ip) {
            let host = || host.to_owned();
            match reach(address) {
                Reach::Public => {}
                Reach::Private if self.guard.allow_private_addresses => {}
                Reach::Private => {
                    return Err(FetchError::PrivateAddress { host: host(), address });
                }
                Reach::Nobody => return Err(FetchError::NobodysAddress { host: host(), address }),
            }
        }
        let mut last = None;
        for address in found {
            match time::timeout(CONNECT_DEADLINE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = Some(error),
                Err(late) => last = Some(late.into()),
            }
        }
        Err(match last {
            Some(source) => FetchError::Connect { host: host.to_owned(), source },
            None => FetchError::Unresolved(host.to_owned()),
        })
    }
}

async fn exchange<S>(stream: S, uri: &Uri) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::get(target)
        .header(http::header::HOST, uri.authority().map_or("", http::uri::Authority::as_str))
        .header(http::header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::Url(uri.to_string()))?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await;
        Ok(body.map_err(|_| FetchError::Body)?.to_bytes())
    };
    tokio::pin!(connection, answer);
    // The connection has no task of its own, so that giving up closes it. How it ended is known
    // to whoever waits for the answer.
    tokio::select! {
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
}

/// The host without the brackets of an IPv6 literal.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn anchors(pem: &[u8]) -> Result<RootCertStore, FetchError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| FetchError::Trust(error.to_string()))?;
        roots.add(certificate).map_err(|error| FetchError::Trust(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(FetchError::Trust("no certificate in the file".to_owned()));
    }
    Ok(roots)
}

fn system_anchors() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Whom a connection to an address may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// It is globally reachable by the IANA special-purpose registries (RFC 6890).
    Public,
    /// Somebody here: an issuer, if the operator says so.
    Private,
    /// Nobody who could be an issuer, or whoever gives this machine its credentials.
    Nobody,
}

/// Where clouds have an instance's metadata and credentials beside link-local addresses: Alibaba,
/// Azure, AWS twice, Google, Oracle.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        address if METADATA.contains(&address) => Reach::Nobody,
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

fn reach_v4(v4: Ipv4Addr) -> Reach {
    let [a, b, c, _] = v4.octets();
    if a == 0 || a >= 240 || v4.is_link_local() || v4.is_multicast() {
        return Reach::Nobody;
    }
    let private = v4.is_loopback()
        || v4.is_private()
        || v4.is_documentation()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    if private { Reach::Private } else { Reach::Public }
}

/// Only 2000::/3 is allocated for global unicast; of it, some are not reachable. An address of a
/// translator (RFC 6052) reaches whom the IPv4 address in it does.
fn reach_v6(v6: Ipv6Addr) -> Reach {
    let segments = v6.segments();
    let [a, b, ..] = segments;
    match segments {
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            let v4 = Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
            reach(IpAddr::V4(v4)).max(Reach::Private)
        }
        // Of translators of one's own (RFC 8215), and what is no address of anybody's any more:
        // compatible with IPv4 (but the loopback address), translated (RFC 2765), 6to4, Teredo.
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Reach::Nobody,
        [0x0064, 0xff9b, 1, ..] | [0x2002, ..] | [0x2001, 0, ..] => Reach::Nobody,
        _ if v6.is_unicast_link_local() || v6.is_multicast() => Reach::Nobody,
        _ if (a & 0xe000) != 0x2000
            || (a == 0x2001 && (b < 0x0200 || b == 0x0db8))
            || (a == 0x3fff && b < 0x1000) =>
        {
            Reach::Private
        }
        _ => Reach::Public,
    }
}

#[cfg(test)]
mod tests;
