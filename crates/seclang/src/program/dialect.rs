//! Patterns as rule files write them, for PCRE, as the `regex` crate reads them: the same bytes
//! match. It is a matter of spelling only; what one can say and the other cannot stays as it is
//! and does not compile.
//!
//! A possessive quantifier and an atomic group become plain ones: they save an engine that goes
//! back from doing so, and may only match less.

use std::fmt::Write as _;

/// The same pattern in the other spelling.
pub(super) fn translate(pattern: &str) -> String {
    let mut writer = Writer { rest: pattern, out: String::with_capacity(pattern.len() + 8) };
    if !pattern.is_ascii() {
        // A pattern with characters beyond ASCII in it is one of characters.
        writer.out.push_str("(?u)");
    }
    // Whether what comes next may be repeated.
    let mut atom = false;
    while let Some(char) = writer.next() {
        atom = match char {
            '\\' => {
                writer.escape(false);
                true
            }
            '[' => {
                writer.class();
                true
            }
            '(' => {
                writer.group();
                false
            }
            '|' => {
                writer.out.push(char);
                false
            }
            '{' if !(atom && is_count(writer.rest)) => {
                writer.out.push_str("\\{");
                true
            }
            '{' | '*' | '+' | '?' if atom => {
                writer.quantifier(char);
                true
            }
            _ => {
                writer.out.push(char);
                true
            }
        };
    }
    writer.out
}

struct Writer<'a> {
    rest: &'a str,
    out: String,
}

impl<'a> Writer<'a> {
    fn next(&mut self) -> Option<char> {
        let char = self.rest.chars().next()?;
        self.skip(char.len_utf8());
        Some(char)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn takes(&mut self, text: &str) -> bool {
        let takes = self.rest.starts_with(text);
        if takes {
            self.skip(text.len());
        }
        takes
    }

    /// After `(`.
    fn group(&mut self) {
        self.out.push('(');
        if self.takes("?>") {
            self.out.push_str("?:");
        } else if self.takes("?") {
            self.out.push('?');
        }
    }

    /// A quantifier of something.
    fn quantifier(&mut self, first: char) {
        self.out.push(first);
        if first == '{' {
            while let Some(char) = self.next() {
                self.out.push(char);
                if char == '}' {
                    break;
                }
            }
        }
        if !self.takes("+") && self.takes("?") {
            self.out.push('?');
        }
    }

    /// After `\`.
    fn escape(&mut self, in_class: bool) {
        let Some(char) = self.next() else {
            self.out.push('\\');
            return;
        };
        match char {
            // Ends of words to the other.
            '<' | '>' => self.out.push(char),
            'e' => self.out.push_str("\\x1b"),
            'h' if in_class => self.out.push_str("\\t "),
            'h' => self.out.push_str("[\\t ]"),
            'Z' if !in_class => self.out.push_str("(?:\\n?\\z)"),
            '0' => self.out.push_str("\\x00"),
            'x' => self.hexadecimal(),
            _ => {
                self.out.push('\\');
                self.out.push(char);
            }
        }
    }

    /// `\xhh`, `\x{hh}`; a byte, which is what a character below 256 is to the other.
    fn hexadecimal(&mut self) {
        let braced = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        match braced
            .and_then(|(digits, _)| Some((digits.len(), u8::from_str_radix(digits, 16).ok()?)))
        {
            Some((length, byte)) => {
                self.skip(length + 2);
                let _ = write!(self.out, "\\x{byte:02x}");
            }
            None => self.out.push_str("\\x"),
        }
    }

    /// After `[`: a `[` in it is a character, unless it names a class, and so is what would be an
    /// operation between sets.
    fn class(&mut self) {
        self.out.push('[');
        if self.takes("^") {
            self.out.push('^');
        }
        if self.takes("]") {
            self.out.push_str("\\]");
        }
        let mut before = ' ';
        while let Some(char) = self.next() {
            match char {
                ']' => {
                    self.out.push(']');
                    return;
                }
                '\\' => self.escape(true),
                '[' => match self.rest.strip_prefix(':').and_then(|rest| rest.split_once(":]")) {
                    Some((name, _))
                        if name.chars().all(|char| char.is_ascii_lowercase() || char == '^') =>
                    {
                        let length = name.len() + 3;
                        self.out.push('[');
                        self.out.push_str(self.rest.get(..length).unwrap_or_default());
                        self.skip(length);
                    }
                    _ => self.out.push_str("\\["),
                },
                '&' | '~' | '-' if char == before => {
                    self.out.push('\\');
                    self.out.push(char);
                }
                _ => self.out.push(char),
            }
            before = if char == '\\' { ' ' } else { char };
        }
    }
}

/// `3}`, `3,}`, `3,5}`.
fn is_count(rest: &str) -> bool {
    let Some((count, _)) = rest.split_once('}') else { return false };
    let (first, second) = count.split_once(',').unwrap_or((count, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !first.is_empty() && digits(first) && digits(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_becomes_the_other() {
        for (pattern, want) in [
            ("a+b{2,3}?c{2}", "a+b{2,3}?c{2}"),
            (r"\s+{", r"\s+\{"),
            (r"{{.*?}}", r"\{\{.*?}}"),
            (r"a{,3}", r"a\{,3}"),
            (r"\s*+;[^a]++b?+", r"\s*;[^a]+b?"),
            (r"(?>ab)(?:c|+)", r"(?:ab)(?:c|+)"),
            (r"[^\[x[]", r"[^\[x\[]"),
            (r"[[:alpha:]_[]", r"[[:alpha:]_\[]"),
            (r"[]a]", r"[\]a]"),
            (r"[^]a]", r"[^\]a]"),
            (r"[a&&b~~c+--]", r"[a&\&b~\~c+-\-]"),
            (r"\<\>[\<]", r"<>[<]"),
            (r"\x{5c}\x{0}\x41\\x{5c}", r"\x5c\x00\x41\\x\{5c}"),
            (r"[\x{ff}]", r"[\xff]"),
            ("\u{e9}", "(?u)\u{e9}"),
        ] {
            assert_eq!(translate(pattern), want, "{pattern}");
        }
    }
}
