//! The trail over real Apache Kafka: what was recorded is in the sink, once and in order,
//! whatever is killed, stopped, left behind or asked. Prints the version that the broker says.
//!
//! What is in Kafka is read here by itself, and what the sink has is asked of the sink: its
//! events are left for the validator of OCSF (`FIXTURES_EVENTS`), as many as its signed trees say.

mod counts;
mod foreign;
mod kill;
mod left;
mod stop;
mod to_try;
mod tour;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fixtures::{
    harness::{Setting, Setup, Sink, Work},
    kafka::Kafka,
    record::text,
    topic::{self, Entry},
};
use serde_json::Value;

/// How long the sink may take to have what is in Kafka.
const LIMIT: Duration = Duration::from_secs(300);
const EVENTS: &str = "audit.events.v1";

/// A broker with its data in this directory.
fn broker(dir: &Work) -> Kafka {
    let kafka = Kafka::start(dir.path(), 1).expect("kafka");
    println!("Apache Kafka {}", kafka.version(1).expect("a version"));
    kafka
}

/// Dropped in this order: the sink and the gateway before their broker.
struct Bench {
    sink: Sink,
    setting: Setting,
    kafka: Kafka,
    _dir: Work,
}

impl Bench {
    fn start(name: &str, setup: Setup) -> Self {
        let dir = Work::new("kafka").expect("a directory");
        let kafka = broker(&dir);
        let bootstrap = kafka.bootstrap();
        let setup = Setup { kafka: Some(bootstrap.clone()), ..setup };
        let setting = Setting::start(name, &setup).expect("the product");
        let sink =
            Sink::start(setting.dir(), &bootstrap, &setting.keys.root_vkey).expect("the sink");
        Self { sink, setting, kafka, _dir: dir }
    }

    /// Asks for the public page; the decision of the answer.
    fn ask(&self, target: &str) -> String {
        let client = self.setting.client().expect("a client");
        let answer = client.get(target, &[]).expect("an answer");
        answer.field("portcullis-decision-id").expect("a decision id").to_owned()
    }

    /// SIGTERM to the gateway, which must ship its tail and leave an empty spool.
    fn stop_gateway(&mut self) {
        let status = self.setting.gateway.stop().expect("the gateway's end");
        assert!(status.success(), "the tail was not shipped: {status}");
        assert_eq!(logs_in_spool(&self.setting), [""; 0], "left in the spool");
    }

    /// Waits until the sink has every log to the end that Kafka has, and ends it.
    fn settle(&mut self) -> BTreeMap<String, u64> {
        let shipped = shipped(&self.kafka.bootstrap());
        let events: u64 = shipped.values().sum();
        let events = usize::try_from(events).expect("so many");
        self.sink.wait_for_events(events, LIMIT).expect("everything in the sink");
        assert!(self.sink.stop().expect("the sink's end").success());
        assert_eq!(self.sink.logs().expect("the sink's logs"), shipped, "sink and Kafka differ");
        shipped
    }

    /// Settles, and holds the sink's events against themselves, their trees and the answers.
    fn examine(&mut self, answered: &[String]) -> Examined {
        self.settle();
        let mut examined = Examined::default();
        let events = self.sink.each_event(|event| {
            examined.take(event);
            Ok(())
        });
        let events = events.expect("the sink's events");
        examined.hold(answered);
        let verified = self.sink.verify(&self.sink.evidence()).expect("verify");
        assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
        println!("{}", verified.out.trim_end());
        assert_eq!(number(&verified.out, "events="), events, "events shown and in the trees");
        examined
    }
}

/// What the sink's events say, log by log.
#[derive(Default)]
struct Examined {
    decisions: BTreeSet<String>,
    completions: BTreeSet<String>,
    uids: BTreeSet<String>,
    /// Every `log_open`, in order.
    opened: Vec<Value>,
    /// The code of the newest event, and of the last of each log before.
    last: String,
    ends: Vec<String>,
}

impl Examined {
    fn take(&mut self, event: &Value) {
        let code = text(event, "/metadata/event_code");
        let once = self.uids.insert(text(event, "/metadata/uid").to_owned());
        assert!(once, "an event twice: {event}");
        let decision = text(event, "/metadata/correlation_uid").to_owned();
        match code {
            "decision" => assert!(self.decisions.insert(decision), "decided twice: {event}"),
            "completion" => {
                assert!(self.decisions.contains(&decision), "ended before it began: {event}");
                assert!(self.completions.insert(decision), "ended twice: {event}");
            }
            "log_open" => {
                self.opened.push(event.clone());
                self.ends.extend((self.opened.len() > 1).then(|| self.last.clone()));
            }
            _ => {}
        }
        code.clone_into(&mut self.last);
    }

    /// Every answer has its event, every decision its completion.
    fn hold(&mut self, answered: &[String]) {
        self.ends.push(std::mem::take(&mut self.last));
        let lost: Vec<&String> =
            answered.iter().filter(|id| !self.decisions.contains(*id)).collect();
        assert!(lost.is_empty(), "{} answers without an event: {:?}", lost.len(), lost.first());
        let open: Vec<_> = self.decisions.difference(&self.completions).collect();
        assert!(open.is_empty(), "{} decisions not completed: {:?}", open.len(), open.first());
    }
}

/// Every log in Kafka and how many events it has. One that was sent again is one event, but the
/// first of each come in the order of the log.
fn shipped(bootstrap: &str) -> BTreeMap<String, u64> {
    let mut logs: BTreeMap<String, u64> = BTreeMap::new();
    let (mut messages, mut again) = (0, 0);
    topic::each(bootstrap, EVENTS, |entry| {
        let origin = String::from_utf8_lossy(&entry.key).into_owned();
        let index: u64 = header(&entry, "audit-index").parse().expect("an index");
        let next = logs.entry(origin.clone()).or_default();
        assert!(index <= *next, "{origin}: {index} where {next} is missing");
        messages += 1;
        again += u64::from(index < *next);
        *next = (index + 1).max(*next);
    })
    .expect("the topic");
    println!("kafka: logs={} messages={messages} sent_again={again}", logs.len());
    logs
}

fn header(entry: &Entry, name: &str) -> String {
    let found = entry.headers.iter().find(|(known, _)| known == name);
    let (_, value) = found.unwrap_or_else(|| panic!("no header `{name}`"));
    String::from_utf8_lossy(value).into_owned()
}

/// The logs that have files in the gateway's spool.
fn logs_in_spool(setting: &Setting) -> Vec<String> {
    let entries = std::fs::read_dir(setting.spool()).expect("the spool");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let dirs = paths.filter(|path| path.is_dir());
    dirs.map(|dir| dir.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
}

/// The number after `name` in what a verb printed.
fn number(out: &str, name: &str) -> u64 {
    let found = out.split_whitespace().find_map(|word| word.strip_prefix(name));
    found.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no `{name}` in: {out}"))
}
