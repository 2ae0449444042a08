//! A request's body: what was inspected, then the rest as it comes, then the trailers.
//!
//! It counts bytes and waits, and ends with an error where the client sends too much, too slowly
//! or not HTTP. Deliberately absent: hashing (the one who forwards does it) and decoding of
//! content.

use std::collections::VecDeque;
use std::future::Future as _;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use signals::{Header, Headers, Inspected, Unreadable};
use tokio::time::{Instant, Sleep};

use crate::protocol::chunked::{TRAILER_BYTES_MAX, TRAILERS_MAX};
use crate::shares::{Share, Shares};

/// Time before [`BodyLimits::bytes_per_s_min`] is asked for.
pub const RATE_GRACE: Duration = Duration::from_secs(10);

/// Bytes of all requests' bodies that are held to be inspected, of the process. Without it, every
/// stream of every connection could hold as much as its route inspects, and send no end.
pub const INSPECTED_BYTES_MAX: usize = 256 << 20;

/// As that, of one source's requests: others have room when it has none.
pub const INSPECTED_BYTES_PER_SOURCE_MAX: usize = 32 << 20;

/// What a piece of a body takes beside its bytes, at least: a client may send them one by one.
pub const PIECE_BYTES: usize = 64;

/// What a body may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Bytes. A head that declares more is refused.
    pub bytes: u64,
    /// Bytes a second it must bring on average of the time spent waiting for the client, once
    /// that is more than [`RATE_GRACE`]; 0 for no such limit.
    pub bytes_per_s_min: u64,
    /// The longest wait for a piece.
    pub idle: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { bytes: 16 << 20, bytes_per_s_min: 512, idle: Duration::from_secs(60) }
    }
}

impl BodyLimits {
    /// How much longer to wait for a piece, after `received` bytes and a total wait of `waited`.
    fn patience(&self, received: u64, waited: Duration) -> Duration {
        match received.saturating_mul(1000).checked_div(self.bytes_per_s_min) {
            None => self.idle,
            Some(earned_ms) => {
                let earned = Duration::from_millis(earned_ms).max(RATE_GRACE);
                earned.saturating_sub(waited).min(self.idle)
            }
        }
    }
}

/// Why a body did not come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than [`BodyLimits::bytes`].
    #[error("the request's body is too long")]
    TooLong,
    /// No piece in time, or too slow on average.
    #[error("the request's body stalled")]
    Stalled,
    /// There is no room to hold it for inspection.
    #[error("there is no room to inspect the request's body")]
    NoRoom,
    /// The chunked coding is wrong.
    #[error("the request's body is malformed")]
    Malformed,
    /// The client went away before its end.
    #[error("the request's body ended early")]
    Gone,
}

impl BodyError {
    /// The code and status of it.
    pub fn unreadable(self) -> Unreadable {
        match self {
            Self::TooLong => Unreadable::BodyTooLong,
            Self::Stalled => Unreadable::BodyTimeout,
            Self::NoRoom => Unreadable::InspectionFull,
            Self::Malformed | Self::Gone => Unreadable::BodyMalformed,
        }
    }
}

/// The body of one request.
#[derive(Debug)]
pub struct Body {
    /// Read already, not yet given out.
    pieces: VecDeque<Bytes>,
    /// Taken for `pieces`.
    room: Option<Share>,
    incoming: Option<Incoming>,
    /// It is an HTTP/2 stream.
    of_stream: bool,
    trailers: Option<HeaderMap>,
    /// They are not passed on.
    drops_trailers: bool,
    /// Nor are those of these names, which are for this hop.
    kept_back: Vec<String>,
    failed: Option<BodyError>,
    limits: BodyLimits,
    received: u64,
    waited: Duration,
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Body {
    /// The body that hyper reads off an HTTP/1 connection.
    pub fn new(incoming: Incoming, limits: BodyLimits) -> Self {
        Self {
            pieces: VecDeque::new(),
            room: None,
            incoming: (!incoming.is_end_stream()).then_some(incoming),
            of_stream: false,
            trailers: None,
            drops_trailers: false,
            kept_back: Vec::new(),
            failed: None,
            limits,
            received: 0,
            waited: Duration::ZERO,
            wait: None,
        }
    }

    /// The body that hyper reads off an HTTP/2 stream.
    pub fn of_stream(incoming: Incoming, limits: BodyLimits) -> Self {
        Self { of_stream: true, ..Self::new(incoming, limits) }
    }

    /// Bytes of the body that came from the client.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Has trailers end here: they come when rules have looked at what came before.
    pub(crate) fn drop_trailers(&mut self) {
        self.drops_trailers = true;
    }

    /// Has trailers of these names end here (RFC 9110 §7.6.1).
    pub(crate) fn keep_back(&mut self, names: Vec<String>) {
        self.kept_back = names;
    }

    /// Reads up to `limit` bytes and keeps them for whoever reads the body, as long as there is
    /// `room` for this client's.
    pub(super) async fn inspect(
        &mut self,
        limit: usize,
        client: IpAddr,
        room: &Arc<Shares>,
    ) -> Result<Inspected, BodyError> {
        let mut read = 0_usize;
        while read <= limit && self.incoming.is_some() {
            let frame = std::future::poll_fn(|cx| self.poll_incoming(cx)).await;
            match frame.transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => {
                    read = read.saturating_add(data.len());
                    self.take_room(client, room, data.len())?;
                    self.pieces.push_back(data);
                }
                Some(Err(frame)) => self.trailers = frame.into_trailers().ok(),
                None => {}
            }
        }
        Ok(Inspected { bytes: self.first(limit), whole: read <= limit })
    }

    fn take_room(
        &mut self,
        client: IpAddr,
        room: &Arc<Shares>,
        bytes: usize,
    ) -> Result<(), BodyError> {
        let bytes = bytes.saturating_add(PIECE_BYTES);
        let taken = match &mut self.room {
            Some(held) => held.add(bytes),
            None => room.take(client, bytes).map(|share| self.room = Some(share)),
        };
        taken.map_err(|_| self.fail(BodyError::NoRoom))
    }

    /// At most `limit` bytes of what was read; not copied if they lie in one piece.
    fn first(&self, limit: usize) -> Bytes {
        match self.pieces.front() {
            Some(piece) if self.pieces.len() == 1 || piece.len() >= limit => {
                piece.slice(..piece.len().min(limit))
            }
            _ => {
                let mut bytes = BytesMut::new();
                for piece in &self.pieces {
                    let room = limit.saturating_sub(bytes.len()).min(piece.len());
                    bytes.extend_from_slice(piece.get(..room).unwrap_or_default());
                }
                bytes.freeze()
            }
        }
    }

    /// The next frame off the connection, counted and timed.
    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) else {
            ready!(self.poll_patience(cx));
            return Poll::Ready(Some(Err(self.fail(BodyError::Stalled))));
        };
        let whole = incoming.is_end_stream();
        if frame.is_none() || whole {
            self.incoming = None;
        }
        if let Some((since, _)) = self.wait.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
        Poll::Ready(match frame {
            // hyper takes a stream that was reset with `NO_ERROR` for one that ended.
            None if self.of_stream && !whole => Some(Err(self.fail(BodyError::Gone))),
            None => None,
            Some(Err(error)) => Some(Err(self.fail(what_happened(&error)))),
            Some(Ok(frame)) => Some(self.admit(frame)),
        })
    }

    fn admit(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        match frame.into_data() {
            Ok(data) => {
                self.received = self.received.saturating_add(data.len() as u64);
                if self.received > self.limits.bytes {
                    return Err(self.fail(BodyError::TooLong));
                }
                Ok(Frame::data(data))
            }
            Err(frame) => {
                let trailers =
                    frame.into_trailers().map_err(|_| self.fail(BodyError::Malformed))?;
                if self.drops_trailers {
                    return Ok(Frame::trailers(HeaderMap::new()));
                }
                // Those of HTTP/1.1 were looked at with the chunked coding.
                if self.of_stream && !is_sound(&trailers) {
                    return Err(self.fail(BodyError::Malformed));
                }
                Ok(Frame::trailers(passed_on(trailers, &self.kept_back)))
            }
        }
    }

    /// Ready when the client has kept us waiting too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.limits.patience(self.received, self.waited);
        let (_, sleep) = self.wait.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(tokio::time::sleep_until(now + patience)))
        });
        sleep.as_mut().poll(cx)
    }

    /// What of it has not been read never will be.
    pub(super) fn fail(&mut self, why: BodyError) -> BodyError {
        self.incoming = None;
        self.wait = None;
        self.failed = Some(why);
        why
    }
}

/// Trailers are no more than HTTP/1.1 may have, and say nothing that a head must not say.
fn is_sound(trailers: &HeaderMap) -> bool {
    let fields = trailers.iter();
    let fields = fields.map(|(name, value)| Header { name: name.clone(), value: value.clone() });
    let line = |field: &Header| field.name.as_str().len() + field.value.len() + ": \r\n".len();
    let fields: Vec<Header> = fields.collect();
    let bytes = fields.iter().map(line).fold("\r\n".len(), usize::saturating_add);
    fields.len() <= TRAILERS_MAX && bytes <= TRAILER_BYTES_MAX && Headers::new(fields).is_ok()
}

/// Trailers without what only the gateway says, what belongs in a head (RFC 9110 §6.5.1), and what
/// is for this hop.
fn passed_on(mut trailers: HeaderMap, kept_back: &[String]) -> HeaderMap {
    let of_the_head = ["content-encoding", "content-range", "content-type", "cookie"];
    let not_passed = |name: &&http::HeaderName| {
        let name = name.as_str();
        !signals::is_end_to_end(name)
            || of_the_head.contains(&name)
            || kept_back.iter().any(|kept| kept == name)
    };
    let names: Vec<_> = trailers.keys().filter(not_passed).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
    trailers
}

/// What hyper's error means: the head reader's own word is in its chain of causes.
fn what_happened(error: &hyper::Error) -> BodyError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let word = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if word.is_some_and(|word| word.is::<Unreadable>()) {
            return BodyError::Malformed;
        }
        cause = error.source();
    }
    BodyError::Gone
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(why) = this.failed {
            return Poll::Ready(Some(Err(why)));
        }
        if let Some(piece) = this.pieces.pop_front() {
            if this.pieces.is_empty() {
                this.room = None;
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(trailers) = this.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        this.poll_incoming(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
            && self.incoming.is_none()
            && self.trailers.is_none()
            && self.failed.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let ready = self.pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let rest =
            self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(ready));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(ready));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience() {
        /// Bytes received, seconds waited, and the seconds that are left of an idle time of 60.
        fn check(rate: u64, received: u64, waited_s: u64, want_s: u64) {
            let idle = Duration::from_secs(60);
            let limits = BodyLimits { bytes: u64::MAX, bytes_per_s_min: rate, idle };
            let got = limits.patience(received, Duration::from_secs(waited_s));
            assert_eq!(got, Duration::from_secs(want_s), "{received} bytes, {waited_s} s waited");
        }
        check(0, 0, 1000, 60);
        check(512, 0, 0, 10);
        check(512, 0, 9, 1);
        check(512, 0, 10, 0);
        check(512, 512 * 10, 10, 0);
        check(512, 512 * 11, 10, 1);
        check(512, 512 * 100, 10, 60);
        check(512, 512 * 100, 99, 1);
        check(512, 512 * 100, 101, 0);
        check(1, u64::MAX, 0, 60);
    }
}
