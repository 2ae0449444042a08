//! The frame codec: one commit group to bytes and back, strictly. Layout in [`super`].
//!
//! It touches no file and checks no signature: that the checkpoint covers the events is for
//! whoever holds the tree.

use std::ops::ControlFlow;

use uuid::Uuid;

use crate::event::limit::EVENT_BYTES_MAX;
use crate::event::{Kind, Record};

/// Bytes before a frame's body.
pub(crate) const HEADER_BYTES: usize = 36;
/// Events in one group, at most.
pub(crate) const EVENTS_MAX: usize = 256;
/// Bytes of a `traceparent`, at most (W3C version 00 has 55).
pub(crate) const TRACEPARENT_BYTES_MAX: usize = 128;
/// Bytes of a checkpoint, at most.
pub(crate) const CHECKPOINT_BYTES_MAX: usize = 4 * 1024;
/// Bytes an event takes beside its value and `traceparent`.
pub(crate) const EVENT_OVERHEAD_BYTES: usize = 34;
/// Bytes of a decoded body, at most.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The fastest level that beats raw storage by much.
const ZSTD_LEVEL: i32 = 1;
/// Bodies below this are not worth compressing.
const COMPRESS_FROM_BYTES: usize = 1024;

const MAGIC: [u8; 4] = *b"PCG1";
const VERSION: u8 = 1;

/// How a group's body is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// As it is.
    Raw,
    /// zstd, level 1, where it makes the group smaller.
    Zstd,
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// No frame starts here.
    #[error("no frame magic")]
    Magic,
    /// A version this build does not read.
    #[error("frame version {0} is unknown")]
    Version(u8),
    /// A codec this build does not read.
    #[error("frame codec {0} is unknown")]
    Codec(u8),
    /// A length or count is outside its limits.
    #[error("frame field `{0}` is out of range")]
    Range(&'static str),
    /// The bytes end before the frame does.
    #[error("frame is cut short")]
    Short,
    /// The checksum differs.
    #[error("frame checksum differs")]
    Crc,
    /// The body does not decompress to what the header says.
    #[error("frame body does not decompress")]
    Decompress,
    /// An event or the checkpoint inside cannot be read.
    #[error("frame body is malformed at `{0}`")]
    Body(&'static str),
}

/// What a frame's header says, its limits checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    codec: Codec,
    events: usize,
    stored: usize,
    plain: usize,
    /// The index of the first event.
    pub(crate) first: u64,
    /// The index up to which all was durable when this was written.
    pub(crate) synced: u64,
    crc: u32,
}

/// An event in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The event.
    pub(crate) record: Record,
    /// Of a completion, the decision's id; so that recovery joins them without reading JSON.
    pub(crate) decision: Option<Uuid>,
}

/// One commit group, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The index of the first event.
    pub(crate) first: u64,
    /// The index up to which all was durable when this was written.
    pub(crate) synced: u64,
    /// The events, 1 to 256.
    pub(crate) entries: Vec<Entry>,
    /// The signed checkpoint that covers them.
    pub(crate) checkpoint: String,
}

impl Group {
    /// The index after the last event.
    pub(crate) fn end(&self) -> u64 {
        self.first.saturating_add(self.entries.len() as u64)
    }
}

impl Head {
    /// Reads a header; limits are checked before anything is allocated.
    ///
    /// # Errors
    /// [`FrameError`], for whatever is not exactly a header this build writes.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let mut from = Take(bytes);
        if from.array::<4>("magic")? != MAGIC {
            return Err(FrameError::Magic);
        }
        let [version, codec] = from.array::<2>("version")?;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let codec = match codec {
            0 => Codec::Raw,
            1 => Codec::Zstd,
            other => return Err(FrameError::Codec(other)),
        };
        let head = Self {
            codec,
            events: usize::from(u16::from_le_bytes(from.array("events")?)),
            stored: from.u32("stored")?,
            plain: from.u32("plain")?,
            first: u64::from_le_bytes(from.array("first")?),
            synced: u64::from_le_bytes(from.array("synced")?),
            crc: u32::from_le_bytes(from.array("crc")?),
        };
        head.within_limits()?;
        Ok(head)
    }

    fn within_limits(&self) -> Result<(), FrameError> {
        if !(1..=EVENTS_MAX).contains(&self.events) {
            return Err(FrameError::Range("events"));
        }
        if self.plain > BODY_BYTES_MAX || self.plain < self.events * EVENT_OVERHEAD_BYTES {
            return Err(FrameError::Range("plain"));
        }
        let stored_fits = match self.codec {
            Codec::Raw => self.stored == self.plain,
            Codec::Zstd => (1..self.plain).contains(&self.stored),
        };
        if !stored_fits {
            return Err(FrameError::Range("stored"));
        }
        if self.synced > self.first || self.first.checked_add(self.events as u64).is_none() {
            return Err(FrameError::Range("synced"));
        }
        Ok(())
    }

    /// Bytes of body that follow in the file.
    pub(crate) fn stored_bytes(&self) -> usize {
        self.stored
    }

    /// Reads the body, which must be `stored_bytes` long.
    ///
    /// # Errors
    /// [`FrameError`] if the checksum differs or the body is not exactly the group it claims.
    pub(crate) fn group(
        &self,
        header: &[u8; HEADER_BYTES],
        stored: &[u8],
    ) -> Result<Group, FrameError> {
        self.checked(header, stored)?;
        match self.codec {
            Codec::Raw => self.read_body(stored),
            Codec::Zstd => {
                let plain = zstd::bulk::decompress(stored, self.plain)
                    .map_err(|_| FrameError::Decompress)?;
                if plain.len() != self.plain {
                    return Err(FrameError::Decompress);
                }
                self.read_body(&plain)
            }
        }
    }

    /// Compares the checksum alone.
    fn checked(&self, header: &[u8; HEADER_BYTES], stored: &[u8]) -> Result<(), FrameError> {
        if stored.len() != self.stored {
            return Err(FrameError::Short);
        }
        if crc(header, stored) == self.crc { Ok(()) } else { Err(FrameError::Crc) }
    }

    fn read_body(&self, plain: &[u8]) -> Result<Group, FrameError> {
        let mut from = Take(plain);
        let mut entries = Vec::with_capacity(self.events);
        for _ in 0..self.events {
            entries.push(from.entry()?);
        }
        let length = usize::from(u16::from_le_bytes(from.array("checkpoint")?));
        if length > CHECKPOINT_BYTES_MAX {
            return Err(FrameError::Body("checkpoint"));
        }
        let checkpoint = from.text(length, "checkpoint")?;
        if !from.0.is_empty() {
            return Err(FrameError::Body("end"));
        }
        Ok(Group { first: self.first, synced: self.synced, entries, checkpoint })
    }
}

/// CRC-32 (IEEE) of a header up to its checksum, and the stored body.
fn crc(header: &[u8; HEADER_BYTES], stored: &[u8]) -> u32 {
    let (covered, _) = header.split_at(HEADER_BYTES - 4);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(covered);
    hasher.update(stored);
    hasher.finalize()
}

/// Calls `found` with the header of every frame with a true checksum that starts anywhere in
/// `bytes`, until it breaks. This is how recovery looks behind a frame it cannot read.
pub(crate) fn find<B>(bytes: &[u8], mut found: impl FnMut(&Head) -> ControlFlow<B>) -> Option<B> {
    let mut rest = bytes;
    while let Some((header, behind)) = rest.split_first_chunk::<HEADER_BYTES>() {
        if header.first() == MAGIC.first()
            && let Ok(head) = Head::parse(header)
            && let Some((stored, after)) = behind.split_at_checked(head.stored)
            && head.checked(header, stored).is_ok()
        {
            if let ControlFlow::Break(value) = found(&head) {
                return Some(value);
            }
            rest = after;
            continue;
        }
        let (_, next) = rest.split_at(1);
        let skip = next.iter().position(|byte| Some(byte) == MAGIC.first()).unwrap_or(next.len());
        rest = next.split_at_checked(skip).map_or(&[], |(_, next)| next);
    }
    None
}

/// Builds one frame: events are pushed, then it is sealed with its checkpoint.
pub(crate) struct Builder {
    /// Room for the header, then the body.
    bytes: Vec<u8>,
    events: usize,
    body_max: usize,
    /// `None` if the library has no memory for one: then groups are stored as they are.
    compressor: Option<zstd::bulk::Compressor<'static>>,
}

impl Builder {
    /// A builder whose body, checkpoint included, never passes `body_max` bytes; one event
    /// always fits.
    pub(crate) fn new(body_max: usize) -> Self {
        let body_max = body_max.min(BODY_BYTES_MAX);
        let compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        Self { bytes: vec![0; HEADER_BYTES], events: 0, body_max, compressor }
    }

    /// Events pushed so far.
    pub(crate) fn events(&self) -> usize {
        self.events
    }

    /// Whether `record` still fits in this group.
    pub(crate) fn fits(&self, record: &Record) -> bool {
        let with = self.bytes.len() - HEADER_BYTES + event_bytes(record) + CHECKPOINT_BYTES_MAX + 2;
        self.events == 0 || (self.events < EVENTS_MAX && with <= self.body_max)
    }

    /// Adds an event. Its value and `traceparent` are within their limits: whoever takes
    /// records in checks that once. `decision` is the decision's id of a completion.
    pub(crate) fn push(&mut self, record: &Record, decision: Option<Uuid>) {
        let traceparent = record.traceparent.as_deref().unwrap_or_default();
        self.bytes.push(record.kind.code());
        self.bytes.extend_from_slice(record.uid.as_bytes());
        self.bytes.extend_from_slice(&record.time_ms.to_le_bytes());
        self.bytes.extend_from_slice(&record.class_uid.to_le_bytes());
        self.bytes.push(traceparent.len() as u8);
        self.bytes.extend_from_slice(traceparent.as_bytes());
        if record.kind == Kind::Completion {
            self.bytes.extend_from_slice(decision.unwrap_or_default().as_bytes());
        }
        self.bytes.extend_from_slice(&(record.value.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&record.value);
        self.events += 1;
    }

    /// The whole frame; the builder is empty again.
    pub(crate) fn seal(
        &mut self,
        codec: Codec,
        first: u64,
        synced: u64,
        checkpoint: &str,
    ) -> Vec<u8> {
        self.bytes.extend_from_slice(&(checkpoint.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(checkpoint.as_bytes());
        let capacity = self.bytes.len();
        let mut frame = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity));
        self.bytes.resize(HEADER_BYTES, 0);
        let events = std::mem::take(&mut self.events);

        let plain = frame.len() - HEADER_BYTES;
        let packed = match codec {
            Codec::Zstd if plain >= COMPRESS_FROM_BYTES => self.pack(&frame, plain),
            _ => None,
        };
        let code = u8::from(packed.is_some());
        if let Some(packed) = packed {
            frame.truncate(HEADER_BYTES);
            frame.extend_from_slice(&packed);
        }
        let stored = frame.len() - HEADER_BYTES;
        if let Some((header, body)) = frame.split_first_chunk_mut::<HEADER_BYTES>() {
            let mut to = header.iter_mut();
            let mut put = |bytes: &[u8]| to.by_ref().zip(bytes).for_each(|(to, byte)| *to = *byte);
            put(&MAGIC);
            put(&[VERSION, code]);
            put(&(events as u16).to_le_bytes());
            put(&(stored as u32).to_le_bytes());
            put(&(plain as u32).to_le_bytes());
            put(&first.to_le_bytes());
            put(&synced.to_le_bytes());
            let crc = crc(header, body);
            header
                .iter_mut()
                .skip(HEADER_BYTES - 4)
                .zip(crc.to_le_bytes())
                .for_each(|(to, byte)| *to = byte);
        }
        frame
    }

    /// The body compressed, if that makes it smaller.
    fn pack(&mut self, frame: &[u8], plain: usize) -> Option<Vec<u8>> {
        let (_, body) = frame.split_at_checked(HEADER_BYTES)?;
        let packed = self.compressor.as_mut()?.compress(body).ok();
        packed.filter(|packed| packed.len() < plain)
    }
}

/// Bytes `record` takes in a body.
pub(crate) fn event_bytes(record: &Record) -> usize {
    let decision = if record.kind == Kind::Completion { 16 } else { 0 };
    EVENT_OVERHEAD_BYTES
        + decision
        + record.traceparent.as_ref().map_or(0, String::len)
        + record.value.len()
}

/// Takes fields off the front of a body.
struct Take<'a>(&'a [u8]);

impl Take<'_> {
    fn bytes(&mut self, count: usize, field: &'static str) -> Result<&[u8], FrameError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(FrameError::Body(field))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(FrameError::Body(field))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self, field: &'static str) -> Result<usize, FrameError> {
        Ok(u32::from_le_bytes(self.array(field)?) as usize)
    }

    fn text(&mut self, count: usize, field: &'static str) -> Result<String, FrameError> {
        let bytes = self.bytes(count, field)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| FrameError::Body(field))
    }

    fn entry(&mut self) -> Result<Entry, FrameError> {
        let [kind] = self.array("kind")?;
        let kind = Kind::from_code(kind).ok_or(FrameError::Body("kind"))?;
        let uid = Uuid::from_bytes(self.array("uid")?);
        let time_ms = i64::from_le_bytes(self.array("time")?);
        let class_uid = u32::from_le_bytes(self.array("class")?);
        let [length] = self.array("traceparent")?;
        if usize::from(length) > TRACEPARENT_BYTES_MAX {
            return Err(FrameError::Body("traceparent"));
        }
        let traceparent = self.text(usize::from(length), "traceparent")?;
        let decision = match kind {
            Kind::Completion => Some(Uuid::from_bytes(self.array("decision")?)),
            _ => None,
        };
        let length = self.u32("value")?;
        if !(1..=EVENT_BYTES_MAX).contains(&length) {
            return Err(FrameError::Body("value"));
        }
        let value = self.bytes(length, "value")?.to_vec();
        let traceparent = Some(traceparent).filter(|text| !text.is_empty());
        Ok(Entry { record: Record { kind, uid, time_ms, class_uid, traceparent, value }, decision })
    }
}
