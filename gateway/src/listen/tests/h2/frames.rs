//! A client that writes its frames itself: what the h2 crate refuses, what we do, and what is
//! counted of either.

use super::*;
use crate::protocol::frames::PREFACE;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GO_AWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
/// Both.
pub(super) const WHOLE: u8 = 5;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of literals that are not indexed (RFC 7541 §6.2.2).
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match text.len() {
                short @ ..127 => block.push(u8::try_from(short).expect("short")),
                mut left => {
                    block.push(127);
                    left -= 127;
                    while left >= 128 {
                        block.push(u8::try_from(left % 128).expect("short") | 128);
                        left /= 128;
                    }
                    block.push(u8::try_from(left).expect("short"));
                }
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

pub(super) const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/a")];

/// `GET`, with more fields.
pub(super) fn get(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &block(&[&GET[..], more].concat()))
}

/// The preface and empty settings.
pub(super) fn hello() -> Vec<u8> {
    [&PREFACE[..], &frame(SETTINGS, 0, 0, &[])].concat()
}

/// What the server sent, of which no more than the heads of frames is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// Of `RST_STREAM` and `GOAWAY`.
    pub(super) code: u32,
}

/// The next frame, or the end.
pub(super) async fn next(io: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<Got> {
    let mut head = [0; 9];
    io.read_exact(&mut head).await.ok()?;
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    let mut payload = vec![0; usize::try_from(number(&head[..3])).expect("short")];
    io.read_exact(&mut payload).await.ok()?;
    let code = match head[3] {
        RESET => number(&payload[..4]),
        GO_AWAY => number(&payload[4..8]),
        _ => 0,
    };
    Some(Got { kind: head[3], flags: head[4], stream: number(&head[5..]), code })
}

/// How the server took it: the end of an answer, a reset, or the end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Took {
    Answered(u32),
    Reset(u32, u32),
    GoAway(u32),
    Closed,
}

/// Reads until there is something of that.
pub(super) async fn took(io: &mut DuplexStream) -> Took {
    while let Some(Got { kind, flags, stream, code }) = next(io).await {
        match kind {
            HEADERS | DATA if flags & END_STREAM != 0 => return Took::Answered(stream),
            RESET => return Took::Reset(stream, code),
            GO_AWAY => return Took::GoAway(code),
            _ => {}
        }
    }
    Took::Closed
}

/// Reads until the server goes away, closes, and reads to the end.
pub(super) async fn end(io: &mut DuplexStream) {
    while next(io).await.is_some_and(|got| got.kind != GO_AWAY) {}
    let _ = io.shutdown().await;
    while next(io).await.is_some() {}
}

/// Sends `frames` after the preface, sees how the server takes them, and closes.
fn ask(frames: &[u8]) -> (Took, Vec<Saw>, Vec<(&'static str, u64)>) {
    let log = Log::default();
    let client = async |mut io: DuplexStream, _stage| {
        io.write_all(&[&hello(), frames].concat()).await.expect("room");
        let took = took(&mut io).await;
        let _ = io.shutdown().await;
        end(&mut io).await;
        took
    };
    let common = common(Limits::default());
    let over = connect_h2(recorder(Rc::clone(&log)), &common, 1 << 16, client);
    (over.client, log.take(), over.refused)
}

#[test]
fn what_the_h2_crate_refuses_is_counted() {
    #[track_caller]
    fn check(frames: &[u8], took: Took, refused: &[(&'static str, u64)]) {
        let got = ask(frames);
        assert_eq!(got, (took, Vec::new(), refused.to_vec()));
    }
    let head = |fields: &[(&str, &str)]| frame(HEADERS, WHOLE, 1, &block(fields));
    let reset = Took::Reset(1, 1);
    let once = [("protocol_error", 1)];
    let [method, scheme, authority, path] = GET;
    // Pseudo-header fields: missing, twice, after another field, unknown, of an answer.
    check(&head(&[scheme, authority, path]), reset, &once);
    check(&head(&[method, authority, path]), reset, &once);
    check(&head(&[method, scheme, authority]), reset, &once);
    check(&head(&[method, scheme, authority, path, path]), reset, &once);
    check(&head(&[method, scheme, ("x", "1"), authority, path]), reset, &once);
    check(&head(&[method, scheme, authority, path, (":status", "200")]), reset, &once);
    check(&head(&[method, scheme, authority, (":path", "")]), reset, &once);
    check(&head(&[method, scheme, authority, path, (":protocol", "x")]), reset, &once);
    check(&head(&[("x", "1"), ("y", "2")]), reset, &once);
    // What could become two heads, or another one, in HTTP/1.
    check(&head(&[method, scheme, authority, (":path", "/a b")]), reset, &once);
    check(&head(&[method, scheme, authority, (":path", "/a\tb")]), reset, &once);
    check(&head(&[method, scheme, authority, (":path", "a")]), reset, &once);
    check(&head(&[method, scheme, (":authority", "a b"), path]), reset, &once);
    for field in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("keep-alive", "1"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
        ("content-length", "5"),
        ("content-length", "x"),
    ] {
        check(&get(1, &[field]), reset, &once);
    }
    // These break the compression context, so they end the connection.
    let broken = Took::GoAway(1);
    check(&get(1, &[("X", "1")]), broken, &once);
    check(&get(1, &[("x", "1\r\ny: 2")]), broken, &once);
    check(&get(1, &[("x", "1\0")]), broken, &once);
    check(&get(1, &[("x y", "1")]), broken, &once);
    check(&get(1, &[("x:y", "1")]), broken, &once);
    check(&head(&[method, scheme, authority, path, (":x", "1")]), broken, &once);
    check(&frame(HEADERS, WHOLE, 1, &[0xff; 8]), broken, &once);
}

#[test]
fn what_breaks_a_connection_is_counted_once() {
    #[track_caller]
    fn check(frames: &[u8], took: Took, refused: &[(&'static str, u64)]) {
        let got = ask(frames);
        assert_eq!(got, (took, Vec::new(), refused.to_vec()));
    }
    check(&frame(HEADERS, WHOLE, 2, &block(&GET)), Took::GoAway(1), &[("protocol_error", 1)]);
    check(&frame(HEADERS, WHOLE, 0, &block(&GET)), Took::GoAway(1), &[("protocol_error", 1)]);
    check(&frame(DATA, 0, 1, b"a"), Took::GoAway(1), &[("protocol_error", 1)]);
    check(&frame(PING, 0, 0, b"short"), Took::GoAway(1), &[("protocol_error", 1)]);
    check(&frame(CONTINUATION, 4, 1, b""), Took::GoAway(1), &[("protocol_error", 1)]);
    check(&[0xff; 9], Took::GoAway(6), &[("frame_size_error", 1)]);
}

/// Sends `bytes` and leaves, once the handler has seen so many requests.
fn leave(bytes: &[u8], requests: usize) -> (Vec<Saw>, Vec<(&'static str, u64)>) {
    let log = Log::default();
    let client = async |mut io: DuplexStream, _stage| {
        io.write_all(bytes).await.expect("room");
        while log.borrow().len() < requests {
            tokio::task::yield_now().await;
        }
        let _ = io.shutdown().await;
        end(&mut io).await;
    };
    let common = common(Limits::default());
    let over = connect_h2(recorder(Rc::clone(&log)), &common, 1 << 16, client);
    (log.take(), over.refused)
}

#[test]
fn a_client_that_leaves_within_a_head_is_seen() {
    let head = [hello(), get(1, &[])].concat();
    let open = [hello(), frame(HEADERS, 0, 1, &block(&GET))].concat();
    for (bytes, refused) in [
        (&b""[..], &[][..]),
        (&hello(), &[]),
        (&head[..head.len() - 1], &[("head_incomplete", 1)]),
        (&open, &[("head_incomplete", 1)]),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[("protocol_error", 1)]),
    ] {
        assert_eq!(leave(bytes, 0), (Vec::new(), refused.to_vec()), "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_we_refuse_is_answered_and_the_connection_goes_on() {
    #[track_caller]
    fn check(fields: &[(&str, &str)], code: &'static str) {
        let frames = [frame(HEADERS, WHOLE, 1, &block(fields)), get(3, &[])].concat();
        let log = Log::default();
        let client = async |mut io: DuplexStream, _stage| {
            io.write_all(&[hello(), frames].concat()).await.expect("room");
            [took(&mut io).await, took(&mut io).await]
        };
        let common = common(Limits::default());
        let over = connect_h2(recorder(Rc::clone(&log)), &common, 1 << 16, client);
        assert_eq!(over.client, [Took::Answered(1), Took::Answered(3)]);
        assert_eq!(log.take(), [Saw::Refused(code), Saw::Request("/a".to_owned())]);
        assert_eq!(over.refused, []);
    }
    let [method, scheme, authority, path] = GET;
    check(&[method, scheme, path], "missing_host");
    check(&[method, scheme, authority, path, ("host", "b")], "absolute_form_mismatch");
    check(&[method, (":scheme", "http"), authority, path], "absolute_form_mismatch");
    check(&[method, scheme, (":authority", "u@a"), path], "user_info");
    check(&[(":method", "CONNECT"), authority], "authority_form");
    check(&[(":method", "OPTIONS"), scheme, authority, (":path", "*")], "asterisk_form");
    check(&[method, scheme, authority, (":path", "/a/../b")], "dot_segment");
    check(&[method, scheme, authority, path, ("x", " 1")], "bad_header_value");
    check(&[method, scheme, authority, path, ("x-forwarded_for", "1")], "underscore_header");
}

/// RFC 9113 §8.3.1 has no fragment in `:path`. The h2 crate cuts it off before anyone sees it.
#[test]
fn a_fragment_is_never_seen() {
    let [method, scheme, authority, _] = GET;
    let fields = [method, scheme, authority, (":path", "/a#/../b")];
    let (took, saw, refused) = ask(&frame(HEADERS, WHOLE, 1, &block(&fields)));
    assert_eq!((took, refused), (Took::Answered(1), Vec::new()));
    assert_eq!(saw, [Saw::Request("/a".to_owned())]);
}

#[test]
fn a_body_that_is_not_what_was_said_is_broken() {
    #[track_caller]
    fn check(length: Option<&str>, frames: &[Vec<u8>]) {
        let [_, scheme, authority, path] = GET;
        let mut fields = vec![(":method", "POST"), scheme, authority, path];
        fields.extend(length.map(|length| ("content-length", length)));
        let head = frame(HEADERS, END_HEADERS, 1, &block(&fields));
        let got = leave(&[hello(), head, frames.concat()].concat(), 1);
        assert_eq!(got, (vec![Saw::Broken("body_malformed")], Vec::new()));
    }
    let data = |flags, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    let reset = |code: u8| frame(RESET, 0, 1, &[0, 0, 0, code]);
    check(Some("3"), &[data(END_STREAM, b"ab")]);
    check(Some("3"), &[data(0, b"abcd")]);
    check(Some("3"), &[data(0, b"ab"), reset(8)]);
    check(None, &[data(0, b"ab"), reset(8)]);
    // hyper takes this for the end of a whole body.
    check(None, &[data(0, b"ab"), reset(0)]);
    check(Some("2"), &[data(0, b"ab"), reset(0)]);
}
