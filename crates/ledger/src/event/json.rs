//! JSON as events hold it: one line, without white space, and what a terminal would act on or not
//! show [escaped](super::printable). The bytes are those that `serde_json` and
//! [`printable_json`](super::printable_json) make one after the other, but that a key must be
//! text, that integers have 64 bits, and that what is JSON already is a [`Json`] here. Each request
//! has two events of some kilobytes: here they are made in one pass, and text that needs no escape,
//! nearly all there is, is copied whole.

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Error;

use super::is_printable;
use super::printable::push_escape;

/// The name by which a [`Json`] is known to the one that writes it into another.
const JSON: &str = "ledger::event::Json";

/// The name by which `serde_json` knows its own: it would be written as an object.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// What a part of an event takes as a rule, bytes.
const PART_BYTES: usize = 2048;

/// A value that is JSON already, as events hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// The JSON of `value`.
    ///
    /// # Errors
    /// It has no JSON here: see the module.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        text(value, PART_BYTES).map(Self)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(JSON, &self.0)
    }
}

/// The JSON of `value`, of which as many bytes are expected.
pub(super) fn text<T: Serialize + ?Sized>(value: &T, bytes: usize) -> Result<String, Error> {
    let mut writer = Writer { out: String::with_capacity(bytes), json: false };
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    /// The text that follows is JSON already.
    json: bool,
}

impl Writer {
    fn text(&mut self, text: &str) {
        self.out.push('"');
        if is_plain(text.as_bytes()) {
            self.out.push_str(text);
        } else {
            self.escape(text);
        }
        self.out.push('"');
    }

    /// The name of a field or a variant is an identifier of ours: there is nothing to escape in it.
    fn name(&mut self, name: &'static str) {
        self.out.push('"');
        self.out.push_str(name);
        self.out.push('"');
    }

    #[cold]
    fn escape(&mut self, text: &str) {
        for char in text.chars() {
            match char {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                char if is_printable(char) => self.out.push(char),
                char => push_escape(&mut self.out, char),
            }
        }
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.out.push_str(itoa::Buffer::new().format(number));
    }

    /// A number that has a point is rare: it is written as `serde_json` does.
    fn point(&mut self, number: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.out.push_str(&serde_json::to_string(number)?);
        Ok(())
    }

    fn open(&mut self, bracket: char, end: &'static str) -> Members<'_> {
        self.out.push(bracket);
        Members { writer: self, first: true, end }
    }

    /// `{"variant":` and what follows; the brackets are closed by the members' end.
    fn variant(&mut self, variant: &'static str, bracket: char, end: &'static str) -> Members<'_> {
        self.out.push('{');
        self.name(variant);
        self.out.push(':');
        self.open(bracket, end)
    }
}

/// Whether all bytes are written as they are: visible ASCII but `"` and `\`. Words are looked at
/// whole, the last one again with a part of the one before; a short text is padded.
fn is_plain(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<8>() {
        let (words, _) = text.as_chunks::<8>();
        let all = words.iter().fold(0, |all, word| all | escapes(*word));
        return all | escapes(*last) == 0;
    }
    escapes(text.iter().fold(SPACES, |word, byte| word << 8 | u64::from(*byte)).to_le_bytes()) == 0
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const SPACES: u64 = u64::from_le_bytes([b' '; 8]);

/// Not 0 if one of eight bytes is escaped: the highest bit of each says so.
fn escapes(word: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(word);
    // A borrow reaches only what is above a byte that is reported itself.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (word | below(word, 0x20) | is(b'"') | is(b'\\') | is(0x7f)) & (ONES * 0x80)
}

/// The members of an object or a list that is open.
struct Members<'a> {
    writer: &'a mut Writer,
    first: bool,
    end: &'static str,
}

impl Members<'_> {
    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.writer.out.push(',');
        }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.separate();
        value.serialize(&mut *self.writer)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.separate();
        self.writer.name(name);
        self.writer.out.push(':');
        value.serialize(&mut *self.writer)
    }

    fn close(self) {
        self.writer.out.push_str(self.end);
    }
}

/// What `serde` calls the integers of each width.
macro_rules! numbers {
    ($($name:ident: $type:ty;)*) => {$(
        fn $name(self, value: $type) -> Result<(), Error> {
            self.number(value);
            Ok(())
        }
    )*};
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Members<'a>;
    type SerializeTuple = Members<'a>;
    type SerializeTupleStruct = Members<'a>;
    type SerializeTupleVariant = Members<'a>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    numbers! {
        serialize_i8: i8; serialize_i16: i16; serialize_i32: i32; serialize_i64: i64;
        serialize_u8: u8; serialize_u16: u16; serialize_u32: u32; serialize_u64: u64;
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.point(&value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.point(&value)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        if std::mem::take(&mut self.json) {
            self.out.push_str(value);
        } else {
            self.text(value);
        }
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.name(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.json = name == JSON;
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut members = self.open('{', "}");
        members.field(variant, value)?;
        members.close();
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Members<'a>, Error> {
        Ok(self.open('[', "]"))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Members<'a>, Error> {
        Ok(self.open('[', "]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, Error> {
        Ok(self.open('[', "]"))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Members<'a>, Error> {
        Ok(self.variant(variant, '[', "]}"))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Members<'a>, Error> {
        Ok(self.open('{', "}"))
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Members<'a>, Error> {
        if name == RAW_VALUE {
            return Err(Error::custom("a raw value is none of ours"));
        }
        Ok(self.open('{', "}"))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Members<'a>, Error> {
        Ok(self.variant(variant, '{', "}}"))
    }
}

/// What `serde` calls the members of each kind.
macro_rules! members {
    ($($kind:ident: $member:ident($($name:ident: $type:ty)?) is $own:ident;)*) => {$(
        impl $kind for Members<'_> {
            type Ok = ();
            type Error = Error;

            fn $member<T: Serialize + ?Sized>(
                &mut self,
                $($name: $type,)?
                value: &T,
            ) -> Result<(), Error> {
                self.$own($($name,)? value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        }
    )*};
}

members! {
    SerializeSeq: serialize_element() is element;
    SerializeTuple: serialize_element() is element;
    SerializeTupleStruct: serialize_field() is element;
    SerializeTupleVariant: serialize_field() is element;
    SerializeStruct: serialize_field(name: &'static str) is field;
    SerializeStructVariant: serialize_field(name: &'static str) is field;
}

impl SerializeMap for Members<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.separate();
        let at = self.writer.out.len();
        key.serialize(&mut *self.writer)?;
        let is_text = self.writer.out.as_bytes().get(at) == Some(&b'"');
        if is_text { Ok(()) } else { Err(Error::custom("a key is no text")) }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.writer.out.push(':');
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
