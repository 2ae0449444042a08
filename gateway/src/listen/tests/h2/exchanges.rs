//! Whole exchanges with hyper's own client: bodies, trailers, answers without a body, clients
//! that leave, draining.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::*;

/// A body that is given frame by frame, and ends with its giver.
struct Given(mpsc::Receiver<Frame<Bytes>>);

type Giver = mpsc::Sender<Frame<Bytes>>;

impl Given {
    fn new() -> (Giver, Self) {
        let (giver, given) = mpsc::channel(1);
        (giver, Self(given))
    }

    fn nothing() -> Self {
        Self::new().1
    }
}

impl http_body::Body for Given {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_closed() && self.0.is_empty()
    }
}

fn ask(method: Method, body: Given) -> Request<Given> {
    Request::builder().method(method).uri("https://a.test/a").body(body).expect("a request")
}

fn with<H: Handler, T>(
    handler: H,
    exchange: impl AsyncFnOnce(SendRequest<Given>, watch::Sender<Stage>) -> T,
) -> Over<T> {
    let client = async |io: DuplexStream, stage| {
        let (sender, connection) = handshake(Local, TokioIo::new(io)).await.expect("a connection");
        tokio::task::spawn_local(connection);
        exchange(sender, stage).await
    };
    connect_h2(handler, &common(Limits::default()), 1 << 14, client)
}

const MEGABYTES: usize = 10;

/// A piece that names its place, so that order and loss are seen.
fn piece(number: usize) -> Frame<Bytes> {
    Frame::data(Bytes::from(vec![u8::try_from(number).expect("few"); 1 << 20]))
}

#[test]
fn ten_megabytes_up_and_down_with_trailers() {
    // It sends back what it is sent, as it comes.
    let echo = |raw: Raw| std::future::ready(Response::new(raw.body));
    let over = with(echo, async |mut sender, _stage| {
        let (pieces, body) = Given::new();
        let sending = async move {
            for number in 0..MEGABYTES {
                pieces.send(piece(number)).await.expect("taken");
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "7".parse().expect("a value"));
            trailers.insert("x-forwarded-user", "admin".parse().expect("a value"));
            pieces.send(Frame::trailers(trailers)).await.expect("taken");
        };
        let asking = async {
            let answer = sender.send_request(ask(Method::POST, body)).await.expect("an answer");
            let answer = answer.into_body().collect().await.expect("a body");
            (answer.trailers().cloned(), answer.to_bytes())
        };
        tokio::join!(sending, asking).1
    });
    let (trailers, body) = over.client;
    assert_eq!(body.len(), MEGABYTES << 20);
    for (number, piece) in body.chunks(1 << 20).enumerate() {
        assert!(piece.iter().all(|byte| usize::from(*byte) == number), "piece {number}");
    }
    let trailers = trailers.expect("trailers");
    assert_eq!(trailers.get("x-sum").map(|value| value.as_bytes()), Some(&b"7"[..]));
    assert_eq!(trailers.len(), 1, "{trailers:?}");
    assert_eq!(over.refused, []);
}

#[test]
fn an_answer_waits_for_its_reader() {
    // Nobody reads: the handler's body is asked for a little only, then for no more.
    let (giver, given) = Given::new();
    let given = RefCell::new(Some(given));
    let handler = move |_: Raw| std::future::ready(Response::new(given.take().expect("one")));
    with(handler, async move |mut sender, _stage| {
        let answer = sender.send_request(ask(Method::GET, Given::nothing())).await;
        let answer = answer.expect("an answer");
        let mut taken = 0;
        let patience = Duration::from_millis(50);
        while tokio::time::timeout(patience, giver.send(piece(taken))).await.is_ok() {
            taken += 1;
        }
        assert!((1..8).contains(&taken), "{taken} pieces without a reader");
        drop(answer);
    });
}

#[test]
fn answers_without_a_body() {
    let handler = |raw: Raw| {
        let method = raw.head.expect("read").method;
        let (status, length) = match method.as_str() {
            "HEAD" => (200, Some("4")),
            "POST" => (204, None),
            _ => (304, Some("4")),
        };
        let mut answer = Response::builder().status(status).header("connection", "close");
        if let Some(length) = length {
            answer = answer.header("content-length", length);
        }
        // What an answer to HEAD has of a body is not sent.
        let body = if method == Method::HEAD { &b"body"[..] } else { b"" };
        std::future::ready(answer.body(Full::new(Bytes::from_static(body))).expect("an answer"))
    };
    with(handler, async |mut sender, _stage| {
        for (method, status, length) in [
            (Method::HEAD, StatusCode::OK, Some("4")),
            (Method::POST, StatusCode::NO_CONTENT, None),
            (Method::GET, StatusCode::NOT_MODIFIED, Some("4")),
        ] {
            let answer = sender.send_request(ask(method.clone(), Given::nothing())).await;
            let answer = answer.expect("an answer");
            assert_eq!((answer.status(), answer.version()), (status, Version::HTTP_2));
            let field = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
            assert_eq!(field("content-length"), length, "{method}");
            assert_eq!(field("connection"), None, "a field of the other version");
            let body = answer.into_body().collect().await.expect("a body").to_bytes();
            assert_eq!(body, Bytes::new());
        }
    });
}

#[test]
fn a_client_that_resets_ends_the_exchange() {
    // Before the answer, and within it: what the handler holds is dropped.
    let (entered, mut seen) = mpsc::unbounded_channel();
    let (dropped, mut gone) = mpsc::unbounded_channel::<()>();
    let handler = move |raw: Raw| {
        let (entered, dropped) = (entered.clone(), dropped.clone());
        async move {
            let method = raw.head.expect("read").method;
            entered.send(()).expect("the test waits");
            if method == Method::GET {
                let _held = dropped;
                std::future::pending::<()>().await;
                unreachable!("nobody asks for it any more");
            }
            let (giver, given) = Given::new();
            tokio::task::spawn_local(async move {
                giver.closed().await;
                drop(dropped);
            });
            raw.record.begin();
            Response::new(given)
        }
    };
    let over = with(handler, async move |mut sender, _stage| {
        let mut asked = Box::pin(sender.send_request(ask(Method::GET, Given::nothing())));
        tokio::select! {
            _ = &mut asked => unreachable!("it is never answered"),
            _ = seen.recv() => {}
        }
        drop(asked);
        let answer = sender.send_request(ask(Method::POST, Given::nothing())).await;
        drop(answer.expect("an answer"));
        drop(sender);
        // Nobody holds what would tell: all of it was dropped.
        assert_eq!(gone.recv().await, None);
    });
    assert_eq!((over.refused, over.abandoned), (Vec::new(), 1));
}

#[test]
fn a_drain_finishes_what_is_in_flight() {
    let (entered, seen) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let once = RefCell::new(Some((entered, released)));
    let handler = move |_: Raw| {
        let (entered, released) = once.take().expect("one request");
        async move {
            entered.send(()).expect("the test waits");
            released.await.expect("the test says so");
            answer(200)
        }
    };
    let over = with(handler, async |mut sender, stage| {
        let asked = sender.send_request(ask(Method::GET, Given::nothing()));
        let draining = async {
            seen.await.expect("called");
            stage.send_replace(Stage::Draining(Instant::now() + Duration::from_secs(10)));
            release.send(()).expect("it waits");
        };
        let (answer, ()) = tokio::join!(asked, draining);
        let answer = answer.expect("an answer").into_body().collect().await.expect("a body");
        // No other request is taken: the connection ends.
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
        answer.to_bytes()
    });
    assert_eq!((over.client.as_ref(), over.refused), (&b"body"[..], Vec::new()));
}

#[test]
fn a_drain_has_a_deadline() {
    let handler = |_: Raw| std::future::pending::<Response<Full<Bytes>>>();
    let over = with(handler, async |mut sender, stage| {
        let asked = sender.send_request(ask(Method::GET, Given::nothing()));
        stage.send_replace(Stage::Draining(Instant::now() + Duration::from_millis(50)));
        asked.await.expect_err("cut off");
    });
    assert!(over.abandoned <= 1, "{}", over.abandoned);
}

#[test]
fn a_panic_ends_its_stream_alone() {
    let first = std::cell::Cell::new(true);
    let handler = move |_: Raw| {
        assert!(!first.take(), "as intended by this test");
        std::future::ready(answer(200))
    };
    let over = with(handler, async |mut sender, _stage| {
        let asked = sender.send_request(ask(Method::GET, Given::nothing())).await;
        asked.expect_err("no answer");
        let asked = sender.send_request(ask(Method::GET, Given::nothing())).await;
        asked.expect("an answer").status()
    });
    assert_eq!((over.client, over.abandoned, over.panicked), (StatusCode::OK, 1, 1));
}
