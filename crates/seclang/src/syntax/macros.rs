//! `%{tx.score}`: macros in a text.

/// A piece of a text that may have macros in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    /// A variable and what follows the first `.`.
    Macro(&'a str, Option<&'a str>),
}

/// Splits a text at its macros. What is no macro (`%{` without a name or its end) is text.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut rest, mut from) = (text, 0);
    while let Some(at) = rest.get(from..).and_then(|tail| tail.find("%{")) {
        let start = from + at;
        let inner = rest.get(start + 2..).unwrap_or_default();
        let end = inner.find('}').filter(|end| inner.get(..*end).is_some_and(is_name));
        let Some(end) = end else {
            from = start + 2;
            continue;
        };
        let name = inner.get(..end).unwrap_or_default();
        if let Some(before @ [_, ..]) = rest.as_bytes().get(..start) {
            pieces.push(Piece::Text(str::from_utf8(before).unwrap_or_default()));
        }
        pieces.push(match name.split_once(['.', ':']) {
            Some((variable, key)) => Piece::Macro(variable, Some(key)),
            None => Piece::Macro(name, None),
        });
        rest = inner.get(end + 1..).unwrap_or_default();
        from = 0;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.starts_with(|char: char| char.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_graphic() && !matches!(char, '{' | '\'' | '"'))
}
