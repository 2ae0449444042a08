//! Numbers whose exponent has no digits: to MySQL `1.e(2)` is `(2)`, so libinjection takes them for
//! white space from its version 3.10 on. The port that we use is of the version before, and here
//! they are made what they are.

use std::borrow::Cow;

/// The text, with a space for each such number.
pub(super) fn blanked(text: &[u8]) -> Cow<'_, [u8]> {
    let pairs = text.iter().zip(text.iter().skip(1));
    let begins = |(one, next): (&u8, &u8)| {
        (one.is_ascii_digit() || *one == b'.') && next.eq_ignore_ascii_case(&b'e')
    };
    // No short cut within: so that many bytes are looked at in one step.
    if !pairs.map(begins).fold(false, |any, begins| any | begins) {
        return Cow::Borrowed(text);
    }
    let mut out: Option<Vec<u8>> = None;
    let (mut at, mut before) = (0, b' ');
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let number = if is_of_word(before) { None } else { empty(rest) };
        let length = number.unwrap_or(1);
        match (number, &mut out) {
            (Some(_), out) => {
                out.get_or_insert_with(|| text.get(..at).unwrap_or_default().to_vec()).push(b' ');
            }
            (None, Some(out)) => out.extend(rest.first()),
            (None, None) => {}
        }
        at += length;
        before = text.get(at - 1).copied().unwrap_or(b' ');
        if number.is_some() {
            before = b' ';
        }
    }
    out.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Bytes of the number with an empty exponent that the text begins with.
fn empty(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let whole = digits(0);
    let mut at = whole;
    if text.get(at) == Some(&b'.') {
        at += 1 + digits(at + 1);
    }
    let has_digits = whole > 0 || at > 1;
    let is_exponent = text.get(at).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'e'));
    if !has_digits || !is_exponent {
        return None;
    }
    at += 1;
    if matches!(text.get(at), Some(b'+' | b'-')) {
        at += 1;
    }
    (digits(at) == 0).then_some(at)
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.$@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_the_digits_of_their_exponent_are_spaces() {
        let check = |text: &str, want: &str| {
            assert_eq!(blanked(text.as_bytes()), want.as_bytes(), "{text}");
        };
        check("1.e(2)", " (2)");
        check("select 1.e from", "select   from");
        check("1e", " ");
        check("1E+", " ");
        check(".5e-)", " )");
        check("1e5 2.5e-3", "1e5 2.5e-3");
        check("a1e(", "a1e(");
        check("1.1.e(", "1.1.e(");
        check("e", "e");
        check(".e", ".e");
        check("1e1e", "1e1e");
        check("1e 2e", "   ");
        check("hello there", "hello there");
        check("@1e", "@1e");
        check("", "");
    }
}
