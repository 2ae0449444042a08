//! Reading: from a connection's bytes to the [`Exchange`] that everything after derives from.
//!
//! Of HTTP/1, [`HeadReader`] stands between TLS and hyper and puts what each head says on a
//! [`HeadQueue`]; the service that hyper calls takes it from there as [`Raw`]. Of HTTP/2, a
//! [`Watch`] stands there, and the head is what the h2 crate accepted. What was refused takes the
//! same way as what was read, so that order, answer and event are those of any request.
//!
//! Deliberately absent: routes, answers and events. A refusal says why, and its caller shapes it.

mod alarm;
mod body;
mod queue;
mod reader;
mod record;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use signals::{Conn, Framing, Protocol, Request, Unreadable};
use tokio::time::Instant;

pub(crate) use self::alarm::Alarm;
pub use self::body::{
    Body, BodyError, BodyLimits, INSPECTED_BYTES_MAX, INSPECTED_BYTES_PER_SOURCE_MAX, PIECE_BYTES,
    RATE_GRACE,
};
pub use self::queue::{Head, HeadQueue, InFlight, Tally};
pub use self::reader::{HeadReader, LINGER, LINGER_BYTES_MAX};
pub use self::record::{Abandoned, PendingRecord};
pub use self::watch::{Closing, Taken, Watch, Watched};
use crate::protocol::{h1, h2};
use crate::shares::Shares;

/// What a peer may use of one connection. Each has a test at its edge.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of a head.
    pub head: h1::Limits,
    /// Time for a head, from its first byte.
    pub head_timeout: Duration,
    /// Time a connection may stay without a request, and time for the peer to take a piece of an
    /// answer.
    pub idle_timeout: Duration,
    /// Requests on one connection; the last one's answer closes it.
    pub requests: u32,
    /// Of a body.
    pub body: BodyLimits,
    /// Of HTTP/2.
    pub h2: h2::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: h1::Limits::default(),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            requests: 10_000,
            body: BodyLimits::default(),
            h2: h2::Limits::default(),
        }
    }
}

/// One request as it came off the connection: read, or refused.
#[derive(Debug)]
pub struct Raw {
    /// The canonical request, or why there is none.
    pub head: Result<Box<Request>, Rejected>,
    /// Whether it is known who asks: a proxy that is believed may have told it badly. Then `conn`
    /// is the connection with the proxy.
    pub client: Result<(), Unreadable>,
    /// The body. A refused request has none.
    pub body: Box<Body>,
    /// The connection, as it was when the head was whole, and who is at its other end.
    pub conn: Arc<Conn>,
    /// When the head was whole.
    pub started: Instant,
    /// The name of the listener.
    pub listener: Arc<str>,
    /// Its port.
    pub port: u16,
    /// Counts it until its record begins.
    pub record: PendingRecord,
}

/// A head that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub why: Unreadable,
    /// What may be recorded of the request line; see [`Rejected::new`].
    pub snippet: String,
}

/// One request and its body, read once. What is routed, decided, recorded and sent upstream all
/// derive from it.
#[derive(Debug)]
pub struct Exchange {
    /// The request.
    pub request: Box<Request>,
    /// Its body: what was inspected, then the rest.
    pub body: Box<Body>,
    /// The connection it came on.
    pub conn: Arc<Conn>,
}

impl Exchange {
    /// The client keeps its body back until it is sent `100 Continue` (RFC 9110 §10.1.1), which
    /// happens when the first piece of the body is asked for.
    pub fn awaits_continue(&self) -> bool {
        self.request.protocol == Protocol::Http11
            && !matches!(self.request.framing, Framing::None | Framing::Length(0))
            && self.request.headers.get("expect").is_some()
    }

    /// Reads the first `limit` bytes of the body into `request.inspected`; [`Exchange::body`]
    /// still gives the whole body. Of a client that awaits `100 Continue`, nothing is read before
    /// its request is decided. What is held takes so many bytes of the client's share of `room`,
    /// and [`PIECE_BYTES`] a piece, until it is given out.
    ///
    /// # Errors
    /// The body is malformed, too long, too slow, does not come by `deadline`, or there is no
    /// room for it.
    pub async fn inspect(
        &mut self,
        limit: usize,
        deadline: Instant,
        room: &Arc<Shares>,
    ) -> Result<(), BodyError> {
        let inspected = self.body.inspect(limit, self.conn.ip, room);
        let inspected = tokio::time::timeout_at(deadline, inspected).await;
        let inspected = inspected.map_err(|_| self.body.fail(BodyError::Stalled))?;
        self.request.inspected = inspected?;
        Ok(())
    }
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Bytes of a [`Rejected::snippet`], before escapes.
pub const SNIPPET_BYTES_MAX: usize = 256;

impl Rejected {
    /// Why `head` was refused. The snippet is its request line up to a query, with all but
    /// visible ASCII escaped; nothing if it does not begin like a request line, for then it might
    /// be part of a body or a field. User information in an absolute form is left out.
    pub fn new(why: Unreadable, head: &[u8]) -> Self {
        Self { why, snippet: snippet(head).unwrap_or_default().escape_ascii().to_string() }
    }
}

fn snippet(head: &[u8]) -> Option<&[u8]> {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let line = line.get(..SNIPPET_BYTES_MAX).unwrap_or(line);
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (method, target) = line.split_at_checked(space)?;
    let target = target.get(1..)?;
    let form =
        [&b"/"[..], b"http://", b"https://", b"*"].iter().any(|form| target.starts_with(form));
    if !form || method.is_empty() || !method.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    let secret = |at: &usize| {
        let rest = line.get(*at..).unwrap_or_default();
        matches!(rest, [b'?' | b'#' | b';', ..] | [b'%', b'3', b'f' | b'F' | b'b' | b'B', ..])
    };
    let end = (0..line.len()).find(secret).unwrap_or(line.len());
    let line = line.get(..end)?;
    if target.starts_with(b"http") && line.contains(&b'@') { Some(method) } else { Some(line) }
}
