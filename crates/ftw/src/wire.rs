//! A stage as bytes, as go-ftw (the suite's own runner) sends them, and such bytes as a request, as
//! a server that forgives everything reads them.
//!
//! What go-ftw does: headers in the test's order, the values as they are; where headers are
//! completed, a content type if there is a body and none, a form's body escaped unless it already
//! is, `Connection: close`, and `Content-Length` if there is a body or the method may have one; a
//! multipart body's line feeds become line ends of HTTP.

use super::suite::{Input, Parts};

const FORM: &str = "application/x-www-form-urlencoded";

/// The bytes that go to a socket.
pub fn raw(input: &Input) -> Vec<u8> {
    match input {
        Input::Encoded(bytes) => bytes.clone(),
        Input::Parts(parts) => of_parts(parts),
    }
}

fn of_parts(parts: &Parts) -> Vec<u8> {
    let (mut headers, mut body) = (parts.headers.clone(), parts.data.clone());
    if parts.complete && !body.is_empty() {
        if !has(&headers, "Content-Type") {
            headers.push(("Content-Type".to_owned(), FORM.to_owned()));
        }
        if values(&headers, "Content-Type").any(|value| value.eq_ignore_ascii_case(FORM)) {
            body = form(&body).unwrap_or(body);
        }
    }
    let is_multipart = |value: &str| value.to_ascii_lowercase().contains("multipart/form-data;");
    if values(&headers, "Content-Type").any(is_multipart) {
        body = with_line_ends(&body);
    }
    if parts.complete {
        if !has(&headers, "Connection") {
            headers.push(("Connection".to_owned(), "close".to_owned()));
        }
        let may_have = ["PUT", "PATCH"].iter().any(|method| parts.method.contains(method))
            || parts.method.starts_with("POST")
            || parts.method.ends_with("DELETE");
        if (!body.is_empty() || may_have) && !has(&headers, "Content-Length") {
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
    }
    let mut bytes = format!("{} {} {}\r\n", parts.method, parts.uri, parts.version).into_bytes();
    for (name, value) in &headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}

fn values<'a>(headers: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    let of = headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
    of.map(|(_, value)| value.as_str())
}

fn has(headers: &[(String, String)], name: &str) -> bool {
    values(headers, name).next().is_some()
}

fn with_line_ends(body: &[u8]) -> Vec<u8> {
    body.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..])
}

/// A form escaped name by name and value by value; `None` if it looks as if it were already.
fn form(body: &[u8]) -> Option<Vec<u8>> {
    if body.contains(&b'%') || body.contains(&b'+') {
        return None;
    }
    let mut fields = body.split(|byte| *byte == b'&').collect::<Vec<_>>();
    if fields.last().is_some_and(|last| last.is_empty()) {
        fields.pop();
    }
    let field = |field: &[u8]| -> Vec<u8> {
        let mut halves = field.splitn(2, |byte| *byte == b'=').map(escape);
        let name = halves.next().unwrap_or_default();
        halves.next().map_or(name.clone(), |value| [name, value].join(&b"="[..]))
    };
    Some(fields.into_iter().map(field).collect::<Vec<_>>().join(&b"&"[..]))
}

fn escape(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(*byte);
            }
            b' ' => escaped.push(b'+'),
            _ => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    escaped
}

/// A request that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Vec<u8>,
    /// The target.
    pub target: Vec<u8>,
    /// `HTTP/1.1`.
    pub protocol: Vec<u8>,
    /// Fields, in order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Reads bytes with as few demands as can be: what is not there is empty. A head has an end.
pub fn read(raw: &[u8]) -> Option<Request> {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, rest) = raw.split_at(end);
    let mut lines = lines(head).into_iter();
    let (method, target, protocol) = request_line(lines.next().unwrap_or_default());
    let headers: Vec<_> = lines.map(header).collect();
    let body = body(&headers, rest.get(4..).unwrap_or_default());
    Some(Request { method, target, protocol, headers, body })
}

/// The lines of a head. A line feed or a carriage return alone is a part of a line.
fn lines(head: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut rest) = (Vec::new(), head);
    while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
        let (line, after) = rest.split_at(at);
        lines.push(line);
        rest = after.get(2..).unwrap_or_default();
    }
    lines.push(rest);
    lines
}

/// The method is before the first space, the protocol after the last one.
fn request_line(line: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (method, rest) = halves(line, line.iter().position(|byte| *byte == b' '));
    let (target, protocol) = halves(rest, rest.iter().rposition(|byte| *byte == b' '));
    (method.to_vec(), target.to_vec(), protocol.to_vec())
}

fn header(line: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (name, value) = halves(line, line.iter().position(|byte| *byte == b':'));
    (name.to_vec(), value.trim_ascii().to_vec())
}

/// What is before a place, and what is after it.
fn halves(line: &[u8], at: Option<usize>) -> (&[u8], &[u8]) {
    let (first, second) = line.split_at(at.unwrap_or(line.len()));
    (first, second.get(1..).unwrap_or_default())
}

/// By its chunks, else as long as it says, as far as it is there.
fn body(headers: &[(Vec<u8>, Vec<u8>)], rest: &[u8]) -> Vec<u8> {
    let value = |name: &[u8]| {
        let mut of = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        of.next().map(|(_, value)| value.as_slice())
    };
    if value(b"Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked")) {
        return chunks(rest);
    }
    let length = value(b"Content-Length").and_then(|value| std::str::from_utf8(value).ok());
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    rest.get(..length).unwrap_or(rest).to_vec()
}

fn chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
        let (size, after) = rest.split_at(at);
        let size = std::str::from_utf8(size).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).unwrap_or(0);
        let after = after.get(2..).unwrap_or_default();
        if size == 0 {
            break;
        }
        body.extend_from_slice(after.get(..size).unwrap_or(after));
        rest = after.get(size.saturating_add(2)..).unwrap_or_default();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, headers: &[(&str, &str)], data: &str, complete: bool) -> Input {
        Input::Parts(Parts {
            method: method.to_owned(),
            uri: "/a b".to_owned(),
            version: "HTTP/1.1".to_owned(),
            headers: headers.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            data: data.as_bytes().to_vec(),
            complete,
        })
    }

    #[test]
    fn headers_are_completed_and_bodies_written_as_the_suite_s_runner_does() {
        let check = |input: Input, want: &str| {
            assert_eq!(String::from_utf8(raw(&input)).unwrap(), want);
        };
        let closes = "Connection: close\r\n";
        check(
            parts("GET", &[("B", "1"), ("A", "2")], "", true),
            &format!("GET /a b HTTP/1.1\r\nB: 1\r\nA: 2\r\n{closes}\r\n"),
        );
        check(parts("GET", &[], "", false), "GET /a b HTTP/1.1\r\n\r\n");
        check(
            parts("POST", &[], "", true),
            &format!("POST /a b HTTP/1.1\r\n{closes}Content-Length: 0\r\n\r\n"),
        );
        let typed = format!("Content-Type: {FORM}\r\n{closes}");
        check(
            parts("GET", &[], "a b=<&c&", true),
            &format!("GET /a b HTTP/1.1\r\n{typed}Content-Length: 9\r\n\r\na+b=%3C&c"),
        );
        check(
            parts("POST", &[], "a=%3C&b=<", true),
            &format!("POST /a b HTTP/1.1\r\n{typed}Content-Length: 9\r\n\r\na=%3C&b=<"),
        );
        check(
            parts("POST", &[("content-type", "text/plain"), ("content-length", "1")], "<\n", true),
            &format!(
                "POST /a b HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-length: 1\r\n{closes}\r\n<\n"
            ),
        );
        check(
            parts("POST", &[("Content-Type", "multipart/form-data; boundary=x")], "a\nb", false),
            "POST /a b HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\na\r\nb",
        );
    }

    #[test]
    fn bytes_are_read_as_a_server_does_that_forgives() {
        let check = |raw: &str, line: [&str; 3], headers: &[(&str, &str)], body: &str| {
            let read = read(raw.as_bytes()).unwrap();
            let bytes = |text: &str| text.as_bytes().to_vec();
            assert_eq!([read.method, read.target, read.protocol], line.map(bytes), "{raw}");
            let headers: Vec<_> = headers.iter().map(|(a, b)| (bytes(a), bytes(b))).collect();
            assert_eq!((read.headers, read.body), (headers, bytes(body)), "{raw}");
        };
        check("GET /a b X\r\nA:  1 \r\n\r\n", ["GET", "/a b", "X"], &[("A", "1")], "");
        check("GET / \r\nA\r\n\r\nxx", ["GET", "/", ""], &[("A", "")], "");
        let length = ("Content-Length", "2");
        check("P / X\r\nContent-Length: 2\r\n\r\nabc", ["P", "/", "X"], &[length], "ab");
        check("P / X\r\nContent-Length: 2\r\n\r\na", ["P", "/", "X"], &[length], "a");
        let chunked = ("transfer-encoding", "chunked");
        check(
            "P / X\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            ["P", "/", "X"],
            &[chunked],
            "abc",
        );
        assert!(super::read(b"GET / HTTP/1.1\r\n").is_none());
    }
}
