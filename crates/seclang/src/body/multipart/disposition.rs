//! `Content-Disposition: form-data; name="…"; filename="…"`

use super::Strict;
use crate::body::unescaped;

/// What a part's disposition says. Where it says something twice, both are kept.
#[derive(Default)]
pub(super) struct Disposition {
    /// It is that of a form's part.
    pub(super) form_data: bool,
    pub(super) names: Vec<Vec<u8>>,
    pub(super) filenames: Vec<Vec<u8>>,
    /// Some reader takes the part for a value although it is called a file: there is no plain
    /// `filename` (PHP knows no other), or it is empty (which to Go is as if there was none).
    pub(super) may_be_value: bool,
}

impl Disposition {
    pub(super) fn read(value: &[u8], strict: &mut Strict) -> Self {
        let mut this = Self::default();
        let end = value.iter().position(|byte| matches!(byte, b';' | b'=' | b'"'));
        let (kind, mut rest) =
            value.split_at_checked(end.unwrap_or(value.len())).unwrap_or_default();
        this.form_data = kind.trim_ascii().eq_ignore_ascii_case(b"form-data");
        let (mut plain, mut extended) = (false, false);
        loop {
            rest = rest.trim_ascii_start();
            match rest.strip_prefix(b";") {
                Some(after) => rest = after.trim_ascii_start(),
                None if rest.is_empty() => break,
                None => strict.missing_semicolon = true,
            }
            if rest.is_empty() || rest.starts_with(b";") {
                continue;
            }
            let (name, value, after) = parameter(rest, strict);
            rest = after;
            match name.to_ascii_lowercase().as_slice() {
                b"name" => {
                    strict.duplicate_name |= !this.names.is_empty();
                    add(&mut this.names, value);
                }
                b"filename" => {
                    strict.duplicate_name |= std::mem::replace(&mut plain, true);
                    this.may_be_value |= value.is_empty();
                    add(&mut this.filenames, value);
                }
                b"filename*" => {
                    strict.duplicate_name |= std::mem::replace(&mut extended, true);
                    add(&mut this.filenames, extended_value(value, strict));
                }
                // RFC 7578 has no such name; who reads it all the same sees another than the rest.
                b"name*" => {
                    strict.invalid_part = true;
                    add(&mut this.names, extended_value(value, strict));
                }
                _ => {}
            }
        }
        this.may_be_value |= !plain;
        this
    }

    /// Takes what another disposition of the same part says, too.
    pub(super) fn join(&mut self, other: Self) {
        self.form_data |= other.form_data;
        self.may_be_value |= other.may_be_value;
        other.names.into_iter().for_each(|name| add(&mut self.names, name));
        other.filenames.into_iter().for_each(|name| add(&mut self.filenames, name));
    }
}

/// How many names of either kind a part may have. One is right, and more are a flag; but a value
/// is kept by each, so there must be an end to them.
const NAMES_MAX: usize = 4;

fn add(values: &mut Vec<Vec<u8>>, value: Vec<u8>) {
    if values.len() < NAMES_MAX && !values.contains(&value) {
        values.push(value);
    }
}

/// A parameter's name and value, and what follows. A name without a value is doubtful.
fn parameter<'a>(text: &'a [u8], strict: &mut Strict) -> (&'a [u8], Vec<u8>, &'a [u8]) {
    let end = text.iter().position(|byte| matches!(byte, b'=' | b';'));
    let (name, rest) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or_default();
    let (name, Some(rest)) = (name.trim_ascii(), rest.strip_prefix(b"=")) else {
        strict.invalid_quoting = true;
        return (name.trim_ascii(), Vec::new(), rest);
    };
    strict.invalid_quoting |= name.is_empty() || !name.iter().all(|byte| is_token(*byte));
    let (value, rest) = value(rest.trim_ascii_start(), name.ends_with(b"*"), strict);
    (name, value, rest)
}

/// A value in quotes or not; an extended one has quotes within.
fn value<'a>(text: &'a [u8], extended: bool, strict: &mut Strict) -> (Vec<u8>, &'a [u8]) {
    match text.split_first() {
        Some((b'"', inside)) => quoted(inside, b'"', strict),
        // Some readers take these for quotes, others for part of the value.
        Some((b'\'', inside)) if !extended && inside.contains(&b'\'') => {
            strict.invalid_quoting = true;
            quoted(inside, b'\'', strict)
        }
        _ => {
            let ends = |byte: &u8| *byte == b';' || byte.is_ascii_whitespace();
            let end = text.iter().position(ends).unwrap_or(text.len());
            let (value, rest) = text.split_at_checked(end).unwrap_or_default();
            strict.invalid_quoting |=
                value.is_empty() || value.contains(&b'"') || (!extended && value.contains(&b'\''));
            (value.to_vec(), rest)
        }
    }
}

/// Up to the quote that ends it. A backslash stands before a quote or a backslash; before anything
/// else it is itself, because that is how old browsers send paths.
fn quoted<'a>(text: &'a [u8], quote: u8, strict: &mut Strict) -> (Vec<u8>, &'a [u8]) {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        rest = match rest {
            [] => {
                strict.invalid_quoting = true;
                return (value, rest);
            }
            [b'\\', next, tail @ ..] if *next == quote || *next == b'\\' => {
                value.push(*next);
                tail
            }
            [byte, tail @ ..] if *byte == quote => return (value, tail),
            [byte, tail @ ..] => {
                value.push(*byte);
                tail
            }
        };
    }
}

/// `UTF-8'en'na%C3%AFve` (RFC 8187).
fn extended_value(value: Vec<u8>, strict: &mut Strict) -> Vec<u8> {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(charset), Some(_), Some(text)) => {
            strict.invalid_quoting |= !charset.eq_ignore_ascii_case(b"utf-8");
            unescaped(text, false)
        }
        _ => {
            strict.invalid_quoting = true;
            unescaped(&value, false)
        }
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
