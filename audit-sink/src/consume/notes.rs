//! The topics of key statements and of checkpoints. The statements are few, and read from the
//! first on at every start; checkpoints from where the manifest says.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ledger::keys::Origin;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tracing::warn;

use super::{ANSWER_TIMEOUT, BATCH_WAIT, Options, SinkError, partitions, serious};
use crate::ingest::{Ingest, Statement};
use crate::manifest::Manifest;
use crate::message::Position;

/// Time to read statements that the broker says it has.
const STATEMENTS_WAIT: Duration = Duration::from_secs(10);

/// Time between two looks for the statements of one log.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// Logs remembered that have no statements, at most.
const REFUSED_MAX: usize = 1_024;

pub(super) struct Notes {
    consumer: BaseConsumer,
    keys: String,
    checkpoints: String,
    /// The next offset of each partition of the statements.
    next: BTreeMap<i32, i64>,
    /// Logs that had no statements, and when that was seen.
    refused: BTreeMap<Origin, Instant>,
}

impl Notes {
    pub(super) fn new(consumer: BaseConsumer, options: &Options) -> Self {
        let name = |what: &str| format!("{}.{what}.v1", options.topic_prefix);
        let (keys, checkpoints) = (name("keys"), name("checkpoints"));
        let (next, refused) = (BTreeMap::new(), BTreeMap::new());
        Self { consumer, keys, checkpoints, next, refused }
    }

    /// Begins to read. False if the broker does not answer or does not have the topics.
    pub(super) fn begin(&mut self, manifest: &Manifest) -> Result<bool, SinkError> {
        let (Some(keys), Some(checkpoints)) =
            (partitions(&self.consumer, &self.keys), partitions(&self.consumer, &self.checkpoints))
        else {
            return Ok(false);
        };
        let mut list = TopicPartitionList::new();
        let mut next = BTreeMap::new();
        for number in keys {
            let Some((low, _)) = self.watermarks(&self.keys, number) else { return Ok(false) };
            list.add_partition_offset(&self.keys, number, Offset::Offset(low))?;
            next.insert(number, low);
        }
        for number in checkpoints {
            let topic = &self.checkpoints;
            let Some((low, high)) = self.watermarks(topic, number) else { return Ok(false) };
            let known = manifest.offset(topic, number)?.filter(|at| (low..=high).contains(at));
            list.add_partition_offset(topic, number, Offset::Offset(known.unwrap_or(low)))?;
        }
        self.consumer.assign(&list)?;
        self.next = next;
        Ok(true)
    }

    fn watermarks(&self, topic: &str, partition: i32) -> Option<(i64, i64)> {
        let watermarks = self.consumer.fetch_watermarks(topic, partition, ANSWER_TIMEOUT);
        watermarks.inspect_err(|error| warn!(topic, %error, "no broker answers")).ok()
    }

    /// Takes in what there is, waiting this long for the first.
    pub(super) fn take(&mut self, ingest: &mut Ingest, wait: Duration) -> Result<bool, SinkError> {
        let mut wait = wait;
        let mut taken = false;
        while let Some(polled) = self.consumer.poll(wait) {
            wait = Duration::ZERO;
            match polled {
                Ok(message) if message.topic() == self.keys => {
                    self.next.insert(message.partition(), message.offset() + 1);
                    statement(ingest, &message)?;
                }
                Ok(message) => checkpoint(ingest, &message),
                Err(error) => serious(error)?,
            }
            taken = true;
        }
        Ok(taken)
    }

    /// Takes in every statement that is in the topic now. It waits for a broker that says how
    /// many there are, unless it is told to stop.
    pub(super) fn take_statements(
        &mut self,
        ingest: &mut Ingest,
        stop: impl Fn() -> bool,
    ) -> Result<(), SinkError> {
        let mut ends = None;
        let until = Instant::now() + STATEMENTS_WAIT;
        while !stop() {
            if ends.is_none() {
                ends = self.ends();
            }
            let behind = |ends: &BTreeMap<i32, i64>| {
                ends.iter().any(|(number, end)| self.next.get(number).is_none_or(|next| next < end))
            };
            match &ends {
                Some(ends) if !behind(ends) => break,
                Some(_) if Instant::now() >= until => {
                    warn!(topic = self.keys, "statements that the broker has do not come");
                    break;
                }
                _ => drop(self.take(ingest, BATCH_WAIT)?),
            }
        }
        Ok(())
    }

    /// The ends of the partitions of the statements; `None` if no broker answers.
    fn ends(&self) -> Option<BTreeMap<i32, i64>> {
        let end = |number: &i32| Some((*number, self.watermarks(&self.keys, *number)?.1));
        self.next.keys().map(end).collect()
    }

    /// The log had no statements a moment ago.
    pub(super) fn is_refused(&self, origin: &Origin) -> bool {
        self.refused.get(origin).is_some_and(|since| since.elapsed() < REFUSED_FOR)
    }

    /// The log has no statements.
    pub(super) fn refuse(&mut self, origin: &Origin) {
        if self.refused.len() >= REFUSED_MAX {
            self.refused.clear();
        }
        self.refused.insert(origin.clone(), Instant::now());
    }
}

fn statement(ingest: &mut Ingest, message: &BorrowedMessage<'_>) -> Result<(), SinkError> {
    let text = |bytes: Option<&[u8]>| {
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned)
    };
    let taken = match (text(message.key()), text(message.payload())) {
        (Some(key), Some(note)) => ingest.statement(&key, &note)?,
        _ => Statement::Refused,
    };
    if taken == Statement::Refused {
        let (partition, offset) = (message.partition(), message.offset());
        warn!(partition, offset, "a key statement that does not hold");
    }
    Ok(())
}

fn checkpoint(ingest: &mut Ingest, message: &BorrowedMessage<'_>) {
    if let Some(note) = message.payload().and_then(|note| std::str::from_utf8(note).ok()) {
        ingest.checkpoint(&Position::of(message), note);
    }
}
