//! Which connection a request goes out on, and when it goes out again.

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// One request on `wire`, answered with `raw`; the head as the origin saw it.
async fn exchange_on(rig: &Rig, wire: &mut Wire, target: &str, raw: &str) -> String {
    let serve = async {
        let head = wire.head().await;
        wire.write(raw).await;
        head
    };
    let (answered, head) = tokio::join!(soon(rig.forward(get(target))), serve);
    let response = answered.map_err(|failed| failed.failure).expect("an answer");
    assert_eq!(whole(response).await.expect("a body"), "hi");
    head
}

/// A rig with one idle connection, and its other end.
async fn warm(limits: Limits) -> (Origin, Rig, Wire) {
    let (origin, address) = Origin::start().await;
    let rig = Rig::to(&[address], limits);
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write(OK).await;
        wire
    };
    let (answered, wire) = tokio::join!(soon(rig.forward(get("/first"))), serve);
    let response = answered.map_err(|failed| failed.failure).expect("an answer");
    assert_eq!(whole(response).await.expect("a body"), "hi");
    assert_eq!(rig.pools.idle(), 1);
    (origin, rig, wire)
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let (_origin, rig, mut wire) = warm(Limits::default()).await;
    for raw in [OK, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", OK]
    {
        let head = exchange_on(&rig, &mut wire, "/again", raw).await;
        assert!(head.starts_with("GET /again "), "{head}");
        assert_eq!(rig.pools.idle(), 1);
        assert_eq!(rig.upstream.endpoints()[0].load(), 0);
    }
}

#[tokio::test]
async fn a_connection_that_closes_is_not_kept() {
    for raw in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    ] {
        let (origin, rig, mut wire) = warm(Limits::default()).await;
        exchange_on(&rig, &mut wire, "/", raw).await;
        assert!(wire.rest().await.is_empty());
        let second = async {
            let mut wire = origin.accept().await;
            wire.head().await;
            wire.write(OK).await;
        };
        let (answered, ()) = tokio::join!(soon(rig.forward(get("/"))), second);
        assert!(answered.is_ok(), "{raw:?}");
    }
}

#[tokio::test]
async fn unsolicited_bytes_are_no_answer() {
    let (origin, rig, mut wire) = warm(Limits::default()).await;
    wire.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged").await;
    wire.rest().await;
    // The dead connection is passed over: the request is on the new one.
    let call = soon(rig.forward(get("/")));
    let (answered, ()) = tokio::join!(call, async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write(OK).await;
    });
    let response = answered.map_err(|failed| failed.failure).expect("an answer");
    assert_eq!(whole(response).await.expect("a body"), "hi");
}

#[tokio::test]
async fn idle_connections_are_few() {
    let limits = Limits { pool_idle_max_per_worker: 2, ..Limits::default() };
    let (origin, address) = Origin::start().await;
    let rig = Rig::to(&[address], limits);
    let serve = async {
        let mut wires = Vec::new();
        for _ in 0..3 {
            wires.push(origin.accept().await);
        }
        for wire in &mut wires {
            wire.head().await;
            wire.write(OK).await;
        }
        wires
    };
    let call = || async {
        let response = rig.forward(get("/")).await.map_err(|failed| failed.failure);
        whole(response.expect("an answer")).await
    };
    let (first, second, third, wires) =
        soon(async { tokio::join!(call(), call(), call(), serve) }).await;
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!((rig.pools.idle(), wires.len()), (2, 3));
}

#[tokio::test]
async fn idle_connections_grow_old() {
    let limits = Limits { pool_idle_timeout: Duration::ZERO, ..Limits::default() };
    let (origin, rig, mut wire) = warm(limits).await;
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write(OK).await;
        wire
    };
    let (answered, _second) = tokio::join!(soon(rig.forward(get("/"))), serve);
    assert!(answered.is_ok(), "on a new connection");
    assert!(wire.rest().await.is_empty(), "the old one is closed");
}

#[tokio::test]
async fn idle_connections_are_swept() {
    let limits = Limits { pool_idle_timeout: Duration::ZERO, ..Limits::default() };
    let (_origin, rig, mut wire) = warm(limits).await;
    assert!(wire.rest().await.is_empty(), "closed without another request");
    assert_eq!(rig.pools.idle(), 0);
}

/// A pooled connection dies before a byte of the request was written: once more, on a new one.
#[tokio::test]
async fn a_request_that_was_not_begun_is_sent_again() {
    let (origin, mut rig, mut wire) = warm(Limits::default()).await;
    let exchange = post(Framing::Length(2), Feed::of([data("ab")])).exchange().await;
    let serve = async {
        let mut wire = origin.accept().await;
        let seen = wire.read_to(b"\r\n\r\nab").await;
        wire.write("HTTP/1.1 204 No Content\r\n\r\n").await;
        seen
    };
    rig.pools.break_idle();
    let (answered, seen) = tokio::join!(soon(rig.forward_at_once(exchange)), serve);
    assert!(answered.is_ok() && seen.starts_with("POST /orders "), "{seen}");
    assert!(wire.rest().await.is_empty(), "nothing was written to the first");
    drop(answered);
    rig.entry = None;
    assert_eq!(soon(rig.endings.recv()).await.map(|ending| ending.body_out_bytes), Some(2));
    let second = soon(rig.endings.recv()).await.expect("a completion");
    assert_eq!((second.outcome, second.body_in_bytes), (Outcome::Answered, 2));
}

/// A pooled connection dies after the request was written: it is not sent again.
#[tokio::test]
async fn a_request_that_was_begun_is_not_sent_again() {
    let (origin, rig, mut wire) = warm(Limits::default()).await;
    let serve = async {
        wire.head().await;
        drop(wire);
    };
    let (answered, ()) = tokio::join!(soon(rig.forward(get("/lost"))), serve);
    assert_eq!(failed(answered).failure, Failure::Reset);
    let next = async {
        let mut wire = origin.accept().await;
        let head = wire.head().await;
        wire.write(OK).await;
        head
    };
    let (answered, head) = tokio::join!(soon(rig.forward(get("/next"))), next);
    assert!(answered.is_ok());
    assert!(head.starts_with("GET /next "), "the first new connection has the next request");
}

/// An address that refuses connections.
async fn closed() -> SocketAddr {
    Origin::start().await.1
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_passed_over_then_left_out() {
    let (origin, address) = Origin::start().await;
    let closed = closed().await;
    let limits = Limits { eject_after: 2, eject_for: PATIENCE, ..Limits::default() };
    let rig = Rig::to(&[closed, address], limits);
    let serve = async {
        let mut wire = origin.accept().await;
        for _ in 0..6 {
            wire.head().await;
            wire.write(OK).await;
        }
    };
    let calls = async {
        for _ in 0..6 {
            let response = rig.forward(get("/")).await.map_err(|failed| failed.failure);
            assert_eq!(whole(response.expect("an answer")).await.expect("a body"), "hi");
        }
    };
    soon(async { tokio::join!(calls, serve) }).await;
    let now = Instant::now();
    let health: Vec<_> =
        rig.upstream.endpoints().iter().map(|endpoint| endpoint.is_in(now)).collect();
    assert_eq!(health, [false, true]);
}

#[tokio::test]
async fn an_upstream_without_a_healthy_endpoint_fails_at_once() {
    let limits = Limits { eject_after: 2, eject_for: PATIENCE, ..Limits::default() };
    let mut rig = Rig::to(&[closed().await], limits);
    for (want, status) in
        [(Failure::Connect, 502), (Failure::Connect, 502), (Failure::NoHealthyEndpoint, 503)]
    {
        let failed = failed(soon(rig.forward(get("/"))).await);
        assert_eq!((failed.failure, failed.failure.status()), (want, status));
        let page = Response::builder().status(status).body(Bytes::new()).expect("a page");
        drop(failed.account.answer(page));
        let ended = soon(rig.endings.recv()).await.expect("a completion");
        assert_eq!((ended.outcome, ended.detail), (Outcome::UpstreamFailed, Some(want.code())));
        assert_eq!(ended.status, Some(status));
    }
    assert_eq!(rig.upstream.endpoints()[0].load(), 0);
}

#[tokio::test]
async fn names_are_looked_up() {
    let (origin, address) = Origin::start().await;
    let mut rig = Rig::to(&[address], Limits::default());
    let url = format!("http://localhost:{}", address.port());
    rig.upstream = Upstream::new("orders", &[url], Limits::default()).expect("a good url");
    let serve = async {
        let mut wire = origin.accept().await;
        wire.head().await;
        wire.write(OK).await;
    };
    let (answered, ()) = tokio::join!(soon(rig.forward(get("/"))), serve);
    drop(answered);
    let ended = soon(rig.endings.recv()).await.expect("a completion");
    assert_eq!(ended.upstream.and_then(|upstream| upstream.address), Some(address));
}

/// An upstream that ignores the body of a GET reads it as the next request (CL.0 desync).
#[tokio::test]
async fn a_connection_that_took_a_body_with_a_get_is_not_kept() {
    for (method, kept) in [("GET", 0), ("HEAD", 0), ("DELETE", 0), ("POST", 1)] {
        let (origin, address) = Origin::start().await;
        let rig = Rig::to(&[address], Limits::default());
        let sending = Sending {
            request: request(method, "/", &[], Framing::Length(2)),
            ..post(Framing::Length(2), Feed::of([data("ab")]))
        };
        let serve = async {
            let mut wire = origin.accept().await;
            wire.head().await;
            wire.read_to(b"ab").await;
            wire.write("HTTP/1.1 204 No Content\r\n\r\n").await;
            wire
        };
        let (answered, _wire) = tokio::join!(soon(rig.forward(sending)), serve);
        let response = answered.map_err(|failed| failed.failure).expect("an answer");
        assert_eq!(whole(response).await.expect("a body"), "");
        assert_eq!(rig.pools.idle(), kept, "{method}");
    }
}
