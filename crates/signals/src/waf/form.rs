//! `application/x-www-form-urlencoded`, as applications read it: `+` is a space, a percent
//! sequence that is none stands for itself.

use super::input::{Collection, Input};

/// Adds every pair, and every name, as values of `collection`.
pub(super) fn pairs(text: &[u8], collection: Collection, input: &mut Input) {
    for pair in text.split(|byte| *byte == b'&') {
        if pair.is_empty() {
            continue;
        }
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(at).unwrap_or((pair, b""));
        let name = decode(name);
        input.push(
            collection,
            String::from_utf8_lossy(&name),
            decode(value.strip_prefix(b"=").unwrap_or(value)),
        );
        input.push(Collection::ArgsNames, "", name);
    }
}

/// Decoded once.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(*first),
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
