//! Shipping to librdkafka's mock cluster, also when it fails: what arrives is every event of every
//! log, and what a restart or a new producer sends again says so by its index.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::{Options, ShipError, Shipper, Status, Topics};
use fixtures::harness::wait_for;
use fixtures::topic::{self, Entry};
use ledger::event::Producer;
use ledger::keys::{Issuer, Origin, OriginPrefix, Root, Validity};
use ledger::note::{PrivateKey, Signer};
use ledger::verify::{FindingKind, Message, TrailVerifier};
use ledger::{Kind, Ledger, Record, SpoolOptions};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::task::JoinHandle;

const NOW_MS: i64 = 1_795_262_951_123;

/// What a test waits for comes within this time, or never.
const LIMIT: Duration = Duration::from_secs(60);

fn private(seed: u8) -> PrivateKey {
    PrivateKey::from_seed([seed; 32])
}

fn root() -> Root {
    Root::new("audit.acme.example/root", &private(1)).unwrap()
}

fn start(spool: &Path) -> Ledger {
    let key = Signer::new("audit.acme.example/eu1/issuer", &private(2)).unwrap();
    let validity = Validity::new(0, 4_000_000_000).unwrap();
    let prefix = OriginPrefix::parse("audit.acme.example/eu1").unwrap();
    let certificate = root().certify(key.verifier_key(), &prefix, validity).unwrap();
    let issuer = Issuer::open(&private(2), &certificate, root().verifier_key()).unwrap();
    let log = "audit.acme.example/eu1/gw-a";
    let producer = Producer { version: "0.1.0".into(), log: log.into(), instance: "gw-a".into() };
    let spool = SpoolOptions { volatile: true, ..SpoolOptions::new(spool, 1 << 30) };
    let mut options = ledger::Options::new(producer, issuer, spool, || NOW_MS);
    options.deadline = LIMIT;
    options.heartbeat = 10 * LIMIT;
    Ledger::start(options).unwrap()
}

/// Records `count` events; returns once all are durable.
async fn record(ledger: &Ledger, count: usize) {
    let mut noted = Vec::new();
    for number in 0..count {
        let record = Record {
            kind: Kind::Lifecycle,
            uid: "019aa2b0-7d1c-7c3e-9a41-000000000001".parse().unwrap(),
            time_ms: NOW_MS,
            class_uid: 6002,
            traceparent: (number % 2 == 0).then(|| format!("00-{number:032x}-{number:016x}-01")),
            value: format!(
                r#"{{"time":{NOW_MS},"metadata":{{"event_code":"reload"}},"n":{number}}}"#
            )
            .into_bytes(),
        };
        let ledger = ledger.clone();
        noted.push(tokio::spawn(async move { ledger.note(record).await }));
    }
    for noted in noted {
        noted.await.unwrap().unwrap();
    }
}

/// A broker with the topics.
struct Kafka {
    cluster: MockCluster<'static, DefaultProducerContext>,
    topics: Topics,
}

impl Kafka {
    fn start() -> Self {
        let kafka = Self::without_topics();
        kafka.make_topics(1);
        kafka
    }

    fn without_topics() -> Self {
        Self { cluster: MockCluster::new(1).unwrap(), topics: Topics::new("audit") }
    }

    fn make_topics(&self, partitions: i32) {
        self.cluster.create_topic(&self.topics.events, partitions, 1).unwrap();
        for topic in [&self.topics.checkpoints, &self.topics.keys] {
            self.cluster.create_topic(topic, 1, 1).unwrap();
        }
    }

    fn ship(&self, ledger: &Ledger) -> Shipping {
        self.ship_with(ledger, &[])
    }

    fn ship_with(&self, ledger: &Ledger, properties: &[(&str, &str)]) -> Shipping {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let shipper = Shipper::new(Options {
            brokers: vec![self.cluster.bootstrap_servers()],
            topics: self.topics.clone(),
            client_id: "test".to_owned(),
            properties: properties.iter().map(owned).collect(),
        });
        let (status, trail) = (shipper.status(), ledger.trail().unwrap());
        Shipping { status, task: tokio::spawn(async move { shipper.ship(trail).await }) }
    }

    fn read(&self, topic: &str) -> Vec<Entry> {
        topic::read(&self.cluster.bootstrap_servers(), topic).unwrap()
    }

    /// The next answers to messages that producers send.
    fn refuse(&self, errors: &[RDKafkaRespErr]) {
        self.cluster.request_errors(RDKafkaApiKey::Produce, errors);
    }
}

struct Shipping {
    status: Arc<Status>,
    task: JoinHandle<Result<(), ShipError>>,
}

impl Shipping {
    fn wait<T>(&self, look: impl Fn(&Status) -> Option<T>) -> T {
        wait_for("the shipper", LIMIT, || Ok(look(&self.status))).unwrap()
    }

    async fn end(self) -> Arc<Status> {
        tokio::time::timeout(LIMIT, self.task).await.expect("shipping ends").unwrap().unwrap();
        self.status
    }
}

fn header<'a>(entry: &'a Entry, name: &str) -> &'a str {
    let mut found = entry.headers.iter().filter(|(key, _)| key == name);
    let (Some((_, value)), None) = (found.next(), found.next()) else { panic!("{name}") };
    std::str::from_utf8(value).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every log in the topics, verified; for each how many leaves it has and how many came again.
fn verified(kafka: &Kafka) -> BTreeMap<String, (u64, usize)> {
    let mut statements: BTreeMap<String, String> = BTreeMap::new();
    for entry in kafka.read(&kafka.topics.keys) {
        statements.insert(text(&entry.key), text(&entry.value));
    }
    let mut trail = TrailVerifier::new(root().verifier_key().clone());
    let mut logs = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for entry in kafka.read(&kafka.topics.events) {
        let name = text(&entry.key);
        assert_eq!(header(&entry, "ce_source"), name);
        let origin: Origin = name.parse().unwrap();
        let (log, again) = logs.entry(name.clone()).or_insert((0, 0));
        if *log == 0 {
            trail
                .statement(&origin, &statements[&format!("{name}#issuer")], &statements[&name])
                .unwrap();
        }
        let index: u64 = header(&entry, "audit-index").parse().unwrap();
        assert!(index <= *log, "leaf {index} of `{name}` came before leaf {log}");
        let proof = header(&entry, "tlog-proof");
        trail.message(&origin, &Message { index, value: &entry.value, proof, seen_ms: NOW_MS });
        if index == *log {
            *log += 1;
        } else {
            *again += 1;
        }
        let known = seen.entry((name, index)).or_insert_with(|| entry.value.clone());
        assert_eq!(*known, entry.value);
    }
    for entry in kafka.read(&kafka.topics.checkpoints) {
        trail.checkpoint(&text(&entry.value));
    }
    trail.finish(NOW_MS);
    let findings = trail.take_findings();
    // The test's brokers forget: nothing else may be amiss.
    assert!(findings.iter().all(|finding| finding.kind == FindingKind::Silence), "{findings:?}");
    logs
}

/// The newest checkpoint's size, by log.
fn checkpoints(kafka: &Kafka) -> BTreeMap<String, u64> {
    let newest = kafka.read(&kafka.topics.checkpoints).into_iter();
    newest
        .map(|entry| {
            let note = text(&entry.value);
            let mut lines = note.lines();
            assert_eq!(lines.next(), Some(text(&entry.key).as_str()));
            (text(&entry.key), lines.next().unwrap().parse().unwrap())
        })
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_in_order_and_closing_ends_it() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::without_topics());
    kafka.make_topics(4);
    let ledger = start(spool.path());
    let shipping = kafka.ship(&ledger);
    record(&ledger, 700).await;
    ledger.close().await.unwrap();
    let status = shipping.end().await;
    let origin = ledger.status().origin;
    assert_eq!(verified(&kafka), BTreeMap::from([(origin.clone(), (702, 0))]));
    assert_eq!(checkpoints(&kafka), BTreeMap::from([(origin, 702)]));
    assert_eq!((status.delivered(), status.producers(), status.last_error()), (702, 1, None));
    assert_eq!(ledger.status().shipped, 702);

    let events = kafka.read(&kafka.topics.events);
    assert!(events.iter().all(|entry| entry.partition == events[0].partition));
    let check = |at: usize, name: &str, want: &str| assert_eq!(header(&events[at], name), want);
    check(0, "ce_type", "dev.portcullis.audit.log_open.v1");
    check(0, "ocsf", "1.8.0/6002");
    check(1, "ce_id", "019aa2b0-7d1c-7c3e-9a41-000000000001");
    check(1, "ce_time", "2026-11-21T12:09:11.123Z");
    check(1, "ce_specversion", "1.0");
    check(1, "content-type", "application/json");
    check(701, "ce_type", "dev.portcullis.audit.log_close.v1");
    let traced =
        events.iter().filter(|entry| entry.headers.iter().any(|(name, _)| name == "traceparent"));
    assert_eq!(traced.count(), 350);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_queue_only_slows_it() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::start());
    let ledger = start(spool.path());
    record(&ledger, 500).await;
    ledger.close().await.unwrap();
    let shipping = kafka.ship_with(&ledger, &[("queue.buffering.max.messages", "10")]);
    assert_eq!(shipping.end().await.delivered(), 502);
    assert_eq!(verified(&kafka), BTreeMap::from([(ledger.status().origin, (502, 0))]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_failed_for_good_is_replaced() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::start());
    let ledger = start(spool.path());
    let shipping = kafka.ship(&ledger);
    record(&ledger, 100).await;
    shipping.wait(|status| (status.delivered() >= 50).then_some(()));
    let out_of_order = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    kafka.refuse(&[out_of_order]);
    record(&ledger, 300).await;
    ledger.close().await.unwrap();
    let status = shipping.end().await;
    assert_eq!((status.delivered(), status.producers(), status.last_error()), (402, 2, None));
    let origin = ledger.status().origin;
    let (leaves, _) = verified(&kafka)[&origin];
    assert_eq!((leaves, checkpoints(&kafka)[&origin]), (402, 402));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_waited_for() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::start());
    let ledger = start(spool.path());
    kafka.cluster.broker_down(1).unwrap();
    let shipping = kafka.ship(&ledger);
    record(&ledger, 50).await;
    shipping.wait(Status::last_error);
    kafka.cluster.broker_up(1).unwrap();
    shipping.wait(|status| (status.delivered() == 51).then_some(()));
    kafka.cluster.broker_down(1).unwrap();
    record(&ledger, 50).await;
    ledger.close().await.unwrap();
    assert!(!shipping.task.is_finished());
    kafka.cluster.broker_up(1).unwrap();
    let status = shipping.end().await;
    assert_eq!((status.delivered(), status.producers(), status.last_error()), (102, 1, None));
    let (leaves, _) = verified(&kafka)[&ledger.status().origin];
    assert_eq!(leaves, 102);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_are_missing_are_named() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::without_topics());
    let ledger = start(spool.path());
    let shipping = kafka.ship(&ledger);
    let error = shipping.wait(Status::last_error);
    assert!(error.contains("`audit.events.v1`"), "{error}");
    kafka.make_topics(1);
    ledger.close().await.unwrap();
    assert_eq!(shipping.end().await.delivered(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_property_that_is_none_ends_it() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::start());
    let ledger = start(spool.path());
    let shipping = kafka.ship_with(&ledger, &[("no.such.property", "1")]);
    let ended = shipping.task.await.unwrap();
    assert!(matches!(ended, Err(ShipError::Producer(_))), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_the_trail_whole_cannot_be_set() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::start());
    let ledger = start(spool.path());
    // Without idempotence these would not be refused together.
    let lax = [("enable.idempotence", "false"), ("acks", "0"), ("message.timeout.ms", "1")];
    let shipping = kafka.ship_with(&ledger, &lax);
    ledger.close().await.unwrap();
    let status = shipping.end().await;
    assert_eq!((status.delivered(), ledger.status().shipped), (2, 2));
    assert!(kafka.read(&kafka.topics.events).iter().all(|entry| entry.offset >= 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_that_a_crash_left_are_shipped_before_the_live_one() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::start());
    let mut origins = Vec::new();
    let mut dir = spool.path().join("first");
    for crash in 0..3 {
        let ledger = start(&dir);
        record(&ledger, 20).await;
        origins.push(ledger.status().origin);
        let next = spool.path().join(format!("after-crash-{crash}"));
        copy(&dir, &next);
        dir = next;
    }
    let ledger = start(&dir);
    origins.push(ledger.status().origin);
    ledger.close().await.unwrap();
    let status = kafka.ship(&ledger).end().await;
    let logs = verified(&kafka);
    let leaves: Vec<_> = origins.iter().map(|origin| logs[origin]).collect();
    assert_eq!(leaves, [(21, 0), (21, 0), (21, 0), (2, 0)]);
    assert_eq!((status.delivered(), status.producers()), (65, 1));
    assert_eq!(ledger.status().unshipped_epochs, 0);
    let mut order: Vec<_> =
        kafka.read(&kafka.topics.events).iter().map(|entry| text(&entry.key)).collect();
    order.dedup();
    assert_eq!(order, origins);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_it_was() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::start());
    let dir = spool.path().join("first");
    let ledger = start(&dir);
    record(&ledger, 50).await;
    let shipping = kafka.ship(&ledger);
    let noted = || {
        let epochs = fs::read_dir(&dir)?.map(|epoch| epoch.unwrap().path().join("shipped"));
        Ok(epochs.filter(|path| path.exists()).count().eq(&1).then_some(()))
    };
    wait_for("a note of what is shipped", LIMIT, noted).unwrap();
    shipping.task.abort();
    assert!(shipping.task.await.unwrap_err().is_cancelled());
    assert_eq!(shipping.status.delivered(), 51);
    record(&ledger, 30).await;
    let crashed = spool.path().join("crashed");
    copy(&dir, &crashed);

    let again = start(&crashed);
    again.close().await.unwrap();
    assert_eq!(kafka.ship(&again).end().await.delivered(), 30 + 2);
    let logs = verified(&kafka);
    assert_eq!(logs[&ledger.status().origin], (81, 0));
    assert_eq!(logs[&again.status().origin], (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_has_no_room_for_a_while_is_waited_for() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::start());
    let ledger = start(spool.path());
    record(&ledger, 20).await;
    let epoch = ledger.status().origin.rsplit('/').next().map(|epoch| spool.path().join(epoch));
    // Where it would write how far the log is shipped is something that it cannot write to.
    let in_the_way = epoch.unwrap().join("shipped.tmp");
    fs::create_dir(&in_the_way).unwrap();
    let shipping = kafka.ship(&ledger);
    let error = shipping.wait(Status::last_error);
    assert!(error.contains("cannot be noted"), "{error}");
    assert!(!shipping.task.is_finished());
    fs::remove_dir(&in_the_way).unwrap();
    ledger.close().await.unwrap();
    let status = shipping.end().await;
    assert_eq!(status.last_error(), None);
    let (origin, leaves) = (ledger.status().origin, ledger.status().size);
    assert_eq!(verified(&kafka)[&origin].0, leaves);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_before_a_damaged_group_arrives() {
    let (spool, kafka) = (tempfile::tempdir().unwrap(), Kafka::start());
    let ledger = start(spool.path());
    record(&ledger, 20).await;
    let sound = ledger.status().size;
    record(&ledger, 1).await;
    damage(spool.path());
    let shipping = kafka.ship(&ledger);
    let ended = tokio::time::timeout(LIMIT, shipping.task).await.unwrap().unwrap();
    assert!(matches!(ended, Err(ShipError::Cursor(_))), "{ended:?}");
    assert_eq!((shipping.status.delivered(), ledger.status().shipped), (sound, sound));
    assert_eq!(verified(&kafka)[&ledger.status().origin], (sound, 0));
}

/// Changes a byte of the last event in a spool.
fn damage(spool: &Path) {
    let files = |dir: &Path| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let segments = files(spool).filter(|path| path.is_dir()).flat_map(|epoch| files(&epoch));
    let mark = br#""event_code":"reload""#;
    let mut damaged = 0;
    for segment in segments.filter(|path| path.extension().is_some_and(|name| name == "wal")) {
        let mut bytes = fs::read(&segment).unwrap();
        let last = bytes.windows(mark.len()).rposition(|window| window == mark);
        let Some(byte) = last.and_then(|last| bytes.get_mut(last)) else { continue };
        *byte ^= 1;
        fs::write(&segment, bytes).unwrap();
        damaged += 1;
    }
    assert_eq!(damaged, 1);
}
