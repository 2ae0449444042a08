//! Times and counts of a connection, and what is counted of its heads.

use std::sync::atomic::Ordering;

use super::*;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(10);

/// Heads begun and heads that the handler saw.
fn counts(common: &Common) -> (u64, u64) {
    let tally = &common.tally;
    (tally.heads_begun.load(Ordering::Relaxed), tally.heads_taken.load(Ordering::Relaxed))
}

/// Sends `raw` and then waits.
fn check(raw: &str, limits: Limits, saw: &[Saw], statuses: &[u16], heads: (u64, u64)) {
    let (log, common) = (Log::default(), common(limits));
    let client = async |io| exchange(io, raw.as_bytes(), usize::MAX, usize::MAX).await;
    let answered = connect(recorder(Rc::clone(&log)), &common, 1 << 16, client);
    assert_eq!(log.take(), saw, "{answered:?}");
    assert_eq!(answered.statuses, statuses, "{answered:?}");
    assert!(answered.closed, "{answered:?}");
    assert_eq!(counts(&common), heads, "{raw:?}");
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

fn request() -> Saw {
    Saw::Request("/a".to_owned())
}

#[test]
fn a_head_has_a_time() {
    let limits = Limits { head_timeout: SHORT, idle_timeout: LONG, ..Limits::default() };
    let late = || Saw::Refused("head_timeout");
    check("G", limits, &[late()], &[408], (1, 1));
    check("GET /a HTTP/1.1\r\nHost: a\r\n", limits, &[late()], &[408], (1, 1));
    check(&format!("{GET}G"), limits, &[request(), late()], &[200, 408], (2, 2));
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let limits = Limits { head_timeout: LONG, idle_timeout: SHORT, ..Limits::default() };
    check("", limits, &[], &[], (0, 0));
    check(GET, limits, &[request()], &[200], (1, 1));
}

#[test]
fn the_last_request_of_a_connection() {
    let limits = Limits { requests: 2, idle_timeout: LONG, ..Limits::default() };
    check(&GET.repeat(3), limits, &[request(), request()], &[200, 200], (2, 2));
}

#[test]
fn a_client_that_leaves_within_a_head_is_seen() {
    let (log, common) = (Log::default(), common(Limits::default()));
    let client = async |mut io: DuplexStream| {
        io.write_all(b"GET /a HTTP/1.1\r\nHost").await.expect("room");
        io.shutdown().await.expect("open");
        io.read_to_end(&mut Vec::new()).await
    };
    connect(recorder(Rc::clone(&log)), &common, 1 << 16, client).expect("an end");
    assert_eq!(log.take(), [Saw::Refused("head_incomplete")]);
    assert_eq!(counts(&common), (1, 1));
}

#[test]
fn a_client_that_leaves_before_the_answer_ends_the_exchange() {
    let (entered, seen) = tokio::sync::oneshot::channel();
    let entered = RefCell::new(Some(entered));
    let handler = move |_: Raw| {
        let _ = entered.take().expect("one request").send(());
        std::future::pending::<Response<Full<Bytes>>>()
    };
    let client = async |mut io: DuplexStream| {
        io.write_all(GET.as_bytes()).await.expect("room");
        seen.await.expect("the handler was called");
    };
    // It returns: the handler was dropped, not waited for.
    connect(handler, &common(Limits::default()), 1 << 16, client);
}

#[test]
fn a_client_that_takes_no_answer_is_cut_off() {
    let limits = Limits { idle_timeout: SHORT, ..Limits::default() };
    let client = async |mut io: DuplexStream| {
        io.write_all(GET.as_bytes()).await.expect("room");
        io
    };
    // It returns while the client is still connected, and its pipe is full.
    let io = connect(recorder(Log::default()), &common(limits), 40, client);
    drop(io);
}

#[test]
fn a_client_that_takes_its_answer_slowly_is_not_idle() {
    let limits = Limits { idle_timeout: SHORT, ..Limits::default() };
    let client = async |mut io: DuplexStream| {
        io.write_all(GET.as_bytes()).await.expect("room");
        let (started, mut all) = (tokio::time::Instant::now(), Vec::new());
        // Each piece makes the server wait for less than the idle time, all of them for longer.
        while !all.ends_with(b"body") {
            all.push(io.read_u8().await.expect("not cut off"));
            let _ = tokio::time::timeout(SHORT / 10, std::future::pending::<()>()).await;
        }
        assert!(started.elapsed() > SHORT * 3, "slow enough to see");
        io.read_to_end(&mut Vec::new()).await.expect("an end, after the idle time")
    };
    assert_eq!(connect(recorder(Log::default()), &common(limits), 1, client), 0);
}
