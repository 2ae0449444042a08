//! JSON bodies as values: every string, number and key, named by its path (`json.items.0.name`).
//!
//! What two parsers could read differently (a key twice in one object, more nesting than
//! [`DEPTH_MAX`], text after the value) is malformed, and then the body was not looked at.

use std::collections::HashSet;

use seclang::{Collection, Input};
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
/// whatever the type says, and lines of it.
pub(super) fn documents(body: &[u8], input: &mut Input) {
    if !matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return;
    }
    let mut parser = serde_json::Deserializer::from_slice(body);
    let names = &mut HashSet::new();
    while Node::root(input, names).deserialize(&mut parser).is_ok() && parser.end().is_err() {}
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
