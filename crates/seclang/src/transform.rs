//! Transformations, by the names SecLang gives them. Each takes bytes and gives bytes; `None`
//! means that nothing changed.
//!
//! What they do is what the reference manual of ModSecurity says and, where it says nothing, what
//! ModSecurity 3 does. There is no `none` here, which is no transformation but an order to the
//! compiler to forget those before it, and no parity bits, which no rule set sets.

mod best_fit;
mod code;
mod comment;
mod digest;
mod entity;
mod escape;
mod path;
mod space;
mod url;
mod utf8;

#[cfg(test)]
mod tests;

use crate::byte_set::ByteSet;

/// A transformation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is called as in the manual, which says what it does")]
pub enum Transform {
    Base64Decode,
    Base64DecodeExt,
    Base64Encode,
    CmdLine,
    CompressWhitespace,
    CssDecode,
    EscapeSeqDecode,
    HexDecode,
    HexEncode,
    HtmlEntityDecode,
    JsDecode,
    Length,
    Lowercase,
    Md5,
    NormalizePath,
    NormalizePathWin,
    RemoveComments,
    RemoveCommentsChar,
    RemoveNulls,
    RemoveWhitespace,
    ReplaceComments,
    ReplaceNulls,
    Sha1,
    SqlHexDecode,
    Trim,
    TrimLeft,
    TrimRight,
    Uppercase,
    UrlDecode,
    UrlDecodeUni,
    UrlEncode,
    Utf8ToUnicode,
}

impl Transform {
    /// Every name, as the manual spells it.
    pub const NAMES: [(&'static str, Self); 34] = [
        ("base64Decode", Self::Base64Decode),
        ("base64DecodeExt", Self::Base64DecodeExt),
        ("base64Encode", Self::Base64Encode),
        ("cmdLine", Self::CmdLine),
        ("compressWhitespace", Self::CompressWhitespace),
        ("cssDecode", Self::CssDecode),
        ("escapeSeqDecode", Self::EscapeSeqDecode),
        ("hexDecode", Self::HexDecode),
        ("hexEncode", Self::HexEncode),
        ("htmlEntityDecode", Self::HtmlEntityDecode),
        ("jsDecode", Self::JsDecode),
        ("length", Self::Length),
        ("lowercase", Self::Lowercase),
        ("md5", Self::Md5),
        ("normalisePath", Self::NormalizePath),
        ("normalisePathWin", Self::NormalizePathWin),
        ("normalizePath", Self::NormalizePath),
        ("normalizePathWin", Self::NormalizePathWin),
        ("removeComments", Self::RemoveComments),
        ("removeCommentsChar", Self::RemoveCommentsChar),
        ("removeNulls", Self::RemoveNulls),
        ("removeWhitespace", Self::RemoveWhitespace),
        ("replaceComments", Self::ReplaceComments),
        ("replaceNulls", Self::ReplaceNulls),
        ("sha1", Self::Sha1),
        ("sqlHexDecode", Self::SqlHexDecode),
        ("trim", Self::Trim),
        ("trimLeft", Self::TrimLeft),
        ("trimRight", Self::TrimRight),
        ("uppercase", Self::Uppercase),
        ("urlDecode", Self::UrlDecode),
        ("urlDecodeUni", Self::UrlDecodeUni),
        ("urlEncode", Self::UrlEncode),
        ("utf8toUnicode", Self::Utf8ToUnicode),
    ];

    /// The transformation of that name, in whatever case it is written.
    pub fn named(name: &str) -> Option<Self> {
        let same = |(known, _): &&(&str, Self)| known.eq_ignore_ascii_case(name);
        Self::NAMES.iter().find(same).map(|(_, transform)| *transform)
    }

    /// As rules name it.
    pub fn name(self) -> &'static str {
        let mut all = Self::NAMES.iter();
        all.find(|(_, transform)| *transform == self).map_or("", |(name, _)| name)
    }

    /// A text that holds none of these bytes comes out as it went in.
    pub fn acts_on(self) -> ByteSet {
        const COMMAND: ByteSet = ByteSet::of(b"\\'\"^ ,;\t\r\n/(").and(ByteSet::UPPER);
        match self {
            Self::Base64Decode
            | Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexEncode
            | Self::Length
            | Self::Md5
            | Self::Sha1 => ByteSet::ALL,
            Self::CmdLine => COMMAND,
            Self::CompressWhitespace | Self::RemoveWhitespace => {
                const { space::ASCII.and(ByteSet::of(b"\xa0")) }
            }
            Self::CssDecode | Self::EscapeSeqDecode | Self::JsDecode => {
                const { ByteSet::of(b"\\") }
            }
            Self::HexDecode => const { ByteSet::of(b"0123456789abcdefABCDEF") },
            Self::HtmlEntityDecode => const { ByteSet::of(b"&") },
            Self::Lowercase => ByteSet::UPPER,
            Self::NormalizePath => const { ByteSet::of(b"/.") },
            Self::NormalizePathWin => const { ByteSet::of(b"/\\.") },
            Self::RemoveComments => const { ByteSet::of(b"/<-#") },
            Self::RemoveCommentsChar => const { ByteSet::of(b"/*<-#") },
            Self::RemoveNulls | Self::ReplaceNulls => const { ByteSet::of(b"\0") },
            Self::ReplaceComments => const { ByteSet::of(b"/") },
            Self::SqlHexDecode => const { ByteSet::of(b"xX") },
            Self::Trim | Self::TrimLeft | Self::TrimRight => space::ASCII,
            Self::Uppercase => ByteSet::LOWER,
            Self::UrlDecode | Self::UrlDecodeUni => const { ByteSet::of(b"%+") },
            Self::UrlEncode => const { url::PLAIN.not() },
            Self::Utf8ToUnicode => const { ByteSet::range(0xc0, 0xf7) },
        }
    }

    /// The bytes after it.
    pub fn apply(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Base64Decode => code::base64_decode(bytes),
            Self::Base64DecodeExt => code::base64_decode_ext(bytes),
            Self::Base64Encode => code::base64_encode(bytes),
            Self::CmdLine => space::cmd_line(bytes),
            Self::CompressWhitespace => space::compress(bytes),
            Self::CssDecode => escape::css(bytes),
            Self::EscapeSeqDecode => escape::ansi_c(bytes),
            Self::HexDecode => code::hex_decode(bytes),
            Self::HexEncode => code::hex_encode(bytes),
            Self::HtmlEntityDecode => entity::decode(bytes),
            Self::JsDecode => escape::js(bytes),
            Self::Length => changed(bytes, bytes.len().to_string().into_bytes()),
            Self::Lowercase => changed(bytes, bytes.to_ascii_lowercase()),
            Self::Md5 => Some(digest::md5(bytes)),
            Self::NormalizePath => path::normalize(bytes),
            Self::NormalizePathWin => path::normalize_win(bytes),
            Self::RemoveComments => comment::remove(bytes),
            Self::RemoveCommentsChar => comment::remove_marks(bytes),
            Self::RemoveNulls => space::remove_nulls(bytes),
            Self::RemoveWhitespace => space::remove(bytes),
            Self::ReplaceComments => comment::replace(bytes),
            Self::ReplaceNulls => space::replace_nulls(bytes),
            Self::Sha1 => Some(digest::sha1(bytes)),
            Self::SqlHexDecode => code::sql_hex_decode(bytes),
            Self::Trim => trimmed(bytes, bytes.trim_ascii_start().trim_ascii_end()),
            Self::TrimLeft => trimmed(bytes, space::trim_start(bytes)),
            Self::TrimRight => trimmed(bytes, space::trim_end(bytes)),
            Self::Uppercase => changed(bytes, bytes.to_ascii_uppercase()),
            Self::UrlDecode => url::decode(bytes, false),
            Self::UrlDecodeUni => url::decode(bytes, true),
            Self::UrlEncode => url::encode(bytes),
            Self::Utf8ToUnicode => utf8::to_unicode(bytes),
        }
    }
}

fn changed(before: &[u8], after: Vec<u8>) -> Option<Vec<u8>> {
    (after != before).then_some(after)
}

fn trimmed(before: &[u8], after: &[u8]) -> Option<Vec<u8>> {
    (after.len() != before.len()).then(|| after.to_vec())
}

/// Copies a text in runs. `find` tells where the next byte is that may change; `step` writes what
/// comes of that byte and of what follows it, and tells how much of the latter it used.
fn rewrite(
    bytes: &[u8],
    find: impl Fn(&[u8]) -> Option<usize>,
    mut step: impl FnMut(&mut Vec<u8>, u8, &[u8]) -> usize,
) -> Option<Vec<u8>> {
    let mut next = Some(find(bytes)?);
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((before, [mark, tail @ ..])) = next.and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(before);
        let used = step(&mut out, *mark, tail);
        rest = tail.get(used..).unwrap_or_default();
        next = find(rest);
    }
    out.extend_from_slice(rest);
    changed(bytes, out)
}

/// The text without the bytes that are not wanted.
fn without(bytes: &[u8], unwanted: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let first = bytes.iter().position(|byte| unwanted(*byte))?;
    let (before, after) = bytes.split_at_checked(first)?;
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(before);
    out.extend(after.iter().copied().filter(|byte| !unwanted(*byte)));
    Some(out)
}

/// The number that hexadecimal digits spell; `None` if one is none.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| {
        Some(value.checked_mul(16)? + char::from(*digit).to_digit(16)?)
    })
}

/// The byte that two hexadecimal digits spell.
fn hex_byte(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    u8::try_from(hex(&[*high, *low])?).ok()
}

/// How many of the first `max` bytes are hexadecimal digits.
fn hex_run(bytes: &[u8], max: usize) -> usize {
    bytes.iter().take(max).take_while(|byte| byte.is_ascii_hexdigit()).count()
}
