//! What stands between clients and a door, and what is believed of it: a PROXY header, a field
//! that names the client, nothing. Each is believed from listed addresses only, and from these it
//! is demanded or read strictly.
//!
//! From every other address a PROXY header is not understood: it is no TLS and no request, and is
//! refused as such.

use std::io;
use std::net::{IpAddr, SocketAddr};

use signals::{Conn, Headers, Unreadable};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::network::Networks;
use crate::protocol::forwarded::{self, Client, Field};
use crate::protocol::proxy::{self, Header, Malformed, Step};

/// What is in front of a door. By default nothing: whoever connects is the client.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    /// Connections from these addresses begin with a PROXY header.
    pub proxy_protocol: Networks,
    /// Whose word on the client is believed, of those who connect or whom a PROXY header names.
    pub trusted: Option<Trusted>,
    /// Who may connect, if not everybody.
    pub only: Option<Networks>,
}

/// Proxies that are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Their addresses.
    pub from: Networks,
    /// The field that they append to.
    pub field: Field,
}

impl Edge {
    /// An address that may connect.
    pub(super) fn admits(&self, peer: IpAddr) -> bool {
        self.only.as_ref().is_none_or(|only| only.contain(peer))
    }

    /// The address of a proxy that names clients in a field.
    pub(super) fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.as_ref().is_some_and(|trusted| trusted.from.contain(ip))
    }

    /// What connects from there is a proxy, so that it is no source of its own.
    pub(super) fn speaks_for_many(&self, peer: IpAddr) -> bool {
        let listed = self.only.as_ref().is_some_and(|only| only.contain(peer));
        listed || self.trusts(peer) || self.proxy_protocol.contain(peer)
    }

    /// The client of a request on `conn`, where a proxy is believed to tell it.
    pub(super) fn client(
        &self,
        conn: &Conn,
        headers: &Headers,
    ) -> Result<Option<Client>, Unreadable> {
        let Some(Trusted { from, field }) = &self.trusted else { return Ok(None) };
        if !from.contain(conn.ip) {
            return Ok(None);
        }
        let peer = SocketAddr::new(conn.ip, conn.port);
        forwarded::client(*field, headers, peer, from).map(Some)
    }
}

/// Why there is no PROXY header.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// The peer left and had sent nothing.
    #[error("nothing came")]
    Left,
    /// The peer left in the middle.
    #[error("the PROXY header was cut off")]
    Cut,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the PROXY header, and no byte more.
pub(super) async fn header<IO: AsyncRead + Unpin>(io: &mut IO) -> Result<Header, HeaderError> {
    let mut input = Vec::new();
    loop {
        let needs = match proxy::read(&input)? {
            Step::Whole(header) => return Ok(header),
            Step::Needs(bytes) => bytes,
        };
        let mut next = (&mut *io).take(u64::try_from(needs).unwrap_or(u64::MAX));
        if next.read_buf(&mut input).await? == 0 {
            return Err(if input.is_empty() { HeaderError::Left } else { HeaderError::Cut });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proxy::V2_BYTES_MAX;

    /// The source, or what is wrong; and what is left on the connection.
    async fn check(sent: &[u8], want: &str, left: &[u8]) {
        for step in [1, 7, sent.len().max(1)] {
            let mut io = pieces(sent, step);
            let got = match header(&mut io).await {
                Ok(Header { source, .. }) => format!("{source:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, want, "{} by {step}", sent.escape_ascii());
            if got.starts_with(['S', 'N']) {
                let mut rest = Vec::new();
                io.read_to_end(&mut rest).await.expect("the rest");
                assert_eq!(rest, left, "{} by {step}", sent.escape_ascii());
            }
        }
    }

    /// Bytes that come so many at a time.
    fn pieces(bytes: &[u8], step: usize) -> impl AsyncRead + Unpin + use<> {
        struct Pieces(Vec<u8>, usize);
        impl AsyncRead for Pieces {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
                buf: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                let bytes = self.1.min(buf.remaining()).min(self.0.len());
                buf.put_slice(&self.0.drain(..bytes).collect::<Vec<_>>());
                std::task::Poll::Ready(Ok(()))
            }
        }
        Pieces(bytes.to_vec(), step)
    }

    #[tokio::test]
    async fn a_header_is_read_and_nothing_behind_it() {
        check(
            b"PROXY TCP4 192.0.2.1 198.51.100.2 51344 443\r\n\x16\x03",
            "Some(192.0.2.1:51344)",
            b"\x16\x03",
        )
        .await;
        check(b"PROXY UNKNOWN\r\nG", "None", b"G").await;
        check(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x02abc", "None", b"c").await;
        check(b"", "nothing came", b"").await;
        check(b"PROXY UNKNOWN\r", "the PROXY header was cut off", b"").await;
        check(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\x02a", "the PROXY header was cut off", b"").await;
        check(b"GET / HTTP/1.1\r\n\r\n", "there is no PROXY header", b"").await;
        let length = u16::try_from(V2_BYTES_MAX - 16).expect("a length");
        let long = |length: u16| {
            let fixed = [&b"\r\n\r\n\0\r\nQUIT\n\x20\0"[..], &length.to_be_bytes()].concat();
            [fixed, vec![0; usize::from(length)], b"G".to_vec()].concat()
        };
        check(&long(length), "None", b"G").await;
        check(&long(length + 1), "the PROXY header is too long", b"").await;
    }

    #[test]
    fn who_is_what() {
        let of = |text: &str| -> Networks {
            std::iter::once(crate::network::Network::parse(text).expect("a range")).collect()
        };
        let trusted = Some(Trusted { from: of("10.2.0.0/16"), field: Field::XForwardedFor });
        let edge = Edge { proxy_protocol: of("10.1.0.0/16"), trusted, only: None };
        let check = |edge: &Edge, ip: &str, want: (bool, bool, bool)| {
            let ip = ip.parse().expect("an address");
            assert_eq!((edge.admits(ip), edge.trusts(ip), edge.speaks_for_many(ip)), want, "{ip}");
        };
        check(&edge, "10.1.0.1", (true, false, true));
        check(&edge, "10.2.0.1", (true, true, true));
        check(&edge, "10.3.0.1", (true, false, false));
        let only = Edge { only: Some(of("10.3.0.0/16")), ..Edge::default() };
        check(&only, "10.3.0.1", (true, false, true));
        check(&only, "::ffff:10.3.0.1", (true, false, true));
        check(&only, "10.4.0.1", (false, false, false));
        check(&only, "127.0.0.1", (false, false, false));
    }
}
