//! The body as values, by its type.

use seclang::{Collection, Input};

use super::{Read, form, json};
use crate::{Framing, Request};

/// Adds what can be inspected of the body.
pub(super) fn read(request: &Request, input: &mut Input) -> Read {
    let inspected = &request.inspected;
    if matches!(request.framing, Framing::None | Framing::Length(0)) {
        return Read::All;
    }
    let coded = request.headers.get("content-encoding");
    if coded.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Read::Unavailable;
    }
    let reach = if inspected.whole { Read::All } else { Read::Truncated };
    match kind(request) {
        Kind::Form => form::pairs(&inspected.bytes, Collection::ArgsPost, input),
        Kind::Json if !inspected.whole => {
            // A part of a document is no document: it is looked at as the text it is.
            input.push(Collection::RequestBody, "", inspected.bytes.as_ref());
        }
        Kind::Json => {
            if json::values(&inspected.bytes, input).is_err() {
                input.push(Collection::RequestBody, "", inspected.bytes.as_ref());
                return Read::Unavailable;
            }
        }
        Kind::Text => input.push(Collection::RequestBody, "", inspected.bytes.as_ref()),
        Kind::OtherCharset => return Read::Unavailable,
    }
    reach
}

enum Kind {
    Form,
    Json,
    Text,
    /// Text in a charset other than ASCII's supersets that rules are written for.
    OtherCharset,
}

fn kind(request: &Request) -> Kind {
    let field = request.headers.get("content-type").map_or(&b""[..], |value| value.as_bytes());
    let field = String::from_utf8_lossy(field).to_ascii_lowercase();
    let mut parts = field.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset =
        parts.find_map(|part| part.strip_prefix("charset=")).map(|name| name.trim_matches('"'));
    if charset
        .is_some_and(|name| !matches!(name, "utf-8" | "us-ascii" | "iso-8859-1" | "windows-1252"))
    {
        return Kind::OtherCharset;
    }
    match essence {
        "application/x-www-form-urlencoded" => Kind::Form,
        "application/json" => Kind::Json,
        _ if essence.ends_with("+json") => Kind::Json,
        _ => Kind::Text,
    }
}
