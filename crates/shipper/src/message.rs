//! An event as a Kafka message: the value is the leaf's bytes, untouched; headers are CloudEvents
//! 1.0 in Kafka's binary mode, and what verifies the event.

use ledger::{Entry, Kind, Record};
use rdkafka::message::{Header, OwnedHeaders};

/// The OCSF version of the values.
const OCSF_VERSION: &str = "1.8.0";

/// The topics' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Every event.
    pub events: String,
    /// Checkpoints, by origin; compacted.
    pub checkpoints: String,
    /// Key statements, by origin; compacted.
    pub keys: String,
}

impl Topics {
    /// `<prefix>.events.v1` and so on.
    pub fn new(prefix: &str) -> Self {
        let name = |what: &str| format!("{prefix}.{what}.v1");
        Self { events: name("events"), checkpoints: name("checkpoints"), keys: name("keys") }
    }
}

/// The headers of an event.
pub(crate) fn headers(origin: &str, entry: &Entry) -> OwnedHeaders {
    let Record { kind, uid, time_ms, class_uid, traceparent, .. } = &entry.record;
    let all = [
        ("ce_specversion", "1.0"),
        ("ce_id", &uid.to_string()),
        ("ce_source", origin),
        ("ce_type", ce_type(*kind)),
        ("ce_time", &rfc3339(*time_ms)),
        ("content-type", "application/json"),
        ("ocsf", &format!("{OCSF_VERSION}/{class_uid}")),
        ("audit-index", &entry.index.to_string()),
        ("tlog-proof", &entry.proof),
    ];
    let traceparent = traceparent.as_deref().map(|value| ("traceparent", value));
    let none = OwnedHeaders::new_with_capacity(all.len() + 1);
    all.into_iter()
        .chain(traceparent)
        .fold(none, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

fn ce_type(kind: Kind) -> &'static str {
    match kind {
        Kind::LogOpen => "dev.portcullis.audit.log_open.v1",
        Kind::LogClose => "dev.portcullis.audit.log_close.v1",
        Kind::Heartbeat => "dev.portcullis.audit.heartbeat.v1",
        Kind::Decision => "dev.portcullis.audit.decision.v1",
        Kind::Completion => "dev.portcullis.audit.completion.v1",
        Kind::Aggregate => "dev.portcullis.audit.aggregate.v1",
        Kind::Lifecycle => "dev.portcullis.audit.lifecycle.v1",
        Kind::Authentication => "dev.portcullis.audit.authentication.v1",
        Kind::Finding => "dev.portcullis.audit.finding.v1",
    }
}

/// Unix milliseconds as RFC 3339 in UTC; the calendar is the proleptic Gregorian one.
fn rfc3339(time_ms: i64) -> String {
    let (days, ms) = (time_ms.div_euclid(86_400_000), time_ms.rem_euclid(86_400_000));
    // Days since 0000-03-01, in eras of 400 years; a year starts in March, so that the leap day
    // is its last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (s, ms) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (s / 3600, s / 60 % 60, s % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        for (time_ms, want) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_795_262_951_123, "2026-11-21T12:09:11.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(time_ms), want);
        }
    }
}
