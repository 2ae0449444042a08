//! The chunked transfer coding (RFC 9112 §7.1), read strictly and written anew.
//!
//! What comes out is canonical: our own chunk sizes, no extensions, trailers as they were
//! validated. Deliberately absent: any leniency. What two parsers could read differently (a bare
//! LF, a sign, white space, a size that overflows) is malformed.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use signals::{Header, Headers, Unreadable};

use super::h1;

/// Bytes of a line that says a chunk's size, its extensions and CRLF included.
pub const SIZE_LINE_BYTES_MAX: usize = 256;
/// Bytes of chunk extensions in one body. They are dropped.
pub const EXTENSION_BYTES_MAX: usize = 4 << 10;
/// Trailer fields of one body.
pub const TRAILERS_MAX: usize = 32;
/// Bytes of the trailer section, its last CRLF included.
pub const TRAILER_BYTES_MAX: usize = 8 << 10;
/// Bytes that one call leaves in the output, about.
const OUTPUT_BYTES: usize = 16 << 10;
/// Hex digits of a size: what a `u64` holds.
const SIZE_DIGITS_MAX: usize = 16;

/// One chunked body on its way through.
#[derive(Debug, Default)]
pub struct Chunked {
    state: State,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailers: Vec<Header>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

impl Chunked {
    /// Takes from `input` what is complete and appends it, canonical, to `output`. Returns `true`
    /// when the body has ended; what is then left in `input` follows the body.
    ///
    /// # Errors
    /// [`Unreadable::BodyMalformed`]: where the body ends is not known, and neither is what
    /// follows it.
    pub fn recode(
        &mut self,
        input: &mut BytesMut,
        output: &mut BytesMut,
    ) -> Result<bool, Unreadable> {
        while self.state != State::Done && output.len() < OUTPUT_BYTES {
            if !self.step(input, output)? {
                break;
            }
        }
        Ok(self.state == State::Done)
    }

    /// One line or piece of data; `false` when more input is needed.
    fn step(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<bool, Unreadable> {
        self.state = match self.state {
            State::Size => match take_line(input, SIZE_LINE_BYTES_MAX)? {
                None => return Ok(false),
                Some(line) => self.size(&line)?,
            },
            State::Data(_) if input.is_empty() => return Ok(false),
            State::Data(left) => data(left, input, output),
            State::DataEnd => match (input.first(), input.get(1)) {
                (Some(b'\r'), Some(b'\n')) => {
                    input.advance(2);
                    State::Size
                }
                (None, _) | (Some(b'\r'), None) => return Ok(false),
                _ => return Err(Unreadable::BodyMalformed),
            },
            State::Trailers => {
                let room = TRAILER_BYTES_MAX.saturating_sub(self.trailer_bytes);
                match take_line(input, room)? {
                    None => return Ok(false),
                    Some(line) if line.is_empty() => self.end(output)?,
                    Some(line) => self.trailer(&line)?,
                }
            }
            State::Done => return Ok(false),
        };
        Ok(true)
    }

    /// `chunk-size [ chunk-ext ]`, without CRLF.
    fn size(&mut self, line: &[u8]) -> Result<State, Unreadable> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, extension) = line.split_at_checked(digits).ok_or(Unreadable::BodyMalformed)?;
        if digits.is_empty() || digits.len() > SIZE_DIGITS_MAX {
            return Err(Unreadable::BodyMalformed);
        }
        self.extension_bytes = self.extension_bytes.saturating_add(extension.len());
        let visible = extension.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        let begins = extension.first().is_none_or(|byte| *byte == b';');
        if !visible || !begins || self.extension_bytes > EXTENSION_BYTES_MAX {
            return Err(Unreadable::BodyMalformed);
        }
        let size = digits.iter().fold(0_u64, |size, digit| size << 4 | u64::from(hex(*digit)));
        Ok(if size == 0 { State::Trailers } else { State::Data(size) })
    }

    fn trailer(&mut self, line: &Bytes) -> Result<State, Unreadable> {
        self.trailer_bytes = self.trailer_bytes.saturating_add(line.len()).saturating_add(2);
        if self.trailers.len() >= TRAILERS_MAX {
            return Err(Unreadable::BodyMalformed);
        }
        self.trailers.push(h1::field(line, line).map_err(|_| Unreadable::BodyMalformed)?);
        Ok(State::Trailers)
    }

    fn end(&mut self, output: &mut BytesMut) -> Result<State, Unreadable> {
        let trailers = Headers::new(std::mem::take(&mut self.trailers))
            .map_err(|_| Unreadable::BodyMalformed)?;
        output.put_slice(b"0\r\n");
        for field in trailers.iter() {
            output.put_slice(field.name.as_str().as_bytes());
            output.put_slice(b": ");
            output.put_slice(field.value.as_bytes());
            output.put_slice(b"\r\n");
        }
        output.put_slice(b"\r\n");
        Ok(State::Done)
    }
}

/// Moves what is there of a chunk's data, as a chunk of its own.
fn data(left: u64, input: &mut BytesMut, output: &mut BytesMut) -> State {
    let left_now = usize::try_from(left).unwrap_or(usize::MAX);
    let now = left_now.min(input.len()).min(OUTPUT_BYTES);
    let piece = input.split_to(now);
    output.put_slice(format!("{now:x}\r\n").as_bytes());
    output.put_slice(&piece);
    output.put_slice(b"\r\n");
    match left.saturating_sub(piece.len() as u64) {
        0 => State::DataEnd,
        left => State::Data(left),
    }
}

/// A line of at most `max` bytes with its CRLF, which is taken off; `None` while it is not whole.
fn take_line(input: &mut BytesMut, max: usize) -> Result<Option<Bytes>, Unreadable> {
    let Some(lf) = input.iter().take(max).position(|byte| *byte == b'\n') else {
        return if input.len() < max { Ok(None) } else { Err(Unreadable::BodyMalformed) };
    };
    let mut line = input.split_to(lf);
    input.advance(1);
    if line.last() != Some(&b'\r') {
        return Err(Unreadable::BodyMalformed);
    }
    line.truncate(line.len().saturating_sub(1));
    if line.contains(&b'\r') { Err(Unreadable::BodyMalformed) } else { Ok(Some(line.freeze())) }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recodes `raw` in pieces of `step` bytes: what came out, and what was left.
    fn recode(raw: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>), Unreadable> {
        let (mut body, mut input, mut all) = (Chunked::default(), BytesMut::new(), Vec::new());
        let mut pieces = raw.chunks(step);
        loop {
            let mut output = BytesMut::new();
            let done = body.recode(&mut input, &mut output)?;
            all.extend_from_slice(&output);
            if done {
                let rest = pieces.flatten().copied();
                return Ok((all, input.iter().copied().chain(rest).collect()));
            }
            if output.is_empty() {
                input.extend_from_slice(pieces.next().ok_or(Unreadable::HeadIncomplete)?);
            }
        }
    }

    /// What the canonical body says: data, trailer lines.
    fn plain(canonical: &[u8]) -> (Vec<u8>, String) {
        let (mut at, mut data) = (canonical, Vec::new());
        loop {
            let line = at.iter().position(|b| *b == b'\n').expect("a size line");
            let size = std::str::from_utf8(&at[..line - 1]).expect("digits");
            let size = usize::from_str_radix(size, 16).expect("a size");
            at = &at[line + 1..];
            if size == 0 {
                return (data, String::from_utf8_lossy(at).into_owned());
            }
            data.extend_from_slice(&at[..size]);
            assert_eq!(&at[size..size + 2], b"\r\n");
            at = &at[size + 2..];
        }
    }

    #[test]
    fn what_is_read() {
        fn check(raw: &[u8], data: &[u8], trailers: &str, rest: &[u8]) {
            for step in [1, 2, 3, 7, 64, usize::MAX] {
                let (canonical, left) = recode(raw, step).expect("readable");
                assert_eq!(plain(&canonical), (data.to_vec(), trailers.to_owned()), "by {step}");
                assert_eq!(left, rest, "by {step}");
            }
        }
        check(b"0\r\n\r\n", b"", "\r\n", b"");
        check(b"000\r\n\r\nGET /", b"", "\r\n", b"GET /");
        check(b"3\r\nabc\r\n0\r\n\r\n", b"abc", "\r\n", b"");
        check(b"1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n", b"a0123456789", "\r\n", b"");
        check(b"3;x=\"1; 2\"\r\na\nb\r\n0;last\r\n\r\n", b"a\nb", "\r\n", b"");
        check(b"0000000000000003\r\nabc\r\n0\r\n\r\n", b"abc", "\r\n", b"");
        check(b"0\r\nX-Sum:  1 \r\nb:\r\n\r\n", b"", "x-sum: 1\r\nb: \r\n\r\n", b"");
    }

    #[test]
    fn what_is_malformed() {
        fn check(raw: &[u8]) {
            for step in [1, 3, usize::MAX] {
                assert_eq!(
                    recode(raw, step),
                    Err(Unreadable::BodyMalformed),
                    "{}",
                    raw.escape_ascii()
                );
            }
        }
        check(b"\r\n");
        check(b"\n");
        check(b"3\nabc\r\n");
        check(b"3\r\nabc\n0\r\n\r\n");
        check(b"3\r\nabcd\r\n");
        check(b"3\r\nabc\r0\r\n\r\n");
        check(b"+3\r\nabc\r\n");
        check(b"-3\r\nabc\r\n");
        check(b"0x3\r\nabc\r\n");
        check(b" 3\r\nabc\r\n");
        check(b"3 \r\nabc\r\n");
        check(b"3 ;a\r\nabc\r\n");
        check(b"3\t\r\nabc\r\n");
        check(b"g\r\n");
        check(b"3;a\rb\r\nabc\r\n");
        check(b"3;\0\r\nabc\r\n");
        check(b"3;\xff\r\nabc\r\n");
        check(b"00000000000000003\r\nabc\r\n");
        check(b"10000000000000000\r\n");
        check(b"0\r\nbad name: 1\r\n\r\n");
        check(b"0\r\nx : 1\r\n\r\n");
        check(b"0\r\nx: 1\n\r\n");
        check(b"0\r\nx: 1\r\n folded\r\n\r\n");
        check(b"0\r\nx: \0\r\n\r\n");
        check(b"0\r\nx: 1\r\n\n");
        check(b"0\r\nx_forwarded_user: admin\r\n\r\n");
        check(b"0\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n");
    }

    #[test]
    fn limits_at_their_edges() {
        fn check(raw: String, readable: bool) {
            assert_eq!(recode(raw.as_bytes(), 4096).is_ok(), readable, "{} bytes", raw.len());
        }
        let line = |bytes: usize| format!("0;{}\r\n\r\n", "a".repeat(bytes - 4));
        check(line(SIZE_LINE_BYTES_MAX), true);
        check(line(SIZE_LINE_BYTES_MAX + 1), false);
        let digits = |digits: usize| format!("{}\r\n\r\n", "0".repeat(digits));
        check(digits(SIZE_DIGITS_MAX), true);
        check(digits(SIZE_DIGITS_MAX + 1), false);
        let extensions = |last: usize| {
            let chunk = format!("1;{}\r\na\r\n", "b".repeat(127));
            format!("{}0;{}\r\n\r\n", chunk.repeat(31), "b".repeat(last))
        };
        check(extensions(127), true);
        check(extensions(128), false);
        let trailers = |fields: usize| format!("0\r\n{}\r\n", "a: 1\r\n".repeat(fields));
        check(trailers(TRAILERS_MAX), true);
        check(trailers(TRAILERS_MAX + 1), false);
        let section = |bytes: usize| format!("0\r\na: {}\r\n\r\n", "b".repeat(bytes - 7));
        check(section(TRAILER_BYTES_MAX), true);
        check(section(TRAILER_BYTES_MAX + 1), false);
    }

    #[test]
    fn output_is_bounded() {
        let mut input = BytesMut::from(&b"100000\r\n"[..]);
        input.extend_from_slice(&vec![b'a'; 1 << 20]);
        let mut output = BytesMut::new();
        assert_eq!(Chunked::default().recode(&mut input, &mut output), Ok(false));
        assert!(output.len() < OUTPUT_BYTES + 16, "{}", output.len());
    }
}
