//! Bodies in the chunked coding. What comes out does not depend on how the bytes come, and is a
//! chunked body again, of the same data, for another parser and for our own.

use bytes::BytesMut;
use gateway::protocol::chunked::Chunked;

/// How a body ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Whole,
    Incomplete,
    Malformed,
}

/// What came of a body: what was written, and what was left behind its end.
struct Recoded {
    end: End,
    out: Vec<u8>,
    rest: Vec<u8>,
}

/// Reads a chunked body. The first byte says how it is cut into pieces.
pub fn chunked(data: &[u8]) -> bool {
    let Some((size, body)) = data.split_first() else { return false };
    let whole = recode([body].into_iter());
    let pieces = recode(body.chunks(usize::from(*size) + 1));
    assert_eq!(pieces.end, whole.end);
    if whole.end == End::Malformed {
        return false;
    }
    let plain = plain(&whole.out, whole.end == End::Whole);
    assert_eq!(self::plain(&pieces.out, pieces.end == End::Whole), plain);
    if whole.end == End::Incomplete {
        return false;
    }
    assert_eq!(pieces.rest, whole.rest);
    let again = recode([whole.out.as_slice()].into_iter());
    assert_eq!((again.end, again.rest), (End::Whole, Vec::new()));
    assert_eq!(self::plain(&again.out, true), plain);
    true
}

fn recode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Recoded {
    let mut chunked = Chunked::default();
    let (mut input, mut out, mut end) = (BytesMut::new(), Vec::new(), End::Incomplete);
    for piece in pieces {
        input.extend_from_slice(piece);
        while end == End::Incomplete {
            let mut some = BytesMut::new();
            match chunked.recode(&mut input, &mut some) {
                Ok(true) => end = End::Whole,
                Ok(false) => {}
                Err(_) => end = End::Malformed,
            }
            if some.is_empty() {
                break;
            }
            out.extend_from_slice(&some);
        }
    }
    Recoded { end, out, rest: input.to_vec() }
}

/// The data and the trailer section of a body that we wrote, by another parser.
fn plain(mut out: &[u8], whole: bool) -> (Vec<u8>, Vec<u8>) {
    let mut data = Vec::new();
    while !out.is_empty() {
        let status = httparse::parse_chunk_size(out).expect("a chunk size of ours is refused");
        let httparse::Status::Complete((line, size)) = status else { panic!("half a line") };
        out = &out[line..];
        if size == 0 {
            assert!(whole, "an end that was not there");
            return (data, out.to_vec());
        }
        let (chunk, rest) = out.split_at(usize::try_from(size).expect("a size"));
        data.extend_from_slice(chunk);
        out = rest.strip_prefix(b"\r\n").expect("a chunk's end");
    }
    assert!(!whole, "a body without its end");
    (data, Vec::new())
}
