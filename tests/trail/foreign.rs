//! `tests/verify.py`, which shares no code with the product, reads the sink's evidence and agrees
//! with `audit-sink verify`: on what is good, and on copies that were spoiled.
//!
//! Needs Python with `tests/trail/requirements.txt`: `cargo xtask test trail` sets it up.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use fixtures::{
    harness::{Output, Work, repository},
    topic::{self, Entry},
};

use super::{Bench, EVENTS, header, number};

/// Exit code of `audit-sink verify` when it found something.
const FOUND: i32 = 4;

fn script(arguments: &[OsString]) -> Output {
    let python = env::var_os("FIXTURES_PYTHON").unwrap_or_else(|| "python3".into());
    let script = repository().expect("the repository").join("tests/verify.py");
    let output = Command::new(python).arg(script).args(arguments).output().expect("python");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(err, "", "`cargo xtask test trail` sets Python up");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    Output { code: output.status.code(), out, err }
}

/// What both say of a copy: `Some` of how many logs and events if both accept it, `None` if both
/// refuse it.
#[track_caller]
fn both(bench: &Bench, evidence: &Path, kept: &[PathBuf]) -> Option<(u64, u64)> {
    let ours = bench.sink.verify_against(evidence, kept).expect("verify");
    let mut arguments: Vec<OsString> =
        vec![bench.setting.keys.root_vkey.clone().into(), evidence.into()];
    arguments.extend(kept.iter().map(|path| path.clone().into()));
    let theirs = script(&arguments);
    println!("foreign: {} / {}", ours.out.lines().last().unwrap_or_default(), theirs.out.trim());
    match (ours.code, theirs.code) {
        (Some(0), Some(0)) => {
            let counts = (number(&ours.out, "logs="), number(&ours.out, "events="));
            assert_eq!((number(&theirs.out, "logs="), number(&theirs.out, "leaves=")), counts);
            Some(counts)
        }
        (Some(FOUND), Some(1)) => None,
        _ => panic!("they differ: {ours:?} {theirs:?}"),
    }
}

/// Both accept the evidence, against its own newest checkpoints too; and one message from Kafka
/// by itself, with its proof.
pub(super) fn agrees(bench: &Bench) {
    let logs = bench.sink.logs().expect("the sink's logs");
    let evidence = bench.sink.evidence();
    let kept: Vec<PathBuf> =
        logs.keys().map(|origin| evidence.join(origin).join("checkpoint")).collect();
    let counts = (logs.len() as u64, logs.values().sum());
    assert_eq!(both(bench, &evidence, &kept), Some(counts));

    let message = last_message(bench);
    let work = Work::new("message").expect("a directory");
    let place = |name: &str, content: &[u8]| -> OsString {
        let path = work.path().join(name);
        fs::write(&path, content).expect("write");
        path.into()
    };
    let proof = place("proof", header(&message, "tlog-proof").as_bytes());
    let check = |value: &[u8], want: i32| {
        let root = bench.setting.keys.root_vkey.clone().into();
        let value = place("value", value);
        let said =
            script(&[root, evidence.clone().into(), "--message".into(), value, proof.clone()]);
        assert_eq!(said.code, Some(want), "{}", said.out);
    };
    check(&message.value, 0);
    check(&[message.value.as_slice(), b" "].concat(), 1);
}

fn last_message(bench: &Bench) -> Entry {
    let mut last = None;
    topic::each(&bench.kafka.bootstrap(), EVENTS, |entry| last = Some(entry)).expect("the topic");
    last.expect("a message")
}

/// Both find a changed byte; and a log that was cut, by the checkpoint that was kept apart and
/// only by that: it is a good log that ended earlier.
pub(super) fn finds_what_was_spoiled(bench: &Bench) {
    let logs = bench.sink.logs().expect("the sink's logs");
    let (origin, size) = logs.iter().next().expect("a log");
    assert!((2..256).contains(size), "one bundle of entries");
    let work = Work::new("spoiled").expect("a directory");
    let log = |copy: &Path| copy.join(origin);
    let evidence = bench.sink.evidence();
    let kept = work.path().join("kept");
    fs::copy(log(&evidence).join("checkpoint"), &kept).expect("kept apart");

    let changed = work.path().join("changed");
    copy(&log(&evidence), &log(&changed));
    let bundle = log(&changed).join(format!("tile/entries/000.p/{size}"));
    let mut bytes = fs::read(&bundle).expect("the entries");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&bundle, bytes).expect("write");
    assert_eq!(both(bench, &changed, &[]), None, "a changed byte");

    let cut = work.path().join("cut");
    copy(&log(&evidence), &log(&cut));
    let shorter = cut_to_earlier_checkpoint(bench, &log(&cut), origin, *size);
    assert_eq!(both(bench, &cut, &[]), Some((1, shorter)), "an earlier end is a good log");
    assert_eq!(both(bench, &cut, &[kept]), None, "a cut tail");
}

/// Makes the log what it was at an earlier checkpoint; the proofs in Kafka have them all.
fn cut_to_earlier_checkpoint(bench: &Bench, log: &Path, origin: &str, size: u64) -> u64 {
    let mut earlier = None;
    topic::each(&bench.kafka.bootstrap(), EVENTS, |entry| {
        let proof = header(&entry, "tlog-proof");
        let (_, note) = proof.split_once("\n\n").expect("a checkpoint after the path");
        let mut lines = note.lines();
        assert_eq!(lines.next(), Some(origin));
        let width: u64 = lines.next().and_then(|size| size.parse().ok()).expect("a size");
        if width < size {
            earlier = Some((width, note.to_owned()));
        }
    })
    .expect("the topic");
    let (shorter, note) = earlier.expect("an earlier checkpoint");
    fs::write(log.join("checkpoint"), note).expect("write");
    let hashes = fs::read(log.join(format!("tile/0/000.p/{size}"))).expect("the hashes");
    let entries = fs::read(log.join(format!("tile/entries/000.p/{size}"))).expect("the entries");
    let (mut end, count) = (0, usize::try_from(shorter).expect("a small log"));
    for _ in 0..count {
        end += 2 + usize::from(u16::from_be_bytes([entries[end], entries[end + 1]]));
    }
    let tiles = [("0", &hashes[..count * 32]), ("entries", &entries[..end])];
    for (level, bytes) in tiles {
        let dir = log.join(format!("tile/{level}/000.p"));
        fs::remove_dir_all(&dir).expect("remove");
        fs::create_dir(&dir).expect("create");
        fs::write(dir.join(shorter.to_string()), bytes).expect("write");
    }
    shorter
}

/// Copies a directory.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create");
    for entry in fs::read_dir(from).expect("read") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copy");
        }
    }
}
