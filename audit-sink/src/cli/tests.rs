//! The verbs on evidence that was taken in, and on copies that were tampered with.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::verify::notes;
use super::*;
use crate::evidence::Evidence;
use crate::ingest::Ingest;
use crate::manifest::Manifest;
use crate::message::{Event, Position};
use crate::sample::{GROUP, Keys, Log, START_MS, Sent, uid};

/// Evidence of two logs, and what is kept apart.
struct Kept {
    directory: TempDir,
    logs: [Log; 2],
}

/// A few leaves that end within a group are in no tile.
const COUNTS: [usize; 2] = [65 * GROUP + 3, 40];

impl Kept {
    fn new() -> Self {
        let (keys, directory) = (Keys::new(), tempfile::tempdir().unwrap());
        let logs = [("gw-a", COUNTS[0]), ("gw-b", COUNTS[1] - 1)]
            .map(|(instance, count)| Log::new(&keys, instance, count));
        let [first, second] = logs;
        let logs = [first, second.closed()];
        let evidence = Evidence::lock(&directory.path().join("evidence")).unwrap();
        let manifest = Manifest::open(&evidence.manifest()).unwrap();
        let mut ingest = Ingest::resume(keys.root().clone(), evidence, manifest).unwrap();
        for (key, note) in logs.iter().flat_map(Log::statements) {
            ingest.statement(&key, &note).unwrap();
        }
        // The gateway's group goes on: the sink got three leaves of it.
        let longer = Log::new(&keys, "gw-a", 66 * GROUP).sent();
        let sent = longer.into_iter().take(COUNTS[0]).chain(logs[1].sent());
        for (offset, Sent { origin, index, value, proof }) in sent.enumerate() {
            let (topic, offset) = ("audit.events.v1".to_owned(), i64::try_from(offset).unwrap());
            let at = Position { topic, partition: 0, offset };
            let event = Event { origin, index, value: value.into_bytes(), proof };
            ingest.event(at, event, START_MS + 1_000_000).unwrap();
        }
        assert_eq!(ingest.commit(START_MS).unwrap(), []);
        fs::write(directory.path().join("root.vkey"), format!("{}\n", keys.root())).unwrap();
        Self { directory, logs }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A verb on this evidence, with the root's key.
    fn run(&self, verb: &str, evidence: &str, arguments: &[&str]) -> (u8, String) {
        let (evidence, root) = (self.path(evidence), self.path("root.vkey"));
        let (evidence, root) = (evidence.to_str().unwrap(), root.to_str().unwrap());
        let mut all = vec![verb, "--evidence", evidence];
        if matches!(verb, "verify" | "show") {
            all.extend(["--root", root]);
        }
        run_from(&[&all, arguments].concat())
    }

    /// A copy of the evidence, without its manifest.
    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.path(name);
        copy_tree(&self.path("evidence"), &copy);
        copy
    }

    /// A file of the first log.
    fn file(&self, directory: &Path, name: &str) -> PathBuf {
        directory.join(self.logs[0].origin.as_str()).join(name)
    }

    fn place(&self, log: usize, index: usize) -> String {
        format!("{}#{index}", self.logs[log].origin)
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else if !entry.file_name().to_str().unwrap().starts_with("manifest") {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn evidence_and_its_copy_verify() {
    let kept = Kept::new();
    kept.copy("copy");
    let stored = 65 * GROUP + COUNTS[1];
    let want = format!("verify: logs=2 events={stored} findings=0 root=audit.acme.example/root\n");
    for evidence in ["evidence", "copy"] {
        assert_eq!(kept.run("verify", evidence, &[]), (OK, want.clone()));
    }
    let (code, checkpoints) = kept.run("checkpoint", "evidence", &[]);
    assert_eq!((code, notes(&checkpoints).len()), (OK, 2));
    fs::write(kept.path("kept"), checkpoints).unwrap();
    let apart = kept.path("kept");
    let apart = ["--checkpoint", apart.to_str().unwrap()];
    assert_eq!(kept.run("verify", "copy", &apart), (OK, want));

    let origin = kept.logs[1].origin.as_str();
    let (code, one) = kept.run("checkpoint", "copy", &["--origin", origin]);
    assert_eq!((code, one), (OK, kept.logs[1].checkpoint(COUNTS[1])));
}

#[test]
fn what_was_changed_is_named() {
    let kept = Kept::new();
    let (_, checkpoints) = kept.run("checkpoint", "evidence", &[]);
    fs::write(kept.path("kept"), checkpoints).unwrap();
    let apart = kept.path("kept").to_str().unwrap().to_owned();
    let check = |name: &str, arguments: &[&str], tamper: &dyn Fn(&Path), want: &[&str]| {
        let copy = kept.copy(name);
        tamper(&copy);
        let (code, out) = kept.run("verify", name, arguments);
        assert_eq!(code, UNVERIFIED, "{name}: {out}");
        let found = lines(&out);
        let (last, findings) = found.split_last().unwrap();
        assert!(last.contains(&format!(" findings={} ", want.len())), "{name}: {last}");
        for want in want {
            assert!(findings.iter().any(|line| line.starts_with(want)), "{name}: {want} in {out}");
        }
    };
    let origin = kept.logs[0].origin.as_str();
    let flip = |name: &'static str| {
        let kept = &kept;
        move |copy: &Path| {
            let path = kept.file(copy, name);
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    };
    let altered = format!("alteration in `{origin}` at ");
    check("byte", &[], &flip("tile/entries/001.p/199"), &[&altered]);
    let remove = |name: &'static str| {
        let kept = &kept;
        move |copy: &Path| fs::remove_file(kept.file(copy, name)).unwrap()
    };
    let cut = format!("truncation in `{origin}`");
    check("bundle", &[], &remove("tile/entries/001.p/199"), &[&cut]);
    let untrusted = format!("untrusted in `{origin}`");
    check("statement", &[], &remove("epoch.note"), &[&untrusted]);
    check("checkpoint", &[], &remove("checkpoint"), &[&cut]);
    // A tail that was cut, and signed over by whoever has the log's key.
    let shorter = |copy: &Path| {
        fs::write(kept.file(copy, "checkpoint"), kept.logs[0].checkpoint(256)).unwrap();
    };
    let cut = format!("truncation in `{origin}` at 256: ");
    check("tail", &["--checkpoint", &apart], &shorter, &[&cut]);
    let gone = |copy: &Path| fs::remove_dir_all(kept.file(copy, "")).unwrap();
    check("log", &["--checkpoint", &apart], &gone, &["truncation"]);
}

#[test]
fn a_log_that_was_not_closed_is_silent_by_a_time_that_is_given() {
    let kept = Kept::new();
    let last_ms = crate::sample::time_ms(65 * GROUP - 1);
    let check = |at_ms: i64, want: &[&str]| {
        let (code, out) = kept.run("verify", "evidence", &["--at", &at_ms.to_string()]);
        let (_, findings) = lines(&out).split_last().map(|(last, all)| (*last, all.len())).unwrap();
        assert_eq!((code == OK, findings), (want.is_empty(), want.len()), "{out}");
        assert!(want.iter().all(|want| out.starts_with(want)), "{out}");
    };
    check(last_ms, &[]);
    check(last_ms + 30_000, &[]);
    check(last_ms + 30_001, &["silence in `audit.acme.example/eu1/gw-a/"]);
}

#[test]
fn events_are_shown_exactly_and_only_if_they_verify() {
    let kept = Kept::new();
    let value = |log: usize, index: usize| format!("{}\n", kept.logs[log].values[index]);
    let check = |evidence: &str, what: &str, want: (u8, String)| {
        assert_eq!(kept.run("show", evidence, &[what]), want, "{evidence} {what}");
    };
    kept.copy("copy");
    let in_no_tile = COUNTS[0] - 1;
    check("evidence", &kept.place(0, 300), (OK, value(0, 300)));
    check("evidence", &kept.place(0, in_no_tile), (OK, value(0, in_no_tile)));
    check("evidence", &kept.place(0, COUNTS[0]), (FAILED, String::new()));
    check("evidence", &kept.place(1, 39), (OK, value(1, 39)));
    check("evidence", &uid(300), (OK, value(0, 300)));
    check("evidence", &uid(7), (OK, value(0, 7) + &value(1, 7)));
    check("evidence", &uid(9_999), (FAILED, String::new()));
    check("evidence", "no-origin#3", (INVALID, String::new()));
    check("evidence", &format!("{}#x", kept.logs[0].origin), (INVALID, String::new()));
    check("copy", &kept.place(0, 300), (OK, value(0, 300)));
    check("copy", &kept.place(0, in_no_tile), (FAILED, String::new()));
    check("copy", &uid(300), (FAILED, String::new()));

    let path = kept.file(&kept.path("copy"), "tile/entries/000");
    let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).replace("\"o-7\"", "\"o-8\"");
    let altered = kept.logs[0].values[..256].iter().flat_map(|value| {
        let value = value.replace("\"o-7\"", "\"o-8\"");
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&length, value.as_bytes()].concat()
    });
    assert!(text.contains("\"o-8\""));
    fs::write(&path, altered.collect::<Vec<u8>>()).unwrap();
    check("copy", &kept.place(0, 7), (UNVERIFIED, String::new()));
    check("copy", &kept.place(0, 8), (OK, value(0, 8)));
    let copy = kept.path("copy");
    let unverified = run_from(&["show", "--evidence", copy.to_str().unwrap(), &kept.place(0, 7)]);
    assert_eq!(unverified, (OK, value(0, 7).replace("\"o-7\"", "\"o-8\"")), "nobody asked");
}

#[test]
fn events_are_found_by_what_they_say() {
    let kept = Kept::new();
    let check = |arguments: &[&str], want: usize| {
        for format in ["text", "jsonl", "events"] {
            let all = [arguments, &["--format", format]].concat();
            let (code, out) = kept.run("search", "evidence", &all);
            assert_eq!((code, out.lines().count()), (OK, want), "{all:?}");
        }
    };
    let all = COUNTS[0] + COUNTS[1];
    check(&[], all);
    check(&["--id", &uid(7)], 2);
    check(&["--id", "log_close-1795262990123"], 1);
    check(&["--id", ""], 0);
    check(&["--code", "log_open"], 2);
    check(&["--user", "acme|u-3"], 91 + 8);
    check(&["--user", "acme|u-3", "--action", "denied"], 31 + 3);
    check(&["--operation", "read"], all - 3);
    check(&["--operation", "write"], 0);
    check(&["--since", "2026-11-21T12:09:30Z", "--until", "2026-11-21T12:09:32Z"], 4);
    check(&["--limit", "5"], 5);

    let (_, out) = kept.run("search", "evidence", &["--format", "events"]);
    let values = kept.logs.iter().flat_map(|log| log.values.iter().map(String::as_str));
    assert!(lines(&out).into_iter().eq(values), "log by log, exactly");
    let (_, out) = kept.run("search", "evidence", &["--id", &uid(9), "--limit", "1"]);
    let place = kept.place(0, 9);
    let want = format!(
        "2026-11-21T12:09:20.123Z\tdecision\tDenied\t403\tacme|u-4\tread\to-9\t{}\t{place}\n",
        uid(9)
    );
    assert_eq!(out, want);
    let (_, out) =
        kept.run("search", "evidence", &["--id", &uid(9), "--limit", "1", "--format", "jsonl"]);
    let row: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((row["index"].as_u64(), row["action"].as_str()), (Some(9), Some("Denied")));
}

#[test]
fn what_is_given_must_be_what_it_should() {
    let kept = Kept::new();
    let empty = kept.path("empty");
    fs::create_dir(&empty).unwrap();
    let code =
        |verb: &str, evidence: &str, arguments: &[&str]| kept.run(verb, evidence, arguments).0;
    assert_eq!(code("verify", "empty", &[]), UNVERIFIED, "nothing is no evidence");
    assert_eq!(code("verify", "none", &[]), FAILED);
    assert_eq!(code("checkpoint", "empty", &[]), INVALID);
    assert_eq!(code("checkpoint", "evidence", &["--origin", "x"]), 2);
    assert_eq!(code("search", "empty", &[]), FAILED);
    assert_eq!(code("search", "evidence", &["--since", "yesterday"]), 2);
    let root = kept.path("root.vkey");
    let root = root.to_str().unwrap().to_owned();
    fs::write(kept.path("blank"), "\n").unwrap();
    let blank = kept.path("blank").to_str().unwrap().to_owned();
    assert_eq!(code("verify", "evidence", &["--checkpoint", &blank]), INVALID);
    assert_eq!(code("verify", "evidence", &["--checkpoint", &root]), UNVERIFIED);
    let evidence = kept.path("evidence").to_str().unwrap().to_owned();
    assert_eq!(run_from(&["verify", "--evidence", &evidence, "--root", &blank]).0, INVALID);
    assert_eq!(run_from(&["verify", "--evidence", &evidence]).0, 2);
    let run = ["run", "--evidence", empty.to_str().unwrap(), "--root", &root];
    assert_eq!(run_from(&run).0, 2, "no brokers");
    let property = [&run[..], &["--brokers", "127.0.0.1:1", "--property", "no.such=1"]].concat();
    assert_eq!(run_from(&property).0, INVALID);
    for refused in
        ["x", "test.mock.num.brokers=1", "topic.auto.offset.reset=latest", "plugin.library.paths=a"]
    {
        let property = [&run[..], &["--brokers", "127.0.0.1:1", "--property", refused]].concat();
        assert_eq!(run_from(&property).0, 2, "{refused}");
    }
}

#[test]
fn notes_are_taken_apart() {
    let note = |name: &str| format!("{name}\n1\nroot\n\n\u{2014} {name} c2ln\n");
    let check = |text: &str, want: &[String]| assert_eq!(notes(text), want, "{text}");
    check("", &[]);
    check("\n\n", &[]);
    check(&note("a"), &[note("a")]);
    check(&(note("a") + &note("b")), &[note("a"), note("b")]);
    check(&(note("a") + "\n\n" + &note("b") + "\n"), &[note("a"), note("b")]);
    let cosigned = note("a") + "\u{2014} witness c2ln\n";
    check(&(cosigned.clone() + &note("b")), &[cosigned, note("b")]);
    check("none at all", &["none at all".to_owned()]);
}

#[test]
fn columns_cannot_move_the_cursor() {
    let row = crate::Row {
        origin: "o".into(),
        index: 1,
        uid: String::new(),
        correlation_uid: String::new(),
        code: "decision".into(),
        class_uid: 6003,
        time_ms: 0,
        action: "Denied".into(),
        user: "a\u{1b}[2Jb\tc\n\u{9b}d".into(),
        operation: "é".into(),
        resource: "o\u{202e}1\\n".into(),
        status: 0,
    };
    let want = "1970-01-01T00:00:00.000Z\tdecision\tDenied\t-\ta\\u{1b}[2Jb\\tc\\n\\u{9b}d\té\to\\u{202e}1\\\\n\t-\to#1";
    assert_eq!(super::search::text(&row), want);
}
