//! Transformations, by the names SecLang gives them. Each takes bytes and gives bytes; `None`
//! means that nothing changed.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::byte_set::ByteSet;

/// A transformation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Transform {
    Base64Decode,
    CmdLine,
    CompressWhitespace,
    CssDecode,
    HtmlEntityDecode,
    JsDecode,
    Lowercase,
    NormalizePath,
    NormalizePathWin,
    RemoveNulls,
    RemoveWhitespace,
    ReplaceComments,
    UrlDecode,
    UrlDecodeUni,
}

impl Transform {
    const NAMES: [(&'static str, Self); 16] = [
        ("base64Decode", Self::Base64Decode),
        ("cmdLine", Self::CmdLine),
        ("compressWhitespace", Self::CompressWhitespace),
        ("cssDecode", Self::CssDecode),
        ("htmlEntityDecode", Self::HtmlEntityDecode),
        ("jsDecode", Self::JsDecode),
        ("lowercase", Self::Lowercase),
        ("normalizePath", Self::NormalizePath),
        ("normalisePath", Self::NormalizePath),
        ("normalizePathWin", Self::NormalizePathWin),
        ("normalisePathWin", Self::NormalizePathWin),
        ("removeNulls", Self::RemoveNulls),
        ("removeWhitespace", Self::RemoveWhitespace),
        ("replaceComments", Self::ReplaceComments),
        ("urlDecode", Self::UrlDecode),
        ("urlDecodeUni", Self::UrlDecodeUni),
    ];

    /// The transformation of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, transform)| *transform)
    }

    /// A text that holds none of these bytes comes out as it went in.
    pub(crate) fn acts_on(self) -> ByteSet {
        const SPACE: ByteSet = ByteSet::of(b" \t\n\x0b\x0c\r\xa0");
        const COMMAND: ByteSet = ByteSet::of(b"\\'\"^ ,;\t\r\n/(").and(ByteSet::UPPER);
        match self {
            Self::Base64Decode => ByteSet::ALL,
            Self::CmdLine => COMMAND,
            Self::CompressWhitespace | Self::RemoveWhitespace => SPACE,
            Self::CssDecode | Self::JsDecode => const { ByteSet::of(b"\\") },
            Self::HtmlEntityDecode => const { ByteSet::of(b"&") },
            Self::Lowercase => ByteSet::UPPER,
            Self::NormalizePath | Self::ReplaceComments => const { ByteSet::of(b"/") },
            Self::NormalizePathWin => const { ByteSet::of(b"/\\") },
            Self::RemoveNulls => const { ByteSet::of(b"\0") },
            Self::UrlDecode | Self::UrlDecodeUni => const { ByteSet::of(b"%+") },
        }
    }

    /// The bytes after it.
    pub(crate) fn apply(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let out = match self {
            Self::Base64Decode => base64_decode(bytes),
            Self::CmdLine => cmd_line(bytes),
            Self::CompressWhitespace => compress_whitespace(bytes),
            Self::CssDecode => css_decode(bytes),
            Self::HtmlEntityDecode => html_entity_decode(bytes),
            Self::JsDecode => js_decode(bytes),
            Self::Lowercase => bytes.to_ascii_lowercase(),
            Self::NormalizePath => normalize_path(bytes),
            Self::NormalizePathWin => {
                let slashes = |byte: &u8| if *byte == b'\\' { b'/' } else { *byte };
                normalize_path(&bytes.iter().map(slashes).collect::<Vec<u8>>())
            }
            Self::RemoveNulls => without(bytes, |byte| byte == 0),
            Self::RemoveWhitespace => without(bytes, is_space),
            Self::ReplaceComments => replace_comments(bytes),
            Self::UrlDecode => url_decode(bytes, false),
            Self::UrlDecodeUni => url_decode(bytes, true),
        };
        (out != bytes).then_some(out)
    }
}

/// Space, tab, newline, vertical tab, form feed, carriage return, and Latin-1's no-break space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d | 0xa0)
}

fn without(bytes: &[u8], unwanted: impl Fn(u8) -> bool) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !unwanted(*byte)).collect()
}

/// Copies what comes before the next byte that matters; gives that byte and what follows it.
fn copy_until<'a>(
    out: &mut Vec<u8>,
    rest: &'a [u8],
    matters: impl Fn(u8) -> bool,
) -> Option<(u8, &'a [u8])> {
    let at = rest.iter().position(|byte| matters(*byte)).unwrap_or(rest.len());
    let (before, after) = rest.split_at_checked(at)?;
    out.extend_from_slice(before);
    after.split_first().map(|(byte, tail)| (*byte, tail))
}

fn compress_whitespace(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match is_space(*byte) {
            true if out.last() == Some(&b' ') => {}
            true => out.push(b' '),
            false => out.push(*byte),
        }
    }
    out
}

fn base64_decode(bytes: &[u8]) -> Vec<u8> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    ENGINE.decode(bytes).unwrap_or_else(|_| bytes.to_vec())
}

/// `\ ' " ^` go, spaces before `/` and `(` go, `,` and `;` are spaces, spaces are one, lower case.
fn cmd_line(bytes: &[u8]) -> Vec<u8> {
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
                while out.last() == Some(&b' ') {
                    out.pop();
                }
                out.push(*byte);
            }
            _ => out.push(byte.to_ascii_lowercase()),
        }
    }
    out
}

/// `/* … */` becomes a space; one that does not end takes the rest.
fn replace_comments(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((slash, tail)) = copy_until(&mut out, rest, |byte| byte == b'/') {
        rest = tail;
        let Some(inside) = tail.strip_prefix(b"*") else {
            out.push(slash);
            continue;
        };
        out.push(b' ');
        let end = inside.windows(2).position(|pair| pair == b"*/");
        rest = end.and_then(|end| inside.get(end + 2..)).unwrap_or_default();
    }
    out
}

/// Removes `//`, `/./` and resolves `/../` as far as there is something to go up from.
fn normalize_path(bytes: &[u8]) -> Vec<u8> {
    let absolute = bytes.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').collect();
    for segment in &segments {
        match *segment {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(last) if *last != b".." => drop(kept.pop()),
                _ if absolute => {}
                _ => kept.push(segment),
            },
            _ => kept.push(segment),
        }
    }
    let mut out = if absolute { vec![b'/'] } else { Vec::new() };
    out.extend(kept.join(&b'/'));
    let open = segments.last().is_some_and(|last| matches!(*last, b"" | b"." | b".."));
    if open && out.last().is_some_and(|last| *last != b'/') {
        out.push(b'/');
    }
    out
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| {
        Some(value.checked_mul(16)? + char::from(*digit).to_digit(16)?)
    })
}

/// A code point as one byte: full-width forms and look-alikes as the ASCII that code pages make
/// of them, others cut.
fn low_byte(code: u32) -> u8 {
    let code = match code {
        0xff01..=0xff5e => code - 0xff00 + 0x20,
        0x2018 | 0x2019 | 0x2032 | 0x02bc => u32::from(b'\''),
        0x201c | 0x201d | 0x2033 => u32::from(b'"'),
        0x2024 => u32::from(b'.'),
        0x2044 | 0x2215 => u32::from(b'/'),
        0x2216 => u32::from(b'\\'),
        0x2039 | 0x2329 | 0x3008 => u32::from(b'<'),
        0x203a | 0x232a | 0x3009 => u32::from(b'>'),
        _ => code,
    };
    u8::try_from(code & 0xff).unwrap_or(b'?')
}

fn url_decode(bytes: &[u8], wide: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((mark, tail)) = copy_until(&mut out, rest, |byte| matches!(byte, b'+' | b'%')) {
        rest = tail;
        if mark == b'+' {
            out.push(b' ');
            continue;
        }
        let (byte, used) = escape(tail, wide).unwrap_or((b'%', 0));
        out.push(byte);
        rest = rest.get(used..).unwrap_or_default();
    }
    out
}

/// The byte after a `%`, and how many characters spelt it.
fn escape(tail: &[u8], wide: bool) -> Option<(u8, usize)> {
    if wide && matches!(tail.first(), Some(b'u' | b'U')) {
        return Some((low_byte(hex(tail.get(1..5)?)?), 5));
    }
    Some((u8::try_from(hex(tail.get(..2)?)?).ok()?, 2))
}

fn js_decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((_, tail)) = copy_until(&mut out, rest, |byte| byte == b'\\') {
        let Some((kind, after)) = tail.split_first() else {
            out.push(b'\\');
            break;
        };
        let (byte, used) = match kind {
            b'u' => match tail.get(1..5).and_then(hex) {
                Some(code) => (low_byte(code), 5),
                None => (b'u', 1),
            },
            b'x' => match tail.get(1..3).and_then(hex) {
                Some(code) => (low_byte(code), 3),
                None => (b'x', 1),
            },
            b'0'..=b'7' => octal(*kind, after),
            b'a' => (0x07, 1),
            b'b' => (0x08, 1),
            b'f' => (0x0c, 1),
            b'n' => (b'\n', 1),
            b'r' => (b'\r', 1),
            b't' => (b'\t', 1),
            b'v' => (0x0b, 1),
            other => (*other, 1),
        };
        out.push(byte);
        rest = tail.get(used..).unwrap_or_default();
    }
    out
}

/// Up to three octal digits, as long as they fit a byte.
fn octal(first: u8, after: &[u8]) -> (u8, usize) {
    let (mut value, mut used) = (u32::from(first - b'0'), 1);
    for digit in after.iter().take(2).take_while(|digit| (b'0'..=b'7').contains(*digit)) {
        let next = value * 8 + u32::from(digit - b'0');
        if next > 0xff {
            break;
        }
        (value, used) = (next, used + 1);
    }
    (low_byte(value), used)
}

fn css_decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((_, tail)) = copy_until(&mut out, rest, |byte| byte == b'\\') {
        let digits = tail.iter().take(6).take_while(|byte| byte.is_ascii_hexdigit()).count();
        match tail.get(..digits).filter(|digits| !digits.is_empty()).and_then(hex) {
            Some(code) => {
                out.push(low_byte(code));
                rest = tail.get(digits..).unwrap_or_default();
                if let Some((space, after)) = rest.split_first()
                    && is_space(*space)
                {
                    rest = after;
                }
            }
            // An escaped newline continues the line; any other escaped byte is itself.
            None => rest = tail.strip_prefix(b"\n").unwrap_or(tail),
        }
    }
    out
}

fn html_entity_decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((_, tail)) = copy_until(&mut out, rest, |byte| byte == b'&') {
        let (byte, used) = entity(tail).unwrap_or((b'&', 0));
        out.push(byte);
        rest = tail.get(used..).unwrap_or_default();
    }
    out
}

/// The byte an entity stands for, and how many characters after `&` spelt it.
fn entity(tail: &[u8]) -> Option<(u8, usize)> {
    let (byte, used) = numeric(tail).or_else(|| named(tail))?;
    let named_with_end = tail.get(..used).is_some_and(|name| name.ends_with(b";"));
    let end = !named_with_end && tail.get(used) == Some(&b';');
    Some((byte, used + usize::from(end)))
}

/// `#60`, `#x3c`.
fn numeric(tail: &[u8]) -> Option<(u8, usize)> {
    if let [b'#', b'x' | b'X', digits @ ..] = tail {
        let count = digits.iter().take(7).take_while(|byte| byte.is_ascii_hexdigit()).count();
        return (count > 0).then_some((low_byte(hex(digits.get(..count)?)?), count + 2));
    }
    let digits = tail.strip_prefix(b"#")?;
    let count = digits.iter().take(7).take_while(|byte| byte.is_ascii_digit()).count();
    let text = std::str::from_utf8(digits.get(..count)?).ok()?;
    Some((low_byte(text.parse().ok()?), count + 1))
}

fn named(tail: &[u8]) -> Option<(u8, usize)> {
    // Browsers read the first five without their `;`, too.
    const NAMED: [(&[u8], u8); 20] = [
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
        (b"rcub;", b'}'),
        (b"dollar;", b'$'),
        (b"equals;", b'='),
        (b"grave;", b'`'),
        (b"period;", b'.'),
    ];
    let spelt =
        |name: &[u8]| tail.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    NAMED.iter().find(|(name, _)| spelt(name)).map(|(name, byte)| (*byte, name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, input: &[u8], want: &[u8]) {
        let got = Transform::named(name).unwrap().apply(input).unwrap_or_else(|| input.to_vec());
        assert_eq!(got, want, "{name} of {}: {}", input.escape_ascii(), got.escape_ascii());
    }

    #[test]
    fn each_transformation() {
        check("lowercase", b"AbC\xc4", b"abc\xc4");
        check("urlDecode", b"a%20b+c%zz%4", b"a b c%zz%4");
        check("urlDecodeUni", b"%u003cscript%3e%uff1c%u00", b"<script><%u00");
        check("urlDecodeUni", b"..%u2215%u2019%u2039%u201d%u4e41", b"../'<\"A");
        check("htmlEntityDecode", b"&lt;a&#60;&#x3C;&#x3c &gt&amp;&bogus;&", b"<a<<< >&&bogus;&");
        check("htmlEntityDecode", b"&table&Tab;;&colon&colon;&ltx&#60;;", b"&table\t;&colon:<x<;");
        check("jsDecode", br"\u003ca\x41\101\n\q\", b"<aAA\nq\\");
        check("cssDecode", br"ja\vascript\3a al\65rt\", b"javascript:alert");
        check("cmdLine", b"C^at  'x' ;/etc", b"cat x/etc");
        check("removeNulls", b"a\0b", b"ab");
        check("compressWhitespace", b"a \t\n b\xa0", b"a b ");
        check("removeWhitespace", b"a \t\n b", b"ab");
        check("replaceComments", b"UN/**/ION/*x*/S/*", b"UN ION S ");
        check("normalizePath", b"/a/./b//../c/..", b"/a/");
        check("normalizePath", b"../../a", b"../../a");
        check("normalizePath", b"/../../a", b"/a");
        check("normalizePathWin", br"\a\..\b", b"/b");
        check("base64Decode", b"PHNjcmlwdD4", b"<script>");
        check("base64Decode", b"not base64!", b"not base64!");
    }

    #[test]
    fn a_text_without_the_bytes_a_transformation_acts_on_is_left_as_it_is() {
        for (name, transform) in Transform::NAMES {
            let inert: Vec<u8> = (0..=255)
                .filter(|byte| !ByteSet::of(&[*byte]).meets(transform.acts_on()))
                .collect();
            assert_eq!(transform.apply(&inert), None, "{name}");
            let twice = [inert.as_slice(), inert.as_slice()].concat();
            assert_eq!(transform.apply(&twice), None, "{name}");
        }
    }

    #[test]
    fn none_panics_on_any_three_bytes() {
        let interesting = b"%u\\x&#;/.*0fF <+'\"\x00\xff";
        for (_, transform) in Transform::NAMES {
            for a in interesting {
                for b in interesting {
                    for c in interesting {
                        transform.apply(&[*a, *b, *c]);
                        transform.apply(&[b'%', b'u', *a, *b, *c]);
                    }
                }
            }
        }
    }
}
