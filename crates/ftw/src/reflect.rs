//! What the suite's back end answers: `/reflect` gives back what the body asks for, everything else
//! is an empty 200.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::wire::Request;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Fields, in order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The answer to a request.
pub fn answer(request: &Request) -> Response {
    if !request.target.starts_with(b"/reflect") {
        return Response {
            status: 200,
            headers: vec![header("Content-Length", "0")],
            body: vec![],
        };
    }
    reflect(&request.body).unwrap_or_else(|error| {
        let body = format!("{error}\n").into_bytes();
        Response { status: 400, headers: vec![header("Content-Type", "text/plain")], body }
    })
}

/// `{"status": …, "headers": {…}, "body": "…"}`, or `"encodedBody"` in base64; all may be absent.
fn reflect(asked: &[u8]) -> Result<Response, String> {
    let asked: Value =
        serde_json::from_slice(asked).map_err(|error| format!("not JSON: {error}"))?;
    let status = asked.get("status").map_or(Some(200), Value::as_u64);
    let mut headers = Vec::new();
    for (name, value) in asked.get("headers").and_then(Value::as_object).into_iter().flatten() {
        headers.push(header(name, value.as_str().ok_or("a header that is no text")?));
    }
    let text = |name: &str| {
        let text = asked.get(name).map(|text| text.as_str().ok_or("a body that is no text"));
        text.transpose()
    };
    let body = match (text("body")?, text("encodedBody")?) {
        (_, Some(encoded)) => STANDARD.decode(encoded).map_err(|_| "not base64")?,
        (body, None) => body.unwrap_or_default().as_bytes().to_vec(),
    };
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"Content-Type")) {
        // a server would guess from the body; a type whose bodies are inspected
        headers.push(header("Content-Type", "text/plain; charset=utf-8"));
    }
    let status = status.and_then(|status| u16::try_from(status).ok()).ok_or("no such status")?;
    Ok(Response { status, headers, body })
}

fn header(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_what_the_body_asks_for() {
        let check = |target: &str, body: &str, status: u16, want: &str| {
            let raw = format!("POST {target} HTTP/1.1\r\nContent-Length: 999\r\n\r\n{body}");
            let answer = answer(&super::super::wire::read(raw.as_bytes()).unwrap());
            assert_eq!((answer.status, &*answer.body), (status, want.as_bytes()), "{body}");
        };
        check("/", "{\"body\": \"a\"}", 200, "");
        check("/reflect", "{\"body\": \"a\\nb\"}", 200, "a\nb");
        check("/reflect", "{\"status\": 500, \"encodedBody\": \"YQ==\"}", 500, "a");
        check("/reflect", "{\"other\": 1}", 200, "");
        check("/reflect", "<", 400, "not JSON: expected value at line 1 column 1\n");
    }
}
