//! JSON bodies as values: every string, number and key, named by its path (`json.items.0.name`).
//!
//! What two parsers could read differently (a key twice in one object, more nesting than
//! [`DEPTH_MAX`], text after the value) is malformed, and then the body was not looked at.

use std::collections::HashSet;

use super::input::{Collection, Input};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Arrays and objects inside one another, at most.
pub(super) const DEPTH_MAX: usize = 64;

/// Bytes of a path that names a value.
const PATH_BYTES_MAX: usize = 128;

/// Adds every value of the document, or nothing more from where it is malformed.
pub(super) fn values(body: &[u8], input: &mut Input) -> Result<(), serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    Node::root(input, &mut HashSet::new()).deserialize(&mut parser)?;
    parser.end()
}

/// Adds the values of the documents a text begins with, if it does: some applications read JSON
/// whatever the type says, and lines of it. Where that is malformed, and another parser may go on
/// (a key twice, half a surrogate pair), whatever stands between quotes is a value.
pub(super) fn documents(body: &[u8], input: &mut Input) {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if !matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return;
    }
    let mut parser = serde_json::Deserializer::from_slice(text);
    let names = &mut HashSet::new();
    while Node::root(input, names).deserialize(&mut parser).is_ok() {
        if parser.end().is_ok() {
            return;
        }
    }
    let mut rest = text;
    while let Some(quote) = rest.iter().position(|byte| *byte == b'"') {
        let (string, after) = string(rest.get(quote + 1..).unwrap_or_default());
        input.push(Collection::ArgsPost, "json", string);
        rest = after;
    }
}

/// A string without its escapes, up to its closing quote, and what follows it.
fn string(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut string = Vec::new();
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return (string, rest),
            [b'"', after @ ..] => return (string, after),
            [b'\\', b'u', after @ ..] => match after.split_first_chunk().and_then(escaped) {
                Some(char) => {
                    string.extend(char.encode_utf8(&mut [0; 4]).bytes());
                    after.get(4..).unwrap_or_default()
                }
                None => after,
            },
            [b'\\', escaped, after @ ..] => {
                string.push(match escaped {
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                after
            }
            [byte, after @ ..] => {
                string.push(*byte);
                after
            }
        };
    }
}

/// The character that four hex digits name; U+FFFD for half of a surrogate pair.
fn escaped((digits, _): (&[u8; 4], &[u8])) -> Option<char> {
    let digits = digits.iter().map(|digit| char::from(*digit).to_digit(16));
    let code = digits.reduce(|code, digit| Some(code? << 4 | digit?))??;
    Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// One value of the document, and where it stands.
struct Node<'i> {
    path: String,
    depth: usize,
    input: &'i mut Input,
    /// The keys seen: the items of a list mostly have the same.
    names: &'i mut HashSet<String>,
}

impl<'i> Node<'i> {
    fn root(input: &'i mut Input, names: &'i mut HashSet<String>) -> Self {
        Self { path: "json".to_owned(), depth: 0, input, names }
    }
}

impl Node<'_> {
    fn inner(&mut self, key: &str) -> Node<'_> {
        let mut path = [self.path.as_str(), ".", key].concat();
        path.truncate(path.floor_char_boundary(PATH_BYTES_MAX));
        Node { path, depth: self.depth + 1, input: self.input, names: self.names }
    }

    fn push(self, bytes: &[u8]) {
        self.input.push(Collection::ArgsPost, self.path, bytes);
    }

    /// The value is an array or an object.
    fn enter<E: Error>(&self) -> Result<(), E> {
        match self.depth < DEPTH_MAX {
            true => Ok(()),
            false => Err(E::custom("nested too deep")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.push(number.to_string().as_bytes());
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.push(number.to_string().as_bytes());
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.push(number.to_string().as_bytes());
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.push(text.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.enter()?;
        let mut index = 0_usize;
        while items.next_element_seed(self.inner(&index.to_string()))?.is_some() {
            index += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.enter()?;
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if !self.names.contains(&key) {
                self.input.push(Collection::ArgsNames, "", key.as_str());
                self.names.insert(key.clone());
            }
            members.next_value_seed(self.inner(&key))?;
            if !keys.insert(key) {
                return Err(A::Error::custom("a key appears twice"));
            }
        }
        Ok(())
    }
}
