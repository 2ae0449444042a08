//! The path and the query of a request target, each in one spelling.

use super::Unreadable;

/// A path. Its bytes are what goes upstream; its segments, decoded once, are what routes and
/// policies see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    raw: String,
    segments: Vec<String>,
    encoded_slash: bool,
    matrix_params: bool,
}

impl Path {
    /// Reads an absolute path (RFC 3986 §3.3). What a route may opt in to (an encoded slash, `;`
    /// parameters) is noted; everything else that two parsers could read differently is refused.
    pub fn parse(raw: &[u8]) -> Result<Self, Unreadable> {
        let Some((b'/', rest)) = raw.split_first() else {
            return Err(Unreadable::BadTarget);
        };
        let mut path = Self {
            raw: String::with_capacity(raw.len()),
            segments: Vec::new(),
            encoded_slash: false,
            matrix_params: false,
        };
        if rest.is_empty() {
            path.raw.push('/');
            return Ok(path);
        }
        let mut segments = rest.split(|byte| *byte == b'/').peekable();
        while let Some(segment) = segments.next() {
            if segment.is_empty() && segments.peek().is_some() {
                return Err(Unreadable::EmptySegment);
            }
            path.raw.push('/');
            path.push(segment)?;
        }
        Ok(path)
    }

    /// The path as it is sent upstream: percent-encoded ASCII.
    pub fn as_str(&self) -> &str {
        &self.raw
    }

    /// The segments, decoded once. `/` has none; a trailing slash gives an empty last one.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// A segment holds an encoded slash.
    pub fn encoded_slash(&self) -> bool {
        self.encoded_slash
    }

    /// A segment holds `;`.
    pub fn matrix_params(&self) -> bool {
        self.matrix_params
    }

    fn push(&mut self, segment: &[u8]) -> Result<(), Unreadable> {
        let mut decoded = Vec::with_capacity(segment.len());
        let mut bytes = segment.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                b'%' => {
                    let [high, low] = [bytes.next(), bytes.next()];
                    let value = pair(high, low).ok_or(Unreadable::BadPercentEncoding)?;
                    decoded.push(self.encoded(value)?);
                    let digits = [high, low].into_iter().flatten();
                    self.raw.push('%');
                    self.raw.extend(digits.map(char::from));
                    continue;
                }
                b'\\' => return Err(Unreadable::Backslash),
                b'#' => return Err(Unreadable::Fragment),
                0..=b' ' | b'?' | 0x7f => return Err(Unreadable::BadTarget),
                b';' => self.matrix_params = true,
                _ => {}
            }
            push_raw(&mut self.raw, byte);
            decoded.push(byte);
        }
        let decoded = String::from_utf8(decoded).map_err(|_| Unreadable::PathNotUtf8)?;
        let parts = decoded.split('/').map(|part| part.split(';').next().unwrap_or_default());
        if parts.into_iter().any(|part| part == "." || part == "..") {
            return Err(Unreadable::DotSegment);
        }
        self.segments.push(decoded);
        Ok(())
    }

    /// What an encoded byte may be.
    fn encoded(&mut self, value: u8) -> Result<u8, Unreadable> {
        match value {
            0 => return Err(Unreadable::EncodedNul),
            b'\\' => return Err(Unreadable::Backslash),
            1..=0x1f | 0x7f => return Err(Unreadable::BadTarget),
            b'/' => self.encoded_slash = true,
            b';' => self.matrix_params = true,
            _ => {}
        }
        Ok(value)
    }
}

/// A query, without its `?`. Only the spelling is canonical; what the parameters mean is for
/// checks and the upstream, who both see these bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(String);

impl Query {
    /// Reads a query (RFC 3986 §3.4). Characters that should have been percent-encoded are; bytes
    /// that are no characters are refused, as other parsers do.
    pub fn parse(raw: &[u8]) -> Result<Self, Unreadable> {
        std::str::from_utf8(raw).map_err(|_| Unreadable::BadTarget)?;
        let mut query = String::with_capacity(raw.len());
        for byte in raw {
            match byte {
                b'#' => return Err(Unreadable::Fragment),
                0..=b' ' | 0x7f => return Err(Unreadable::BadTarget),
                _ => push_raw(&mut query, *byte),
            }
        }
        Ok(Self(query))
    }

    /// The query as it is sent upstream: ASCII.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Appends a byte that stood raw: as it is where RFC 3986 allows it (and `[` and `]`, which
/// everybody sends in queries), else percent-encoded.
fn push_raw(to: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let keep = byte.is_ascii_graphic() && !b"\"<>^`{|}\\".contains(&byte);
    if keep {
        to.push(char::from(byte));
        return;
    }
    to.push('%');
    for digit in [byte >> 4, byte & 0xf] {
        to.push(HEX.get(usize::from(digit)).copied().map_or('0', char::from));
    }
}

fn pair(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}
