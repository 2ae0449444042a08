//! What policy is not asked about, because it cannot be read or has no route, and preflights; and
//! what is counted in a flood. It is recorded as any other, as durable as its route asks before
//! anybody is told.

use std::sync::Arc;

use http_body_util::{Either, Full};
use ledger::event::{Aggregate, Turned};
use ledger::{Durability, Open};
use signals::{Request, Unreadable};
use verdict::Verdict;

use crate::asked::{Asked, now_ms};
use crate::cors::Granted;
use crate::flood::{Admit, Batch, Counted, Why};
use crate::forward::Account;
use crate::listen::ConnectionSummary;
use crate::record::TurnedAway;
use crate::refuse::{self, Reason};
use crate::route::Route;
use crate::snapshot::Snapshot;
use crate::{Answered, Gateway, Unrecorded};

/// A request that policy is not asked about.
pub(crate) struct Turn {
    why: Reject,
    request: Option<Box<Request>>,
    request_line: Option<String>,
    route: Option<Arc<Route>>,
}

pub(crate) enum Reject {
    Unreadable(Unreadable),
    NotFound,
    MethodNotAllowed {
        allow: String,
    },
    /// What is granted; nothing, if it is refused.
    Preflight(Option<Granted>),
}

impl Turn {
    /// What began as its request line, if it could not be read.
    pub(crate) fn with_line(self, line: String) -> Self {
        Self { request_line: Some(line), ..self }
    }

    pub(crate) fn new(
        why: Reject,
        request: Option<Box<Request>>,
        route: Option<Arc<Route>>,
    ) -> Self {
        Self { why, request, request_line: None, route }
    }

    pub(crate) fn unreadable(
        why: Unreadable,
        request: Option<Box<Request>>,
        route: Option<Arc<Route>>,
    ) -> Self {
        Self::new(Reject::Unreadable(why), request, route)
    }
}

impl Gateway {
    /// What came on a connection that no record of a request tells is one event, with counts; in a
    /// flood, it is counted with the rest.
    pub async fn ended(&self, summary: &ConnectionSummary) {
        let ConnectionSummary { source, began_ms, ended_ms, refused, abandoned, panicked } =
            summary;
        for _ in 0..refused.iter().map(|(_, count)| count).sum() {
            self.ledger.count_request();
        }
        let unrecorded = [("abandoned", *abandoned), ("panicked", *panicked)];
        let unrecorded = unrecorded.into_iter().filter(|(_, count)| *count > 0);
        let counts: Vec<_> = refused.iter().copied().chain(unrecorded).collect();
        let counted =
            Counted { ip: *source, from_ms: *began_ms, to_ms: *ended_ms, counts: &counts };
        if let Admit::Fold(_) = self.flood.admit_connection(counted) {
            return;
        }
        let aggregate = Aggregate {
            start_ms: *began_ms,
            end_ms: *ended_ms,
            source: *source,
            prefix_bits: if source.is_ipv4() { 32 } else { 128 },
            scope: "connection",
            counts: &counts,
        };
        if let Err(error) = self.ledger.aggregate(&aggregate).await {
            tracing::warn!(%error, "what a connection brought could not be recorded: it is kept");
            self.flood.restore(&counted.folded());
        }
    }

    /// The answer to a request that policy is not asked about. It is recorded as any other, or
    /// counted in a flood.
    pub(crate) async fn reject(&self, snapshot: &Snapshot, asked: &Asked, turn: Turn) -> Answered {
        let (why, turned, reason) = match &turn.why {
            Reject::Unreadable(why) => (
                Why::unreadable(*why),
                Turned::Unreadable { code: why.code() },
                Reason::Unreadable(*why),
            ),
            Reject::NotFound => (Why::NOT_FOUND, Turned::NotFound, Reason::NotFound),
            Reject::MethodNotAllowed { allow } => {
                let reason = Reason::MethodNotAllowed(allow);
                (Why::METHOD_NOT_ALLOWED, Turned::MethodNotAllowed, reason)
            }
            Reject::Preflight(None) => {
                (Why::PREFLIGHT_REFUSED, Turned::PreflightRefused, Reason::PreflightRefused)
            }
            Reject::Preflight(Some(granted)) => {
                return self.grant(snapshot, asked, &turn, granted).await;
            }
        };
        if let Admit::Fold(batch) = self.flood.admit(asked.conn.ip, why, now_ms()) {
            self.metrics.turned_away();
            return self.folded(batch, reason, asked, None).await;
        }
        match self.turned_away(snapshot, asked, &turn, turned).await {
            Ok(account) => self.own(account, reason, asked, None),
            Err(_) => self.unavailable(asked),
        }
    }

    /// The answer to a preflight that the route's configuration grants.
    async fn grant(
        &self,
        snapshot: &Snapshot,
        asked: &Asked,
        turn: &Turn,
        granted: &Granted,
    ) -> Answered {
        let account = self.turned_away(snapshot, asked, turn, Turned::Preflight).await;
        let Ok(account) = account else {
            return self.unavailable(asked);
        };
        let mut answer = refuse::no_content(&asked.client(None));
        granted.put(answer.headers_mut());
        self.ledger.count_answer();
        account.answer(answer).map(Either::Left)
    }

    /// Records what policy is not asked about, as durable as its route asks before anybody is
    /// told: as `gated` without one.
    async fn turned_away(
        &self,
        snapshot: &Snapshot,
        asked: &Asked,
        turn: &Turn,
        why: Turned<'_>,
    ) -> Result<Account<Open>, Unrecorded> {
        let path = turn.request.as_ref().and_then(|request| {
            snapshot.routes().concealed_path(request.path.as_str(), request.path.segments())
        });
        let request_line = turn.request_line.as_deref().map(|line| {
            let told = if snapshot.routes().hide() { line.split(' ').next() } else { None };
            told.unwrap_or(line)
        });
        let method =
            turn.request.as_ref().map_or(http::Method::GET, |request| request.method.clone());
        let durability =
            turn.route.as_ref().map_or(Durability::Gated, |route| route.durability(&method));
        let turned = TurnedAway {
            mark: asked.mark(durability),
            why,
            conn: &asked.conn,
            request: turn.request.as_deref(),
            path: path.as_deref(),
            request_line,
            route: turn.route.as_ref().map(|route| route.name.as_str()),
        };
        let decision = turned.record(self.ledger.producer()).map_err(|error| {
            tracing::error!(%error, "a refusal could not be made a record");
            Unrecorded::Lost
        })?;
        let ((), mut open) = self.open(asked, decision, durability, ()).await?.split();
        open.synced().await.map_err(|_| Unrecorded::Lost)?;
        self.metrics.turned_away();
        Ok(Account::new(open, &method, asked.started))
    }

    /// The refusal, if it is one of a flood: then it is counted from now on.
    pub(crate) fn fold<'a, T>(
        &self,
        asked: &Asked,
        verdict: &'a Verdict<T>,
    ) -> Option<(Batch, &'a verdict::Refusal)> {
        let refusal = &verdict.outcome.as_ref().err()?.refusal;
        let why = Why::refused(refusal.class)?;
        let Admit::Fold(batch) = self.flood.admit(asked.conn.ip, why, now_ms()) else {
            return None;
        };
        self.metrics.decided(Some(refusal.class));
        Some((batch, refusal))
    }

    /// The answer to a request that is counted, when that count is recorded. The request has no
    /// decision of its own, so no id.
    pub(crate) async fn folded(
        &self,
        batch: Batch,
        reason: Reason<'_>,
        asked: &Asked,
        message: Option<&str>,
    ) -> Answered {
        asked.accounted_for();
        self.metrics.folded();
        if self.flood.recorded(batch).await.is_err() {
            return self.unavailable(asked);
        }
        self.ledger.count_answer();
        let mut answer = refuse::answer(reason, &asked.nobody(message));
        asked.say(answer.headers_mut());
        answer.map(|body| Either::Right(Full::new(body)))
    }
}
