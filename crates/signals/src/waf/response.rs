//! The rules on a response: what is kept of the request that they looked at, and the fact that comes
//! of both.
//!
//! A response comes after the decision, so nothing of it is a question to policy. Whoever relays it
//! says what there was; nothing is read here.

use std::sync::Arc;

use seclang::{Kept, Limits, Outcome, Overlay, Response, RuleSet};

use super::{Rules, View, fact};
use crate::{Health, Protocol, Waf, WafMode};

/// A response that rules are to look at when it has come.
#[derive(Debug)]
pub struct AwaitedResponse {
    set: Arc<RuleSet>,
    views: Arc<[View]>,
    view: usize,
    mode: WafMode,
    protocol: &'static str,
    bytes_max: usize,
    /// It goes from hand to hand, and most requests have none.
    kept: Box<Kept>,
}

/// Why rules would find nothing in responses, or nobody could say how much is too much.
pub(super) fn not_looked_at(set: &RuleSet) -> Option<&'static str> {
    let [_, _, third, fourth, _] = set.phases();
    if third + fourth == 0 {
        return Some("no rule looks at responses: none is of phase 3 or 4");
    }
    let none = "no `SecAction` sets `tx.outbound_anomaly_score_threshold` to a number above 0";
    (set.response_threshold() <= 0).then_some(none)
}

impl AwaitedResponse {
    pub(super) fn new(
        rules: &Rules,
        view: usize,
        mode: WafMode,
        protocol: Protocol,
        bytes_max: usize,
        mut kept: Kept,
    ) -> Self {
        // What a worker may do is no limit of the response's.
        kept.limit(Limits { response_bytes_max: bytes_max, ..super::limits() });
        let protocol = super::protocol(protocol);
        let (set, views) = (Arc::clone(&rules.set), Arc::clone(&rules.views));
        Self { set, views, view, mode, protocol, bytes_max, kept: Box::new(kept) }
    }

    /// Bytes of a body that are looked at, at most.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Bytes of memory that it takes, about.
    pub fn held_bytes(&self) -> usize {
        self.kept.held_bytes()
    }

    /// The request's protocol, as a status line has it.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// Whether policy is to heed what the rules find in requests: whether what they find in
    /// responses is to alarm anybody.
    pub fn mode(&self) -> WafMode {
        self.mode
    }

    /// Whether rules look at bodies of this `Content-Type`.
    pub fn reads(&self, content_type: &[u8]) -> bool {
        self.set.reads_responses_of(content_type)
    }

    /// Looks, and reports.
    pub fn look(self, response: &Response<'_>) -> Waf {
        let of_files = Overlay::default();
        let overlay = self.views.get(self.view).map_or(&of_files, |view| &view.overlay);
        let mut inspection = self.kept.resume(&self.set, overlay);
        inspection.response(response);
        inspection.finish();
        let outcome = inspection.outcome();
        let (health, problem) = match outcome.health {
            seclang::Health::Ok => (Health::Ok, ""),
            seclang::Health::Truncated => (Health::Truncated, ""),
            seclang::Health::Malformed(reason) => (Health::Malformed, reason.as_str()),
        };
        let of_response = Outcome {
            score: outcome.outbound_score,
            threshold: outcome.outbound_threshold,
            interrupted_by: outcome.outbound_interrupted_by,
            ..outcome
        };
        let waf = fact(of_response, health, response.body.len());
        Waf { mode: self.mode, problem: problem.to_owned(), ..waf }
    }
}
