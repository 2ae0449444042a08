//! Text that can be looked at. In JSON, what a terminal or a page would act on, or not show, is
//! escaped.
//!
//! JSON's own escapes cover U+0000 to U+001F. A client can also send a control sequence
//! introducer (U+009B), directions (U+202E) and marks without a width, and whoever reads an event
//! would see another one. The value stays the same: only its spelling is another.

/// A character that shows as itself: no control, no direction, no line separator, and not
/// without a width.
pub fn is_printable(char: char) -> bool {
    !char.is_control()
        && !matches!(
            char,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// `json`, which is JSON without line feeds between its tokens, with every character that is not
/// [printable](is_printable) as `\u` and four digits (RFC 8259 §7).
pub fn printable_json(json: String) -> String {
    if json.is_ascii() && !json.as_bytes().contains(&0x7f) || json.chars().all(is_printable) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 64);
    for char in json.chars() {
        if is_printable(char) {
            out.push(char);
            continue;
        }
        push_escape(&mut out, char);
    }
    out
}

/// Appends a character as `\u` and four digits, or as two of these.
pub(super) fn push_escape(to: &mut String, char: char) {
    for unit in char.encode_utf16(&mut [0; 2]) {
        to.push_str(&format!("\\u{unit:04x}"));
    }
}

/// Appends bytes as lower-case hexadecimal digits.
pub fn push_hex<const N: usize>(to: &mut String, bytes: &[u8; N]) {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let digits = bytes.map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    // All at once, and digits are text.
    to.push_str(std::str::from_utf8(digits.as_flattened()).unwrap_or_default());
}

/// Bytes of a character in JSON, its escape included.
pub(super) fn json_bytes(char: char) -> usize {
    match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        char if is_printable(char) => char.len_utf8(),
        char => 6 * char.len_utf16(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::JSON_BYTES_PER_BYTE_MAX;
    use super::*;

    /// A text, and its JSON.
    fn check(text: &str, want: &str) {
        let json = printable_json(serde_json::to_string(text).unwrap());
        assert_eq!(json, format!("\"{want}\""));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        assert_eq!(text.chars().map(json_bytes).sum::<usize>(), want.len(), "{want}");
    }

    #[test]
    fn no_character_takes_more_than_was_reckoned_with() {
        for char in ('\0'..=char::MAX).filter(|char| !char.is_alphanumeric()) {
            assert!(json_bytes(char) <= JSON_BYTES_PER_BYTE_MAX * char.len_utf8(), "{char:?}");
        }
    }

    #[test]
    fn bytes_as_digits() {
        let mut text = "0x".to_owned();
        push_hex(&mut text, &[0, 0x9a, 0xf0, 0xff]);
        assert_eq!(text, "0x009af0ff");
    }

    #[test]
    fn what_would_act_or_not_be_seen_is_escaped_and_means_the_same() {
        check("", "");
        check("a \"b\" \\ /", r#"a \"b\" \\ /"#);
        check("\t\r\n\u{8}\u{c}", r"\t\r\n\b\f");
        check("\u{0}\u{1b}[2J", r"\u0000\u001b[2J");
        check("\u{7f}", r"\u007f");
        check("\u{9b}2J\u{85}", r"\u009b2J\u0085");
        check("\u{202e}nimda\u{2066}\u{2069}\u{61c}", r"\u202enimda\u2066\u2069\u061c");
        check("a\u{2028}b\u{2029}c", r"a\u2028b\u2029c");
        check("ali\u{200b}ce\u{ad}\u{feff}", r"ali\u200bce\u00ad\ufeff");
        check("\u{e0041}", r"\udb40\udc41");
        check("Zoë Ñandú 東京 हिन्दी 🦀", "Zoë Ñandú 東京 हिन्दी 🦀");
    }
}
