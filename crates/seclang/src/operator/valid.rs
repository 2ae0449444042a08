//! Operators that match a text which is not what it should be.

use crate::byte_set::ByteSet;

/// `@validateByteRange`: the bytes a text may hold, as numbers and ranges of them: `9,10,32-126`.
pub fn byte_range(argument: &str) -> Result<ByteSet, String> {
    let mut allowed = ByteSet::default();
    for range in argument.split(',').map(str::trim) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.trim().parse::<u8>();
        match (number(first), number(last)) {
            (Ok(first), Ok(last)) if first <= last => {
                allowed = allowed.and(ByteSet::range(first, last));
            }
            _ => return Err(format!("`{range}` is no byte and no range: numbers to 255 are")),
        }
    }
    Ok(allowed)
}

/// `@validateUrlEncoding`: a `%` that two hexadecimal digits do not follow.
pub fn is_url_encoding_invalid(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {}
            _ => return true,
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    false
}

/// `@validateUtf8Encoding`: a byte that begins no character, a sequence that is cut, longer than
/// it need be, half of a surrogate pair, or beyond the last character (RFC 3629).
pub fn is_utf8_invalid(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_err()
}
