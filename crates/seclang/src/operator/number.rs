//! Operators that compare numbers.

use std::cmp::Ordering;

/// How two numbers are compared: the text's, then the argument's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is called as in the manual")]
pub enum Comparison {
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
}

impl Comparison {
    /// Every name.
    pub const NAMES: [(&'static str, Self); 5] =
        [("eq", Self::Eq), ("ge", Self::Ge), ("gt", Self::Gt), ("le", Self::Le), ("lt", Self::Lt)];

    /// The number in the text is to that of the argument as it says.
    pub fn holds(self, text: i64, argument: i64) -> bool {
        let order = text.cmp(&argument);
        match self {
            Self::Eq => order == Ordering::Equal,
            Self::Ge => order != Ordering::Less,
            Self::Gt => order == Ordering::Greater,
            Self::Le => order != Ordering::Greater,
            Self::Lt => order == Ordering::Less,
        }
    }
}

/// The number that a text begins with: white space, a sign, digits. One that begins with none is
/// zero; one that is too large is the largest there is.
pub fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_i64, |value, digit| {
        let digit = i64::from(digit - b'0');
        value.saturating_mul(10).saturating_add(if negative { -digit } else { digit })
    })
}
