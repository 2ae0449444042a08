use std::io::Write;

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use super::*;

/// `hello, hello, hello!` by an encoder of brotli.
const BROTLI: &[u8] = b"\x8b\x09\x80\x68\x65\x6c\x6c\x6f\x2c\x20\x68\x65\x6c\x6c\x6f\x2c\x20\x68\x65\x6c\x6c\x6f\x21\x03";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::bulk::compress(bytes, 19).unwrap()
}

const TEXT: &[u8] = b"hello, hello, hello!";

/// Each coding, and the text in it.
fn codings() -> [(&'static [u8], Vec<u8>); 5] {
    [
        (b"gzip", gzip(TEXT)),
        (b"deflate", zlib(TEXT)),
        (b"deflate", raw(TEXT)),
        (b"br", BROTLI.to_vec()),
        (b"zstd", zstd(TEXT)),
    ]
}

#[track_caller]
fn check(coding: &[u8], bytes: &[u8], want: Result<&[u8], Reason>) {
    let got = decoded(coding, bytes, &Limits::default());
    assert_eq!(got.as_deref().map_err(|reason| *reason), want, "{} {}", show(coding), show(bytes));
}

#[test]
fn what_was_coded_is_decoded() {
    for (coding, bytes) in codings() {
        check(coding, &bytes, Ok(TEXT));
        check(coding, b"", Ok(b""));
    }
    check(b" GZip ", &gzip(TEXT), Ok(TEXT));
    check(b"x-gzip", &gzip(TEXT), Ok(TEXT));
    check(b"", TEXT, Ok(TEXT));
    check(b"Identity", TEXT, Ok(TEXT));
    for (coding, bytes) in [
        (&b"gzip"[..], gzip(b"")),
        (b"deflate", zlib(b"")),
        (b"deflate", raw(b"")),
        (b"zstd", zstd(b"")),
    ] {
        check(coding, &bytes, Ok(b""));
    }
}

#[test]
fn codings_that_are_refused() {
    check(b"gzip, gzip", &gzip(&gzip(TEXT)), Err(Reason::CodingNested));
    check(b"gzip,", &gzip(TEXT), Err(Reason::CodingNested));
    check(b"identity, gzip", &gzip(TEXT), Err(Reason::CodingNested));
    check(b"compress", TEXT, Err(Reason::CodingUnknown));
    check(b"gzip;q=1", &gzip(TEXT), Err(Reason::CodingUnknown));
    check(b"aes128gcm", b"", Err(Reason::CodingUnknown));
}

#[test]
fn a_coded_body_that_is_cut_or_changed_or_goes_on_is_refused() {
    for (coding, bytes) in codings() {
        for length in 1..bytes.len() {
            check(coding, &bytes[..length], Err(Reason::CodingMalformed));
        }
        check(coding, &[&bytes[..], b"\0"].concat(), Err(Reason::TrailingData));
        check(coding, &[&bytes[..], &bytes[..]].concat(), Err(Reason::TrailingData));
        check(coding, TEXT, Err(Reason::CodingMalformed));
    }
    let mut bad_checksum = gzip(TEXT);
    let at = bad_checksum.len() - 5;
    bad_checksum[at] ^= 1;
    check(b"gzip", &bad_checksum, Err(Reason::CodingMalformed));
    let mut bad_checksum = zlib(TEXT);
    *bad_checksum.last_mut().unwrap() ^= 1;
    check(b"deflate", &bad_checksum, Err(Reason::CodingMalformed));
    check(b"gzip", &zlib(TEXT), Err(Reason::CodingMalformed));
    // a frame that is skipped is no body
    check(
        b"zstd",
        &[b"\x50\x2a\x4d\x18\x01\0\0\0x", &zstd(TEXT)[..]].concat(),
        Err(Reason::TrailingData),
    );
}

#[test]
fn bombs_at_the_edges_of_the_limits() {
    let limits = Limits {
        decoded_bytes_max: 1 << 20,
        ratio_max: 20,
        ratio_from_bytes: 1 << 16,
        ..Limits::default()
    };
    let error = |coding: &[u8], bytes: &[u8]| decoded(coding, bytes, &limits).err();
    let zeros = |length: usize| vec![b'0'; length];
    type Encode = fn(&[u8]) -> Vec<u8>;
    let encoders: [(&[u8], Encode); 4] =
        [(b"gzip", gzip), (b"deflate", zlib), (b"deflate", raw), (b"zstd", zstd)];
    for (coding, encode) in encoders {
        assert_eq!(error(coding, &encode(&zeros(1 << 16))), None);
        assert_eq!(error(coding, &encode(&zeros((1 << 16) + 1))), Some(Reason::Ratio));
        assert_eq!(error(coding, &encode(&zeros(32 << 20))), Some(Reason::Ratio));
        // what does not compress is bounded by its length alone
        let noise = |length: usize| -> Vec<u8> {
            let mut state = 1_u64;
            std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .take(length)
            .collect()
        };
        assert_eq!(error(coding, &encode(&noise(1 << 20))), None);
        assert_eq!(error(coding, &encode(&noise((1 << 20) + 1))), Some(Reason::DecodedBytes));
    }
    // as many zeros, by an encoder of brotli: 2^16, one more, 2^26
    assert_eq!(error(b"br", b"\x1b\xff\xff\xf8\x25\x60\xe2\xb1\x40\x20\xf7\x1e\x00"), None);
    assert_eq!(
        error(b"br", b"\x5b\x00\x00\x81\x5f\x02\x26\x1e\x0b\x04\x74\xef\x01\x00"),
        Some(Reason::Ratio)
    );
    assert_eq!(error(b"br", b"\xcb\xff\xff\x3f\xf8\x25\x60\xe2\xb1\x40\x20\xf7\xfe\x8f\xff\xff\x7f\xf0\x4b\x00\xc4\x61\x11\x80\xee\xfd\x1f\xff\xff\xff\xe0\x97\x00\x88\xc3\x02\x00\xdd\xfb\x3f\xfe\xff\xff\xc1\x2f\x01\x10\x87\x05\x00\xba\xf7\x7f\xfc\xff\xff\x83\x5f\x02\x20\x0e\x0b\x00\x74\xef\xff\xf8\xff\xff\x07\xbf\x04\x40\x1c\x16\x00\xe8\xde\xff\xf1\xff\xff\x0f\x7e\x09\x80\x38\x2c\x00\xd0\xbd\xff\xe3\xff\xff\x1f\xfc\x12\x00\x71\x58\x00\xa0\x7b\xff\x37"), Some(Reason::Ratio));
    let tight = Limits { decoded_bytes_max: TEXT.len(), ..limits };
    let tighter = Limits { decoded_bytes_max: TEXT.len() - 1, ..limits };
    for (coding, bytes) in codings() {
        assert_eq!(decoded(coding, &bytes, &tight).err(), None);
        assert_eq!(decoded(coding, &bytes, &tighter).err(), Some(Reason::DecodedBytes));
    }
}

#[test]
fn windows_that_are_too_large_are_refused() {
    // a frame whose header asks for a window of 2^24 and of 2^23 bytes, then an empty last block
    let frame = |exponent: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, (exponent - 10) << 3, 0x01, 0, 0];
    check(b"zstd", &frame(23), Ok(b""));
    check(b"zstd", &frame(24), Err(Reason::CodingMalformed));
    // brotli's large windows begin with 0x11
    check(b"br", b"\x11\x1e\x03", Err(Reason::CodingMalformed));
}
