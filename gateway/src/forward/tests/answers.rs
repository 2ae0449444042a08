//! What the client sees of an answer, and what is no answer.

use super::*;

/// The response to a request of `method` to which the origin says `raw` and hangs up.
async fn answer(method: &str, raw: &str) -> (Rig, Answered) {
    let (origin, address) = Origin::start().await;
    let rig = Rig::to(&[address], Limits { response_timeout: MOMENT * 20, ..Limits::default() });
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write(raw).await;
    };
    let request = request(method, "/", &[], Framing::None);
    let (answered, ()) = tokio::join!(soon(rig.forward(bodiless(request))), serve);
    (rig, answered)
}

#[tokio::test]
async fn answers_pass() {
    async fn check(method: &str, raw: &str, want: &[&str], body: &str) {
        let (mut rig, answered) = answer(method, raw).await;
        let response = answered.map_err(|failed| failed.failure).expect("an answer");
        let status = response.status().as_u16();
        let got: Vec<_> = fields(response.headers())
            .into_iter()
            .filter(|line| *line != format!("portcullis-decision-id: {ID}"))
            .collect();
        assert_eq!(got, want, "{raw:?}");
        assert_eq!(whole(response).await.expect("a body"), body, "{raw:?}");
        let bytes = body.len() as u64;
        assert_eq!(rig.ending().await, ending(Outcome::Answered, Some(status), bytes), "{raw:?}");
    }
    let ok = "HTTP/1.1 200 OK\r\n";
    check(
        "GET",
        &format!("{ok}content-length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nhi"),
        &["content-length: 2", "x-a: 1", "x-a: 2"],
        "hi",
    )
    .await;
    check(
        "GET",
        &format!("{ok}Transfer-Encoding: Chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"),
        &[],
        "hi",
    )
    .await;
    check("GET", &format!("{ok}\r\nto the end"), &[], "to the end").await;
    check("GET", "HTTP/1.0 200 fine\r\n\r\nold", &[], "old").await;
    check("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", &["content-length: 0"], "").await;
    check("HEAD", &format!("{ok}content-length: 20\r\n\r\n"), &["content-length: 20"], "").await;
    check("HEAD", &format!("{ok}transfer-encoding: chunked\r\n\r\n"), &[], "").await;
    check("GET", "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", &[], "").await;
    check(
        "GET",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: a\r\n\r\n",
        &["content-length: 5", "etag: a"],
        "",
    )
    .await;
    check("GET", "HTTP/1.1 599 Odd\r\ncontent-length: 0\r\n\r\n", &["content-length: 0"], "").await;
}

#[tokio::test]
async fn hop_by_hop_and_our_own_names_do_not_pass() {
    let raw = "HTTP/1.1 200 OK\r\n\
        Connection: close, X-Listed , content-length\r\n\
        Connection: other\r\n\
        X-Listed: 1\r\nother: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n\
        Proxy-Authenticate: Basic\r\nTE: trailers\r\nUpgrade: h2c\r\n\
        Portcullis-Decision-Id: forged\r\nportcullis_decision_id: forged\r\nPortcullis-X: 1\r\n\
        x-kept: 1\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 0\r\n\r\n";
    let (_rig, answered) = answer("GET", raw).await;
    let response = answered.map_err(|failed| failed.failure).expect("an answer");
    let want = [
        "content-length: 0",
        &format!("portcullis-decision-id: {ID}"),
        "set-cookie: a",
        "set-cookie: b",
        "x-kept: 1",
    ];
    assert_eq!(fields(response.headers()), want);
    assert!(response.extensions().is_empty(), "no reason phrase of the upstream's");
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
    async fn check(method: &str, raw: &str, want: Failure) {
        let (mut rig, answered) = answer(method, raw).await;
        let failed = failed(answered);
        assert_eq!((failed.failure, want.status()), (want, 502), "{raw:?}");
        let page = Response::builder().status(502).body(Bytes::from_static(b"{}")).expect("a page");
        let body = if method == "HEAD" { "" } else { "{}" };
        assert_eq!(whole(failed.account.answer(page)).await.expect("a page"), body);
        let want = Completion {
            detail: Some(want.code()),
            ..ending(Outcome::UpstreamFailed, Some(502), body.len() as u64)
        };
        assert_eq!(rig.ending().await, want, "{raw:?}");
    }
    let bad = Failure::BadResponse;
    let ok = "HTTP/1.1 200 OK\r\n";
    check("GET", "", Failure::Reset).await;
    check("GET", "HTTP/1.1 200 OK\r\ncontent-le", Failure::Reset).await;
    check("GET", "HTTP/1.1 100 Continue\r\n\r\n", Failure::Reset).await;
    check("GET", "SSH-2.0-OpenSSH_9.9\r\n", bad).await;
    check("GET", "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n", bad).await;
    check("GET", "HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n", bad).await;
    check("GET", &format!("{ok}content-length: 1a\r\n\r\nh"), bad).await;
    check("GET", &format!("{ok}content-length: +1\r\n\r\nh"), bad).await;
    check("GET", &format!("{ok}content-length: 1, 1\r\n\r\nh"), bad).await;
    check("GET", &format!("{ok}content-length: 1\r\ncontent-length: 1\r\n\r\nh"), bad).await;
    check("GET", &format!("{ok}content-length: 1\r\ncontent-length: 2\r\n\r\nh"), bad).await;
    check("GET", &format!("{ok}content-length: 18446744073709551616\r\n\r\n"), bad).await;
    check("HEAD", &format!("{ok}content-length: x\r\n\r\n"), bad).await;
    check(
        "GET",
        &format!("{ok}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        bad,
    )
    .await;
    check("GET", &format!("{ok}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), bad).await;
    check(
        "GET",
        &format!("{ok}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        bad,
    )
    .await;
    check("GET", &format!("{ok}transfer-encoding: identity\r\n\r\nh"), bad).await;
    check("GET", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", bad).await;
    check("GET", &format!("{ok}x-a : 1\r\ncontent-length: 0\r\n\r\n"), bad).await;
    check("GET", &format!("{ok}x-a: 1\r\n 2\r\ncontent-length: 0\r\n\r\n"), bad).await;
}

#[tokio::test]
async fn the_answers_head_has_limits() {
    async fn check(fields: usize, bytes: usize, want: Option<Failure>) {
        let mut raw = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_owned();
        for _ in 1..fields {
            raw.push_str("x: ");
            raw.push_str(&"y".repeat(bytes / fields));
            raw.push_str("\r\n");
        }
        raw.push_str("\r\n");
        let (_rig, answered) = answer("GET", &raw).await;
        assert_eq!(answered.err().map(|failed| failed.failure), want, "{fields} {bytes}");
    }
    check(100, 128, None).await;
    check(101, 101, Some(Failure::BadResponse)).await;
    check(100, 60 * 1024, None).await;
    check(100, 128 * 1024, Some(Failure::BadResponse)).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    async fn check(raw: &str, body_out: u64) {
        let (mut rig, answered) = answer("GET", raw).await;
        let response = answered.map_err(|failed| failed.failure).expect("an answer");
        assert_eq!(whole(response).await, Err(Failure::Reset), "{raw:?}");
        let want = Completion {
            detail: Some("reset"),
            ..ending(Outcome::UpstreamFailed, Some(200), body_out)
        };
        assert_eq!(rig.ending().await, want, "{raw:?}");
    }
    check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi", 2).await;
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", 2).await;
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\nx", 2).await;
}

#[tokio::test]
async fn trailers_pass_but_ours() {
    let raw = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
        2\r\nhi\r\n0\r\nx-sum: 1\r\nportcullis-decision-id: forged\r\nupgrade: x\r\n\r\n";
    let (mut rig, answered) = answer("GET", raw).await;
    let response = answered.map_err(|failed| failed.failure).expect("an answer");
    assert_eq!(response.headers()["trailer"], "x-sum");
    let collected = soon(response.into_body().collect()).await.expect("a body");
    assert_eq!(collected.trailers().map(fields), Some(vec!["x-sum: 1".to_owned()]));
    assert_eq!(rig.ending().await, ending(Outcome::Answered, Some(200), 2));
}

#[tokio::test]
async fn an_answer_in_time() {
    let limits = Limits { response_timeout: MOMENT, ..Limits::default() };
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], limits);
    let serve = async {
        let mut wire = origin.accept().await;
        wire.write("HTTP/1.1 100 Continue\r\n\r\n").await;
        wire.rest().await
    };
    let (answered, seen) = tokio::join!(soon(rig.forward(get("/"))), serve);
    assert!(seen.starts_with(b"GET / "), "and the connection is closed");
    let failed = failed(answered);
    assert_eq!((failed.failure, failed.failure.status()), (Failure::ResponseTimeout, 504));
    drop(failed);
    let want =
        Completion { detail: Some("response_timeout"), ..ending(Outcome::ClientGone, None, 0) };
    assert_eq!(rig.ending().await, want);
}

#[tokio::test]
async fn a_body_in_time() {
    let limits = Limits { idle_timeout: MOMENT, ..Limits::default() };
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], limits);
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi").await;
        wire.rest().await;
    };
    let read = async {
        let response = soon(rig.forward(get("/"))).await.map_err(|failed| failed.failure);
        whole(response.expect("an answer")).await
    };
    let (got, ()) = tokio::join!(read, serve);
    assert_eq!(got, Err(Failure::Stalled));
    let want = Completion { detail: Some("stalled"), ..ending(Outcome::TimedOut, Some(200), 2) };
    assert_eq!(rig.ending().await, want);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_it() {
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits::default());
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi").await;
        wire
    };
    let (answered, mut wire) = tokio::join!(soon(rig.forward(get("/"))), serve);
    let response = answered.map_err(|failed| failed.failure).expect("an answer");
    let mut body = response.into_body();
    assert!(soon(body.frame()).await.is_some_and(|frame| frame.is_ok()));
    drop(body);
    assert!(wire.rest().await.is_empty(), "the connection is closed");
    assert_eq!(rig.pools.idle(), 0);
    assert_eq!(rig.ending().await, ending(Outcome::ClientGone, Some(200), 2));
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_answer_ends_it() {
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits::default());
    let mut call = Box::pin(rig.forward(get("/")));
    let mut wire = tokio::select! {
        _ = &mut call => panic!("there is no answer"),
        wire = origin.accept() => wire,
    };
    drop(call);
    wire.rest().await;
    assert_eq!(rig.ending().await, ending(Outcome::ClientGone, None, 0));
}

/// A gated request whose answer is there: neither it nor a failure leaves before the sync.
#[tokio::test]
async fn a_gated_answer_waits_for_the_sync() {
    async fn check(raw: &str, synced: bool, want: Result<u16, Failure>) {
        let (origin, address) = Origin::start().await;
        let mut rig = Rig::to(&[address], Limits::default());
        rig.sync.send_replace(None);
        let mut call = Box::pin(rig.forward(get("/")));
        let serve = async {
            let mut wire = origin.accept().await;
            wire.head().await;
            wire.write(raw).await;
        };
        tokio::select! {
            _ = &mut call => panic!("answered before the sync"),
            () = serve => {}
        }
        assert!(timeout(MOMENT, &mut call).await.is_err(), "answered before the sync");
        rig.sync.send_replace(Some(synced));
        let got = soon(call).await;
        assert_eq!(
            got.as_ref()
                .map(|response| response.status().as_u16())
                .map_err(|failed| failed.failure),
            want
        );
        drop(got);
        assert_eq!(rig.ending().await.detail, want.err().map(Failure::code));
    }
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    check(ok, true, Ok(200)).await;
    check(ok, false, Err(Failure::LedgerUnavailable)).await;
    check("", true, Err(Failure::Reset)).await;
    check("", false, Err(Failure::LedgerUnavailable)).await;
}

#[tokio::test]
async fn a_failed_sync_does_not_wait_for_the_upstream() {
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits::default());
    rig.sync.send_replace(None);
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        rig.sync.send_replace(Some(false));
        wire.rest().await;
    };
    let (answered, ()) = tokio::join!(soon(rig.forward(get("/"))), serve);
    let failed = failed(answered);
    assert_eq!((failed.failure, failed.failure.status()), (Failure::LedgerUnavailable, 503));
    drop(failed);
    assert_eq!(rig.ending().await.outcome, Outcome::ClientGone);
}

/// To take the first piece of a body is what has `100 Continue` sent.
#[tokio::test]
async fn a_gated_body_that_is_expected_is_not_touched_before_the_sync() {
    let (origin, address) = Origin::start().await;
    let rig = Rig::to(&[address], Limits::default());
    rig.sync.send_replace(None);
    let feed = Feed::of([data("ab")]);
    let expect = [("expect", "100-continue")];
    let request = request("PUT", "/", &expect, Framing::Length(2));
    let mut call = Box::pin(rig.forward(Sending { feed: Some(feed), ..bodiless(request) }));
    let waits = timeout(MOMENT, async {
        tokio::select! {
            _ = &mut call => {}
            _ = origin.accept() => {}
        }
    });
    assert!(waits.await.is_err(), "neither an answer nor a connection");
    rig.sync.send_replace(Some(true));
    let serve = async {
        let mut wire = origin.accept().await;
        let head = wire.read_to(b"\r\n\r\nab").await;
        wire.write("HTTP/1.1 204 No Content\r\n\r\n").await;
        head
    };
    let (answered, head) = tokio::join!(soon(call), serve);
    assert!(answered.is_ok() && !head.contains("expect"), "{head}");
}

#[tokio::test]
async fn our_own_answer_to_head_has_no_body() {
    let (_origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits::default());
    let entry =
        Remembered { synced: rig.sync.subscribe(), endings: rig.entry.take().expect("an entry") };
    let account = Account::new(entry, &http::Method::HEAD, Instant::now());
    let response = account.answer(Response::new(Bytes::from_static(b"page")));
    assert!(http_body::Body::is_end_stream(response.body()));
    drop(response);
    let got = soon(rig.endings.recv()).await.expect("a completion");
    assert_eq!((got.outcome, got.body_out_bytes), (Outcome::Answered, 0));
    assert_eq!(got.upstream, None, "nothing was forwarded");
}

#[tokio::test]
async fn a_panic_is_not_the_clients_leaving() {
    let (endings, mut told) = mpsc::unbounded_channel();
    let entry = || Remembered { synced: watch::channel(None).1, endings: endings.clone() };
    let panicked = crate::panics::caught(|| {
        let _account = Account::new(entry(), &http::Method::GET, Instant::now());
        assert!(std::hint::black_box(false), "as intended by this test");
    });
    assert_eq!(panicked, Err(crate::panics::Panicked));
    drop(Account::new(entry(), &http::Method::GET, Instant::now()));
    for want in [Outcome::Abandoned, Outcome::ClientGone] {
        assert_eq!(soon(told.recv()).await.map(|ending| ending.outcome), Some(want));
    }
}
