//! Escapes with a backslash: of JavaScript, of CSS, and of C as shells and SQL know it.

use memchr::memchr;

use super::{best_fit::look_alike, hex, hex_byte, hex_run, rewrite};

fn backslash(rest: &[u8]) -> Option<usize> {
    memchr(b'\\', rest)
}

/// `\uhhhh`, `\xhh`, `\ooo`, `\n` and the like; before any other byte the backslash goes.
pub(super) fn js(bytes: &[u8]) -> Option<Vec<u8>> {
    rewrite(bytes, backslash, |out, backslash, tail| {
        let Some((kind, after)) = tail.split_first() else {
            out.push(backslash);
            return 0;
        };
        let (byte, used) = match kind {
            b'u' => match after.get(..4).and_then(hex) {
                Some(code) => (look_alike(code), 5),
                None => (b'u', 1),
            },
            b'x' => match after.get(..2).and_then(hex_byte) {
                Some(byte) => (byte, 3),
                None => (b'x', 1),
            },
            b'0'..=b'7' => octal_fitting(tail),
            b'a'..=b'v' => (control(*kind).unwrap_or(*kind), 1),
            other => (*other, 1),
        };
        out.push(byte);
        used
    })
}

/// The control character that a letter stands for.
fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        _ => return None,
    })
}

/// Up to three octal digits, as long as they fit a byte.
fn octal_fitting(tail: &[u8]) -> (u8, usize) {
    let count = if matches!(tail.first(), Some(b'0'..=b'3')) { 3 } else { 2 };
    octal(tail, count)
}

/// Up to so many octal digits; what does not fit a byte is cut.
fn octal(tail: &[u8], max: usize) -> (u8, usize) {
    let digits = tail.iter().take(max).take_while(|byte| (b'0'..=b'7').contains(*byte));
    digits.fold((0, 0), |(value, used): (u8, usize), digit| {
        (value.wrapping_mul(8).wrapping_add(digit - b'0'), used + 1)
    })
}

/// Up to six hexadecimal digits and a space after them; before any other byte the backslash goes,
/// before a newline both, and at the end.
pub(super) fn css(bytes: &[u8]) -> Option<Vec<u8>> {
    rewrite(bytes, backslash, |out, _, tail| {
        let digits = hex_run(tail, 6);
        match tail.get(..digits).filter(|digits| !digits.is_empty()).and_then(hex) {
            Some(code) => {
                out.push(look_alike(code));
                let space = matches!(tail.get(digits), Some(b' ' | 0x09..=0x0d));
                digits + usize::from(space)
            }
            None => {
                out.extend(tail.first().filter(|byte| **byte != b'\n'));
                usize::from(!tail.is_empty())
            }
        }
    })
}

/// `\xhh`, `\ooo` (cut to a byte), `\n` and the like; a `\x` without digits stays as it is, before
/// any other byte the backslash goes.
pub(super) fn ansi_c(bytes: &[u8]) -> Option<Vec<u8>> {
    rewrite(bytes, backslash, |out, backslash, tail| {
        let Some((kind, after)) = tail.split_first() else {
            out.push(backslash);
            return 0;
        };
        let (byte, used) = match kind {
            b'x' | b'X' => match after.get(..2).and_then(hex_byte) {
                Some(byte) => (byte, 3),
                None => (backslash, 0),
            },
            b'0'..=b'7' => octal(tail, 3),
            other => (control(*other).unwrap_or(*other), 1),
        };
        out.push(byte);
        used
    })
}
