//! Bodies on their way: whole, cut short, stalled, and no faster than the slower side.

use ring::digest::{SHA256, digest};

use super::*;

const CHUNK: &[u8] = &[b'x'; 64 * 1024];

fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    digest(&SHA256, bytes).as_ref().try_into().ok()
}

#[tokio::test]
async fn a_body_arrives_as_it_was_sent() {
    async fn check(framing: Framing, feed: Feed, raw: &str, body: &str) {
        let (origin, address) = Origin::start().await;
        let mut rig = Rig::to(&[address], Limits::default());
        let serve = async {
            let mut wire = origin.accept().await;
            wire.head().await;
            let got = wire.read_to(raw.as_bytes()).await;
            wire.write("HTTP/1.1 204 No Content\r\n\r\n").await;
            got
        };
        let (answered, got) = tokio::join!(soon(rig.forward(post(framing, feed))), serve);
        assert!(answered.is_ok());
        assert_eq!(got, raw);
        drop(answered);
        let want = Completion {
            body_in_bytes: body.len() as u64,
            body_sha256: sha256(body.as_bytes()),
            ..ending(Outcome::Answered, Some(204), 0)
        };
        assert_eq!(rig.ending().await, want);
    }
    check(Framing::Length(4), Feed::of([data("ab"), data("cd")]), "abcd", "abcd").await;
    check(
        Framing::Chunked,
        Feed::of([data("ab"), data("c")]),
        "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        "abc",
    )
    .await;
    check(Framing::Chunked, Feed::of([]), "0\r\n\r\n", "").await;
}

#[tokio::test]
async fn announced_trailers_pass_but_those_only_we_set() {
    let sent = "x-sum: 1\r\nx-forwarded-user: admin\r\nportcullis-x: 1\r\nx-more: 1\r\n";
    let feed = Feed::of([data("ab"), Piece::Trailers(sent)]);
    let announced = [("trailer", "x-sum, x-forwarded-user, portcullis-x")];
    let (origin, address) = Origin::start().await;
    let rig = Rig::to(&[address], Limits::default());
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        let got = wire.read_to(b"\r\n\r\n").await;
        wire.write("HTTP/1.1 204 No Content\r\n\r\n").await;
        got
    };
    let request = request("POST", "/", &announced, Framing::Chunked);
    let sending = Sending { feed: Some(feed), ..bodiless(request) };
    let (answered, got) = tokio::join!(soon(rig.forward(sending)), serve);
    assert!(answered.is_ok());
    assert_eq!(got, "2\r\nab\r\n0\r\nx-sum: 1\r\n\r\n");
}

/// A body that does not arrive whole never looks whole to the upstream.
#[tokio::test]
async fn a_body_cut_short_is_cut_short() {
    async fn check(framing: Framing, feed: Feed, want: ClientBody, status: u16) {
        let (origin, address) = Origin::start().await;
        let mut rig = Rig::to(&[address], Limits::default());
        let serve = async { origin.accept().await.rest().await };
        let limits = BodyLimits { bytes: 4, ..BodyLimits::default() };
        let sending = Sending { limits, ..post(framing, feed) };
        let (answered, seen) = tokio::join!(soon(rig.forward(sending)), serve);
        let seen = String::from_utf8(seen).expect("text");
        let body = seen.split_once("\r\n\r\n").map_or("", |(_head, body)| body);
        assert!(!body.ends_with("0\r\n\r\n") && body.len() < 10, "{framing:?} {seen:?}");
        let failed = failed(answered);
        assert_eq!(failed.failure, Failure::ClientBody(want));
        assert_eq!(failed.failure.status(), status);
        drop(failed);
        let got = rig.ending().await;
        assert_eq!(got.detail, Some(Failure::ClientBody(want).code()));
        assert_eq!((got.body_in_bytes, got.body_sha256), (2, None));
        assert_eq!(rig.pools.idle(), 0);
    }
    let ten = Framing::Length(10);
    for framing in [ten, Framing::Chunked] {
        check(framing, Feed::of([data("ab"), Piece::Cut]), ClientBody::Gone, 400).await;
        check(framing, Feed::of([data("ab"), data("cde")]), ClientBody::TooLarge, 413).await;
    }
    check(ten, Feed::of([data("ab")]), ClientBody::Gone, 400).await;
    check(ten, Feed::of([data("ab"), Piece::Trailers("x: 1\r\n")]), ClientBody::Gone, 400).await;
    let three = Framing::Length(3);
    check(three, Feed::of([data("ab"), data("cd")]), ClientBody::Malformed, 400).await;
}

#[tokio::test]
async fn a_client_that_pauses_too_long_is_cut_off() {
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits { idle_timeout: MOMENT, ..Limits::default() });
    let (feeder, feed) = Feed::new();
    feeder.try_send(data("ab")).expect("room");
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.rest().await
    };
    let (answered, seen) = tokio::join!(soon(rig.forward(post(Framing::Length(3), feed))), serve);
    assert_eq!(seen, b"ab");
    let failed = failed(answered);
    assert_eq!(
        (failed.failure, failed.failure.status()),
        (Failure::ClientBody(ClientBody::Stalled), 408)
    );
    let page = Response::builder().status(408).body(Bytes::new()).expect("a page");
    drop(failed.account.answer(page));
    drop(feeder);
    let want = Completion {
        detail: Some("client_body_stalled"),
        body_in_bytes: 2,
        ..ending(Outcome::TimedOut, Some(408), 0)
    };
    assert_eq!(rig.ending().await, want);
}

/// `response_timeout` runs from the body's end: a long upload is no slow answer.
#[tokio::test]
async fn an_upload_may_take_longer_than_an_answer() {
    let limits =
        Limits { response_timeout: MOMENT, idle_timeout: MOMENT * 50, ..Limits::default() };
    let (origin, address) = Origin::start().await;
    let rig = Rig::to(&[address], limits);
    let (feeder, feed) = Feed::new();
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        assert!(timeout(MOMENT * 3, wire.0.read_u8()).await.is_err(), "nothing to read yet");
        feeder.send(data("abc")).await.expect("taken");
        wire.read_to(b"abc").await;
        wire.write("HTTP/1.1 204 No Content\r\n\r\n").await;
    };
    let (answered, ()) = tokio::join!(soon(rig.forward(post(Framing::Length(3), feed))), serve);
    assert!(answered.is_ok());
}

/// The upstream reads nothing: the gateway takes no more of an endless body than sockets hold.
#[tokio::test]
async fn an_upstream_that_does_not_read_slows_the_client() {
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits { idle_timeout: MOMENT * 3, ..Limits::default() });
    let (feeder, feed) = Feed::new();
    let taken = Arc::clone(&feed.taken);
    let client = tokio::spawn(async move {
        while feeder.send(Piece::Data(Bytes::from_static(CHUNK))).await.is_ok() {}
    });
    let (answered, wire) =
        tokio::join!(soon(rig.forward(post(Framing::Chunked, feed))), origin.accept());
    assert_eq!(failed(answered).failure, Failure::ResponseTimeout);
    soon(client).await.expect("the client is told to stop");
    let taken = taken.load(Ordering::Relaxed);
    assert!((1..24 << 20).contains(&taken), "took {taken} bytes");
    assert!((1..=taken).contains(&rig.ending().await.body_in_bytes));
    drop(wire);
}

/// The client reads nothing: the upstream can write no more than sockets hold. Then it reads,
/// and everything arrives.
#[tokio::test]
async fn a_client_that_does_not_read_slows_the_upstream() {
    const ALL: usize = 64 << 20;
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits::default());
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {ALL}\r\n\r\n")).await;
        wire
    };
    let (answered, mut wire) = tokio::join!(soon(rig.forward(get("/"))), serve);
    let response = answered.map_err(|failed| failed.failure).expect("an answer");
    let mut written = 0;
    while let Ok(more) = timeout(MOMENT, wire.0.write(CHUNK)).await {
        written += more.expect("writable");
        assert!(written < 24 << 20, "nobody reads, and {written} bytes were taken");
    }
    let write = async {
        while written < ALL {
            let chunk = CHUNK.split_at((ALL - written).min(CHUNK.len())).0;
            written += wire.0.write(chunk).await.expect("writable");
        }
    };
    let read = async {
        let mut body = response.into_body();
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
        }
        bytes
    };
    let ((), bytes) = soon(async { tokio::join!(write, read) }).await;
    assert_eq!(bytes, ALL);
    assert_eq!(rig.ending().await, ending(Outcome::Answered, Some(200), ALL as u64));
    assert_eq!(rig.pools.idle(), 1);
}

/// Both bodies at once, 10 MiB each way: the upstream answers while it reads.
#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    const CHUNKS: usize = 160;
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits::default());
    let all = (CHUNKS * CHUNK.len()) as u64;
    let (feeder, feed) = Feed::new();
    let echo = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {all}\r\n\r\n")).await;
        let (mut read, mut write) = wire.0.split();
        let mut left = all;
        let mut piece = vec![0; CHUNK.len()];
        while left > 0 {
            let got = read.read(&mut piece).await.expect("readable");
            assert!(got > 0, "cut short");
            write.write_all(&piece[..got]).await.expect("writable");
            left -= got as u64;
        }
        wire
    };
    let client = async {
        for _ in 0..CHUNKS {
            feeder.send(Piece::Data(Bytes::from_static(CHUNK))).await.expect("taken");
        }
    };
    let answered = async {
        let response = rig.forward(post(Framing::Length(all), feed)).await;
        whole(response.map_err(|failed| failed.failure).expect("an answer")).await
    };
    let (_wire, (), body) = soon(async { tokio::join!(echo, client, answered) }).await;
    let body = body.expect("a body");
    assert!(body.len() as u64 == all && body.iter().all(|&byte| byte == b'x'));
    let want = Completion {
        body_in_bytes: all,
        body_sha256: sha256(&body),
        ..ending(Outcome::Answered, Some(200), all)
    };
    assert_eq!(rig.ending().await, want);
    assert_eq!(rig.pools.idle(), 1);
}

/// An answer that is over before the upload is: the rest of the body has nowhere to go, and the
/// connection is not used again.
#[tokio::test]
async fn an_early_answer_ends_the_upload() {
    let (origin, address) = Origin::start().await;
    let kept = Limits { pool_idle_timeout: PATIENCE * 2, ..Limits::default() };
    let mut rig = Rig::to(&[address], kept);
    let (feeder, feed) = Feed::new();
    feeder.try_send(data("ab")).expect("room");
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
        wire
    };
    let (answered, mut wire) =
        tokio::join!(soon(rig.forward(post(Framing::Length(10), feed))), serve);
    let response = answered.map_err(|failed| failed.failure).expect("an answer");
    assert_eq!(response.status(), 403);
    assert_eq!(whole(response).await.expect("a body"), "no");
    assert_eq!(wire.rest().await, b"ab");
    soon(feeder.closed()).await;
    assert_eq!(rig.pools.idle(), 0);
    assert_eq!(
        rig.ending().await,
        Completion { body_in_bytes: 2, ..ending(Outcome::Answered, Some(403), 2) }
    );
}

/// The client breaks off after the answer has begun.
#[tokio::test]
async fn a_client_that_breaks_off_mid_answer_ends_it() {
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits::default());
    let (feeder, feed) = Feed::new();
    feeder.try_send(data("ab")).expect("room");
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi").await;
        wire
    };
    let (answered, mut wire) =
        tokio::join!(soon(rig.forward(post(Framing::Length(10), feed))), serve);
    feeder.send(Piece::Cut).await.expect("taken");
    let response = answered.map_err(|failed| failed.failure).expect("an answer");
    assert_eq!(whole(response).await, Err(Failure::ClientBody(ClientBody::Gone)));
    assert_eq!(wire.rest().await, b"ab");
    let got = rig.ending().await;
    assert_eq!((got.outcome, got.detail), (Outcome::ClientGone, Some("client_body_gone")));
}
