//! Tampering, and that it is found.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::FindingKind::{
    Alteration, Clock, Duplicate, Equivocation, Fork, Gap, Reorder, Rollback, Silence, Truncation,
    Untrusted, WrongKey,
};
use super::log::HELD_MAX;
use super::recent::RECENT_MAX;
use super::sample::{GROUP, Keys, Log, START_MS, Sent, epochs, event, feed, kinds};
use super::*;
use crate::event::{Digests, LogOpen, Producer};
use crate::keys::KeyError;
use crate::note::{PrivateKey, Signer, encode_hash};
use crate::tlog::leaf_hash;

fn log(count: usize) -> Log {
    Log::new(&Keys::new(100), 0, count, None)
}

/// The same epoch with the same key, and another history from leaf `from` on.
fn rewritten(count: usize, from: usize) -> Log {
    let mut log = log(count);
    for value in &mut log.values[from..] {
        *value = value.replace(r#""unmapped":{"#, r#""unmapped":{"rewritten":1,"#);
    }
    log
}

/// What a verifier that holds the newest checkpoint finds in tampered messages.
fn check(name: &str, tamper: impl Fn(&mut Vec<Sent>), want: &[(FindingKind, Option<u64>)]) {
    let log = log(32).closed();
    let mut messages = log.messages();
    tamper(&mut messages);
    let mut verifier = log.verifier();
    assert_eq!(verifier.checkpoint(&log.newest()), Standing::Ahead);
    feed(&mut verifier, &messages);
    verifier.finish();
    assert_eq!(kinds(&verifier.take_findings()), want, "{name}");
}

#[test]
fn tampering_with_messages_is_found() {
    check("nothing", |_| {}, &[]);
    check(
        "modify one",
        |sent| sent[7].value = sent[7].value.replace("decision", "decisiom"),
        &[(Alteration, Some(7)), (Gap, Some(7))],
    );
    check("delete one", |sent| drop(sent.remove(7)), &[(Gap, Some(7))]);
    check("delete a group", |sent| drop(sent.drain(GROUP..2 * GROUP)), &[(Gap, Some(5))]);
    check("delete the first", |sent| drop(sent.remove(0)), &[(Gap, Some(0))]);
    check("swap two", |sent| sent.swap(7, 8), &[(Reorder, Some(7))]);
    check("replay one", |sent| sent.push(sent[7].clone()), &[]);
    check("cut the tail", |sent| sent.truncate(30), &[(Truncation, Some(30))]);
    check("cut a group", |sent| sent.truncate(25), &[(Truncation, Some(25))]);
    check("cut all", |sent| sent.clear(), &[(Truncation, Some(0))]);
    check(
        "insert a forged one",
        |sent| {
            let forged = Sent { value: event(START_MS, "decision", ""), ..sent[7].clone() };
            sent.insert(8, forged);
        },
        &[(Alteration, Some(7))],
    );
    check(
        "replay one as another",
        |sent| {
            let replayed = Sent { index: 12, ..sent[7].clone() };
            sent[12] = replayed;
        },
        &[(Alteration, Some(12)), (Gap, Some(12))],
    );
    check(
        "spoil a proof",
        |sent| sent[7].proof.truncate(100),
        &[(Alteration, Some(7)), (Gap, Some(7))],
    );
}

#[test]
fn a_history_signed_again_with_the_stolen_key_is_a_fork() {
    let (log, other) = (log(30), rewritten(30, 7));
    let mut verifier = log.verifier();
    verifier.checkpoint(&log.newest());
    feed(&mut verifier, &other.messages());
    verifier.finish();
    let found: BTreeSet<_> = verifier.take_findings().iter().map(|finding| finding.kind).collect();
    assert_eq!(found, BTreeSet::from([Fork, Truncation]));

    // The kept checkpoint lies within a group: it is compared when the leaves get there.
    let mut verifier = log.verifier();
    verifier.checkpoint(&log.checkpoint(28));
    feed(&mut verifier, &other.messages());
    verifier.finish();
    assert_eq!(kinds(&verifier.take_findings()), [(Fork, None)]);

    // Without memory of the old one there is nothing to compare it with.
    let mut verifier = log.verifier();
    feed(&mut verifier, &other.messages());
    verifier.finish();
    assert_eq!(kinds(&verifier.take_findings()), []);
}

#[test]
fn two_signed_leaves_for_one_index_are_an_equivocation() {
    let (log, other) = (log(20), rewritten(21, 7));
    let mut verifier = log.verifier();
    feed(&mut verifier, &log.messages());
    let messages = other.messages();
    // Its checkpoint has 10 leaves: it is compared with the root that the first 10 had.
    assert_eq!(verifier.message(&messages[8].message()), Outcome::Rejected);
    let want = [(Fork, None), (Equivocation, Some(8))];
    assert_eq!(kinds(&verifier.take_findings()), want);
    // Its checkpoint has 21 leaves: nothing to compare it with yet, but the leaf is known.
    let path = crate::tlog::Tree::new(&leaves(&other)).inclusion_path(8, 21).unwrap();
    let proof = crate::proof::format(8, &path, &other.newest());
    let late = Sent { proof, ..messages[8].clone() };
    assert_eq!(verifier.message(&late.message()), Outcome::Rejected);
    assert_eq!(kinds(&verifier.take_findings()), [(Equivocation, Some(8))]);
}

fn leaves(log: &Log) -> Vec<crate::tlog::Hash> {
    log.values.iter().map(|value| leaf_hash(value.as_bytes())).collect()
}

#[test]
fn outcomes_say_what_to_do_with_a_message() {
    let log = log(12);
    let sent = log.messages();
    let mut verifier = log.verifier().strict();
    let order = [0, 0, 2, 2, 3, 1, 4, 11];
    let messages: Vec<_> = order.iter().map(|index| sent[*index].clone()).collect();
    let outcomes = feed(&mut verifier, &messages);
    use Outcome::{Ahead, Duplicate as Again, Next};
    assert_eq!(outcomes, [Next, Again, Ahead, Again, Ahead, Next, Next, Ahead]);
    let want = [(Duplicate, Some(0)), (Duplicate, Some(2)), (Reorder, Some(1))];
    assert_eq!(kinds(&verifier.take_findings()), want);
    assert_eq!(verifier.size(), 5);

    let seen_ms = sent[11].message().seen_ms;
    verifier.tick(seen_ms + LATE_MS - 1);
    assert_eq!(kinds(&verifier.take_findings()), []);
    for _ in 0..2 {
        verifier.tick(seen_ms + LATE_MS);
    }
    assert_eq!(kinds(&verifier.take_findings()), [(Gap, Some(5))]);
}

#[test]
fn a_verifier_goes_on_after_a_restart() {
    let log = log(32).closed();
    let sent = log.messages();
    let mut first = log.verifier();
    feed(&mut first, &sent[..17]);
    let mut second = LogVerifier::resume(log.chain(), first.summary().clone());
    let outcomes = feed(&mut second, &sent[14..]);
    assert!(matches!(&outcomes[0], Outcome::Past { leaf, .. } if *leaf == leaves(&log)[14]));
    assert!(outcomes[3..].iter().all(|outcome| *outcome == Outcome::Next));
    second.finish();
    assert_eq!(kinds(&second.take_findings()), []);
    assert_eq!(second.summary().frontier, log.frontier());
    assert!(second.summary().closed);
    let past = log.checkpoint(10);
    assert!(matches!(second.checkpoint(&past), Standing::Past(known) if known.size == 10));
    assert_eq!(second.checkpoint(&log.checkpoint(20)), Standing::Proven);
}

#[test]
fn leaves_further_back_than_remembered_are_the_callers_to_compare() {
    let log = log(RECENT_MAX + 10);
    let sent = log.messages();
    let mut verifier = log.verifier();
    feed(&mut verifier, &sent);
    assert!(matches!(verifier.message(&sent[9].message()), Outcome::Past { .. }));
    assert_eq!(verifier.message(&sent[10].message()), Outcome::Duplicate);
}

#[test]
fn leaves_beyond_a_gap_are_remembered_up_to_a_limit() {
    let log = log(HELD_MAX + 2);
    let sent = log.messages_in_groups_of(HELD_MAX + 2);
    let mut verifier = log.verifier();
    let ahead = feed(&mut verifier, &sent[1..]);
    assert!(ahead.iter().all(|outcome| *outcome == Outcome::Ahead));
    assert_eq!(verifier.message(&sent[HELD_MAX].message()), Outcome::Duplicate);
    assert_eq!(verifier.message(&sent[HELD_MAX + 1].message()), Outcome::Ahead);
    assert_eq!(verifier.message(&sent[0].message()), Outcome::Next);
    assert_eq!(verifier.size(), HELD_MAX as u64 + 1);
    assert_eq!(verifier.message(&sent[HELD_MAX + 1].message()), Outcome::Next);
    assert_eq!(verifier.summary().frontier, log.frontier());
}

#[test]
fn groups_are_verified_as_a_whole() {
    let log = log(12);
    let group = |verifier: &mut LogVerifier, first: usize, end: usize, size: usize| {
        verifier.group(first as u64, &log.values[first..end], &log.checkpoint(size))
    };
    let mut verifier = log.verifier();
    assert_eq!(group(&mut verifier, 0, 5, 5), Outcome::Next);
    let mut refused = |first, end, size, want| {
        assert_eq!(group(&mut verifier, first, end, size), Outcome::Rejected);
        assert_eq!(kinds(&verifier.take_findings()), [(want, Some(first as u64))]);
    };
    refused(6, 8, 8, Gap);
    refused(4, 8, 8, Reorder);
    refused(5, 7, 8, Alteration);
    refused(5, 9, 8, Alteration);
    assert_eq!(group(&mut verifier, 5, 12, 12), Outcome::Next);
    assert_eq!(verifier.summary().frontier, log.frontier());
    let other = rewritten(15, 13);
    let altered = verifier.group(12, &other.values[12..14], &other.newest());
    assert_eq!(altered, Outcome::Rejected);
}

#[test]
fn checkpoints_by_others_are_not_taken() {
    let log = log(10);
    let mut verifier = log.verifier();
    let thief = Signer::new(log.origin.as_str(), &PrivateKey::from_seed([99; 32])).unwrap();
    let theirs = thief.sign_checkpoint(10, &log.frontier().root());
    assert_eq!(verifier.checkpoint(&theirs), Standing::Rejected);
    assert_eq!(kinds(&verifier.take_findings()), [(WrongKey, None)]);
    let altered = log.newest().replace("\n10\n", "\n11\n");
    assert_eq!(verifier.checkpoint(&altered), Standing::Rejected);
    assert_eq!(kinds(&verifier.take_findings()), [(Alteration, None)]);
    let mut sent = log.messages().remove(0);
    sent.proof = crate::proof::format(0, &[], &thief.sign_checkpoint(1, &leaves(&log)[0]));
    assert_eq!(verifier.message(&sent.message()), Outcome::Rejected);
    assert_eq!(kinds(&verifier.take_findings()), [(WrongKey, Some(0))]);
}

/// Findings about the times that records have, for records at these offsets from the start.
fn check_times(offsets_ms: &[i64], want: &[(FindingKind, Option<u64>)]) {
    let mut log = log(1);
    log.values.extend(offsets_ms.iter().map(|offset| event(START_MS + offset, "heartbeat", "")));
    let mut verifier = log.verifier();
    feed(&mut verifier, &log.messages());
    assert_eq!(kinds(&verifier.take_findings()), want, "{offsets_ms:?}");
}

#[test]
fn times_that_cannot_be_right_are_found() {
    check_times(&[1000, 1000, 31_000, 29_000], &[]);
    check_times(&[30_000, 60_001], &[(Silence, Some(2))]);
    check_times(&[-CLOCK_MS], &[]);
    check_times(&[-CLOCK_MS - 200], &[(Clock, Some(1)), (Untrusted, Some(1))]);
    let steps: Vec<_> = (1..5).map(|step| step * 30_000).collect();
    // Message `n` arrives `n + 1` seconds after the start.
    check_times(&steps, &[]);
    let steps: Vec<_> = (1..6).map(|step| step * 30_000).collect();
    check_times(&steps, &[(Clock, Some(5))]);

    // The key is valid for an hour.
    let mut log = log(1);
    log.values.extend((1..130).map(|n| event(START_MS + n * 30_000, "heartbeat", "")));
    let mut verifier = log.verifier();
    for group in [0..1, 1..130] {
        let checkpoint = log.checkpoint(group.end);
        verifier.group(group.start as u64, &log.values[group], &checkpoint);
    }
    assert_eq!(kinds(&verifier.take_findings()), [(Untrusted, Some(125))]);
}

#[test]
fn a_log_begins_with_log_open() {
    for first in [
        event(START_MS, "decision", ""),
        "no event".into(),
        event(START_MS, "log_open", r#""previous":{}"#),
    ] {
        let mut log = log(2);
        log.values[0] = first;
        let mut verifier = log.verifier();
        feed(&mut verifier, &log.messages());
        assert_eq!(kinds(&verifier.take_findings()), [(Rollback, Some(0))]);
    }
}

/// What is found between epochs, by the origin's number.
fn check_epochs(
    name: &str,
    tamper: impl Fn(&Keys, &mut Vec<Log>),
    want: &[(FindingKind, u64, Option<u64>)],
) {
    let keys = Keys::new(100);
    let mut logs = Vec::from(epochs(&keys));
    let now_ms = logs[2].last_ms() + 1_000_000;
    tamper(&keys, &mut logs);
    let read = |log: &Log| {
        let mut verifier = log.verifier();
        feed(&mut verifier, &log.messages());
        verifier.summary().clone()
    };
    let summaries: Vec<_> = logs.iter().map(read).collect();
    let found = check_succession(summaries.iter(), now_ms);
    let epoch = |origin: &str| {
        let origin: Origin = origin.parse().unwrap();
        (origin.started_ms() - START_MS as u64) / 3_600_000
    };
    let found: Vec<_> =
        found.iter().map(|finding| (finding.kind, epoch(&finding.origin), finding.index)).collect();
    assert_eq!(found, want, "{name}");
}

#[test]
fn each_epoch_continues_the_one_before() {
    check_epochs("nothing", |_, _| {}, &[]);
    check_epochs("a log is missing", |_, logs| drop(logs.remove(1)), &[(Gap, 2, Some(0))]);
    check_epochs("the last is missing", |_, logs| drop(logs.pop()), &[(Silence, 1, Some(12))]);
    check_epochs("the first is missing", |_, logs| drop(logs.remove(0)), &[(Gap, 1, Some(0))]);
    check_epochs(
        "a tail is missing",
        |_, logs| drop(logs[1].values.pop()),
        &[(Truncation, 1, Some(11))],
    );
    check_epochs(
        "the gateway forgot a tail",
        |_, logs| logs[1].values.push(event(START_MS + 3_612_000, "decision", "")),
        &[(Rollback, 2, Some(0))],
    );
    check_epochs(
        "the log before is another",
        |_, logs| logs[1].values[3] = event(START_MS + 3_603_000, "decision", ""),
        &[(Fork, 2, Some(0))],
    );
    check_epochs(
        "the gateway forgot the log before",
        |keys, logs| logs[2] = Log::new(keys, 2, 7, None).closed(),
        &[(Rollback, 2, Some(0)), (Silence, 1, Some(12))],
    );
    check_epochs(
        "the gateway was cloned",
        |keys, logs| {
            let clone = Log::new(keys, 3, 4, Some(&logs[1])).closed();
            logs.push(clone);
        },
        &[(Fork, 3, Some(0))],
    );
    check_epochs(
        "the next has no record yet",
        |keys, logs| {
            let mut next = Log::new(keys, 3, 1, None);
            next.values.clear();
            logs.push(next);
        },
        &[],
    );
    check_epochs(
        "the last is not closed",
        |_, logs| drop(logs[2].values.pop()),
        &[(Silence, 2, Some(7))],
    );
}

#[test]
fn a_trail_waits_for_what_is_late_and_reports_once() {
    let keys = Keys::new(100);
    let [first, second, _] = epochs(&keys);
    let mut trail = TrailVerifier::new(keys.root().clone());
    let take = |trail: &mut TrailVerifier, logs: &[&Log]| {
        for log in logs {
            trail.statement(&log.origin, keys.certificate(), &log.statement).unwrap();
            for sent in log.messages() {
                let message = Message { seen_ms: log.last_ms(), ..sent.message() };
                trail.message(&log.origin, &message);
            }
        }
    };
    take(&mut trail, &[&second]);
    let now_ms = second.last_ms() + 1000;
    trail.tick(now_ms);
    assert_eq!(kinds(&trail.take_findings()), []);
    trail.tick(now_ms + SILENCE_MS);
    assert_eq!(kinds(&trail.take_findings()), [(Silence, Some(12))]);
    take(&mut trail, &[&first]);
    trail.tick(now_ms + LATE_MS);
    assert_eq!(kinds(&trail.take_findings()), []);

    let mut trail = TrailVerifier::new(keys.root().clone());
    take(&mut trail, &[&second]);
    trail.tick(now_ms);
    trail.tick(now_ms + LATE_MS);
    trail.tick(now_ms + 2 * LATE_MS);
    trail.finish(now_ms + 2 * LATE_MS);
    assert_eq!(kinds(&trail.take_findings()), [(Gap, Some(0)), (Silence, Some(12))]);
    assert_eq!(trail.logs().count(), 1);
    assert_eq!(trail.log(&second.origin).unwrap().size(), 12);

    let mut trail = TrailVerifier::new(keys.root().clone());
    trail.begin_anywhere();
    take(&mut trail, &[&second]);
    trail.finish(now_ms + SILENCE_MS);
    assert_eq!(kinds(&trail.take_findings()), [(Silence, Some(12))]);
}

#[test]
fn a_trail_takes_certified_logs_only() {
    let keys = Keys::new(100);
    let [first, second, _] = epochs(&keys);
    let mut trail = TrailVerifier::new(keys.root().clone());
    let untrusted = |trail: &mut TrailVerifier| {
        assert_eq!(kinds(&trail.take_findings()), [(Untrusted, None)]);
    };
    assert_eq!(trail.message(&first.origin, &first.messages()[0].message()), Outcome::Rejected);
    untrusted(&mut trail);
    assert!(trail.statement(&first.origin, keys.certificate(), &second.statement).is_err());
    untrusted(&mut trail);
    let others = Keys::new(50);
    let forged = Log::new(&others, 0, 3, None);
    assert!(trail.statement(&first.origin, others.certificate(), &forged.statement).is_err());
    untrusted(&mut trail);
    assert_eq!(trail.checkpoint(&first.newest()), Standing::Rejected);
    assert_eq!(kinds(&trail.take_findings()), [(Truncation, None)]);

    for _ in 0..2 {
        trail.statement(&first.origin, keys.certificate(), &first.statement).unwrap();
    }
    let second = keys.second_statement(&first);
    let refused = trail.statement(&first.origin, keys.certificate(), &second);
    assert_eq!(refused, Err(KeyError::SecondKey(first.origin.to_string())));
    untrusted(&mut trail);
    assert_eq!(trail.checkpoint(&first.newest()), Standing::Ahead);
    trail.finish(first.last_ms());
    assert_eq!(kinds(&trail.take_findings()), [(Truncation, Some(0))]);
}

/// A whole `log_open` that continues this log.
fn opening(origin: &str, size: u64) -> String {
    let open = LogOpen {
        origin: "audit.acme.example/eu1/gw-a/1795262951124-00000000",
        key: "",
        binary: "",
        digests: Digests::default(),
        filesystem: "ext4",
        sync_us: 200,
        partition: None,
        previous: Some(crate::event::Previous {
            origin,
            size,
            root: [7; 32],
            closed: false,
            open: 1,
        }),
    };
    let producer = Producer {
        version: "0.1.0".to_owned(),
        log: "audit.acme.example/eu1/gw-a".to_owned(),
        instance: "gw-a".to_owned(),
    };
    let record = open.record(Uuid::nil(), START_MS, &producer).unwrap();
    String::from_utf8(record.value).unwrap()
}

#[test]
fn a_predecessor_is_read_as_the_event_writes_it() {
    let root = encode_hash(&[7; 32]);
    let text = |origin: &str, size: &str, root: &str| {
        let named =
            format!(r#""previous":{{"origin":"{origin}","size":{size},"root":"{root}","open":0}}"#);
        event(START_MS, "log_open", &named)
    };
    let check = |value: String, want: Option<u64>| {
        let mut summary = Summary::of(log(1).origin);
        let mut findings = Findings::of(&summary.origin);
        let validity = log(1).chain().validity();
        summary.read(0, value.as_bytes(), &validity, None, &mut findings);
        assert_eq!(summary.previous.map(|previous| previous.size), want, "{value}");
        assert_eq!(findings.found.is_empty(), want.is_some(), "{value}");
    };
    let origin = "audit.acme.example/eu1/gw-a/1795262951123-00000000";
    check(opening(origin, 12), Some(12));
    check(text(origin, "12", &root), Some(12));
    check(text("gw-a", "12", &root), None);
    check(text(origin, "-1", &root), None);
    check(text(origin, "9223372036854775808", &root), None);
    check(text(origin, "12", "AAAA"), None);
}

#[test]
fn a_finding_reads_well_and_is_one_object_in_json() {
    let finding = Finding {
        kind: WrongKey,
        origin: "audit.acme.example/eu1/gw-a/1-00000000".into(),
        index: Some(7),
        detail: "note has no signature by key `a`".into(),
    };
    let text = "wrong_key in `audit.acme.example/eu1/gw-a/1-00000000` at 7: note has no signature by key `a`";
    assert_eq!(finding.to_string(), text);
    let json = serde_json::to_value(&finding).unwrap();
    assert_eq!(json["kind"], FindingKind::WrongKey.as_str());
    assert_eq!(json["index"], 7);
}
