//! `portcullis policy fmt`: policy files in one layout, each by itself.
//!
//! The schema and everything else is left alone. A file is exchanged whole, by renaming, so that
//! a gateway that watches the directory never reads half of one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::Directory;
use super::format::{Format, document, invalid, placed};
use crate::cli::{FAILED, OK};

/// Lay out policy files; the schema is left alone
///
/// Exit codes: 0 they are laid out, 1 with --check: a file would change, or a file cannot be written,
/// 3 a file is no Cedar, or the directory cannot be read.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Fmt {
    /// The policies directory
    #[arg(default_value = "policies")]
    directory: PathBuf,
    /// Change nothing; list the files that would change, and exit with 1 if there are any
    #[arg(long)]
    check: bool,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

impl Fmt {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let source = match Directory::of(self.directory.clone()).source() {
            Ok(source) => source,
            Err(problems) => return invalid("fmt", &problems, self.format, out),
        };
        let policies = source.files.iter().filter(|(path, _)| path.ends_with(".cedar"));
        let (mut files, mut changed, mut problems) = (0_usize, Vec::new(), Vec::new());
        for (path, text) in policies {
            files += 1;
            match verdict::format(path, text) {
                Ok(formatted) if formatted == *text => {}
                Ok(formatted) => changed.push((self.directory.join(path), formatted)),
                Err(found) => {
                    problems.extend(found.into_iter().map(|it| placed(&self.directory, it)));
                }
            }
        }
        for (path, formatted) in &changed {
            if self.format == Format::Text {
                writeln!(out, "{}", path.display())?;
            }
            if !self.check {
                exchange(path, formatted)?;
            }
        }
        if !problems.is_empty() {
            return invalid("fmt", &problems, self.format, out);
        }
        match self.format {
            Format::Text => writeln!(out, "policy fmt: files={files} changed={}", changed.len())?,
            Format::Json => {
                let changed = changed.iter().map(|(path, _)| path.display().to_string());
                let changed: Vec<String> = changed.collect();
                document(&json!({ "files": files, "changed": changed }), out)?;
            }
        }
        Ok(if self.check && !changed.is_empty() { FAILED } else { OK })
    }
}

/// Writes beside the file, under a name that no reader of the directory looks at, and renames.
fn exchange(path: &Path, text: &str) -> anyhow::Result<()> {
    // A link stays one: what it leads to is exchanged.
    let path = &fs::canonicalize(path).with_context(|| format!("find `{}`", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.fmt"));
    let wrote = fs::metadata(path).and_then(|metadata| {
        fs::write(&beside, text)?;
        fs::set_permissions(&beside, metadata.permissions())?;
        fs::rename(&beside, path)
    });
    wrote.with_context(|| format!("write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(directory: &Path, check: bool) -> (u8, String) {
        let mut out = Vec::new();
        let fmt = Fmt { directory: directory.to_owned(), check, format: Format::Text };
        let code = fmt.run(&mut out).unwrap();
        let base = format!("{}/", directory.display());
        (code, String::from_utf8(out).unwrap().replace(&base, ""))
    }

    #[test]
    fn the_committed_policies_are_laid_out() {
        let (code, out) = run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies"), true);
        assert!(out.ends_with(" changed=0\n"), "`portcullis policy fmt policies`: {out}");
        assert_eq!(code, OK);
    }

    #[test]
    fn what_is_not_laid_out_is_listed_then_changed() {
        let root = tempfile::tempdir().unwrap();
        let (shop, schema) = (root.path().join("shop"), root.path().join("schema.cedarschema"));
        fs::create_dir(&shop).unwrap();
        fs::write(&schema, "namespace  Shop  {  }").unwrap();
        let (a, b) = (shop.join("a.cedar"), shop.join("b.cedar"));
        fs::write(&a, "// why\npermit(principal,action,resource);").unwrap();
        fs::write(&b, "permit (principal, action, resource);\n").unwrap();
        let listed = "shop/a.cedar\npolicy fmt: files=2 changed=1\n".to_owned();
        assert_eq!(run(root.path(), true), (FAILED, listed.clone()));
        assert_eq!(run(root.path(), true), (FAILED, listed.clone()), "nothing was changed");
        let mut out = Vec::new();
        let json = Fmt { directory: root.path().to_owned(), check: true, format: Format::Json };
        assert_eq!(json.run(&mut out).unwrap(), FAILED);
        let told: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(told, json!({ "files": 2, "changed": [a.display().to_string()] }));
        assert_eq!(run(root.path(), false), (OK, listed));
        assert_eq!(run(root.path(), true), (OK, "policy fmt: files=2 changed=0\n".to_owned()));
        let text = fs::read_to_string(&a).unwrap();
        assert_eq!(text, "// why\npermit (principal, action, resource);\n");
        assert_eq!(fs::read_to_string(&schema).unwrap(), "namespace  Shop  {  }");
        assert_eq!(fs::read_dir(&shop).unwrap().count(), 2, "nothing is left beside them");
        fs::write(&b, "permit (principal, action resource);").unwrap();
        let (code, out) = run(root.path(), false);
        assert!(out.starts_with("shop/b.cedar:1:27: ") && out.ends_with("problems=1\n"), "{out}");
        assert_eq!(code, crate::cli::INVALID);
    }
}
