//! One producer and one log: what is sent, what is confirmed, and what that is noted by.

use std::collections::VecDeque;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ledger::{Batch, Cursor, CursorError, Entry};
use rdkafka::error::KafkaError;
use rdkafka::producer::DeliveryFuture;
use tokio::time::{Instant, MissedTickBehavior};

use crate::message::{self, Topics};
use crate::producer::{Message, Producer};
use crate::ship::RETRY_MIN;
use crate::status::Status;

/// Time between two notes of how far a log was shipped, and between two checkpoints.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Time from one read of all there is to the next: a producer gathers for longer than that, and
/// to wake up for each group of a growing log costs more than to ship it.
const READ_EVERY: Duration = Duration::from_millis(20);
/// Events after which a read is left off to send what it found.
const READ_MAX: usize = 256;

/// What ends a producer's use; another one takes over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("topic `{topic}`: {source}")]
    Kafka { topic: String, source: KafkaError },
    #[error("the producer has failed for good: {0}")]
    Fatal(String),
    #[error("the producer is gone")]
    Gone,
}

/// Why a log was left before its end.
#[derive(Debug)]
pub(crate) enum Left {
    Broken(Broken),
    Cursor(CursorError),
}

impl From<CursorError> for Left {
    fn from(error: CursorError) -> Self {
        Self::Cursor(error)
    }
}

impl From<Broken> for Left {
    fn from(error: Broken) -> Self {
        Self::Broken(error)
    }
}

/// A producer and the messages of one log that it has not confirmed.
pub(crate) struct Flight<'a> {
    producer: Producer,
    topics: &'a Topics,
    partition: i32,
    status: &'a Status,
    /// Read, and not queued yet as the producer's queue was full.
    waiting: VecDeque<Entry>,
    /// Queued, oldest first.
    sent: VecDeque<(u64, DeliveryFuture)>,
    /// When the log is to be read again.
    read_at: Instant,
}

impl<'a> Flight<'a> {
    pub(crate) fn new(
        producer: Producer,
        topics: &'a Topics,
        partition: i32,
        status: &'a Status,
    ) -> Self {
        let (waiting, sent) = (VecDeque::new(), VecDeque::new());
        Self { producer, topics, partition, status, waiting, sent, read_at: Instant::now() }
    }

    /// Ships every event of the log, in order, until it has ended and all are confirmed.
    ///
    /// `checkpoint` is the newest one that was read and is not published; it outlives the flight,
    /// as events that this one confirmed are not read again by the next.
    pub(crate) async fn log(
        mut self,
        cursor: &mut Cursor,
        checkpoint: &mut Option<String>,
    ) -> Result<(), Left> {
        self.statements(cursor).await?;
        let mut save = tokio::time::interval_at(Instant::now() + SAVE_EVERY, SAVE_EVERY);
        save.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut more = true;
        let mut unread = None;
        // Where the log cannot be read further, what is before that is delivered first.
        while more || !self.waiting.is_empty() || !self.sent.is_empty() {
            self.queue(cursor.origin())?;
            tokio::select! {
                biased;
                _ = save.tick() => {
                    if self.save(cursor, checkpoint).await? {
                        return Ok(());
                    }
                }
                delivered = next_delivery(&mut self.sent, self.topics) => {
                    self.confirm(delivered?, cursor)?;
                    // A broker confirms many at a time.
                    while let Some(delivered) = at_once(next_delivery(&mut self.sent, self.topics)) {
                        self.confirm(delivered?, cursor)?;
                    }
                }
                readable = more_at(self.read_at, cursor), if more && self.waiting.is_empty() => {
                    unread = self.read(cursor, checkpoint).err();
                    if let Some(error) = &unread {
                        tracing::warn!(origin = cursor.origin(), %error, "cannot be read further");
                        self.status.set_error(error.to_string());
                    }
                    more = readable && unread.is_none();
                }
            }
        }
        self.save(cursor, checkpoint).await?;
        unread.map_or(Ok(()), |error| Err(error.into()))
    }

    /// The statements that certify the log's key, before its first event.
    async fn statements(&self, cursor: &Cursor) -> Result<(), Left> {
        let origin = cursor.origin();
        let issuer = format!("{origin}#issuer");
        self.deliver(&self.topics.keys, &issuer, cursor.issuer_note()).await?;
        self.deliver(&self.topics.keys, origin, cursor.epoch_note()).await
    }

    /// Reads what there is, up to about [`READ_MAX`] events.
    fn read(
        &mut self,
        cursor: &mut Cursor,
        checkpoint: &mut Option<String>,
    ) -> Result<(), CursorError> {
        while self.waiting.len() < READ_MAX {
            let Some(Batch { entries, checkpoint: newest }) = cursor.read()? else {
                self.read_at = Instant::now() + READ_EVERY;
                break;
            };
            self.waiting.extend(entries);
            *checkpoint = Some(newest);
        }
        Ok(())
    }

    /// Queues what waits, as far as there is room.
    fn queue(&mut self, origin: &str) -> Result<(), Left> {
        while let Some(entry) = self.waiting.front() {
            let message = Message {
                topic: &self.topics.events,
                partition: Some(self.partition),
                key: origin,
                value: &entry.record.value,
                time_ms: Some(entry.record.time_ms),
                headers: Some(message::headers(origin, entry)),
            };
            let sent = self.producer.send(message).map_err(broken(&self.topics.events))?;
            let Some(delivery) = sent else { break };
            self.sent.push_back((entry.index, delivery));
            self.waiting.pop_front();
        }
        Ok(())
    }

    fn confirm(&self, index: u64, cursor: &mut Cursor) -> Result<(), Left> {
        cursor.confirm(index + 1)?;
        self.status.add_delivered();
        Ok(())
    }

    /// Publishes the newest checkpoint and then notes how far the log is shipped, so that what
    /// is noted is never ahead of the checkpoints. True if nothing of the log is left.
    async fn save(
        &self,
        cursor: &mut Cursor,
        checkpoint: &mut Option<String>,
    ) -> Result<bool, Left> {
        if let Some(error) = self.producer.fatal_error() {
            return Err(Broken::Fatal(error).into());
        }
        if let Some(note) = checkpoint.as_deref() {
            self.deliver(&self.topics.checkpoints, cursor.origin(), note).await?;
            *checkpoint = None;
        }
        Ok(cursor.save()?)
    }

    /// Sends one message of another topic and waits until it is confirmed.
    async fn deliver(&self, topic: &str, key: &str, value: &str) -> Result<(), Left> {
        loop {
            let value = value.as_bytes();
            let message =
                Message { topic, partition: None, key, value, time_ms: None, headers: None };
            if let Some(delivery) = self.producer.send(message).map_err(broken(topic))? {
                return confirmation(delivery, topic).await;
            }
            // The queue is full of events: they are being delivered.
            tokio::time::sleep(RETRY_MIN).await;
        }
    }
}

/// Whether there is more to read, known from `at` on.
async fn more_at(at: Instant, cursor: &mut Cursor) -> bool {
    tokio::time::sleep_until(at).await;
    cursor.more().await
}

/// The index of the oldest message, when it is confirmed. Nothing else may be confirmed before.
async fn next_delivery(
    sent: &mut VecDeque<(u64, DeliveryFuture)>,
    topics: &Topics,
) -> Result<u64, Left> {
    let Some((index, delivery)) = sent.front_mut() else {
        return std::future::pending().await;
    };
    let index = *index;
    confirmation(delivery, &topics.events).await?;
    sent.pop_front();
    Ok(index)
}

/// What comes of `future` without waiting.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

async fn confirmation(
    delivery: impl Future<Output = <DeliveryFuture as Future>::Output>,
    topic: &str,
) -> Result<(), Left> {
    let delivered = delivery.await.map_err(|_| Broken::Gone)?;
    delivered.map_err(|(error, _)| broken(topic)(error))?;
    Ok(())
}

fn broken(topic: &str) -> impl FnOnce(KafkaError) -> Broken {
    move |source| Broken::Kafka { topic: topic.to_owned(), source }
}
