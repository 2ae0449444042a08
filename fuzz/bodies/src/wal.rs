//! A spool whose files were changed: whatever stands in them, reading it ends, and gives no event
//! that was not recorded at that index of that log.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use ledger::{
    Ledger, Look, Options, SpoolOptions,
    event::{Digests, Producer, Reload, Reloaded},
    keys::{Issuer, OriginPrefix, Root, Validity},
    note::{PrivateKey, Signer},
};
use tempfile::TempDir;
use uuid::Uuid;

const NOW_MS: i64 = 1_795_262_951_123;
const SEGMENT_BYTES: u64 = 512 * 1024;
/// Events noted in each log, beside its first and last.
const EVENTS: u128 = 6;

/// A spool of two logs, as it was written.
struct Written {
    /// Each file's path, and its bytes up to the last that is not zero.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The values of each log.
    values: HashMap<String, Vec<Vec<u8>>>,
}

/// Changes a spool and reads it. Every four bytes are a change: a file, where in it, and what is
/// XORed with what stands there; `0` cuts the file off there. Accepted is what reads to its end.
pub fn wal(data: &[u8]) -> bool {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    let written = WRITTEN.get_or_init(write);
    let mut files = written.files.clone();
    let mut cut = vec![false; files.len()];
    for change in data.chunks_exact(4).take(64) {
        let index = usize::from(change[0]) % files.len();
        let bytes = &mut files[index].1;
        let at = usize::from(u16::from_le_bytes([change[1], change[2]]));
        match change[3] {
            0 => {
                bytes.truncate(at);
                cut[index] = true;
            }
            flip => {
                if bytes.len() <= at {
                    bytes.resize(at + 1, 0);
                }
                bytes[at] ^= flip;
            }
        }
    }
    let dir = TempDir::new().expect("a directory");
    for ((path, bytes), cut) in files.iter().zip(cut) {
        put(&dir.path().join(path), bytes, cut);
    }
    read(dir.path(), written)
}

/// A segment that was not cut keeps its size: zeros follow what stands in it.
fn put(path: &Path, bytes: &[u8], cut: bool) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, bytes).expect("written");
    if !cut && path.extension().is_some_and(|extension| extension == "wal") {
        fs::File::options()
            .write(true)
            .open(path)
            .and_then(|file| file.set_len(SEGMENT_BYTES))
            .expect("its size");
    }
}

fn read(dir: &Path, written: &Written) -> bool {
    let Ok(logs) = Look::all(dir) else { return false };
    let mut sound = true;
    for mut log in logs {
        let values = written.values.get(log.origin());
        loop {
            match log.group() {
                Ok(Some(group)) => {
                    let values = values.expect("a log that was never written has events");
                    let first = usize::try_from(group.first).expect("an index");
                    for (at, record) in group.records.iter().enumerate() {
                        assert_eq!(values.get(first + at), Some(&record.value), "at {first}+{at}");
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    sound = false;
                    break;
                }
            }
        }
    }
    sound
}

fn write() -> Written {
    let dir = TempDir::new().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    for _ in 0..2 {
        runtime.block_on(one_log(dir.path()));
    }
    let mut written = Written { files: Vec::new(), values: HashMap::new() };
    for mut log in Look::all(dir.path()).expect("a spool") {
        let mut values = Vec::new();
        while let Some(group) = log.group().expect("a group") {
            values.extend(group.records.into_iter().map(|record| record.value));
        }
        assert!(values.len() as u128 >= EVENTS + 2, "{}", values.len());
        written.values.insert(log.origin().to_owned(), values);
    }
    collect(dir.path(), Path::new(""), &mut written.files);
    written.files.sort();
    written
}

fn collect(root: &Path, below: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(root.join(below)).expect("a directory") {
        let path = below.join(entry.expect("an entry").file_name());
        if root.join(&path).is_dir() {
            collect(root, &path, files);
            continue;
        }
        let mut bytes = fs::read(root.join(&path)).expect("a file");
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(used);
        files.push((path, bytes));
    }
}

async fn one_log(dir: &Path) {
    let producer = Producer {
        version: "0.1.0".to_owned(),
        log: "audit.example.com/eu1/gw-a".to_owned(),
        instance: "gw-a".to_owned(),
    };
    let spool = SpoolOptions {
        segment_bytes: SEGMENT_BYTES,
        volatile: true,
        ..SpoolOptions::new(dir, SEGMENT_BYTES * 16)
    };
    let ledger =
        Ledger::start(Options::new(producer, issuer(), spool, || NOW_MS)).expect("a start");
    for number in 1..=EVENTS {
        let reload = Reload {
            what: Reloaded::Policies,
            trigger: "signal",
            accepted: true,
            digests: Digests::default(),
            policies: None,
            rules: None,
            problems: &[],
            candidate: None,
        };
        let record = reload.record(Uuid::from_u128(number), NOW_MS, ledger.producer());
        ledger.note(record.expect("a record")).await.expect("noted");
    }
    ledger.close().await.expect("closed");
}

fn issuer() -> Issuer {
    let private = |seed: u8| PrivateKey::from_seed([seed; 32]);
    let root = Root::new("audit.example.com/root", &private(1)).expect("a root");
    let key = Signer::new("audit.example.com/eu1/issuer", &private(2)).expect("a key");
    let prefix = OriginPrefix::parse("audit.example.com/eu1").expect("a prefix");
    let start_s = u64::try_from(NOW_MS / 1000).expect("a time");
    let validity = Validity::new(start_s - 1000, start_s + 1_000_000).expect("a validity");
    let certificate = root.certify(key.verifier_key(), &prefix, validity).expect("a certificate");
    Issuer::open(&private(2), &certificate, root.verifier_key()).expect("an issuer")
}
