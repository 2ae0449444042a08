//! `portcullis schema`: prints the JSON Schema of the configuration.
//!
//! The same text is committed as `portcullis.schema.json`, for editors.

use std::io::{self, Write};

/// Prints the JSON Schema of `portcullis.yaml` (draft 2020-12)
#[derive(Debug, Clone, clap::Args)]
pub struct Schema {}

impl Schema {
    /// Prints the schema.
    ///
    /// # Errors
    /// What `out` refuses.
    pub fn run(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(text()?.as_bytes())
    }
}

/// The schema as text, with a newline at the end.
fn text() -> io::Result<String> {
    let mut text = serde_json::to_string_pretty(&crate::config::schema())?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE=1 cargo test` writes the file anew.
    #[test]
    fn the_committed_schema_is_what_is_printed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/portcullis.schema.json");
        let mut printed = Vec::new();
        Schema {}.run(&mut printed).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &printed).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed.as_bytes() == printed,
            "{path} is old: run `UPDATE=1 cargo test -p gateway schema`"
        );
    }
}
