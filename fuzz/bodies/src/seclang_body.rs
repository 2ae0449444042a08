//! Bodies, as the rules take them apart. Whatever the bytes, there is an answer within the limits
//! and it is the same each time; what another reader takes for JSON is read as that reader reads it.

use seclang::body::{Body, Limits, Reason, decoded, json, multipart, urlencoded, xml};
use serde_json::Value;

/// What the first line says the rest is; anything else is the content type of a form of parts.
const CODINGS: [&[u8]; 4] = [b"gzip", b"deflate", b"br", b"zstd"];

/// Small, so that they are reached.
const LIMITS: Limits = Limits {
    bytes_max: 4_096,
    values_max: 50,
    json_values_max: 50,
    json_depth_max: 8,
    json_name_bytes_max: 64,
    xml_values_max: 50,
    xml_depth_max: 8,
    parts_max: 8,
    files_max: 4,
    part_headers_max: 4,
    part_head_bytes_max: 512,
    decoded_bytes_max: 16_384,
    ratio_max: 20,
    ratio_from_bytes: 1_024,
};

/// Takes the bytes after the first line apart as what that line says. Accepted is a body in which
/// nothing is wrong and nothing doubtful.
pub fn seclang_body(data: &[u8]) -> bool {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (kind, rest) = data.split_at(end);
    let bytes = rest.strip_prefix(b"\n").unwrap_or(rest);
    if CODINGS.contains(&kind) {
        return coded(kind, bytes);
    }
    let read = || match kind {
        b"form" => urlencoded(bytes, b'&', &LIMITS),
        b"json" => json(bytes, &LIMITS),
        b"xml" => xml(bytes, &LIMITS),
        content_type => multipart(content_type, bytes, &LIMITS),
    };
    let body = read();
    assert_eq!(body, read());
    bounded(&body, bytes);
    if kind == b"json" {
        as_others_read_it(&body, bytes);
    }
    body.error.is_none() && !body.strict.any()
}

fn coded(coding: &[u8], bytes: &[u8]) -> bool {
    let decoded = decoded(coding, bytes, &LIMITS);
    assert_eq!(decoded, seclang::body::decoded(coding, bytes, &LIMITS));
    let max = LIMITS.ratio_from_bytes.max(bytes.len() * LIMITS.ratio_max);
    decoded.is_ok_and(|bytes| {
        assert!(bytes.len() <= max.min(LIMITS.decoded_bytes_max));
        true
    })
}

fn bounded(body: &Body, bytes: &[u8]) {
    assert_eq!(body.truncated, body.error.is_some_and(Reason::is_limit));
    assert!(bytes.len() <= LIMITS.bytes_max || body.error == Some(Reason::Bytes));
    assert!(body.args.len() <= 50 && body.files.len() <= 4 && body.part_headers.len() <= 8 * 4);
    assert!(body.xml_text.len() + body.xml_attributes.len() <= 50);
    let sizes = body.files.iter().map(|file| file.size).sum::<usize>();
    assert!(sizes <= bytes.len());
}

fn as_others_read_it(body: &Body, bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    assert!(body.error.is_none() || body.truncated, "{:?}", body.error);
    if body.error.is_some() || body.duplicate_key {
        return;
    }
    let mut want = Vec::new();
    flat("json".to_owned(), &value, &mut want);
    if want.len() == 1 && matches!(value, Value::Array(_) | Value::Object(_)) {
        // nothing in it
        want.retain(|(name, _)| name != "json");
    }
    assert_eq!(body.args.len(), want.len());
    for ((name, value), (want_name, want)) in body.args.iter().zip(want) {
        assert_eq!(name, want_name.as_bytes());
        if let Some(want) = want {
            assert_eq!(value, want.as_bytes());
        }
    }
}

/// Names and values; numbers are spelt in many ways.
fn flat(name: String, value: &Value, out: &mut Vec<(String, Option<String>)>) {
    match value {
        Value::Array(all) if !all.is_empty() => {
            all.iter().enumerate().for_each(|(at, value)| flat(format!("{name}.{at}"), value, out));
            if name != "json" {
                out.push((name, Some(all.len().to_string())));
            }
        }
        Value::Object(all) if !all.is_empty() => {
            all.iter().for_each(|(key, value)| flat(format!("{name}.{key}"), value, out));
        }
        Value::Array(_) | Value::Object(_) => out.push((name, Some(String::new()))),
        Value::Number(_) => out.push((name, None)),
        Value::String(text) => out.push((name, Some(text.clone()))),
        Value::Null | Value::Bool(_) => out.push((name, Some(value.to_string()))),
    }
}
