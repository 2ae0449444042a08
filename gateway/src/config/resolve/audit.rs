//! The record: spool, keys, Kafka.

use std::{path::Path, time::Duration};

use super::{Here, MINUTE, at_most, not};
use crate::config::{
    Audit, AuditKeys, Flood, Kafka, Spool, Subjects,
    problem::Problems,
    raw,
    units::{Size, Time},
};

const SEGMENT_BYTES_MIN: u64 = 512 << 10;
const SEGMENT_BYTES_MAX: u64 = 256 << 20;

/// Segments a spool has room for at least: one that is written, one that is prepared, one that is
/// shipped and one between them.
const SEGMENTS_MIN: u64 = 4;

/// More often than this, heartbeats would be most of the record.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);

/// Shorter, a window would end while the one before it is recorded.
const FLOOD_WINDOW_MIN: Duration = Duration::from_secs(1);

/// What is wrong where there is no key for pseudonyms.
pub(super) const KEY_LACKING: &str = "pseudonyms need a key, `audit.pseudonym_key`";

pub(super) fn audit(
    raw: raw::Audit,
    here: Here<'_>,
    base: &Path,
    problems: &mut Problems,
) -> Option<Audit> {
    let beat = here.key("heartbeat");
    within(raw.heartbeat, HEARTBEAT_MIN, MINUTE, beat, problems);
    let raw::Flood { per_source, in_all, window } = raw.flood;
    let flood = Flood { per_source, in_all, window: window.0 };
    let window_at = here.key("flood").key("window");
    within(window, FLOOD_WINDOW_MIN, MINUTE, window_at, problems);
    let spool = spool(&raw.spool, here.key("spool"), base, problems);
    let brokers = here.key("kafka").key("brokers");
    for (index, broker) in raw.kafka.iter().flat_map(|kafka| &kafka.brokers).enumerate() {
        if super::upstream::port(&broker.0).is_none() {
            not("a host and a port", &broker.0, brokers.item(index), problems);
        }
    }
    let pseudonym_key = raw.pseudonym_key.map(|key| key.relative_to(base));
    if raw.subjects == Subjects::Pseudonym && pseudonym_key.is_none() {
        problems.add(here.key("subjects").at, KEY_LACKING);
    }
    Some(Audit {
        spool,
        subjects: raw.subjects,
        pseudonym_key,
        keys: AuditKeys {
            issuer: raw.keys.issuer.relative_to(base),
            issuer_note: base.join(raw.keys.issuer_note),
            root: base.join(raw.keys.root),
        },
        kafka: raw.kafka.map(|kafka| Kafka {
            brokers: kafka.brokers.into_iter().map(|broker| broker.0).collect(),
            topic_prefix: kafka.topic_prefix.0,
        }),
        heartbeat: raw.heartbeat.0,
        flood,
    })
}

/// Reports a time that is not between two others.
fn within(time: Time, min: Duration, max: Duration, here: Here<'_>, problems: &mut Problems) {
    at_most(time, max, here, problems);
    if time.0 < min {
        let min = Time(min);
        problems.add(here.at, format!("{time} is below {min}, the least allowed"));
    }
}

fn spool(raw: &raw::Spool, here: Here<'_>, base: &Path, problems: &mut Problems) -> Spool {
    let segment = raw.segment_bytes;
    if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&segment.0) {
        let (min, max) = (Size(SEGMENT_BYTES_MIN), Size(SEGMENT_BYTES_MAX));
        let message = format!("{segment} is not between {min} and {max}");
        problems.add(here.key("segment_bytes").at, message);
    }
    if raw.bytes_max.0 / SEGMENTS_MIN < segment.0 {
        let max = raw.bytes_max;
        let message = format!("{max} is less than {SEGMENTS_MIN} segments of {segment}");
        problems.add(here.key("bytes_max").at, message);
    }
    Spool {
        directory: base.join(&raw.directory),
        bytes_max: raw.bytes_max.0,
        segment_bytes: segment.0,
        volatile: raw.volatile,
    }
}
