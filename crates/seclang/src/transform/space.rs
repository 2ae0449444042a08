//! White space and nulls.

use super::{changed, without};
use crate::byte_set::ByteSet;

/// What C's `isspace` says yes to.
pub(super) const ASCII: ByteSet = ByteSet::of(b" \t\n\x0b\x0c\r");

const NO_BREAK: u8 = 0xa0;

fn is_ascii(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d)
}

/// White space to rule sets: C's, and Latin-1's no-break space.
fn is_space(byte: u8) -> bool {
    is_ascii(byte) || byte == NO_BREAK
}

/// How many bytes of white space come first. UTF-8's no-break space is one space in two bytes:
/// half of it, left over, would part the words it stands in.
fn leading(bytes: &[u8]) -> usize {
    match bytes {
        [0xc2, NO_BREAK, ..] => 2,
        [byte, ..] if is_space(*byte) => 1,
        _ => 0,
    }
}

/// Each run of white space is one space.
pub(super) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    // No short cut within: so that many bytes are looked at in one step.
    let other = |byte: u8| is_space(byte) && byte != b' ';
    let others = bytes.iter().fold(false, |any, byte| any | other(*byte));
    let pairs = bytes.iter().zip(bytes.iter().skip(1));
    let runs = pairs.fold(false, |any, (one, next)| any | (*one == b' ' && *next == b' '));
    if !others && !runs {
        return None;
    }
    changed(bytes, each_run(bytes, Some(b' ')))
}

/// White space is gone.
pub(super) fn remove(bytes: &[u8]) -> Option<Vec<u8>> {
    changed(bytes, each_run(bytes, None))
}

fn each_run(bytes: &[u8], replacement: Option<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut within = false;
    while let [byte, tail @ ..] = rest {
        match leading(rest) {
            0 => {
                let next = tail.iter().position(|byte| is_space(*byte) || *byte == 0xc2);
                let (word, after) =
                    tail.split_at_checked(next.unwrap_or(tail.len())).unwrap_or((tail, b""));
                out.push(*byte);
                out.extend_from_slice(word);
                within = false;
                rest = after;
            }
            used => {
                out.extend(replacement.filter(|_| !within));
                within = true;
                rest = rest.get(used..).unwrap_or_default();
            }
        }
    }
    out
}

pub(super) fn trim_start(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest
        && is_ascii(*byte)
    {
        rest = tail;
    }
    rest
}

pub(super) fn trim_end(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [head @ .., byte] = rest
        && is_ascii(*byte)
    {
        rest = head;
    }
    rest
}

pub(super) fn remove_nulls(bytes: &[u8]) -> Option<Vec<u8>> {
    without(bytes, |byte| byte == 0)
}

pub(super) fn replace_nulls(bytes: &[u8]) -> Option<Vec<u8>> {
    bytes.contains(&0).then(|| {
        let space = |byte: &u8| if *byte == 0 { b' ' } else { *byte };
        bytes.iter().map(space).collect()
    })
}

/// What shells ignore goes: `\ ' " ^`, and spaces before `/` and `(`; `,` and `;` are spaces,
/// spaces are one, letters are small.
pub(super) fn cmd_line(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' | b'\'' | b'"' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if out.last() != Some(&b' ') {
                    out.push(b' ');
                }
            }
            b'/' | b'(' => {
                if out.last() == Some(&b' ') {
                    out.pop();
                }
                out.push(*byte);
            }
            _ => out.push(byte.to_ascii_lowercase()),
        }
    }
    changed(bytes, out)
}
