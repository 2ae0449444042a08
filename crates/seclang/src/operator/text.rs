//! Operators that compare a text with their argument byte by byte.

use memchr::memmem;

/// How a text is compared. The case of letters matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextTest {
    /// The text begins with the argument.
    BeginsWith,
    /// The argument is in the text.
    Contains,
    /// The argument is in the text, and there is no letter, digit or `_` on either side of it.
    ContainsWord,
    /// The text ends with the argument.
    EndsWith,
    /// The text is the argument.
    StrEq,
    /// As `Contains`.
    StrMatch,
    /// The text is in the argument.
    Within,
}

impl TextTest {
    /// Every name.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("beginsWith", Self::BeginsWith),
        ("contains", Self::Contains),
        ("containsWord", Self::ContainsWord),
        ("endsWith", Self::EndsWith),
        ("streq", Self::StrEq),
        ("strmatch", Self::StrMatch),
        ("within", Self::Within),
    ];

    /// The text is as the argument says.
    pub fn holds(self, text: &[u8], argument: &[u8]) -> bool {
        match self {
            Self::BeginsWith => text.starts_with(argument),
            Self::Contains | Self::StrMatch => memmem::find(text, argument).is_some(),
            Self::ContainsWord => contains_word(text, argument),
            Self::EndsWith => text.ends_with(argument),
            Self::StrEq => text == argument,
            Self::Within => memmem::find(argument, text).is_some(),
        }
    }
}

fn contains_word(text: &[u8], word: &[u8]) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| *b == b'_' || b.is_ascii_alphanumeric());
    word.is_empty()
        || memmem::find_iter(text, word).any(|at| {
            let before = at.checked_sub(1).and_then(|before| text.get(before));
            !is_word(before) && !is_word(text.get(at + word.len()))
        })
}
