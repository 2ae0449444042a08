//! What is taken in, in whatever order and through whatever crash, ends as the same evidence; what
//! does not hold is found, and kept aside.

use std::fs;
use std::path::Path;

use ledger::tiles::{Tile, grow};
use ledger::verify::FindingKind::{
    self, Alteration, Equivocation, Fork, Gap, Reorder, Untrusted, WrongKey,
};
use ledger::verify::{LATE_MS, verify_evidence};
use tempfile::TempDir;

use super::*;
use crate::evidence::MANIFEST;
use crate::manifest::{Order, Search};
use crate::sample::{GROUP, Keys, Log, Sent, time_ms};

type Files = BTreeMap<String, Vec<u8>>;

/// When everything arrives.
const NOW_MS: i64 = crate::sample::START_MS + 3_600_000;

/// A directory for evidence.
struct Store {
    directory: TempDir,
    keys: Keys,
}

impl Store {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), keys: Keys::new() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// As after a start.
    fn ingest(&self) -> Ingest {
        let evidence = Evidence::lock(self.path()).unwrap();
        let manifest = Manifest::open(&evidence.manifest()).unwrap();
        Ingest::resume(self.keys.root().clone(), evidence, manifest).unwrap()
    }

    /// The evidence: every file but the manifest's and the lock.
    fn files(&self) -> Files {
        let mut files = Files::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.path()).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    open.push(path);
                } else if !name.starts_with(MANIFEST) && name != "lock" {
                    files.insert(name, fs::read(path).unwrap());
                }
            }
        }
        files
    }

    /// The findings of a verifier that knows these checkpoints.
    fn verify(&self, kept: &[String]) -> Vec<Finding> {
        let evidence = Evidence::open(self.path());
        let origins: Vec<Origin> = evidence.origins().unwrap().into_iter().collect();
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        let read = |path: &str| evidence.read(path);
        verify_evidence(self.keys.root(), &origins, &kept, i64::MIN, read).findings
    }

    /// The checkpoints that are in the evidence.
    fn checkpoints(&self) -> Vec<String> {
        let evidence = Evidence::open(self.path());
        let origins = evidence.origins().unwrap();
        origins.iter().filter_map(|origin| evidence.checkpoint(origin)).collect()
    }
}

/// A log as a directory that was written at once.
fn files(log: &Log) -> Files {
    let path = |name: &str| format!("{}/{name}", log.origin);
    let tiles = grow(0, &log.values, |_: &Tile| None).unwrap();
    let tiles = tiles.into_iter().map(|(tile, bytes)| (path(&tile.to_string()), bytes));
    let texts = [
        ("checkpoint", log.checkpoint(log.values.len())),
        ("issuer.note", log.issuer_note.clone()),
        ("epoch.note", log.epoch_note.clone()),
    ];
    tiles.chain(texts.map(|(name, text)| (path(name), text.into_bytes()))).collect()
}

fn know(ingest: &mut Ingest, log: &Log) {
    let [issuer, epoch] = log.statements();
    ingest.statement(&issuer.0, &issuer.1).unwrap();
    assert_eq!(ingest.statement(&epoch.0, &epoch.1).unwrap(), Statement::Known);
}

fn take(ingest: &mut Ingest, offset: usize, sent: &Sent) {
    let offset = i64::try_from(offset).unwrap();
    let at = Position { topic: "audit.events.v1".to_owned(), partition: 0, offset };
    let Sent { origin, index, value, proof } = sent.clone();
    let event = Event { origin, index, value: value.into_bytes(), proof };
    ingest.event(at, event, NOW_MS).unwrap();
}

fn take_all<'a>(ingest: &mut Ingest, sent: impl IntoIterator<Item = &'a Sent>) {
    sent.into_iter().enumerate().for_each(|(offset, sent)| take(ingest, offset, sent));
}

fn kinds(findings: &[Finding]) -> Vec<(FindingKind, Option<u64>)> {
    findings.iter().map(|finding| (finding.kind, finding.index)).collect()
}

#[track_caller]
fn commit(ingest: &mut Ingest, want: &[(FindingKind, Option<u64>)]) {
    let found = ingest.commit(NOW_MS).unwrap();
    assert_eq!(kinds(&found), want, "{found:#?}");
}

/// How many events the index has of each index of a log, and how many rejected messages there are.
fn counts(ingest: &Ingest) -> (usize, u64) {
    let mut events = 0;
    let count = |_| -> Result<(), ManifestError> {
        events += 1;
        Ok(())
    };
    ingest.manifest().search(&Search::default(), Order::Log, count).unwrap();
    (events, ingest.manifest().rejected())
}

#[test]
fn logs_that_interleave_are_stored_as_if_each_had_come_alone() {
    let store = Store::new();
    let logs = [("gw-a", 700), ("gw-b", 256), ("gw-c", 65)]
        .map(|(instance, count)| Log::new(&store.keys, instance, count - 1).closed());
    let sent = logs.each_ref().map(Log::sent);
    let longest = sent.iter().map(Vec::len).max().unwrap();
    let rows = (0..longest).flat_map(|index| sent.iter().filter_map(move |log| log.get(index)));
    let rows: Vec<&Sent> = rows.collect();
    let mut ingest = store.ingest();
    logs.iter().for_each(|log| know(&mut ingest, log));
    for (at, batch) in rows.chunks(97).enumerate() {
        batch.iter().enumerate().for_each(|(n, sent)| take(&mut ingest, at * 97 + n, sent));
        commit(&mut ingest, &[]);
        assert_eq!(store.verify(&[]), [], "after every batch");
    }
    let kept = logs.each_ref().map(|log| log.checkpoint(log.values.len()));
    assert_eq!(store.verify(&kept), []);
    assert_eq!(counts(&ingest), (700 + 256 + 65, 0));
    assert_eq!(ingest.manifest().offset("audit.events.v1", 0).unwrap(), Some(1021));

    // Partial tiles that were replaced go when nobody can be copying them any more.
    let want: Files = logs.iter().flat_map(files).collect();
    let found = store.files();
    assert!(want.iter().all(|(name, bytes)| found.get(name) == Some(bytes)));
    assert!(found.len() > want.len());
    ingest.malformed(Position { topic: "t".into(), partition: 0, offset: 0 }, "x".into(), vec![]);
    ingest.commit(NOW_MS + 15 * 60 * 1000).unwrap();
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&store.files()), names(&want));
}

/// What of a batch is on disk when a crash falls, before the manifest says so.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Crash {
    Nothing,
    /// But not the checkpoint.
    Tiles,
    Files,
}

impl Crash {
    fn fall(self, store: &Store, mut ingest: Ingest) {
        if self == Self::Nothing {
            return;
        }
        let logs = store.path().join("audit.acme.example/eu1/gw-a");
        let before = store.files();
        for (origin, mut leaves) in std::mem::take(&mut ingest.pending).leaves {
            ingest.store(origin, &mut leaves).unwrap();
        }
        if self == Self::Tiles {
            let epoch =
                fs::read_dir(&logs).ok().and_then(|mut logs| Some(logs.next()?.unwrap().path()));
            let Some(epoch) = epoch else { return };
            let checkpoint = before.iter().find(|(name, _)| name.ends_with("/checkpoint"));
            match checkpoint {
                Some((_, bytes)) => fs::write(epoch.join("checkpoint"), bytes).unwrap(),
                // A new log's directory is not called so before it is whole.
                None => {
                    fs::remove_file(epoch.join("checkpoint")).unwrap();
                    fs::rename(&epoch, epoch.with_extension("new")).unwrap();
                }
            }
        }
    }
}

#[test]
fn after_a_crash_anywhere_the_same_evidence_is_written() {
    let crashes = [Crash::Nothing, Crash::Tiles, Crash::Files];
    // The first batch is less than a group, or some tiles.
    for (crash, first) in crashes.into_iter().flat_map(|crash| [(crash, 0), (crash, 4)]) {
        let store = Store::new();
        let log = Log::new(&store.keys, "gw-a", 999).closed();
        let sent = log.sent();
        let (mut next, mut kept) = (0, Vec::new());
        // Batches of other sizes after each crash, some within a group, some beyond a tile.
        let mut sizes = [3, 10, 200, 60, 300, 45, 1, 290, 91, 500].into_iter().cycle().skip(first);
        while next < sent.len() {
            let size = sizes.next().unwrap();
            let batch = sent.iter().enumerate().skip(next).take(size);
            let mut ingest = store.ingest();
            know(&mut ingest, &log);
            batch.clone().for_each(|(offset, sent)| take(&mut ingest, offset, sent));
            crash.fall(&store, ingest);
            kept.extend(store.checkpoints());
            assert_eq!(store.verify(&kept), [], "{crash:?} at {next}, crashed");

            // It comes again, in a smaller batch.
            let mut ingest = store.ingest();
            know(&mut ingest, &log);
            let size = size.div_ceil(2);
            batch.take(size).for_each(|(offset, sent)| take(&mut ingest, offset, sent));
            commit(&mut ingest, &[]);
            let offset = ingest.manifest().offset("audit.events.v1", 0).unwrap().unwrap();
            next = usize::try_from(offset).unwrap();
            kept.extend(store.checkpoints());
            assert_eq!(store.verify(&kept), [], "{crash:?} at {next}");
            assert_eq!(counts(&ingest), (next, 0));
        }
        drop(store.ingest());
        let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
        let (found, want) = (store.files(), files(&log));
        assert_eq!(names(&found), names(&want), "{crash:?}: a start tidies");
        assert!(found == want, "{crash:?}");
    }
}

#[test]
fn what_came_before_comes_again_and_changes_nothing() {
    let store = Store::new();
    let log = Log::new(&store.keys, "gw-a", 600);
    let sent = log.sent();
    let mut ingest = store.ingest();
    know(&mut ingest, &log);
    take_all(&mut ingest, &sent[..590]);
    take_all(&mut ingest, &sent[..590]);
    commit(&mut ingest, &[]);
    drop(ingest);
    let before = store.files();
    let mut ingest = store.ingest();
    take_all(&mut ingest, &sent[..590]);
    commit(&mut ingest, &[]);
    assert_eq!(store.files(), before);
    take_all(&mut ingest, &sent[300..]);
    ingest.checkpoint(&checkpoints_at(0), &log.checkpoint(100));
    ingest.checkpoint(&checkpoints_at(1), &log.checkpoint(600));
    commit(&mut ingest, &[]);
    assert_eq!(counts(&ingest), (600, 0));
    assert_eq!(store.verify(&[log.checkpoint(600)]), []);
}

fn checkpoints_at(offset: i64) -> Position {
    Position { topic: "audit.checkpoints.v1".to_owned(), partition: 0, offset }
}

#[test]
fn leaves_beyond_a_gap_are_kept_until_it_is_filled() {
    for (restart, filled_in_one) in [(false, true), (false, false), (true, true), (true, false)] {
        let store = Store::new();
        let log = Log::new(&store.keys, "gw-a", 599).closed();
        let sent = log.sent();
        let mut ingest = store.ingest();
        know(&mut ingest, &log);
        take_all(&mut ingest, &sent[..50]);
        commit(&mut ingest, &[]);
        take_all(&mut ingest, &sent[60..300]);
        commit(&mut ingest, &[]);
        take_all(&mut ingest, &sent[300..]);
        commit(&mut ingest, &[]);
        let name = format!("restart {restart}, in one {filled_in_one}");
        assert_eq!(ingest.manifest().stored(&log.origin).unwrap(), Some(49), "{name}");
        assert_eq!(counts(&ingest), (590, 0), "what waits is found: {name}");
        ingest.tick(NOW_MS + LATE_MS);
        commit(&mut ingest, &[(Gap, Some(50))]);
        if restart {
            drop(ingest);
            ingest = store.ingest();
            ingest.tick(NOW_MS + 2 * LATE_MS);
            commit(&mut ingest, &[]);
        }
        if filled_in_one {
            take_all(&mut ingest, &sent[50..60]);
        } else {
            take_all(&mut ingest, &sent[50..53]);
            ingest.commit(NOW_MS).unwrap();
            take_all(&mut ingest, &sent[53..60]);
        }
        let found = ingest.commit(NOW_MS).unwrap();
        let want = if filled_in_one { vec![(Reorder, Some(50))] } else { vec![] };
        assert_eq!(kinds(&found), want, "once: {name}");
        assert_eq!(ingest.manifest().stored(&log.origin).unwrap(), Some(600), "{name}");
        assert_eq!(store.verify(&[log.checkpoint(600)]), [], "{name}");
        assert!(ingest.manifest().ahead(&log.origin, 0).unwrap().is_none(), "{name}");
        assert_eq!(counts(&ingest), (600, 0), "{name}");
    }
}

#[test]
fn a_log_may_come_backwards() {
    let store = Store::new();
    let log = Log::new(&store.keys, "gw-a", 100);
    let mut ingest = store.ingest();
    know(&mut ingest, &log);
    for sent in log.sent().iter().rev() {
        take_all(&mut ingest, [sent]);
        ingest.commit(NOW_MS).unwrap();
    }
    assert_eq!(store.verify(&[log.checkpoint(100)]), []);
    assert_eq!(counts(&ingest), (100, 0));
}

#[test]
fn a_group_is_stored_when_it_is_whole() {
    let store = Store::new();
    let log = Log::new(&store.keys, "gw-a", 3 * GROUP);
    let sent = log.sent();
    let mut ingest = store.ingest();
    know(&mut ingest, &log);
    let mut check = |count: usize, want: usize| {
        take_all(&mut ingest, &sent[..count]);
        commit(&mut ingest, &[]);
        let stored = ingest.manifest().stored(&log.origin).unwrap();
        assert_eq!(stored, Some(want as u64), "{count}");
        assert_eq!(store.verify(&[]), []);
    };
    check(1, 0);
    check(GROUP - 1, 0);
    check(GROUP, GROUP);
    check(2 * GROUP + 3, 2 * GROUP);
    check(3 * GROUP, 3 * GROUP);
}

#[test]
fn another_history_of_the_same_log_is_found_and_kept_aside() {
    let keys = Keys::new();
    let log = Log::new(&keys, "gw-a", 300);
    let (sent, other) = (log.sent(), log.rewritten(100).sent());
    #[track_caller]
    fn check(
        log: &Log,
        restart: bool,
        first: &[Sent],
        then: &[Sent],
        want: &[(FindingKind, Option<u64>)],
    ) {
        let store = Store::new();
        let mut ingest = store.ingest();
        know(&mut ingest, log);
        take_all(&mut ingest, first);
        commit(&mut ingest, &[]);
        if restart {
            drop(ingest);
            ingest = store.ingest();
        }
        take_all(&mut ingest, then);
        commit(&mut ingest, want);
        assert_eq!(counts(&ingest).1, then.len() as u64, "kept aside");
        assert_eq!(store.verify(&[]), [], "the evidence is of one history");
    }
    for restart in [false, true] {
        check(
            &log,
            restart,
            &sent,
            &other[100..101],
            &[
                (if restart { Equivocation } else { Fork }, restart.then_some(100)),
                (if restart { Fork } else { Equivocation }, (!restart).then_some(100)),
            ],
        );
        // The same leaf, in another tree.
        check(&log, restart, &sent, &other[101..102], &[(Fork, None)]);
    }
}

#[test]
fn a_second_leaf_beyond_a_gap_is_found_also_after_a_restart() {
    let store = Store::new();
    let log = Log::new(&store.keys, "gw-a", 300);
    let (sent, other) = (log.sent_in_groups_of(1), log.rewritten(10).sent_in_groups_of(3));
    let mut ingest = store.ingest();
    know(&mut ingest, &log);
    take_all(&mut ingest, [&sent[0], &sent[9], &sent[10]]);
    commit(&mut ingest, &[]);
    drop(ingest);
    let mut ingest = store.ingest();
    take_all(&mut ingest, [&other[10]]);
    commit(&mut ingest, &[(Equivocation, Some(10))]);
    assert_eq!(counts(&ingest), (3, 1));
    let kept = ingest.manifest().ahead(&log.origin, 10).unwrap().unwrap();
    assert_eq!(kept.event.value, sent[10].value.as_bytes());
}

#[test]
fn what_does_not_hold_is_kept_aside() {
    let keys = Keys::new();
    let log = Log::new(&keys, "gw-a", 10);
    let check = |edit: &dyn Fn(&mut Sent), want: (FindingKind, Option<u64>)| {
        let store = Store::new();
        let mut ingest = store.ingest();
        know(&mut ingest, &log);
        let mut sent = log.sent()[0].clone();
        edit(&mut sent);
        take_all(&mut ingest, [&sent]);
        commit(&mut ingest, &[want]);
        assert_eq!(counts(&ingest), (0, 1));
        assert_eq!(
            ingest.manifest().rejected_values(),
            [(want.0.to_string(), sent.value.clone().into_bytes())]
        );
        assert!(store.files().is_empty());
    };
    check(&|sent| sent.value.push(' '), (Alteration, Some(0)));
    check(&|sent| sent.index = 1, (Alteration, Some(1)));
    check(&|sent| sent.proof = "none".to_owned(), (Alteration, Some(0)));
    let stranger = Log::new(&keys, "gw-b", 10);
    check(&|sent| sent.origin = stranger.origin.clone(), (Untrusted, None));
    check(
        &|sent| {
            let (head, _) = sent.proof.split_once("\n\n").unwrap();
            sent.proof = format!("{head}\n\n{}", stranger.checkpoint(GROUP));
        },
        (WrongKey, Some(0)),
    );
}

#[test]
fn checkpoints_by_themselves_say_little_until_the_leaves_come() {
    let store = Store::new();
    let log = Log::new(&store.keys, "gw-a", 300);
    let mut ingest = store.ingest();
    ingest.checkpoint(&checkpoints_at(0), &log.checkpoint(300));
    ingest.checkpoint(&checkpoints_at(1), "no checkpoint");
    know(&mut ingest, &log);
    ingest.checkpoint(&checkpoints_at(2), &log.checkpoint(300));
    ingest.tick(time_ms(1));
    commit(&mut ingest, &[]);
    take_all(&mut ingest, &log.sent());
    commit(&mut ingest, &[]);
    let other = log.rewritten(3);
    ingest.checkpoint(&checkpoints_at(3), &other.checkpoint(200));
    commit(&mut ingest, &[(Fork, None)]);
    drop(ingest);
    let mut ingest = store.ingest();
    ingest.checkpoint(&checkpoints_at(4), &other.checkpoint(201));
    ingest.checkpoint(&checkpoints_at(5), &other.checkpoint(3));
    commit(&mut ingest, &[(Fork, None)]);
    assert_eq!(ingest.manifest().offset("audit.checkpoints.v1", 0).unwrap(), Some(6));
}

#[test]
fn a_forged_checkpoint_ahead_is_found_when_the_leaves_come() {
    let store = Store::new();
    let log = Log::new(&store.keys, "gw-a", 30);
    let mut ingest = store.ingest();
    know(&mut ingest, &log);
    ingest.checkpoint(&checkpoints_at(0), &log.rewritten(3).checkpoint(10));
    take_all(&mut ingest, &log.sent());
    commit(&mut ingest, &[(Fork, None)]);
}

#[test]
fn statements_are_taken_in_halves_and_refused_when_wrong() {
    let store = Store::new();
    let log = Log::new(&store.keys, "gw-a", 10);
    let other = Log::new(&store.keys, "gw-b", 10);
    let mut ingest = store.ingest();
    let [issuer, epoch] = log.statements();
    let mut check = |key: &str, note: &str, want| {
        assert_eq!(ingest.statement(key, note).unwrap(), want, "{key}");
    };
    check("no origin", &epoch.1, Statement::Refused);
    check(&epoch.0, &epoch.1, Statement::Half);
    check(&issuer.0, &"x".repeat(statements::STATEMENT_BYTES_MAX + 1), Statement::Refused);
    check(&issuer.0, &"x".repeat(statements::STATEMENT_BYTES_MAX), Statement::Refused);
    check(&epoch.0, &other.epoch_note, Statement::Half);
    check(&issuer.0, &issuer.1, Statement::Refused);
    check(&issuer.0, &issuer.1, Statement::Half);
    check(&epoch.0, &epoch.1, Statement::Known);
    check(&epoch.0, &epoch.1, Statement::Known);
    let found = ingest.commit(NOW_MS).unwrap();
    assert!(found.iter().all(|finding| finding.kind == Untrusted), "{found:?}");
    assert_eq!(found.len(), 2);
}

#[test]
fn half_statements_have_a_limit() {
    let store = Store::new();
    let mut ingest = store.ingest();
    let origin = |n: usize| format!("audit.acme.example/eu1/gw-{n}/1795262951123-00000001");
    for n in 0..statements::HALVES_MAX {
        assert_eq!(ingest.statement(&origin(n), "half").unwrap(), Statement::Half);
    }
    assert_eq!(
        ingest.statement(&origin(statements::HALVES_MAX), "half").unwrap(),
        Statement::Refused
    );
    assert_eq!(ingest.statement(&origin(0), "half").unwrap(), Statement::Half);
}

#[test]
fn a_log_whose_statements_were_lost_goes_on_when_they_come_again() {
    let store = Store::new();
    let log = Log::new(&store.keys, "gw-a", 300);
    let sent = log.sent();
    let mut ingest = store.ingest();
    know(&mut ingest, &log);
    take_all(&mut ingest, &sent[..150]);
    commit(&mut ingest, &[]);
    drop(ingest);
    fs::remove_file(store.path().join(format!("{}/epoch.note", log.origin))).unwrap();
    assert_eq!(kinds(&store.verify(&[])), [(Untrusted, None)]);
    let mut ingest = store.ingest();
    assert!(!ingest.knows(&log.origin));
    know(&mut ingest, &log);
    take_all(&mut ingest, &sent[140..]);
    commit(&mut ingest, &[]);
    assert_eq!(store.verify(&[log.checkpoint(300)]), []);
}

#[test]
fn verifiers_of_many_logs_forget_and_go_on() {
    let store = Store::new();
    let count = 2 * store::AWAKE_MAX + 1;
    let log = |n: usize| Log::new(&store.keys, &format!("gw-{n:04}"), 2 * GROUP);
    let logs: Vec<Log> = (0..count).map(log).collect();
    let sent: Vec<Vec<Sent>> = logs.iter().map(Log::sent).collect();
    let mut ingest = store.ingest();
    logs.iter().for_each(|log| know(&mut ingest, log));
    let awake = |ingest: &Ingest| ingest.logs.values().filter(|log| log.awake.is_some()).count();
    for (log, want) in [(count - 1, count - 1), (count, store::AWAKE_MAX)] {
        sent.iter().take(log).for_each(|log| take_all(&mut ingest, &log[..2]));
        commit(&mut ingest, &[]);
        assert_eq!(awake(&ingest), want);
    }
    for at in [0, 1, count - 2, count - 1] {
        take_all(&mut ingest, &sent[at]);
    }
    commit(&mut ingest, &[]);
    assert_eq!(counts(&ingest), (2 * count + 4 * (2 * GROUP - 2), 0));
    let kept: Vec<_> = [0, 1, count - 2, count - 1].map(|at| logs[at].checkpoint(2 * GROUP)).into();
    assert_eq!(store.verify(&kept), []);
}

#[test]
fn evidence_is_locked_against_a_second_sink() {
    let store = Store::new();
    let ingest = store.ingest();
    assert!(matches!(Evidence::lock(store.path()), Err(EvidenceError::Locked(_))));
    drop(ingest);
    assert!(Evidence::lock(store.path()).is_ok());
}

#[test]
fn leaves_that_were_not_kept_are_missed() {
    let store = Store::new();
    let log = Log::new(&store.keys, "gw-a", GROUP);
    let sent = log.sent();
    let mut ingest = store.ingest();
    know(&mut ingest, &log);
    take_all(&mut ingest, &sent[..3]);
    commit(&mut ingest, &[]);
    drop(ingest);
    let db = rusqlite::Connection::open(store.path().join(MANIFEST)).unwrap();
    db.execute("DELETE FROM ahead WHERE idx = 1", []).unwrap();
    let mut ingest = store.ingest();
    know(&mut ingest, &log);
    take_all(&mut ingest, &sent[3..]);
    let lost = ingest.commit(NOW_MS).unwrap_err();
    assert!(matches!(lost, IngestError::Lost { size: 7, index: 1, .. }), "{lost}");
    assert!(
        Checkpoint::open(&log.checkpoint(7), ingest.trail.log(&log.origin).unwrap().chain().key())
            .is_ok()
    );
}
