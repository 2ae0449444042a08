//! From librdkafka's mock cluster, with the sink on a thread, stopped and started again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use fixtures::broker::Broker;
use fixtures::harness::{free_port, wait_for};
use fixtures::topic::{self, Entry};
use ledger::keys::Origin;
use ledger::verify::verify_evidence;
use tempfile::TempDir;

use super::*;
use crate::manifest::{Order, Search};
use crate::sample::{GROUP, Keys, Log, Sent};

const EVENTS: &str = "audit.events.v1";
const LIMIT: Duration = Duration::from_secs(60);

struct Setting {
    broker: Broker,
    directory: TempDir,
    keys: Keys,
}

/// A sink that runs.
struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), SinkError>>,
}

impl Running {
    fn stop(self) -> Result<(), SinkError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Setting {
    fn new() -> Self {
        let (broker, directory) = (Broker::start().unwrap(), tempfile::tempdir().unwrap());
        Self { broker, directory, keys: Keys::new() }
    }

    fn evidence(&self) -> PathBuf {
        self.directory.path().join("evidence")
    }

    fn start(&self) -> Running {
        self.start_at(self.broker.bootstrap())
    }

    fn start_at(&self, bootstrap: &str) -> Running {
        let options = Options {
            brokers: vec![bootstrap.to_owned()],
            topic_prefix: "audit".to_owned(),
            root: self.keys.root().clone(),
            evidence: self.evidence(),
            properties: Vec::new(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        Running { stop, thread: thread::spawn(move || run(&options, &told)) }
    }

    fn write(&self, topic: &str, entries: &[Entry]) {
        topic::write(self.broker.bootstrap(), topic, entries).unwrap();
    }

    fn certify(&self, log: &Log) {
        let statements = log.statements().map(|(key, note)| entry(0, &key, &note, &[]));
        self.write("audit.keys.v1", &statements);
    }

    fn send<'a>(&self, partition: i32, sent: impl IntoIterator<Item = &'a Sent>) {
        self.write(
            EVENTS,
            &sent.into_iter().map(|sent| message(partition, sent)).collect::<Vec<_>>(),
        );
    }

    fn manifest(&self) -> Option<Manifest> {
        Manifest::read_only(&self.evidence().join(crate::evidence::MANIFEST)).ok()
    }

    /// Waits until so many events are in the index.
    fn wait_for_events(&self, want: usize) {
        let counted = || Ok(self.manifest().filter(|manifest| events(manifest) == want).map(drop));
        wait_for("events in the index", LIMIT, counted).unwrap();
    }

    fn verify(&self, kept: &[String]) {
        let evidence = Evidence::open(&self.evidence());
        let origins: Vec<Origin> = evidence.origins().unwrap().into_iter().collect();
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        let read = |path: &str| evidence.read(path);
        let verified = verify_evidence(self.keys.root(), &origins, &kept, i64::MIN, read);
        assert_eq!(verified.findings, []);
    }
}

fn events(manifest: &Manifest) -> usize {
    let mut events = 0;
    let count = |_| -> Result<(), ManifestError> {
        events += 1;
        Ok(())
    };
    // The sink may be making its tables.
    manifest.search(&Search::default(), Order::Log, count).map_or(0, |()| events)
}

fn entry(partition: i32, key: &str, value: &str, headers: &[(&str, &str)]) -> Entry {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    let headers = headers.iter().map(owned).collect();
    Entry { partition, offset: 0, key: key.into(), value: value.into(), headers }
}

fn message(partition: i32, sent: &Sent) -> Entry {
    let index = sent.index.to_string();
    let headers = [("audit-index", index.as_str()), ("tlog-proof", &sent.proof)];
    entry(partition, sent.origin.as_str(), &sent.value, &headers)
}

#[test]
fn logs_of_several_partitions_are_taken_in_across_restarts() {
    let setting = Setting::new();
    let logs: Vec<Log> = (0..5)
        .map(|n| Log::new(&setting.keys, &format!("gw-{n}"), 20 * GROUP - 1).closed())
        .collect();
    let sent: Vec<Vec<Sent>> = logs.iter().map(Log::sent).collect();
    logs.iter().for_each(|log| setting.certify(log));
    let half = 10 * GROUP + 3;
    for (n, log) in sent.iter().enumerate() {
        setting.send(i32::try_from(n % 4).unwrap(), &log[..half]);
    }
    let running = setting.start();
    setting.wait_for_events(5 * half);
    running.stop().unwrap();
    setting.verify(&[]);

    for (n, log) in sent.iter().enumerate() {
        setting.send(i32::try_from(n % 4).unwrap(), &log[half - 20..]);
    }
    let running = setting.start();
    setting.wait_for_events(5 * 20 * GROUP);
    running.stop().unwrap();
    let newest: Vec<_> = logs.iter().map(|log| log.checkpoint(20 * GROUP)).collect();
    setting.verify(&newest);
    assert_eq!(setting.manifest().unwrap().rejected_values(), []);
}

#[test]
fn an_empty_topic_is_waited_at() {
    let setting = Setting::new();
    let log = Log::new(&setting.keys, "gw-a", 4 * GROUP);
    let sent = log.sent();
    let running = setting.start();
    setting.certify(&log);
    setting.send(1, &sent[..GROUP]);
    setting.wait_for_events(GROUP);
    setting.send(1, &sent[GROUP..]);
    setting.wait_for_events(4 * GROUP);
    running.stop().unwrap();
    setting.verify(&[log.checkpoint(4 * GROUP)]);
}

#[test]
fn what_nobody_certified_is_kept_aside() {
    let setting = Setting::new();
    let log = Log::new(&setting.keys, "gw-a", 2 * GROUP);
    let (unknown, sent) = (Log::new(&setting.keys, "gw-x", 1), log.sent());
    setting.certify(&log);
    setting.send(2, &unknown.sent());
    setting.write(EVENTS, &[entry(2, "no origin", "what?", &[])]);
    setting.write(
        "audit.checkpoints.v1",
        &[
            entry(0, unknown.origin.as_str(), &unknown.checkpoint(1), &[]),
            entry(0, log.origin.as_str(), &log.checkpoint(2 * GROUP), &[]),
        ],
    );
    setting.send(2, &sent);
    let running = setting.start();
    setting.wait_for_events(2 * GROUP);
    running.stop().unwrap();
    setting.verify(&[log.checkpoint(2 * GROUP)]);
    let rejected: BTreeMap<_, _> =
        setting.manifest().unwrap().rejected_values().into_iter().collect();
    let want = [
        ("untrusted".to_owned(), unknown.values[0].clone().into_bytes()),
        ("no key that is an origin".to_owned(), b"what?".to_vec()),
    ];
    assert_eq!(rejected, want.into());
}

#[test]
fn a_broker_that_forgot_is_read_from_its_beginning() {
    let mut setting = Setting::new();
    let log = Log::new(&setting.keys, "gw-a", 9 * GROUP);
    let sent = log.sent();
    setting.certify(&log);
    setting.send(0, &sent[..5 * GROUP]);
    let running = setting.start();
    setting.wait_for_events(5 * GROUP);
    running.stop().unwrap();

    setting.broker = Broker::start().unwrap();
    setting.certify(&log);
    setting.send(0, &sent[5 * GROUP..]);
    let running = setting.start();
    setting.wait_for_events(9 * GROUP);
    running.stop().unwrap();
    setting.verify(&[log.checkpoint(9 * GROUP)]);
}

#[test]
fn a_sink_without_a_broker_stops_when_told() {
    let setting = Setting::new();
    let nowhere = format!("127.0.0.1:{}", free_port().unwrap());
    let running = setting.start_at(&nowhere);
    let locked = |path: &Path| {
        Ok(matches!(Evidence::lock(path), Err(EvidenceError::Locked(_))).then_some(()))
    };
    let evidence = setting.evidence();
    wait_for("the lock", LIMIT, || if evidence.is_dir() { locked(&evidence) } else { Ok(None) })
        .unwrap();
    running.stop().unwrap();
    assert!(Evidence::lock(&evidence).is_ok());
}

#[test]
fn properties_that_are_none_end_it() {
    let setting = Setting::new();
    let options = Options {
        brokers: vec![setting.broker.bootstrap().to_owned()],
        topic_prefix: "audit".to_owned(),
        root: setting.keys.root().clone(),
        evidence: setting.evidence(),
        properties: vec![("no.such.property".to_owned(), "1".to_owned())],
    };
    let ended = run(&options, &AtomicBool::new(false));
    assert!(matches!(ended, Err(SinkError::Consumer(_))), "{ended:?}");
}
