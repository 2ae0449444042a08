//! A power cut: what the disk did not confirm is gone. The real gateway runs on a disk that keeps
//! what was synced and nothing else (`faults/powercut.c`, preloaded), and is killed under load.
//!
//! No answer may be without its event then, and the upstream of a `strict` route must not have
//! seen a request without one. That this can fail is shown by two gateways that answer before the
//! sync: one that is told to (`buffered`), and one whose syncs are left out.

use std::{path::PathBuf, process::Command};

use fixtures::{
    harness::{Setting, Setup, Work, repository},
    record::Record,
};

use crate::load::Load;

const CLIENTS: usize = 16;
/// Power cuts; a gateway that answers before the sync must have lost an answer in one of them.
const CUTS: u64 = 5;
/// Answers between two cuts, at least.
const BETWEEN: u64 = 60;
/// A sync takes so long, so that a cut falls into one.
const SYNC_MS: &str = "20";

/// What is asked for: pages, the second recorded as `strict`, and what no policy is asked about.
const ASKED: [(&str, &str); 4] =
    [("GET", "/public"), ("GET", "/status"), ("GET", "/nowhere"), ("DELETE", "/public")];

/// What came of a run.
struct Run {
    setting: Setting,
    cuts: u64,
    answered: usize,
    lost: usize,
}

/// The shim, compiled; the directory goes with the test.
fn shim(dir: &Work) -> PathBuf {
    let source = repository().expect("the repository").join("tests/faults/powercut.c");
    let library = dir.path().join("powercut.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]);
    let status = cc.arg(&library).arg(source).status().expect("a C compiler");
    assert!(status.success(), "the shim does not compile: {status}");
    library
}

/// The public page, recorded as `audit` says, and another that is `strict`.
fn setup(audit: &str, shim: &str, disk: &[(&str, &str)]) -> Setup {
    let strict = "      - name: strict
        methods: [GET]
        path: /status
        action: view
        resource: {type: Page, id: home}
        upstream: orders
        audit: strict
      - name: page\n";
    let environment = [("LD_PRELOAD", shim), ("POWERCUT_SYNC_MS", SYNC_MS)];
    let environment = environment.iter().chain(disk);
    Setup {
        environment: environment.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..Setup::default()
    }
    .change("      - name: page\n", strict)
    .change("        path: /public\n", &format!("        path: /public\n        audit: {audit}\n"))
}

/// Cuts the power under load, until an answer is lost or it was cut often enough.
fn run(name: &str, audit: &str, disk: &[(&str, &str)]) -> Run {
    let dir = Work::new("shim").expect("a directory");
    let shim = shim(&dir);
    let setup = setup(audit, shim.to_str().expect("a path in UTF-8"), disk);
    let mut setting = Setting::start(name, &setup).expect("the product");
    let load = Load::start(&setting.client().expect("a client"), CLIENTS, &ASKED);
    let (mut cuts, mut lost) = (0, 0);
    while cuts < CUTS && lost == 0 {
        if cuts > 0 {
            setting.start_again().expect("a start on what is left");
        }
        load.go_on(BETWEEN, 0);
        setting.gateway.process().kill().expect("kill");
        cuts += 1;
        lost = missing(&setting.record().expect("events"), &load.ids());
    }
    let ids = load.end();
    let lost = missing(&setting.record().expect("events"), &ids);
    let answered = ids.len();
    println!("{name}: cuts={cuts} answered={answered} lost={lost}");
    Run { setting, cuts, answered, lost }
}

/// How many answers the record has no decision of.
fn missing(record: &Record, answered: &[String]) -> usize {
    let decisions = record.decisions().expect("each decision once");
    answered.iter().filter(|id| !decisions.contains_key(id.as_str())).count()
}

/// Cuts the power of a gateway that waits for its syncs: nothing is lost, and the record is whole.
fn check(name: &str, disk: &[(&str, &str)]) {
    let mut run = run(name, "gated", disk);
    assert_eq!((run.cuts, run.lost), (CUTS, 0), "answers without their event");
    assert!(run.answered as u64 >= CUTS * BETWEEN, "{} answers", run.answered);

    run.setting.start_again().expect("a last start");
    assert!(run.setting.gateway.stop().expect("stop").success());
    let verify = ["audit", "verify", "--spool", "spool", "--root", "keys/root.vkey"];
    run.setting.portcullis.must(&verify).expect("the record verifies");
    let record = run.setting.record().expect("events");
    let decisions = record.decisions().expect("each decision once");
    let completions = record.completions().expect("each completion once");
    assert_eq!(decisions.keys().collect::<Vec<_>>(), completions.keys().collect::<Vec<_>>());
    let requests = run.setting.upstream.requests();
    let strict: Vec<&str> = requests
        .iter()
        .filter(|request| request.whole && request.message.path() == "/status")
        .filter_map(|request| request.message.field("portcullis-decision-id"))
        .collect();
    assert!(!strict.is_empty(), "the upstream of the strict route saw nothing");
    for id in strict {
        assert!(decisions.contains_key(id), "the upstream saw `{id}`, which is not recorded");
    }
}

#[test]
fn a_power_cut_takes_no_event_of_an_answer() {
    check("power-cut", &[]);
}

/// The same on a disk that has some of what was not synced, torn and out of order.
#[test]
fn a_power_cut_that_tears_takes_no_event_of_an_answer() {
    check("power-cut-torn", &[("POWERCUT_EARLY", "3")]);
}

#[test]
fn a_gateway_that_answers_before_the_sync_is_found() {
    let buffered = run("mutant-buffered", "buffered", &[]);
    assert!(buffered.lost > 0, "no answer of {} was lost", buffered.answered);
    let unsynced = run("mutant-unsynced", "gated", &[("POWERCUT_SKIP", ".wal")]);
    assert!(unsynced.lost > 0, "no answer of {} was lost", unsynced.answered);
}
