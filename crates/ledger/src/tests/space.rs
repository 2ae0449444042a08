//! A full spool refuses, and still has room for every word that was promised.

use std::path::PathBuf;
use std::time::Duration;

use super::{assert_verified, decision, decision_of, epoch_dirs, json, options, read_all, spool};
use crate::cursor::Trail;
use crate::event::{Completion, Durability, Kind, Outcome, Upstream};
use crate::ledger::{Health, Ledger, Options, StartError, Unavailable};
use crate::wal::spool::Compress;

/// The longest completion there can be.
fn long_completion() -> Completion {
    let mut completion = Completion::new(Outcome::UpstreamFailed, super::NOW_MS);
    let name = "u".repeat(256).into();
    completion.upstream =
        Some(Upstream { name, address: Some("[2001:db8::1]:65535".parse().unwrap()) });
    completion.body_sha256 = Some([0xff; 32]);
    completion
}

#[tokio::test]
async fn a_full_spool_refuses_and_keeps_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), 8);
    options.spool.compress = Compress::Never;
    let ledger = Ledger::start(options).unwrap();
    let mut open = Vec::new();
    let mut refused = 0_u64;
    // Ever smaller decisions, until none fits.
    for bytes in [50_000, 10_000, 1_000, 0] {
        loop {
            match ledger.open(decision_of("x", bytes), Durability::Buffered, ()).await {
                Ok(receipt) => open.push(receipt),
                Err(why) => {
                    assert_eq!(why, Unavailable::Full);
                    refused += 1;
                    break;
                }
            }
        }
    }
    let status = ledger.status();
    assert_eq!((status.health, status.above_watermark), (Health::Full, true));
    assert_eq!((status.unrecorded, status.open_decisions), (refused, open.len() as u64));
    assert!(status.spool_used_bytes <= status.spool_max_bytes);

    let count = open.len();
    for (n, receipt) in open.into_iter().enumerate() {
        match n % 2 {
            0 => receipt.split().1.close(long_completion()),
            _ => drop(receipt),
        }
    }
    ledger.close().await.unwrap();
    drop(ledger);

    let logs = read_all(dir.path());
    assert_verified(&logs);
    let log = &logs[0];
    assert_eq!((log.decisions().len(), log.completions().len()), (count, count));
    assert_eq!(log.kinds().last(), Some(&Kind::LogClose));
    let losses: Vec<_> = log.of_kind(Kind::Lifecycle).into_iter().map(json).collect();
    let losses = losses.iter().filter(|json| json["metadata"]["event_code"] == "loss");
    let counts: Vec<_> = losses
        .map(|json| (json["unmapped"]["reason"].clone(), json["unmapped"]["count"].clone()))
        .collect();
    assert_eq!(counts, [("spool_full".into(), refused.into())]);
    let close = json(log.entries.last().unwrap());
    assert_eq!(close["unmapped"]["counters"]["dropped"], refused);
}

#[tokio::test]
async fn a_spool_that_is_full_at_start_is_refused_until_it_is_shipped() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::start(options(dir.path(), 4)).unwrap();
    while ledger.open(decision_of("x", 50_000), Durability::Buffered, ()).await.is_ok() {}
    ledger.close().await.unwrap();
    drop(ledger);
    let refused = Ledger::start(options(dir.path(), 4));
    assert!(matches!(refused, Err(StartError::Full { .. })), "{:?}", refused.err());

    let mut trail = Trail::of_spool(spool(dir.path(), 4)).unwrap();
    let mut cursor = trail.next().await.unwrap();
    let mut read = 0;
    while let Some(batch) = cursor.read().unwrap() {
        read += batch.entries.len() as u64;
        cursor.confirm(read).unwrap();
    }
    assert!(cursor.save().unwrap(), "all of it was shipped");
    drop((trail, cursor));
    let ledger = Ledger::start(options(dir.path(), 4)).unwrap();
    drop(ledger.open(decision(), Durability::Strict, ()).await.unwrap());
}

#[tokio::test]
async fn a_shipped_segment_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::start(options(dir.path(), 8)).unwrap();
    let mut cursor = ledger.trail().unwrap().next().await.unwrap();
    // Three times what the spool holds.
    let mut read = 0;
    for _ in 0..250 {
        let receipt = ledger.open(decision_of("x", 50_000), Durability::Strict, ()).await.unwrap();
        receipt.split().1.close(Completion::new(Outcome::Answered, super::NOW_MS));
        while let Some(batch) = cursor.read().unwrap() {
            read += batch.entries.len() as u64;
            cursor.confirm(read).unwrap();
        }
        assert!(!cursor.save().unwrap());
    }
    assert_eq!(ledger.status().health, Health::Ok);
    assert_eq!(ledger.status().unrecorded, 0);
    ledger.close().await.unwrap();
    assert_eq!(ledger.status().shipped, read);
}

#[tokio::test]
async fn the_watermark_is_recorded_when_it_is_passed_and_left() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { heartbeat: Duration::from_millis(5), ..options(dir.path(), 8) };
    let ledger = Ledger::start(options).unwrap();
    let mut cursor = ledger.trail().unwrap().next().await.unwrap();
    let mut held = Vec::new();
    while let Ok(receipt) = ledger.open(decision_of("x", 50_000), Durability::Strict, ()).await {
        held.push(receipt);
    }
    let (mut seen, mut next) = (Vec::new(), 0);
    while !(held.is_empty() && seen.last() == Some(&false.into())) {
        assert!(cursor.more().await);
        while let Some(batch) = cursor.read().unwrap() {
            next += batch.entries.len() as u64;
            let events = batch.entries.iter().map(json);
            let marks = events.filter(|json| json["metadata"]["event_code"] == "watermark");
            seen.extend(marks.map(|json| json["unmapped"]["above"].clone()));
        }
        // Once it was passed, everything ends and is shipped.
        if !seen.is_empty() {
            held.clear();
            cursor.confirm(next).unwrap();
            cursor.save().unwrap();
        }
    }
    // Around the mark it may be passed more than once.
    assert_eq!(seen[0], true);
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
}

#[tokio::test]
async fn groups_are_compressed_while_the_spool_is_behind() {
    let check = async |compress: Compress, want: (bool, bool)| {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(dir.path(), 64);
        options.spool.compress = compress;
        let ledger = Ledger::start(options).unwrap();
        // More than a tenth of the spool, in segments of half a megabyte.
        for _ in 0..100 {
            drop(ledger.open(decision_of("x", 50_000), Durability::Strict, ()).await.unwrap());
        }
        ledger.close().await.unwrap();
        let files = std::fs::read_dir(&epoch_dirs(dir.path())[0]).unwrap();
        let mut segments: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        segments.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
        segments.sort();
        let plain = |path: &PathBuf| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(12).any(|window| window == b"203.0.113.24")
        };
        let found = (plain(segments.first().unwrap()), plain(segments.last().unwrap()));
        assert_eq!(found, want, "{compress:?}");
    };
    check(Compress::Never, (true, true)).await;
    check(Compress::Behind, (true, false)).await;
    check(Compress::Always, (false, false)).await;
}
