//! Base64 and hexadecimal digits.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use memchr::memchr;

use super::{changed, hex_byte, hex_run, rewrite, without};

/// Reads what is left of a text that was cut anywhere.
const LAX: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Decodes base64, broken into lines or not, with or without what pads it, up to the first byte
/// that is none; a text that begins with none is left as it is. So do other engines, and readers
/// that forgive what comes after.
pub(super) fn base64_decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let lines = without(bytes, |byte| matches!(byte, b'\r' | b'\n'));
    let text = lines.as_deref().unwrap_or(bytes);
    let end = text.iter().position(|byte| !is_digit(*byte)).unwrap_or(text.len());
    let decoded = decode(text.get(..end)?);
    if decoded.is_empty() { None } else { changed(bytes, decoded) }
}

/// Decodes the base64 digits there are, whatever stands between them.
pub(super) fn base64_decode_ext(bytes: &[u8]) -> Option<Vec<u8>> {
    let digits = without(bytes, |byte| !is_digit(byte));
    changed(bytes, decode(digits.as_deref().unwrap_or(bytes)))
}

/// A last digit that is alone in its group is six bits, which are no byte.
fn decode(digits: &[u8]) -> Vec<u8> {
    let whole = digits.len() - usize::from(digits.len() % 4 == 1);
    digits.get(..whole).and_then(|digits| LAX.decode(digits).ok()).unwrap_or_default()
}

pub(super) fn base64_encode(bytes: &[u8]) -> Option<Vec<u8>> {
    changed(bytes, STANDARD.encode(bytes).into_bytes())
}

/// The digits of a byte.
pub(super) fn hex_digits(byte: u8) -> [u8; 2] {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    [digit(byte >> 4), digit(byte & 0x0f)]
}

pub(super) fn hex_encode(bytes: &[u8]) -> Option<Vec<u8>> {
    changed(bytes, bytes.iter().flat_map(|byte| hex_digits(*byte)).collect())
}

/// Decodes a text that is hexadecimal digits throughout; the last of an odd number goes.
pub(super) fn hex_decode(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    Some(bytes.chunks_exact(2).filter_map(hex_byte).collect())
}

/// `0x` and the pairs of digits after it are the bytes that SQL takes them for.
pub(super) fn sql_hex_decode(bytes: &[u8]) -> Option<Vec<u8>> {
    rewrite(
        bytes,
        |rest| memchr(b'0', rest),
        |out, zero, tail| {
            let digits = match tail {
                [b'x' | b'X', digits @ ..] => digits.get(..hex_run(digits, digits.len()) & !1),
                _ => None,
            };
            let digits = digits.unwrap_or_default();
            if digits.is_empty() {
                out.push(zero);
                return 0;
            }
            out.extend(digits.chunks_exact(2).filter_map(hex_byte));
            1 + digits.len()
        },
    )
}
