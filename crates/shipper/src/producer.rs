//! The producer, set up so that nothing is given up: idempotent, acknowledged by all replicas in
//! sync, and without a delivery deadline. The log is the buffer; the queue in memory is small.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;

use crate::partition;
use crate::ship::Options;

/// Messages in memory, at most.
const IN_FLIGHT_MAX: &str = "20000";

/// Time to ask a broker for a topic's partitions.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// What may be set otherwise, as it is about speed. An idempotent producer sends nothing to a
/// partition while much of it is in flight, and librdkafka spins on messages that have waited for
/// longer than `linger.ms` meanwhile: that must be longer than a broker takes to confirm.
const USUAL: [(&str, &str); 8] = [
    ("queue.buffering.max.messages", IN_FLIGHT_MAX),
    ("queue.buffering.max.kbytes", "131072"),
    ("linger.ms", "50"),
    ("compression.type", "zstd"),
    ("compression.level", "1"),
    ("batch.size", "900000"),
    ("socket.keepalive.enable", "true"),
    ("reconnect.backoff.max.ms", "2000"),
];

/// What keeps the trail whole and in order.
const FIXED: [(&str, &str); 6] = [
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("delivery.timeout.ms", "0"),
    ("message.max.bytes", "1000000"),
    ("partitioner", "murmur2_random"),
    ("allow.auto.create.topics", "false"),
];

/// Other names of what is fixed.
const ALIASES: [&str; 2] = ["message.timeout.ms", "request.required.acks"];

/// Cloning it is cheap. The last one waits when it is dropped: drop it off the runtime.
#[derive(Clone)]
pub(crate) struct Producer(FutureProducer);

/// A message to send.
pub(crate) struct Message<'a> {
    pub(crate) topic: &'a str,
    /// `None` for what the key says.
    pub(crate) partition: Option<i32>,
    pub(crate) key: &'a str,
    pub(crate) value: &'a [u8],
    pub(crate) time_ms: Option<i64>,
    pub(crate) headers: Option<OwnedHeaders>,
}

impl Producer {
    pub(crate) fn new(options: &Options) -> KafkaResult<Self> {
        let mut config = ClientConfig::new();
        let given = options.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let given = given.filter(|(name, _)| !ALIASES.contains(name));
        for (name, value) in USUAL.into_iter().chain(given).chain(FIXED) {
            config.set(name, value);
        }
        config.set("bootstrap.servers", options.brokers.join(","));
        config.set("client.id", &options.client_id);
        config.create().map(Self)
    }

    /// The partition of a log. It blocks for a broker's answer.
    pub(crate) fn partition(&self, topic: &str, origin: &str) -> KafkaResult<i32> {
        let metadata = self.0.client().fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let count = found.map_or(0, |topic| topic.partitions().len());
        partition::of(origin.as_bytes(), count)
            .ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition))
    }

    /// Queues a message. `None` if the queue is full.
    pub(crate) fn send(&self, message: Message<'_>) -> KafkaResult<Option<DeliveryFuture>> {
        let mut record = FutureRecord::to(message.topic).key(message.key).payload(message.value);
        record.partition = message.partition;
        record.timestamp = message.time_ms;
        record.headers = message.headers;
        match self.0.send_result(record) {
            Ok(delivery) => Ok(Some(delivery)),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(None),
            Err((error, _)) => Err(error),
        }
    }

    /// The error after which this producer sends nothing any more.
    pub(crate) fn fatal_error(&self) -> Option<String> {
        self.0.client().fatal_error().map(|(code, message)| format!("{code}: {message}"))
    }
}
