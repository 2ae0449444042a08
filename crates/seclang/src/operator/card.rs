//! `@verifyCC`: what looks like the number of a credit card, and adds up like one.

use regex::bytes::Regex;

use crate::program::Pattern;

/// A pattern for such numbers.
#[derive(Debug, Clone)]
pub struct CardNumber(Regex);

impl CardNumber {
    /// The pattern that says what looks like a number.
    pub fn new(pattern: &str) -> Result<Self, String> {
        Pattern::new(pattern).map(|pattern| Self(pattern.regex))
    }

    /// The first that adds up. Each search begins with the last byte of what the one before
    /// found, which is as often as not what parts two numbers, and never further back: that would
    /// take time beyond all bounds.
    pub fn find<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        let mut from = 0;
        while let Some(found) = self.0.find_at(text, from) {
            if adds_up(found.as_bytes()) {
                return Some(found.as_bytes());
            }
            from = (found.start() + 1).max(found.end().saturating_sub(1));
            if from > text.len() {
                break;
            }
        }
        None
    }
}

/// Luhn's check of the digits in a text (ISO/IEC 7812-1); no digits do not pass it.
fn adds_up(text: &[u8]) -> bool {
    let digits = text.iter().rev().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0');
    let (mut sum, mut count) = (0_u32, 0_usize);
    for digit in digits {
        let value = if count % 2 == 0 { digit } else { digit / 5 + digit * 2 % 10 };
        sum += u32::from(value);
        count += 1;
    }
    count > 0 && sum.is_multiple_of(10)
}
