//! The body as values, by its type.

use super::{
    Read, form,
    input::{Collection, Input},
    json,
};
use crate::{Framing, Request};

/// Why a body is not read as values.
const CODED: &str = "the body has a content coding, which these rules do not read";
pub(super) const OPAQUE: &str = "the body has a type or a charset that these rules do not read";
const NOT_JSON: &str = "the body is not JSON, has a key twice, or is nested too deep";

/// Adds what can be inspected of the body.
pub(super) fn read(request: &Request, input: &mut Input) -> Read {
    if matches!(request.framing, Framing::None | Framing::Length(0)) {
        return Read::All;
    }
    let mut codings = request.headers.get_all("content-encoding");
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Read::Malformed(CODED);
    }
    let body = request.inspected.bytes.as_ref();
    match kind(request) {
        Kind::Opaque => return Read::Malformed(OPAQUE),
        Kind::Json if request.inspected.whole => {
            if json::values(body, input).is_err() {
                text(body, input);
                return Read::Malformed(NOT_JSON);
            }
        }
        // A part of a document is no document: it is looked at as the text it is.
        Kind::Json => text(body, input),
        Kind::Form => {
            form::pairs(body, Collection::ArgsPost, input);
            json::documents(body, input);
        }
        Kind::Text => {
            text(body, input);
            json::documents(body, input);
        }
    }
    if request.inspected.whole { Read::All } else { Read::Truncated }
}

fn text(body: &[u8], input: &mut Input) {
    input.push(Collection::RequestBody, "", body);
}

enum Kind {
    Form,
    Json,
    Text,
    /// Neither of these, or in a charset that rules are not written for.
    Opaque,
}

fn kind(request: &Request) -> Kind {
    let field = request.headers.get("content-type").map_or(&b""[..], |value| value.as_bytes());
    let field = String::from_utf8_lossy(field).to_ascii_lowercase();
    let mut parts = field.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    if !parts.all(is_readable) || is_wide(&request.inspected.bytes) {
        return Kind::Opaque;
    }
    match essence {
        "application/x-www-form-urlencoded" => Kind::Form,
        "application/json" => Kind::Json,
        _ if essence.ends_with("+json") => Kind::Json,
        _ if is_text(essence) => Kind::Text,
        _ => Kind::Opaque,
    }
}

/// A parameter of the type that does not name a charset, or one that holds ASCII as it is. A
/// charset in an extended parameter (`charset*=`, RFC 8187), which some decode, names none.
fn is_readable(parameter: &str) -> bool {
    const CHARSETS: [&str; 6] =
        ["utf-8", "utf8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252"];
    match parameter.split_once('=') {
        Some((name, charset)) if name.trim() == "charset" => {
            CHARSETS.contains(&charset.trim().trim_matches(['"', '\'']))
        }
        Some((name, _)) => !name.trim().starts_with("charset"),
        None => true,
    }
}

/// The text is UTF-16 or UTF-32, by its mark or because no other text has a zero byte: parsers of
/// JSON know it by these (RFC 4627 §3).
fn is_wide(body: &[u8]) -> bool {
    body.starts_with(b"\xff\xfe") || body.starts_with(b"\xfe\xff") || body.contains(&0)
}

/// A body without a type is looked at as text, too.
fn is_text(essence: &str) -> bool {
    const TEXTS: [&str; 8] = [
        "",
        "application/graphql",
        "application/javascript",
        "application/sql",
        "application/toml",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
    ];
    TEXTS.contains(&essence) || essence.starts_with("text/") || essence.ends_with("+xml")
}
