//! Requests as clients write them.

use std::fmt::Write as _;

use crate::random::Random;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// How a parameter is encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Encoding {
    /// As browsers do it with forms, and `URLSearchParams`.
    Form,
    /// As `encodeURIComponent` does.
    Component,
}

/// A part of a form of parts.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    /// Its file's name and type.
    pub(crate) file: Option<(&'a str, &'a str)>,
    pub(crate) content: &'a [u8],
}

impl Request {
    /// Without content.
    pub(crate) fn get(target: String) -> Self {
        Self { method: "GET", target, headers: Vec::new(), body: Vec::new() }
    }

    /// With content.
    pub(crate) fn post(target: &str, kind: &str, body: Vec<u8>) -> Self {
        let headers = vec![
            ("Content-Type".to_owned(), kind.to_owned()),
            ("Content-Length".to_owned(), body.len().to_string()),
        ];
        Self { method: "POST", target: target.to_owned(), headers, body }
    }

    /// A form.
    pub(crate) fn form(target: &str, fields: &[(&str, &str)]) -> Self {
        let body = query(fields, Encoding::Form).into_bytes();
        Self::post(target, "application/x-www-form-urlencoded", body)
    }

    /// A form of parts, as browsers write it.
    pub(crate) fn parts(target: &str, parts: &[Part<'_>], random: &mut Random) -> Self {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut boundary = "----WebKitFormBoundary".to_owned();
        boundary.extend((0..16).map(|_| char::from(random.one(LETTERS))));
        let mut body = Vec::new();
        for part in parts {
            let quoted = |name: &str| name.replace('"', "%22");
            let mut head =
                format!("Content-Disposition: form-data; name=\"{}\"", quoted(part.name));
            if let Some((file, kind)) = part.file {
                let _ = write!(head, "; filename=\"{}\"\r\nContent-Type: {kind}", quoted(file));
            }
            body.extend(format!("--{boundary}\r\n{head}\r\n\r\n").into_bytes());
            body.extend(part.content);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{boundary}--\r\n").into_bytes());
        Self::post(target, &format!("multipart/form-data; boundary={boundary}"), body)
    }

    /// The same with a field before those it has.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(0, (name.to_owned(), value.to_owned()));
        self
    }
}

/// Parameters, encoded.
pub(crate) fn query(fields: &[(&str, &str)], encoding: Encoding) -> String {
    let encode = |text| encoded(text, encoding);
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    fields.join("&")
}

/// A text, encoded.
pub(crate) fn encoded(text: &str, encoding: Encoding) -> String {
    let kept: &[u8] = match encoding {
        Encoding::Form => b"*-._",
        Encoding::Component => b"-_.!~*'()",
    };
    let mut out = String::new();
    for byte in text.bytes() {
        match (byte, encoding) {
            (b' ', Encoding::Form) => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || kept.contains(&byte) => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_encoded_as_clients_do() {
        let check = |text: &str, form: &str, component: &str| {
            assert_eq!(encoded(text, Encoding::Form), form);
            assert_eq!(encoded(text, Encoding::Component), component);
        };
        check("a b+c", "a+b%2Bc", "a%20b%2Bc");
        check("O'Brien (é)~", "O%27Brien+%28%C3%A9%29%7E", "O'Brien%20(%C3%A9)~");
        let part = Part { name: "f\"", file: Some(("a.txt", "text/plain")), content: b"x" };
        let request = Request::parts("/", &[part], &mut Random::new(1));
        let body = String::from_utf8(request.body).unwrap();
        let boundary = request.headers[0].1.split_once("boundary=").unwrap().1;
        let head = "Content-Disposition: form-data; name=\"f%22\"; filename=\"a.txt\"";
        assert_eq!(
            body,
            format!(
                "--{boundary}\r\n{head}\r\nContent-Type: text/plain\r\n\r\nx\r\n--{boundary}--\r\n"
            )
        );
    }
}
