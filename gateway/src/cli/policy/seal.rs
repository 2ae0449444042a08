//! `portcullis policy seal`: writes the manifest of a policies directory, once the set is right.
//!
//! It says which files belong together, so that a copy that is not whole is not served. It signs
//! nothing: whoever can write the directory can seal it.

use std::io::Write;

use serde_json::json;

use super::Directory;
use super::format::{Format, document, invalid};
use crate::bundle::{self, Declared};
use crate::cli::OK;
use crate::snapshot;

/// Write the manifest of a policies directory: SHA-256 of each file
///
/// Exit codes: 0 it is sealed, 3 the set is not right, or cannot be sealed.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Seal {
    #[command(flatten)]
    directory: Directory,
    /// Which set it is, for events and metrics; else what the file `REVISION` says
    #[arg(long)]
    revision: Option<String>,
    /// Who made it, for events; else what the file `REVISION` says
    #[arg(long)]
    author: Option<String>,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

impl Seal {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let directory = &self.directory.directory;
        let loaded = bundle::unsealed(directory, self.directory.like())
            .and_then(|bundle| snapshot::load(directory, &bundle.source));
        let declared = Declared { revision: self.revision.clone(), author: self.author.clone() };
        let sealed = loaded.and_then(|policies| Ok((bundle::seal(directory, declared)?, policies)));
        match sealed {
            Ok(((files, declared), policies)) => {
                let (digest, Declared { revision, author }) = (policies.digests().set(), declared);
                match self.format {
                    Format::Json => {
                        let told = json!({
                            "files": files, "digest": digest, "revision": revision, "author": author,
                        });
                        document(&told, out)?;
                    }
                    Format::Text => {
                        let word = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
                        let (revision, author) = (word(revision), word(author));
                        writeln!(
                            out,
                            "policy seal: files={files} digest={digest} revision={revision} author={author}"
                        )?;
                    }
                }
                Ok(OK)
            }
            Err(problems) => invalid("seal", &problems, self.format, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::bundle::Bundle;
    use crate::cli::INVALID;

    #[test]
    fn a_set_that_is_right_is_sealed_and_another_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let starter = Bundle::read(&starter, Default::default(), false, None).unwrap();
        for (path, text) in &starter.source.files {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        }
        let told = |revision: Option<&str>, format: Format| {
            let (directory, revision) =
                (Directory::of(root.to_owned()), revision.map(str::to_owned));
            let mut out = Vec::new();
            let code = Seal { directory, revision, author: None, format }.run(&mut out).unwrap();
            (code, String::from_utf8(out).unwrap())
        };
        let seal = |revision: Option<&str>| told(revision, Format::Text);
        let sealed =
            || Bundle::read(root, Default::default(), true, None).map(|read| read.declared);
        let (code, out) = seal(Some("r-1"));
        assert_eq!(code, OK, "{out}");
        assert!(out.ends_with(" revision=r-1 author=-\n"), "{out}");
        let (code, json) = told(Some("r-1"), Format::Json);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((code, &json["revision"], &json["author"]), (OK, &"r-1".into(), &json!(null)));
        let digest = json["digest"].as_str().unwrap();
        let files = &json["files"];
        assert!(out.contains(&format!("files={files} digest={digest} ")), "{out} {json}");
        assert_eq!(sealed().unwrap().revision.as_deref(), Some("r-1"));
        // A change is not what was sealed, until it is sealed; a mistake cannot be.
        let more = root.join("public/more.cedar");
        std::fs::write(&more, "// nothing\n").unwrap();
        assert!(sealed().is_err());
        assert_eq!(seal(None).0, OK);
        assert_eq!(sealed().unwrap().revision, None);
        std::fs::write(&more, "permit (everyone").unwrap();
        let (code, out) = seal(Some("r-2"));
        assert_eq!(code, INVALID, "{out}");
        assert!(out.contains("more.cedar:1:"), "{out}");
        std::fs::remove_file(&more).unwrap();
        let (code, out) = seal(Some("two\nlines"));
        assert_eq!(code, INVALID, "{out}");
        assert!(out.contains("the revision is not a text"), "{out}");
    }
}
