//! What a failing disk does to the log: nothing is lost, or everything is refused.

use std::time::Duration;

use super::{
    assert_verified, decision, decision_of, epoch_dirs, once, options, read_all, start_on,
};
use crate::event::{Completion, Durability, Kind, Outcome};
use crate::ledger::{Health, Ledger, Options, Unavailable};
use crate::receipt::Receipt;
use crate::wal::disk::Disk;
use crate::wal::disk::faults::Faults;
use crate::wal::spool::SpoolOptions;

async fn record(ledger: &Ledger, durability: Durability) -> Result<Receipt<()>, Unavailable> {
    ledger.open(decision(), durability, ()).await
}

/// Records, lets the disk fail once, records on, and expects all of it in a log that verifies.
async fn survives(break_it: impl Fn(&Faults), durability: Durability) {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let ledger = start_on(dir.path(), &disk);
    for round in 0..3 {
        drop(record(&ledger, Durability::Strict).await.unwrap());
        if round == 1 {
            break_it(&disk.faults);
        }
        let ((), mut open) = record(&ledger, durability).await.unwrap().split();
        open.synced().await.unwrap();
        open.close(Completion::new(Outcome::Answered, super::NOW_MS));
    }
    assert_eq!(ledger.status().health, Health::Ok);
    ledger.close().await.unwrap();
    drop(ledger);
    let logs = read_all(dir.path());
    assert_verified(&logs);
    assert_eq!(logs[0].decisions().len(), 6);
    assert_eq!(logs[0].completions().len(), 6);
    assert_eq!(logs[0].kinds().last(), Some(&Kind::LogClose));
}

#[tokio::test]
async fn one_failed_write_or_sync_loses_nothing() {
    for durability in [Durability::Strict, Durability::Gated, Durability::Buffered] {
        survives(|faults| faults.fail_syncs(1), durability).await;
        for torn in [0, 1, 40, 700, usize::MAX] {
            survives(|faults| faults.fail_writes(1, torn), durability).await;
        }
    }
}

#[tokio::test]
async fn a_second_failure_refuses_everything() {
    let check = async |break_it: fn(&Faults), durability| {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        let ledger = start_on(dir.path(), &disk);
        let good = record(&ledger, Durability::Strict).await.unwrap();
        break_it(&disk.faults);
        let failed = match record(&ledger, durability).await {
            Ok(receipt) => receipt.split().1.synced().await.err(),
            Err(why) => Some(why),
        };
        assert_eq!(failed, Some(Unavailable::Failed));
        assert_eq!(record(&ledger, Durability::Buffered).await.err(), Some(Unavailable::Failed));
        assert!(matches!(ledger.status().health, Health::Failed(_)));
        assert_eq!(ledger.close().await, Err(Unavailable::Failed));
        let uid = good.uid();
        drop((good, ledger));
        let logs = read_all(dir.path());
        assert_verified(&logs);
        assert_eq!(logs[0].decisions().first(), Some(&uid), "what was durable still is");
    };
    for durability in [Durability::Strict, Durability::Gated] {
        check(|faults| faults.fail_syncs(2), durability).await;
        check(|faults| faults.fail_writes(2, 300), durability).await;
    }
}

#[tokio::test]
async fn a_synced_that_failed_goes_on_failing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let ledger = start_on(dir.path(), &disk);
    disk.faults.hold_syncs();
    let ((), mut open) = record(&ledger, Durability::Gated).await.unwrap().split();
    disk.faults.await_held();
    disk.faults.fail_syncs(2);
    disk.faults.release();
    assert_eq!(open.synced().await, Err(Unavailable::Failed));
    assert_eq!(open.synced().await, Err(Unavailable::Failed));
}

#[tokio::test]
async fn a_disk_that_does_not_answer_is_said_until_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut options = options(dir.path(), 64);
    options.deadline = Duration::from_millis(5);
    let ledger = Ledger::start_on(options, disk.clone()).unwrap();
    disk.faults.hold_syncs();
    assert_eq!(record(&ledger, Durability::Strict).await.err(), Some(Unavailable::Late));
    disk.faults.await_held();
    let until = async |want: Health| {
        while ledger.status().health != want {
            tokio::task::yield_now().await;
        }
    };
    until(Health::Stalled).await;
    disk.faults.release();
    until(Health::Ok).await;
}

#[tokio::test]
async fn a_log_whose_files_are_gone_refuses_everything() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { heartbeat: Duration::from_millis(5), ..options(dir.path(), 64) };
    let ledger = Ledger::start(options).unwrap();
    drop(record(&ledger, Durability::Strict).await.unwrap());
    std::fs::rename(&epoch_dirs(dir.path())[0], dir.path().join("elsewhere")).unwrap();
    while record(&ledger, Durability::Strict).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(ledger.status().health, Health::Failed(_)));
}

#[tokio::test]
async fn a_full_disk_is_a_full_spool_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let ledger = start_on(dir.path(), &disk);
    disk.faults.fill(true);
    let mut held = Vec::new();
    let refused = loop {
        match ledger.open(decision_of("large", 50_000), Durability::Buffered, ()).await {
            Ok(receipt) => held.push(receipt),
            Err(why) => break why,
        }
    };
    assert_eq!(refused, Unavailable::Full);
    assert_eq!(ledger.status().health, Health::Full);
    disk.faults.fill(false);
    // The maker of segments tries again by itself.
    loop {
        if let Ok(receipt) =
            ledger.open(decision_of("large", 50_000), Durability::Buffered, ()).await
        {
            held.push(receipt);
            break;
        }
        tokio::task::yield_now().await;
    }
    let count = held.len();
    drop(held);
    ledger.close().await.unwrap();
    drop(ledger);
    let logs = read_all(dir.path());
    assert_verified(&logs);
    assert_eq!(logs[0].completions().len(), count);
}

#[tokio::test]
async fn the_queue_drains_in_groups() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut options = options(dir.path(), 0);
    // Room for all 300 at once.
    options.spool = SpoolOptions { volatile: true, ..SpoolOptions::new(dir.path(), 1 << 28) };
    let ledger = Ledger::start_on(options, disk.clone()).unwrap();
    disk.faults.hold_syncs();
    let _first = record(&ledger, Durability::Gated).await.unwrap();
    disk.faults.await_held();
    let before = disk.faults.syncs();
    // In one task, tokio would hold back all but the first ones.
    let opening = |_| Box::pin(tokio::task::unconstrained(record(&ledger, Durability::Strict)));
    let mut waiting: Vec<_> = (0..300).map(opening).collect();
    for opening in &mut waiting {
        assert!(once(opening.as_mut()).is_pending());
    }
    disk.faults.release();
    let mut receipts = Vec::new();
    for opening in waiting {
        receipts.push(opening.await.unwrap());
    }
    // One for the first, and two for 300 in groups of at most 256.
    let syncs = disk.faults.syncs() - before;
    assert_eq!(syncs, 3);
    assert_eq!(ledger.status().size, 302);
}
