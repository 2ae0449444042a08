//! The topic of events: every partition of it, from where the manifest says.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use tracing::{error, info, warn};

use super::progress::{Place, Progress};
use super::{ANSWER_TIMEOUT, Options, SinkError, partitions, serious};
use crate::manifest::Manifest;
use crate::message::{Event, Malformed, Position};

pub(super) struct Events {
    consumer: BaseConsumer,
    topic: String,
    places: BTreeMap<i32, Place>,
    progress: Progress,
    /// Something was taken since the last commit.
    moved: bool,
}

/// A message.
pub(super) struct Taken {
    pub(super) at: Position,
    pub(super) event: Result<Event, Foreign>,
    /// When it was written, as Kafka says.
    pub(super) written_ms: Option<i64>,
    /// Bytes of its value.
    pub(super) bytes: usize,
}

/// What is no event.
pub(super) struct Foreign {
    pub(super) why: Malformed,
    pub(super) value: Vec<u8>,
}

impl Events {
    pub(super) fn new(consumer: BaseConsumer, options: &Options) -> Self {
        let topic = format!("{}.events.v1", options.topic_prefix);
        let (places, progress) = (BTreeMap::new(), Progress::default());
        Self { consumer, topic, places, progress, moved: false }
    }

    pub(super) fn partitions(&self) -> usize {
        self.places.len()
    }

    /// Begins to read, or goes on with further partitions if there are any. False if the broker
    /// does not answer or does not have the topic.
    pub(super) fn begin(&mut self, manifest: &Manifest) -> Result<bool, SinkError> {
        let Some(numbers) = partitions(&self.consumer, &self.topic) else { return Ok(false) };
        let mut places = self.places.clone();
        for number in numbers {
            if places.contains_key(&number) {
                continue;
            }
            let Some((low, high)) = self.watermarks(number) else { return Ok(false) };
            let next = manifest.offset(&self.topic, number)?.unwrap_or(low);
            places.insert(number, Place::at(self.existing(number, next, low, high)));
        }
        if places.len() > self.places.len() {
            let mut list = TopicPartitionList::new();
            for (number, place) in &places {
                list.add_partition_offset(&self.topic, *number, Offset::Offset(place.next))?;
            }
            self.consumer.assign(&list)?;
            info!(topic = self.topic, partitions = places.len(), "reading");
            self.places = places;
        }
        Ok(true)
    }

    /// Where to go on, if Kafka still has that. If it lost events, that shows in their indices.
    fn existing(&self, partition: i32, next: i64, low: i64, high: i64) -> i64 {
        if (low..=high).contains(&next) {
            return next;
        }
        let topic = &self.topic;
        error!(
            topic,
            partition,
            next,
            low,
            high,
            "kafka does not have the offset to go on at: reading all it has"
        );
        low
    }

    fn watermarks(&self, partition: i32) -> Option<(i64, i64)> {
        let watermarks = self.consumer.fetch_watermarks(&self.topic, partition, ANSWER_TIMEOUT);
        watermarks.inspect_err(|error| warn!(partition, %error, "no broker answers")).ok()
    }

    /// The next message, if one comes in this time.
    pub(super) fn take(&self, wait: Duration) -> Result<Option<Taken>, SinkError> {
        let until = Instant::now() + wait;
        loop {
            let wait = until.saturating_duration_since(Instant::now());
            let message = match self.consumer.poll(wait) {
                None => return Ok(None),
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    serious(error)?;
                    continue;
                }
            };
            let value = message.payload().unwrap_or_default();
            let event = Event::read(&message);
            let event = event.map_err(|why| Foreign { why, value: value.to_vec() });
            let (at, bytes) = (Position::of(&message), value.len());
            let written_ms = message.timestamp().to_millis();
            return Ok(Some(Taken { at, event, written_ms, bytes }));
        }
    }

    /// A message was taken in.
    pub(super) fn reached(&mut self, at: &Position, written_ms: Option<i64>) {
        if let Some(place) = self.places.get_mut(&at.partition) {
            place.reach(at.offset, written_ms);
            self.moved = true;
        }
    }

    /// The time up to which everything that was written is taken in, if that can be said.
    pub(super) fn until_ms(&mut self, now_ms: i64) -> Option<i64> {
        let mut ends = BTreeMap::new();
        for number in self.places.keys() {
            let Some((_, high)) = self.watermarks(*number) else {
                self.progress.unreachable();
                return None;
            };
            ends.insert(*number, high);
        }
        self.progress.until_ms(now_ms, &self.places, &ends)
    }

    /// Commits offsets, for tools that show lag; where to go on is in the manifest.
    pub(super) fn commit(&mut self) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        let mut list = TopicPartitionList::new();
        let added = self.places.iter().try_for_each(|(number, place)| {
            list.add_partition_offset(&self.topic, *number, Offset::Offset(place.next))
        });
        if let Err(error) = added.and_then(|()| self.consumer.commit(&list, CommitMode::Async)) {
            warn!(%error, "offsets not committed to kafka");
        }
    }
}
