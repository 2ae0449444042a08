//! What a receipt promises: when it exists, when it is durable, and that it ends.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::{assert_verified, decision, decision_of, once, options, read_all, start, start_on};
use crate::event::{Completion, Durability, Kind, Outcome};
use crate::ledger::{Health, Ledger, Unavailable};
use crate::receipt::Receipt;
use crate::wal::disk::Disk;

#[tokio::test]
async fn gated_is_recorded_before_the_sync_and_durable_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let ledger = start_on(dir.path(), &disk);
    let before = disk.faults.syncs();
    disk.faults.hold_syncs();

    let receipt = ledger.open(decision(), Durability::Gated, ()).await.unwrap();
    assert_eq!(disk.faults.syncs(), before, "the receipt came before any sync");
    let ((), mut open) = receipt.split();
    {
        let mut synced = pin!(open.synced());
        disk.faults.await_held();
        assert!(once(synced.as_mut()).is_pending(), "the sync is being held");
        disk.faults.release();
        assert_eq!(synced.await, Ok(()));
    }
    assert_eq!(open.synced().await, Ok(()), "and so it stays");
    assert!(disk.faults.syncs() > before);
}

#[tokio::test]
async fn strict_has_no_receipt_before_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let ledger = start_on(dir.path(), &disk);
    disk.faults.hold_syncs();

    let mut opening = pin!(ledger.open(decision(), Durability::Strict, ()));
    assert!(once(opening.as_mut()).is_pending());
    disk.faults.await_held();
    assert!(once(opening.as_mut()).is_pending(), "the sync is being held");
    disk.faults.release();
    let ((), mut open) = opening.await.unwrap().split();
    assert_eq!(once(pin!(open.synced())), Poll::Ready(Ok(())));
}

#[tokio::test]
async fn buffered_is_at_most_one_group_behind() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let ledger = start_on(dir.path(), &disk);
    disk.faults.hold_syncs();

    let first = ledger.open(decision(), Durability::Buffered, ()).await.unwrap();
    let ((), mut open) = first.split();
    assert_eq!(once(pin!(open.synced())), Poll::Ready(Ok(())), "buffered never waits");
    let _second = ledger.open(decision(), Durability::Buffered, ()).await.unwrap();
    // A second group, or a moment without one, makes the writer sync.
    disk.faults.await_held();
    assert_eq!(ledger.status().synced, 1, "log_open alone");
    disk.faults.release();
}

#[tokio::test]
async fn every_decision_has_exactly_one_completion() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    let open = async |durability| ledger.open(decision(), durability, ()).await.unwrap();

    let answered = open(Durability::Gated).await;
    let dropped = open(Durability::Buffered).await;
    let dropped_open = open(Durability::Strict).await;
    let held = open(Durability::Gated).await;
    let want = [
        (answered.uid(), "answered"),
        (dropped.uid(), "abandoned"),
        (dropped_open.uid(), "abandoned"),
        (held.uid(), "abandoned"),
    ];
    answered.split().1.close(Completion::new(Outcome::Answered, super::NOW_MS));
    drop(dropped);
    drop(dropped_open.split().1);
    ledger.close().await.unwrap();
    drop(held);
    drop(ledger);

    let logs = read_all(dir.path());
    assert_verified(&logs);
    let log = &logs[0];
    let mut completions = log.completions();
    completions.sort();
    assert_eq!(completions, want.map(|(uid, outcome)| (uid, outcome.to_owned())));
    assert_eq!(log.kinds().first(), Some(&Kind::LogOpen));
    assert_eq!(log.kinds().last(), Some(&Kind::LogClose));
}

#[tokio::test]
async fn a_decision_whose_caller_gave_up_is_abandoned() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let mut options = options(dir.path(), 64);
    options.deadline = Duration::from_millis(20);
    let ledger = Ledger::start_on(options, disk.clone()).unwrap();
    disk.faults.hold_syncs();
    let late = ledger.open(decision_of("late", 16), Durability::Strict, ()).await;
    assert_eq!(late.err(), Some(Unavailable::Late));
    {
        let mut gone = pin!(ledger.open(decision_of("gone", 16), Durability::Gated, ()));
        assert!(once(gone.as_mut()).is_pending());
    }
    disk.faults.release();
    ledger.close().await.unwrap();
    drop(ledger);

    let logs = read_all(dir.path());
    assert_verified(&logs);
    let decisions = logs[0].decisions();
    assert_eq!(decisions.len(), 2);
    let want = decisions.into_iter().map(|uid| (uid, "abandoned".to_owned()));
    let mut completions = logs[0].completions();
    completions.sort();
    assert_eq!(completions, want.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_closed_ledger_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    ledger.close().await.unwrap();
    assert_eq!(ledger.status().health, Health::Closed);
    let refused = ledger.open(decision(), Durability::Buffered, ()).await;
    assert_eq!(refused.err(), Some(Unavailable::Closed));
    assert_eq!(ledger.close().await, Ok(()), "closing twice is closing");
}

#[tokio::test]
async fn a_receipt_keeps_its_index_and_id() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    let decision = decision();
    let uid = decision.uid();
    let receipt = ledger.open(decision, Durability::Gated, Ok::<u8, u16>(7)).await.unwrap();
    let receipt: Receipt<u8> = receipt.transpose().ok().unwrap();
    let receipt = receipt.map(|seven| seven + 1);
    assert_eq!((receipt.index(), receipt.uid(), *receipt.get()), (1, uid, 8));
    let refused =
        ledger.open(super::decision(), Durability::Gated, Err::<u8, u16>(9)).await.unwrap();
    let refused: Receipt<u16> = refused.transpose().err().unwrap();
    assert_eq!((refused.index(), *refused.get()), (2, 9));
}

#[tokio::test]
async fn records_that_the_log_cannot_hold_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    let check = async |value: Vec<u8>, want: Result<u64, Unavailable>| {
        let mut record = decision().into_parts().0;
        record.kind = Kind::Lifecycle;
        record.value = value;
        assert_eq!(ledger.note(record).await, want);
    };
    let max = crate::event::limit::EVENT_BYTES_MAX;
    check(vec![b'x'; max], Ok(1)).await;
    check(vec![b'x'; max + 1], Err(Unavailable::Malformed)).await;
    check(vec![], Err(Unavailable::Malformed)).await;
    check(b"a\nb".to_vec(), Err(Unavailable::Malformed)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn ten_thousand_events_of_eight_tasks_are_all_there_in_order() {
    const TASKS: usize = 8;
    const EACH: usize = 625;
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    let task = |task: usize| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let mut made = Vec::new();
            for n in 0..EACH {
                let durability =
                    [Durability::Gated, Durability::Buffered, Durability::Strict][n % 3];
                let receipt = ledger
                    .open(decision_of(&format!("{task}"), n % 700), durability, ())
                    .await
                    .unwrap();
                made.push((receipt.index(), receipt.uid()));
                receipt.split().1.close(Completion::new(Outcome::Answered, super::NOW_MS));
            }
            made
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(task).collect();
    let mut made = Vec::new();
    for task in tasks {
        let mine = task.await.unwrap();
        assert!(mine.is_sorted(), "a task's decisions are in its order");
        made.extend(mine);
    }
    ledger.close().await.unwrap();
    drop(ledger);

    let logs = read_all(dir.path());
    assert_verified(&logs);
    let log = &logs[0];
    assert_eq!(log.entries.len(), TASKS * EACH * 2 + 2);
    made.sort_unstable();
    let decisions = log.of_kind(Kind::Decision).into_iter();
    assert_eq!(decisions.map(|entry| (entry.index, entry.record.uid)).collect::<Vec<_>>(), made);
    let mut completed: Vec<_> = log.completions().into_iter().map(|(uid, _)| uid).collect();
    let mut decided = log.decisions();
    completed.sort_unstable();
    decided.sort_unstable();
    assert_eq!(completed, decided);
}
