//! The files that make up a configuration: read here, and nowhere else.
//!
//! What is in them is not looked at, but for the main file's `include`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    include::{self, Glob, INCLUDED_FILES_MAX},
    problem::{Place, Problem, Problems},
    tree::{self, FILE_BYTES_MAX},
};
use crate::regular;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path, as the operator would write it.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A main file, the files it includes, and what stood in the way of reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The main file.
    pub main: File,
    /// The included files, by path.
    pub included: Vec<File>,
    /// Files that could not be read.
    pub problems: Vec<Problem>,
}

impl Files {
    /// Files as they are in memory; `included` are taken to be what `main` includes.
    pub fn new(main: File, included: Vec<File>) -> Self {
        Self { main, included, problems: Vec::new() }
    }

    /// Reads the main file and what it includes. An error if there is no main file.
    pub fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let name = path.display().to_string();
        let mut problems = Problems::new(vec![name.clone()], Vec::new());
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                problems.add(Place::start(0), format!("cannot be read: {error}"));
                return Err(problems.into_sorted());
            }
        };
        let main = File { path: path.to_owned(), bytes };
        // Whatever is wrong with the main file itself is found again when it is parsed.
        let mut quiet = Problems::new(vec![name], Vec::new());
        let globs = tree::parse(0, &main.bytes, &mut quiet)
            .map(|tree| include::globs(&tree, &mut quiet))
            .unwrap_or_default();
        let included = read_included(path, &globs, &mut problems);
        Ok(Self { main, included, problems: problems.into_sorted() })
    }

    /// The directory that relative paths start from.
    pub(super) fn base(&self) -> &Path {
        self.main.path.parent().unwrap_or(Path::new(""))
    }

    /// All files, the main file first.
    pub(super) fn all(&self) -> impl Iterator<Item = &File> {
        std::iter::once(&self.main).chain(&self.included)
    }
}

fn read_included(main: &Path, globs: &[(Glob, Place)], problems: &mut Problems) -> Vec<File> {
    let mut paths: BTreeMap<PathBuf, Place> = BTreeMap::new();
    for (glob, at) in globs {
        let found = match find(main, glob) {
            Ok(found) => found,
            Err(error) => {
                problems.add(*at, format!("the directory cannot be read: {error}"));
                continue;
            }
        };
        if found.is_empty() {
            problems.add(*at, "no file is included by this");
        }
        for path in found {
            if paths.len() >= INCLUDED_FILES_MAX && !paths.contains_key(&path) {
                problems.add(*at, format!("more than {INCLUDED_FILES_MAX} files are included"));
                break;
            }
            paths.entry(path).or_insert(*at);
        }
    }
    let mut files = Vec::new();
    for (path, at) in paths {
        match read(&path) {
            Ok(bytes) => files.push(File { path, bytes }),
            Err(error) => {
                problems.add(at, format!("`{}` cannot be read: {error}", path.display()));
            }
        }
    }
    files
}

/// The files that a glob means, without the main file itself.
fn find(main: &Path, glob: &Glob) -> std::io::Result<Vec<PathBuf>> {
    let directory = main.parent().unwrap_or(Path::new("")).join(&glob.directory);
    let listed = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory };
    let mut found = Vec::new();
    for entry in fs::read_dir(listed)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| glob.matches(name)) {
            let path = directory.join(name);
            if path.is_file() && !same_file(&path, main) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    regular::read(path, FILE_BYTES_MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], want: &[&str], problems: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let base = format!("{}/", directory.path().display());
        let read = Files::read(&directory.path().join("main.yaml")).unwrap();
        let found: Vec<String> =
            read.included.iter().map(|f| f.path.display().to_string().replace(&base, "")).collect();
        assert_eq!(found, want);
        let shown: Vec<String> =
            read.problems.iter().map(|p| p.to_string().replace(&base, "")).collect();
        assert_eq!(shown, problems);
    }

    #[test]
    fn globs_are_read_from_the_main_files_directory() {
        check(
            &[
                ("main.yaml", "include: [routes/*.yaml, extra.yaml]\n"),
                ("routes/b.yaml", "b"),
                ("routes/a.yaml", "a"),
                ("routes/.hidden.yaml", "h"),
                ("routes/notes.txt", "n"),
                ("routes/sub.yaml/x", "x"),
                ("extra.yaml", "e"),
            ],
            &["extra.yaml", "routes/a.yaml", "routes/b.yaml"],
            &[],
        );
    }

    #[test]
    fn a_file_is_read_once_and_the_main_file_never_again() {
        check(&[("main.yaml", "include: ['*.yaml', a.yaml]\n"), ("a.yaml", "a")], &["a.yaml"], &[]);
    }

    #[test]
    fn an_include_that_names_nothing_is_a_problem() {
        check(
            &[("main.yaml", "include:\n  - routes/*.yaml\n  - gone.yaml\n")],
            &[],
            &[
                "main.yaml:2:5: the directory cannot be read: No such file or directory (os error 2)",
                "main.yaml:3:5: no file is included by this",
            ],
        );
    }

    #[test]
    fn the_number_of_included_files_is_limited() {
        for (files, problems) in [(INCLUDED_FILES_MAX, 0), (INCLUDED_FILES_MAX + 1, 1)] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("main.yml"), "include: ['*.yaml']\n").unwrap();
            for file in 0..files {
                fs::write(directory.path().join(format!("{file}.yaml")), "x").unwrap();
            }
            let read = Files::read(&directory.path().join("main.yml")).unwrap();
            assert_eq!((read.included.len(), read.problems.len()), (INCLUDED_FILES_MAX, problems));
        }
    }

    #[test]
    fn a_main_file_that_is_not_there_is_the_only_problem() {
        let problems = Files::read(Path::new("/nowhere/p.yaml")).unwrap_err();
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["/nowhere/p.yaml:1:1: cannot be read: No such file or directory (os error 2)"]
        );
    }
}
