//! From Kafka to [`Ingest`](crate::Ingest), one thread, from the manifest's offsets on.
//!
//! The consumers belong to no group that rebalances: one sink takes whole topics, and where to go
//! on is its own record. Offsets are committed to Kafka too, for tools that show lag. It decides
//! nothing about what it takes.

mod events;
mod notes;
mod progress;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ledger::note::VerifierKey;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tracing::{error, info, warn};

use crate::evidence::{Evidence, EvidenceError};
use crate::ingest::{Ingest, IngestError};
use crate::manifest::{Manifest, ManifestError};
use crate::message::{Event, Position};
use events::{Events, Taken};
use notes::Notes;

/// Messages of one batch, and bytes of their values, at most.
const BATCH_MAX: usize = 2_000;
const BATCH_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Time a batch waits for more.
const BATCH_WAIT: Duration = Duration::from_millis(100);

/// Time between two looks for what is overdue, for new partitions, and between two figures.
const TICK: Duration = Duration::from_secs(1);
const REFRESH: Duration = Duration::from_secs(30);
const FIGURES: Duration = Duration::from_secs(10);

/// How long a broker may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Time between two attempts to reach a broker.
const RETRY: Duration = Duration::from_millis(500);

/// What a sink needs.
#[derive(Debug, Clone)]
pub struct Options {
    /// `host:port` of brokers to begin with.
    pub brokers: Vec<String>,
    /// `<prefix>.events.v1` and so on.
    pub topic_prefix: String,
    /// The audit root's public key.
    pub root: VerifierKey,
    /// Where the evidence is kept.
    pub evidence: PathBuf,
    /// Further librdkafka properties.
    pub properties: Vec<(String, String)>,
}

/// Why a sink ends other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The evidence cannot be used.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A batch cannot be stored.
    #[error("a batch cannot be stored")]
    Ingest(#[from] IngestError),
    /// No consumer can be made: a property is none, or has no such value.
    #[error("no kafka consumer can be made of the properties given")]
    Consumer(#[source] KafkaError),
    /// Kafka refuses for good, or no longer has what comes next: a restart looks at what it has.
    #[error("kafka")]
    Kafka(#[from] KafkaError),
}

/// Takes the trail from Kafka until `stop`; what was taken in by then is committed.
///
/// # Errors
/// [`SinkError`]. Brokers may come and go.
pub fn run(options: &Options, stop: &AtomicBool) -> Result<(), SinkError> {
    let evidence = Evidence::lock(&options.evidence)?;
    let manifest = Manifest::open(&evidence.manifest())?;
    let ingest = Ingest::resume(options.root.clone(), evidence, manifest)?;
    let events = Events::new(consumer(options)?, options);
    let notes = Notes::new(consumer(options)?, options);
    let mut sink = Sink { ingest, events, notes, taken: 0, stop };
    while !stop.load(Ordering::Relaxed) {
        if sink.begin()? {
            return sink.run();
        }
        thread::sleep(RETRY);
    }
    Ok(())
}

struct Sink<'a> {
    ingest: Ingest,
    events: Events,
    notes: Notes,
    taken: u64,
    stop: &'a AtomicBool,
}

impl Sink<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// False while the broker does not have the topics.
    fn begin(&mut self) -> Result<bool, SinkError> {
        let begun = self.notes.begin(self.ingest.manifest())?
            && self.events.begin(self.ingest.manifest())?;
        if begun {
            info!(partitions = self.events.partitions(), "taking the trail from kafka");
            self.notes.take_statements(&mut self.ingest, || self.stop.load(Ordering::Relaxed))?;
        }
        Ok(begun)
    }

    fn run(&mut self) -> Result<(), SinkError> {
        let now = Instant::now();
        let (mut ticked, mut refreshed, mut figures) = (now, now, now);
        while !self.stopped() {
            self.batch()?;
            self.notes.take(&mut self.ingest, Duration::ZERO)?;
            if ticked.elapsed() >= TICK {
                if let Some(until_ms) = self.events.until_ms(now_ms()) {
                    self.ingest.tick(until_ms);
                }
                ticked = Instant::now();
            }
            self.commit()?;
            if refreshed.elapsed() >= REFRESH {
                self.events.begin(self.ingest.manifest())?;
                refreshed = Instant::now();
            }
            if figures.elapsed() >= FIGURES {
                info!(messages = self.taken, "taken since the start");
                figures = Instant::now();
            }
        }
        self.commit()
    }

    /// Takes messages until there are enough of them or no more.
    fn batch(&mut self) -> Result<(), SinkError> {
        let until = Instant::now() + BATCH_WAIT;
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH_MAX && bytes < BATCH_BYTES_MAX && !self.stopped() {
            let wait = until.saturating_duration_since(Instant::now());
            let Some(Taken { at, event, written_ms, bytes: more }) = self.events.take(wait)? else {
                break;
            };
            if let Ok(Event { origin, .. }) = &event
                && !self.ingest.knows(origin)
                && !self.learn(origin)?
            {
                break;
            }
            self.events.reached(&at, written_ms);
            self.put(at, event)?;
            (count, bytes, self.taken) = (count + 1, bytes + more, self.taken + 1);
        }
        Ok(())
    }

    /// A log's statements are delivered before its first event, to another topic: whatever is
    /// there by now is read. False if told to stop before.
    fn learn(&mut self, origin: &ledger::keys::Origin) -> Result<bool, SinkError> {
        if !self.notes.is_refused(origin) {
            self.notes.take_statements(&mut self.ingest, || self.stop.load(Ordering::Relaxed))?;
            if !self.stopped() && !self.ingest.knows(origin) {
                self.notes.refuse(origin);
            }
        }
        Ok(!self.stopped())
    }

    fn put(
        &mut self,
        at: Position,
        event: Result<Event, events::Foreign>,
    ) -> Result<(), SinkError> {
        match event {
            Ok(event) => self.ingest.event(at, event, now_ms())?,
            Err(events::Foreign { why, value }) => {
                let Position { topic, partition, offset } = &at;
                warn!(topic, partition, offset, %why, "a message that is none of the trail's");
                self.ingest.malformed(at, why.to_string(), value);
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        for finding in self.ingest.commit(now_ms())? {
            let ledger::verify::Finding { kind, origin, index, detail } = finding;
            error!(%kind, origin, index, detail, "FINDING");
        }
        self.events.commit();
        Ok(())
    }
}

fn consumer(options: &Options) -> Result<BaseConsumer, SinkError> {
    let mut config = ClientConfig::new();
    let given = options.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let usual = [
        ("socket.keepalive.enable", "true"),
        ("reconnect.backoff.max.ms", "2000"),
        ("queued.max.messages.kbytes", "65536"),
    ];
    let fixed = [
        ("client.id", "audit-sink"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("check.crcs", "true"),
        ("allow.auto.create.topics", "false"),
    ];
    for (name, value) in usual.into_iter().chain(given).chain(fixed) {
        config.set(name, value);
    }
    config.set("bootstrap.servers", options.brokers.join(","));
    config.set("group.id", format!("{}-sink", options.topic_prefix));
    config.create().map_err(SinkError::Consumer)
}

/// Numbers of a topic's partitions; `None` while the broker does not have it.
fn partitions(consumer: &BaseConsumer, topic: &str) -> Option<Vec<i32>> {
    let metadata = match consumer.fetch_metadata(Some(topic), ANSWER_TIMEOUT) {
        Ok(metadata) => metadata,
        Err(error) => {
            warn!(topic, %error, "no broker answers");
            return None;
        }
    };
    let found = metadata.topics().iter().find(|found| found.name() == topic)?;
    let numbers: Vec<_> = found.partitions().iter().map(|partition| partition.id()).collect();
    if numbers.is_empty() {
        warn!(topic, "the broker does not have this topic");
        return None;
    }
    Some(numbers)
}

/// An error that waiting does not mend. An offset that the broker no longer has is one: at the
/// next start it is told, and reading goes on with what there is.
fn serious(error: KafkaError) -> Result<(), SinkError> {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::Fatal) => Err(error.into()),
        _ => {
            warn!(%error, "kafka");
            Ok(())
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
