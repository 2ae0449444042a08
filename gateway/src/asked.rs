//! What is known of a request from its first moment, and kept for its record and its answer
//! while the exchange itself is on its way.

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderValue};
use ledger::Durability;
use signals::Conn;
use tokio::time::Instant;
use uuid::Uuid;

use crate::cors::Said;
pub(crate) use crate::read::now_ms;
use crate::read::{PendingRecord, Raw};
use crate::record::Mark;
use crate::refuse::{self, Client};
use crate::trace::Trace;

/// The protection space that challenges name (RFC 9110 §11.5).
const REALM: &str = "portcullis";

/// Whom an answer is for, where nothing is known of the request any more.
pub(crate) fn unknown() -> Client<'static> {
    Client { decision_id: None, request_id: None, html: false, realm: REALM, message: None }
}

pub(crate) struct Asked {
    decision_id: Uuid,
    pub(crate) trace: Trace,
    pub(crate) conn: Arc<Conn>,
    pub(crate) started: Instant,
    pub(crate) request_id: Option<HeaderValue>,
    html: bool,
    said: OnceLock<Said>,
    record: PendingRecord,
}

impl Asked {
    /// What `raw` says; whether it is recorded is from now on told here.
    pub(crate) fn of(raw: &mut Raw) -> Self {
        let record = std::mem::take(&mut raw.record);
        let request = raw.head.as_deref().ok();
        let parents =
            request.into_iter().flat_map(|request| request.headers.get_all("traceparent"));
        Self {
            decision_id: Uuid::now_v7(),
            trace: Trace::new(parents, rand::random()),
            conn: Arc::clone(&raw.conn),
            started: raw.started,
            request_id: request.and_then(refuse::request_id),
            html: request.is_some_and(refuse::prefers_html),
            said: OnceLock::new(),
            record,
        }
    }

    /// Its record begins: from here the ledger accounts for it, or what counts for the ledger.
    pub(crate) fn accounted_for(&self) {
        self.record.begin();
    }

    /// What its answer says to the browser of another origin, whoever makes the answer.
    pub(crate) fn says(&self, said: Said) {
        let _ = self.said.set(said);
    }

    /// Has an answer say it.
    pub(crate) fn say(&self, headers: &mut HeaderMap) {
        if let Some(said) = self.said.get() {
            said.put(headers);
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
