//! JSON (RFC 8259), one value after the other: no recursion, and no tree of it all.
//!
//! A value's name is `json` and the keys on the way to it, with dots between; in an array the key
//! is the place, from 0. An array in something has a value of its own, after those in it: how many
//! there are. So its name is looked at, too, and that of an object or an array with nothing in it,
//! which is an empty value. Strings are taken as bytes, whether they are UTF-8 or not; half of a
//! surrogate pair is the three bytes that UTF-8 does not allow, for rules to find.

use std::{borrow::Cow, collections::HashSet};

use super::{Body, Limits, Reason, hex};

/// Takes apart a JSON text. No bytes at all are no values and no error.
pub fn json(bytes: &[u8], limits: &Limits) -> Body {
    Body::read(bytes, limits, |body, bytes| {
        if bytes.is_empty() {
            return Ok(());
        }
        let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let name = b"json".to_vec();
        Reader { rest, name, open: Vec::new(), limits, body }.text()
    })
}

struct Reader<'a, 'b> {
    rest: &'a [u8],
    /// The name of the value that comes next.
    name: Vec<u8>,
    open: Vec<Open<'a>>,
    limits: &'b Limits,
    body: &'b mut Body,
}

/// An object or an array whose end is not reached.
struct Open<'a> {
    /// Length of its name.
    name: usize,
    inside: Inside<'a>,
}

enum Inside<'a> {
    Object(HashSet<Cow<'a, [u8]>>),
    /// The place of the next value.
    Array(usize),
}

impl<'a> Reader<'a, '_> {
    fn text(&mut self) -> Result<(), Reason> {
        loop {
            // A value is due. If it opens something, the first value in that is due next.
            if self.value()? {
                continue;
            }
            if !self.next()? {
                break;
            }
        }
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Reason::TrailingData),
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\n' | b'\r', tail @ ..] = self.rest {
            self.rest = tail;
        }
        self.rest.first().copied()
    }

    /// Takes the next byte if it is this one.
    fn takes(&mut self, byte: u8) -> bool {
        let takes = self.peek() == Some(byte);
        if takes {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        takes
    }

    /// Reads a value; true if it opens an object or an array that is not empty.
    fn value(&mut self) -> Result<bool, Reason> {
        let value = match self.peek().ok_or(Reason::Json)? {
            b'{' => return self.opens(Inside::Object(HashSet::new()), b'}'),
            b'[' => return self.opens(Inside::Array(0), b']'),
            b'"' => self.string()?,
            b't' => self.literal(b"true")?,
            b'f' => self.literal(b"false")?,
            b'n' => self.literal(b"null")?,
            _ => self.number()?,
        };
        self.add(value.into_owned())?;
        Ok(false)
    }

    fn add(&mut self, value: Vec<u8>) -> Result<(), Reason> {
        self.body.arg(self.name.clone(), value, self.limits.json_values_max)
    }

    fn opens(&mut self, inside: Inside<'a>, end: u8) -> Result<bool, Reason> {
        if self.open.len() >= self.limits.json_depth_max {
            return Err(Reason::Depth);
        }
        self.rest = self.rest.get(1..).unwrap_or_default();
        if self.takes(end) {
            if !self.open.is_empty() {
                self.add(Vec::new())?;
            }
            return Ok(false);
        }
        self.open.push(Open { name: self.name.len(), inside });
        self.key()?;
        Ok(true)
    }

    /// After a value: goes on to the next in the same object or array, closing those that end.
    /// False at the end of it all.
    fn next(&mut self) -> Result<bool, Reason> {
        while let Some(open) = self.open.last() {
            let end = match open.inside {
                Inside::Object(_) => b'}',
                Inside::Array(_) => b']',
            };
            self.name.truncate(open.name);
            if self.takes(b',') {
                self.key()?;
                return Ok(true);
            }
            if !self.takes(end) {
                return Err(Reason::Json);
            }
            if let Some(Open { inside: Inside::Array(count), .. }) = self.open.pop()
                && !self.open.is_empty()
            {
                self.add(count.to_string().into_bytes())?;
            }
        }
        Ok(false)
    }

    /// Names the value that comes next by its key or its place.
    fn key(&mut self) -> Result<(), Reason> {
        let place = match self.open.last_mut() {
            Some(Open { inside: Inside::Array(place), .. }) => {
                *place += 1;
                Some(*place - 1)
            }
            _ => None,
        };
        self.name.push(b'.');
        match place {
            Some(place) => self.name.extend_from_slice(place.to_string().as_bytes()),
            None => self.object_key()?,
        }
        if self.name.len() > self.limits.json_name_bytes_max {
            return Err(Reason::NameBytes);
        }
        Ok(())
    }

    fn object_key(&mut self) -> Result<(), Reason> {
        if self.peek() != Some(b'"') {
            return Err(Reason::Json);
        }
        let key = self.string()?;
        self.name.extend_from_slice(&key);
        if let Some(Open { inside: Inside::Object(keys), .. }) = self.open.last_mut() {
            self.body.duplicate_key |= !keys.insert(key);
        }
        if self.takes(b':') { Ok(()) } else { Err(Reason::Json) }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<Cow<'a, [u8]>, Reason> {
        self.rest = self.rest.strip_prefix(word).ok_or(Reason::Json)?;
        Ok(Cow::Borrowed(word))
    }

    fn number(&mut self) -> Result<Cow<'a, [u8]>, Reason> {
        let length = number_length(self.rest).ok_or(Reason::Json)?;
        let (number, rest) = self.rest.split_at_checked(length).ok_or(Reason::Json)?;
        self.rest = rest;
        Ok(Cow::Borrowed(number))
    }

    /// Reads the string that begins here.
    fn string(&mut self) -> Result<Cow<'a, [u8]>, Reason> {
        let mut rest = self.rest.get(1..).unwrap_or_default();
        let mut out: Cow<'a, [u8]> = Cow::Borrowed(b"");
        loop {
            let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            let at = rest.iter().position(ends).ok_or(Reason::Json)?;
            let (plain, tail) = rest.split_at_checked(at).ok_or(Reason::Json)?;
            match out.is_empty() {
                true => out = Cow::Borrowed(plain),
                false => out.to_mut().extend_from_slice(plain),
            }
            rest = match tail {
                [b'"', tail @ ..] => {
                    self.rest = tail;
                    return Ok(out);
                }
                [b'\\', tail @ ..] => escape(tail, out.to_mut()).ok_or(Reason::Json)?,
                _ => return Err(Reason::Json),
            };
        }
    }
}

/// Reads what follows a backslash; gives the rest.
fn escape<'a>(tail: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (kind, tail) = tail.split_first()?;
    out.push(match kind {
        b'"' | b'\\' | b'/' => *kind,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(tail, out),
        _ => return None,
    });
    Some(tail)
}

/// Four hexadecimal digits, or a surrogate pair's twice four.
fn unicode<'a>(tail: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (digits, rest) = tail.split_at_checked(4)?;
    let unit = hex(digits)?;
    if let 0xd800..=0xdbff = unit
        && let [b'\\', b'u', low @ ..] = rest
        && let Some((digits, rest)) = low.split_at_checked(4)
        && let Some(low @ 0xdc00..=0xdfff) = hex(digits)
    {
        encode(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), out);
        return Some(rest);
    }
    encode(unit, out);
    Some(rest)
}

/// UTF-8, also of halves of surrogate pairs, which no `char` can be.
fn encode(code: u32, out: &mut Vec<u8>) {
    if let Some(char) = char::from_u32(code) {
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        return;
    }
    let six = |shift: u32| u8::try_from(code >> shift & 0x3f).unwrap_or_default() | 0x80;
    out.extend([u8::try_from(code >> 12).unwrap_or_default() | 0xe0, six(6), six(0)]);
}

/// The length of the number that a text begins with.
fn number_length(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let tail = text.get(from..).unwrap_or_default();
        tail.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut length = usize::from(text.first() == Some(&b'-'));
    let whole = digits(length);
    if whole == 0 || (whole > 1 && text.get(length) == Some(&b'0')) {
        return None;
    }
    length += whole;
    if text.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        length += if fraction == 0 { return None } else { 1 + fraction };
    }
    if let Some(b'e' | b'E') = text.get(length) {
        let sign = usize::from(matches!(text.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        length += if exponent == 0 { return None } else { 1 + sign + exponent };
    }
    Some(length)
}
