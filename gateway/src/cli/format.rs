//! How the verbs tell what they found: text for people, whose last line holds the counts, or one
//! JSON document for tools, with nothing before or after it.

use std::io::Write;

use serde::Serialize;
use serde_json::json;

use super::{FAILED, INVALID};
use crate::config::Problem;
pub(super) use crate::config::shown;

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// Writes a document.
pub(super) fn document(value: &impl Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    Ok(writeln!(out)?)
}

/// Tells every problem of what was given to a verb, and gives its exit code.
pub(super) fn invalid(
    verb: &str,
    problems: &[Problem],
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    match format {
        Format::Json => document(&json!({ "problems": problems }), out)?,
        Format::Text => {
            for problem in problems {
                writeln!(out, "{problem}")?;
            }
            writeln!(out, "{verb}: problems={}", problems.len())?;
        }
    }
    Ok(INVALID)
}

/// Tells tools why a verb failed, in a document too; people are told as of every verb.
pub(super) fn failed(
    error: anyhow::Error,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    match format {
        Format::Text => Err(error),
        Format::Json => {
            // As every problem is told, without a place.
            let problem = Problem {
                file: String::new(),
                line: 0,
                column: 0,
                message: format!("{error:#}"),
                hint: None,
            };
            document(&json!({ "problems": [problem] }), out)?;
            Ok(FAILED)
        }
    }
}
