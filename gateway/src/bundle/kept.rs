//! Sets that were in force, each in a file named by the digest of the whole set: what the next
//! start can begin with, and what replay and explanations ask recorded decisions of.
//!
//! `last` names the newest. A file is trusted no further than its digests: whoever loads one
//! compares those of what comes out, and a set is sealed if its manifest, which is kept with it,
//! matches. The directory belongs to one gateway; copies of its files may
//! lie together with those of others.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use verdict::{Digests, Policies, Source};

use super::{Bundle, Declared, Stamps, replace};
use crate::config::Problem;
use crate::regular;

/// Names the set that was put in force last.
const LAST: &str = "last";

/// Bytes of a file of this directory, at most.
const FILE_BYTES_MAX: u64 = 256 << 20;

const ENDING: &str = "json";
const FORMAT: u32 = 1;

/// A directory of kept sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where they are.
    pub directory: PathBuf,
    /// How many are kept; the one in force always is.
    pub sets_max: usize,
}

/// A set that cannot be had from the directory.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// There is none.
    #[error("no set is kept in `{0}`")]
    None(PathBuf),
    /// It cannot be read.
    #[error("`{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not what was written.
    #[error("`{path}` is not a kept set: {reason}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A kept set, as its file holds it.
#[derive(Debug, Serialize, Deserialize)]
struct Stored<'a> {
    format: u32,
    digests: Cow<'a, Digests>,
    /// As the labels say it, which were not kept before this version.
    revision: Option<Cow<'a, str>>,
    author: Option<Cow<'a, str>>,
    #[serde(default)]
    labels: Cow<'a, BTreeMap<String, String>>,
    annotations: Cow<'a, BTreeSet<String>>,
    global: Cow<'a, BTreeSet<String>>,
    files: Cow<'a, BTreeMap<String, String>>,
}

impl Kept {
    /// Keeps a set that is about to be in force, names it as the last, and lets go of the oldest
    /// ones beyond `sets_max`.
    ///
    /// # Errors
    /// The directory cannot be written. The set may be there all the same.
    pub fn keep(&self, bundle: &Bundle, digests: &Digests) -> io::Result<()> {
        self.put(bundle, digests).inspect_err(|_| {
            // The set before is not the one that was in force last any more, and may allow more.
            if let Err(error) = self.forget() {
                let directory = self.directory.display();
                tracing::error!(%error, %directory, "a start may begin with a set that is too old");
            }
        })
    }

    fn put(&self, bundle: &Bundle, digests: &Digests) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let name = digests.set();
        let path = file(&self.directory, &name);
        if !is_there(&path, bundle) {
            let bytes = serde_json::to_vec(&stored(bundle, digests))?;
            if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            replace(&path, &bytes)?;
        }
        // The newest is the one put in force last, also if it was there before.
        File::options().append(true).open(&path)?.set_modified(SystemTime::now())?;
        replace(&self.directory.join(LAST), format!("{name}\n").as_bytes())?;
        // The set is kept, and `last` names it, whatever becomes of those that are too old.
        if let Err(error) = self.prune(&path) {
            let directory = self.directory.display();
            tracing::error!(%error, %directory, "sets that are too many cannot be let go of");
        }
        Ok(())
    }

    /// No start begins with any set that is kept now.
    fn forget(&self) -> io::Result<()> {
        match fs::remove_file(self.directory.join(LAST)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A set is there under these digests.
    pub fn has(&self, digests: &Digests) -> bool {
        file(&self.directory, &digests.set()).is_file()
    }

    fn prune(&self, in_force: &Path) -> io::Result<()> {
        let mut sets = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let path = entry.path();
            if !is_set(&path) || path == in_force {
                continue;
            }
            // What somebody else put there is not ours to remove.
            let metadata = entry.metadata()?;
            match metadata.is_file() {
                true => sets.push((metadata.modified()?, path)),
                false => {
                    let path = path.display();
                    tracing::warn!(%path, "it is called as a kept set is, is no file, and is left alone");
                }
            }
        }
        sets.sort();
        let beyond = (sets.len() + 1).saturating_sub(self.sets_max);
        sets.iter().take(beyond).try_for_each(|(_, path)| fs::remove_file(path))
    }

    /// The set that was put in force last, loaded: it is what its digests say, or it is an error.
    ///
    /// # Errors
    /// [`KeptError`].
    pub fn last(&self) -> Result<(Bundle, Policies), KeptError> {
        let path = self.directory.join(LAST);
        let name = match regular::text(&path, FILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeptError::None(self.directory.clone()));
            }
            read => read.map_err(|source| KeptError::Io { path: path.clone(), source })?,
        };
        let name = name.trim_end();
        if !is_name(name) {
            return Err(KeptError::Broken { path, reason: "it names no set".to_owned() });
        }
        load(&file(&self.directory, name), true)
    }
}

/// Finds the set with these digests in a directory of kept sets and loads it.
///
/// # Errors
/// [`KeptError`]; another set than asked for is one too.
pub fn find(directory: &Path, digests: &Digests) -> Result<(Bundle, Policies), KeptError> {
    let path = file(directory, &digests.set());
    if !path.exists() {
        return Err(KeptError::None(directory.to_owned()));
    }
    // What is over now may not have been when it decided.
    let (bundle, policies) = load(&path, false)?;
    if policies.digests() == digests {
        return Ok((bundle, policies));
    }
    Err(KeptError::Broken { path, reason: "its digests are others".to_owned() })
}

/// Loads a kept set. Another embedded schema than the one it was kept with makes other digests.
fn load(path: &Path, to_serve: bool) -> Result<(Bundle, Policies), KeptError> {
    let bytes = regular::read(path, FILE_BYTES_MAX)
        .map_err(|source| KeptError::Io { path: path.to_owned(), source })?;
    let broken = |reason: String| KeptError::Broken { path: path.to_owned(), reason };
    let stored: Stored<'_> =
        serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    let Stored { format, digests, revision, author, labels, annotations, global, files } = stored;
    if format != FORMAT {
        return Err(broken(format!("its format is {format}, not {FORMAT}")));
    }
    let first = |problems: Vec<Problem>| {
        broken(problems.first().map(ToString::to_string).unwrap_or_default())
    };
    let (annotations, global) = (annotations.into_owned(), global.into_owned());
    let (files, labels) = (files.into_owned(), labels.into_owned());
    let said =
        Declared { revision: revision.map(Cow::into_owned), author: author.map(Cow::into_owned) };
    let (declared, sealed) = match labels.is_empty() {
        true => (said, false),
        false => {
            let all = files.clone().into_iter().chain(labels.clone()).collect();
            Bundle::of(parent(path), &all, false).map_err(first)?
        }
    };
    let like = Source { annotations, global, ..Source::default() };
    let mut source = super::source(parent(path), files, like).map_err(first)?;
    source.now_ms = source.now_ms.filter(|_| to_serve);
    let policies = Policies::load(&source).map_err(|problems| {
        broken(problems.first().map(ToString::to_string).unwrap_or_default())
    })?;
    if *policies.digests() != *digests || path != file(parent(path), &digests.set()) {
        return Err(broken(
            "it is not the set that was kept, or this version's schema is another".to_owned(),
        ));
    }
    Ok((Bundle { source, declared, sealed, labels, stamps: Stamps::default() }, policies))
}

fn stored<'a>(bundle: &'a Bundle, digests: &'a Digests) -> Stored<'a> {
    let Bundle { source, declared, labels, .. } = bundle;
    let Source { files, annotations, global, .. } = source;
    let Declared { revision, author } = declared;
    Stored {
        format: FORMAT,
        digests: Cow::Borrowed(digests),
        revision: revision.as_deref().map(Cow::Borrowed),
        author: author.as_deref().map(Cow::Borrowed),
        labels: Cow::Borrowed(labels),
        annotations: Cow::Borrowed(annotations),
        global: Cow::Borrowed(global),
        files: Cow::Borrowed(files),
    }
}

/// The file holds this set as it is, labels included.
fn is_there(path: &Path, bundle: &Bundle) -> bool {
    let bytes = match regular::read(path, FILE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
        Err(error) => {
            let path = path.display();
            tracing::warn!(%error, %path, "what is there in place of this set is replaced by it");
            return false;
        }
        Ok(bytes) => bytes,
    };
    serde_json::from_slice::<Stored<'_>>(&bytes).is_ok_and(|stored| {
        stored.format == FORMAT
            && stored.revision.as_deref() == bundle.declared.revision.as_deref()
            && stored.author.as_deref() == bundle.declared.author.as_deref()
            && *stored.labels == bundle.labels
            && *stored.annotations == bundle.source.annotations
            && *stored.global == bundle.source.global
            && *stored.files == bundle.source.files
    })
}

fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.{ENDING}"))
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

pub(super) fn is_set(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == ENDING)
        && path.file_stem().is_some_and(|stem| is_name(&stem.to_string_lossy()))
}

fn is_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
