//! One read of a directory: every file below it, or why not.
//!
//! ConfigMaps and releases are swapped by one link (`..data`, or the directory itself). A read
//! that saw two of them is no read.
//!
//! What was read before is not read again where the file system says that it is the same: the
//! same file, length and times, and times that were past when it was read, so that whatever was
//! written since has left others.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::changing;
use crate::config::Problem;
use crate::regular;

/// Bytes of one file, at most.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Files of a directory, and directories in it, at most.
pub(super) const FILES_MAX: usize = 10_000;

/// Text by path, relative to the directory and with `/`.
pub(super) type Files = BTreeMap<String, String>;

/// How long before a read a file must have been left alone for its times to tell of later writes:
/// file systems count time in ticks, some in seconds.
const TICK_MAX: Duration = Duration::from_secs(2);

/// One read: what the files hold, and what the file system said of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) files: Files,
    pub(super) stamps: Stamps,
}

/// What the file system said of the files of a read.
#[derive(Debug, Clone, Default)]
pub struct Stamps {
    /// When the read began.
    at: Option<SystemTime>,
    /// By path, in order.
    of: Vec<Found>,
}

/// One file of a walk: its path, relative to where the walk began, and what was said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    relative: String,
    stamp: Stamp,
}

/// What the file system says of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What was read before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) files: &'a Files,
    pub(super) stamps: &'a Stamps,
}

impl<'a> Known<'a> {
    /// The text of each file that is as it was. It is to be asked for files by path, in order.
    fn texts(self) -> impl FnMut(&Found) -> Option<&'a String> {
        let (mut stamps, mut files) = (self.stamps.of.iter(), self.files.iter());
        let at = self.stamps.at;
        move |now: &Found| {
            let path = now.relative.as_str();
            let then = at_path(&mut stamps, path, |then| &then.relative)?;
            let (_, text) = at_path(&mut files, path, |(path, _)| path)?;
            (then.stamp == now.stamp && now.stamp.is_before(at?)).then_some(text)
        }
    }
}

/// What `sorted` has at `path`, having gone past what is before it.
fn at_path<'a, T>(
    sorted: &mut (impl Iterator<Item = T> + Clone),
    path: &str,
    path_of: impl Fn(&T) -> &'a str,
) -> Option<T> {
    loop {
        let next = sorted.clone().next()?;
        match path_of(&next).cmp(path) {
            Ordering::Less => drop(sorted.next()),
            Ordering::Equal => return sorted.next(),
            Ordering::Greater => return None,
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Both times were past by a tick.
    fn is_before(self, at: SystemTime) -> bool {
        let Some(last) = at.checked_sub(TICK_MAX) else { return false };
        let Ok(last) = last.duration_since(UNIX_EPOCH) else { return false };
        let is_past = |(s, _): (i64, i64)| u64::try_from(s).is_ok_and(|s| s < last.as_secs());
        is_past(self.modified) && is_past(self.changed)
    }
}

/// The link that the kubelet swaps when a ConfigMap changes; what lies beside it leads through it.
const SWAPPED: &str = "..data";

/// Every file below `root` by its path relative to it, names that begin with a dot left out.
///
/// # Errors
/// What cannot be read, or `root` and what it leads to changed meanwhile.
pub(super) fn files(
    root: &Path,
    known: Option<Known<'_>>,
    now: SystemTime,
) -> Result<Seen, Problem> {
    let failed = |error: io::Error| Problem::of_file(root, error.to_string());
    let place = Place::of(root).map_err(failed)?;
    // If the clock went back, times tell nothing.
    let known = known.filter(|known| known.stamps.at.is_some_and(|at| at <= now));
    let seen = below(root, &place.root, known, now)?;
    if Place::of(root).map_err(failed)? == place { Ok(seen) } else { Err(changing(root)) }
}

/// Where the links lead that are swapped.
#[derive(PartialEq, Eq)]
struct Place {
    root: PathBuf,
    swapped: Option<PathBuf>,
}

impl Place {
    fn of(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        let swapped = fs::read_link(root.join(SWAPPED)).ok();
        Ok(Self { root, swapped })
    }
}

/// Whether another read gives the same files: each is surely as it was, or has the same text.
///
/// # Errors
/// As [`files`].
pub(super) fn agrees(root: &Path, seen: &Seen, now: SystemTime) -> Result<bool, Problem> {
    let failed = |error: io::Error| Problem::of_file(root, error.to_string());
    let place = Place::of(root).map_err(failed)?;
    let found = list(root, &place.root)?;
    let clock = seen.stamps.at.is_some_and(|at| at <= now);
    let mut texts = Known { files: &seen.files, stamps: &seen.stamps }.texts();
    let mut same = found.len() == seen.files.len();
    for file in &found {
        let sure = texts(file).is_some() && clock;
        same = same
            && (sure || seen.files.get(&file.relative) == Some(&read(root, &place.root, file)?));
    }
    if Place::of(root).map_err(failed)? != place {
        return Err(changing(root));
    }
    Ok(same)
}

/// The files below `place`, told of as below `root`.
fn below(
    root: &Path,
    place: &Path,
    known: Option<Known<'_>>,
    now: SystemTime,
) -> Result<Seen, Problem> {
    let of = list(root, place)?;
    let mut known = known.map(Known::texts);
    let text = |file: &Found| match known.as_mut().and_then(|texts| texts(file)) {
        Some(text) => Ok((file.relative.clone(), text.clone())),
        None => Ok((file.relative.clone(), read(root, place, file)?)),
    };
    let files = of.iter().map(text).collect::<Result<Vec<_>, Problem>>()?.into_iter().collect();
    let at = Some(now).filter(|_| tells_changes(place));
    Ok(Seen { files, stamps: Stamps { at, of } })
}

fn read(root: &Path, place: &Path, file: &Found) -> Result<String, Problem> {
    regular::text(&place.join(&file.relative), FILE_BYTES_MAX)
        .map_err(|error| Problem::of_file(&root.join(&file.relative), error.to_string()))
}

/// Every file below `place` by path, in order, names that begin with a dot left out.
fn list(root: &Path, place: &Path) -> Result<Vec<Found>, Problem> {
    let mut found = Vec::new();
    let (mut count, mut open) = (0, vec![String::new()]);
    while let Some(directory) = open.pop() {
        let told = root.join(&directory);
        let failed = |error: io::Error| Problem::of_file(&told, error.to_string());
        for entry in fs::read_dir(place.join(&directory)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let Some(name) = name.to_str() else {
                return Err(Problem::of_file(&told.join(name), "the name is not UTF-8"));
            };
            let relative = if directory.is_empty() {
                name.to_owned()
            } else {
                [&directory, "/", name].concat()
            };
            let stamp = stamp(&entry, count)
                .map_err(|message| Problem::of_file(&root.join(&relative), message))?;
            match stamp {
                Some(stamp) => found.push(Found { relative, stamp }),
                None => open.push(relative),
            }
            count += 1;
        }
    }
    found.sort_unstable_by(|one, other| one.relative.cmp(&other.relative));
    Ok(found)
}

/// Whether the file system changes a file's times with whatever changes the file: one in memory
/// does not where it is written through a mapping, and of others nothing is known.
fn tells_changes(place: &Path) -> bool {
    const EXT: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;
    let kind = rustix::fs::statfs(place).ok().and_then(|stat| u64::try_from(stat.f_type).ok());
    kind.is_some_and(|kind| [EXT, XFS, BTRFS].contains(&kind))
}

/// What the file system says of a file that may be read; `None` for a directory.
///
/// # Errors
/// Why it may not.
fn stamp(entry: &fs::DirEntry, files: usize) -> Result<Option<Stamp>, String> {
    let failed = |error: io::Error| error.to_string();
    let metadata = match entry.file_type().map_err(failed)?.is_symlink() {
        true => fs::metadata(entry.path()),
        false => entry.metadata(),
    };
    let metadata = metadata.map_err(failed)?;
    if metadata.is_dir() {
        return match files < FILES_MAX {
            true => Ok(None),
            false => Err(format!("more than {FILES_MAX} files and directories")),
        };
    }
    // Reading a pipe or a device might never end.
    if !metadata.is_file() {
        return Err("neither a file nor a directory".to_owned());
    }
    if metadata.len() > FILE_BYTES_MAX || files >= FILES_MAX {
        return Err(format!(
            "more than {FILES_MAX} files, or more than {FILE_BYTES_MAX} bytes in one"
        ));
    }
    Ok(Some(Stamp::of(&metadata)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_device_in_the_policies_directory_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let device = directory.path().join("zero.md");
        symlink("/dev/null", &device).unwrap();
        let problem = files(directory.path(), None, SystemTime::now()).unwrap_err();
        assert_eq!(problem.file, device.display().to_string());
        assert_eq!(problem.message, "neither a file nor a directory");
    }

    #[test]
    fn files_and_bytes_have_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.md");
        let check = |files: usize, bytes: u64, want: bool| {
            let file = fs::File::create(&path).unwrap();
            file.set_len(bytes).unwrap();
            let entry = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap();
            assert_eq!(stamp(&entry, files).is_ok(), want, "{files} {bytes}");
        };
        check(FILES_MAX - 1, FILE_BYTES_MAX, true);
        check(FILES_MAX, 1, false);
        check(0, FILE_BYTES_MAX + 1, false);
    }

    #[test]
    fn a_file_is_read_again_unless_it_is_surely_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.md");
        let s = |s: u64| SystemTime::now() + Duration::from_secs(s);
        let check = |first_at: SystemTime, second_at, change: &dyn Fn(), again: bool| {
            fs::write(&path, "one").unwrap();
            let mut first = files(directory.path(), None, first_at).unwrap();
            // What is told of the first read is not what lies there: so it shows who is asked.
            first.files.insert("a.md".to_owned(), "before".to_owned());
            change();
            let known = Known { files: &first.files, stamps: &first.stamps };
            let second = files(directory.path(), Some(known), second_at).unwrap();
            let again = again || !tells_changes(directory.path());
            let want = if again { fs::read_to_string(&path).unwrap() } else { "before".to_owned() };
            assert_eq!(second.files.get("a.md"), Some(&want));
            assert_eq!(agrees(directory.path(), &first, second_at).unwrap(), !again);
        };
        check(s(10), s(11), &|| {}, false);
        check(s(0), s(11), &|| {}, true); // written too shortly before
        check(s(10), s(9), &|| {}, true); // the clock went back
        check(s(10), s(11), &|| fs::write(&path, "two").unwrap(), true);
        let another = || {
            fs::write(directory.path().join(".b"), "two").unwrap();
            fs::rename(directory.path().join(".b"), &path).unwrap();
        };
        check(s(10), s(11), &another, true);
        let dated_back = || {
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, "two").unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        };
        check(s(10), s(11), &dated_back, true);
    }

    #[test]
    fn another_read_agrees_if_every_file_is_there_and_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        let (first, second) = (SystemTime::now(), SystemTime::now() + Duration::from_secs(1));
        let check = |change: &dyn Fn(), want: bool| {
            write("a.md", "one");
            write("b.md", "two");
            let _ = fs::remove_file(directory.path().join("c.md"));
            let seen = files(directory.path(), None, first).unwrap();
            change();
            assert_eq!(agrees(directory.path(), &seen, second).unwrap(), want);
        };
        check(&|| {}, true);
        check(&|| write("a.md", "one"), true);
        check(&|| write("a.md", "eno"), false);
        check(&|| write("c.md", ""), false);
        check(&|| fs::remove_file(directory.path().join("b.md")).unwrap(), false);
        let renamed = || {
            fs::rename(directory.path().join("b.md"), directory.path().join("c.md")).unwrap();
        };
        check(&renamed, false);
    }

    #[test]
    fn names_with_a_dot_before_them_are_left_out_and_links_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("..1/orders")).unwrap();
        fs::write(root.join("..1/orders/a.cedar"), "a").unwrap();
        fs::write(root.join("..1/b.md"), "b").unwrap();
        fs::write(root.join(".hidden"), "c").unwrap();
        for (from, to) in [("..1", "..data"), ("..data/orders", "orders"), ("..data/b.md", "b.md")]
        {
            symlink(from, root.join(to)).unwrap();
        }
        let read = files(root, None, SystemTime::now()).unwrap().files;
        let want = [("b.md", "b"), ("orders/a.cedar", "a")];
        assert_eq!(read, want.map(|(path, text)| (path.to_owned(), text.to_owned())).into());
    }
}
