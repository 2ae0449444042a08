//! The upstream's answer on its way to the client: the head without what belongs to the
//! upstream's connection, and the body piece by piece.
//!
//! An answer two parsers could read differently is not passed on: both or repeated framing
//! fields, a transfer coding other than `chunked`, a switch of protocols. Nothing is buffered:
//! the next piece is read when the client has taken the last.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, PROXY_AUTHENTICATE, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::failure::{Failure, Fault, chain};
use super::pool::Lease;
use super::upload::{Progress, Turn};

/// Fields of one connection (RFC 9110 §7.6.1), and a challenge that no reverse proxy has to pass.
/// `Trailer` stays: it announces what follows the body.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Leaves in `headers` what goes to the client, or says why the answer does not.
pub(super) fn clean(
    headers: &mut HeaderMap,
    status: StatusCode,
    method: &Method,
) -> Result<(), Fault> {
    if !(200..=599).contains(&status.as_u16()) {
        return Err(bad(format!("status {}", status.as_u16())));
    }
    let bodiless = *method == Method::HEAD
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    check_framing(headers, bodiless)?;
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
    for name in listed(headers) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    remove_ours(headers);
    Ok(())
}

/// One length of digits, or chunked, or neither; without a body a coding has no meaning.
fn check_framing(headers: &HeaderMap, bodiless: bool) -> Result<(), Fault> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(bad("more than one content-length"));
    }
    if length.is_some_and(|length| !is_length(length)) {
        return Err(bad("content-length is not a number"));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if length.is_some() {
        return Err(bad("content-length beside transfer-encoding"));
    }
    let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
    if chunked || bodiless { Ok(()) } else { Err(bad("transfer-encoding is not `chunked`")) }
}

fn is_length(value: &HeaderValue) -> bool {
    let digits = value.as_bytes().iter().all(u8::is_ascii_digit);
    digits && value.to_str().is_ok_and(|text| text.parse::<u64>().is_ok())
}

/// Names the upstream's `Connection` lists.
fn listed(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| *name != CONTENT_LENGTH)
        .collect()
}

/// Only the gateway speaks in these names.
fn remove_ours(headers: &mut HeaderMap) {
    let is_ours = |name: &&HeaderName| {
        let name = name.as_str();
        name.starts_with("portcullis-") || name.starts_with("portcullis_")
    };
    let ours: Vec<_> = headers.keys().filter(is_ours).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

fn bad(why: impl Into<String>) -> Fault {
    Fault::new(Failure::BadResponse, why)
}

/// The upstream's body as the client gets it. At its end the connection goes back to the pool;
/// dropped before, or cut short, it is closed.
pub(super) struct Relay {
    incoming: Incoming,
    lease: Option<Lease>,
    progress: Option<Arc<Progress>>,
    /// The upstream may have taken the request's body for the next request (RFC 9110 §9.3.1).
    doubtful: bool,
    idle: Duration,
    waiting_since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Relay {
    pub(super) fn new(
        incoming: Incoming,
        lease: Lease,
        method: &Method,
        progress: Option<Arc<Progress>>,
        idle: Duration,
    ) -> Self {
        let bodiless = matches!(*method, Method::GET | Method::HEAD | Method::DELETE);
        let mut relay = Self {
            incoming,
            lease: Some(lease),
            doubtful: bodiless && progress.is_some(),
            progress,
            idle,
            waiting_since: None,
            alarm: None,
        };
        if relay.incoming.is_end_stream() {
            relay.over();
        }
        relay
    }

    /// The answer is over. The connection is kept if the request is over too, and the upstream
    /// cannot have seen its end elsewhere.
    fn over(&mut self) {
        self.alarm = None;
        let sent = self.progress.as_ref().is_none_or(|progress| progress.turn() == Turn::Done);
        if let Some(lease) = self.lease.take()
            && sent
            && !self.doubtful
        {
            lease.release();
        }
    }

    fn cut(&mut self, failure: Failure, why: &str) -> Fault {
        self.alarm = None;
        self.lease = None;
        match self.progress.as_ref().and_then(|progress| progress.failure()) {
            Some(body) => Fault::new(Failure::ClientBody(body), why),
            None => Fault::new(failure, why),
        }
    }

    /// The upstream has kept a client waiting for `idle`. The alarm is set once and put off
    /// when it goes early, so that pieces cost no timer.
    fn stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let until = since + self.idle;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        while alarm.as_mut().poll(cx).is_ready() {
            if until <= Instant::now() {
                return true;
            }
            alarm.as_mut().reset(until);
        }
        false
    }

    fn frame(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        self.waiting_since = None;
        match frame.into_trailers() {
            Ok(mut trailers) => {
                remove_ours(&mut trailers);
                for name in HOP_BY_HOP {
                    trailers.remove(name);
                }
                self.over();
                Frame::trailers(trailers)
            }
            Err(frame) => {
                if self.incoming.is_end_stream() {
                    self.over();
                }
                frame
            }
        }
    }
}

impl http_body::Body for Relay {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(this.frame(frame)))),
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Err(this.cut(Failure::Reset, &chain(&error)))))
            }
            Poll::Ready(None) => {
                this.over();
                Poll::Ready(None)
            }
            Poll::Pending if this.stalled(cx) => {
                Poll::Ready(Some(Err(this.cut(Failure::Stalled, "no more of the answer"))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
