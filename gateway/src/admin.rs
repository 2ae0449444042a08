//! The listeners for operators, in plain HTTP/1.1, one request a connection: [`Health`], with
//! `/livez`, `/readyz` and `/metrics`, for whoever may connect to it, and [`Control`], for who is on
//! this machine.
//!
//! Neither tells anything of any request. The health listener changes nothing and shows no
//! configuration.

mod control;
mod status;

use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use control::{Control, Outcome, Reloads};
pub(crate) use status::status;

/// Connections at a time; more wait.
pub const CONNECTIONS_MAX: usize = 64;

/// Time for one connection, from accept to the last byte.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a head.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;

/// A pause after an accept that failed, for want of descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An answer's body.
type Page = Full<Bytes>;

/// What the health listener can be asked.
#[derive(Debug)]
pub struct Health<R, M> {
    /// Whether requests should be sent here; if not, why, in a word or two.
    pub ready: R,
    /// The text for Prometheus.
    pub metrics: M,
}

impl<R, M> Health<R, M>
where
    R: Fn() -> Result<(), &'static str> + Send + Sync + 'static,
    M: Fn() -> String + Send + Sync + 'static,
{
    /// Answers on `listener` until dropped.
    pub async fn serve(self, listener: TcpListener) -> Infallible {
        serve(listener, move |parts: Parts| ready(self.answer(&parts.method, parts.uri.path())))
            .await
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Page> {
        let known = matches!(path, "/livez" | "/readyz" | "/metrics");
        if !known {
            return page(StatusCode::NOT_FOUND, "not found\n");
        }
        if *method != Method::GET {
            let mut response = page(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return response;
        }
        match path {
            "/metrics" => {
                let mut response = page(StatusCode::OK, (self.metrics)());
                let version = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, version);
                response
            }
            "/readyz" => match (self.ready)() {
                Ok(()) => page(StatusCode::OK, "ok\n"),
                Err(why) => page(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
            _ => page(StatusCode::OK, "ok\n"),
        }
    }
}

/// Answers on `listener` until dropped.
async fn serve<A, F>(listener: TcpListener, answer: A) -> Infallible
where
    A: Fn(Parts) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Page>> + Send + 'static,
{
    let answer = Arc::new(answer);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        // the semaphore is never closed
        let place = Arc::clone(&room).acquire_owned().await.ok();
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let answer = Arc::clone(&answer);
                connections.spawn(async move {
                    let _place = place;
                    let _ = converse(stream, CONNECTION_TIMEOUT, &*answer).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a listener for operators cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection.
async fn converse<A, F>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    patience: Duration,
    answer: &A,
) -> io::Result<()>
where
    A: Fn(Parts) -> F,
    F: Future<Output = Response<Page>>,
{
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(answer(request.into_parts().0).await)
    });
    let conversation = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(stream), service);
    tokio::time::timeout(patience, conversation).await?.map_err(io::Error::other)
}

fn page(status: StatusCode, text: impl Into<Bytes>) -> Response<Page> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn answer(parts: Parts) -> Response<Page> {
        let metrics = || "portcullis_x 1\n".to_owned();
        Health { ready: || Ok(()), metrics }.answer(&parts.method, parts.uri.path())
    }

    /// What comes back for these bytes until the connection ends, less the date.
    async fn ask(raw: &str) -> String {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let talk = async {
            client.write_all(raw.as_bytes()).await.expect("written");
            let mut got = String::new();
            client.read_to_string(&mut got).await.expect("text");
            got
        };
        let (got, _) = tokio::join!(talk, converse(server, PATIENCE, &answer));
        got.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn answers() {
        async fn check(line: &str, want: &str) {
            let got = ask(&format!("{line} HTTP/1.1\r\nhost: any\r\n\r\n")).await;
            let (status, rest) = got.split_once('\n').expect("a status line");
            let (head, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
            assert_eq!(format!("{status}|{body}"), want, "{line}");
            assert!(head.contains("connection: close") && head.contains("no-store"), "{got}");
        }
        check("GET /livez", "HTTP/1.1 200 OK|ok").await;
        check("GET /readyz", "HTTP/1.1 200 OK|ok").await;
        check("GET /readyz?verbose", "HTTP/1.1 200 OK|ok").await;
        check("GET /metrics", "HTTP/1.1 200 OK|portcullis_x 1").await;
        check("GET /", "HTTP/1.1 404 Not Found|not found").await;
        check("GET /metrics/", "HTTP/1.1 404 Not Found|not found").await;
        check("POST /", "HTTP/1.1 404 Not Found|not found").await;
        check("POST /livez", "HTTP/1.1 405 Method Not Allowed|method not allowed").await;
        check("DELETE /metrics", "HTTP/1.1 405 Method Not Allowed|method not allowed").await;
        check("HEAD /readyz", "HTTP/1.1 405 Method Not Allowed|").await;
    }

    #[tokio::test]
    async fn a_405_names_the_method() {
        let got = ask("PUT /livez HTTP/1.1\r\nhost: any\r\n\r\n").await;
        assert!(got.contains("\nallow: GET\n"), "{got}");
    }

    #[tokio::test]
    async fn a_head_has_a_limit() {
        async fn check(bytes: usize, want: &str) {
            let head = "GET /livez HTTP/1.1\r\nhost: any\r\nx: ";
            let filler = "y".repeat(bytes - head.len() - 4);
            let got = ask(&format!("{head}{filler}\r\n\r\n")).await;
            assert!(got.starts_with(want), "{bytes} {got}");
        }
        check(HEAD_BYTES_MAX - 1, "HTTP/1.1 200 ").await;
        check(HEAD_BYTES_MAX + 1, "HTTP/1.1 431 ").await;
    }

    #[tokio::test]
    async fn a_connection_has_a_time() {
        for begun in ["", "GET /livez HTTP/1.1\r\n"] {
            let (mut client, server) = tokio::io::duplex(64);
            client.write_all(begun.as_bytes()).await.expect("written");
            let ended = converse(server, Duration::from_millis(50), &answer);
            let ended = tokio::time::timeout(PATIENCE, ended).await.expect("it is cut off");
            assert!(ended.is_err(), "{begun:?}");
        }
    }

    /// What `/readyz` answers on a new connection: the status and the last line.
    async fn ready_at(address: SocketAddr) -> (String, String) {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let head = b"GET /readyz HTTP/1.1\r\nhost: any\r\n\r\n";
        stream.write_all(head).await.expect("written");
        let mut got = String::new();
        stream.read_to_string(&mut got).await.expect("text");
        let status = got.split(' ').nth(1).unwrap_or_default().to_owned();
        (status, got.lines().last().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn silent_connections_hold_their_places_for_their_time_and_no_longer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = Health { ready: || Ok(()), metrics: String::new }.serve(listener);
        let asked = async {
            let begun = Instant::now();
            let mut silent = Vec::new();
            while silent.len() < CONNECTIONS_MAX - 1 {
                silent.push(TcpStream::connect(address).await.expect("connected"));
            }
            assert_eq!(ready_at(address).await.0, "200");
            assert!(begun.elapsed() < CONNECTION_TIMEOUT, "one place was free");
            silent.push(TcpStream::connect(address).await.expect("connected"));
            assert_eq!(ready_at(address).await.0, "200");
            begun.elapsed()
        };
        let waited = tokio::select! {
            _ = served => None,
            waited = tokio::time::timeout(CONNECTION_TIMEOUT * 3, asked) => waited.ok(),
        };
        let waited = waited.expect("an answer when a place is free again");
        assert!(waited >= CONNECTION_TIMEOUT, "no place was free: {waited:?}");
    }

    #[tokio::test]
    async fn readiness_changes_while_it_serves() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let draining = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&draining);
        let ready = move || if seen.load(Ordering::Relaxed) { Err("draining") } else { Ok(()) };
        let served = Health { ready, metrics: String::new }.serve(listener);
        let asked = async {
            let mut answers = Vec::new();
            for now in [false, true] {
                draining.store(now, Ordering::Relaxed);
                answers.push(ready_at(address).await);
            }
            answers
        };
        let answers = tokio::select! {
            _ = served => None,
            answers = tokio::time::timeout(PATIENCE, asked) => answers.ok(),
        };
        let pair = |status: &str, body: &str| (status.to_owned(), body.to_owned());
        assert_eq!(answers, Some(vec![pair("200", "ok"), pair("503", "draining")]));
    }
}
