//! What may be recorded of a refused head, and the head reader by itself. With hyper, bodies and
//! sockets it is tested in `listen`.

use signals::Scheme;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[test]
fn snippets() {
    fn check(head: &str, want: &str) {
        assert_eq!(Rejected::new(Unreadable::BareLf, head.as_bytes()).snippet, want, "{head:?}");
    }
    check("GET /a/../b HTTP/1.1\r\nCookie: secret\r\n", "GET /a/../b HTTP/1.1");
    check("GET /a\nCookie: secret", "GET /a");
    check("GET /a?token=secret HTTP/1.1\r\n", "GET /a");
    check("GET /a%3ftoken=secret HTTP/1.1\r\n", "GET /a");
    check("GET /a;jsessionid=secret HTTP/1.1\r\n", "GET /a");
    check("GET /a#secret HTTP/1.1\r\n", "GET /a");
    check("GET https://user:secret@a/b HTTP/1.1\r\n", "GET");
    check("GET https://a/b@c HTTP/1.1\r\n", "GET");
    check("OPTIONS * HTTP/1.1\r\n", "OPTIONS * HTTP/1.1");
    check("GET /a\u{1b}[2J\"\u{0} HTTP/1.1\r\n", "GET /a\\x1b[2J\\\"\\x00 HTTP/1.1");
    check("Authorization: Bearer secret\r\n", "");
    check("user=a&password=secret", "");
    check("{\"password\": \"/secret\"}", "");
    check("a secret", "");
    check(" /secret", "");
    check("", "");
    let long = format!("GET /{}", "a".repeat(SNIPPET_BYTES_MAX));
    let cut = Rejected::new(Unreadable::BareLf, long.as_bytes()).snippet;
    assert_eq!(cut.len(), SNIPPET_BYTES_MAX);
}

/// Releases heads one by one, each exchange over at once: what would be hyper's of `raw`.
async fn released(raw: &[u8]) -> String {
    let (mut client, io) = tokio::io::duplex(4096);
    client.write_all(raw).await.expect("room");
    client.shutdown().await.expect("open");
    let (queue, tally) = (HeadQueue::default(), Arc::default());
    let mut reader = HeadReader::new(io, Scheme::Https, Limits::default(), queue.clone(), tally);
    let (mut all, mut buf) = (String::new(), [0; 256]);
    while let Ok(read @ 1..) = reader.read(&mut buf).await {
        all.push_str(std::str::from_utf8(&buf[..read]).expect("ascii"));
        drop(queue.take());
    }
    all
}

#[test]
fn after_a_closing_request_nothing_is_read_as_a_request() {
    fn check(first: &str, want: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let raw = format!("{first}GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
        let got = runtime.expect("a runtime").block_on(released(raw.as_bytes()));
        assert_eq!(got, want, "{first:?}");
    }
    let (get, close) = ("GET / HTTP/1.1\r\nhost: x\r\n", "connection: close\r\n");
    check("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", &format!("{get}\r\n{get}\r\n"));
    check("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &format!("{get}{close}\r\n"));
    check(
        "PUT /a HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
        &format!("PUT / HTTP/1.0\r\nhost: x\r\ncontent-length: 2\r\n{close}\r\nab"),
    );
}
