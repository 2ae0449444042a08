//! One segment: a file of a fixed size, zero-filled and synced before its first frame, so that
//! a later `fdatasync` has no file size and no block map to write. Layout in [`super`].

#![expect(clippy::disallowed_methods, reason = "the write-ahead log is files")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::EpochId;
use super::disk::Disk;
use super::frame::{self, HEADER_BYTES};

/// Bytes before a segment's first frame.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
/// The smallest segment that is allowed: it holds several of the largest events.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 512 * 1024;
/// The largest segment that is allowed: recovery reads one at a time into memory.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

const MAGIC: &[u8; 8] = b"PCWALSEG";
const VERSION: u32 = 1;
const SUFFIX: &str = ".wal";

/// Why a file is not the segment that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("segment header is not that of segment {number} of epoch `{epoch}`")]
pub(crate) struct NotTheSegment {
    epoch: EpochId,
    number: u32,
}

/// A segment that is open for appending.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Its number in the epoch.
    pub(crate) number: u32,
    /// Where the next frame goes.
    pub(crate) offset: u64,
    bytes: u64,
    file: File,
}

impl Segment {
    /// Makes a segment in the epoch's directory `dir`: zero-filled, synced and only then given
    /// its name.
    pub(crate) fn create(
        disk: &Disk,
        dir: &Path,
        epoch: EpochId,
        number: u32,
        bytes: u64,
    ) -> io::Result<Self> {
        let path = path(dir, number);
        let unfinished = path.with_extension("tmp");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&unfinished)?;
        let made = disk
            .allocate(&file, bytes, &header(epoch, number, bytes))
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| sync_dir(dir));
        if let Err(error) = made {
            // What was allocated must not stay: it is no segment and nobody would count it.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        Ok(Self { number, offset: SEGMENT_HEADER_BYTES as u64, bytes, file })
    }

    /// Whether a frame of `length` bytes fits behind the last one.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        self.offset.saturating_add(length as u64) <= self.bytes
    }

    /// Appends `frame`.
    pub(crate) fn append(&mut self, disk: &Disk, frame: &[u8]) -> io::Result<()> {
        disk.write(&self.file, frame, self.offset)?;
        self.offset += frame.len() as u64;
        Ok(())
    }

    /// Makes everything appended durable.
    pub(crate) fn sync(&self, disk: &Disk) -> io::Result<()> {
        disk.sync(&self.file)
    }

    /// Whether the file still has its name in `dir`: what is written to a file that was deleted
    /// or moved away is not a record.
    pub(crate) fn is_in(&self, dir: &Path) -> io::Result<bool> {
        let own = self.file.metadata()?;
        match fs::metadata(path(dir, self.number)) {
            Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The median of five syncs of one page, in microseconds.
    pub(crate) fn measure_sync_us(&self, disk: &Disk, epoch: EpochId) -> io::Result<u64> {
        let header = header(epoch, self.number, self.bytes);
        let mut times = Vec::with_capacity(5);
        for _ in 0..5 {
            let begun = std::time::Instant::now();
            disk.write(&self.file, &header, 0)?;
            disk.sync(&self.file)?;
            times.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        times.sort_unstable();
        Ok(times.get(2).copied().unwrap_or(u64::MAX))
    }
}

/// The file of segment `number`.
pub(crate) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}{SUFFIX}"))
}

/// The numbers of the segments in `dir`, ascending.
pub(crate) fn numbers(dir: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        let number = digits.and_then(|digits| digits.parse::<u32>().ok());
        // One spelling for one number: another file is none of the log's.
        numbers.extend(number.filter(|number| path(dir, *number).file_name() == Some(&name)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Deletes a segment.
pub(crate) fn remove(dir: &Path, number: u32) -> io::Result<()> {
    fs::remove_file(path(dir, number))
}

/// Makes a directory's entries durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The header of a segment.
fn header(epoch: EpochId, number: u32, bytes: u64) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut fields = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    fields.extend_from_slice(MAGIC);
    fields.extend_from_slice(&VERSION.to_le_bytes());
    fields.extend_from_slice(&number.to_le_bytes());
    fields.extend_from_slice(&epoch.ms.to_le_bytes());
    fields.extend_from_slice(&epoch.random.to_le_bytes());
    fields.extend_from_slice(&bytes.to_le_bytes());
    fields.extend_from_slice(&crc32fast::hash(&fields).to_le_bytes());
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header.iter_mut().zip(fields).for_each(|(to, byte)| *to = byte);
    header
}

/// Reads frames from a segment's file, one at a time.
#[derive(Debug)]
pub(crate) struct Frames {
    file: File,
}

impl Frames {
    /// Opens segment `number` and checks its header.
    ///
    /// # Errors
    /// What the system says; `InvalidData` with [`NotTheSegment`] if it is another file.
    pub(crate) fn open(dir: &Path, epoch: EpochId, number: u32) -> io::Result<Self> {
        let frames = Self { file: File::open(path(dir, number))? };
        let mut found = [0; SEGMENT_HEADER_BYTES];
        let whole = frames.fill(&mut found, 0)?;
        // The header says its own length of file; everything else in it is known.
        let bytes = found.split_first_chunk::<28>().and_then(|(_, rest)| rest.first_chunk::<8>());
        let bytes = bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if !whole || found != header(epoch, number, bytes) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                NotTheSegment { epoch, number },
            ));
        }
        Ok(frames)
    }

    /// The frame at `offset` and its length, or why there is none.
    pub(crate) fn at(
        &self,
        offset: u64,
    ) -> io::Result<Result<(frame::Group, u64), frame::FrameError>> {
        let mut header = [0; HEADER_BYTES];
        if !self.fill(&mut header, offset)? {
            return Ok(Err(frame::FrameError::Short));
        }
        let head = match frame::Head::parse(&header) {
            Ok(head) => head,
            Err(error) => return Ok(Err(error)),
        };
        let mut stored = vec![0; head.stored_bytes()];
        if !self.fill(&mut stored, offset + HEADER_BYTES as u64)? {
            return Ok(Err(frame::FrameError::Short));
        }
        let length = (HEADER_BYTES + stored.len()) as u64;
        Ok(head.group(&header, &stored).map(|group| (group, length)))
    }

    /// Everything from `offset` on, at most [`SEGMENT_BYTES_MAX`].
    pub(crate) fn rest(&self, offset: u64) -> io::Result<Vec<u8>> {
        let length = self.file.metadata()?.len().min(SEGMENT_BYTES_MAX).saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Fills `buffer` from `offset`; false if the file ends before.
    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        match self.file.read_exact_at(buffer, offset) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}
