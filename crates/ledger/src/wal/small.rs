//! Small files that are replaced whole: a line with the CRC-32 of the rest in hex, then JSON.
//!
//! A reader sees the old content or the new one, never a mixture; anything else is an error.

#![expect(clippy::disallowed_methods, reason = "the write-ahead log is files")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::segment::sync_dir;

/// Replaces `dir/name`, durably.
pub(crate) fn replace(dir: &Path, name: &str, content: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(content)?;
    let unfinished = dir.join(format!("{name}.tmp"));
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{:08x}", crc32fast::hash(&json))?;
    file.write_all(&json)?;
    file.sync_all()?;
    fs::rename(&unfinished, dir.join(name))?;
    sync_dir(dir)
}

/// Reads `dir/name`; `None` if there is no such file.
///
/// # Errors
/// What the system says; `InvalidData` if the content is not what [`replace`] wrote.
pub(crate) fn read<T: DeserializeOwned>(dir: &Path, name: &str) -> io::Result<Option<T>> {
    let bytes = match fs::read(dir.join(name)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("`{name}` is damaged"));
    let (crc, rest) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (_, json) = rest.split_first().filter(|(byte, _)| **byte == b'\n').ok_or_else(damaged)?;
    if crc != format!("{:08x}", crc32fast::hash(json)).as_bytes() {
        return Err(damaged());
    }
    serde_json::from_slice(json).map(Some).map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{read, replace};

    #[test]
    fn a_small_file_is_whole_or_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read::<Vec<u32>>(dir.path(), "list").unwrap(), None);
        replace(dir.path(), "list", &[1, 2]).unwrap();
        replace(dir.path(), "list", &[3, 4]).unwrap();
        assert_eq!(read::<Vec<u32>>(dir.path(), "list").unwrap(), Some(vec![3, 4]));

        let whole = fs::read(dir.path().join("list")).unwrap();
        for cut in 0..whole.len() {
            fs::write(dir.path().join("list"), &whole[..cut]).unwrap();
            assert!(read::<Vec<u32>>(dir.path(), "list").is_err(), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(dir.path().join("list"), flipped).unwrap();
            assert!(read::<Vec<u32>>(dir.path(), "list").is_err(), "flipped at {at}");
        }
    }
}
