//! The facts of one request, as Cedar's `context` and the event's `unmapped.facts` hold them.
//!
//! No field is optional: absence is a `present: false` or a [`Health`]. A fact never holds a
//! query value, a body, a cookie or a token.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Whether a check could look. "Could not look" is visible to policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// The check looked at everything it was to look at.
    Ok,
    /// The route does not ask for this check.
    #[default]
    Skipped,
    /// A limit was reached: what lies beyond it was not seen.
    Truncated,
    /// What it was to look at is not what it says it is, or of a kind that it does not read.
    Malformed,
    /// The check could not look (a key set missing, a table full).
    Unavailable,
}

impl Health {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::Ok, Self::Skipped, Self::Truncated, Self::Malformed, Self::Unavailable];

    /// The word Cedar and the event use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Everything the checks saw, whole: what policy may read and what the event records.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The credential that came with the request.
    pub identity: IdentityFact,
    /// The verified token, if there was one.
    pub token: Token,
    /// The connection.
    pub conn: Conn,
    /// The browser session.
    pub session: Session,
    /// What the rule engine found.
    pub waf: Waf,
    /// The rate limit's count.
    pub rate: Rate,
    /// What abuse detection holds of this client.
    pub abuse: Abuse,
}

/// The credential: presented or not, verified or not, and why not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct IdentityFact {
    /// `unavailable` when it could not be verified (no usable key set).
    pub health: Health,
    /// The client sent a credential.
    pub presented: bool,
    /// The credential was verified. `presented && !verified` is refused by a guardrail.
    pub verified: bool,
    /// Why it was not verified, one word (`expired`, `wrong_audience`, …); empty if it was.
    pub problem: String,
    /// The issuer's name in the configuration; empty if none applied.
    pub issuer: String,
}

/// The verified bearer token (RFC 9068 claims), or `present: false`. Times in Unix seconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Token {
    /// There is a verified token.
    pub present: bool,
    /// `iss`, exactly as the token has it.
    pub issuer: String,
    /// `aud`.
    pub audience: Vec<String>,
    /// `azp` or `client_id`; empty if absent.
    pub client: String,
    /// `scope`, split at spaces.
    pub scope: Vec<String>,
    /// `acr` (authentication context class); empty if absent.
    pub acr: String,
    /// `amr` (authentication methods).
    pub amr: Vec<String>,
    /// `auth_time`; 0 if absent.
    pub auth_time_s: i64,
    /// `iat`; 0 if absent.
    pub issued_at_s: i64,
    /// `exp`.
    pub expires_at_s: i64,
}

/// The connection the request came on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conn {
    /// `ok`; a connection is always seen.
    pub health: Health,
    /// The client's address: the peer's, or the one that a believed proxy named.
    pub ip: IpAddr,
    /// The client's port, 0 if unknown.
    pub port: u16,
    /// The proxies on the way, as far as they are believed: the nearest to the client first.
    pub proxies: Vec<IpAddr>,
    /// The connection to the gateway has TLS.
    pub tls: bool,
    /// `TLSv1.3`, `TLSv1.2` or empty.
    pub tls_version: String,
    /// The cipher suite's IANA name, or empty.
    pub cipher: String,
    /// The server name the client asked for, or empty.
    pub sni: String,
    /// `http/1.1`, `h2` or empty.
    pub alpn: String,
    /// A client certificate was verified.
    pub mtls: bool,
    /// When the head was complete, Unix milliseconds.
    pub received_ms: i64,
}

impl Default for Conn {
    fn default() -> Self {
        Self {
            health: Health::Ok,
            ip: IpAddr::from([0, 0, 0, 0]),
            port: 0,
            proxies: Vec::new(),
            tls: false,
            tls_version: String::new(),
            cipher: String::new(),
            sni: String::new(),
            alpn: String::new(),
            mtls: false,
            received_ms: 0,
        }
    }
}

/// The browser session that carried the request, or `present: false`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Session {
    /// `skipped` where a route takes no sessions.
    pub health: Health,
    /// There is a live session.
    pub present: bool,
}

/// What the rule engine found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Waf {
    /// `truncated` when the body was longer than what the route inspects, `malformed` when it is
    /// not what it says it is or of a kind that the rules do not read, `unavailable` when nobody
    /// could look at it.
    pub health: Health,
    /// Why it is malformed, or unavailable for want of somebody to look; else empty.
    #[serde(default)]
    pub problem: String,
    /// Whether policy is to heed it.
    #[serde(default)]
    pub mode: WafMode,
    /// The anomaly score of the request.
    pub score: i64,
    /// The score from which the rule set's author would block.
    pub threshold: i64,
    /// Ids of the rules that matched, ascending, at most 64.
    pub rules: Vec<String>,
    /// Their classes (`attack-sqli`, …), sorted, without repeats.
    pub classes: Vec<String>,
    /// What matched where, at most 16.
    pub hits: Vec<WafHit>,
    /// Bytes of body that were looked at.
    pub inspected_bytes: i64,
}

/// Whether policy is to heed what the rules found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WafMode {
    /// It is.
    #[default]
    Enforce,
    /// It is recorded, with what would have come of it.
    Shadow,
}

impl WafMode {
    /// The word Cedar and the event use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// One rule that matched. It names the place, never the value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WafHit {
    /// The rule's id.
    pub rule: String,
    /// The rule's `msg`.
    pub message: String,
    /// The target (`ARGS:q`, `REQUEST_HEADERS:user-agent`), the name capped.
    pub target: String,
}

/// The count of the route's rate limit for this key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rate {
    /// `skipped` where the route has no limit, `unavailable` when the table is full.
    pub health: Health,
    /// The key is over its limit.
    pub limited: bool,
    /// Requests allowed in `window_s`.
    pub limit: i64,
    /// The window, seconds.
    pub window_s: i64,
    /// Requests left now.
    pub remaining: i64,
    /// When one more will be allowed, seconds, rounded up; 0 if now.
    pub retry_after_s: i64,
}

/// What abuse detection holds of this client.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Abuse {
    /// `skipped` where the route does not ask for it.
    pub health: Health,
    /// 0 (nothing known) to 100.
    pub score: i64,
}
