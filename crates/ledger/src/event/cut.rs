//! Cuts what a client controls at its limit.

use std::borrow::Cow;

/// Cuts texts and keeps count of what was cut off.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// Bytes cut off so far.
    pub(super) bytes: usize,
}

impl Cutter {
    /// At most `max` bytes of `text`, cut at a character.
    pub(super) fn text<'a>(&mut self, text: &'a str, max: usize) -> &'a str {
        let kept =
            text.split_at_checked(text.floor_char_boundary(max)).map_or(text, |(kept, _)| kept);
        self.bytes += text.len() - kept.len();
        kept
    }

    /// At most `max` bytes of `raw` as text; what is no UTF-8 becomes U+FFFD.
    pub(super) fn raw<'a>(&mut self, raw: &'a [u8], max: usize) -> Cow<'a, str> {
        let seen = raw.get(..max.saturating_add(4)).unwrap_or(raw);
        self.bytes += raw.len() - seen.len();
        match String::from_utf8_lossy(seen) {
            Cow::Borrowed(text) => Cow::Borrowed(self.text(text, max)),
            Cow::Owned(mut text) => {
                let kept = self.text(&text, max).len();
                text.truncate(kept);
                Cow::Owned(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &[u8], max: usize, want: &str, cut: usize) {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.raw(raw, max), want);
        assert!(cutter.raw(raw, max).len() <= max);
        assert_eq!(cutter.bytes, 2 * cut);
    }

    #[test]
    fn cuts_at_the_limit_and_at_a_character() {
        check(b"", 4, "", 0);
        check(b"abcd", 4, "abcd", 0);
        check(b"abcde", 4, "abcd", 1);
        check(b"abcdefghijkl", 4, "abcd", 8);
        check("abc\u{e9}".as_bytes(), 4, "abc", 2);
        check("ab\u{e9}".as_bytes(), 4, "ab\u{e9}", 0);
        check("\u{1f980}\u{1f980}".as_bytes(), 7, "\u{1f980}", 4);
        check(b"a\xff", 4, "a\u{fffd}", 0);
        check(b"ab\xff\xff", 4, "ab", 6);
    }
}
