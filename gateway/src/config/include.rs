//! `include`: the globs of the main file, and how the files they name become part of it.
//!
//! A glob is a directory, a `/` and a file name in which `*` stands for any characters; nothing
//! else is special. An included file holds `apis` and `upstreams` only and includes nothing, so
//! there are no cycles.

use std::path::{Path, PathBuf};

use super::{
    problem::{Place, Problems, quoted},
    tree::{Entry, Node, Value},
};

/// Files included, all globs together.
pub const INCLUDED_FILES_MAX: usize = 256;

/// One glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// The directory, relative to the main file's.
    pub(crate) directory: PathBuf,
    name: String,
}

impl Glob {
    /// Reads a glob; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (directory, name) = match text.rsplit_once('/') {
            Some(("", name)) => ("/", name),
            Some((directory, name)) => (directory, name),
            None => ("", text),
        };
        if directory.contains('*') {
            return Err("`*` stands within the file's name only");
        }
        if text.contains(['?', '[', ']', '{', '}', '\\']) || name.contains("**") {
            return Err("`*` is all that a glob knows");
        }
        if name.is_empty() || name == "." || name == ".." {
            return Err("a glob ends with the name of a file");
        }
        Ok(Self { directory: Path::new(directory).to_owned(), name: name.to_owned() })
    }

    /// The same, of a directory that is relative to `base`.
    pub(crate) fn below(self, base: &Path) -> Self {
        Self { directory: base.join(self.directory), ..self }
    }

    /// The file is one of those meant. As in a shell, `*` matches no leading dot.
    pub(crate) fn matches(&self, file_name: &str) -> bool {
        let mut parts = self.name.split('*');
        let Some(rest) = parts.next().and_then(|first| file_name.strip_prefix(first)) else {
            return false;
        };
        if file_name.starts_with('.') && !self.name.starts_with('.') {
            return false;
        }
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        let mut rest = rest;
        for part in parts {
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// The globs of the main file that can be read; the others are reported.
pub(super) fn globs(main: &Node, problems: &mut Problems) -> Vec<(Glob, Place)> {
    let Some(Node { value: Value::List(items), .. }) = main.get("include") else {
        return Vec::new();
    };
    let mut globs = Vec::new();
    for item in items {
        let Value::Text(text) = &item.value else { continue };
        match Glob::parse(text) {
            Ok(glob) => globs.push((glob, item.at)),
            Err(why) => {
                let message = format!("{} is not a glob that can be included", quoted(text));
                problems.add_hinted(item.at, message, why.to_owned());
            }
        }
    }
    globs
}

/// Moves the `apis` and `upstreams` of an included file into the main file's tree.
pub(super) fn merge(main: &mut Node, included: Node, problems: &mut Problems) {
    let (Value::Map(into), Value::Map(sections)) = (&mut main.value, included.value) else {
        return;
    };
    for section in sections {
        match into.iter_mut().find(|entry| entry.key == section.key) {
            None => into.push(section),
            Some(existing) => merge_section(existing, section, problems),
        }
    }
}

fn merge_section(existing: &mut Entry, section: Entry, problems: &mut Problems) {
    let (Value::Map(into), Value::Map(entries)) = (&mut existing.value.value, section.value.value)
    else {
        return;
    };
    for entry in entries {
        match into.iter().find(|known| known.key == entry.key) {
            None => into.push(entry),
            Some(first) => {
                let first = format!("first at {}", problems.show(first.at));
                let message = format!("{} is in two files", quoted(&entry.key));
                problems.add_hinted(entry.at, message, first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_characters_of_the_file_name() {
        for (glob, name, want) in [
            ("routes/*.yaml", "orders.yaml", true),
            ("routes/*.yaml", ".yaml", false),
            ("routes/*.yaml", ".orders.yaml", false),
            ("routes/.*.yaml", ".orders.yaml", true),
            ("routes/*.yaml", "orders.yml", false),
            ("*", "anything", true),
            ("*", "..data", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxc", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("orders.yaml", "orders.yaml", true),
            ("orders.yaml", "orders.yaml2", false),
        ] {
            assert_eq!(Glob::parse(glob).unwrap().matches(name), want, "{glob} {name}");
        }
    }

    #[test]
    fn a_glob_has_a_plain_directory() {
        let directory =
            |glob| Glob::parse(glob).map(|g| g.directory.to_string_lossy().into_owned());
        assert_eq!(directory("a.yaml"), Ok(String::new()));
        assert_eq!(directory("../teams/*.yaml"), Ok("../teams".to_owned()));
        assert_eq!(directory("/etc/p/*.yaml"), Ok("/etc/p".to_owned()));
        assert_eq!(directory("/*.yaml"), Ok("/".to_owned()));
        assert_eq!(directory("*/a.yaml"), Err("`*` stands within the file's name only"));
        assert_eq!(directory("**.yaml"), Err("`*` is all that a glob knows"));
        assert_eq!(directory("a?.yaml"), Err("`*` is all that a glob knows"));
        assert_eq!(directory("routes/"), Err("a glob ends with the name of a file"));
        assert_eq!(directory("routes/.."), Err("a glob ends with the name of a file"));
    }
}
