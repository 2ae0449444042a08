//! How the gateway is, as one JSON document.

use ledger::{Health, Status};
use serde_json::{Value, json};

use crate::candidate::Candidate;
use crate::run::{Ends, Load, source};
use crate::snapshot::Snapshot;

/// Problems of the last load that are told; all are counted.
const PROBLEMS_MAX: usize = 16;

/// The log, the spool, what is in force, what became of the last load, and when the first
/// certificate that each listener shows ends (`null` if that cannot be read). It reads no file: one
/// that hangs would take whatever else is answered beside it.
pub(crate) fn status(
    ready: bool,
    ledger: &Status,
    snapshot: &Snapshot,
    load: &Load,
    certificates: &[Ends],
) -> Value {
    let record = match &ledger.health {
        Health::Ok => "ok",
        Health::Full => "full",
        Health::Stalled => "stalled",
        Health::Failed(_) => "failed",
        Health::Closed => "closed",
    };
    let digests = snapshot.policies().digests();
    let bundle = &snapshot.policy_set().bundle;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": ready,
        "record": record,
        "log": {
            "origin": ledger.origin,
            "size": ledger.size,
            "synced": ledger.synced,
            "shipped": ledger.shipped,
            "unshipped_epochs": ledger.unshipped_epochs,
            "open_decisions": ledger.open_decisions,
        },
        "spool": {
            "used_bytes": ledger.spool_used_bytes,
            "max_bytes": ledger.spool_max_bytes,
            "above_watermark": ledger.above_watermark,
        },
        "digests": {
            "config": snapshot.config().digest,
            "policies": digests.policies,
            "schema": digests.schema,
            "entities": digests.entities,
            "rules": snapshot.ruleset().digest(),
        },
        "candidate": candidate(snapshot.candidate()),
        "policies": {
            "digest": digests.set(),
            "revision": bundle.declared.revision,
            "author": bundle.declared.author,
            "sealed": bundle.sealed,
            "source": source(snapshot).as_str(),
            "kept": load.kept,
        },
        "rules": {
            "digest": snapshot.ruleset().digest(),
            "files": snapshot.ruleset().paths().count(),
            "rules": snapshot.rules().set().len(),
        },
        "load": {
            "trigger": load.trigger,
            "accepted": load.accepted,
            "at_ms": load.at_ms,
            "problem_count": load.problems.len(),
            "problems": load.problems.iter().take(PROBLEMS_MAX).collect::<Vec<_>>(),
        },
        "certificates": certificates.iter().map(end).collect::<Vec<_>>(),
    })
}

/// The candidate's digests, or why it is left out; `null` if there is to be none.
fn candidate(candidate: &Candidate) -> Value {
    let problems: Vec<String> = candidate.problems().iter().map(ToString::to_string).collect();
    match candidate {
        Candidate::Absent => Value::Null,
        Candidate::Loaded(_) | Candidate::Broken(_) => {
            json!({"digests": candidate.digests(), "problems": problems})
        }
    }
}

fn end(Ends { listener, not_after }: &Ends) -> Value {
    json!({"listener": listener, "not_after": not_after})
}
