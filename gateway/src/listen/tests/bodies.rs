//! Bodies: what is inspected, what comes after it, and what does not come.

use http_body_util::Collected;
use tokio::time::Instant;

use super::*;
use crate::read::{BodyError, BodyLimits, Exchange, PIECE_BYTES};
use crate::shares::Shares;

type Collect = Result<Collected<Bytes>, BodyError>;

type Inspection = (Result<(Bytes, bool), BodyError>, Collect);

/// Inspects up to `limit` bytes in `time`, then reads all, and keeps what came of both.
fn inspect(raw: &str, limit: usize, time: Duration) -> Inspection {
    inspect_in(&Shares::new(1 << 20, 1 << 20), raw, limit, time)
}

/// The same, as long as there is room.
fn inspect_in(room: &Arc<Shares>, raw: &str, limit: usize, time: Duration) -> Inspection {
    let (results, to) = std::sync::mpsc::channel();
    let room = Arc::clone(room);
    let handler = move |raw: Raw| {
        let (results, room) = (results.clone(), Arc::clone(&room));
        async move {
            let Raw { head, body, conn, .. } = raw;
            let mut exchange = Exchange { request: head.expect("readable"), body, conn };
            let inspected = exchange.inspect(limit, Instant::now() + time, &room).await;
            let inspected = inspected.map(|()| exchange.request.inspected);
            let inspected = inspected.map(|inspected| (inspected.bytes, inspected.whole));
            results.send((inspected, exchange.body.collect().await)).expect("asked for");
            answer(200)
        }
    };
    let client = async |io| exchange(io, raw.as_bytes(), 3, 1).await;
    connect(handler, &common(Limits::default()), 64, client);
    to.recv().expect("a result")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(30);

#[test]
fn the_inspected_prefix() {
    fn check(raw: &str, all: &str) {
        for limit in 0..9 {
            let (inspected, rest) = inspect(raw, limit, LONG);
            let (bytes, whole) = inspected.expect("inspected");
            assert_eq!(bytes, all.get(..limit).unwrap_or(all), "{limit} of {raw:?}");
            assert_eq!(whole, all.len() <= limit, "{limit} of {raw:?}");
            assert_eq!(rest.expect("whole").to_bytes(), all, "{limit} of {raw:?}");
        }
    }
    check("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "");
    check(&post("Content-Length: 0\r\n", ""), "");
    check(&post("Content-Length: 6\r\n", "abcdef"), "abcdef");
    check(&post(CHUNKED, "0\r\n\r\n"), "");
    check(&post(CHUNKED, "6\r\nabcdef\r\n0\r\n\r\n"), "abcdef");
    check(&post(CHUNKED, "2\r\nab\r\n1\r\nc\r\n3\r\ndef\r\n0\r\nX: 1\r\n\r\n"), "abcdef");
}

#[test]
fn what_is_held_has_room_or_is_refused() {
    let length = |body: &str| post(&format!("Content-Length: {}\r\n", body.len()), body);
    let chunks = "1\r\na\r\n".repeat(6);
    for (raw, limit, whole, needed) in [
        (length("abcdef"), 6, true, PIECE_BYTES + 6),
        (length("abcdef"), 3, false, PIECE_BYTES + 6),
        (post(CHUNKED, &format!("{chunks}0\r\n\r\n")), 6, true, 6 * (PIECE_BYTES + 1)),
    ] {
        let none = Err(BodyError::NoRoom);
        for (all, own, want) in
            [(needed, needed, Ok(whole)), (needed - 1, needed, none), (needed, needed - 1, none)]
        {
            let room = Shares::new(all, own);
            let (inspected, rest) = inspect_in(&room, &raw, limit, LONG);
            assert_eq!(inspected.map(|(_, whole)| whole), want, "{all}, {own} for {raw:?}");
            assert_eq!(rest.map(|_| ()).err(), want.err(), "{all}, {own} for {raw:?}");
            assert_eq!(room.held(), 0, "all of it is given back");
        }
    }
}

#[test]
fn a_prefix_that_does_not_come_in_time() {
    let started = Instant::now();
    let (inspected, rest) = inspect(&post("Content-Length: 6\r\n", "abc"), 6, SHORT);
    assert_eq!(inspected, Err(BodyError::Stalled));
    assert_eq!(rest.map(|_| ()), Err(BodyError::Stalled));
    assert!(started.elapsed() < LONG / 2, "nothing more is waited for");
}

#[test]
fn trailers_that_pass() {
    for limit in [0, 9] {
        let trailers = "X-Sum: 1\r\nX-Forwarded-User: admin\r\nContent-Type: a\r\nHost: b\r\n";
        let raw = post(CHUNKED, &format!("1\r\na\r\n0\r\n{trailers}\r\n"));
        let body = inspect(&raw, limit, LONG).1.expect("whole");
        let names: Vec<_> = body.trailers().expect("trailers").keys().cloned().collect();
        assert_eq!(names, ["x-sum"]);
    }
}

/// What the handler saw of `raw`, of a client that then waits, and what it was answered.
fn run(raw: &str, body: BodyLimits) -> (Vec<Saw>, Answered) {
    let log = Log::default();
    let limits = Limits { body, ..Limits::default() };
    let client = async |io| exchange(io, raw.as_bytes(), usize::MAX, usize::MAX).await;
    let answered = connect(recorder(Rc::clone(&log)), &common(limits), 1 << 16, client);
    (log.take(), answered)
}

#[test]
fn a_body_longer_than_the_limit() {
    let limits = BodyLimits { bytes: 4, ..BodyLimits::default() };
    let chunked = |body: &str| post("Connection: close\r\nTransfer-Encoding: chunked\r\n", body);
    let (saw, answered) = run(&chunked("4\r\nabcd\r\n0\r\n\r\n"), limits);
    assert_eq!((saw, answered.statuses), (vec![Saw::Request("/a".to_owned())], vec![200]));
    let (saw, answered) = run(&chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), limits);
    assert_eq!((saw, answered.statuses), (vec![Saw::Broken("body_too_long")], vec![413]));
    let (_, answered) = run(&post(CHUNKED, "5\r\nabcde\r\n9\r\n"), limits);
    assert_eq!((answered.statuses, answered.closed), (vec![413], true), "no more is read");
}

#[test]
fn a_body_that_stalls() {
    let limits = BodyLimits { idle: SHORT, ..BodyLimits::default() };
    for raw in [
        post("Content-Length: 6\r\n", ""),
        post("Content-Length: 6\r\n", "abc"),
        post(CHUNKED, "6\r\nabc"),
        post(CHUNKED, "6\r\nabcdef\r\n0\r\n"),
    ] {
        let (saw, answered) = run(&raw, limits);
        assert_eq!(saw, [Saw::Broken("body_timeout")], "{raw:?}");
        assert_eq!((answered.statuses, answered.closed), (vec![408], true), "{raw:?}");
    }
}

#[test]
fn a_client_that_leaves_within_a_body() {
    for raw in [post("Content-Length: 6\r\n", "abc"), post(CHUNKED, "6\r\nabc"), post(CHUNKED, "6")]
    {
        let log = Log::default();
        let client = async |mut io: DuplexStream| {
            io.write_all(raw.as_bytes()).await.expect("room");
            io.shutdown().await.expect("open");
            io.read_to_end(&mut Vec::new()).await
        };
        connect(recorder(Rc::clone(&log)), &common(Limits::default()), 1 << 16, client)
            .expect("an end");
        assert_eq!(log.take(), [Saw::Broken("body_malformed")], "{raw:?}");
    }
}

/// A handler that answers without reading.
fn hasty(log: Log) -> impl Handler<Body = Full<Bytes>> {
    move |raw: Raw| {
        let path = raw.head.expect("readable").path.as_str().to_owned();
        log.borrow_mut().push(Saw::Request(path));
        std::future::ready(answer(403))
    }
}

#[test]
fn an_unread_body() {
    /// The body of the first request is not read: how many answers come, and whether the
    /// connection is closed for it.
    fn check(raw: &str, answers: usize, closed: bool) {
        let (log, next) = (Log::default(), "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
        let raw = format!("{raw}{next}");
        let client = async |io| exchange(io, raw.as_bytes(), usize::MAX, answers).await;
        let answered = connect(hasty(Rc::clone(&log)), &common(Limits::default()), 1 << 12, client);
        assert_eq!(answered.statuses, vec![403; answers], "{answered:?}");
        assert_eq!(answered.closed, closed, "{answered:?}");
        assert_eq!(answered.text.contains("connection: close"), closed, "{answered:?}");
        assert_eq!(log.borrow().len(), answers);
        assert!(!answered.text.contains("100 Continue"), "{answered:?}");
    }
    check(&post("Content-Length: 6\r\n", "abcdef"), 2, false);
    check(&post("Content-Length: 500000\r\n", &"a".repeat(500_000)), 1, true);
    let chunk = format!("{:x}\r\n{}\r\n", 9999, "a".repeat(9999));
    check(&post(CHUNKED, &format!("{}0\r\n\r\n", chunk.repeat(50))), 1, true);
    check(&post("Expect: 100-continue\r\nContent-Length: 1000000\r\n", ""), 1, true);
}

#[test]
fn a_client_that_waits_to_be_asked() {
    let log = Log::default();
    let client = async |mut io: DuplexStream| {
        let head = post("Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n", "");
        io.write_all(head.as_bytes()).await.expect("room");
        let mut interim = [0; 25];
        io.read_exact(&mut interim).await.expect("an interim answer");
        io.write_all(b"abc").await.expect("room");
        let mut rest = String::new();
        io.read_to_string(&mut rest).await.expect("an answer");
        (String::from_utf8_lossy(&interim).into_owned(), rest)
    };
    let (interim, rest) =
        connect(recorder(Rc::clone(&log)), &common(Limits::default()), 1 << 12, client);
    assert_eq!(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{rest}");
    assert_eq!(log.take(), [Saw::Request("/a".to_owned())]);
}
