//! Content codings (RFC 9110, section 8.4.1): what rules would not see otherwise.

use std::{borrow::Cow, io::Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status, bufread::GzDecoder};
use zstd::stream::read::Decoder as ZstdDecoder;

use super::{Limits, Reason};

/// The largest window a zstd stream may ask for, as a power of two: what RFC 8878 says every
/// decoder should have, and browsers have.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Bytes decoded at a time.
const CHUNK_BYTES: usize = 16 << 10;

/// Decodes what it is given, and gives what follows that.
type Decode = for<'b> fn(&'b [u8], &mut Sink) -> Result<&'b [u8], Reason>;

/// The body as it was before it was coded. One coding, which ends where the body does: what
/// follows would be seen by some readers and not by others. No bytes are no coded bytes.
pub fn decoded<'a>(
    content_encoding: &[u8],
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<Cow<'a, [u8]>, Reason> {
    match decoded_prefix(content_encoding, bytes, limits) {
        (decoded, None) => Ok(decoded),
        (_, Some(reason)) => Err(reason),
    }
}

/// As [`decoded`], of a body that may be cut: as much as there is, and why it is not all.
pub fn decoded_prefix<'a>(
    content_encoding: &[u8],
    bytes: &'a [u8],
    limits: &Limits,
) -> (Cow<'a, [u8]>, Option<Reason>) {
    let coding = content_encoding.trim_ascii().to_ascii_lowercase();
    if coding.contains(&b',') {
        return (Cow::default(), Some(Reason::CodingNested));
    }
    let decode: Decode = match coding.as_slice() {
        b"" | b"identity" => return (Cow::Borrowed(bytes), None),
        b"gzip" | b"x-gzip" => gzip,
        b"deflate" => deflate,
        b"br" => brotli,
        b"zstd" => zstandard,
        _ => return (Cow::default(), Some(Reason::CodingUnknown)),
    };
    if bytes.is_empty() {
        return (Cow::Borrowed(bytes), None);
    }
    let mut sink = Sink::new(bytes.len(), limits);
    let reason = match decode(bytes, &mut sink) {
        Ok([]) => None,
        Ok(_) => Some(Reason::TrailingData),
        Err(reason) => Some(reason),
    };
    (Cow::Owned(sink.bytes), reason)
}

/// Where decoded bytes go, as long as there is room for them.
struct Sink {
    bytes: Vec<u8>,
    max: usize,
    /// Why no more may come.
    beyond: Reason,
}

impl Sink {
    fn new(coded: usize, limits: &Limits) -> Self {
        let by_ratio = coded.saturating_mul(limits.ratio_max).max(limits.ratio_from_bytes);
        let beyond =
            if by_ratio < limits.decoded_bytes_max { Reason::Ratio } else { Reason::DecodedBytes };
        Self { bytes: Vec::new(), max: by_ratio.min(limits.decoded_bytes_max), beyond }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let room = self.max.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if bytes.len() > room { Err(self.beyond) } else { Ok(()) }
    }

    fn drain(&mut self, reader: &mut impl Read) -> Result<(), Reason> {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            let count = reader.read(&mut chunk).map_err(|_| Reason::CodingMalformed)?;
            if count == 0 {
                return Ok(());
            }
            self.add(chunk.get(..count).unwrap_or_default())?;
        }
    }
}

/// RFC 1952: one member, whose checksum is checked.
fn gzip<'b>(bytes: &'b [u8], sink: &mut Sink) -> Result<&'b [u8], Reason> {
    let mut decoder = GzDecoder::new(bytes);
    sink.drain(&mut decoder)?;
    Ok(decoder.into_inner())
}

/// What is called `deflate` is zlib (RFC 1950) around it, and from some clients it is bare (RFC
/// 1951). The first two bytes tell.
fn deflate<'b>(bytes: &'b [u8], sink: &mut Sink) -> Result<&'b [u8], Reason> {
    let is_zlib = match bytes {
        [method, flags, ..] => {
            method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31)
        }
        _ => false,
    };
    let mut decoder = Decompress::new(is_zlib);
    let mut chunk = [0; CHUNK_BYTES];
    loop {
        let (used, made) = (decoder.total_in(), decoder.total_out());
        let rest = after(bytes, used)?;
        let status = decoder.decompress(rest, &mut chunk, FlushDecompress::None);
        let status = status.map_err(|_| Reason::CodingMalformed)?;
        let count = usize::try_from(decoder.total_out() - made).unwrap_or(usize::MAX);
        sink.add(chunk.get(..count).ok_or(Reason::CodingMalformed)?)?;
        if status == Status::StreamEnd {
            return after(bytes, decoder.total_in());
        }
        if count == 0 && decoder.total_in() == used {
            return Err(Reason::CodingMalformed);
        }
    }
}

/// What follows so many bytes.
fn after(bytes: &[u8], used: u64) -> Result<&[u8], Reason> {
    let used = usize::try_from(used).ok();
    used.and_then(|used| bytes.get(used..)).ok_or(Reason::CodingMalformed)
}

/// RFC 8878: one frame.
fn zstandard<'b>(bytes: &'b [u8], sink: &mut Sink) -> Result<&'b [u8], Reason> {
    let malformed = |_| Reason::CodingMalformed;
    let mut decoder = ZstdDecoder::with_buffer(bytes).map_err(malformed)?.single_frame();
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(malformed)?;
    sink.drain(&mut decoder)?;
    Ok(decoder.finish())
}

/// RFC 7932, without the large windows that are no part of it.
fn brotli<'b>(bytes: &'b [u8], sink: &mut Sink) -> Result<&'b [u8], Reason> {
    let mut state = BrotliState::new_strict(
        StandardAlloc::default(),
        StandardAlloc::default(),
        StandardAlloc::default(),
    );
    let mut chunk = [0; CHUNK_BYTES];
    let (mut left, mut used, mut total) = (bytes.len(), 0, 0);
    loop {
        let (mut room, mut made) = (chunk.len(), 0);
        let result = BrotliDecompressStream(
            &mut left, &mut used, bytes, &mut room, &mut made, &mut chunk, &mut total, &mut state,
        );
        sink.add(chunk.get(..made).unwrap_or_default())?;
        match result {
            BrotliResult::ResultSuccess => return bytes.get(used..).ok_or(Reason::CodingMalformed),
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput | BrotliResult::ResultFailure => {
                return Err(Reason::CodingMalformed);
            }
        }
    }
}
