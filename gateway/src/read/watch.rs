//! The watch over an HTTP/2 connection: an `AsyncRead` and `AsyncWrite` between TLS and hyper
//! that follows the frames both ways, and holds the peer to times and counts.
//!
//! It changes no byte. It counts heads before the h2 crate judges them, so that those it refuses
//! are known; it ends the connection of a peer that lets a head or the next request wait, takes
//! nothing of an answer, resets what it asks for or sends control frames without end.
//!
//! Deliberately absent: header blocks and flow control, which are the h2 crate's.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::Limits;
use super::alarm::Alarm;
use super::queue::Tally;
use super::reader::{LINGER, LINGER_BYTES_MAX};
use crate::protocol::frames::{Frame, Frames, Kind, Seen};

/// What is known of a connection. Clones share it.
#[derive(Debug, Clone)]
pub struct Watch(Rc<State>);

#[derive(Debug)]
struct State {
    limits: Limits,
    tally: Arc<Tally>,
    /// The newest stream of the client's.
    newest: Cell<u32>,
    /// Streams that the client opened.
    opened: Cell<u64>,
    /// Those that became requests.
    taken: Cell<u64>,
    in_flight: Cell<u32>,
    /// Streams that the client reset.
    resets: Cell<u64>,
    /// Streams that were answered to the end.
    answered: Cell<u64>,
    /// Control frames since the last request or piece of a body.
    control: Cell<u32>,
    /// Streams that we reset, by reason.
    refused: Cell<u64>,
    malformed: Cell<u64>,
    fault: Cell<Option<&'static str>>,
    closing: Cell<Closing>,
    changed: Notify,
    reader: RefCell<Option<Waker>>,
}

/// How near its end a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closing {
    /// It serves.
    No,
    /// It takes no new requests.
    Gently,
    /// Nothing more that comes is looked at.
    Now,
}

/// A request in flight: kept beside its answer.
#[derive(Debug)]
pub struct Taken(Rc<State>);

impl Watch {
    /// Over a fresh connection.
    pub fn new(limits: Limits, tally: Arc<Tally>) -> Self {
        Self(Rc::new(State {
            limits,
            tally,
            newest: Cell::new(0),
            opened: Cell::new(0),
            taken: Cell::new(0),
            in_flight: Cell::new(0),
            resets: Cell::new(0),
            answered: Cell::new(0),
            control: Cell::new(0),
            refused: Cell::new(0),
            malformed: Cell::new(0),
            fault: Cell::new(None),
            closing: Cell::new(Closing::No),
            changed: Notify::new(),
            reader: RefCell::default(),
        }))
    }

    /// A head became a request.
    pub fn take(&self) -> Taken {
        let state = &self.0;
        Tally::count(&state.tally.heads_taken);
        state.taken.set(state.taken.get().saturating_add(1));
        state.in_flight.set(state.in_flight.get().saturating_add(1));
        let (last, streams) = (u64::from(state.limits.requests), state.limits.h2.streams);
        if state.taken.get() >= last.saturating_add(u64::from(streams)) {
            // It was told, and goes on.
            state.fault("goaway_ignored");
        } else if state.taken.get() >= last {
            state.close(Closing::Gently);
        }
        Taken(Rc::clone(state))
    }

    /// Returns when the connection is as near its end as that.
    pub async fn closing(&self, at_least: Closing) {
        while self.0.closing.get() < at_least {
            self.0.changed.notified().await;
        }
    }

    /// What was refused, by reason: heads that became no request, or, if there are none, once
    /// what broke the connection.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        let state = &self.0;
        let mut left = state.opened.get().saturating_sub(state.taken.get());
        let mut refused = Vec::new();
        for (reason, count) in [
            ("refused_stream", state.refused.get()),
            ("protocol_error", state.malformed.get()),
            (state.fault.get().unwrap_or("unread"), left),
        ] {
            let count = count.min(left);
            left = left.saturating_sub(count);
            match refused.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, sum)) => *sum += count,
                None if count > 0 => refused.push((reason, count)),
                None => {}
            }
        }
        if let (true, Some(fault)) = (refused.is_empty(), state.fault.get()) {
            refused.push((fault, 1));
        }
        refused
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let left = self.0.in_flight.get().saturating_sub(1);
        self.0.in_flight.set(left);
        if left == 0
            && let Some(waker) = self.0.reader.take()
        {
            waker.wake();
        }
    }
}

impl State {
    fn close(&self, closing: Closing) {
        if self.closing.get() < closing {
            self.closing.set(closing);
            self.changed.notify_one();
        }
    }

    /// The first thing that broke it is what broke it.
    fn broken(&self, why: &'static str) {
        self.fault.set(self.fault.get().or(Some(why)));
    }

    fn fault(&self, why: &'static str) {
        self.broken(why);
        self.close(Closing::Now);
    }

    /// The client began a frame.
    fn begun(&self, frame: Frame) {
        if frame.kind == Kind::Headers && frame.stream % 2 == 1 && frame.stream > self.newest.get()
        {
            self.newest.set(frame.stream);
            self.opened.set(self.opened.get().saturating_add(1));
            Tally::count(&self.tally.heads_begun);
        }
    }

    /// The client's frame is whole.
    fn came(&self, frame: Frame) {
        match frame.kind {
            Kind::Headers | Kind::Continuation => self.control.set(0),
            Kind::Data if frame.length > 0 => self.control.set(0),
            Kind::Data | Kind::GoAway | Kind::Control => {
                self.control.set(self.control.get().saturating_add(1));
                if self.control.get() > self.limits.h2.control_frames {
                    self.fault("too_many_control_frames");
                }
            }
            Kind::Reset => {
                self.resets.set(self.resets.get().saturating_add(1));
                let granted = self.answered.get().saturating_add(self.limits.h2.resets);
                if self.resets.get() > granted {
                    self.fault("too_many_resets");
                }
            }
        }
    }

    /// Our frame is on its way.
    fn went(&self, frame: Frame) {
        if frame.ends_stream() {
            self.answered.set(self.answered.get().saturating_add(1));
        }
        match (frame.kind, frame.code()) {
            (Kind::Data, _) => self.control.set(0),
            (Kind::Reset, Some(PROTOCOL_ERROR)) => {
                self.malformed.set(self.malformed.get().saturating_add(1));
            }
            (Kind::Reset, Some(REFUSED_STREAM)) => {
                self.refused.set(self.refused.get().saturating_add(1));
            }
            (Kind::GoAway, Some(code)) => {
                if let Some(name) = name(code) {
                    self.broken(name);
                }
            }
            _ => {}
        }
    }
}

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;

/// The code's name (RFC 9113 §7); there is none for "no error".
fn name(code: u32) -> Option<&'static str> {
    Some(match code {
        0 => return None,
        PROTOCOL_ERROR => "protocol_error",
        3 => "flow_control_error",
        4 => "settings_timeout",
        5 => "stream_closed",
        6 => "frame_size_error",
        REFUSED_STREAM => "refused_stream",
        8 => "cancel",
        9 => "compression_error",
        11 => "enhance_your_calm",
        _ => "internal_error",
    })
}

/// `IO`, watched.
#[derive(Debug)]
pub struct Watched<IO> {
    io: IO,
    watch: Watch,
    client: Frames,
    server: Frames,
    /// A head or trailers have begun, and how many of them in all.
    head_open: bool,
    heads: u64,
    waiting: Option<Wait>,
    read_alarm: Alarm,
    write_alarm: Alarm,
    discarded: usize,
    shut_down: bool,
}

/// What is waited for: another one is another wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// The rest of a head; 0 for the preface.
    Head(u64),
    /// A request after so many.
    Request(u64, Closing),
    /// The peer's end of a connection that we have ended.
    End,
}

impl<IO> Watched<IO> {
    /// `io`, a fresh connection, under `watch`.
    pub fn new(io: IO, watch: Watch) -> Self {
        Self {
            io,
            watch,
            client: Frames::of_client(),
            server: Frames::of_server(),
            head_open: false,
            heads: 0,
            waiting: None,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
            discarded: 0,
            shut_down: false,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let (state, head_open, heads) = (&self.watch.0, &mut self.head_open, &mut self.heads);
        self.client.follow(bytes, |seen| match seen {
            Seen::Begun(frame) => {
                state.begun(frame);
                if frame.kind == Kind::Headers && !*head_open {
                    (*head_open, *heads) = (true, heads.saturating_add(1));
                }
            }
            Seen::Whole(frame) => {
                state.came(frame);
                *head_open &= !frame.ends_head();
            }
        });
        if self.client.lost() {
            state.broken("protocol_error");
        }
    }

    /// The client left, perhaps within a head.
    fn ended(&self) {
        let state = &self.watch.0;
        if self.head_open && state.opened.get() > state.taken.get() {
            state.broken("head_incomplete");
        }
    }

    fn wrote(&mut self, bytes: &[u8]) {
        let state = &self.watch.0;
        self.server.follow(bytes, |seen| {
            if let Seen::Whole(frame) = seen {
                state.went(frame);
            }
        });
    }

    /// Ready when `wait` has taken as long as it may.
    fn poll_wait(&mut self, cx: &mut Context<'_>, wait: Wait, at_most: Duration) -> Poll<()> {
        if self.waiting != Some(wait) {
            self.waiting = Some(wait);
            self.read_alarm.stop();
        }
        ready!(self.read_alarm.poll(cx, at_most));
        self.waiting = None;
        Poll::Ready(())
    }

    /// Nothing came: that has an end.
    fn poll_late(&mut self, cx: &mut Context<'_>) {
        let state = Rc::clone(&self.watch.0);
        state.reader.replace(Some(cx.waker().clone()));
        loop {
            let closing = state.closing.get();
            if closing == Closing::Now {
                return;
            }
            if self.head_open || self.client.before_first() {
                let wait = Wait::Head(self.heads);
                if self.poll_wait(cx, wait, state.limits.head_timeout).is_ready() {
                    state.fault("head_timeout");
                }
                return;
            }
            if state.in_flight.get() > 0 {
                self.waiting = None;
                return;
            }
            let (at_most, next) = match closing {
                Closing::No => (state.limits.idle_timeout, Closing::Gently),
                Closing::Gently | Closing::Now => (LINGER, Closing::Now),
            };
            let wait = Wait::Request(state.taken.get(), closing);
            if self.poll_wait(cx, wait, at_most).is_pending() {
                return;
            }
            state.close(next);
        }
    }

    /// A peer that takes nothing of an answer for the idle time is gone.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.write_alarm.stop();
            return done;
        }
        ready!(self.write_alarm.poll(cx, self.watch.0.limits.idle_timeout));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<IO: AsyncRead + Unpin> Watched<IO> {
    /// Throws away what still comes, up to a limit, until the peer closes.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; 4096];
        while self.discarded < LINGER_BYTES_MAX {
            let mut buf = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                break;
            }
            self.discarded = self.discarded.saturating_add(buf.filled().len());
        }
        Poll::Ready(())
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.watch.0.closing.get() == Closing::Now {
            return this.poll_discard(cx).map(Ok);
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buf) {
            Poll::Ready(read) => {
                let came = buf.filled().get(before..).unwrap_or_default();
                this.read(came);
                if came.is_empty() {
                    this.ended();
                }
                Poll::Ready(read)
            }
            Poll::Pending => {
                this.poll_late(cx);
                Poll::Pending
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = done {
            this.wrote(buf.get(..written).unwrap_or_default());
        }
        this.in_time(cx, done)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(mut written)) = done {
            for buf in bufs {
                let now = written.min(buf.len());
                this.wrote(buf.get(..now).unwrap_or_default());
                written -= now;
            }
        }
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
    /// unread bytes would make its system throw away the answers.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.shut_down {
            let done = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.in_time(cx, done))?;
            this.shut_down = true;
        }
        if this.poll_discard(cx).is_pending() {
            ready!(this.poll_wait(cx, Wait::End, LINGER));
        }
        Poll::Ready(Ok(()))
    }
}
