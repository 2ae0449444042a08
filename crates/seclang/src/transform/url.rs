//! `%hh`, `%uhhhh` and `+`.

use memchr::memchr2;

use super::{best_fit, changed, hex, hex_byte, rewrite};
use crate::byte_set::ByteSet;

/// What is not encoded.
pub(super) const PLAIN: ByteSet = ByteSet::ALNUM.and(ByteSet::of(b"*"));

/// `+` is a space, `%hh` the byte; with `wide`, `%uhhhh` what fits its character best. What is no
/// encoding stays as it is.
pub(super) fn decode(bytes: &[u8], wide: bool) -> Option<Vec<u8>> {
    rewrite(
        bytes,
        |rest| memchr2(b'%', b'+', rest),
        |out, mark, tail| {
            let (byte, used) = match mark {
                b'+' => (b' ', 0),
                _ => escape(tail, wide).unwrap_or((mark, 0)),
            };
            out.push(byte);
            used
        },
    )
}

/// The byte after a `%`, and how many characters spelt it.
fn escape(tail: &[u8], wide: bool) -> Option<(u8, usize)> {
    if wide && matches!(tail.first(), Some(b'u' | b'U')) {
        return Some((best_fit::byte(hex(tail.get(1..5)?)?), 5));
    }
    Some((hex_byte(tail.get(..2)?)?, 2))
}

/// A space is `+`; other than letters, digits and `*` are `%hh`.
pub(super) fn encode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' ' => out.push(b'+'),
            _ if PLAIN.has(*byte) => out.push(*byte),
            _ => {
                out.push(b'%');
                out.extend(super::code::hex_digits(*byte));
            }
        }
    }
    changed(bytes, out)
}
