//! Heads of HTTP/1.x. Where a head ends does not depend on how its bytes come. What is accepted is
//! read the same by another parser, as hyper gets it and as it is written anew from the canonical
//! request, which then has the same digest; as it came, too, if that parser takes it at all.

use bytes::{Bytes, BytesMut};
use gateway::protocol::h1::{self, Limits, Parsed, Scan};
use signals::{Framing, Header, Protocol, Request, Scheme, Unreadable};

const FIELDS_MAX: usize = 256;

/// Reads a head.
pub fn head(data: &[u8]) -> bool {
    let limits = Limits::default();
    let whole = Scan::default().find(data, &limits);
    assert_eq!(byte_by_byte(data, &limits), whole);
    let Ok(Some(length)) = whole else { return false };
    let head = Bytes::copy_from_slice(&data[..length]);
    let mut accepted = false;
    for scheme in [Scheme::Https, Scheme::Http] {
        let Ok(parsed) = h1::parse(&head, scheme, &limits) else { continue };
        accepted = true;
        if agrees_with_another_parser(&head, &parsed, parsed.request.headers.len()) {
            has_fields(&head, parsed.request.headers.iter());
        }
        let for_hyper = for_hyper(&parsed);
        assert!(agrees_with_another_parser(&for_hyper, &parsed, fields_for_hyper(&parsed)));
        survives_being_written_anew(&parsed, scheme);
    }
    accepted
}

fn byte_by_byte(data: &[u8], limits: &Limits) -> Result<Option<usize>, Unreadable> {
    let mut scan = Scan::default();
    for end in 0..=data.len() {
        match scan.find(&data[..end], limits) {
            Ok(None) => {}
            found => return found,
        }
    }
    Ok(None)
}

/// Whether the other parser takes the head; if it does, it sees what we see.
fn agrees_with_another_parser(head: &[u8], ours: &Parsed, fields: usize) -> bool {
    let mut storage = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut theirs = httparse::Request::new(&mut storage);
    let Ok(read) = theirs.parse(head) else { return false };
    assert_eq!(read, httparse::Status::Complete(head.len()));
    assert_eq!(theirs.method, Some(ours.request.method.as_str()));
    let minor = u8::from(ours.request.protocol == Protocol::Http11);
    assert_eq!(theirs.version, Some(minor));
    assert_eq!(theirs.headers.len(), fields);
    assert_eq!(framing(theirs.headers), ours.request.framing);
    true
}

/// The framing that fields declare, read leniently: any that is said counts.
fn framing(fields: &[httparse::Header<'_>]) -> Framing {
    let mut framing = Framing::None;
    for field in fields {
        let value = String::from_utf8_lossy(field.value).trim().to_ascii_lowercase();
        let said = match field.name.to_ascii_lowercase().as_str() {
            "content-length" => Framing::Length(value.parse().expect("a length")),
            "transfer-encoding" if value.contains("chunked") => Framing::Chunked,
            "transfer-encoding" => panic!("a coding that is not chunked: {value}"),
            _ => continue,
        };
        assert_eq!(framing, Framing::None, "framing is said twice");
        framing = said;
    }
    framing
}

/// The other parser finds these fields in the head, those of one name in their order.
fn has_fields<'a>(head: &[u8], ours: impl Iterator<Item = &'a Header>) {
    let mut storage = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut theirs = httparse::Request::new(&mut storage);
    theirs.parse(head).expect("parsed before");
    let mut theirs: Vec<_> = theirs.headers.iter().collect();
    for Header { name, value, .. } in ours {
        let at = theirs.iter().position(|field| field.name.eq_ignore_ascii_case(name.as_str()));
        let field = theirs.remove(at.expect("a field of this name"));
        assert_eq!(field.value.trim_ascii_end(), value.as_bytes(), "{name}");
    }
}

/// The other parser's target.
fn target(head: &[u8]) -> String {
    let mut storage = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut theirs = httparse::Request::new(&mut storage);
    theirs.parse(head).expect("parsed before");
    theirs.path.unwrap_or_default().to_owned()
}

fn for_hyper(parsed: &Parsed) -> Bytes {
    let mut out = BytesMut::new();
    h1::for_hyper(parsed, false, &mut out);
    out.freeze()
}

fn fields_for_hyper(parsed: &Parsed) -> usize {
    1 + usize::from(parsed.request.framing != Framing::None)
        + usize::from(parsed.expect_continue)
        + usize::from(parsed.takes_trailers)
        + usize::from(!parsed.keep_alive)
}

fn survives_being_written_anew(parsed: &Parsed, scheme: Scheme) {
    let request = &parsed.request;
    let head = Bytes::from(written(request));
    let wide = Limits {
        head_bytes: usize::MAX,
        line_bytes: usize::MAX,
        target_bytes: usize::MAX,
        ..Limits::default()
    };
    assert_eq!(Scan::default().find(&head, &wide), Ok(Some(head.len())));
    let again = h1::parse(&head, scheme, &wide).expect("what was accepted is refused").request;
    assert!(agrees_with_another_parser(&head, parsed, again.headers.len()));
    assert_eq!(target(&head), request.target());
    has_fields(&head, request.end_to_end());
    assert_eq!(again.digest(), request.digest());
    assert_eq!((&again.method, again.framing), (&request.method, request.framing));
    assert_eq!((&again.host, again.port), (&request.host, request.port));
    assert_eq!((&again.path, &again.query), (&request.path, &request.query));
    let fields = |request: &Request| request.end_to_end().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&again), fields(request));
}

/// The canonical request as a head, as an upstream would get it.
fn written(request: &Request) -> Vec<u8> {
    let version = if request.protocol == Protocol::Http10 { "1.0" } else { "1.1" };
    let (method, target) = (request.method.as_str(), request.target());
    let mut head = format!("{method} {target} HTTP/{version}\r\nhost: {}\r\n", request.authority())
        .into_bytes();
    match request.framing {
        Framing::None => {}
        Framing::Length(bytes) => head.extend(format!("content-length: {bytes}\r\n").bytes()),
        Framing::Chunked => head.extend(b"transfer-encoding: chunked\r\n"),
    }
    for field in request.end_to_end() {
        head.extend(field.name.as_str().bytes().chain(*b": "));
        head.extend(field.value.as_bytes().iter().chain(b"\r\n"));
    }
    head.extend(b"\r\n");
    head
}
