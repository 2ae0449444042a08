//! Any of the operators that are no pattern, by its name.

use memchr::memmem::Finder;

use super::{
    CardNumber, Comparison, Networks, Phrases, TextTest, byte_range, is_sqli,
    is_url_encoding_invalid, is_utf8_invalid, is_xss, number,
};
use crate::byte_set::ByteSet;

/// An operator with its argument, which was read when the rules were loaded.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each is called as in the manual")]
pub enum Check {
    /// `@contains` and `@strmatch`, whose search is prepared.
    Contains(Box<Finder<'static>>),
    Text(TextTest, Vec<u8>),
    Number(Comparison, i64),
    Phrases(Phrases),
    Networks(Networks),
    /// The bytes that are not allowed.
    ByteRange(ByteSet),
    UrlEncoding,
    Utf8Encoding,
    CardNumber(CardNumber),
    Sqli,
    Xss,
    Always,
    Never,
}

impl Check {
    /// The names it knows, beside those of [`TextTest`] and [`Comparison`].
    pub const NAMES: [&'static str; 10] = [
        "detectSQLi",
        "detectXSS",
        "ipMatch",
        "noMatch",
        "pm",
        "unconditionalMatch",
        "validateByteRange",
        "validateUrlEncoding",
        "validateUtf8Encoding",
        "verifyCC",
    ];

    /// The operator of that name (in whatever case) with that argument; `None` if it is not known,
    /// an error says what is wrong with the argument.
    pub fn read(name: &str, argument: &str) -> Option<Result<Self, String>> {
        let bytes = || argument.as_bytes().to_vec();
        if let Some(test) = find(&TextTest::NAMES, name) {
            return Some(Ok(match test {
                TextTest::Contains | TextTest::StrMatch => {
                    Self::Contains(Box::new(Finder::new(argument.as_bytes()).into_owned()))
                }
                test => Self::Text(test, bytes()),
            }));
        }
        if let Some(comparison) = find(&Comparison::NAMES, name) {
            return Some(Ok(Self::Number(comparison, number(argument.as_bytes()))));
        }
        let known = Self::NAMES.iter().find(|known| known.eq_ignore_ascii_case(name))?;
        Some(match *known {
            "ipMatch" => Networks::new(argument).map(Self::Networks),
            "pm" => Phrases::new(argument).map(Self::Phrases),
            "validateByteRange" => byte_range(argument).map(|set| Self::ByteRange(set.not())),
            "verifyCC" => CardNumber::new(argument).map(Self::CardNumber),
            _ if !argument.trim().is_empty() => Err(format!("`@{known}` takes no argument")),
            "detectSQLi" => Ok(Self::Sqli),
            "detectXSS" => Ok(Self::Xss),
            "unconditionalMatch" => Ok(Self::Always),
            "validateUrlEncoding" => Ok(Self::UrlEncoding),
            "validateUtf8Encoding" => Ok(Self::Utf8Encoding),
            _ => Ok(Self::Never),
        })
    }

    /// It matches the text, in which these bytes are.
    pub fn holds(&self, text: &[u8], seen: ByteSet) -> bool {
        match self {
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::Text(test, argument) => test.holds(text, argument),
            Self::Number(comparison, argument) => comparison.holds(number(text), *argument),
            Self::Phrases(phrases) => phrases.find(text).is_some(),
            Self::Networks(networks) => networks.have_text(text),
            Self::ByteRange(refused) => seen.meets(*refused),
            Self::UrlEncoding => is_url_encoding_invalid(text),
            Self::Utf8Encoding => seen.meets(NOT_ASCII) && is_utf8_invalid(text),
            Self::CardNumber(card) => card.find(text).is_some(),
            Self::Sqli => is_sqli(text, seen),
            Self::Xss => is_xss(text, seen),
            Self::Always => true,
            Self::Never => false,
        }
    }

    /// As [`Self::holds`], where the bytes that are in the text rule nothing out.
    pub(crate) fn holds_unfiltered(&self, text: &[u8]) -> bool {
        match self {
            Self::ByteRange(refused) => text.iter().any(|byte| refused.has(*byte)),
            check => check.holds(text, ByteSet::ALL),
        }
    }
}

const NOT_ASCII: ByteSet = ByteSet::range(0x80, 0xff);

fn find<T: Copy>(names: &[(&str, T)], name: &str) -> Option<T> {
    names.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, it)| *it)
}
