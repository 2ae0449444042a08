//! The event dictionary: every event code, and what each promises. `tests/ocsf/dictionary.md`
//! is generated from it, and every sample event of the tests is held against it.

use std::fmt::Write as _;

use super::Kind;

/// One event code.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// `metadata.event_code`.
    pub code: &'static str,
    /// The record's kind.
    pub kind: Kind,
    /// `class_uid`, by the case.
    pub classes: &'static [u32],
    /// `severity_id` that it can have, ascending.
    pub severities: &'static [u32],
    /// Fields that are always there, in all of its classes.
    pub fields: &'static [&'static str],
    /// What an auditor may rely on.
    pub promise: &'static str,
}

/// Fields of every event.
pub const ALWAYS: &[&str] = &[
    "class_uid",
    "activity_id",
    "type_uid",
    "severity_id",
    "time",
    "status_id",
    "status_detail",
    "message",
    "metadata.version",
    "metadata.uid",
    "metadata.event_code",
    "metadata.log_name",
    "metadata.log_provider",
];

/// Every event code.
pub const ENTRIES: &[Entry] = &[
    Entry {
        code: "decision",
        kind: Kind::Decision,
        classes: &[6003, 4002],
        severities: &[1, 2, 3, 4],
        fields: &[
            "metadata.correlation_uid",
            "action_id",
            "disposition_id",
            "src_endpoint.ip",
            "http_request",
            "unmapped.durability",
            "unmapped.reason",
        ],
        promise: "One for each request that is not counted in an aggregate, before anything is forwarded or answered. 6003 where policy decided, with the whole question (`unmapped.question`, `unmapped.facts`) and its basis (`unmapped.cedar`); 4002 where policy was not asked.",
    },
    Entry {
        code: "completion",
        kind: Kind::Completion,
        classes: &[6003, 4002],
        severities: &[1, 2, 3],
        fields: &[
            "metadata.correlation_uid",
            "src_endpoint.ip",
            "http_request.body_length",
            "unmapped.outcome",
            "unmapped.latency_us",
            "unmapped.body_in_bytes",
            "unmapped.body_out_bytes",
        ],
        promise: "Exactly one for each decision, of the same class, joined by `metadata.correlation_uid`. Where the question was put to a candidate too, `unmapped.candidate` has what came of it; where rules looked at the upstream's response, `unmapped.waf` has what they found. `crashed` is written by recovery, in the next log.",
    },
    Entry {
        code: "aggregate",
        kind: Kind::Aggregate,
        classes: &[4002],
        severities: &[3],
        fields: &[
            "count",
            "src_endpoint.ip",
            "unmapped.scope",
            "unmapped.source",
            "unmapped.counts",
        ],
        promise: "Stands for exactly `count` refused requests that have no decision of their own.",
    },
    Entry {
        code: "finding",
        kind: Kind::Finding,
        classes: &[2004],
        severities: &[4],
        fields: &[
            "metadata.correlation_uid",
            "action_id",
            "disposition_id",
            "is_alert",
            "finding_info.uid",
            "finding_info.title",
            "finding_info.analytic.uid",
            "finding_info.related_events",
            "evidences",
            "unmapped.check",
            "unmapped.waf.score",
            "unmapped.waf.threshold",
            "unmapped.waf.rules",
        ],
        promise: "Written where `unmapped.waf.finding` of a completion is true and the spool has room: the score of the response is at its threshold or above it, on a route whose rules are heeded. It was sent all the same. Joined to the decision by `metadata.correlation_uid`.",
    },
    Entry {
        code: "log_open",
        kind: Kind::LogOpen,
        classes: &[6002],
        severities: &[1],
        fields: &[
            "app.version",
            "unmapped.origin",
            "unmapped.key",
            "unmapped.binary",
            "unmapped.digests",
            "unmapped.filesystem",
            "unmapped.sync_us",
        ],
        promise: "The first leaf of every log; names the log before it with its size and root.",
    },
    Entry {
        code: "log_close",
        kind: Kind::LogClose,
        classes: &[6002],
        severities: &[1],
        fields: &["unmapped.origin", "unmapped.reason", "unmapped.size", "unmapped.counters"],
        promise: "The last leaf of every log that was closed; nothing follows it.",
    },
    Entry {
        code: "heartbeat",
        kind: Kind::Heartbeat,
        classes: &[6002],
        severities: &[1],
        fields: &[
            "unmapped.origin",
            "unmapped.interval_ms",
            "unmapped.size",
            "unmapped.counters.dropped",
        ],
        promise: "Comes within `interval_ms` of the one before, requests or not: silence is an alarm.",
    },
    Entry {
        code: "reload",
        kind: Kind::Lifecycle,
        classes: &[6002],
        severities: &[1, 3],
        fields: &[
            "unmapped.what",
            "unmapped.accepted",
            "unmapped.digests",
            "unmapped.problem_count",
        ],
        promise: "One for the load at the start (`unmapped.trigger` is `start`) and for each reload, taken or refused; decisions after it were made with these digests. `unmapped.policies` says which set is in use, its declared revision and author, and what the load changed of it; `unmapped.rules` the same of the rules, with the digest before.",
    },
    Entry {
        code: "loss",
        kind: Kind::Lifecycle,
        classes: &[6002],
        severities: &[5],
        fields: &["unmapped.origin", "unmapped.reason", "unmapped.count"],
        promise: "Written if events were lost; there is no loss without it.",
    },
    Entry {
        code: "watermark",
        kind: Kind::Lifecycle,
        classes: &[6002],
        severities: &[1, 4],
        fields: &["unmapped.above", "unmapped.spool_used_bytes", "unmapped.spool_max_bytes"],
        promise: "One when the spool passes its watermark, one when it is below it again.",
    },
];

/// The entry of an event code.
pub fn entry(code: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.code == code)
}

/// The dictionary as Markdown.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Event dictionary\n\n\
         Generated from `crates/ledger/src/event/dictionary.rs`; a test compares the two.\n\
         Classes and severities are OCSF 1.8.0's. Every event has: ",
    );
    page.push_str(&list(ALWAYS.iter().map(|field| format!("`{field}`"))));
    page.push_str(".\n\n| code | kind | class | severity | also always there | promise |\n|---|---|---|---|---|---|\n");
    for entry in ENTRIES {
        let classes = list(entry.classes.iter().map(|uid| format!("{uid} {}", class_name(*uid))));
        let severities = list(entry.severities.iter().map(|id| severity_name(*id).to_owned()));
        let fields = list(entry.fields.iter().map(|field| format!("`{field}`")));
        // writing to a string does not fail
        let _ = writeln!(
            page,
            "| `{}` | {} | {classes} | {severities} | {fields} | {} |",
            entry.code,
            entry.kind.code(),
            entry.promise
        );
    }
    page
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn class_name(uid: u32) -> &'static str {
    match uid {
        2004 => "Detection Finding",
        4002 => "HTTP Activity",
        6002 => "Application Lifecycle",
        6003 => "API Activity",
        _ => "unknown",
    }
}

fn severity_name(id: u32) -> &'static str {
    match id {
        1 => "Informational",
        2 => "Low",
        3 => "Medium",
        4 => "High",
        5 => "Critical",
        _ => "unknown",
    }
}
