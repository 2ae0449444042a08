//! What verification reads in records: their time, and how a log begins and ends. All else in
//! them is opaque.

use serde::Deserialize;

use super::{CLOCK_MS, FindingKind, Findings, SILENCE_MS};
use crate::keys::{Origin, Validity};
use crate::note::decode_hash;
use crate::tlog::{Frontier, Hash, SIZE_MAX};

/// The log that a `log_open` continues, as far as it was durable then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its name.
    pub origin: Origin,
    /// Number of its leaves.
    pub size: u64,
    /// Root of the tree of these leaves.
    pub root: Hash,
}

/// What is known of one log. It is all that a [`LogVerifier`](super::LogVerifier) needs to go on
/// after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub origin: Origin,
    /// The leaves verified without a gap from the first on.
    pub frontier: Frontier,
    /// The log that it continues, if its `log_open` names one.
    pub previous: Option<Previous>,
    /// Whether its `log_close` was seen.
    pub closed: bool,
    /// Latest time of its records, in milliseconds since 1970.
    pub last_ms: Option<i64>,
}

impl Summary {
    /// Nothing of the log is known but its name.
    pub fn of(origin: Origin) -> Self {
        let frontier = Frontier::new();
        Self { origin, frontier, previous: None, closed: false, last_ms: None }
    }

    /// Takes in a leaf's value. `seen_ms` is when it arrived, if that is known.
    pub(super) fn read(
        &mut self,
        index: u64,
        value: &[u8],
        validity: &Validity,
        seen_ms: Option<i64>,
        findings: &mut Findings,
    ) {
        let reading = Reading::of(value);
        if index == 0 && !matches!(&reading, Some(Reading { role: Role::Open(_), .. })) {
            let detail = "the first record is no log_open, so the log before it is not known";
            findings.add(FindingKind::Rollback, Some(0), detail);
        }
        let Some(Reading { time_ms, role }) = reading else {
            return;
        };
        self.check_time(index, time_ms, seen_ms, findings);
        check_validity(index, time_ms, validity, findings);
        self.last_ms = self.last_ms.max(Some(time_ms));
        match role {
            Role::Open(previous) if index == 0 => self.previous = previous,
            Role::Close => self.closed = true,
            Role::Open(_) | Role::Other => {}
        }
    }

    fn check_time(&self, index: u64, time_ms: i64, seen_ms: Option<i64>, findings: &mut Findings) {
        // A record that arrives late is no clock error: a spool is shipped after an outage.
        if let Some(seen_ms) = seen_ms.filter(|seen_ms| time_ms.saturating_sub(*seen_ms) > CLOCK_MS)
        {
            let detail = format!("record of `{time_ms}` ms arrived at `{seen_ms}` ms");
            findings.add(FindingKind::Clock, Some(index), detail);
        }
        let Some(last_ms) = self.last_ms else {
            return;
        };
        if last_ms.saturating_sub(time_ms) > CLOCK_MS {
            let detail = format!("record of `{time_ms}` ms follows one of `{last_ms}` ms");
            findings.add(FindingKind::Clock, Some(index), detail);
        }
        let silence_ms = time_ms.saturating_sub(last_ms);
        if silence_ms > SILENCE_MS {
            let detail = format!("no record for `{silence_ms}` ms before this one");
            findings.add(FindingKind::Silence, Some(index), detail);
        }
    }
}

/// Once per log: the first record that its key's validity does not cover, clocks' error allowed.
fn check_validity(index: u64, time_ms: i64, validity: &Validity, findings: &mut Findings) {
    let first_ms = i128::from(validity.not_before_s()) * 1000 - i128::from(CLOCK_MS);
    let last_ms = i128::from(validity.not_after_s()) * 1000 + 999 + i128::from(CLOCK_MS);
    let covered = (first_ms..=last_ms).contains(&i128::from(time_ms));
    if !covered && !findings.outside_validity {
        findings.outside_validity = true;
        let (from, to) = (validity.not_before_s(), validity.not_after_s());
        let detail =
            format!("record of `{time_ms}` ms; the key is valid from `{from}` to `{to}` s");
        findings.add(FindingKind::Untrusted, Some(index), detail);
    }
}

struct Reading {
    time_ms: i64,
    role: Role,
}

enum Role {
    Open(Option<Previous>),
    Close,
    Other,
}

impl Reading {
    /// `None` if the value is no event, or a `log_open` whose predecessor is malformed.
    fn of(value: &[u8]) -> Option<Self> {
        let event: Event = serde_json::from_slice(value).ok()?;
        let role = match event.metadata.event_code.as_str() {
            "log_open" => Role::Open(previous(value)?),
            "log_close" => Role::Close,
            _ => Role::Other,
        };
        Some(Self { time_ms: event.time, role })
    }
}

fn previous(value: &[u8]) -> Option<Option<Previous>> {
    let opening: Opening = serde_json::from_slice(value).ok()?;
    let Some(named) = opening.unmapped.previous else {
        return Some(None);
    };
    let origin = Origin::parse(&named.origin).ok()?;
    let size = Some(named.size).filter(|size| *size <= SIZE_MAX)?;
    Some(Some(Previous { origin, size, root: decode_hash(&named.root)? }))
}

#[derive(Deserialize)]
struct Event {
    time: i64,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    event_code: String,
}

#[derive(Deserialize)]
struct Opening {
    unmapped: OpeningFields,
}

#[derive(Deserialize)]
struct OpeningFields {
    previous: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    origin: String,
    size: u64,
    root: String,
}
