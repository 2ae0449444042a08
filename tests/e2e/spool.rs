//! A spool that cannot be used is a clear error, and is never made anew over what it holds.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use fixtures::{
    client::Client,
    harness::{Portcullis, Setting, Setup},
    record::text,
    wire::Message,
};

use super::{id, setting};

const SOON: Duration = Duration::from_secs(20);

/// Starts a gateway on the setting's configuration, changed; its end, and what it said.
fn start(setting: &Setting, name: &str, from: &str, to: &str) -> (ExitStatus, String) {
    let text = fs::read_to_string(setting.config()).expect("the configuration");
    assert!(text.contains(from), "no `{from}`");
    let path = setting.dir().join(format!("{name}.yaml"));
    // Addresses of its own: those are bound before the spool is opened.
    let addresses = [setting.door().to_string(), setting.health().to_string()];
    let text = addresses.iter().fold(text.replace(from, to), |text, address| {
        text.replace(address.as_str(), "127.0.0.1:0")
    });
    fs::write(&path, text).expect("write");
    let dir = setting.dir().join(name);
    fs::create_dir_all(&dir).expect("a directory");
    let portcullis = Portcullis::new(&dir).expect("the binary");
    let mut process = portcullis.launch(&path, None).expect("start");
    (process.wait(SOON).expect("an end"), process.output())
}

#[track_caller]
fn check((status, said): (ExitStatus, String), want: &[&str]) {
    assert_eq!(status.code(), Some(1), "{said}");
    for want in want {
        assert!(said.contains(want), "no `{want}` in:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn two_gateways_do_not_share_a_spool() {
    let mut setting = setting("locked");
    let same = ("watch: false", "watch: false");
    check(start(&setting, "second", same.0, same.1), &["spool", "locked by another process"]);
    setting.gateway.process().expect_running().expect("the first goes on");
    let answer = setting.client().and_then(|client| client.get("/public", &[])).expect("answer");
    assert_eq!(answer.status(), 200);
}

#[test]
fn a_spool_that_is_no_directory_or_unwritable_or_forgets_is_refused() {
    let setting = setting("unusable");
    fs::write(setting.dir().join("file"), "not a spool").expect("write");
    let to = "directory: file";
    check(start(&setting, "no-directory", "directory: spool", to), &["spool", "cannot be used"]);
    let kept = fs::read_to_string(setting.dir().join("file")).expect("the file");
    assert_eq!(kept, "not a spool");
    // Nobody makes a directory there, the superuser neither.
    let to = "directory: /sys/kernel/portcullis-spool";
    let want = ["spool `/sys/kernel/portcullis-spool` cannot be used: "];
    check(start(&setting, "unwritable", "directory: spool", to), &want);
    let memory = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let from =
        "directory: spool\n    bytes_max: 256MiB\n    segment_bytes: 8MiB\n    volatile: true";
    let to = format!("directory: {}/spool", memory.path().display());
    check(start(&setting, "volatile", from, &to), &["tmpfs", "`volatile`"]);
}

/// The one file of the spool that a closed log of a few events is in.
fn segment(spool: &Path) -> PathBuf {
    let logs = fs::read_dir(spool).expect("a spool").map(|entry| entry.expect("an entry").path());
    let files = logs.filter(|path| path.is_dir()).flat_map(|log| {
        fs::read_dir(log).expect("a log").map(|entry| entry.expect("an entry").path())
    });
    let mut segments: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ext| ext == "wal")).collect();
    segments.sort();
    segments.into_iter().next().expect("a segment")
}

#[test]
fn a_log_that_was_changed_stops_the_start_and_stays_as_it_is() {
    let mut setting = setting("corrupt");
    let client = setting.client().expect("a client");
    for _ in 0..20 {
        client.get("/public", &[]).expect("an answer");
    }
    assert!(setting.gateway.stop().expect("stop").success());
    let path = segment(&setting.spool());
    let file = File::options().read(true).write(true).open(&path).expect("open");
    let mut byte = [0];
    file.read_exact_at(&mut byte, 10_000).expect("read");
    file.write_all_at(&[byte[0] ^ 1], 10_000).expect("write");
    let spoiled = fs::read(&path).expect("read");
    let same = ("watch: false", "watch: false");
    check(start(&setting, "again", same.0, same.1), &["spool", "corrupt"]);
    assert_eq!(fs::read(&path).expect("read"), spoiled, "the file was written to");
    // Its events are kept, as those of every run.
    file.write_all_at(&byte, 10_000).expect("write");
}

#[test]
fn a_full_spool_refuses_every_route_and_still_closes_its_log() {
    let setup = Setup::default()
        .change("bytes_max: 256MiB", "bytes_max: 2MiB")
        .change("segment_bytes: 8MiB", "segment_bytes: 512KiB");
    let mut setting = Setting::start("full", &setup).expect("the product");
    let client = setting.client().expect("a client");
    let long = "x".repeat(4000);
    let mut connection = client.connect().expect("connect");
    let mut ask = |path: &str| -> Message {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", client.host());
        connection.send(bytes.as_bytes()).expect("send");
        connection.final_answer("GET").expect("an answer")
    };
    let mut ids = Vec::new();
    let mut fill = |ask: &mut dyn FnMut(&str) -> Message, path: &str| {
        let refused = (0..20_000).map(|_| ask(path)).find(|answer| {
            if answer.status() == 404 {
                ids.push(id(answer));
            }
            answer.status() != 404
        });
        refused.expect("it was never full")
    };
    fill(&mut ask, &format!("/nowhere/{long}"));
    // There is room for short ones still, and what an event's end was given and did not take is
    // room again when it has ended.
    let mut refusal = fill(&mut ask, "/nowhere");
    let paths = ["/nowhere", "/public", "/orders"];
    // What ended last may give back a little late: it is full when it stays so.
    while !(0..100).all(|turn| ask(paths[turn % paths.len()]).status() == 503) {
        refusal = fill(&mut ask, "/nowhere");
    }
    assert_eq!(refusal.status(), 503, "{}", refusal.text());
    assert_eq!(refusal.field("portcullis-decision-id"), None, "an id that no event has");
    let before = setting.upstream.heads();
    for path in paths {
        assert_eq!(ask(path).status(), 503, "{path}");
    }
    assert_eq!(setting.upstream.heads(), before, "the upstream saw what was not recorded");
    let health = Client::plain(setting.health());
    assert_eq!(health.get("/readyz", &[]).expect("an answer").status(), 503);
    assert_eq!(health.get("/livez", &[]).expect("an answer").status(), 200);
    assert!(setting.gateway.stop().expect("stop").success());

    let record = setting.record().expect("events");
    let decisions = record.decisions().expect("each once");
    assert!(ids.iter().all(|id| decisions.contains_key(id.as_str())), "an answer without event");
    assert_eq!(decisions.len(), record.completions().expect("each once").len());
    let last = record.events().last().map(|event| text(event, "/metadata/event_code"));
    assert_eq!(last, Some("log_close"));
    let loss = record.with_code("loss").next().expect("the refused are counted");
    assert_eq!(text(loss, "/unmapped/reason"), "spool_full");
    println!("full: decisions={} loss={loss}", decisions.len());

    let segment = segment(&setting.spool());
    let written = fs::read(&segment).expect("read");
    let same = ("watch: false", "watch: false");
    check(start(&setting, "again", same.0, same.1), &["spool", "is full", "raise `bytes_max`"]);
    assert_eq!(fs::read(&segment).expect("read"), written, "the file was written to");
    let text = fs::read_to_string(setting.config()).expect("the configuration");
    fs::write(setting.config(), text.replace("bytes_max: 2MiB", "bytes_max: 4MiB")).expect("write");
    setting.start_again().expect("a start with more room");
    let answer = setting.client().and_then(|client| client.get("/public", &[])).expect("answer");
    assert_eq!(answer.status(), 200);
}

#[test]
fn a_log_that_left_the_spool_is_named_and_missed_by_a_checkpoint_of_it() {
    let mut setting = setting("left");
    let kept = setting.dir().join("kept.txt");
    let keep = |setting: &Setting| {
        let note = setting.portcullis.checkpoint(&setting.spool()).expect("a checkpoint");
        fs::write(&kept, note).expect("write");
    };
    let verify = |setting: &Setting| {
        let Setting { portcullis, keys, .. } = setting;
        portcullis.verify(&setting.spool(), &keys.root_vkey, &kept).expect("run")
    };
    assert!(setting.gateway.stop().expect("stop").success());
    let none = ["audit", "verify", "--spool", "policies", "--root", "keys/root.vkey"];
    let none = setting.portcullis.run(&none).expect("run");
    assert!(
        none.code == Some(4) && none.out.contains("`policies`: it is no spool"),
        "{}",
        none.out
    );
    keep(&setting);
    let older = segment(&setting.spool()).parent().expect("a log").to_owned();
    setting.start_again().expect("start");
    assert!(setting.gateway.stop().expect("stop").success());
    let whole = verify(&setting);
    assert!(whole.code == Some(0) && !whole.out.contains("begins after"), "{}", whole.out);
    fs::remove_dir_all(older).expect("remove");
    let missed = verify(&setting);
    assert!(missed.code == Some(4) && missed.out.contains("truncation"), "{}", missed.out);
    keep(&setting);
    let named = verify(&setting);
    assert!(named.code == Some(0) && named.out.contains("begins after"), "{}", named.out);
}
