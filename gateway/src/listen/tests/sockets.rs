//! Doors and workers on loopback: binding, TLS, limits of connections, draining.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;
use crate::listen::{ConnectionSummary, Door, DoorOptions, Oldest, Workers, serve, server_config};
use crate::read::LINGER_BYTES_MAX;

pub(super) fn options(tls: Option<Arc<ArcSwap<ServerConfig>>>) -> DoorOptions {
    DoorOptions {
        name: "front".to_owned(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls,
        edge: Edge::default(),
        limits: Limits::default(),
        handshake_timeout: Duration::from_secs(10),
        connections: 1000,
        connections_per_source: 1000,
    }
}

fn start<H: Handler>(
    options: DoorOptions,
    workers: usize,
    make: impl Fn(usize) -> H + Send + Sync + 'static,
) -> (SocketAddr, Workers) {
    let door = Door::bind(options, workers).expect("a free port");
    (door.address(), serve(vec![door], workers, make).expect("threads"))
}

pub(super) fn stop(workers: Workers) {
    workers.drain(Instant::now() + Duration::from_secs(10));
    workers.join().expect("clean");
}

/// A handler that says what `tell` makes of the request, and closes.
fn teller(tell: impl Fn(&Raw) -> String + 'static) -> impl Handler<Body = Full<Bytes>> {
    move |raw: Raw| {
        let body = Full::new(Bytes::from(tell(&raw)));
        let answer = Response::builder().header("connection", "close").body(body);
        std::future::ready(answer.expect("an answer"))
    }
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

/// The body that one request is answered with.
fn ask(mut io: impl io::Read + io::Write) -> io::Result<String> {
    io.write_all(GET)?;
    let mut text = String::new();
    io.read_to_string(&mut text)?;
    Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

pub(super) fn connect_to(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("accepted");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    stream
}

struct Certified {
    chain: Vec<CertificateDer<'static>>,
    config: ServerConfig,
}

fn certified(oldest: Oldest) -> Certified {
    let made =
        rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let chain = vec![made.cert.der().clone()];
    let config = server_config(chain.clone(), key, oldest).expect("key and certificate agree");
    Certified { chain, config }
}

fn client(
    address: SocketAddr,
    roots: &[CertificateDer<'static>],
    version: &'static rustls::SupportedProtocolVersion,
    alpn: &[&[u8]],
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|alpn| alpn.to_vec()).collect();
    let name = ServerName::try_from("a.test").expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    StreamOwned::new(session, connect_to(address))
}

fn describe(raw: &Raw) -> String {
    let conn = &raw.conn;
    let Conn { tls, tls_version, cipher, sni, alpn, .. } = &**conn;
    let scheme = raw.head.as_ref().map(|request| request.scheme);
    let peer = conn.ip.is_loopback() && conn.port > 0 && conn.received_ms > 0;
    format!("{scheme:?} {tls} {tls_version} {cipher} {sni} {alpn} {peer} {}", raw.listener)
}

#[test]
fn what_is_known_of_a_connection() {
    let Certified { chain, config } = certified(Oldest::Tls12);
    let tls = Arc::new(ArcSwap::from_pointee(config));
    let (address, workers) = start(options(Some(tls)), 1, |_| teller(describe));
    let check = |version, alpn: &[&[u8]], want: &str| {
        assert_eq!(ask(client(address, &chain, version, alpn)).expect("an answer"), want);
    };
    check(
        &rustls::version::TLS13,
        &[b"http/1.1"],
        "Ok(Https) true TLSv1.3 TLS_AES_256_GCM_SHA384 a.test http/1.1 true front",
    );
    check(
        &rustls::version::TLS12,
        &[],
        "Ok(Https) true TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 a.test  true front",
    );
    stop(workers);
    let (address, workers) = start(options(None), 1, |_| teller(describe));
    assert_eq!(ask(connect_to(address)).expect("an answer"), "Ok(Http) false     true front");
    stop(workers);
}

/// Whether source and times are sound, what was refused by reason, how many were abandoned and
/// how many panicked.
type Ended = (bool, Vec<(&'static str, u64)>, u64, u64);

/// A handler that hands on what is said of connections that are over.
struct Told(mpsc::Sender<Ended>);

impl Handler for Told {
    type Body = Full<Bytes>;

    async fn handle(&self, raw: Raw) -> Response<Full<Bytes>> {
        let path = raw.head.as_ref().map(|request| request.path.as_str()).unwrap_or_default();
        if path.starts_with("/recorded") {
            raw.record.begin();
        }
        assert!(!path.ends_with("panic"), "as intended by this test");
        answer(200)
    }

    fn panicked(&self) -> Option<Response<Full<Bytes>>> {
        Some(answer(500))
    }

    async fn ended(&self, summary: ConnectionSummary) {
        let ConnectionSummary { source, began_ms, ended_ms, refused, abandoned, panicked } =
            summary;
        let sound = source.is_loopback() && 0 < began_ms && began_ms <= ended_ms;
        self.0.send((sound, refused, abandoned, panicked)).expect("the test listens");
    }
}

#[test]
fn what_no_record_tells_is_told_once_a_connection() {
    let Certified { chain, config } = certified(Oldest::Tls13);
    let tls = Arc::new(ArcSwap::from_pointee(config));
    let short = Duration::from_millis(100);
    let options = DoorOptions { handshake_timeout: short, ..options(Some(tls)) };
    let (tell, told) = mpsc::channel();
    let (address, workers) = start(options, 1, move |_| Told(tell.clone()));
    let tls13 = &rustls::version::TLS13;
    let check = |refused: &[(&'static str, u64)], abandoned: u64| {
        assert_eq!(told.recv().expect("told"), (true, refused.to_vec(), abandoned, 0));
    };
    // Nothing to tell: a peer that only connects, and a request that is recorded.
    drop(connect_to(address));
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let ask = |request: &[u8], alpn: &[u8]| {
        let mut io = client(address, &chain, tls13, &[alpn]);
        io.write_all(request).expect("sent");
        let _ = io.read_to_end(&mut Vec::new());
    };
    ask(get("/recorded").as_bytes(), b"http/1.1");
    // And what there is to tell.
    ask(get("/").as_bytes(), b"http/1.1");
    check(&[], 1);
    ask(&[b'x'; 24], b"h2");
    check(&[("protocol_error", 1)], 0);
    let mut plain = connect_to(address);
    plain.write_all(get("/").as_bytes()).expect("sent");
    check(&[("tls_handshake", 1)], 0);
    let silent = connect_to(address);
    check(&[("tls_timeout", 1)], 0);
    drop((plain, silent));
    stop(workers);
}

#[test]
fn a_panic_is_answered_and_told() {
    let (tell, told) = mpsc::channel();
    let (address, workers) = start(options(None), 1, move |_| Told(tell.clone()));
    for path in ["/panic", "/recorded-panic"] {
        let mut io = connect_to(address);
        // What follows on the connection is not answered.
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        io.write_all(request.repeat(2).as_bytes()).expect("sent");
        let mut text = String::new();
        io.read_to_string(&mut text).expect("an answer, and an end");
        assert!(text.starts_with("HTTP/1.1 500 "), "{text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
        assert!(text.contains("connection: close\r\n"), "{text}");
    }
    stop(workers);
    // The ledger has the other one.
    assert_eq!(told.iter().collect::<Vec<_>>(), [(true, Vec::new(), 0, 1)]);
}

#[test]
fn handshakes_that_fail_are_counted() {
    let Certified { chain, config } = certified(Oldest::Tls13);
    let tls = Arc::new(ArcSwap::from_pointee(config));
    let short = Duration::from_millis(30);
    let options = DoorOptions { handshake_timeout: short, ..options(Some(tls)) };
    let door = Door::bind(options, 1).expect("a free port");
    let (address, tally) = (door.address(), door.tally());
    let workers = serve(vec![door], 1, |_| teller(describe)).expect("threads");
    let old = client(address, &chain, &rustls::version::TLS12, &[]);
    ask(old).expect_err("an old version");
    let other = client(address, &chain, &rustls::version::TLS13, &[b"spdy/3"]);
    ask(other).expect_err("a protocol that is not spoken");
    let mut silent = connect_to(address);
    assert_eq!(silent.read(&mut [0]).expect("closed"), 0);
    stop(workers);
    assert_eq!(tally.handshakes_failed.load(Ordering::Relaxed), 3);
    assert_eq!(tally.connections.load(Ordering::Relaxed), 3);
}

#[test]
fn a_certificate_is_swapped_while_it_listens() {
    let (old, new) = (certified(Oldest::Tls13), certified(Oldest::Tls13));
    let tls = Arc::new(ArcSwap::from_pointee(old.config));
    let (address, workers) = start(options(Some(Arc::clone(&tls))), 1, |_| teller(describe));
    let trusts = |roots: &[CertificateDer<'static>]| {
        ask(client(address, roots, &rustls::version::TLS13, &[])).is_ok()
    };
    assert_eq!((trusts(&old.chain), trusts(&new.chain)), (true, false));
    tls.store(Arc::new(new.config));
    assert_eq!((trusts(&old.chain), trusts(&new.chain)), (false, true));
    stop(workers);
}

#[test]
fn an_address_in_use_is_seen() {
    for workers in [1, 2] {
        let first = Door::bind(options(None), workers).expect("a free port");
        let again = DoorOptions { address: first.address(), ..options(None) };
        let error = Door::bind(again, workers).expect_err("in use");
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        let want = format!("listener `front` cannot listen on `{}`", first.address());
        assert_eq!(error.to_string(), want);
    }
}

#[test]
fn every_worker_has_its_share() {
    let (address, running) = start(options(None), 2, |worker| teller(move |_| worker.to_string()));
    let answers = (0..64).map(|_| ask(connect_to(address)).expect("an answer"));
    let workers: BTreeSet<String> = answers.collect();
    assert_eq!(workers.into_iter().collect::<Vec<_>>(), ["0", "1"]);
    stop(running);
}

#[test]
fn a_source_with_too_many_connections() {
    let options = DoorOptions { connections_per_source: 2, ..options(None) };
    let door = Door::bind(options, 1).expect("a free port");
    let (address, tally) = (door.address(), door.tally());
    let workers = serve(vec![door], 1, |_| teller(describe)).expect("threads");
    let (first, second) = (connect_to(address), connect_to(address));
    let mut third = connect_to(address);
    assert_eq!(third.read(&mut [0]).unwrap_or(0), 0, "closed at once");
    ask(first).expect("an answer");
    // The first connection's place is free when the server has seen it close.
    while ask(connect_to(address)).unwrap_or_default().is_empty() {
        std::thread::yield_now();
    }
    assert!(tally.connections_refused.load(Ordering::Relaxed) >= 1);
    drop(second);
    stop(workers);
}

#[test]
fn a_client_may_go_on_sending_for_a_little_after_its_last_answer() {
    let (address, workers) = start(options(None), 1, |_| {
        teller(|raw| {
            raw.head.as_ref().map_or_else(|rejected| rejected.why.code(), |_| "read").to_owned()
        })
    });
    let mut io = connect_to(address);
    io.write_all(b"BAD\r\n\r\n").expect("sent");
    let mut text = String::new();
    io.read_to_string(&mut text).expect("an answer, and an end");
    assert!(text.ends_with("\r\n\r\nbad_request_line"), "{text}");
    for _ in 0..4 {
        io.write_all(&vec![b'a'; LINGER_BYTES_MAX / 8]).expect("taken, and thrown away");
    }
    drop(io);
    stop(workers);
}

#[test]
fn a_panic_ends_its_connection_alone() {
    let (address, workers) = start(options(None), 1, |_| {
        let first = std::cell::Cell::new(true);
        teller(move |_| {
            assert!(!first.take(), "as intended by this test");
            "fine".to_owned()
        })
    });
    assert_eq!(ask(connect_to(address)).unwrap_or_default(), "");
    assert_eq!(ask(connect_to(address)).expect("an answer"), "fine");
    stop(workers);
}

/// A handler that says when it was called, and answers when it is told to.
fn held(entered: mpsc::Sender<()>, release: Arc<Notify>) -> impl Handler<Body = Full<Bytes>> {
    move |_: Raw| {
        let (entered, release) = (entered.clone(), Arc::clone(&release));
        async move {
            entered.send(()).expect("the test waits");
            release.notified().await;
            answer(200)
        }
    }
}

fn start_held() -> (SocketAddr, Workers, mpsc::Receiver<()>, Arc<Notify>) {
    let (entered, seen) = mpsc::channel();
    let release = Arc::new(Notify::new());
    let held_by = Arc::clone(&release);
    let make = move |_| held(entered.clone(), Arc::clone(&held_by));
    let (address, workers) = start(options(None), 1, make);
    (address, workers, seen, release)
}

#[test]
fn a_drain_finishes_what_is_in_flight() {
    let (address, workers, entered, release) = start_held();
    let (mut idle, mut busy) = (connect_to(address), connect_to(address));
    busy.write_all(GET).expect("sent");
    entered.recv().expect("called");
    workers.drain(Instant::now() + Duration::from_secs(10));
    assert_eq!(idle.read(&mut [0]).expect("closed"), 0);
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    release.notify_one();
    let mut text = String::new();
    busy.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("connection: close\r\n"), "{text}");
    drop((idle, busy));
    workers.join().expect("clean");
}

#[test]
fn a_drain_has_a_deadline() {
    let (address, workers, entered, _release) = start_held();
    let mut busy = connect_to(address);
    busy.write_all(GET).expect("sent");
    entered.recv().expect("called");
    workers.drain(Instant::now() + Duration::from_millis(30));
    workers.join().expect("clean");
    let mut text = String::new();
    let _ = busy.read_to_string(&mut text);
    assert_eq!(text, "", "cut off");
}
