//! Bodies, taken apart for the rules to look at: names and values, files, text.
//!
//! Each processor reads bytes that somebody else wrote. It is bounded by [`Limits`], never
//! recurses, and always gives a [`Body`]: what could be read, and in `error` why the rest could
//! not. What reads the same bytes behind the gateway may be laxer, so what is doubtful is an error
//! or a flag, never a guess.

mod coding;
mod json;
mod multipart;
mod urlencoded;
mod xml;

#[cfg(test)]
mod tests;

pub use coding::{decoded, decoded_prefix};
pub use json::json;
pub use multipart::multipart;
pub use urlencoded::urlencoded;
pub use xml::xml;

/// What is in a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// Names and values, in the order they stand in.
    pub args: Vec<(Vec<u8>, Vec<u8>)>,
    /// Files of a form.
    pub files: Vec<File>,
    /// For each line in the head of a part of a form, the name of the part and the line.
    pub part_headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The text between tags.
    pub xml_text: Vec<Vec<u8>>,
    /// The values of attributes.
    pub xml_attributes: Vec<Vec<u8>>,
    /// Why not all of it could be read.
    pub error: Option<Reason>,
    /// What is doubtful about a form of parts.
    pub strict: Strict,
    /// A limit was reached: there was more than is here.
    pub truncated: bool,
    /// A JSON object has a key twice; both values are here.
    pub duplicate_key: bool,
}

/// A file in a form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// The name of its field.
    pub name: Vec<u8>,
    /// What the client calls it.
    pub filename: Vec<u8>,
    /// Bytes in it.
    pub size: usize,
}

/// What makes a form of parts (RFC 7578, RFC 2046) doubtful: two readers may read it differently.
/// The names are those of ModSecurity's `MULTIPART_` variables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strict {
    /// The boundary is in quotes.
    pub boundary_quoted: bool,
    /// There is white space around the boundary, or in it.
    pub boundary_whitespace: bool,
    /// Something stands before the first boundary.
    pub data_before: bool,
    /// Something stands after the last.
    pub data_after: bool,
    /// A header goes on in the next line.
    pub header_folding: bool,
    /// It does so where or how none may.
    pub invalid_header_folding: bool,
    /// A line ends with LF alone.
    pub lf_line: bool,
    /// Some lines end so, and some with CR LF.
    pub crlf_lf_lines: bool,
    /// Parameters are not parted by `;`.
    pub missing_semicolon: bool,
    /// A parameter's value is not quoted as it should be.
    pub invalid_quoting: bool,
    /// A part has no head that can be read, no name, or a disposition that is none of a form's.
    pub invalid_part: bool,
    /// There are more files than the limit.
    pub file_limit_exceeded: bool,
    /// A line is nearly a boundary.
    pub unmatched_boundary: bool,
    /// A part has two dispositions, or a disposition the same parameter twice.
    pub duplicate_name: bool,
    /// The last boundary is missing.
    pub final_boundary_missing: bool,
}

impl Strict {
    /// Something is doubtful.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// How much of a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub bytes_max: usize,
    /// Names and values of a form, of either kind.
    pub values_max: usize,
    /// Values of a JSON text.
    pub json_values_max: usize,
    /// How deep a JSON text is nested.
    pub json_depth_max: usize,
    /// Bytes of the name of a JSON value, which is all the keys on the way to it.
    pub json_name_bytes_max: usize,
    /// Texts and attributes of an XML document.
    pub xml_values_max: usize,
    /// How deep its elements are nested.
    pub xml_depth_max: usize,
    /// Parts of a form.
    pub parts_max: usize,
    /// Those of them that are files.
    pub files_max: usize,
    /// Lines in the head of a part.
    pub part_headers_max: usize,
    /// Bytes in the head of a part.
    pub part_head_bytes_max: usize,
    /// Bytes that a coded body is decoded to.
    pub decoded_bytes_max: usize,
    /// How many times as long as the coded body the decoded one may be.
    pub ratio_max: usize,
    /// Bytes that it may be decoded to whatever the ratio: short texts say little about it.
    pub ratio_from_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 1 << 20,
            values_max: 1_000,
            json_values_max: 10_000,
            json_depth_max: 64,
            json_name_bytes_max: 1_024,
            xml_values_max: 10_000,
            xml_depth_max: 64,
            parts_max: 128,
            files_max: 64,
            part_headers_max: 16,
            part_head_bytes_max: 8 << 10,
            decoded_bytes_max: 8 << 20,
            ratio_max: 20,
            ratio_from_bytes: 64 << 10,
        }
    }
}

/// Why a body, or the rest of it, could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// More than `bytes_max`.
    Bytes,
    /// More than `values_max`, or the limit of its kind.
    Values,
    /// More than `json_depth_max` or `xml_depth_max`.
    Depth,
    /// More than `json_name_bytes_max`.
    NameBytes,
    /// More than `parts_max`.
    Parts,
    /// More than `part_headers_max` or `part_head_bytes_max`.
    PartHead,
    /// More than `decoded_bytes_max`.
    DecodedBytes,
    /// More than `ratio_max`.
    Ratio,
    /// The content type has no boundary, two, or one that none can be.
    Boundary,
    /// The form ends before its last boundary, or has no part.
    Multipart,
    /// Not JSON.
    Json,
    /// Not XML.
    Xml,
    /// An XML document with a document type, which may do anything.
    Doctype,
    /// An entity that is not one of the five that need no declaration.
    Entity,
    /// An XML document in an encoding that is not read.
    Encoding,
    /// Something follows what should be all.
    TrailingData,
    /// A JSON object has a key twice: who reads it next may take the one or the other.
    DuplicateKey,
    /// A content coding that is not known.
    CodingUnknown,
    /// A content coding in another.
    CodingNested,
    /// A coded body that cannot be decoded, or is cut.
    CodingMalformed,
}

impl Reason {
    /// The same in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "the body is too long",
            Self::Values => "the body has too many values",
            Self::Depth => "the body is nested too deep",
            Self::NameBytes => "a name in the body is too long",
            Self::Parts => "the form has too many parts",
            Self::PartHead => "the head of a part is too long",
            Self::DecodedBytes => "the decoded body is too long",
            Self::Ratio => "the body decodes to too many times its length",
            Self::Boundary => "the content type has no boundary that can be used",
            Self::Multipart => "the form ends before its last boundary",
            Self::Json => "the body is not JSON",
            Self::Xml => "the body is not XML",
            Self::Doctype => "the document has a document type",
            Self::Entity => "the document refers to an entity that nothing declares",
            Self::Encoding => "the document's encoding is not read",
            Self::TrailingData => "something follows the body's end",
            Self::DuplicateKey => "a JSON object has a key twice",
            Self::CodingUnknown => "the content coding is not known",
            Self::CodingNested => "the content coding is nested",
            Self::CodingMalformed => "the coded body cannot be decoded",
        }
    }

    /// There was too much of something, as against something being wrong.
    pub fn is_limit(self) -> bool {
        match self {
            Self::Bytes
            | Self::Values
            | Self::Depth
            | Self::NameBytes
            | Self::Parts
            | Self::PartHead
            | Self::DecodedBytes
            | Self::Ratio => true,
            Self::Boundary
            | Self::Multipart
            | Self::Json
            | Self::Xml
            | Self::Doctype
            | Self::Entity
            | Self::Encoding
            | Self::TrailingData
            | Self::DuplicateKey
            | Self::CodingUnknown
            | Self::CodingNested
            | Self::CodingMalformed => false,
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Body {
    /// Reads as much of the bytes as the limit allows; what `read` says of the rest being missing
    /// is not said.
    fn read(
        bytes: &[u8],
        limits: &Limits,
        read: impl FnOnce(&mut Self, &[u8]) -> Result<(), Reason>,
    ) -> Self {
        let within = bytes.get(..limits.bytes_max);
        let mut body = Self::default();
        let mut error = read(&mut body, within.unwrap_or(bytes)).err();
        if within.is_some_and(|within| within.len() < bytes.len()) {
            error = Some(Reason::Bytes);
        }
        body.error = error;
        body.truncated = error.is_some_and(Reason::is_limit);
        body
    }

    /// Adds a value, if there is room for it.
    fn arg(&mut self, name: Vec<u8>, value: Vec<u8>, max: usize) -> Result<(), Reason> {
        if self.args.len() >= max {
            return Err(Reason::Values);
        }
        self.args.push((name, value));
        Ok(())
    }
}

/// The number that hexadecimal digits spell; `None` if one is none.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| {
        Some(value.checked_mul(16)? + char::from(*digit).to_digit(16)?)
    })
}

/// `%hh` is the byte, in a path.
pub(crate) fn percent_decoded(bytes: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    match bytes.contains(&b'%') {
        true => unescaped(bytes, false).into(),
        false => bytes.into(),
    }
}

/// `%hh` is the byte, and `+` a space where it is; what is no escape stays.
fn unescaped(bytes: &[u8], plus: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        let escaped = match (byte, tail) {
            (b'%', [high, low, ..]) => hex(&[*high, *low]).and_then(|it| u8::try_from(it).ok()),
            _ => None,
        };
        rest = match escaped {
            Some(byte) => {
                out.push(byte);
                tail.get(2..).unwrap_or_default()
            }
            None => {
                out.push(if plus && *byte == b'+' { b' ' } else { *byte });
                tail
            }
        };
    }
    out
}
