//! The mix: what clients do, over either version, and what the record must say of each.

use fixtures::h2;

/// What a client does, and what the record must say of it.
pub(super) struct Case {
    /// Also its `X-Request-ID`.
    pub(super) name: &'static str,
    pub(super) act: Act,
    pub(super) version: Version,
    /// The request; `{id}` and `{token}` are filled in.
    pub(super) bytes: &'static str,
    /// Of its decision; if it has no outcome it has no decision, and is counted in an aggregate.
    pub(super) reason: &'static str,
    /// Of its completion, as is `detail`; where it depends on what is seen first, one of several.
    pub(super) outcome: &'static str,
    pub(super) detail: &'static str,
    /// The status that the client hears, if it stays to hear one.
    pub(super) status: Option<u16>,
}

/// How the request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Its bytes.
    H1,
    /// What they say, on a stream; a body that is shorter than its length is not ended.
    H2,
    /// The same, and the bytes after the head are frames of the connection.
    H2Frames,
}

/// When the client leaves; of HTTP/2, it resets the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// With the answer, which is whole.
    Stay,
    /// With an answer that breaks off, a stream that is reset or a connection that is closed.
    Broken,
    /// As soon as it has sent.
    Leave,
    /// When the upstream has the head.
    LeaveUpstream,
    /// When the gateway asks the identity provider.
    LeaveIdentify,
}

macro_rules! case {
    ($name:literal, $version:ident, $act:ident, $status:expr, $reason:literal, $outcome:literal, $detail:literal, $bytes:expr) => {
        Case {
            name: $name,
            act: Act::$act,
            version: Version::$version,
            bytes: $bytes,
            reason: $reason,
            outcome: $outcome,
            detail: $detail,
            status: $status,
        }
    };
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    case!("answered", H1, Stay, Some(200), "permit", "answered", "",
        "GET /public HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("head", H1, Stay, Some(200), "permit", "answered", "",
        "HEAD /public HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("nobody", H1, Stay, Some(401), "unauthenticated", "answered", "",
        "GET /orders HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("not-the-owner", H1, Stay, Some(403), "forbidden", "answered", "",
        "GET /orders/o-1002 HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\nAuthorization: Bearer {token}\r\n\r\n"),
    case!("unrouted", H1, Stay, Some(404), "not_found", "answered", "",
        "GET /nowhere HTTP/1.1\r\nHost: other.example.test\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("wrong-method", H1, Stay, Some(405), "method_not_allowed", "answered", "",
        "PATCH /public HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("unreadable", H1, Stay, Some(400), "bare_lf", "answered", "",
        "GET /public HTTP/1.1\nHost: localhost\n\n"),
    case!("late-head", H1, Stay, Some(408), "head_timeout", "answered", "",
        "GET /public HTTP/1.1\r\nHost: loc"),
    case!("cut-head", H1, Leave, None, "head_incomplete", "answered", "",
        "GET /public HTTP/1.1\r\nHost: loc"),
    case!("cut-inspected-body", H1, Leave, None, "body_malformed", "answered", "",
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\nContent-Length: 100\r\n\r\nten bytes."),
    case!("late-inspected-body", H1, Stay, Some(408), "body_timeout", "answered", "",
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\nContent-Length: 100\r\n\r\nten bytes."),
    case!("cut-streamed-body", H1, LeaveUpstream, None, "permit", "client_gone", "client_body_gone",
        "POST /upload HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\nContent-Length: 100\r\n\r\nten bytes."),
    case!("late-streamed-body", H1, Stay, Some(408), "permit", "timed_out", "client_body_stalled",
        "POST /upload HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\nContent-Length: 100\r\n\r\nten bytes."),
    case!("malformed-streamed-body", H1, Stay, Some(400), "permit", "answered", "client_body_malformed",
        "POST /upload HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\nfour\r\n"),
    case!("left-while-waiting", H1, LeaveUpstream, None, "permit", "client_gone", "",
        "GET /slow?ms=2000 HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("left-while-streaming", H1, LeaveUpstream, None, "permit", "client_gone", "",
        "GET /stream?chunks=100000&ms=1 HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("left-while-keys-are-fetched", H1, LeaveIdentify, None, "abandoned", "", "",
        "GET /orders HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\nAuthorization: Bearer {unknown}\r\n\r\n"),
    case!("late-upstream", H1, Stay, Some(504), "permit", "timed_out", "response_timeout",
        "GET /slow?ms=60000 HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("reset-upstream", H1, Broken, None, "permit", "upstream_failed", "reset",
        "GET /reset HTTP/1.1\r\nHost: api.example.test\r\nX-Request-ID: {id}\r\n\r\n"),
    case!("h2-answered", H2, Stay, Some(200), "permit", "answered", "",
        "GET /public\r\nhost: localhost\r\nx-request-id: {id}\r\n\r\n"),
    case!("h2-sent-on", H2, Stay, Some(200), "permit", "answered", "",
        "POST /status?code=200\r\nhost: api.example.test\r\nx-request-id: {id}\r\ncontent-length: 4\r\n\r\nabcd"),
    case!("h2-nobody", H2, Stay, Some(401), "unauthenticated", "answered", "",
        "GET /orders\r\nhost: localhost\r\nx-request-id: {id}\r\n\r\n"),
    case!("h2-unrouted", H2, Stay, Some(404), "not_found", "answered", "",
        "GET /nowhere\r\nhost: other.example.test\r\nx-request-id: {id}\r\n\r\n"),
    case!("h2-unreadable", H2, Stay, Some(400), "dot_segment", "answered", "",
        "GET /public/../orders\r\nhost: localhost\r\n\r\n"),
    case!("h2-cut-inspected-body", H2, Leave, None, "body_malformed", "answered|client_gone|abandoned", "",
        "POST /orders\r\nhost: localhost\r\nx-request-id: {id}\r\ncontent-length: 100\r\n\r\nten bytes."),
    case!("h2-late-inspected-body", H2, Stay, Some(408), "body_timeout", "answered", "",
        "POST /orders\r\nhost: localhost\r\nx-request-id: {id}\r\ncontent-length: 100\r\n\r\nten bytes."),
    case!("h2-cut-streamed-body", H2, LeaveUpstream, None, "permit", "client_gone", "client_body_gone|",
        "POST /upload\r\nhost: api.example.test\r\nx-request-id: {id}\r\ncontent-length: 100\r\n\r\nten bytes."),
    case!("h2-late-streamed-body", H2, Stay, Some(408), "permit", "timed_out", "client_body_stalled",
        "POST /upload\r\nhost: api.example.test\r\nx-request-id: {id}\r\ncontent-length: 100\r\n\r\nten bytes."),
    case!("h2-left-while-waiting", H2, LeaveUpstream, None, "permit", "client_gone", "",
        "GET /slow?ms=2000\r\nhost: api.example.test\r\nx-request-id: {id}\r\n\r\n"),
    case!("h2-left-while-streaming", H2, LeaveUpstream, None, "permit", "client_gone", "",
        "GET /stream?chunks=100000&ms=1\r\nhost: api.example.test\r\nx-request-id: {id}\r\n\r\n"),
    case!("h2-late-upstream", H2, Stay, Some(504), "permit", "timed_out", "response_timeout",
        "GET /slow?ms=60000\r\nhost: api.example.test\r\nx-request-id: {id}\r\n\r\n"),
    case!("h2-reset-upstream", H2, Broken, None, "permit", "upstream_failed", "reset",
        "GET /reset\r\nhost: api.example.test\r\nx-request-id: {id}\r\n\r\n"),
    case!("h2-refused-stream", H2, Broken, None, "protocol_error", "", "",
        "GET /public\r\nhost: localhost\r\nconnection: close\r\nx-request-id: {id}\r\n\r\n"),
    case!("h2-late-head", H2Frames, Broken, None, "head_timeout", "", "",
        "\0\0\0\x01\x01\0\0\0\x01"),
    case!("h2-broken-head", H2Frames, Broken, None, "protocol_error", "", "",
        "\0\0\x03\x01\x05\0\0\0\x01\x7e\x01a"),
];

impl Case {
    /// The same request on stream 1 of an HTTP/2 connection.
    pub(super) fn frames(&self, bytes: &str) -> Vec<u8> {
        if self.version == Version::H2Frames {
            return bytes.bytes().collect();
        }
        let (head, body) = bytes.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.split("\r\n");
        let (method, path) = lines.next().and_then(|line| line.split_once(' ')).expect("a line");
        let named: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
        let field = |name| named.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        let mut fields = vec![
            (":method", method),
            (":scheme", "https"),
            (":authority", field("host").expect("a host")),
            (":path", path),
        ];
        fields.extend(named.iter().filter(|(name, _)| *name != "host"));
        let Some(length) = field("content-length") else {
            return h2::request(1, &fields, None);
        };
        let whole = length.parse() == Ok(body.len());
        let head = h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &h2::block(&fields));
        let flags = if whole { h2::END_STREAM } else { 0 };
        [head, h2::frame(h2::DATA, flags, 1, body.as_bytes())].concat()
    }
}
