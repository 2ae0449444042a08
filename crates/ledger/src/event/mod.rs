//! Audit events: one line of OCSF 1.8.0 JSON each, as the log's leaves and Kafka's values hold
//! them. A value is made once, here, and never serialised again.
//!
//! - [`DecisionFields`] → [`Decision`]: what was asked and what was decided (6003 API Activity,
//!   or 4002 HTTP Activity where no policy was asked).
//! - [`Completion`]: how it ended, same class, joined by the decision's id, with what a
//!   [`Candidate`] would have answered, and what rules found in the response.
//! - [`ResponseFinding`]: a response that someone should look at (2004 Detection Finding).
//! - [`Aggregate`]: refusals folded together, with their exact counts (4002).
//! - [`LogOpen`], [`LogClose`], [`Heartbeat`], [`Reload`], [`Loss`], [`Watermark`]: 6002.
//!
//! What a client controls has a named limit ([`limit`]) and is cut at it; identity, decision and
//! policy are never cut: what does not fit is an [`EventError`], and the caller refuses.
//!
//! What it deliberately does not do: read a clock, make an id, or hold a body, a cookie, a
//! token, an `Authorization` field, a query or a `Referer`. There is no field for them.

mod aggregate;
mod candidate;
mod completion;
mod cut;
mod decision;
pub mod dictionary;
mod finding;
mod json;
mod lifecycle;
pub mod limit;
mod objects;
mod printable;
mod read;
mod record;
mod response;
mod rules;
mod seal;
mod wire;

pub use aggregate::Aggregate;
pub use candidate::{Agreement, Candidate, CandidateDigests, CandidateLoad, Opinion, Unheard};
pub use completion::{Completion, Outcome, Upstream};
pub use decision::{
    Actor, ActorKind, Call, Connection, Decision, DecisionFields, FirewallRule, HttpRequest,
    Refusal, Resource, Subject, Tls, Trace, Turned, Verdict,
};
pub use finding::ResponseFinding;
pub use json::Json;
pub use lifecycle::{
    Counters, Digests, Heartbeat, LogClose, LogOpen, Loss, PolicyChanges, PolicySet, PolicySource,
    Previous, Reload, Reloaded, Watermark,
};
pub use printable::{is_printable, printable_json, push_hex};
pub use read::{DecisionRef, Glance, ReadError};
pub use record::{Durability, EventError, Kind, Producer, Record};
pub use response::{ResponseHit, ResponseWaf};
pub use rules::{RuleChanges, RuleSet};

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
