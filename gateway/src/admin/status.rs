//! How the gateway is, as one JSON document.

use ledger::{Health, Status};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::expiry::not_after;
use crate::candidate::Candidate;
use crate::config::Config;
use crate::run::{Load, source};
use crate::snapshot::Snapshot;

/// Problems of the last load that are told; all are counted.
const PROBLEMS_MAX: usize = 16;

/// The log, the spool, what is in force, what became of the last load, and when each certificate file's first certificate ends
/// (`null` if that cannot be read).
pub(crate) fn status(ready: bool, ledger: &Status, snapshot: &Snapshot, load: &Load) -> Value {
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
        "certificates": certificates(snapshot.config()),
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

fn certificates(config: &Config) -> Vec<Value> {
    let ends = |path| {
        let first = CertificateDer::pem_file_iter(path).ok()?.next()?.ok()?;
        not_after(&first)
    };
    let told = config.listeners.iter().filter_map(|listener| {
        let tls = listener.transport.tls()?;
        Some(json!({"listener": listener.name, "not_after": ends(&tls.certificate)}))
    });
    told.collect()
}
