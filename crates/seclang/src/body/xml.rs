//! XML without what makes it dangerous: no document type, so no entities but the five that need
//! no declaration, and nothing external.
//!
//! A scanner of ours, not a library: what rules look at is text and attributes as bytes, and what
//! matters is what is refused and how deep and how much is read; neither needs names to be
//! resolved or a tree to be built, and libraries are lax where this must not be.

use std::collections::HashSet;

use memchr::{memchr, memmem};

use super::{Body, Limits, Reason, hex};

/// Takes apart an XML document. No bytes at all are no text and no error.
pub fn xml(bytes: &[u8], limits: &Limits) -> Body {
    Body::read(bytes, limits, |body, bytes| {
        if bytes.is_empty() {
            return Ok(());
        }
        let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if rest.starts_with(b"\xfe\xff") || rest.starts_with(b"\xff\xfe") {
            return Err(Reason::Encoding);
        }
        let text = Vec::new();
        Reader { rest, text, open: Vec::new(), rooted: false, limits, body }.document()
    })
}

struct Reader<'a, 'b> {
    rest: &'a [u8],
    /// Text since the last tag.
    text: Vec<u8>,
    /// The names of the elements whose end is not reached.
    open: Vec<&'a [u8]>,
    /// There was an element.
    rooted: bool,
    limits: &'b Limits,
    body: &'b mut Body,
}

impl<'a> Reader<'a, '_> {
    fn document(&mut self) -> Result<(), Reason> {
        self.declaration()?;
        while let Some(at) = memchr(b'<', self.rest) {
            let text = self.take(at)?;
            self.characters(text)?;
            self.markup()?;
        }
        let text = self.rest;
        self.characters(text)?;
        match self.rooted && self.open.is_empty() {
            true => Ok(()),
            false => Err(Reason::Xml),
        }
    }

    /// So many bytes.
    fn take(&mut self, count: usize) -> Result<&'a [u8], Reason> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Reason::Xml)?;
        self.rest = rest;
        Ok(taken)
    }

    /// All up to a mark, and the mark.
    fn take_to(&mut self, mark: &[u8]) -> Result<&'a [u8], Reason> {
        let at = memmem::find(self.rest, mark).ok_or(Reason::Xml)?;
        let taken = self.take(at)?;
        self.take(mark.len())?;
        Ok(taken)
    }

    fn takes(&mut self, mark: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// White space; true if there was some.
    fn space(&mut self) -> bool {
        let before = self.rest.len();
        while let [byte, tail @ ..] = self.rest
            && is_space(*byte)
        {
            self.rest = tail;
        }
        self.rest.len() < before
    }

    /// `<?xml … encoding="…"?>`
    fn declaration(&mut self) -> Result<(), Reason> {
        if !self
            .rest
            .strip_prefix(b"<?xml")
            .is_some_and(|rest| rest.first().is_some_and(|b| is_space(*b)))
        {
            return Ok(());
        }
        self.take(b"<?xml".len())?;
        let inside = self.take_to(b"?>")?;
        let Some(at) = memmem::find(inside, b"encoding") else { return Ok(()) };
        let value = inside.get(at + b"encoding".len()..).unwrap_or_default().trim_ascii_start();
        let value = value.strip_prefix(b"=").ok_or(Reason::Xml)?.trim_ascii_start();
        let (quote, value) = value.split_first().ok_or(Reason::Xml)?;
        let end = memchr(*quote, value).filter(|_| matches!(quote, b'"' | b'\''));
        let name = end.and_then(|end| value.get(..end)).ok_or(Reason::Xml)?;
        const READ: [&[u8]; 5] = [b"utf-8", b"utf8", b"us-ascii", b"iso-8859-1", b"windows-1252"];
        match READ.iter().any(|read| read.eq_ignore_ascii_case(name)) {
            true => Ok(()),
            false => Err(Reason::Encoding),
        }
    }

    /// Text between tags.
    fn characters(&mut self, text: &[u8]) -> Result<(), Reason> {
        if self.open.is_empty() {
            return if text.iter().all(|byte| is_space(*byte)) { Ok(()) } else { Err(Reason::Xml) };
        }
        if memmem::find(text, b"]]>").is_some() {
            return Err(Reason::Xml);
        }
        unreferenced(text, &mut self.text)
    }

    /// What begins with `<`.
    fn markup(&mut self) -> Result<(), Reason> {
        self.take(1)?;
        if self.takes(b"!--") {
            let comment = self.take_to(b"--")?;
            return if allowed(comment) && self.takes(b">") { Ok(()) } else { Err(Reason::Xml) };
        }
        if self.takes(b"![CDATA[") {
            let text = self.take_to(b"]]>")?;
            if self.open.is_empty() || !allowed(text) {
                return Err(Reason::Xml);
            }
            self.text.extend_from_slice(text);
            return Ok(());
        }
        if self.takes(b"!") {
            return Err(Reason::Doctype);
        }
        if self.takes(b"?") {
            let target = self.name()?;
            let inside = self.take_to(b"?>")?;
            let is_xml = target.eq_ignore_ascii_case(b"xml");
            return if !is_xml && allowed(inside) { Ok(()) } else { Err(Reason::Xml) };
        }
        self.flush()?;
        if self.takes(b"/") { self.closes() } else { self.opens() }
    }

    /// The text since the last tag is whole.
    fn flush(&mut self) -> Result<(), Reason> {
        let text = std::mem::take(&mut self.text);
        if text.iter().all(|byte| is_space(*byte)) {
            return Ok(());
        }
        self.room()?;
        self.body.xml_text.push(text);
        Ok(())
    }

    fn room(&self) -> Result<(), Reason> {
        let values = self.body.xml_text.len() + self.body.xml_attributes.len();
        if values < self.limits.xml_values_max { Ok(()) } else { Err(Reason::Values) }
    }

    fn closes(&mut self) -> Result<(), Reason> {
        let name = self.name()?;
        self.space();
        match self.open.pop() {
            Some(open) if open == name && self.takes(b">") => Ok(()),
            _ => Err(Reason::Xml),
        }
    }

    fn opens(&mut self) -> Result<(), Reason> {
        let name = self.name()?;
        if self.open.is_empty() && self.rooted {
            return Err(Reason::TrailingData);
        }
        if self.open.len() >= self.limits.xml_depth_max {
            return Err(Reason::Depth);
        }
        self.rooted = true;
        let mut seen = HashSet::new();
        loop {
            let space = self.space();
            if self.takes(b"/>") {
                return Ok(());
            }
            if self.takes(b">") {
                self.open.push(name);
                return Ok(());
            }
            if !space || !seen.insert(self.attribute()?) {
                return Err(Reason::Xml);
            }
        }
    }

    /// `name="value"`; gives the name.
    fn attribute(&mut self) -> Result<&'a [u8], Reason> {
        let name = self.name()?;
        self.space();
        if !self.takes(b"=") {
            return Err(Reason::Xml);
        }
        self.space();
        let quote: &[u8] = match self.take(1)? {
            b"\"" => b"\"",
            b"'" => b"'",
            _ => return Err(Reason::Xml),
        };
        let raw = self.take_to(quote)?;
        let mut value = Vec::with_capacity(raw.len());
        if raw.contains(&b'<') {
            return Err(Reason::Xml);
        }
        unreferenced(raw, &mut value)?;
        self.room()?;
        self.body.xml_attributes.push(value);
        Ok(name)
    }

    fn name(&mut self) -> Result<&'a [u8], Reason> {
        let first = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | 0x80..);
        let later = |byte: &u8| first(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let length = self.rest.iter().take_while(|byte| later(byte)).count();
        match self.rest.first().is_some_and(first) {
            true => self.take(length),
            false => Err(Reason::Xml),
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Only white space may be among the control characters.
fn allowed(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte >= 0x20 || is_space(*byte))
}

/// Text with its references to characters as these.
fn unreferenced(text: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    if !allowed(text) {
        return Err(Reason::Xml);
    }
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest) {
        let (plain, tail) = rest.split_at_checked(at).ok_or(Reason::Xml)?;
        out.extend_from_slice(plain);
        let end = memchr(b';', tail).ok_or(Reason::Xml)?;
        let char = reference(tail.get(1..end).unwrap_or_default())?;
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        rest = tail.get(end + 1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// What stands between `&` and `;`.
fn reference(name: &[u8]) -> Result<char, Reason> {
    let code = match name {
        b"lt" => return Ok('<'),
        b"gt" => return Ok('>'),
        b"amp" => return Ok('&'),
        b"quot" => return Ok('"'),
        b"apos" => return Ok('\''),
        [b'#', b'x', digits @ ..] if !digits.is_empty() => hex(digits),
        [b'#', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
        }
        [b'#', ..] => None,
        _ => return Err(Reason::Entity),
    };
    let legal = |code: &u32| *code >= 0x20 || matches!(code, 0x09 | 0x0a | 0x0d);
    code.filter(legal).and_then(char::from_u32).ok_or(Reason::Xml)
}
