//! Files that are read whole: regular ones of a bounded length, and nothing else.
//!
//! A path that a configuration names may come to lead to a pipe, whose reader waits until somebody
//! writes, or to a device, which never ends. Neither is read. What a dead network file system does
//! to a read is no business of this module.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// What is in a regular file of at most so many bytes.
///
/// # Errors
/// It cannot be read, or is none; [`io::ErrorKind::FileTooLarge`] if it is longer.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    // So the open of a pipe does not wait for its writer, nor the read of a file that the kernel
    // makes up, which looks like a regular one, for something to tell.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let length = metadata.len();
    if length > bytes_max {
        let longer = format!("longer than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, longer));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    // What is longer than its length is being written, or made up by the kernel without an end.
    let read = file.take(length.saturating_add(1)).read_to_end(&mut bytes)?;
    match u64::try_from(read).is_ok_and(|read| read <= length) {
        true => Ok(bytes),
        false => Err(io::Error::other("it grew while it was read")),
    }
}

/// The text of such a file.
///
/// # Errors
/// As [`read`], or it is not UTF-8.
pub(crate) fn text(path: &Path, bytes_max: u64) -> io::Result<String> {
    String::from_utf8(read(path, bytes_max)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Makes a pipe, for tests of what must not wait for one.
#[cfg(test)]
pub(crate) fn pipe(path: &Path) {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600));
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("a pipe");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_as_long_as_the_limit_at_most() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for (length, want) in [(0, true), (7, true), (8, true), (9, false)] {
            fs::write(&path, vec![b'x'; length]).unwrap();
            match read(&path, 8) {
                Ok(bytes) => assert_eq!((bytes.len(), want), (length, true)),
                Err(error) => {
                    let told = (error.kind(), error.to_string());
                    let long = "longer than 8 bytes".to_owned();
                    assert_eq!((told, want), ((io::ErrorKind::FileTooLarge, long), false));
                }
            }
        }
        fs::write(&path, b"\xff").unwrap();
        assert_eq!(text(&path, 8).unwrap_err().to_string(), "it is not UTF-8");
    }

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        pipe(&at("pipe"));
        symlink("/dev/zero", at("zero")).unwrap();
        symlink("pipe", at("link")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        for name in ["pipe", "zero", "link", "directory"] {
            let error = read(&at(name), 8).unwrap_err();
            assert_eq!(error.to_string(), "not a regular file", "{name}");
        }
        fs::write(at("file"), "text").unwrap();
        symlink("file", at("to file")).unwrap();
        assert_eq!(text(&at("to file"), 8).unwrap(), "text");
    }

    /// The kernel's own files say that they are empty.
    #[test]
    fn a_file_that_is_longer_than_it_says_is_not_read() {
        let error = read(Path::new("/proc/self/status"), 1 << 20).unwrap_err();
        assert_eq!(error.to_string(), "it grew while it was read");
    }
}
