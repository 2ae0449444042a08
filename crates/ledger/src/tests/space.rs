//! A full spool refuses, and still has room for every word that was promised.

use super::{assert_verified, decision, decision_of, json, options, read_all, spool};
use crate::cursor::Trail;
use crate::event::{Completion, Durability, Kind, Outcome, Upstream};
use crate::ledger::{Health, Ledger, StartError, Unavailable};
use crate::wal::frame::Codec;

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
    options.spool.codec = Codec::Raw;
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
