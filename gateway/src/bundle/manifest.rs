//! What labels a set: `MANIFEST`, a line for each file as `sha256sum` prints it, and `REVISION`
//! for a set without one. `sha256sum --check MANIFEST` says the same as we do of what is listed.
//!
//! ```text
//! # portcullis policies 1
//! # revision: 2026-11-28.1
//! # author: platform@example.com
//! 5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456  guardrails/waf.cedar
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ring::digest::{SHA256, digest};

use super::hex;
use super::walk::Files;
use crate::config::Problem;

/// The manifest's name in the directory.
pub const MANIFEST: &str = "MANIFEST";

/// The name of the file that declares revision and author where there is no manifest.
pub const REVISION: &str = "REVISION";

/// Bytes of a revision and of an author, at most: they are in events.
const DECLARED_BYTES_MAX: usize = 128;

/// A manifest's first line.
const FIRST: &str = "# portcullis policies 1";

/// What is declared of a set, by whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declared {
    /// Which it is.
    pub revision: Option<String>,
    /// Who made it.
    pub author: Option<String>,
}

impl Declared {
    /// Takes up a line `revision: …` or `author: …`.
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(':').ok_or("neither `revision: …` nor `author: …`")?;
        let place = match key.trim() {
            "revision" => &mut self.revision,
            "author" => &mut self.author,
            _ => return Err("neither `revision: …` nor `author: …`".to_owned()),
        };
        let value = sound(value.trim())?;
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err("this was said before".to_owned()),
        }
    }
}

/// The value, if it can be one.
fn sound(value: &str) -> Result<String, String> {
    let right = !value.is_empty()
        && value.len() <= DECLARED_BYTES_MAX
        && value.trim() == value
        && !value.chars().any(char::is_control);
    let wrong = || format!("not a text of 1 to {DECLARED_BYTES_MAX} bytes in one line");
    right.then(|| value.to_owned()).ok_or_else(wrong)
}

/// The manifest of these files.
///
/// # Errors
/// A name or a value that cannot stand in it.
pub(super) fn text(files: &Files, declared: &Declared) -> Result<String, String> {
    let mut text = format!("{FIRST}\n");
    for (key, value) in [("revision", &declared.revision), ("author", &declared.author)] {
        if let Some(value) = value {
            let value = sound(value).map_err(|wrong| format!("the {key} is {wrong}"))?;
            let _ = writeln!(text, "# {key}: {value}");
        }
    }
    for (path, content) in files.iter().filter(|(path, _)| *path != MANIFEST) {
        // `sha256sum` would write such a name otherwise.
        if path.contains(['\\', '\n', '\r']) {
            return Err(format!("`{}` cannot stand in a manifest", path.escape_debug()));
        }
        let _ = writeln!(text, "{}  {path}", hex(digest(&SHA256, content.as_bytes()).as_ref()));
    }
    Ok(text)
}

/// What the manifest declares, if these are the files that it lists, and no others.
///
/// # Errors
/// Each file that is missing, that is other, that is not listed; each line that is none.
pub(super) fn matches(
    directory: &Path,
    manifest: &str,
    files: &Files,
) -> Result<Declared, Vec<Problem>> {
    let path = directory.join(MANIFEST);
    let (listed, declared) = parse(&path, manifest)?;
    let mut problems = Vec::new();
    for (name, (line, sealed)) in &listed {
        let wrong = match files.get(*name) {
            None => "is missing",
            Some(text) if hex(digest(&SHA256, text.as_bytes()).as_ref()) != *sealed => "is another",
            Some(_) => continue,
        };
        let message = format!("`{name}` {wrong}: the set is not the one that was sealed");
        problems.push(Problem { line: *line, ..Problem::at_start(&path, message) });
    }
    for name in files.keys().filter(|name| *name != MANIFEST && !listed.contains_key(name.as_str()))
    {
        let message =
            format!("`{MANIFEST}` does not list it: the set is not the one that was sealed");
        problems.push(Problem::at_start(&directory.join(name), message));
    }
    if problems.is_empty() { Ok(declared) } else { Err(problems) }
}

/// Digest by path, with the line it stands on.
type Listed<'a> = BTreeMap<&'a str, (usize, &'a str)>;

fn parse<'a>(path: &Path, text: &'a str) -> Result<(Listed<'a>, Declared), Vec<Problem>> {
    let (mut listed, mut declared) = (Listed::new(), Declared::default());
    let mut problems = Vec::new();
    if text.lines().next() != Some(FIRST) || !text.ends_with('\n') {
        let message =
            format!("not a whole manifest: it begins with `{FIRST}` and ends with a line");
        return Err(vec![Problem::at_start(path, message)]);
    }
    for (number, line) in text.lines().enumerate().skip(1) {
        let taken = match line.strip_prefix("# ") {
            Some(said) => declared.line(said),
            None => match entry(line) {
                Some((digest, name)) => match listed.insert(name, (number + 1, digest)) {
                    None => Ok(()),
                    Some(_) => Err(format!("`{name}` is listed twice")),
                },
                None => Err("not a digest, two spaces and a path".to_owned()),
            },
        };
        if let Err(message) = taken {
            problems.push(Problem { line: number + 1, ..Problem::at_start(path, message) });
        }
    }
    if problems.is_empty() { Ok((listed, declared)) } else { Err(problems) }
}

fn entry(line: &str) -> Option<(&str, &str)> {
    let (digest, name) = line.split_once("  ")?;
    let is_digest =
        digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_digest && !name.is_empty()).then_some((digest, name))
}

/// What `REVISION` declares, if there is one.
///
/// # Errors
/// Each line that is none.
pub(super) fn revision(directory: &Path, files: &Files) -> Result<Declared, Vec<Problem>> {
    let mut declared = Declared::default();
    let mut problems = Vec::new();
    let text = files.get(REVISION).map(String::as_str).unwrap_or_default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if let Err(message) = declared.line(line) {
            let at = Problem::at_start(&directory.join(REVISION), message);
            problems.push(Problem { line: number + 1, ..at });
        }
    }
    if problems.is_empty() { Ok(declared) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        of.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    fn told(problems: &[Problem]) -> Vec<String> {
        let told = problems
            .iter()
            .map(|problem| format!("{}:{}: {}", problem.file, problem.line, problem.message));
        told.collect()
    }

    #[test]
    fn a_manifest_lists_what_is_there() {
        let set = files(&[("a/b.cedar", ""), ("schema.cedarschema", "x"), (MANIFEST, "old")]);
        let (revision, author) = (Some("7".to_owned()), Some("ann <ann@example.com>".to_owned()));
        let declared = Declared { revision, author };
        let text = text(&set, &declared).unwrap();
        assert_eq!(
            text,
            "# portcullis policies 1\n# revision: 7\n# author: ann <ann@example.com>\n\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a/b.cedar\n\
             2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  schema.cedarschema\n"
        );
        assert_eq!(matches(Path::new("p"), &text, &set).unwrap(), declared);
    }

    #[test]
    fn what_is_more_less_or_other_is_named() {
        let sealed = files(&[("a.md", "a"), ("b.md", "b"), ("c.md", "c")]);
        let manifest = text(&sealed, &Declared::default()).unwrap();
        let check = |there: &[(&str, &str)], want: &[&str]| {
            let got = matches(Path::new("p"), &manifest, &files(there));
            let got = got.err().map(|problems| told(&problems)).unwrap_or_default();
            assert_eq!(got.len(), want.len(), "{there:?}: {got:#?}");
            for (got, want) in got.iter().zip(want) {
                assert!(got.starts_with(want), "{there:?}: {got}");
            }
        };
        let (a, b, c) = (("a.md", "a"), ("b.md", "b"), ("c.md", "c"));
        check(&[a, b, c], &[]);
        check(&[a, c], &["p/MANIFEST:3: `b.md` is missing"]);
        check(&[a, ("b.md", ""), c], &["p/MANIFEST:3: `b.md` is another"]);
        check(&[a, b, c, ("d.md", "d")], &["p/d.md:1: `MANIFEST` does not list it"]);
        check(&[a, b, c, (REVISION, "")], &["p/REVISION:1: `MANIFEST` does not list it"]);
        check(
            &[("a.md", "x"), c, ("e.md", "b")],
            &["p/MANIFEST:2: `a.md` is another", "p/MANIFEST:3: `b.md` is missing", "p/e.md:1: "],
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let entry = format!("{}  a.md", "0".repeat(64));
        let check = |text: &str, want: &str| {
            let problems = parse(Path::new("MANIFEST"), text).err().unwrap_or_default();
            assert_eq!(told(&problems).first().map_or("", String::as_str), want, "{text}");
        };
        let whole = "MANIFEST:1: not a whole manifest: it begins with `# portcullis policies 1` and ends with a line";
        let line = "MANIFEST:2: not a digest, two spaces and a path";
        check(&format!("{FIRST}\n{entry}\n"), "");
        check("", whole);
        check(&format!("{entry}\n"), whole);
        check(&format!("{FIRST}\n{entry}"), whole);
        check(&format!("{FIRST}\n\n"), line);
        check(&format!("{FIRST}\n{}\n", entry.replacen('0', "A", 1)), line);
        check(&format!("{FIRST}\n{}\n", entry.replacen('0', "", 1)), line);
        check(&format!("{FIRST}\n{}\n", entry.replace("  ", " *")), line);
        check(&format!("{FIRST}\n{entry}\n{entry}\n"), "MANIFEST:3: `a.md` is listed twice");
        check(
            &format!("{FIRST}\n# revision: 1\n# revision: 2\n"),
            "MANIFEST:3: this was said before",
        );
        check(
            &format!("{FIRST}\n# ticket: 1\n"),
            "MANIFEST:2: neither `revision: …` nor `author: …`",
        );
    }

    #[test]
    fn a_revision_is_one_short_line() {
        let check = |text: &str, want: Result<(Option<&str>, Option<&str>), &str>| {
            let got = revision(Path::new("p"), &files(&[(REVISION, text)]));
            let got = got.map_err(|problems| told(&problems).join("|"));
            match (got, want) {
                (Ok(got), Ok(want)) => {
                    assert_eq!((got.revision.as_deref(), got.author.as_deref()), want, "{text}");
                }
                (Err(got), Err(want)) => assert!(got.starts_with(want), "{text}: {got}"),
                (got, want) => panic!("{text}: {got:?} instead of {want:?}"),
            }
        };
        check("", Ok((None, None)));
        check("revision: r-7\nauthor: ann\n", Ok((Some("r-7"), Some("ann"))));
        check("\nauthor:ann", Ok((None, Some("ann"))));
        check("r-7", Err("p/REVISION:1: neither"));
        check("revision:\n", Err("p/REVISION:1: not a text"));
        check("author: a\u{1b}[0m", Err("p/REVISION:1: not a text"));
        let edge = "x".repeat(DECLARED_BYTES_MAX);
        check(&format!("revision: {edge}"), Ok((Some(&edge), None)));
        check(&format!("revision: {edge}x"), Err("p/REVISION:1: not a text of 1 to 128"));
    }

    #[test]
    fn names_that_sha256sum_would_escape_are_not_sealed() {
        for name in ["a\\b.md", "a\nb.md", "a\rb.md"] {
            assert!(text(&files(&[(name, "")]), &Declared::default()).is_err(), "{name:?}");
        }
    }
}
