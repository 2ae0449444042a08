//! The gateway: one line from the listener to the upstream.
//!
//! Signals in, Cedar decides, signed event out. [`Gateway::handle`] is the line; it reads top to
//! bottom, and its types hold it together: [`forward::forward`] takes a
//! `Receipt<Permit<Exchange>>`, which only policy and the ledger together can make.
//!
//! Nothing here refuses but `read` and routing, and those refusals are recorded as any other.
//! In a [`flood`], like refusals are counted, and the counts recorded.

pub mod admin;
pub mod blocking;
pub mod bundle;
pub mod candidate;
pub mod cli;
pub mod config;
pub mod cors;
pub mod flood;
pub mod forward;
pub mod listen;
pub mod metrics;
pub mod network;
pub mod panics;
pub mod protocol;
pub mod pseudonym;
pub mod read;
pub mod record;
pub mod refuse;
mod regular;
mod responses;
pub mod route;
mod rule_hits;
pub mod rules;
pub mod run;
pub mod shares;
pub mod snapshot;
pub mod trace;

mod alarm;
mod asked;
mod inspect;
mod turned;

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::{Either, Full};
use ledger::event::Decision;
use ledger::{Durability, Ledger, Open, Receipt};
use signals::{Facts, Request, Seen, Signals, Unreadable};
use tokio::time::{Duration, Instant};
use verdict::{Audit, Permit, Policies, Question, Refused, Resource, Verdict};

use alarm::Alarms;
use asked::Asked;
use blocking::Blocking;
use candidate::Trials;
use cors::Preflight;
use flood::Flood;
use forward::{Account, Answer, Look, Onward, Pools, Upstream};
use metrics::Metrics;
use read::{Exchange, INSPECTED_BYTES_MAX, INSPECTED_BYTES_PER_SOURCE_MAX, Raw};
use record::Decided;
use refuse::Reason;
use responses::Responses;
use route::{Inspect, Match, Origin, Route, Routes};
use shares::Shares;
use snapshot::{Snapshot, Snapshots};
use turned::{Reject, Turn};

/// Time the inspected part of a body has to come in.
const INSPECT_DEADLINE: Duration = Duration::from_secs(30);

/// What a client is sent.
pub type Answered = Response<Either<Answer<Open>, Full<Bytes>>>;

/// What all workers share.
#[derive(Debug)]
pub struct Gateway {
    snapshots: Snapshots,
    signals: Signals,
    ledger: Ledger,
    flood: Arc<Flood>,
    metrics: Arc<Metrics>,
    alarms: Alarms,
    trials: Trials,
    /// For bodies that are inspected, in bytes.
    room: Arc<Shares>,
    blocking: Blocking,
    responses: Arc<Responses>,
}

/// A request that was read, and where it leads.
struct Read {
    exchange: Exchange,
    route: Arc<Route>,
    upstream: Arc<Upstream>,
    resource: Resource,
    origin: Origin,
    /// The path as it is recorded, if that is not as it came.
    path: Option<String>,
}

/// The decision was not recorded: nothing is done of what it allows.
enum Unrecorded {
    /// Who asks and what for is longer than an event: the request is turned away.
    Unfit(Box<Turn>),
    /// The ledger did not take it.
    Lost,
}

impl Gateway {
    /// A gateway that serves what `snapshots` holds and records in `ledger`.
    pub fn new(snapshots: Snapshots, ledger: Ledger, metrics: Arc<Metrics>) -> Self {
        let config::Flood { per_source, in_all, .. } = snapshots.current().config().audit.flood;
        let flood = Arc::new(Flood::new(flood::Limits { per_source, in_all }));
        let room = Shares::new(INSPECTED_BYTES_MAX, INSPECTED_BYTES_PER_SOURCE_MAX);
        let (alarms, trials) = (Alarms::default(), Trials::start(Arc::clone(&metrics)));
        let responses = Arc::new(Responses::start(Arc::clone(&metrics)));
        let signals = Signals::default();
        let blocking = Blocking::default();
        Self {
            snapshots,
            signals,
            ledger,
            flood,
            metrics,
            alarms,
            trials,
            room,
            blocking,
            responses,
        }
    }

    /// What is served now.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// What is counted instead of being recorded.
    pub fn flood(&self) -> &Arc<Flood> {
        &self.flood
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Work that is too much for a worker.
    pub fn blocking(&self) -> &Blocking {
        &self.blocking
    }

    /// Ends what is found out after a decision, and looks at responses for so long. What is decided
    /// later has no opinion of the candidate's.
    pub fn end_trials(&self, patience: Duration) {
        self.responses.end(patience);
        self.trials.end();
    }

    /// One request, start to finish. Every check reports, Cedar decides, the ledger records, and
    /// only then does anything leave this process.
    pub async fn handle(&self, pools: &Pools, mut raw: Raw) -> Answered {
        let asked = Asked::of(&mut raw);
        let snapshot = self.snapshots.current();
        self.ledger.count_request();
        let Read { exchange, route, upstream, resource, origin, path } =
            match self.read(&snapshot, &asked, raw).await {
                Ok(read) => read,
                Err(turn) => return self.reject(&snapshot, &asked, turn).await,
            };
        let identity = snapshot.identify(&route, &exchange).await;
        let subject = snapshot.subject(&identity);
        let seen = Seen { request: &exchange.request, identity: &subject, conn: &exchange.conn };
        let (waf, awaited) = self.inspect(snapshot.rules(), &route, &exchange).await;
        let facts = self.signals.observe(&route.checks, waf, &seen);
        self.metrics.rule_hits.count(&facts.waf.rules);
        let question = Question {
            principal: &subject,
            action: &route.action,
            resource: &resource,
            context: &facts,
        };
        let verdict = self.decide(snapshot.policies(), &question, exchange);
        if let Some((batch, refusal)) = self.fold(&asked, &verdict) {
            let message = snapshot.message(refusal);
            return self.folded(batch, Reason::Refused(refusal, &facts), &asked, message).await;
        }
        let path = path.as_deref();
        let recorded = match self.record(&snapshot, &asked, &route, path, question, verdict).await {
            Ok(recorded) => recorded,
            Err(Unrecorded::Unfit(turn)) => return self.reject(&snapshot, &asked, *turn).await,
            Err(Unrecorded::Lost) => return self.unavailable(&asked),
        };
        match recorded.transpose() {
            Ok(permit) => {
                let onward = Onward {
                    upstream: &upstream,
                    origin,
                    identity: &identity,
                    trace: &asked.trace,
                    authorization: route.forward_authorization,
                    started: asked.started,
                };
                let client = asked.conn.ip;
                let look = awaited.map(|rules| Look::new(&self.responses, client, rules));
                let mut answer = self.forward(pools, &asked, permit, onward, look).await;
                refuse::tell_limit(&facts.rate, answer.headers_mut());
                answer
            }
            Err(refused) => self.refuse(&snapshot, &asked, refused, &facts).await,
        }
    }

    /// The answer to a request whose handling panicked. What has no record yet is told of when the
    /// connection is over; what has one is closed as abandoned.
    pub fn panicked(&self) -> Answered {
        self.metrics.panicked();
        refuse::answer(Reason::Panicked, &asked::unknown())
            .map(|body| Either::Right(Full::new(body)))
    }

    /// The exchange, its route, and as much of its body as the route inspects.
    async fn read(&self, snapshot: &Snapshot, asked: &Asked, raw: Raw) -> Result<Read, Turn> {
        let Raw { head, client, body, conn, port, .. } = raw;
        let mut request = match head {
            Ok(request) => request,
            Err(rejected) => {
                return Err(Turn::unreadable(rejected.why, None, None).with_line(rejected.snippet));
            }
        };
        let origin = snapshot.config().origins.find(request.host.as_str());
        request.scheme = origin.scheme;
        let misdirected = !origin.is_meant(request.port, port);
        if let Some(why) = client.err().or(misdirected.then_some(Unreadable::Misdirected)) {
            return Err(Turn::unreadable(why, Some(request), None));
        }
        let path = &request.path;
        let (found, preflight) = look_up(snapshot.routes(), &request);
        let (route, params) = match found {
            Match::Found { route, params } => (Some(route), params),
            Match::WrongMethod { allow, route } => {
                let wrong = Reject::MethodNotAllowed { allow };
                let why = if preflight { Reject::Preflight(None) } else { wrong };
                return Err(Turn::new(why, Some(request), Some(route)));
            }
            Match::NoRoute => (None, Vec::new()),
        };
        let opaque = |opt: fn(&Route) -> bool| route.as_deref().is_some_and(opt);
        if path.encoded_slash() && !opaque(|route| route.encoded_slash_opaque) {
            return Err(Turn::unreadable(Unreadable::EncodedSlash, Some(request), route));
        }
        if path.matrix_params() && !opaque(|route| route.matrix_params_opaque) {
            return Err(Turn::unreadable(Unreadable::MatrixParams, Some(request), route));
        }
        let upstream = route.as_deref().and_then(|route| snapshot.upstream(route));
        let (Some(route), Some(upstream)) = (route, upstream) else {
            return Err(Turn::new(Reject::NotFound, Some(request), None));
        };
        if let Some(cors) = &route.cors {
            if preflight {
                let why = Reject::Preflight(cors.grant(&request, &route.methods));
                return Err(Turn::new(why, Some(request), Some(route)));
            }
            asked.says(cors.said(&request));
        }
        let params = route.recorded(params, snapshot.pseudonyms());
        let recorded = route.recorded_path(path.as_str(), path.segments(), &params);
        let Some(resource) = route.resource(&params) else {
            return Err(Turn::unreadable(Unreadable::TargetTooLong, Some(request), Some(route)));
        };
        let mut exchange = Exchange { request, body, conn };
        match route.checks.waf {
            signals::Inspect::Nothing => {
                exchange.body.keep_back(exchange.request.headers.connection_listed());
            }
            signals::Inspect::Head | signals::Inspect::Body => exchange.body.drop_trailers(),
        }
        if route.inspect != Inspect::None && exchange.awaits_continue() {
            // The decision would wait for the body, and the body for the decision.
            let request = Some(exchange.request);
            return Err(Turn::unreadable(Unreadable::ExpectUnsupported, request, Some(route)));
        }
        let deadline = Instant::now() + INSPECT_DEADLINE;
        if let Inspect::Bytes(limit) = route.inspect
            && let Err(error) = exchange.inspect(limit, deadline, &self.room).await
        {
            let request = Some(exchange.request);
            return Err(Turn::unreadable(error.unreadable(), request, Some(route)));
        }
        Ok(Read { exchange, route, upstream, resource, origin, path: recorded })
    }

    /// Decides. A policy that erred is an alarm.
    fn decide(
        &self,
        policies: &Policies,
        question: &Question<'_>,
        exchange: Exchange,
    ) -> Verdict<Exchange> {
        let verdict = policies.decide(question, exchange);
        for error in &verdict.basis.errors {
            let effect = policies.effect(&error.policy);
            self.metrics.policy_erred(effect);
            self.alarms.erred(&error.policy, effect);
        }
        verdict
    }

    /// Records the decision; from then on there is a receipt. A candidate is asked after that.
    async fn record(
        &self,
        snapshot: &Snapshot,
        asked: &Asked,
        route: &Arc<Route>,
        path: Option<&str>,
        question: Question<'_>,
        Verdict { outcome, basis }: Verdict<Exchange>,
    ) -> Result<Receipt<Result<Permit<Exchange>, Refused<Exchange>>>, Unrecorded> {
        let (exchange, refusal) = match &outcome {
            Ok(permit) => (permit.get(), None),
            Err(refused) => (refused.get(), Some(&refused.refusal)),
        };
        let durability =
            raised(route.durability(&exchange.request.method), basis.obligations.audit);
        let decided = Decided {
            mark: asked.mark(durability),
            request: &exchange.request,
            path: path.unwrap_or(exchange.request.path.as_str()),
            route: &route.name,
            question,
            basis: &basis,
            refusal,
            digests: snapshot.policies().digests(),
        };
        let class = refusal.map(|refusal| refusal.class);
        let decision = decided.record(self.ledger.producer()).map_err(|error| {
            tracing::warn!(%error, "a decision is longer than an event: refused");
            let (request, route) = (exchange.request.clone(), Arc::clone(route));
            let why = Unreadable::RecordTooLong;
            let turn = Turn::unreadable(why, Some(request), Some(route));
            Unrecorded::Unfit(Box::new(turn))
        })?;
        let mut recorded = self.open(asked, decision, durability, outcome).await?;
        self.metrics.decided(class);
        self.trials.consider(snapshot.candidate(), &question, class, &mut recorded);
        Ok(recorded)
    }

    async fn open<T>(
        &self,
        asked: &Asked,
        decision: Decision,
        durability: Durability,
        value: T,
    ) -> Result<Receipt<T>, Unrecorded> {
        let uid = decision.uid();
        asked.accounted_for();
        self.ledger.open(decision, durability, value).await.map_err(|error| {
            tracing::warn!(decision = %uid, %error, "a decision could not be recorded: refused");
            Unrecorded::Lost
        })
    }

    async fn forward(
        &self,
        pools: &Pools,
        asked: &Asked,
        permit: Receipt<Permit<Exchange>>,
        onward: Onward<'_>,
        look: Option<Look>,
    ) -> Answered {
        let cache = permit.get().obligations().cache;
        let request_id = asked.request_id.clone();
        match forward::forward(pools, permit, onward, look).await {
            Ok(mut answer) => {
                refuse::mark(answer.headers_mut(), None, request_id);
                refuse::restrict(answer.headers_mut(), cache);
                asked.say(answer.headers_mut());
                self.ledger.count_answer();
                answer.map(Either::Left)
            }
            Err(failed) => {
                self.metrics.upstream_failed(failed.failure);
                self.own(failed.account, Reason::Failed(failed.failure), asked, None)
            }
        }
    }

    async fn refuse(
        &self,
        snapshot: &Snapshot,
        asked: &Asked,
        refused: Receipt<Refused<Exchange>>,
        facts: &Facts,
    ) -> Answered {
        let (refused, mut open) = refused.split();
        if open.synced().await.is_err() {
            return self.unavailable(asked);
        }
        let refusal = refused.refusal.clone();
        let account = Account::new(open, &refused.get().request.method, asked.started);
        let message = snapshot.message(&refusal);
        self.own(account, Reason::Refused(&refusal, facts), asked, message)
    }

    /// An answer of the gateway's own, accounted for.
    fn own(
        &self,
        account: Account<Open>,
        reason: Reason<'_>,
        asked: &Asked,
        message: Option<&str>,
    ) -> Answered {
        self.ledger.count_answer();
        let mut answer = refuse::answer(reason, &asked.client(message));
        asked.say(answer.headers_mut());
        account.answer(answer).map(Either::Left)
    }

    /// Nothing was recorded, so nothing is done, and no decision has an id.
    fn unavailable(&self, asked: &Asked) -> Answered {
        self.metrics.unrecorded();
        refuse::answer(Reason::Unrecorded, &asked.nobody(None))
            .map(|body| Either::Right(Full::new(body)))
    }
}

/// What a request means, and whether it is a preflight that its route's configuration answers:
/// that one means what it asks about.
fn look_up(routes: &Routes, request: &Request) -> (Match, bool) {
    let find =
        |method: &http::Method| routes.find(request.host.as_str(), method, request.path.segments());
    if let Some(Preflight { method }) = Preflight::of(request) {
        let found = find(&method);
        if found.route().is_some_and(|route| route.cors.is_some()) {
            return (found, true);
        }
    }
    (find(&request.method), false)
}

/// The route's durability, or what policy raises it to; it is never lowered.
fn raised(route: Durability, policy: Option<Audit>) -> Durability {
    match (route, policy) {
        (Durability::Strict, _) | (_, Some(Audit::Strict)) => Durability::Strict,
        (Durability::Gated, _) | (_, Some(Audit::Gated)) => Durability::Gated,
        (Durability::Buffered, None) => Durability::Buffered,
    }
}
