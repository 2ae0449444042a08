//! What a crash leaves: a durable prefix that ends with a group and verifies, or a clear error.

use std::fs;
use std::path::Path;

use uuid::Uuid;

use super::{
    assert_verified, copy, decision, decision_of, epoch_dirs, json, options, read_all, read_frame,
    read_spool, start, text,
};
use crate::event::{Completion, Durability, Kind, Outcome};
use crate::ledger::{Ledger, StartError};
use crate::wal::segment::{SEGMENT_BYTES_MIN, SEGMENT_HEADER_BYTES};
use crate::wal::{WalError, frame};

/// A small log that was closed, and the bytes of its one segment that are used.
async fn small_log(dir: &Path) -> Vec<u8> {
    let ledger = start(dir);
    for id in ["a", "b", "c"] {
        let receipt = ledger.open(decision_of(id, 16), Durability::Strict, ()).await.unwrap();
        receipt.split().1.close(Completion::new(Outcome::Answered, super::NOW_MS));
    }
    ledger.close().await.unwrap();
    drop(ledger);
    let mut bytes = fs::read(epoch_dirs(dir)[0].join("00000000.wal")).unwrap();
    assert_eq!(bytes.len() as u64, SEGMENT_BYTES_MIN);
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1);
    bytes
}

/// Ends of the groups: bytes into the segment, and events.
fn groups(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut ends = vec![(SEGMENT_HEADER_BYTES, 0)];
    let (mut at, mut events) = (SEGMENT_HEADER_BYTES, 0);
    while let Ok((group, length)) = read_frame(&bytes[at..]) {
        at += length;
        events += group.entries.len();
        ends.push((at, events));
    }
    ends
}

/// Reads a spool whose one segment has these bytes.
fn reread(dir: &Path, bytes: &[u8], padded: bool) -> Result<usize, StartError> {
    let path = epoch_dirs(dir)[0].join("00000000.wal");
    // A new file each time: some filesystems sync one that is truncated and written again.
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    if padded {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(SEGMENT_BYTES_MIN).unwrap();
    }
    let logs = read_spool(dir)?;
    assert_verified(&logs);
    Ok(logs[0].entries.len())
}

#[tokio::test]
async fn a_log_cut_anywhere_ends_with_its_last_whole_group() {
    let dir = tempfile::tempdir().unwrap();
    let whole = small_log(dir.path()).await;
    let ends = groups(&whole);
    assert!(ends.len() > 4, "{ends:?}");
    for padded in [false, true] {
        for cut in SEGMENT_HEADER_BYTES..=whole.len() {
            let (_, want) = ends.iter().rfind(|(end, _)| *end <= cut).unwrap();
            let read = reread(dir.path(), &whole[..cut], padded).unwrap();
            // A group whose last bytes are zero is whole without them.
            let zeros = padded && whole[cut..].iter().take_while(|byte| **byte == 0).count() > 0;
            assert!(read == *want || zeros, "cut at {cut}: {read} of {want}");
        }
    }
    for cut in 0..SEGMENT_HEADER_BYTES {
        let refused = reread(dir.path(), &whole[..cut], false);
        assert!(matches!(refused, Err(StartError::Wal(WalError::Corrupt { .. }))), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_changed_byte_is_corruption_or_a_torn_last_group() {
    let dir = tempfile::tempdir().unwrap();
    let whole = small_log(dir.path()).await;
    let ends = groups(&whole);
    let last = ends[ends.len() - 2];
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        let read = reread(dir.path(), &changed, true);
        match read {
            // The last group was not known to be durable: it counts as torn.
            Ok(events) => assert!(at >= last.0 && events == last.1, "byte {at}: {events} events"),
            Err(StartError::Wal(WalError::Corrupt { .. })) => assert!(at < last.0, "byte {at}"),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_corrupt_log_stops_the_start_and_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let whole = small_log(dir.path()).await;
    let path = epoch_dirs(dir.path())[0].join("00000000.wal");
    let mut changed = whole.clone();
    let (second, _) = groups(&whole)[1];
    changed[second + 50] ^= 1;
    fs::write(&path, &changed).unwrap();
    let refused = Ledger::start(options(dir.path(), 64));
    let Err(StartError::Wal(WalError::Corrupt { path: found, offset, .. })) = refused else {
        panic!("{:?}", refused.err());
    };
    assert_eq!((found, offset), (path.clone(), second as u64));
    assert_eq!(fs::read(path).unwrap(), changed);
    assert_eq!(epoch_dirs(dir.path()).len(), 1, "no other log was begun");
}

#[tokio::test]
async fn groups_that_were_never_synced_may_be_lost_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let whole = small_log(dir.path()).await;
    // A buffered group that the disk lost, and one behind it that it kept: neither was synced.
    let (end, events) = *groups(&whole).last().unwrap();
    let (mut behind, _) = read_frame(&whole[groups(&whole)[3].0..]).unwrap();
    behind.first = events as u64 + 2;
    let sealed = |synced: u64| {
        let mut builder = frame::Builder::new(frame::BODY_BYTES_MAX);
        behind.entries.iter().for_each(|entry| builder.push(&entry.record, entry.decision));
        builder.seal(frame::Codec::Raw, behind.first, synced, &behind.checkpoint)
    };
    let check = |synced: u64, want: Option<usize>| {
        let lost = [&whole[..end], &[0xee; 700], &sealed(synced)].concat();
        assert_eq!(reread(dir.path(), &lost, true).ok(), want, "synced {synced}");
    };
    check(events as u64, Some(events));
    check(events as u64 + 1, None);
}

#[tokio::test]
async fn a_missing_segment_is_corruption() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    for _ in 0..40 {
        let receipt =
            ledger.open(decision_of("large", 50_000), Durability::Buffered, ()).await.unwrap();
        receipt.split().1.close(Completion::new(Outcome::Answered, super::NOW_MS));
    }
    ledger.close().await.unwrap();
    drop(ledger);
    let logs = read_all(dir.path());
    assert_verified(&logs);
    assert_eq!(logs[0].decisions().len(), 40);
    let epoch = &epoch_dirs(dir.path())[0];
    for missing in [0, 1] {
        let other = tempfile::tempdir().unwrap();
        copy(dir.path(), other.path());
        let epoch = other.path().join(epoch.file_name().unwrap());
        fs::remove_file(epoch.join(format!("{missing:08}.wal"))).unwrap();
        let refused = read_spool(other.path()).err();
        assert!(
            matches!(refused, Some(StartError::Wal(WalError::Corrupt { .. }))),
            "{missing}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn what_a_crash_left_open_is_completed_once_in_the_next_log() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    let open = async || ledger.open(decision(), Durability::Strict, ()).await.unwrap();
    let ended = open().await;
    let ended_uid = ended.uid();
    ended.split().1.close(Completion::new(Outcome::Answered, super::NOW_MS));
    let left = [open().await, open().await];
    let mut left_uids = left.each_ref().map(|receipt| receipt.uid());
    left_uids.sort();

    // The machine stops here: only what is on disk is left.
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    let again = start(crashed.path());
    again.close().await.unwrap();
    drop(again);
    let third = start(crashed.path());
    third.close().await.unwrap();
    drop(third);

    let logs = read_all(crashed.path());
    assert_verified(&logs);
    let [old, next, last] = &logs[..] else { panic!("{} logs", logs.len()) };
    assert_eq!(old.decisions().len(), 3);
    assert_eq!(old.completions(), [(ended_uid, "answered".to_owned())]);
    let mut crashed: Vec<(Uuid, String)> = next.completions();
    crashed.sort();
    assert_eq!(crashed, left_uids.map(|uid| (uid, "crashed".to_owned())));
    assert_eq!(last.kinds(), [Kind::LogOpen, Kind::LogClose]);

    let opened = json(&next.entries[0]);
    let previous = opened.pointer("/unmapped/previous").unwrap();
    assert_eq!(text(previous, "/origin"), old.origin);
    assert_eq!(previous["size"], old.entries.len());
    assert_eq!((&previous["closed"], &previous["open"]), (&false.into(), &2.into()));
    let previous = json(&last.entries[0]).pointer("/unmapped/previous").cloned().unwrap();
    assert_eq!(text(&previous, "/origin"), next.origin);
    assert_eq!((&previous["closed"], &previous["open"]), (&true.into(), &0.into()));
    drop(left);
}

#[tokio::test]
async fn what_is_none_of_the_logs_files_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path()).close().await.unwrap();
    let epoch = epoch_dirs(dir.path()).remove(0);
    for name in ["7.wal", "+0000001.wal", "00000000.wal.orig", "README"] {
        fs::write(epoch.join(name), "foreign").unwrap();
    }
    start(dir.path()).close().await.unwrap();
    assert_eq!(read_all(dir.path()).len(), 2);
}

#[tokio::test]
async fn a_log_that_never_was_begun_is_swept_away() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tmp-1795262951123-00000000")).unwrap();
    fs::write(dir.path().join("tmp-1795262951123-00000000/epoch.note"), "half").unwrap();
    start(dir.path()).close().await.unwrap();
    let logs = read_all(dir.path());
    assert_eq!(logs.len(), 1);
    assert_eq!(epoch_dirs(dir.path()).len(), 1);
}
