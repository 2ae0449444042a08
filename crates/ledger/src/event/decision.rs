//! The decision: what was asked, by whom, and what was decided.

use std::net::IpAddr;

use uuid::Uuid;

use super::wire::{Coded, severity};
use super::{DecisionRef, Durability, Json, Record};

/// A decision, ready for the log, and what its completion will need of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub(super) record: Record,
    pub(super) reference: DecisionRef,
}

impl Decision {
    /// The decision's id: `metadata.uid` of the decision, `correlation_uid` of both records.
    pub fn uid(&self) -> Uuid {
        self.record.uid
    }

    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The record for the log, and the reference that its completion is made with.
    pub fn into_parts(self) -> (Record, DecisionRef) {
        (self.record, self.reference)
    }
}

/// Everything a decision says. Raw bytes are the client's; [`DecisionFields::seal`] cuts them.
#[derive(Debug, Clone)]
pub struct DecisionFields<'a> {
    /// The decision's id, a UUIDv7.
    pub uid: Uuid,
    /// When the head was complete, Unix milliseconds.
    pub received_ms: i64,
    /// When it was decided, Unix milliseconds.
    pub decided_ms: i64,
    /// Who decided what.
    pub subject: Subject<'a>,
    /// The route's name, if one was found.
    pub route: Option<&'a str>,
    /// When the record has to be on stable storage.
    pub durability: Durability,
    /// The request, as far as it could be read.
    pub http: HttpRequest<'a>,
    /// The connection it came on.
    pub conn: Connection<'a>,
    /// The trace it belongs to.
    pub trace: Option<Trace<'a>>,
    /// SHA-256 of the canonical request, if there was one.
    pub request_digest: Option<[u8; 32]>,
}

/// Who decided: policy, or the parts of the gateway that no policy is asked about.
#[derive(Debug, Clone)]
pub enum Subject<'a> {
    /// Read, routed and decided by policy: 6003 API Activity.
    Call(Box<Call<'a>>),
    /// Answered before policy could be asked: 4002 HTTP Activity.
    Http(Turned<'a>),
}

/// A call that policy decided.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Who asks.
    pub actor: Actor<'a>,
    /// The API's name.
    pub service: &'a str,
    /// The action's name.
    pub operation: &'a str,
    /// What is asked for.
    pub resource: Resource<'a>,
    /// What policy said.
    pub verdict: Verdict<'a>,
    /// Digest of the policies that said it.
    pub policies: &'a str,
    /// The first rule of the rule engine that matched.
    pub firewall_rule: Option<FirewallRule<'a>>,
    /// What abuse detection holds of the client, 0 to 100, if it could look.
    pub risk_score: Option<u8>,
    /// Principal, action and resource, whole.
    pub question: Json,
    /// All facts, whole: the context of the question.
    pub facts: Json,
    /// The basis of the verdict and the digests.
    pub cedar: Json,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Actor<'a> {
    /// The principal's type.
    pub kind: ActorKind,
    /// The principal's id.
    pub id: &'a str,
    /// Its groups.
    pub groups: &'a [String],
    /// The issuer's name in the configuration; empty for none.
    pub idp: &'a str,
    /// `iss`; empty for none.
    pub issuer: &'a str,
    /// The OAuth client; empty for none.
    pub client: &'a str,
}

/// The kinds of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// A person.
    User,
    /// A service.
    Workload,
    /// The holder of an API key.
    ApiKey,
    /// Nobody known.
    Anonymous,
}

impl ActorKind {
    pub(super) const fn coded(self) -> Coded {
        match self {
            Self::User => Coded(1, "User"),
            Self::Workload => Coded(4, "Service"),
            Self::ApiKey => Coded(99, "ApiKey"),
            Self::Anonymous => Coded(0, "Unknown"),
        }
    }

    pub(super) fn of(id: u32) -> Self {
        match id {
            1 => Self::User,
            4 => Self::Workload,
            99 => Self::ApiKey,
            _ => Self::Anonymous,
        }
    }
}

/// What is asked for; the id as the route treats it (plain, pseudonym or secret).
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    /// Its type.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a str,
}

/// What policy said.
#[derive(Debug, Clone, Copy)]
pub enum Verdict<'a> {
    /// Allowed, by these policies.
    Allow {
        /// Ids of the policies that decided.
        determining: &'a [String],
    },
    /// Refused, by these policies; by none of them where nothing allowed it.
    Refuse {
        /// The worst class.
        class: Refusal,
        /// The message the policy names for the client.
        message_id: Option<&'a str>,
        /// Ids of the policies that decided.
        determining: &'a [String],
    },
}

/// Classes of refusal, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Something needed to decide was missing.
    Unavailable,
    /// An attack.
    Blocked,
    /// Nobody known.
    Unauthenticated,
    /// Too many.
    Throttled,
    /// A stronger login is needed.
    StepUp,
    /// Not allowed.
    Forbidden,
}

impl Refusal {
    /// The word events use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Blocked => "blocked",
            Self::Unauthenticated => "unauthenticated",
            Self::Throttled => "throttled",
            Self::StepUp => "step_up",
            Self::Forbidden => "forbidden",
        }
    }

    pub(super) fn severity(self) -> Coded {
        match self {
            Self::Unavailable => severity::HIGH,
            Self::Blocked | Self::Forbidden => severity::MEDIUM,
            Self::Unauthenticated | Self::Throttled | Self::StepUp => severity::LOW,
        }
    }

    pub(super) fn disposition(self) -> Coded {
        match self {
            Self::Unavailable => Coded(27, "Error"),
            Self::Blocked | Self::Forbidden => Coded(2, "Blocked"),
            Self::Unauthenticated => Coded(26, "Unauthorized"),
            Self::Throttled => Coded(25, "Rejected"),
            Self::StepUp => Coded(23, "Challenge"),
        }
    }
}

/// Why policy was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned<'a> {
    /// The request could not be read.
    Unreadable {
        /// Why not, one word.
        code: &'a str,
    },
    /// No route has this host and path.
    NotFound,
    /// The route does not take this method.
    MethodNotAllowed,
    /// A CORS preflight, answered from the route's configuration.
    Preflight,
    /// A CORS preflight that the route's configuration refuses.
    PreflightRefused,
}

impl<'a> Turned<'a> {
    /// The word events use.
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Unreadable { code } => code,
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Preflight => "preflight",
            Self::PreflightRefused => "preflight_refused",
        }
    }

    pub(super) fn severity(self) -> Coded {
        match self {
            Self::Unreadable { .. } => severity::MEDIUM,
            Self::NotFound | Self::MethodNotAllowed | Self::PreflightRefused => severity::LOW,
            Self::Preflight => severity::INFORMATIONAL,
        }
    }
}

/// The first rule of the rule engine that matched.
#[derive(Debug, Clone, Copy)]
pub struct FirewallRule<'a> {
    /// The rule's id.
    pub id: &'a str,
    /// Its message.
    pub message: &'a str,
    /// Where it matched; never what.
    pub target: &'a str,
}

/// The request, as far as it could be read: never a query, a cookie or a credential.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpRequest<'a> {
    /// The method.
    pub method: Option<&'a str>,
    /// `HTTP/1.1`, ….
    pub version: Option<&'static str>,
    /// `http` or `https`.
    pub scheme: Option<&'static str>,
    /// The host.
    pub host: Option<&'a str>,
    /// The port, where the request named one.
    pub port: Option<u16>,
    /// The path, its parameters as the route treats them.
    pub path: Option<&'a str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// `X-Request-ID`: the client's word, data only.
    pub request_id: Option<&'a [u8]>,
    /// What may be told of the request line of a request that could not be read: up to its query.
    pub request_line: Option<&'a str>,
}

/// The connection.
#[derive(Debug, Clone, Copy)]
pub struct Connection<'a> {
    /// The client's address.
    pub ip: IpAddr,
    /// Its port, 0 if unknown.
    pub port: u16,
    /// The proxies on the way, the nearest to the client first.
    pub proxies: &'a [IpAddr],
    /// TLS, if there was any. A call has it in its facts.
    pub tls: Option<Tls<'a>>,
}

/// TLS of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Tls<'a> {
    /// `TLSv1.3`, ….
    pub version: &'a str,
    /// IANA name of the cipher suite.
    pub cipher: &'a str,
    /// The server name; empty for none.
    pub sni: &'a str,
}

/// The trace (W3C Trace Context).
#[derive(Debug, Clone, Copy)]
pub struct Trace<'a> {
    /// The `traceparent` that goes upstream. One that is malformed is left out.
    pub traceparent: &'a str,
    /// The client's span, 16 hex digits, if it sent one.
    pub parent_span: Option<&'a str>,
}
