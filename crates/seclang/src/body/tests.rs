//! Bodies as bytes, and what is in them; most of them are meant to deceive.

use super::*;

mod coding;
mod forms;
mod json;
mod multipart;
mod properties;
mod xml;

/// Text with what is no text in it shown as escapes.
fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// `name=value`, each.
fn args(body: &Body) -> Vec<String> {
    body.args.iter().map(|(name, value)| format!("{}={}", show(name), show(value))).collect()
}
