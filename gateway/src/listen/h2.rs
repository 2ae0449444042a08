//! One HTTP/2 connection: the watch over it, hyper, and the handler, with a task for each stream.
//!
//! A stream whose client takes nothing of an answer for the idle time is reset; the others go on.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::{Body as _, Incoming};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Handler;
use super::worker::{Connection, drained, draining};
use crate::panics::{Panicked, caught_in};
use crate::protocol::h2;
use crate::read::{
    Alarm, Body, Closing, LINGER, Limits, Raw, Rejected, Taken, Watch, Watched, now_ms,
};

/// Bytes of an answer that are handed over at a time. Those of one stream that wait for the
/// client are no more than that.
const PIECE_BYTES: usize = 16 << 10;

/// Serves it to its end; gives what was refused before there was a request, by reason.
pub(super) async fn serve<H: Handler, IO: AsyncRead + AsyncWrite + Unpin>(
    connection: Rc<Connection<H>>,
    io: IO,
) -> Vec<(&'static str, u64)> {
    let common = Arc::clone(&connection.common);
    let mut stage = connection.stage.clone();
    let watch = Watch::new(common.limits, Arc::clone(&common.tally));
    let streams = Streams::new(common.limits.idle_timeout);
    let service = service_fn({
        let watch = watch.clone();
        move |request| answer(Rc::clone(&connection), watch.clone(), request)
    });
    // Streams and what was refused are told of also where the connection is an error of ours.
    let served = async {
        let io = TokioIo::new(Watched::new(io, watch.clone()));
        let serving = builder(&common.limits, streams.clone()).serve_connection(io, service);
        let mut serving = pin!(serving);
        let closing = async {
            tokio::select! {
                () = draining(&mut stage) => {}
                () = watch.closing(Closing::Gently) => {}
            }
        };
        let ended = tokio::select! {
            biased;
            () = closing => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = &mut serving => ended,
                    () = cut_off(&watch) => Ok(()),
                    () = drained(&mut stage) => Ok(()),
                }
            }
            ended = &mut serving => ended,
        };
        if let Err(error) = ended {
            tracing::debug!(listener = %common.name, %error, "connection ended early");
        }
    };
    if caught_in(pin!(served)).await.is_err() {
        tracing::error!(listener = %common.name, "a connection panicked");
    }
    streams.end().await;
    watch.refused()
}

/// Nothing more is read of it, and what was on its way has had a little time.
async fn cut_off(watch: &Watch) {
    watch.closing(Closing::Now).await;
    tokio::time::sleep(LINGER).await;
}

fn builder(limits: &Limits, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2.streams)
        .max_pending_accept_reset_streams(limits.h2.resets_unseen)
        .max_local_error_reset_streams(limits.h2.errors)
        .max_header_list_size(h2::list_bytes(&limits.head))
        .initial_stream_window_size(limits.h2.stream_bytes)
        .initial_connection_window_size(limits.h2.connection_bytes)
        .max_send_buf_size(PIECE_BYTES)
        .keep_alive_interval(limits.h2.ping_interval)
        .keep_alive_timeout(limits.h2.ping_timeout);
    builder
}

async fn answer<H: Handler>(
    connection: Rc<Connection<H>>,
    watch: Watch,
    request: Request<Incoming>,
) -> Result<Response<Answering<H::Body>>, Panicked> {
    let taken = watch.take();
    let record = connection.abandoned.pending();
    let common = &connection.common;
    let (parts, incoming) = request.into_parts();
    let head_only = parts.method == Method::HEAD;
    let line = format!("{} {} HTTP/2", parts.method, parts.uri.path());
    let head = h2::parse(parts, incoming.is_end_stream(), &common.limits.head);
    let head = head.map(Box::new).map_err(|why| Rejected::new(why, line.as_bytes()));
    let (conn, client) = connection.seen(&head, now_ms());
    let raw = Raw {
        head,
        client,
        body: Box::new(Body::of_stream(incoming, common.limits.body)),
        conn,
        started: Instant::now(),
        listener: Arc::clone(&common.name),
        port: common.port,
        record,
    };
    let response = match caught_in(pin!(connection.handler.handle(raw))).await {
        Ok(response) => response,
        Err(panicked) => connection.handler.panicked().ok_or(panicked)?,
    };
    let pace = PACE.try_with(Rc::clone).unwrap_or_default();
    Ok(response.map(|body| Answering { body, head_only, rest: Bytes::new(), pace, taken }))
}

/// The tasks of a connection's streams. Clones share them.
#[derive(Debug, Clone)]
struct Streams {
    tasks: Rc<RefCell<JoinSet<()>>>,
    idle_timeout: Duration,
}

impl Streams {
    fn new(idle_timeout: Duration) -> Self {
        Self { tasks: Rc::default(), idle_timeout }
    }

    /// Ends those that are left.
    async fn end(self) {
        let mut tasks = self.tasks.take();
        tasks.abort_all();
        while let Some(ended) = tasks.join_next().await {
            note(ended);
        }
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut tasks = self.tasks.borrow_mut();
        while let Some(ended) = tasks.try_join_next() {
            note(ended);
        }
        tasks.spawn_local(paced(stream, self.idle_timeout));
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a stream's task panicked");
    }
}

/// How a stream's client takes its answer.
#[derive(Debug, Default)]
struct Pace {
    /// Pieces handed over.
    pieces: Cell<u64>,
    /// The last of them has not left.
    waits: Cell<bool>,
}

tokio::task_local! {
    /// Of the stream whose task this is.
    static PACE: Rc<Pace>;
}

/// A stream to its end, or until its client has taken nothing for `idle_timeout`.
async fn paced(stream: impl Future<Output = ()>, idle_timeout: Duration) {
    let pace = Rc::<Pace>::default();
    let mut stream = pin!(PACE.scope(Rc::clone(&pace), stream));
    let (mut alarm, mut piece) = (Alarm::default(), 0);
    std::future::poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !pace.waits.get() || piece != pace.pieces.get() {
            alarm.stop();
        }
        if !pace.waits.get() {
            return Poll::Pending;
        }
        piece = pace.pieces.get();
        alarm.poll(cx, idle_timeout)
    })
    .await;
}

/// An answer's body, in pieces; the request is in flight as long as it.
struct Answering<B> {
    body: B,
    /// Nothing of the body is sent (RFC 9110 §9.3.2).
    head_only: bool,
    /// Of the last frame, what has not been handed over.
    rest: Bytes,
    pace: Rc<Pace>,
    #[expect(dead_code, reason = "it acts when it is dropped")]
    taken: Taken,
}

impl<B> Answering<B> {
    /// The next piece of `data`.
    fn piece(&mut self, mut data: Bytes) -> Frame<Bytes> {
        let piece = data.split_to(data.len().min(PIECE_BYTES));
        self.rest = data;
        self.pace.pieces.set(self.pace.pieces.get().wrapping_add(1));
        self.pace.waits.set(true);
        Frame::data(piece)
    }
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Answering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        this.pace.waits.set(false);
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return Poll::Ready(Some(Ok(this.piece(rest))));
        }
        let mut frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        while this.head_only && frame.as_ref().is_some_and(Result::is_ok) {
            frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        }
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(data) => this.piece(data),
                Err(trailers) => trailers,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, of_body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower().saturating_add(rest));
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
