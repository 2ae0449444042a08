//! The boundary, from the content type.

use super::{Reason, Strict};

/// RFC 2046, section 5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

/// The boundary. White space and quotes around it are doubtful, because readers differ on them.
pub(super) fn boundary(content_type: &[u8], strict: &mut Strict) -> Result<Vec<u8>, Reason> {
    let (essence, parameters) = split(content_type, b';').ok_or(Reason::Boundary)?;
    if !essence.trim_ascii().to_ascii_lowercase().starts_with(b"multipart/") {
        return Err(Reason::Boundary);
    }
    let mut found = None;
    let mut rest = parameters;
    while !rest.is_empty() {
        let (parameter, after) = rest.split_at_checked(length(rest)?).unwrap_or_default();
        rest = after.get(1..).unwrap_or_default();
        let (name, value) = split(parameter, b'=').unwrap_or((parameter, b""));
        if name.trim_ascii().eq_ignore_ascii_case(b"boundary") {
            strict.boundary_whitespace |= name.trim_ascii_end() != name;
            let twice = found.replace(read(value, strict)?).is_some();
            if twice {
                return Err(Reason::Boundary);
            }
        }
    }
    found.ok_or(Reason::Boundary)
}

/// The length of a parameter: up to a `;` that is not in quotes.
fn length(text: &[u8]) -> Result<usize, Reason> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => return Ok(at),
            _ => {}
        }
    }
    if quoted { Err(Reason::Boundary) } else { Ok(text.len()) }
}

fn read(value: &[u8], strict: &mut Strict) -> Result<Vec<u8>, Reason> {
    let trimmed = value.trim_ascii();
    strict.boundary_whitespace |= trimmed != value;
    let boundary = match trimmed {
        [b'"', inside @ .., b'"'] => {
            strict.boundary_quoted = true;
            inside
        }
        bare => bare,
    };
    strict.boundary_whitespace |= boundary.contains(&b' ');
    let may = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_-./:=? ".contains(byte);
    let length = boundary.len();
    if length == 0
        || length > BOUNDARY_BYTES_MAX
        || boundary.ends_with(b" ")
        || !boundary.iter().all(may)
    {
        return Err(Reason::Boundary);
    }
    Ok(boundary.to_vec())
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == at)?;
    let (before, after) = text.split_at_checked(place)?;
    Some((before, after.get(1..)?))
}
