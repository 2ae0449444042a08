//! The limits of an event, in bytes unless the name says otherwise. What is cut is
//! counted before JSON escaping and cut at a character; what is refused is counted after it.

/// The whole value. What does not fit is refused, never cut.
pub const EVENT_BYTES_MAX: usize = 60 * 1024;

/// A completion's value: what the spool reserves for each open decision.
pub const COMPLETION_BYTES_MAX: usize = 10 * 1024;

/// `log_close`, a heartbeat, a loss record, a watermark: what the spool reserves for each.
pub const CONTROL_BYTES_MAX: usize = 6 * 1024;

/// A principal's id, as JSON. Longer is refused.
pub const PRINCIPAL_JSON_BYTES_MAX: usize = 2048;

/// A name of the configuration (route, API, action, log), as JSON. Longer is refused.
pub const NAME_JSON_BYTES_MAX: usize = 256;

/// An upstream's name in a completion. Cut: a completion is never refused.
pub const UPSTREAM_BYTES_MAX: usize = 64;

/// `User-Agent`. Cut.
pub const USER_AGENT_BYTES_MAX: usize = 512;

/// The path, canonical or as far as it could be read. Cut.
pub const PATH_BYTES_MAX: usize = 2048;

/// The host of the request. Cut.
pub const HOST_BYTES_MAX: usize = 255;

/// The server name of the TLS handshake. Cut.
pub const SNI_BYTES_MAX: usize = 255;

/// `X-Request-ID`. Cut.
pub const REQUEST_ID_BYTES_MAX: usize = 256;

/// A method that OCSF has no name for. Cut.
pub const METHOD_BYTES_MAX: usize = 32;

/// The request line of a request that could not be read. Cut.
pub const REQUEST_LINE_BYTES_MAX: usize = 1024;

/// Where a rule of the rule engine matched (`ARGS:q`). Cut.
pub const RULE_TARGET_BYTES_MAX: usize = 256;

/// A rule's message. Cut.
pub const RULE_MESSAGE_BYTES_MAX: usize = 256;

/// Rules that matched in a response that a completion and a finding name.
pub const RESPONSE_RULES_MAX: usize = 32;

/// Their classes.
pub const RESPONSE_CLASSES_MAX: usize = 16;

/// One of these classes. Cut.
pub const RESPONSE_CLASS_BYTES_MAX: usize = 64;

/// Hits in a response that a completion tells, where they fit; none, where they do not. A finding
/// tells as many as there are.
pub const RESPONSE_HITS_MAX: usize = 8;

/// What went wrong in forwarding, for the operator: an error and its causes. Cut.
pub const FAULT_BYTES_MAX: usize = 256;

/// One problem of a refused reload. Cut.
pub const PROBLEM_BYTES_MAX: usize = 512;

/// Problems of a refused reload that are named; all are counted.
pub const PROBLEMS_MAX: usize = 16;

/// Policies that a completion names of a candidate's opinion, of those that determine it and of
/// those that erred; all are counted.
pub const CANDIDATE_POLICIES_MAX: usize = 8;

/// Such a policy's id, as JSON. A longer one is not named.
pub const CANDIDATE_ID_JSON_BYTES_MAX: usize = 96;

/// Policies that a load added, removed or changed that are named, of each kind; all are counted.
pub const POLICY_IDS_MAX: usize = 32;

/// A policy's id in the event of a load. Cut; a decision's are never.
pub const POLICY_ID_BYTES_MAX: usize = 96;

/// The declared revision of a set of policies, and its author. Cut.
pub const DECLARED_BYTES_MAX: usize = 128;

/// Groups, determining policies and proxies that are projected to OCSF fields; `unmapped` holds them all.
pub const PROJECTED_MAX: usize = 32;

/// Reasons that one aggregate holds. More is refused.
pub const REASONS_MAX: usize = 64;
