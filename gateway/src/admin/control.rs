//! The admin listener: what an operator on this machine can ask for. `GET /status` tells how the
//! gateway is, `POST /reload` does what SIGHUP does and answers with what became of it.
//!
//! The configuration gives it a loopback address, and whoever may connect to that may ask. A
//! browser on this machine can be made to: so a `Host` that is not this listener's is misdirected
//! (421, RFC 9110 §15.5.20), and what a page sends, which has an `Origin`, is forbidden. It shows
//! no request, no secret and no policy.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::{Page, page, serve};

/// Asks the running gateway for a reload; what became of it comes back.
pub type Reloads = mpsc::Sender<oneshot::Sender<Outcome>>;

/// What became of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Why it was not taken over; empty if it was.
    pub problems: Vec<String>,
    /// Sections that changed, and stay as they were until the next start.
    pub kept: Vec<&'static str>,
    /// Why the candidate is left out; that is no reason to refuse the rest.
    pub candidate: Vec<String>,
}

/// What can be asked.
#[derive(Debug)]
pub struct Control<S> {
    /// Where reloads are asked for.
    pub reloads: Reloads,
    /// How the gateway is.
    pub status: S,
}

impl<S: Fn() -> Value + Send + Sync + 'static> Control<S> {
    /// Answers on `listener` until dropped.
    ///
    /// # Errors
    /// The listener has no address.
    pub async fn serve(self, listener: TcpListener) -> io::Result<Infallible> {
        let (own, control) = (listener.local_addr()?, Arc::new(self));
        let answer = move |parts: Parts| {
            let control = Arc::clone(&control);
            async move { control.answer(own, &parts).await }
        };
        Ok(serve(listener, answer).await)
    }

    async fn answer(&self, own: SocketAddr, parts: &Parts) -> Response<Page> {
        if !is_addressed(own, parts) {
            return page(StatusCode::MISDIRECTED_REQUEST, "not the host of this listener\n");
        }
        if parts.headers.contains_key(ORIGIN) {
            return page(StatusCode::FORBIDDEN, "not for web pages\n");
        }
        match (parts.uri.path(), &parts.method) {
            ("/status", &Method::GET) => told(StatusCode::OK, &(self.status)()),
            ("/reload", &Method::POST) => self.reload().await,
            ("/status", _) => only("GET"),
            ("/reload", _) => only("POST"),
            _ => page(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    async fn reload(&self) -> Response<Page> {
        let (ask, answer) = oneshot::channel();
        let asked = self.reloads.send(ask).await.is_ok();
        let Some(outcome) = answer.await.ok().filter(|_| asked) else {
            return page(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        };
        let Outcome { problems, kept, candidate } = outcome;
        let accepted = problems.is_empty();
        let status = if accepted { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let said = json!({
            "accepted": accepted,
            "problems": problems,
            "kept": kept,
            "candidate_problems": candidate,
        });
        told(status, &said)
    }
}

/// Whether a request says that it is for this listener, by its one `Host` and, in absolute form,
/// its target.
fn is_addressed(own: SocketAddr, parts: &Parts) -> bool {
    let names = [own.to_string(), format!("localhost:{}", own.port())];
    let is_own = |name: &[u8]| names.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(name));
    let mut hosts = parts.headers.get_all(HOST).iter();
    let one = hosts.next().is_some_and(|host| is_own(host.as_bytes())) && hosts.next().is_none();
    one && parts.uri.authority().is_none_or(|authority| is_own(authority.as_str().as_bytes()))
}

fn told(status: StatusCode, value: &Value) -> Response<Page> {
    let mut response = page(status, format!("{value:#}\n"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn only(method: &'static str) -> Response<Page> {
    let mut response = page(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "127.0.0.1:9901";

    /// Status and body of an answer; reloads come out as `problems` say, or nobody does them.
    async fn ask(head: &str, problems: Option<&[&str]>) -> String {
        let (reloads, mut asked) = mpsc::channel::<oneshot::Sender<Outcome>>(1);
        let control = Control { reloads, status: || json!({"ready": true}) };
        let mut words = head.split(' ');
        let mut request =
            http::Request::builder().method(words.next().unwrap()).uri(words.next().unwrap());
        for field in words {
            let (name, value) = field.split_once('=').unwrap();
            request = request.header(name, value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let reload = async {
            let Some(problems) = problems else { return drop(asked) };
            if let Some(reply) = asked.recv().await {
                let problems = problems.iter().map(|problem| (*problem).to_owned()).collect();
                let candidate = vec!["c:1:1: no".to_owned()];
                reply.send(Outcome { problems, kept: vec!["audit"], candidate }).unwrap();
            }
        };
        let answering = async {
            let response = control.answer(OWN.parse().unwrap(), &parts).await;
            drop(control);
            response
        };
        let (response, ()) = tokio::join!(answering, reload);
        let status = response.status().as_u16();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        format!("{status} {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    async fn check(head: &str, want: &str) {
        assert_eq!(ask(head, Some(&[])).await, want, "{head}");
    }

    #[tokio::test]
    async fn status_and_reload() {
        check("GET /status host=127.0.0.1:9901", "200 { \"ready\": true }").await;
        check("GET /status host=LOCALHOST:9901", "200 { \"ready\": true }").await;
        let done = "200 { \"accepted\": true, \"problems\": [], \"kept\": [ \"audit\" ], \
                    \"candidate_problems\": [ \"c:1:1: no\" ] }";
        check("POST /reload host=127.0.0.1:9901", done).await;
        check("GET /reload host=127.0.0.1:9901", "405 method not allowed").await;
        check("POST /status host=127.0.0.1:9901", "405 method not allowed").await;
        check("GET / host=127.0.0.1:9901", "404 not found").await;
        check("GET /metrics host=127.0.0.1:9901", "404 not found").await;
    }

    #[tokio::test]
    async fn a_reload_that_was_not_taken_over_says_why() {
        let head = "POST /reload host=127.0.0.1:9901";
        let want = "422 { \"accepted\": false, \"problems\": [ \"p:1:1: no\" ], \"kept\": [ \"audit\" ], \
                    \"candidate_problems\": [ \"c:1:1: no\" ] }";
        assert_eq!(ask(head, Some(&["p:1:1: no"])).await, want);
        assert_eq!(ask(head, None).await, "503 stopping");
    }

    #[tokio::test]
    async fn what_is_for_another_host_is_misdirected() {
        for head in [
            "GET /status",
            "GET /status host=127.0.0.1",
            "GET /status host=127.0.0.1:9902",
            "GET /status host=localhost.attacker.test:9901",
            "GET /status host=attacker.test",
            "GET /status host=127.0.0.1:9901 host=127.0.0.1:9901",
            "GET http://attacker.test/status host=127.0.0.1:9901",
            "POST /reload host=attacker.test:9901",
        ] {
            check(head, "421 not the host of this listener").await;
        }
        check("GET http://127.0.0.1:9901/status host=127.0.0.1:9901", "200 { \"ready\": true }")
            .await;
    }

    #[tokio::test]
    async fn what_a_page_sends_is_forbidden() {
        for origin in ["http://attacker.test", "null", "http://127.0.0.1:9901"] {
            let head = format!("POST /reload host=127.0.0.1:9901 origin={origin}");
            check(&head, "403 not for web pages").await;
        }
    }
}
