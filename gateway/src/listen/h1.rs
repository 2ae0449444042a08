//! One HTTP/1 connection: the head reader, hyper, and the handler.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use signals::Scheme;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Handler;
use super::worker::{Connection, drained, draining};
use crate::panics::caught_in;
use crate::read::{Body, HeadQueue, HeadReader, InFlight, Raw, Tally};

/// Bytes that hyper buffers of a body.
const HYPER_BUFFER_BYTES: usize = 64 << 10;

pub(super) async fn serve<H: Handler, IO: AsyncRead + AsyncWrite + Unpin>(
    connection: &Connection<H>,
    scheme: Scheme,
    io: IO,
) {
    let common = &connection.common;
    let queue = HeadQueue::default();
    let tally = Arc::clone(&common.tally);
    let reader = HeadReader::new(io, scheme, common.limits, queue.clone(), tally);
    let service =
        service_fn(|request: Request<Incoming>| answer(connection, &queue, request.into_body()));
    let serving = http1::Builder::new()
        .half_close(false)
        .header_read_timeout(None)
        .max_buf_size(HYPER_BUFFER_BYTES)
        .serve_connection(TokioIo::new(reader), service);
    let mut serving = pin!(serving);
    let mut stage = connection.stage.clone();
    let ended = tokio::select! {
        biased;
        () = draining(&mut stage) => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                ended = &mut serving => ended,
                () = drained(&mut stage) => return,
            }
        }
        ended = &mut serving => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(listener = %common.name, %error, "connection ended early");
    }
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    /// hyper called for a request that the head reader did not announce.
    #[error("no head was read for this request")]
    Unannounced,
    #[error("handling the request panicked")]
    Panicked,
}

async fn answer<H: Handler>(
    connection: &Connection<H>,
    queue: &HeadQueue,
    incoming: Incoming,
) -> Result<Response<Answering<H::Body>>, NoAnswer> {
    let (head, in_flight) = queue.take().ok_or(NoAnswer::Unannounced)?;
    let record = connection.abandoned.pending();
    let common = &connection.common;
    Tally::count(&common.tally.heads_taken);
    let (conn, client) = connection.seen(&head.read, head.received_ms);
    let raw = Raw {
        head: head.read,
        client,
        body: Box::new(Body::new(incoming, common.limits.body)),
        conn,
        started: head.at,
        listener: Arc::clone(&common.name),
        port: common.port,
        record,
    };
    let handled = caught_in(pin!(connection.handler.handle(raw))).await;
    let panicked = handled.is_err();
    let response = handled.ok().or_else(|| connection.handler.panicked());
    let mut response =
        response.ok_or(NoAnswer::Panicked)?.map(|body| Answering { body, in_flight });
    if queue.body_open() || panicked {
        // What is left of the body will not be read: the next request could not be found.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// An answer's body; the exchange lasts as long as it does.
struct Answering<B> {
    body: B,
    #[expect(dead_code, reason = "it acts when it is dropped")]
    in_flight: InFlight,
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Answering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
