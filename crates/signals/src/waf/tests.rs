//! Requests as text, facts as numbers.

mod bodies;
mod facts;
mod responses;
mod rows;
mod work;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

use super::*;
use crate::{Framing, Header, Headers, Host, Inspected, Path, Protocol, Query, Scheme};

/// The fields a browser sends, unless the test gives its own.
const BROWSER: [(&str, &str); 9] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "de-DE,de;q=0.8,en-US;q=0.5,en;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example.com/search?q=shoes&sort=price"),
    ("sec-fetch-mode", "navigate"),
    ("te", "trailers"),
    ("cookie", "_ga=GA1.1.1234567890.1732305330; session=eyJhbGciOiJFUzI1NiJ9.e30.c2ln"),
    ("authorization", "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"),
];

/// A request as a browser sends it.
struct Asked {
    target: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    whole: bool,
}

impl Asked {
    fn get(target: impl Into<Vec<u8>>) -> Self {
        let headers = Vec::new();
        Self { target: target.into(), headers, body: Vec::new(), whole: true }
    }

    fn post(kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let asked = Self { body: body.into(), ..Self::get("/orders") };
        match kind {
            "" => asked,
            _ => asked.header("content-type", kind),
        }
    }

    fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    fn request(self) -> Request {
        let (path, query) = match self.target.iter().position(|byte| *byte == b'?') {
            Some(at) => (&self.target[..at], Some(&self.target[at + 1..])),
            None => (&self.target[..], None),
        };
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let browser = BROWSER.iter().map(|(name, value)| (*name, value.as_bytes()));
        let absent = |(name, _): &(&str, &[u8])| !self.headers.iter().any(|(own, _)| own == name);
        let fields = browser.filter(absent).chain(own).map(|(name, value)| Header {
            name: HeaderName::from_bytes(name.as_bytes()).expect("a name"),
            value: HeaderValue::from_bytes(value).expect("a value"),
        });
        let no_body = self.body.is_empty() && self.whole;
        Request {
            protocol: Protocol::Http11,
            method: if no_body { Method::GET } else { Method::POST },
            scheme: Scheme::Https,
            host: Host::parse(b"shop.example.com").expect("a host").0,
            port: None,
            path: Path::parse(path).expect("a path"),
            query: query.map(|query| Query::parse(query).expect("a query")),
            headers: Headers::new(fields.collect()).expect("fields"),
            framing: if no_body { Framing::None } else { Framing::Chunked },
            inspected: Inspected { bytes: Bytes::from(self.body), whole: self.whole },
        }
    }

    /// What the default rules make of it.
    fn observe(self) -> Waf {
        observe(rules(), Inspect::Body, &self.request())
    }
}

/// What rules make of a request.
fn observe(rules: &Rules, waf: Inspect, request: &Request) -> Waf {
    rules.observe(&Checks { waf, ..Checks::default() }, request, &Conn::default())
}

fn rules() -> &'static Rules {
    static RULES: std::sync::OnceLock<Rules> = std::sync::OnceLock::new();
    RULES.get_or_init(|| {
        Rules::default_rules().unwrap_or_else(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", problems.join("\n"));
        })
    })
}

/// Percent-encoded as browsers send forms.
fn encode(value: &str) -> String {
    value.bytes().fold(String::new(), |out, byte| match byte {
        b' ' => out + "+",
        _ if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) => {
            out + &char::from(byte).to_string()
        }
        _ => out + &format!("%{byte:02X}"),
    })
}
