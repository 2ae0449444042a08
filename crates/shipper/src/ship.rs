//! One log after the other, each to its end.

use std::sync::Arc;
use std::time::Duration;

use ledger::{Cursor, CursorError, Trail};
use rdkafka::error::KafkaError;
use tracing::{info, warn};

use crate::flight::{Broken, Flight, Left};
use crate::message::Topics;
use crate::producer::Producer;
use crate::status::Status;

/// Pause after something failed; it doubles up to [`RETRY_MAX`] while nothing is delivered.
pub(crate) const RETRY_MIN: Duration = Duration::from_millis(200);

/// Longest pause between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Where to ship to.
#[derive(Debug, Clone)]
pub struct Options {
    /// `host:port` of brokers to begin with.
    pub brokers: Vec<String>,
    /// The topics.
    pub topics: Topics,
    /// How the broker's log knows us.
    pub client_id: String,
    /// Further librdkafka properties (TLS, SASL, sizes). What keeps the trail whole, as
    /// idempotence and acknowledgements, stays as it is whatever is said here.
    pub properties: Vec<(String, String)>,
}

/// Why shipping ended before the log did. The log is whole, and the next start goes on.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The log's files are corrupt.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// No producer can be made: a property is none, or has no such value.
    #[error("no kafka producer can be made of the properties given")]
    Producer(#[source] KafkaError),
}

/// Ships a trail.
#[derive(Debug)]
pub struct Shipper {
    options: Options,
    status: Arc<Status>,
}

impl Shipper {
    /// A shipper to these brokers. Nothing is connected yet.
    pub fn new(options: Options) -> Self {
        Self { options, status: Arc::default() }
    }

    /// How it goes, also while it runs.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Ships every log of the trail to its end; returns when the last one has ended and every
    /// event of it is confirmed.
    ///
    /// # Errors
    /// [`ShipError`]: only a log that is corrupt or the options end it. Brokers may come and go,
    /// and so may room on the disk.
    pub async fn ship(&self, trail: Trail) -> Result<(), ShipError> {
        let shipped = self.ship_logs(trail).await;
        if let Err(error) = &shipped {
            self.status.set_error(error.to_string());
        }
        shipped
    }

    async fn ship_logs(&self, mut trail: Trail) -> Result<(), ShipError> {
        let mut idle = None;
        while let Some(mut cursor) = trail.next().await {
            self.ship_log(&mut cursor, &mut idle).await?;
            info!(origin = cursor.origin(), events = cursor.confirmed(), "log shipped");
        }
        idle.into_iter().for_each(discard);
        Ok(())
    }

    /// Ships one log with the producer that is idle, or a new one, and one more after each that
    /// breaks.
    async fn ship_log(
        &self,
        cursor: &mut Cursor,
        idle: &mut Option<Producer>,
    ) -> Result<(), ShipError> {
        let mut checkpoint = None;
        let mut pause = RETRY_MIN;
        loop {
            let producer = idle.take().map_or_else(|| self.producer(), Ok)?;
            let partition = self.partition(&producer, cursor.origin()).await;
            let before = cursor.confirmed();
            let topics = &self.options.topics;
            let flight = Flight::new(producer.clone(), topics, partition, &self.status);
            match flight.log(cursor, &mut checkpoint).await {
                Ok(()) => {
                    *idle = Some(producer);
                    return Ok(());
                }
                Err(Left::Cursor(error)) if error.may_pass() => self.warn(cursor.origin(), &error),
                Err(Left::Cursor(error)) => return Err(error.into()),
                Err(Left::Broken(error)) => self.warn(cursor.origin(), &error),
            }
            discard(producer);
            cursor.rewind();
            if cursor.confirmed() > before {
                pause = RETRY_MIN;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    fn producer(&self) -> Result<Producer, ShipError> {
        let producer = Producer::new(&self.options).map_err(ShipError::Producer)?;
        self.status.add_producer();
        Ok(producer)
    }

    /// The partition of a log, once a broker says how many there are.
    async fn partition(&self, producer: &Producer, origin: &str) -> i32 {
        let mut pause = RETRY_MIN;
        loop {
            let topic = self.options.topics.events.clone();
            let asked = (producer.clone(), topic.clone(), origin.to_owned());
            let asking = move || asked.0.partition(&asked.1, &asked.2);
            let source = match tokio::task::spawn_blocking(asking).await {
                Ok(Ok(partition)) => return partition,
                Ok(Err(source)) => source,
                Err(_) => KafkaError::Canceled,
            };
            self.warn(origin, &Broken::Kafka { topic, source });
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    fn warn(&self, origin: &str, error: &(dyn std::error::Error + 'static)) {
        warn!(origin, error, "not shipped yet");
        self.status.set_error(error.to_string());
    }
}

/// Drops a producer where it may wait.
fn discard(producer: Producer) {
    tokio::task::spawn_blocking(move || drop(producer));
}
