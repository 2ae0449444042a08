//! UTF-8 as `%uhhhh`.

use super::{code::hex_digits, rewrite};

/// Each sequence of more bytes than one is `%u` and its number in at least four digits. Sequences
/// that are longer than they need be, and halves of surrogate pairs, are taken for what a lax
/// decoder makes of them; bytes that are no sequence stay.
pub(super) fn to_unicode(bytes: &[u8]) -> Option<Vec<u8>> {
    let lead = |rest: &[u8]| rest.iter().position(|byte| (0xc0..=0xf7).contains(byte));
    rewrite(bytes, lead, |out, lead, tail| match sequence(lead, tail) {
        Some((code, used)) => {
            out.extend_from_slice(b"%u");
            // Four digits, and as many more as the number has.
            let [_, high, middle, low] = code.to_be_bytes();
            let digits = [hex_digits(high), hex_digits(middle), hex_digits(low)];
            let leading =
                digits.as_flattened().iter().take(2).take_while(|it| **it == b'0').count();
            out.extend(digits.as_flattened().iter().skip(leading));
            used
        }
        None => {
            out.push(lead);
            0
        }
    })
}

/// The number a sequence stands for, and how many bytes follow the first.
fn sequence(lead: u8, tail: &[u8]) -> Option<(u32, usize)> {
    let (bits, count) = match lead {
        0xc0..=0xdf => (lead & 0x1f, 1),
        0xe0..=0xef => (lead & 0x0f, 2),
        0xf0..=0xf7 => (lead & 0x07, 3),
        _ => return None,
    };
    let code = tail.get(..count)?.iter().try_fold(u32::from(bits), |code, byte| {
        (byte & 0xc0 == 0x80).then(|| code << 6 | u32::from(byte & 0x3f))
    })?;
    Some((code, count))
}
