//! What whoever ships the log gets, and what it leaves behind.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use super::{
    Log, assert_verified, copy, decision, decision_of, epoch_dirs, json, options, read_all, start,
    text,
};
use crate::cursor::{Cursor, CursorError};
use crate::event::{Aggregate, Completion, Durability, Kind, Outcome};
use crate::ledger::{Health, Ledger, Options};
use crate::look::Look;
use crate::receipt::Receipt;

async fn open(ledger: &Ledger, bytes: usize) -> Receipt<()> {
    ledger.open(decision_of("x", bytes), Durability::Strict, ()).await.unwrap()
}

async fn open_and_close(ledger: &Ledger, count: usize, bytes: usize) {
    for _ in 0..count {
        open(ledger, bytes)
            .await
            .split()
            .1
            .close(Completion::new(Outcome::Answered, super::NOW_MS));
    }
}

/// Reads and confirms everything that is durable.
fn ship(cursor: &mut Cursor) -> Log {
    let log = Log::read(cursor);
    let next = log.entries.last().map_or(cursor.confirmed(), |entry| entry.index + 1);
    cursor.confirm(next).unwrap();
    log
}

#[tokio::test]
async fn nothing_is_read_before_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let disk = crate::wal::disk::Disk::default();
    let ledger = super::start_on(dir.path(), &disk);
    let mut cursor = ledger.trail().unwrap().next().await.unwrap();
    assert!(ledger.trail().is_none(), "the first caller has it");
    assert_eq!(Log::read(&mut cursor).kinds(), [Kind::LogOpen]);

    disk.faults.hold_syncs();
    let receipt = ledger.open(decision(), Durability::Gated, ()).await.unwrap();
    disk.faults.await_held();
    assert!(cursor.read().unwrap().is_none());
    assert_eq!(cursor.durable(), (1, false));
    disk.faults.release();
    assert!(cursor.more().await);
    assert_eq!(Log::read(&mut cursor).kinds(), [Kind::Decision]);
    drop(receipt);
    assert!(cursor.more().await);
    ledger.close().await.unwrap();
    assert_eq!(Log::read(&mut cursor).kinds(), [Kind::Completion, Kind::LogClose]);
    assert!(!cursor.more().await);
    assert_eq!(cursor.durable(), (4, true));
}

#[tokio::test]
async fn rewinding_goes_back_to_what_is_not_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    open_and_close(&ledger, 5, 16).await;
    let mut cursor = ledger.trail().unwrap().next().await.unwrap();
    ledger.close().await.unwrap();
    let all = Log::read(&mut cursor);
    assert_eq!(all.entries.len(), 12);
    let check = |cursor: &mut Cursor, next: u64| {
        cursor.confirm(next).unwrap();
        cursor.rewind();
        let again = Log::read(cursor);
        assert_eq!(again.entries, all.entries[next as usize..], "from {next}");
    };
    for next in 0..=12 {
        check(&mut cursor, next);
    }
    for wrong in [11, 13] {
        assert!(matches!(cursor.confirm(wrong), Err(CursorError::Confirm { .. })));
    }
}

#[tokio::test]
async fn a_restart_ships_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    open_and_close(&ledger, 5, 16).await;
    let mut cursor = ledger.trail().unwrap().next().await.unwrap();
    ledger.close().await.unwrap();
    let all = Log::read(&mut cursor);
    cursor.confirm(7).unwrap();
    assert!(!cursor.save().unwrap());
    drop((cursor, ledger));

    let again = start(dir.path());
    assert_eq!(again.status().unshipped_epochs, 1);
    let mut trail = again.trail().unwrap();
    let mut old = trail.next().await.unwrap();
    assert_eq!((old.origin(), old.confirmed()), (all.origin.as_str(), 7));
    assert_eq!(ship(&mut old).entries, all.entries[7..]);
    assert!(!old.more().await);
    assert!(old.save().unwrap(), "the epoch is gone");
    assert_eq!(again.status().unshipped_epochs, 0);
    let mut live = trail.next().await.unwrap();
    assert_eq!(live.origin(), again.status().origin);
    again.close().await.unwrap();
    ship(&mut live);
    assert_eq!(again.status().shipped, again.status().size);
    assert!(live.save().unwrap());
    assert!(trail.next().await.is_none());
    assert!(epoch_dirs(dir.path()).is_empty());
    drop((trail, live, old));
    let size = again.status().size;
    drop(again);

    // The next log still names the last one, though nothing is left of it.
    let third = start(dir.path());
    third.close().await.unwrap();
    drop(third);
    let logs = read_all(dir.path());
    let previous = json(&logs[0].entries[0]).pointer("/unmapped/previous").cloned().unwrap();
    assert_eq!(previous["size"], size);
    assert_eq!(previous["closed"], true);
}

#[tokio::test]
async fn an_open_decision_outlives_its_segment() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    let mut cursor = ledger.trail().unwrap().next().await.unwrap();
    let long = open(&ledger, 16).await;
    let ends = open(&ledger, 16).await;
    for _ in 0..3 {
        open_and_close(&ledger, 15, 50_000).await;
        ship(&mut cursor);
        cursor.save().unwrap();
    }
    let ended = ends.uid();
    ends.split().1.close(Completion::new(Outcome::Answered, super::NOW_MS));
    while ledger.status().open_decisions > 1 {
        tokio::task::yield_now().await;
    }
    let epoch = epoch_dirs(dir.path())[0].clone();
    assert!(!epoch.join("00000000.wal").exists(), "the decision's segment is gone");

    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    start(crashed.path()).close().await.unwrap();
    let logs = read_all(crashed.path());
    let completions = logs[1].completions();
    let crashed: Vec<_> = completions.iter().filter(|(_, outcome)| outcome == "crashed").collect();
    assert!(crashed.iter().any(|(uid, _)| *uid == long.uid()), "{crashed:?}");
    assert!(crashed.iter().all(|(uid, _)| *uid != ended), "{crashed:?}");
    assert_eq!(crashed.len(), 1, "what was completed is not completed again");
}

#[tokio::test]
async fn an_idle_log_shows_signs_of_life() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { heartbeat: Duration::from_millis(5), ..options(dir.path(), 64) };
    let ledger = Ledger::start(options).unwrap();
    let mut cursor = ledger.trail().unwrap().next().await.unwrap();
    ledger.count_request();
    ledger.count_request();
    ledger.count_answer();
    drop(open(&ledger, 16).await);
    let aggregate = Aggregate {
        start_ms: super::NOW_MS,
        end_ms: super::NOW_MS,
        source: [203, 0, 113, 24].into(),
        prefix_bits: 32,
        scope: "folded",
        counts: &[("bare_lf", 4), ("throttled", 3)],
    };
    ledger.aggregate(&aggregate).await.unwrap();
    let mut entries = Vec::new();
    let beat = loop {
        assert!(cursor.more().await);
        entries.extend(Log::read(&mut cursor).entries);
        let beats = entries.iter().filter(|entry| entry.record.kind == Kind::Heartbeat);
        let complete = |json: &serde_json::Value| {
            let counters = &json["unmapped"]["counters"];
            counters["aggregated"] == 7 && counters["completions"] == 1
        };
        if let Some(beat) = beats.map(json).find(complete) {
            break beat;
        }
    };
    let counters = &beat["unmapped"]["counters"];
    let check = |name: &str, want: u64| assert_eq!(counters[name], want, "{name}");
    check("requests", 2);
    check("answers", 1);
    check("decisions", 1);
    check("completions", 1);
    check("dropped", 0);
    assert!(counters["event_bytes"].as_u64().unwrap() > 1000);
}

#[tokio::test]
async fn an_old_log_is_closed_and_the_next_one_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        heartbeat: Duration::from_millis(5),
        epoch_max: Duration::ZERO,
        ..options(dir.path(), 64)
    };
    let ledger = Ledger::start(options).unwrap();
    let mut trail = ledger.trail().unwrap();
    let long = open(&ledger, 16).await;
    let uid = long.uid();
    let mut long = Some(long);
    let mut logs: Vec<Log> = Vec::new();
    while logs.len() < 4 || long.is_some() {
        let mut cursor = trail.next().await.unwrap();
        let mut entries = Vec::new();
        while cursor.more().await {
            entries.extend(Log::read(&mut cursor).entries);
        }
        logs.push(Log { entries, ..Log::read(&mut cursor) });
        if logs.iter().any(|log| log.decisions() == [uid]) {
            // Its log has ended: the completion goes to a later one.
            drop(long.take());
        }
    }
    assert_verified(&logs);
    for log in &logs {
        assert_eq!(log.kinds().first(), Some(&Kind::LogOpen));
        assert_eq!(log.kinds().last(), Some(&Kind::LogClose));
    }
    for pair in logs.windows(2) {
        let previous = json(&pair[1].entries[0]).pointer("/unmapped/previous").cloned().unwrap();
        assert_eq!(text(&previous, "/origin"), pair[0].origin);
        assert_eq!(previous["size"], pair[0].entries.len());
    }
    ledger.close().await.unwrap();
    drop((ledger, trail));
    let all = read_all(dir.path());
    assert_verified(&all);
    let decided = all.iter().position(|log| log.decisions() == [uid]).unwrap();
    let (before, after) = all.split_at(decided + 1);
    assert!(before.iter().all(|log| log.completions().is_empty()));
    let completions: Vec<_> = after.iter().flat_map(Log::completions).collect();
    assert_eq!(completions, [(uid, "abandoned".to_owned())]);
}

/// Jumps while a ledger runs whose key is valid from 1000 s before to 1 000 000 s after.
async fn jump(clock: fn() -> i64, to: impl Fn()) -> (Vec<Log>, Health) {
    let dir = tempfile::tempdir().unwrap();
    let options =
        Options { heartbeat: Duration::from_millis(5), now: clock, ..options(dir.path(), 64) };
    let ledger = Ledger::start(options).unwrap();
    let mut trail = ledger.trail().unwrap();
    let mut cursor = trail.next().await.unwrap();
    to();
    while cursor.more().await {
        Log::read(&mut cursor);
    }
    let health = ledger.status().health;
    let _ = ledger.close().await;
    drop((ledger, trail, cursor));
    (read_all(dir.path()), health)
}

#[tokio::test]
async fn a_log_whose_key_is_not_valid_any_more_is_closed() {
    static CLOCK: AtomicI64 = AtomicI64::new(0);
    for jumped_s in [26 * 3600, -400] {
        CLOCK.store(super::NOW_MS, Ordering::Relaxed);
        let to = || CLOCK.store(super::NOW_MS + jumped_s * 1000, Ordering::Relaxed);
        let (logs, health) = jump(|| CLOCK.load(Ordering::Relaxed), to).await;
        assert_eq!(health, Health::Ok, "{jumped_s}");
        assert_eq!(logs[0].kinds().last(), Some(&Kind::LogClose), "{jumped_s}");
        let mut times = logs[1].entries.iter().map(|entry| entry.record.time_ms);
        assert!(times.all(|time_ms| time_ms == super::NOW_MS + jumped_s * 1000), "{jumped_s}");
    }
}

#[tokio::test]
async fn nothing_is_recorded_once_the_issuers_key_has_expired() {
    static CLOCK: AtomicI64 = AtomicI64::new(super::NOW_MS);
    let to = || CLOCK.store(super::NOW_MS + 1_000_001_000, Ordering::Relaxed);
    let (logs, health) = jump(|| CLOCK.load(Ordering::Relaxed), to).await;
    assert!(matches!(&health, Health::Failed(why) if why.contains("expired")), "{health:?}");
    assert_eq!(logs.len(), 1);
}

#[tokio::test]
async fn the_files_of_a_log_are_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("spool");
    let ledger = start(&dir);
    let check = |path: &std::path::Path, want: u32| {
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            want,
            "{}",
            path.display()
        );
    };
    check(&dir, 0o700);
    let epoch = &epoch_dirs(&dir)[0];
    check(epoch, 0o700);
    for name in ["epoch.note", "issuer.note", "00000000.wal"] {
        check(&epoch.join(name), 0o600);
    }
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn deleting_goes_on_after_it_failed() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::start(options(dir.path(), 64)).unwrap();
    let mut cursor = ledger.trail().unwrap().next().await.unwrap();
    // Four segments of half a megabyte.
    open_and_close(&ledger, 36, 50_000).await;
    let epoch = epoch_dirs(dir.path()).remove(0);
    let segments = || {
        let files = fs::read_dir(&epoch).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "wal")).count()
    };
    let (before, used) = (segments(), ledger.status().spool_used_bytes);
    ship(&mut cursor);

    // How far it was shipped cannot be written, then a segment cannot be deleted.
    let (note, second) = (epoch.join("shipped.tmp"), epoch.join("00000001.wal"));
    fs::create_dir(&note).unwrap();
    let refused = cursor.save().unwrap_err();
    assert!(matches!(refused, CursorError::Note { .. }) && refused.may_pass(), "{refused}");
    assert_eq!(segments(), before);
    fs::remove_dir(&note).unwrap();
    let aside = dir.path().join("aside");
    fs::rename(&second, &aside).unwrap();
    fs::create_dir(&second).unwrap();
    assert!(cursor.save().unwrap_err().may_pass());
    fs::remove_dir(&second).unwrap();
    fs::rename(&aside, &second).unwrap();

    assert!(!cursor.save().unwrap());
    assert_eq!(segments(), before - 3, "all that are wholly shipped");
    assert!(ledger.status().spool_used_bytes < used / 2, "and their room is there again");
}

#[tokio::test]
async fn an_epoch_that_was_not_read_to_its_end_stays() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(&dir.path().join("a"));
    open_and_close(&ledger, 5, 16).await;
    let mut cursor = ledger.trail().unwrap().next().await.unwrap();
    while cursor.confirmed() < 11 {
        assert!(cursor.more().await);
        ship(&mut cursor);
    }
    assert!(!cursor.save().unwrap());
    // A crash after all of it was shipped, and before it was deleted.
    let crashed = dir.path().join("b");
    copy(&dir.path().join("a"), &crashed);

    let again = start(&crashed);
    let mut old = again.trail().unwrap().next().await.unwrap();
    assert_eq!((old.confirmed(), old.durable()), (11, (11, true)));
    assert!(!old.save().unwrap(), "its root is not known yet");
    assert_eq!(epoch_dirs(&crashed).len(), 2);
    assert!(old.read().unwrap().is_none());
    assert!(old.save().unwrap());
    assert_eq!(epoch_dirs(&crashed).len(), 1);
}

#[tokio::test]
async fn deleting_an_epoch_goes_on_after_it_failed() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    open_and_close(&ledger, 5, 16).await;
    let mut cursor = ledger.trail().unwrap().next().await.unwrap();
    ledger.close().await.unwrap();
    ship(&mut cursor);
    let epoch = epoch_dirs(dir.path()).remove(0);
    let name = epoch.file_name().unwrap().to_str().unwrap().to_owned();
    let doomed = dir.path().join(format!("tmp-{name}"));

    // Something is in the way of its new name; then it has that name, and all of it is there.
    fs::write(&doomed, "").unwrap();
    assert!(cursor.save().unwrap_err().may_pass());
    fs::remove_file(&doomed).unwrap();
    fs::rename(&epoch, &doomed).unwrap();
    assert!(cursor.save().unwrap());
    assert!(!epoch.exists() && !doomed.exists());
    assert_eq!(ledger.status().spool_used_bytes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_on_while_it_is_written_finds_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    let over = Arc::new(AtomicBool::new(false));
    let (path, until) = (dir.path().to_owned(), Arc::clone(&over));
    let looking = std::thread::spawn(move || {
        let mut groups = 0_usize;
        while !until.load(Ordering::Relaxed) {
            for mut log in Look::all(&path).unwrap() {
                while log.group().unwrap().is_some() {
                    groups += 1;
                }
            }
        }
        groups
    });
    for _ in 0..50 {
        open_and_close(&ledger, 20, 500).await;
    }
    over.store(true, Ordering::Relaxed);
    assert!(looking.join().expect("no damage") > 0);
    ledger.close().await.unwrap();
}
