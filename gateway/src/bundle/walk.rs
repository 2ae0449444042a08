//! One read of a directory: every file below it, or why not.
//!
//! ConfigMaps and releases are swapped by one link (`..data`, or the directory itself). A read
//! that saw two of them is no read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{at_start, changing};
use crate::config::Problem;

/// Bytes of one file, at most.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Files of a directory, at most.
pub(super) const FILES_MAX: usize = 10_000;

/// Text by path, relative to the directory and with `/`.
pub(super) type Files = BTreeMap<String, String>;

/// The link that the kubelet swaps when a ConfigMap changes; what lies beside it leads through it.
const SWAPPED: &str = "..data";

/// Every file below `root` by its path relative to it, names that begin with a dot left out.
///
/// # Errors
/// What cannot be read, or `root` and what it leads to changed meanwhile.
pub(super) fn files(root: &Path) -> Result<Files, Problem> {
    let failed = |error: io::Error| at_start(root, error.to_string());
    let place = Place::of(root).map_err(failed)?;
    let files = below(root, &place.root)?;
    if Place::of(root).map_err(failed)? == place { Ok(files) } else { Err(changing(root)) }
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

/// The files below `place`, told of as below `root`.
fn below(root: &Path, place: &Path) -> Result<Files, Problem> {
    let mut files = Files::new();
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        let told = root.join(&directory);
        let failed = |error: io::Error| at_start(&told, error.to_string());
        for entry in fs::read_dir(place.join(&directory)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = told.join(&name);
            let Some(name) = name.to_str() else {
                return Err(at_start(&path, "the name is not UTF-8".to_owned()));
            };
            let relative =
                if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
            match read(&entry.path(), &path, files.len())? {
                Some(text) => drop(files.insert(relative, text)),
                None => open.push(relative),
            }
        }
    }
    Ok(files)
}

/// The text of a file; `None` for a directory.
fn read(from: &Path, told: &Path, files: usize) -> Result<Option<String>, Problem> {
    let failed = |error: io::Error| at_start(told, error.to_string());
    let metadata = fs::metadata(from).map_err(failed)?;
    if metadata.is_dir() {
        return Ok(None);
    }
    // Reading a pipe or a device might never end.
    if !metadata.is_file() {
        return Err(at_start(told, "neither a file nor a directory".to_owned()));
    }
    if metadata.len() > FILE_BYTES_MAX || files >= FILES_MAX {
        let message =
            format!("more than {FILES_MAX} files, or more than {FILE_BYTES_MAX} bytes in one");
        return Err(at_start(told, message));
    }
    fs::read_to_string(from).map(Some).map_err(failed)
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
        let problem = files(directory.path()).unwrap_err();
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
            assert_eq!(read(&path, &path, files).is_ok(), want, "{files} {bytes}");
        };
        check(FILES_MAX - 1, FILE_BYTES_MAX, true);
        check(FILES_MAX, 1, false);
        check(0, FILE_BYTES_MAX + 1, false);
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
        let read = files(root).unwrap();
        let want = [("b.md", "b"), ("orders/a.cedar", "a")];
        assert_eq!(read, want.map(|(path, text)| (path.to_owned(), text.to_owned())).into());
    }
}
