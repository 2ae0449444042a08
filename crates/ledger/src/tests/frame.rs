//! The frame codec: what it writes it reads, and nothing else.

use std::ops::ControlFlow;

use proptest::prelude::*;
use uuid::Uuid;

use super::read_frame as read;
use crate::event::limit::EVENT_BYTES_MAX;
use crate::event::{Kind, Record};
use crate::wal::frame::{
    BODY_BYTES_MAX, Builder, CHECKPOINT_BYTES_MAX, Codec, EVENTS_MAX, Entry, FrameError,
    HEADER_BYTES, TRACEPARENT_BYTES_MAX, find,
};

fn record(kind: Kind, value: &[u8]) -> Entry {
    let record = Record {
        kind,
        uid: Uuid::from_u128(7),
        time_ms: -1,
        class_uid: 6003,
        traceparent: Some("00-1-2-01".into()),
        value: value.to_vec(),
    };
    Entry { record, decision: (kind == Kind::Completion).then(|| Uuid::from_u128(9)) }
}

fn frame(codec: Codec, entries: &[Entry], checkpoint: &str) -> Vec<u8> {
    let mut builder = Builder::new(BODY_BYTES_MAX);
    for entry in entries {
        assert!(builder.fits(&entry.record));
        builder.push(&entry.record, entry.decision);
    }
    builder.seal(codec, 5, 3, checkpoint)
}

/// Seals `bytes` again after a field of the header was changed.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut covered = bytes[..HEADER_BYTES - 4].to_vec();
    covered.extend_from_slice(&bytes[HEADER_BYTES..]);
    bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc32fast::hash(&covered).to_le_bytes());
    bytes
}

fn sample(codec: Codec) -> Vec<u8> {
    let entries = [record(Kind::Decision, &[b'a'; 900]), record(Kind::Completion, &[b'b'; 900])];
    frame(codec, &entries, "origin\n2\nroot\n\nsignature\n")
}

proptest! {
    #[test]
    fn a_group_is_read_as_it_was_written(
        values in prop::collection::vec((0..Kind::ALL.len(), prop::collection::vec(any::<u8>(), 1..2000)), 1..20),
        checkpoint in "[a-z\n]{0,300}",
        raw: bool,
        behind in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let entries: Vec<_> = values.iter().map(|(kind, value)| record(Kind::ALL[*kind], value)).collect();
        let codec = if raw { Codec::Raw } else { Codec::Zstd };
        let mut bytes = frame(codec, &entries, &checkpoint);
        let length = bytes.len();
        bytes.extend(behind);
        let (group, read) = read(&bytes).unwrap();
        prop_assert_eq!((group.first, group.synced, read), (5, 3, length));
        prop_assert_eq!(group.entries, entries);
        prop_assert_eq!(group.checkpoint, checkpoint);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), body: bool) {
        let bytes = if body && bytes.len() >= HEADER_BYTES {
            let mut whole = sample(Codec::Raw);
            whole.truncate(HEADER_BYTES);
            whole.extend_from_slice(&bytes);
            let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            whole[8..12].copy_from_slice(&length);
            whole[12..16].copy_from_slice(&length);
            resealed(whole)
        } else {
            bytes
        };
        let _ = read(&bytes);
    }
}

#[test]
fn a_frame_that_is_cut_or_changed_is_none() {
    for codec in [Codec::Raw, Codec::Zstd] {
        let whole = sample(codec);
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "cut at {cut}");
            let mut zeroed = whole[..cut].to_vec();
            zeroed.resize(whole.len(), 0);
            assert!(zeroed == whole || read(&zeroed).is_err(), "zero from {cut}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                assert!(read(&flipped).is_err(), "byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn the_header_is_held_to_its_limits() {
    let check = |at: usize, field: &[u8], want: Result<(), FrameError>| {
        let mut bytes = sample(Codec::Raw);
        bytes[at..at + field.len()].copy_from_slice(field);
        assert_eq!(read(&resealed(bytes)).map(|_| ()), want, "{field:?} at {at}");
    };
    check(0, b"PCG1", Ok(()));
    check(0, b"PCG2", Err(FrameError::Magic));
    check(4, &[2], Err(FrameError::Version(2)));
    check(5, &[2], Err(FrameError::Codec(2)));
    check(6, &[0, 0], Err(FrameError::Range("events")));
    check(6, &[1, 1], Err(FrameError::Range("events")));
    check(6, &[3, 0], Err(FrameError::Body("kind")));
    check(6, &[1, 0], Err(FrameError::Body("end")));
    check(12, &[0, 0, 0x10, 0], Err(FrameError::Range("stored")));
    check(12, &[1, 0, 0x10, 0], Err(FrameError::Range("plain")));
    check(16, &[0xff; 8], Err(FrameError::Range("synced")));
    check(24, &[6], Err(FrameError::Range("synced")));
    check(24, &[5], Ok(()));
    check(HEADER_BYTES, &[0], Err(FrameError::Body("kind")));
    check(HEADER_BYTES, &[10], Err(FrameError::Body("kind")));
}

#[test]
fn a_compressed_body_is_exactly_what_the_header_says() {
    let whole = sample(Codec::Zstd);
    assert_eq!(whole[5], 1);
    let plain = u32::from_le_bytes(whole[12..16].try_into().unwrap());
    let check = |plain: u32, want: Result<(), FrameError>| {
        let mut bytes = whole.clone();
        bytes[12..16].copy_from_slice(&plain.to_le_bytes());
        assert_eq!(read(&resealed(bytes)).map(|_| ()), want, "{plain}");
    };
    check(plain, Ok(()));
    check(plain - 1, Err(FrameError::Decompress));
    check(plain + 1, Err(FrameError::Decompress));
}

#[test]
fn fields_are_held_to_their_limits() {
    let check =
        |value: usize, traceparent: usize, checkpoint: usize, want: Result<(), FrameError>| {
            let mut entry = record(Kind::Decision, &vec![b'x'; value]);
            entry.record.traceparent = Some("t".repeat(traceparent));
            let bytes = frame(Codec::Raw, &[entry], &"c".repeat(checkpoint));
            assert_eq!(read(&bytes).map(|_| ()), want, "{value} {traceparent} {checkpoint}");
        };
    check(1, 0, 0, Ok(()));
    check(0, 0, 0, Err(FrameError::Body("value")));
    check(EVENT_BYTES_MAX, 0, 0, Ok(()));
    check(EVENT_BYTES_MAX + 1, 0, 0, Err(FrameError::Body("value")));
    check(1, TRACEPARENT_BYTES_MAX, 0, Ok(()));
    check(1, TRACEPARENT_BYTES_MAX + 1, 0, Err(FrameError::Body("traceparent")));
    check(1, 0, CHECKPOINT_BYTES_MAX, Ok(()));
    check(1, 0, CHECKPOINT_BYTES_MAX + 1, Err(FrameError::Body("checkpoint")));
}

#[test]
fn a_group_is_bounded_in_events_and_bytes() {
    let small = record(Kind::Decision, b"x");
    let mut builder = Builder::new(BODY_BYTES_MAX);
    while builder.fits(&small.record) {
        builder.push(&small.record, None);
    }
    assert_eq!(builder.events(), EVENTS_MAX);

    let large = record(Kind::Decision, &vec![b'x'; EVENT_BYTES_MAX]);
    let mut builder = Builder::new(BODY_BYTES_MAX);
    while builder.fits(&large.record) {
        builder.push(&large.record, None);
    }
    let frame = builder.seal(Codec::Raw, 0, 0, &"c".repeat(CHECKPOINT_BYTES_MAX));
    assert!(frame.len() <= HEADER_BYTES + BODY_BYTES_MAX);
    assert!(read(&frame).is_ok());
    assert!(Builder::new(1).fits(&large.record), "one event always fits");
}

#[test]
fn whole_frames_are_found_behind_anything() {
    let whole = sample(Codec::Raw);
    let all = |bytes: &[u8]| {
        let mut found = Vec::new();
        let _ = find::<()>(bytes, |head| {
            found.push(head.first);
            ControlFlow::Continue(())
        });
        found
    };
    assert_eq!(all(&whole), [5]);
    assert_eq!(
        all(&[b"PPCG1PCG".as_slice(), &[0; 100], &whole, &whole, &whole[..99]].concat()),
        [5, 5]
    );
    assert_eq!(all(&[0; 1000]), [0_u64; 0]);
    assert_eq!(all(&whole[1..]), [0_u64; 0]);
    assert_eq!(find(&whole, |head| ControlFlow::Break(head.synced)), Some(3));
}
