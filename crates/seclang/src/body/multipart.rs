//! Forms of parts (RFC 7578 in RFC 2046), read as leniently as the laxest reader behind might,
//! with a flag for each thing a stricter one would read in another way.

mod content_type;
mod disposition;

use memchr::memmem::Finder;

use super::{Body, File, Limits, Reason, Strict};
use disposition::Disposition;

/// Takes apart a form of parts. Parts that are files to every reader are not values: of them
/// there is the name, what the client calls them, and their size. Transfer encodings of parts, which RFC 7578 has done
/// away with, are not decoded: rules see the header.
pub fn multipart(content_type: &[u8], bytes: &[u8], limits: &Limits) -> Body {
    Body::read(bytes, limits, |body, bytes| {
        let boundary = content_type::boundary(content_type, &mut body.strict)?;
        let dashed = [b"--", boundary.as_slice()].concat();
        let finder = Finder::new(&dashed);
        Form { rest: bytes, boundary: &boundary, finder, limits, parts: 0, crlf: false, body }.all()
    })
}

struct Form<'a, 'b> {
    rest: &'a [u8],
    boundary: &'b [u8],
    /// Of the boundary with its hyphens.
    finder: Finder<'b>,
    limits: &'b Limits,
    parts: usize,
    /// A line ended with CR LF.
    crlf: bool,
    body: &'b mut Body,
}

/// What a line that begins with the boundary is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    /// A part follows.
    Next,
    /// None does.
    Last,
}

/// The head of a part.
#[derive(Default)]
struct Head {
    lines: Vec<Vec<u8>>,
    /// The part was over before its head: the delimiter, if there was one.
    cut: Option<Option<Delimiter>>,
}

/// A line, and how it ended.
struct Line<'a> {
    text: &'a [u8],
    end: &'a [u8],
}

impl<'a> Form<'a, '_> {
    fn all(&mut self) -> Result<(), Reason> {
        let (before, mut delimiter) = self.content();
        // The end of a line may stand before the first boundary, and nothing else.
        self.body.strict.data_before = !before.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        while delimiter == Some(Delimiter::Next) {
            delimiter = self.part()?;
        }
        if delimiter.is_none() {
            self.body.strict.final_boundary_missing = true;
            return Err(Reason::Multipart);
        }
        self.body.strict.data_after = !matches!(self.rest, b"" | b"\r\n" | b"\n");
        Ok(())
    }

    /// A part; gives the delimiter after it.
    fn part(&mut self) -> Result<Option<Delimiter>, Reason> {
        self.parts += 1;
        if self.parts > self.limits.parts_max {
            return Err(Reason::Parts);
        }
        let head = self.head()?;
        let (content, delimiter) = match head.cut {
            Some(delimiter) => {
                self.body.strict.invalid_part = true;
                (&b""[..], delimiter)
            }
            None => self.content(),
        };
        self.add(head, content)?;
        Ok(delimiter)
    }

    /// The lines up to an empty one.
    fn head(&mut self) -> Result<Head, Reason> {
        let mut head = Head::default();
        let before = self.rest.len();
        loop {
            let Some(line) = self.line() else {
                head.cut = Some(None);
                return Ok(head);
            };
            if before - self.rest.len() > self.limits.part_head_bytes_max {
                return Err(Reason::PartHead);
            }
            if let Some(delimiter) = self.delimiter(&line) {
                head.cut = Some(Some(delimiter));
                return Ok(head);
            }
            self.ended(line.end);
            if line.text.is_empty() {
                return Ok(head);
            }
            self.head_line(&mut head, line.text);
            if head.lines.len() > self.limits.part_headers_max {
                return Err(Reason::PartHead);
            }
        }
    }

    fn head_line(&mut self, head: &mut Head, line: &[u8]) {
        let strict = &mut self.body.strict;
        if matches!(line, [b' ' | b'\t' | 0x0b | 0x0c, ..]) {
            strict.header_folding = true;
            strict.invalid_header_folding |= matches!(line, [0x0b | 0x0c, ..]);
            if let Some(last) = head.lines.last_mut() {
                last.push(b' ');
                last.extend_from_slice(line.get(1..).unwrap_or_default().trim_ascii());
                return;
            }
            strict.invalid_header_folding = true;
        }
        head.lines.push(line.to_vec());
    }

    /// Adds a part: its head's lines, and its value or its file.
    fn add(&mut self, head: Head, content: &[u8]) -> Result<(), Reason> {
        let disposition = disposition_of(&head.lines, &mut self.body.strict);
        let name = disposition.names.first().cloned().unwrap_or_default();
        let lines = head.lines.into_iter().map(|line| (name.clone(), line));
        self.body.part_headers.extend(lines);
        self.values(disposition, content)
    }

    /// A part that has two names is a value or a file by each, so that rules see both.
    fn values(&mut self, mut disposition: Disposition, content: &[u8]) -> Result<(), Reason> {
        if disposition.names.is_empty() {
            disposition.names.push(Vec::new());
        }
        if disposition.may_be_value || disposition.filenames.is_empty() {
            for name in &disposition.names {
                self.body.arg(name.clone(), content.to_vec(), self.limits.values_max)?;
            }
        }
        // The bytes are counted once, whatever the file is called.
        let mut size = content.len();
        for name in disposition.names {
            for filename in &disposition.filenames {
                self.file(name.clone(), filename.clone(), std::mem::take(&mut size))?;
            }
        }
        Ok(())
    }

    fn file(&mut self, name: Vec<u8>, filename: Vec<u8>, size: usize) -> Result<(), Reason> {
        if self.body.files.len() >= self.limits.files_max {
            self.body.strict.file_limit_exceeded = true;
            return Err(Reason::Values);
        }
        self.body.files.push(File { name, filename, size });
        Ok(())
    }

    /// What comes before the next delimiter, without the end of its last line, which is the
    /// delimiter's.
    fn content(&mut self) -> (&'a [u8], Option<Delimiter>) {
        let whole = self.rest;
        loop {
            let before = self.rest;
            let Some(line) = self.line() else { return (whole, None) };
            if let Some(delimiter) = self.delimiter(&line) {
                let content = whole.get(..whole.len() - before.len()).unwrap_or_default();
                let end = ending(content);
                self.ended(end);
                return (content.strip_suffix(end).unwrap_or(content), Some(delimiter));
            }
        }
    }

    fn line(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let length = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        let end = ending(line);
        Some(Line { text: line.strip_suffix(end).unwrap_or(line), end })
    }

    /// Notes how a line that is none of a value's ended.
    fn ended(&mut self, end: &[u8]) {
        let strict = &mut self.body.strict;
        self.crlf |= end == b"\r\n";
        strict.lf_line |= end == b"\n";
        strict.crlf_lf_lines |= self.crlf && strict.lf_line;
    }

    fn delimiter(&mut self, line: &Line<'_>) -> Option<Delimiter> {
        let after = line.text.strip_prefix(b"--").and_then(|it| it.strip_prefix(self.boundary));
        if let Some(after) = after {
            let rest = after.strip_prefix(b"--");
            // Blanks may follow: a gateway of old may have put them there.
            if rest.unwrap_or(after).iter().all(|byte| matches!(byte, b' ' | b'\t')) {
                self.ended(line.end);
                return Some(if rest.is_some() { Delimiter::Last } else { Delimiter::Next });
            }
        }
        let doubtful = self.finder.find(line.text).is_some() || nearly(line.text, self.boundary);
        self.body.strict.unmatched_boundary |= doubtful;
        None
    }
}

/// The disposition that the lines of a head say, all of them taken together.
fn disposition_of(lines: &[Vec<u8>], strict: &mut Strict) -> Disposition {
    let mut found: Option<Disposition> = None;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.and_then(|colon| line.split_at_checked(colon)) else {
            strict.invalid_part = true;
            continue;
        };
        // White space before the colon hides a header from some readers.
        strict.invalid_part |= name.is_empty() || name.trim_ascii() != name;
        if name.trim_ascii().eq_ignore_ascii_case(b"content-disposition") {
            strict.duplicate_name |= found.is_some();
            let this = Disposition::read(value.get(1..).unwrap_or_default(), strict);
            found.get_or_insert_default().join(this);
        }
    }
    let disposition = found.unwrap_or_default();
    strict.invalid_part |= !disposition.form_data || disposition.names.is_empty();
    disposition
}

/// How a line ends.
fn ending(line: &[u8]) -> &'static [u8] {
    match line {
        [.., b'\r', b'\n'] => b"\r\n",
        [.., b'\n'] => b"\n",
        _ => b"",
    }
}

/// The line begins as a boundary does but for blanks, quotes and the number of hyphens.
fn nearly(line: &[u8], boundary: &[u8]) -> bool {
    let skip = |text: &[u8], ignored: &[u8]| {
        text.iter().position(|byte| !ignored.contains(byte)).unwrap_or(text.len())
    };
    let begins = skip(line, b"- \t\r\"'");
    let hyphen = line.iter().take(begins).any(|byte| *byte == b'-');
    let Some(line) = line.get(begins..).filter(|_| hyphen) else { return false };
    let wanted = boundary.get(skip(boundary, b"-")..).unwrap_or_default();
    !wanted.is_empty() && line.starts_with(wanted)
}
