//! What a rule looks for, but for `@rx`, which is the compiler's.
//!
//! The modules below have the operators of the SecLang manual as functions of bytes, each with its
//! argument read before. Those that need a network or a database (`@rbl`, `@geoLookup`) are not
//! here; macros in arguments are expanded by whoever calls.

mod card;
mod check;
mod exponent;
mod ip;
mod number;
mod phrase;
mod text;
mod valid;

#[cfg(test)]
mod tests;

use libinjectionrs::{detect_sqli, detect_xss};

use crate::byte_set::ByteSet;

pub use card::CardNumber;
pub use check::Check;
pub use ip::Networks;
pub use number::{Comparison, number};
pub use phrase::Phrases;
pub use text::TextTest;
pub use valid::{byte_range, is_url_encoding_invalid, is_utf8_invalid};

/// libinjection's verdict. A text that cannot hold an attack is not tokenized: SQL needs a byte
/// that is neither letter, digit nor underscore.
pub fn is_sqli(text: &[u8], seen: ByteSet) -> bool {
    !seen.within(ByteSet::WORD) && detect_sqli(&exponent::blanked(text)).is_injection()
}

/// The tokens that [`is_sqli`] found an attack in, as libinjection abbreviates them.
pub fn sqli_fingerprint(text: &[u8]) -> Option<String> {
    let result = detect_sqli(&exponent::blanked(text));
    let found = result.is_injection().then_some(result.fingerprint).flatten();
    found.map(|fingerprint| fingerprint.as_str().to_owned())
}

/// As [`is_sqli`]; markup needs `<` or `=`.
pub fn is_xss(text: &[u8], seen: ByteSet) -> bool {
    const NEEDED: ByteSet = ByteSet::of(b"<=");
    seen.meets(NEEDED) && detect_xss(text).is_injection()
}
