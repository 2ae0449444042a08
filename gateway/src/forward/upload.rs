//! The request's body on its way to the upstream: counted, hashed, and cut off when it stalls.
//!
//! A body that does not arrive whole is an error to hyper, which then drops the connection: the
//! upstream never sees a truncated request that looks complete. Nothing is buffered here: hyper
//! asks for the next piece when the upstream has taken the last. Which trailers pass is not
//! decided here either: [`Body`] gives those that may.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use ring::digest::{self, SHA256};
use signals::Framing;
use tokio::time::{Instant, Sleep};

use super::failure::ClientBody;
use crate::read::Body;

/// How far a request's body has come; shared by the upload, the wait for the answer and the
/// account.
#[derive(Debug)]
pub(super) struct Progress {
    born: Instant,
    bytes: AtomicU64,
    moved_ms: AtomicU64,
    state: AtomicU8,
    digest: OnceLock<[u8; 32]>,
    failure: OnceLock<ClientBody>,
}

/// Who is to act next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The upstream: it has not yet taken the last piece.
    Upstream,
    /// The client: the upstream would take more.
    Client,
    /// Nobody: the body has been handed over whole.
    Done,
}

impl Progress {
    fn start() -> Self {
        Self {
            born: Instant::now(),
            bytes: AtomicU64::new(0),
            moved_ms: AtomicU64::new(0),
            state: AtomicU8::new(Turn::Upstream as u8),
            digest: OnceLock::new(),
            failure: OnceLock::new(),
        }
    }

    /// Bytes of the body that came from the client.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Who is to act next.
    pub(super) fn turn(&self) -> Turn {
        match self.state.load(Ordering::Relaxed) {
            0 => Turn::Upstream,
            1 => Turn::Client,
            _ => Turn::Done,
        }
    }

    /// When the body last moved.
    pub(super) fn moved(&self) -> Instant {
        let age = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
        self.born.checked_add(age).unwrap_or(self.born)
    }

    /// SHA-256 of the body, once it has been read to its end.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        self.digest.get().copied()
    }

    /// Why the body did not arrive whole.
    pub(super) fn failure(&self) -> Option<ClientBody> {
        self.failure.get().copied()
    }

    fn done(&self, hash: digest::Context) {
        if let Ok(digest) = <[u8; 32]>::try_from(hash.finish().as_ref()) {
            let _ = self.digest.set(digest);
        }
        self.took(0);
        self.turn_to(Turn::Done);
    }

    fn failed(&self, why: ClientBody) {
        let _ = self.failure.set(why);
    }

    fn turn_to(&self, turn: Turn) {
        self.state.store(turn as u8, Ordering::Relaxed);
    }

    fn took(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let age = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(age, Ordering::Relaxed);
        self.turn_to(Turn::Upstream);
    }
}

/// The body hyper sends upstream; nothing from the start, or once it is over.
#[derive(Default)]
pub(super) struct Upload(Option<Box<Flow>>);

struct Flow {
    body: Box<Body>,
    /// Of a declared length, what is still to come.
    left: Option<u64>,
    idle: Duration,
    hash: digest::Context,
    progress: Arc<Progress>,
    stall: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    /// The body of a request with this framing; it may pause for `idle` between two pieces.
    /// There is progress to look at unless the request has no body.
    pub(super) fn new(
        body: Box<Body>,
        framing: Framing,
        idle: Duration,
    ) -> (Self, Option<Arc<Progress>>) {
        let left = match framing {
            Framing::None | Framing::Length(0) => return (Self::default(), None),
            Framing::Length(bytes) => Some(bytes),
            Framing::Chunked if body.is_end_stream() => return (Self::default(), None),
            Framing::Chunked => None,
        };
        let progress = Arc::new(Progress::start());
        let flow = Flow {
            body,
            left,
            idle,
            hash: digest::Context::new(&SHA256),
            progress: Arc::clone(&progress),
            stall: None,
        };
        (Self(Some(Box::new(flow))), Some(progress))
    }
}

/// What a poll of the body came to.
enum Step {
    More(Frame<Bytes>),
    Last(Option<Frame<Bytes>>),
}

impl Flow {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, ClientBody>> {
        let step = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => self.frame(frame),
            Poll::Ready(Some(Err(error))) => Err(ClientBody::from(error)),
            Poll::Ready(None) => self.at_end(None),
            Poll::Pending => match self.stalled(cx) {
                Poll::Ready(()) => Err(ClientBody::Stalled),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.stall = None;
        Poll::Ready(step)
    }

    fn frame(&mut self, frame: Frame<Bytes>) -> Result<Step, ClientBody> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return self.at_end(Some(trailers)),
        };
        let bytes = data.len() as u64;
        let left = self.left.map(|left| left.checked_sub(bytes).ok_or(ClientBody::Malformed));
        self.left = left.transpose()?;
        self.hash.update(&data);
        self.progress.took(bytes);
        let over = self.left.map_or_else(|| self.body.is_end_stream(), |left| left == 0);
        let frame = Frame::data(data);
        Ok(if over { Step::Last(Some(frame)) } else { Step::More(frame) })
    }

    /// The end of the body, which is an error while a declared length is not reached.
    fn at_end(&self, last: Option<Frame<Bytes>>) -> Result<Step, ClientBody> {
        match self.left {
            None | Some(0) => Ok(Step::Last(last)),
            Some(_) => Err(ClientBody::Gone),
        }
    }

    fn stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.progress.turn_to(Turn::Client);
        let idle = self.idle;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        stall.as_mut().poll(cx)
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = ClientBody;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBody>>> {
        let this = self.get_mut();
        let Some(mut flow) = this.0.take() else {
            return Poll::Ready(None);
        };
        let step = flow.poll(cx);
        match step {
            Poll::Pending => {
                this.0 = Some(flow);
                Poll::Pending
            }
            Poll::Ready(Ok(Step::More(frame))) => {
                this.0 = Some(flow);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Ok(Step::Last(frame))) => {
                flow.progress.done(flow.hash);
                Poll::Ready(frame.map(Ok))
            }
            Poll::Ready(Err(why)) => {
                flow.progress.failed(why);
                Poll::Ready(Some(Err(why)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            None => SizeHint::with_exact(0),
            Some(flow) => flow.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
