//! The account of one answer: every recorded decision gets exactly one completion, however the
//! exchange ends.
//!
//! An [`Account`] holds the ledger's open entry and closes it when the answer's last byte is
//! handed to the client's connection, when that connection goes away, or when the upstream ends
//! the answer early. Nothing is decided here, and nothing of a body is kept but what rules
//! [look](super::look) at.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use ledger::event::{self, Completion, Outcome};
use tokio::time::Instant;

use super::answer::Relay;
use super::failure::Fault;
use super::look::Look;
use super::upload::Progress;

/// A decision that is recorded and whose end is not: the ledger's open entry.
pub trait Entry: Send + Unpin + 'static {
    /// Waits until the decision survives a crash; false if it will not.
    fn synced(&mut self) -> impl Future<Output = bool> + Send;

    /// Records the end.
    fn close(self, completion: Completion);
}

/// The account of one answer. Dropped before there is an answer, the client has gone, or
/// something panicked and nobody knows how it ended.
#[derive(Debug)]
pub struct Account<E: Entry> {
    entry: Option<E>,
    started: Instant,
    head_only: bool,
    outcome: Outcome,
    detail: Option<&'static str>,
    fault: Option<String>,
    status: Option<u16>,
    bytes_out: u64,
    progress: Option<Arc<Progress>>,
    upstream: Option<event::Upstream>,
    look: Option<Look>,
}

impl<E: Entry> Account<E> {
    /// Opens the account of a request with this method, whose head was whole at `started`.
    pub fn new(entry: E, method: &Method, started: Instant) -> Self {
        Self {
            entry: Some(entry),
            started,
            head_only: *method == Method::HEAD,
            outcome: Outcome::Answered,
            detail: None,
            fault: None,
            status: None,
            bytes_out: 0,
            progress: None,
            upstream: None,
            look: None,
        }
    }

    /// Accounts for an answer of the gateway's own. To HEAD its body is not sent.
    pub fn answer(mut self, response: Response<Bytes>) -> Response<Answer<E>> {
        self.status = Some(response.status().as_u16());
        let head_only = self.head_only;
        response.map(|bytes| {
            let bytes = if head_only { Bytes::new() } else { bytes };
            Answer { source: Source::Whole(Full::new(bytes)), account: self }
        })
    }

    /// Accounts for the upstream's answer.
    pub(super) fn relay(mut self, response: Response<Relay>) -> Response<Answer<E>> {
        self.status = Some(response.status().as_u16());
        response.map(|relay| Answer { source: Source::Relay(relay), account: self })
    }

    /// The request goes to this upstream, its body counted by `progress`.
    pub(super) fn forwarded(&mut self, name: &Arc<str>, progress: Option<Arc<Progress>>) {
        self.upstream = Some(event::Upstream { name: Arc::clone(name), address: None });
        self.progress = progress;
    }

    /// Rules look at the upstream's response.
    pub(super) fn looked_at_by(&mut self, look: Option<Look>) {
        self.look = look;
    }

    /// The upstream's response, as rules look at it.
    pub(super) fn look_at<T>(&mut self, response: &Response<T>) {
        if let Some(look) = &mut self.look {
            look.head(response.status(), response.headers());
        }
    }

    /// A connection to the upstream was made.
    pub(super) fn connected(&mut self, address: Option<SocketAddr>) {
        if let Some(upstream) = &mut self.upstream {
            upstream.address = address;
        }
    }

    /// The exchange will not end as the upstream's answer.
    pub(super) fn failed(&mut self, Fault { failure, detail, .. }: Fault) {
        self.outcome = failure.outcome();
        self.detail = Some(failure.code());
        self.fault = Some(detail);
    }

    pub(super) async fn synced(&mut self) -> bool {
        match &mut self.entry {
            Some(entry) => entry.synced().await,
            None => false,
        }
    }

    fn close(&mut self, outcome: Outcome) {
        let Some(entry) = self.entry.take() else {
            return;
        };
        let completion = Completion {
            ended_ms: now_ms(),
            outcome,
            detail: self.detail,
            fault: self.fault.take(),
            status: self.status,
            body_in_bytes: self.progress.as_ref().map_or(0, |progress| progress.bytes()),
            body_out_bytes: self.bytes_out,
            latency_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            upstream: self.upstream.take(),
            body_sha256: self.progress.as_ref().and_then(|progress| progress.digest()),
            // the ledger's: who asks it is not here
            candidate: None,
            // what rules find in the response, they find after it
            waf: None,
        };
        match self.look.take() {
            Some(look) => look.end(entry, completion),
            None => entry.close(completion),
        }
    }
}

impl<E: Entry> Drop for Account<E> {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        self.close(if panicked { Outcome::Abandoned } else { Outcome::ClientGone });
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

enum Source {
    Whole(Full<Bytes>),
    Relay(Relay),
}

/// The body of every answer, accounted for.
pub struct Answer<E: Entry> {
    source: Source,
    account: Account<E>,
}

impl<E: Entry> Answer<E> {
    fn looked_at(&mut self, polled: &Poll<Option<Result<Frame<Bytes>, Fault>>>) {
        match polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.account.close(self.account.outcome),
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(&b""[..], Bytes::as_ref);
                self.account.bytes_out = self.account.bytes_out.saturating_add(bytes.len() as u64);
                if let Some(look) = &mut self.account.look {
                    look.piece(bytes);
                }
                if frame.is_trailers() || self.is_end_stream() {
                    self.account.close(self.account.outcome);
                }
            }
            Poll::Ready(Some(Err(fault))) => {
                tracing::debug!(upstream = ?self.account.upstream, %fault, "answer cut short");
                self.account.failed(fault.clone());
                self.account.close(self.account.outcome);
            }
        }
    }
}

impl<E: Entry> Body for Answer<E> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::Whole(whole) => Pin::new(whole).poll_frame(cx).map_err(|never| match never {}),
            Source::Relay(relay) => Pin::new(relay).poll_frame(cx),
        };
        this.looked_at(&polled);
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(whole) => whole.is_end_stream(),
            Source::Relay(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(whole) => whole.size_hint(),
            Source::Relay(relay) => relay.size_hint(),
        }
    }
}

impl<E: Entry> Drop for Answer<E> {
    /// hyper drops a body that is at its end without asking for it.
    fn drop(&mut self) {
        if self.is_end_stream() {
            self.account.close(self.account.outcome);
        }
    }
}
