//! Looking at a transaction: what a request holds, then what an answer holds, rule by rule.
//!
//! Rules report. `deny`, `block` and `drop` are noted as what their author would have done, and
//! the rules after them run all the same. Nothing here depends on time: work is counted in bytes,
//! so that a transaction has the same outcome each time.

mod act;
mod adds;
mod body;
mod expand;
mod found;
mod head;
mod kept;
mod look;
mod memo;
mod outcome;
mod response;
mod run;
mod store;
mod tx;

use std::{borrow::Cow, net::IpAddr};

use regex::bytes::Regex;

use crate::{
    body as bodies,
    program::{EngineState, Overlay, RuleSet, Rules, Selector},
    variable::Variable,
};

use expand::Expanded;
use found::Found;
pub use kept::Kept;
use memo::Memo;
pub use outcome::{Health, Hit, Interruption, MatchedData, Outcome};
pub use response::Response;
use store::{Span, Store};
use tx::Tx;

/// A request, as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The target of the request line.
    pub target: &'a [u8],
    /// `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// Fields in their order, with their names as written.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// The content, perhaps coded as `Content-Encoding` says.
    pub body: &'a [u8],
    /// Who sent it.
    pub client: IpAddr,
    /// From which port.
    pub client_port: u16,
    /// What the transaction is called.
    pub id: &'a str,
}

/// A value that the caller took out of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// What it is a value of. A variable that is made of others has none of its own.
    pub variable: Variable,
    /// The parameter's, field's or cookie's name; empty where there is none.
    pub name: &'a [u8],
    /// The value.
    pub bytes: &'a [u8],
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the body; what rule files say may lower it.
    pub body: bodies::Limits,
    /// Values of one message.
    pub values_max: usize,
    /// Bytes of a response's body.
    pub response_bytes_max: usize,
    /// Bytes that transformations and operators read, in all.
    pub work_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: bodies::Limits::default(),
            values_max: 10_000,
            response_bytes_max: 512 << 10,
            work_bytes_max: 256 << 20,
        }
    }
}

/// A transaction that is being looked at.
#[derive(Debug)]
pub struct Inspection<'r> {
    rules: &'r RuleSet,
    limits: Limits,
    store: Store,
    memo: Memo,
    tx: Tx<'r>,
    /// Matches of the rule that is running, and the last match of any.
    matched: Vec<Found<'r>>,
    last: Option<Found<'r>>,
    running: u32,
    /// Rules that do not run, and rules of which some targets are removed.
    removed: Rules,
    filtered: Rules,
    removals: Vec<Removal<'r>>,
    state: EngineState,
    /// Phases below this do not run: a rule allowed them.
    allowed_below: u8,
    body: BodyState,
    records: Vec<Record<'r>>,
    ids: Vec<u32>,
    /// Of the request, and of its answer.
    interruptions: [Option<Interruption>; 2],
    health: Health,
    duration_ms: i64,
    args_bytes: usize,
    scratch: Vec<u8>,
    candidates: Vec<Found<'r>>,
    /// The argument of the operator that is running, and the pattern if it is one.
    argument: Vec<u8>,
    made: Option<Regex>,
}

/// Rules, and what they do not look at.
type Removal<'r> = (Cow<'r, Rules>, Cow<'r, Selector>);

/// What rules say about the body while they run.
#[derive(Debug, Default)]
struct BodyState {
    processor: Span,
    forced: bool,
    read: bool,
}

/// A rule that matched and is to be told.
#[derive(Debug, Clone)]
struct Record<'r> {
    rule: u32,
    found: Option<Found<'r>>,
    /// The pieces of its message, if a macro is in it.
    message: Vec<Expanded>,
    data: Option<Span>,
}

impl RuleSet {
    /// Looks at a request: phases 1 and 2.
    pub fn inspect<'r>(
        &'r self,
        request: &Request<'_>,
        overlay: &'r Overlay,
        limits: &Limits,
    ) -> Inspection<'r> {
        Inspection::new(self, overlay, *limits).looked_at(request)
    }

    /// As [`Self::inspect`], without any filter: every operator is asked about every text, and
    /// every transformation is done, whatever bytes there are. The outcome is the same; that is
    /// what this is for, in tests. It is slow, and counts more work.
    #[doc(hidden)]
    pub fn inspect_unfiltered<'r>(
        &'r self,
        request: &Request<'_>,
        overlay: &'r Overlay,
        limits: &Limits,
    ) -> Inspection<'r> {
        let mut inspection = Inspection::new(self, overlay, *limits);
        inspection.store.filters = false;
        inspection.looked_at(request)
    }

    /// As [`Self::inspect`], of values that the caller took out of a request in its own way.
    pub fn inspect_values<'r>(
        &'r self,
        values: &[Value<'_>],
        overlay: &'r Overlay,
        limits: &Limits,
    ) -> Inspection<'r> {
        let mut inspection = Inspection::new(self, overlay, *limits);
        let mut order: Vec<&Value<'_>> = values.iter().collect();
        order.sort_by_key(|value| value.variable);
        for value in order {
            let name = inspection.store.put(value.name);
            let span = inspection.store.put(value.bytes);
            inspection.store.value(value.variable, name, span);
        }
        inspection.phase(1);
        inspection.phase(2);
        inspection
    }

    /// The score from which on the rules' author would refuse a request that has nothing in it:
    /// zero if no rule says.
    pub fn threshold(&self) -> i64 {
        let overlay = Overlay::default();
        self.inspect_values(&[], &overlay, &Limits::default()).outcome().threshold
    }

    /// As [`Self::threshold`], of an answer.
    pub fn response_threshold(&self) -> i64 {
        let overlay = Overlay::default();
        self.inspect_values(&[], &overlay, &Limits::default()).outcome().outbound_threshold
    }
}

fn removal<'r>((rules, selector): &'r (Rules, Selector)) -> Removal<'r> {
    (Cow::Borrowed(rules), Cow::Borrowed(selector))
}

impl<'r> Inspection<'r> {
    fn new(rules: &'r RuleSet, overlay: &'r Overlay, limits: Limits) -> Self {
        let mut filtered = Rules::default();
        overlay.targets.iter().for_each(|(rules, _)| filtered.extend(rules));
        let engine = &rules.program.engine;
        Self {
            rules,
            limits,
            store: Store::new(limits.values_max),
            memo: Memo::new(&rules.program),
            tx: Tx::new(rules.program.tx_names.len(), &overlay.pinned),
            matched: Vec::new(),
            last: None,
            running: 0,
            removed: overlay.removed.clone(),
            filtered,
            removals: overlay.targets.iter().map(removal).collect(),
            state: engine.state,
            allowed_below: 0,
            body: BodyState { read: engine.request_body, ..BodyState::default() },
            records: Vec::new(),
            ids: Vec::new(),
            interruptions: [None; 2],
            health: Health::Ok,
            duration_ms: 0,
            args_bytes: 0,
            scratch: Vec::new(),
            candidates: Vec::new(),
            argument: Vec::new(),
            made: None,
        }
    }

    fn looked_at(mut self, request: &Request<'_>) -> Self {
        self.head(request);
        self.phase(1);
        self.store.expect(request.body.len());
        self.body(request);
        self.phase(2);
        self
    }

    /// How long the transaction takes so far, which only the caller knows (`DURATION`).
    pub fn elapsed(&mut self, duration: std::time::Duration) {
        self.duration_ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    }

    /// Phase 5.
    pub fn finish(&mut self) {
        self.phase(5);
    }

    /// Bytes that transformations and operators have read.
    pub fn work_bytes(&self) -> u64 {
        self.store.work
    }
}

#[cfg(test)]
mod tests;
