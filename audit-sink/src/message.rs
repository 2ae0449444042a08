//! A Kafka message as the trail has it.

use ledger::keys::Origin;
use rdkafka::message::{Headers as _, Message};

/// Where a message stands in Kafka.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
}

impl Position {
    pub(crate) fn of(message: &impl Message) -> Self {
        let (partition, offset) = (message.partition(), message.offset());
        Self { topic: message.topic().to_owned(), partition, offset }
    }
}

/// A message of the topic of events, taken apart. Nothing is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The log, from the key.
    pub origin: Origin,
    /// The leaf's index, from the header `audit-index`.
    pub index: u64,
    /// The leaf's value, exactly.
    pub value: Vec<u8>,
    /// The C2SP tlog-proof, from the header of that name.
    pub proof: String,
}

/// What is wrong with a message that is none of the trail's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("no key that is an origin")]
    Origin,
    #[error("no value")]
    Value,
    #[error("no header `{0}` that can be read")]
    Header(&'static str),
}

impl Event {
    pub(crate) fn read(message: &impl Message) -> Result<Self, Malformed> {
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let origin = key.and_then(|key| Origin::parse(key).ok()).ok_or(Malformed::Origin)?;
        let value = message.payload().ok_or(Malformed::Value)?.to_vec();
        let index = header(message, "audit-index")?;
        let index = index.parse().map_err(|_| Malformed::Header("audit-index"))?;
        let proof = header(message, "tlog-proof")?.to_owned();
        Ok(Self { origin, index, value, proof })
    }
}

/// The value of a header that is there once, as text.
fn header<'a>(message: &'a impl Message, name: &'static str) -> Result<&'a str, Malformed> {
    let once = || {
        let mut found = message.headers()?.iter().filter(|header| header.key == name);
        let (Some(only), None) = (found.next(), found.next()) else { return None };
        std::str::from_utf8(only.value?).ok()
    };
    once().ok_or(Malformed::Header(name))
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};

    use super::*;

    const ORIGIN: &str = "audit.acme.example/eu1/gw-a/1795262951123-00000001";

    fn check(key: Option<&str>, value: Option<&str>, headers: &[(&str, &str)], want: &str) {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, &(key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let message = OwnedMessage::new(
            value.map(bytes),
            key.map(bytes),
            "audit.events.v1".to_owned(),
            Timestamp::NotAvailable,
            3,
            17,
            Some(headers),
        );
        let read = Event::read(&message);
        let got = match &read {
            Ok(event) => format!("{} {} {}", event.index, event.proof, event.value.len()),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, want);
    }

    #[test]
    fn a_message_is_read_or_says_what_is_wrong() {
        let (index, proof) = (("audit-index", "7"), ("tlog-proof", "p"));
        check(Some(ORIGIN), Some("{}"), &[index, proof], "7 p 2");
        check(Some(ORIGIN), Some("{}"), &[proof, ("ce_id", "x"), index], "7 p 2");
        check(None, Some("{}"), &[index, proof], "no key that is an origin");
        check(Some("../x"), Some("{}"), &[index, proof], "no key that is an origin");
        check(Some(ORIGIN), None, &[index, proof], "no value");
        let no_index = "no header `audit-index` that can be read";
        check(Some(ORIGIN), Some("{}"), &[proof], no_index);
        check(Some(ORIGIN), Some("{}"), &[proof, index, index], no_index);
        check(Some(ORIGIN), Some("{}"), &[proof, ("audit-index", "-1")], no_index);
        check(Some(ORIGIN), Some("{}"), &[index], "no header `tlog-proof` that can be read");
    }
}
