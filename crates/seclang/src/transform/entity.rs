//! References to characters, as HTML writes them.

use memchr::memchr;

use super::{best_fit::look_alike, rewrite};

/// `&#60;`, `&#x3c;`, `&lt;`, with or without the `;`. What is no reference stays.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    rewrite(
        bytes,
        |rest| memchr(b'&', rest),
        |out, mark, tail| {
            let (byte, used) = reference(tail).unwrap_or((mark, 0));
            out.push(byte);
            used
        },
    )
}

/// The byte a reference stands for, and how many characters after `&` spelt it.
fn reference(tail: &[u8]) -> Option<(u8, usize)> {
    let (byte, used) = numeric(tail).or_else(|| named(tail))?;
    let ended = tail.get(..used).is_some_and(|name| name.ends_with(b";"));
    Some((byte, used + usize::from(!ended && tail.get(used) == Some(&b';'))))
}

/// `#60`, `#x3c`, with as many zeros before them as there are.
fn numeric(tail: &[u8]) -> Option<(u8, usize)> {
    let (digits, radix, before) = match tail {
        [b'#', b'x' | b'X', digits @ ..] => (digits, 16, 2),
        [b'#', digits @ ..] => (digits, 10, 1),
        _ => return None,
    };
    let values = digits.iter().map_while(|digit| char::from(*digit).to_digit(radix));
    let (code, count) = values.fold((0_u32, 0), |(code, count), digit| {
        (code.saturating_mul(radix).saturating_add(digit), count + 1)
    });
    (count > 0).then(|| (look_alike(code), before + count))
}

fn named(tail: &[u8]) -> Option<(u8, usize)> {
    tail.first().filter(|first| first.is_ascii_alphabetic())?;
    // Browsers read the first five without their `;`, too.
    const NAMED: [(&[u8], u8); 35] = [
        (b"quot", b'"'),
        (b"amp", b'&'),
        (b"lt", b'<'),
        (b"gt", b'>'),
        (b"nbsp", 0xa0),
        (b"apos;", b'\''),
        (b"tab;", b'\t'),
        (b"newline;", b'\n'),
        (b"colon;", b':'),
        (b"semi;", b';'),
        (b"sol;", b'/'),
        (b"bsol;", b'\\'),
        (b"lpar;", b'('),
        (b"rpar;", b')'),
        (b"lcub;", b'{'),
        (b"lbrace;", b'{'),
        (b"rcub;", b'}'),
        (b"rbrace;", b'}'),
        (b"lsqb;", b'['),
        (b"lbrack;", b'['),
        (b"rsqb;", b']'),
        (b"rbrack;", b']'),
        (b"dollar;", b'$'),
        (b"equals;", b'='),
        (b"grave;", b'`'),
        (b"period;", b'.'),
        (b"comma;", b','),
        (b"excl;", b'!'),
        (b"num;", b'#'),
        (b"percnt;", b'%'),
        (b"plus;", b'+'),
        (b"quest;", b'?'),
        (b"commat;", b'@'),
        (b"lowbar;", b'_'),
        (b"vert;", b'|'),
    ];
    let spelt =
        |name: &[u8]| tail.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    NAMED.iter().find(|(name, _)| spelt(name)).map(|(name, byte)| (*byte, name.len()))
}
