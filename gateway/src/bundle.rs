//! A set of policies as files: read from its directory whole or not at all, sealed with a
//! manifest, and kept under its digest for the next start and for replay.
//!
//! A directory that is being written can be valid and allow more than the whole: a `forbid` that
//! is not copied yet forbids nothing. So a set is taken only if its manifest matches, or, where
//! there is none, if two reads agree. What a set means, and whether it is right, is `verdict`'s
//! to say. A manifest is not signed: it shows what is incomplete, not who wrote it.

mod kept;
mod manifest;
mod walk;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

use verdict::Source;

use crate::config::{Problem, Yaml};
use crate::read::now_ms;
pub use kept::{Kept, KeptError, find};
pub use manifest::{Declared, MANIFEST, REVISION};
pub use walk::Stamps;
use walk::{Files, Known, Seen};

/// Reads of the directory, at most, until two in a row agree.
const READS_MAX: usize = 4;

/// A set of policies: its files and what is declared of it.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Schema, policies, entities and all else that lies there, and what policies may have.
    pub source: Source,
    /// Whose it is, and which.
    pub declared: Declared,
    /// A manifest matched.
    pub sealed: bool,
    /// The text of the files that label it, by name: what both were taken from, for whoever has to
    /// see it again.
    pub labels: BTreeMap<String, String>,
    /// What the file system said of the files, if they were read from it.
    pub stamps: Stamps,
}

impl Bundle {
    /// Reads the set in `directory`; what is not its files is as in `like`. It must match its
    /// manifest if it has one, and must have one if that is `required`. Files that are surely as
    /// they were in the bundle `before` are not read again.
    ///
    /// # Errors
    /// Every problem: each file that the manifest does not have so, or why the directory cannot
    /// be read.
    pub fn read(
        directory: &Path,
        like: Source,
        required: bool,
        before: Option<&Self>,
    ) -> Result<Self, Vec<Problem>> {
        let mut failure = changing(directory);
        for _ in 1..READS_MAX {
            let seen = match walk::files(directory, before.map(Self::known), SystemTime::now()) {
                Ok(seen) => seen,
                Err(problem) => {
                    failure = problem;
                    continue;
                }
            };
            let read = Self::of(directory, &seen.files, required);
            // A manifest that matches says as much as a second read.
            let sealed = matches!(read, Ok((_, true)));
            if !sealed {
                match walk::agrees(directory, &seen, SystemTime::now()) {
                    Ok(true) => {}
                    Ok(false) => {
                        failure = changing(directory);
                        continue;
                    }
                    Err(problem) => {
                        failure = problem;
                        continue;
                    }
                }
            }
            let (declared, sealed) = read?;
            let Seen { files, stamps } = seen;
            let (files, labels) = without_labels(files);
            let source = source(directory, files, like)?;
            return Ok(Self { source, declared, sealed, labels, stamps });
        }
        Err(vec![failure])
    }

    /// For the next read.
    fn known(&self) -> Known<'_> {
        Known { files: &self.source.files, stamps: &self.stamps }
    }

    /// Both are one set, whenever each was read; a set with links is not, as these end.
    pub fn is_same(&self, other: &Self) -> bool {
        let labels = self.declared == other.declared && self.sealed == other.sealed;
        let (one, two) = (&self.source, &other.source);
        let lists = one.annotations == two.annotations && one.global == two.global;
        labels && lists && one.links.is_empty() && one.files == two.files
    }

    /// What is declared of these files, and whether a manifest says it.
    fn of(
        directory: &Path,
        files: &Files,
        required: bool,
    ) -> Result<(Declared, bool), Vec<Problem>> {
        match files.get(MANIFEST) {
            Some(manifest) => {
                let declared = manifest::matches(directory, manifest, files)?;
                Ok((declared, true))
            }
            None if required => {
                let message =
                    format!("there is no `{MANIFEST}`, and the configuration asks for one");
                let problem = Problem::at_start(&directory.join(MANIFEST), message);
                let hint = "`portcullis policy seal` writes it".to_owned();
                Err(vec![Problem { hint: Some(hint), ..problem }])
            }
            None => Ok((manifest::revision(directory, files)?, false)),
        }
    }
}

/// The set in `directory` as it lies there, whatever a manifest says of it.
///
/// # Errors
/// The directory cannot be read, or never holds still.
pub fn unsealed(directory: &Path, like: Source) -> Result<Bundle, Vec<Problem>> {
    let files = settled(directory)?;
    let declared = manifest::revision(directory, &files)?;
    let (files, labels) = without_labels(files);
    let source = source(directory, files, like)?;
    Ok(Bundle { source, declared, sealed: false, labels, stamps: Stamps::default() })
}

/// What the manifest of `directory` has against the files that lie there, for which a gateway would
/// not take the set. Nothing, if there is no manifest; that a directory cannot be read is for
/// [`unsealed`] to say.
pub fn unlike_sealed(directory: &Path) -> Vec<Problem> {
    let files = settled(directory).unwrap_or_default();
    let manifest = files.get(MANIFEST);
    let read = manifest.map(|manifest| manifest::matches(directory, manifest, &files));
    read.and_then(Result::err).unwrap_or_default()
}

/// Seals the set in `directory`: writes the manifest of the files that lie there now, as the last
/// thing, so that whoever reads meanwhile finds a set that matches no manifest, or this one.
/// Returns how many files it lists.
///
/// # Errors
/// Every problem: files that a manifest cannot name, or a directory that cannot be written.
pub fn seal(directory: &Path, declared: Declared) -> Result<(usize, Declared), Vec<Problem>> {
    let files = settled(directory)?;
    let there = manifest::revision(directory, &files)?;
    let declared = Declared {
        revision: declared.revision.or(there.revision),
        author: declared.author.or(there.author),
    };
    let path = directory.join(MANIFEST);
    let text =
        manifest::text(&files, &declared).map_err(|error| vec![Problem::at_start(&path, error)])?;
    replace(&path, text.as_bytes())
        .map_err(|error| vec![Problem::at_start(&path, error.to_string())])?;
    Ok((files.keys().filter(|path| *path != MANIFEST).count(), declared))
}

/// The files as two reads in a row have them.
fn settled(directory: &Path) -> Result<Files, Vec<Problem>> {
    for _ in 1..READS_MAX {
        let seen =
            walk::files(directory, None, SystemTime::now()).map_err(|problem| vec![problem])?;
        let agreed = walk::agrees(directory, &seen, SystemTime::now());
        if agreed.map_err(|problem| vec![problem])? {
            return Ok(seen.files);
        }
    }
    Err(vec![changing(directory)])
}

/// The text of a set as it is now, its links parsed.
fn source(directory: &Path, files: Files, like: Source) -> Result<Source, Vec<Problem>> {
    let (mut links, mut problems) = (BTreeMap::new(), Vec::new());
    for (path, text) in files.iter().filter(|(path, _)| verdict::is_links(path)) {
        match Yaml::parse(&directory.join(path), text.as_bytes()) {
            Ok(yaml) => drop(links.insert(path.clone(), yaml.to_document())),
            Err(found) => problems.extend(found),
        }
    }
    let Source { annotations, global, .. } = like;
    let source = Source { files, annotations, global, links, now_ms: Some(now_ms()) };
    if problems.is_empty() { Ok(source) } else { Err(problems) }
}

/// The files that are the set's own, and those that label it.
fn without_labels(mut files: Files) -> (Files, Files) {
    let labels = files.extract_if(.., |path, _| [MANIFEST, REVISION].contains(&path.as_str()));
    let labels = labels.collect();
    (files, labels)
}

fn changing(directory: &Path) -> Problem {
    Problem::of_file(directory, "the directory changed while it was read")
}

/// Puts a file in the place of another at once, and on the disk: written beside, synced, renamed,
/// and the directory synced. The name beside begins with a dot, which no read takes up; whatever
/// lies there, what a kill left of a write or a pipe that nobody reads, goes first.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let written = File::create_new(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        // what is left of it is overwritten the next time
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
