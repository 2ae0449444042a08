//! The head reader: an `AsyncRead` between TLS and hyper that lets through accepted heads only.
//!
//! A head is held back until it is whole and accepted; then hyper gets the few fields it needs
//! and the queue gets the request. The body's framing is followed to where the next head begins.
//! For a refused head hyper gets one synthetic closing request, and nothing after it is looked at.
//!
//! It owns the times and limits of heads, and of a peer that takes no answer. It knows nothing of
//! what is asked or answered.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use signals::{Framing, Scheme, Unreadable};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::alarm::Alarm;
use super::queue::{Head, HeadQueue, Tally};
use super::{Limits, Rejected, now_ms};
use crate::protocol::chunked::Chunked;
use crate::protocol::h1::{self, Scan};

/// Bytes that one read asks for, and that are read ahead of an answer.
const READ_BYTES: usize = 8 << 10;
/// How long a peer may go on sending after the last answer, so that it gets to read it
/// (RFC 9112 §9.6).
pub const LINGER: Duration = Duration::from_secs(2);
/// Bytes that are thrown away meanwhile.
pub const LINGER_BYTES_MAX: usize = 1 << 20;

/// Reads `IO` on behalf of hyper.
#[derive(Debug)]
pub struct HeadReader<IO> {
    io: IO,
    scheme: Scheme,
    limits: Limits,
    queue: HeadQueue,
    tally: Arc<Tally>,
    /// From the client, not yet looked at or not yet complete.
    input: BytesMut,
    /// For hyper.
    output: BytesMut,
    phase: Phase,
    scan: Scan,
    /// A byte of the next head is there.
    begun: bool,
    heads: u32,
    /// The client will send nothing more.
    ended: bool,
    /// Of a head or of waiting for one.
    read_alarm: Alarm,
    write_alarm: Alarm,
    discarded: usize,
    shut_down: bool,
}

#[derive(Debug)]
enum Phase {
    /// Before or within a head.
    Head,
    /// Within a body.
    Body { left: Left, last: bool },
    /// After the last request of the connection: what comes is thrown away.
    Last,
    /// After a refusal: nothing is read.
    Refused,
    /// Where the body ends is unknown.
    Broken(Unreadable),
}

#[derive(Debug)]
enum Left {
    Bytes(u64),
    Chunks(Box<Chunked>),
}

/// What there is to do for the head.
enum Next {
    /// Something was put out, or the phase has changed.
    Moved,
    /// The connection ends here.
    End,
}

impl<IO: AsyncRead + Unpin> HeadReader<IO> {
    /// A reader of a fresh connection; its heads go to `queue`.
    pub fn new(
        io: IO,
        scheme: Scheme,
        limits: Limits,
        queue: HeadQueue,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            io,
            scheme,
            limits,
            queue,
            tally,
            input: BytesMut::new(),
            output: BytesMut::new(),
            phase: Phase::Head,
            scan: Scan::default(),
            begun: false,
            heads: 0,
            ended: false,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
            discarded: 0,
            shut_down: false,
        }
    }

    /// Gives hyper what lies ready, without reading; `false` when nothing did.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let before = buf.filled().len();
        loop {
            let now = self.output.len().min(buf.remaining());
            buf.put_slice(&self.output.split_to(now));
            let more = buf.remaining() > 0
                && self.recode_buffered(buf).unwrap_or_else(|why| {
                    self.phase = Phase::Broken(why);
                    false
                });
            if !more {
                return buf.filled().len() > before;
            }
        }
    }

    /// Moves buffered body bytes on; `false` when there is nothing to move.
    fn recode_buffered(&mut self, buf: &mut ReadBuf<'_>) -> Result<bool, Unreadable> {
        let Phase::Body { left, last } = &mut self.phase else {
            return Ok(!self.output.is_empty());
        };
        if self.input.is_empty() {
            return Ok(!self.output.is_empty());
        }
        let (last, done) = match left {
            Left::Bytes(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let now = most.min(self.input.len()).min(buf.remaining());
                buf.put_slice(&self.input.split_to(now));
                *left = left.saturating_sub(now as u64);
                (*last, *left == 0)
            }
            Left::Chunks(body) => (*last, body.recode(&mut self.input, &mut self.output)?),
        };
        if done {
            self.body_ended(last);
        }
        Ok(done || !self.output.is_empty())
    }

    fn body_ended(&mut self, last: bool) {
        self.queue.set_body_open(false);
        self.phase = if last { Phase::Last } else { Phase::Head };
    }

    /// Reads into the input; 0 when nothing more will come. A broken connection is an ended one:
    /// what it leaves undone is the same.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if self.ended {
            return Poll::Ready(0);
        }
        self.input.reserve(READ_BYTES);
        let mut room = (&mut self.input).limit(READ_BYTES);
        let read = ready!(pin!(self.io.read_buf(&mut room)).poll(cx)).unwrap_or(0);
        self.ended = read == 0;
        Poll::Ready(read)
    }

    /// Brings about the next head, or the end.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if self.queue.is_busy() {
            return self.poll_ahead(cx);
        }
        loop {
            self.note_begin();
            match self.scan.find(&self.input, &self.limits.head) {
                Err(why) => self.refuse(why),
                Ok(Some(length)) => self.head(length),
                Ok(None) if !self.ended => match self.poll_fill(cx) {
                    Poll::Ready(_) => continue,
                    Poll::Pending => return self.poll_late(cx),
                },
                Ok(None) if self.begun => self.refuse(Unreadable::HeadIncomplete),
                Ok(None) => return Poll::Ready(Next::End),
            }
            return Poll::Ready(Next::Moved);
        }
    }

    fn note_begin(&mut self) {
        if !self.begun && !self.input.is_empty() {
            self.begun = true;
            self.read_alarm.stop();
            Tally::count(&self.tally.heads_begun);
        }
    }

    /// While an exchange is not over: reads on a little, to see whether the client goes away.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        while !self.ended && self.input.len() < READ_BYTES && self.poll_fill(cx).is_ready() {}
        if self.ended && self.input.is_empty() {
            return Poll::Ready(Next::End);
        }
        if !self.input.is_empty() {
            self.queue.wake_when_idle(cx.waker());
        }
        Poll::Pending
    }

    /// The wait for a head, or for the rest of one, has an end.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if self.write_alarm.is_running() {
            // The peer still takes the last answer; when it has, we are woken.
            self.read_alarm.stop();
            return Poll::Pending;
        }
        if !self.begun {
            ready!(self.read_alarm.poll(cx, self.limits.idle_timeout));
            self.ended = true;
            return Poll::Ready(Next::End);
        }
        ready!(self.read_alarm.poll(cx, self.limits.head_timeout));
        self.refuse(Unreadable::HeadTimeout);
        Poll::Ready(Next::Moved)
    }

    /// A head is whole: the next phase is its body's.
    fn head(&mut self, length: usize) {
        self.read_alarm.stop();
        (self.scan, self.begun) = (Scan::default(), false);
        let head = self.input.split_to(length).freeze();
        let parsed = match h1::parse(&head, self.scheme, &self.limits.head) {
            Ok(parsed) => parsed,
            Err(why) => return self.refuse_head(why, &head),
        };
        self.heads = self.heads.saturating_add(1);
        let last = !parsed.keep_alive || self.heads >= self.limits.requests;
        h1::for_hyper(&parsed, last, &mut self.output);
        let left = match parsed.request.framing {
            Framing::None | Framing::Length(0) => None,
            Framing::Length(bytes) => Some(Left::Bytes(bytes)),
            Framing::Chunked => Some(Left::Chunks(Box::default())),
        };
        self.queue.set_body_open(left.is_some());
        match left {
            Some(left) => self.phase = Phase::Body { left, last },
            None => self.body_ended(last),
        }
        self.put(Ok(Box::new(parsed.request)));
    }

    fn refuse(&mut self, why: Unreadable) {
        let head = std::mem::take(&mut self.input);
        self.refuse_head(why, &head);
    }

    /// Hyper is given a request that closes the connection, and nothing after it.
    fn refuse_head(&mut self, why: Unreadable, head: &[u8]) {
        self.output.put_slice(h1::REFUSED);
        self.phase = Phase::Refused;
        self.queue.set_body_open(false);
        self.put(Err(Rejected::new(why, head)));
    }

    fn put(&mut self, read: Result<Box<signals::Request>, Rejected>) {
        self.queue.put(Head { read, at: Instant::now(), received_ms: now_ms() });
    }

    /// More of the body. Without buffered bytes those of a known length go to hyper directly.
    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Phase::Body { left: Left::Bytes(left), last } = &mut self.phase {
            let (before, last) = (buf.filled().len(), *last);
            let mut body = (&mut self.io).take(*left);
            ready!(Pin::new(&mut body).poll_read(cx, buf))?;
            let read = buf.filled().len().saturating_sub(before);
            *left = left.saturating_sub(read as u64);
            self.ended |= read == 0;
            if *left == 0 {
                self.body_ended(last);
            }
            return Poll::Ready(Ok(()));
        }
        // What is left in the input is a part of a line: more makes it whole, or too long.
        ready!(self.poll_fill(cx));
        Poll::Ready(Ok(()))
    }

    /// Throws away what comes, up to a limit, to see whether the client goes away.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.discarded < LINGER_BYTES_MAX && !self.ended {
            self.input.clear();
            let read = ready!(self.poll_fill(cx));
            self.discarded = self.discarded.saturating_add(read);
        }
        if self.ended { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for HeadReader<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.give(buf) {
                return Poll::Ready(Ok(()));
            }
            match this.phase {
                Phase::Head => match ready!(this.poll_head(cx)) {
                    Next::Moved => {}
                    Next::End => return Poll::Ready(Ok(())),
                },
                Phase::Body { .. } => {
                    let before = buf.filled().len();
                    ready!(this.poll_body(cx, buf))?;
                    if this.ended || buf.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                }
                Phase::Last => {
                    ready!(this.poll_discard(cx));
                    return Poll::Ready(Ok(()));
                }
                Phase::Refused => return Poll::Pending,
                Phase::Broken(why) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
                }
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> HeadReader<IO> {
    /// A peer that takes nothing of an answer for the idle time is gone.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            if self.write_alarm.stop() {
                cx.waker().wake_by_ref();
            }
            return done;
        }
        ready!(self.write_alarm.poll(cx, self.limits.idle_timeout));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeadReader<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.io).poll_write(cx, buf);
        this.in_time(cx, done)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.in_time(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.io).poll_flush(cx);
        this.in_time(cx, done)
    }

    /// Says that nothing more is sent, and then waits a little for the peer to close: closing on
    /// unread bytes would make its system throw away the answer.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.shut_down {
            let done = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.in_time(cx, done))?;
            this.shut_down = true;
            this.read_alarm.stop();
        }
        if this.poll_discard(cx).is_pending() && this.discarded < LINGER_BYTES_MAX {
            ready!(this.read_alarm.poll(cx, LINGER));
        }
        Poll::Ready(Ok(()))
    }
}
