//! What is known of a request from its first moment, and kept for its record and its answer
//! while the exchange itself is on its way.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use ledger::Durability;
use ring::rand::{SecureRandom as _, SystemRandom};
use signals::Conn;
use tokio::time::Instant;
use uuid::Uuid;

use crate::read::Raw;
use crate::record::Mark;
use crate::refuse::{self, Client};
use crate::trace::Trace;

/// The protection space that challenges name (RFC 9110 §11.5).
const REALM: &str = "portcullis";

pub(crate) struct Asked {
    decision_id: Uuid,
    pub(crate) trace: Trace,
    pub(crate) conn: Arc<Conn>,
    pub(crate) started: Instant,
    pub(crate) request_id: Option<HeaderValue>,
    html: bool,
}

impl Asked {
    pub(crate) fn of(raw: &Raw) -> Self {
        let request = raw.head.as_ref().ok();
        let mut random = [0; 24];
        // Ids of a trace need not be secret: with no randomness they are only not unique.
        let _ = SystemRandom::new().fill(&mut random);
        let parents =
            request.into_iter().flat_map(|request| request.headers.get_all("traceparent"));
        Self {
            decision_id: Uuid::now_v7(),
            trace: Trace::new(parents, random),
            conn: Arc::clone(&raw.conn),
            started: raw.started,
            request_id: request.and_then(refuse::request_id),
            html: request.is_some_and(refuse::prefers_html),
        }
    }

    pub(crate) fn mark(&self, durability: Durability) -> Mark<'_> {
        Mark { decision_id: self.decision_id, decided_ms: now_ms(), trace: &self.trace, durability }
    }

    /// Whom an answer is for.
    pub(crate) fn client<'a>(&'a self, message: Option<&'a str>) -> Client<'a> {
        Client {
            decision_id: Some(self.decision_id),
            request_id: self.request_id.as_ref(),
            html: self.html,
            realm: REALM,
            message,
        }
    }

    /// The same, where no decision was recorded.
    pub(crate) fn nobody<'a>(&'a self, message: Option<&'a str>) -> Client<'a> {
        Client { decision_id: None, ..self.client(message) }
    }
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
