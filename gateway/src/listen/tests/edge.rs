//! What stands before a door: PROXY headers, fields that name clients, and who may connect at all.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use super::sockets::{connect_to, options, stop};
use super::*;
use crate::listen::{ConnectionSummary, Door, DoorOptions, Edge, Trusted, Workers, serve};
use crate::network::{Network, Networks};
use crate::protocol::forwarded::Field;

/// Says who is at the other end, and who is between.
struct Teller(mpsc::Sender<Vec<(&'static str, u64)>>);

impl Handler for Teller {
    type Body = Full<Bytes>;

    async fn handle(&self, raw: Raw) -> Response<Full<Bytes>> {
        raw.record.begin();
        let Conn { ip, port, proxies, .. } = &*raw.conn;
        let told = raw.head.err().map(|rejected| rejected.why).or(raw.client.err());
        let text = match told {
            None => format!("{ip} {} {proxies:?}", if *port == 0 { 0 } else { 1 }),
            Some(why) => why.code().to_owned(),
        };
        let body = Full::new(Bytes::from(text));
        Response::builder().header("connection", "close").body(body).expect("an answer")
    }

    async fn ended(&self, summary: ConnectionSummary) {
        let _ = self.0.send(summary.refused);
    }
}

struct Rig {
    address: SocketAddr,
    workers: Workers,
    refused: mpsc::Receiver<Vec<(&'static str, u64)>>,
    tally: Arc<Tally>,
}

fn ranges(text: &str) -> Networks {
    std::iter::once(Network::parse(text).expect("a range")).collect()
}

fn start(edge: Edge, change: impl FnOnce(&mut DoorOptions)) -> Rig {
    let mut options = DoorOptions { edge, ..options(None) };
    change(&mut options);
    let door = Door::bind(options, 1).expect("a free port");
    let (address, tally) = (door.address(), door.tally());
    let (sender, refused) = mpsc::channel();
    let workers = serve(vec![door], 1, move |_| Teller(sender.clone())).expect("threads");
    Rig { address, workers, refused, tally }
}

impl Rig {
    /// The answer to what is sent; empty if the connection was closed without one.
    fn ask(&self, sent: &[u8]) -> String {
        let mut io = connect_to(self.address);
        // It may be closed before all is sent.
        let _ = io.write_all(sent);
        read(io)
    }

    fn refused(&self) -> Vec<(&'static str, u64)> {
        self.refused.recv_timeout(Duration::from_secs(10)).expect("a summary")
    }
}

fn read(mut io: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = io.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const PROXY: &[u8] = b"PROXY TCP4 203.0.113.7 198.51.100.2 51344 443\r\n";

fn proxied() -> Edge {
    Edge { proxy_protocol: ranges("127.0.0.0/8"), ..Edge::default() }
}

#[test]
fn a_proxy_header_names_the_client() {
    let rig = start(proxied(), |_| {});
    assert_eq!(rig.ask(&[PROXY, GET].concat()), "203.0.113.7 1 [127.0.0.1]");
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24";
    let client = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).octets();
    let v2 = [&v2[..], &client, &[0; 16], &[0xc8, 0x90, 1, 0xbb], GET].concat();
    assert_eq!(rig.ask(&v2), "2001:db8::7 1 [127.0.0.1]");
    assert_eq!(rig.ask(&[b"PROXY UNKNOWN\r\n", GET].concat()), "127.0.0.1 1 []");
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert_eq!(rig.ask(&[local, GET].concat()), "127.0.0.1 1 []");
    stop(rig.workers);
}

#[test]
fn a_proxy_that_does_not_name_it_is_refused() {
    let rig = start(proxied(), |options| options.handshake_timeout = Duration::from_millis(50));
    for (sent, finish) in [
        (GET, false),
        (b"PROXY TCP4 203.0.113.7 198.51.100.2 51344 443\n", false),
        (b"PROXY TCP4 203.0.113.7 198.51.", true),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8", false),
        (&[b'P'; 200], false),
    ] {
        let mut io = connect_to(rig.address);
        let _ = io.write_all(sent);
        if finish {
            io.shutdown(std::net::Shutdown::Write).expect("a socket");
        }
        assert_eq!(read(io), "", "{}", sent.escape_ascii());
        assert_eq!(rig.refused(), [("proxy_protocol", 1)], "{}", sent.escape_ascii());
    }
    for sent in [&b""[..], &PROXY[..PROXY.len() - 1]] {
        let mut io = connect_to(rig.address);
        io.write_all(sent).expect("sent");
        assert_eq!(read(io), "");
        assert_eq!(rig.refused(), [("proxy_protocol_timeout", 1)], "{}", sent.escape_ascii());
    }
    assert_eq!(rig.tally.handshakes_failed.load(Ordering::Relaxed), 7);
    drop(connect_to(rig.address));
    assert_eq!(rig.ask(&[PROXY, GET].concat()), "203.0.113.7 1 [127.0.0.1]");
    assert!(rig.refused.try_recv().is_err(), "a look whether the port is open is no event");
    stop(rig.workers);
}

#[test]
fn a_proxy_header_from_elsewhere_is_no_request() {
    let edge = Edge { proxy_protocol: ranges("192.0.2.0/24"), ..Edge::default() };
    let rig = start(edge, |_| {});
    assert_eq!(rig.ask(&[PROXY, GET].concat()), "bad_request_line");
    assert_eq!(rig.ask(GET), "127.0.0.1 1 []");
    stop(rig.workers);
}

#[test]
fn who_is_behind_a_proxy_is_a_source_and_the_proxy_is_none() {
    let rig = start(proxied(), |options| options.connections_per_source = 1);
    let open = |from: &str| {
        let mut io = connect_to(rig.address);
        let header = format!("PROXY TCP4 {from} 198.51.100.2 51344 443\r\n");
        io.write_all(header.as_bytes()).expect("sent");
        io
    };
    let other = {
        let mut io = open("203.0.113.8");
        io.write_all(GET).expect("sent");
        read(io)
    };
    assert_eq!(other, "203.0.113.8 1 [127.0.0.1]");
    let first = open("203.0.113.7");
    let mut asked = false;
    while !asked {
        // Refused once the first one's header was read.
        let mut io = open("203.0.113.7");
        let _ = io.write_all(GET);
        asked = read(io).is_empty();
    }
    assert!(rig.tally.connections_refused.load(Ordering::Relaxed) >= 1);
    drop(first);
    stop(rig.workers);
}

#[test]
fn a_trusted_proxy_names_the_client() {
    let trusted = Trusted { from: ranges("127.0.0.0/8"), field: Field::XForwardedFor };
    let edge = Edge { trusted: Some(trusted), ..Edge::default() };
    let rig = start(edge, |options| options.connections_per_source = 1);
    let check = |fields: &str, want: &str| {
        let request = format!("GET /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(rig.ask(request.as_bytes()), want, "{fields}");
    };
    let idle = (connect_to(rig.address), connect_to(rig.address));
    check("", "127.0.0.1 1 []");
    check("X-Forwarded-For: 1.1.1.1, 203.0.113.7\r\n", "203.0.113.7 0 [127.0.0.1]");
    check("X-Forwarded-For: 203.0.113.7, 127.0.0.2\r\n", "203.0.113.7 0 [127.0.0.2, 127.0.0.1]");
    check("Forwarded: for=203.0.113.7\r\n", "127.0.0.1 1 []");
    check("X-Forwarded-For: unknown\r\n", "bad_forwarded");
    check(&format!("X-Forwarded-For: {}1.1.1.1\r\n", "1.1.1.1,".repeat(32)), "too_many_hops");
    drop(idle);
    stop(rig.workers);
}

#[test]
fn whom_a_header_names_may_be_a_trusted_proxy() {
    let trusted = Trusted { from: ranges("203.0.113.0/24"), field: Field::Forwarded };
    let rig = start(Edge { trusted: Some(trusted), ..proxied() }, |_| {});
    let get = b"GET /a HTTP/1.1\r\nHost: a\r\nForwarded: for=\"[2001:db8::7]\"\r\n\r\n";
    let told = "2001:db8::7 0 [203.0.113.7, 127.0.0.1]";
    assert_eq!(rig.ask(&[PROXY, get].concat()), told);
    let untrusted = b"PROXY TCP4 198.51.100.9 198.51.100.2 51344 443\r\n";
    assert_eq!(rig.ask(&[untrusted, &get[..]].concat()), "198.51.100.9 1 [127.0.0.1]");
    stop(rig.workers);
}

#[test]
fn who_may_not_connect_is_refused() {
    let rig = start(Edge { only: Some(ranges("192.0.2.0/24")), ..Edge::default() }, |_| {});
    assert_eq!(rig.ask(GET), "");
    assert_eq!(rig.refused(), [("source_not_listed", 1)]);
    assert_eq!(rig.tally.connections_refused.load(Ordering::Relaxed), 1);
    stop(rig.workers);
    let rig = start(Edge { only: Some(ranges("127.0.0.1/32")), ..Edge::default() }, |_| {});
    assert_eq!(rig.ask(GET), "127.0.0.1 1 []");
    stop(rig.workers);
}
