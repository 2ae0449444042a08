//! What a decision comes to: a [`Permit`] or a [`Refused`], and the [`Basis`] for the event.
//!
//! Nothing here decides; the constructors are private to the crate and used by
//! [`Policies::decide`](crate::Policies::decide) alone.

use serde::{Deserialize, Serialize};

/// What a refusal is, worst first: of several, the worst is what the client hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Something needed for the decision could not be had, or a `forbid` erred.
    Unavailable,
    /// The request itself is unwanted (an attack, an abuser).
    Blocked,
    /// Nobody known asks, or the credential does not hold.
    Unauthenticated,
    /// Too many requests.
    Throttled,
    /// A stronger authentication is needed (RFC 9470).
    StepUp,
    /// The principal may not do this.
    Forbidden,
}

impl Class {
    /// Every class, worst first.
    pub const ALL: [Self; 6] = [
        Self::Unavailable,
        Self::Blocked,
        Self::Unauthenticated,
        Self::Throttled,
        Self::StepUp,
        Self::Forbidden,
    ];

    /// The word that `@refuse` and the event use.
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

    /// The class of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// The HTTP status of the class (RFC 9110 §15, RFC 6585 §4): the one table.
    pub fn status(self) -> u16 {
        match self {
            Self::Unavailable => 503,
            Self::Blocked | Self::Forbidden => 403,
            Self::Unauthenticated | Self::StepUp => 401,
            Self::Throttled => 429,
        }
    }
}

/// What the client may hear of a refusal. It holds no policy text and no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The worst class of those that apply.
    pub class: Class,
    /// `@message_id` of the policy that set the class: a key into the shell's texts.
    pub message_id: Option<String>,
    /// `@acr`, for a [`Class::StepUp`]: the authentication context class to ask for.
    pub acr: Option<String>,
}

/// `allow` or `deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A permit holds, no forbid does, and none erred.
    Allow,
    /// Everything else.
    Deny,
}

/// What the audit mode of the route is raised to. It is never lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audit {
    /// The event is synced before the first byte of the answer.
    Gated,
    /// The event is synced before the first byte goes upstream.
    Strict,
}

impl Audit {
    /// The word that policies and events have.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gated => "gated",
            Self::Strict => "strict",
        }
    }
}

/// What `Cache-Control` (RFC 9111 §5.2.2) the answer must carry, the least restrictive first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cache {
    /// No shared cache may keep it.
    #[serde(rename = "private")]
    Private,
    /// A cache must ask again before each use.
    #[serde(rename = "no-cache")]
    NoCache,
    /// No cache may keep it.
    #[serde(rename = "no-store")]
    NoStore,
}

impl Cache {
    /// The directive.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::NoStore => "no-store",
        }
    }
}

/// What the determining policies ask for beside the answer, merged so that the strictest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Obligations {
    /// `@audit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// `@cache`; only permits ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
}

impl Obligations {
    /// Both, the stricter of each.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { audit: self.audit.max(other.audit), cache: self.cache.max(other.cache) }
    }
}

/// A policy that erred. The message is for operators and the event, never for the client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyError {
    /// The policy's `@id`; empty if the question itself could not be put.
    pub policy: String,
    /// Cedar's message, at most 256 bytes.
    pub message: String,
}

/// Why the answer is what it is: the event's `unmapped.cedar`. Lists are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The answer.
    pub decision: Decision,
    /// The permits that allowed, or the forbids (erring ones too) that refused; empty if nothing
    /// permitted.
    pub determining: Vec<String>,
    /// The policies that erred, shadow ones too.
    pub errors: Vec<PolicyError>,
    /// The shadow forbids that would have refused.
    pub would_refuse: Vec<String>,
    /// The shadow permits that would have held.
    pub would_permit: Vec<String>,
    /// The class of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Class>,
    /// The schema has this principal type, action and resource type together. If not, no permit
    /// counts.
    pub declared: bool,
    /// What the determining policies ask for.
    pub obligations: Obligations,
}

/// Policy said yes, to this: it carries what it was asked about.
///
/// [`Policies::decide`](crate::Policies::decide) alone makes one, and nothing can exchange what
/// it carries:
///
/// ```compile_fail,E0451
/// let forged = verdict::Permit { exchange: "a request", obligations: Default::default() };
/// ```
#[derive(Debug)]
pub struct Permit<T> {
    exchange: T,
    obligations: Obligations,
}

impl<T> Permit<T> {
    pub(crate) fn new(exchange: T, obligations: Obligations) -> Self {
        Self { exchange, obligations }
    }

    /// What was permitted.
    pub fn get(&self) -> &T {
        &self.exchange
    }

    /// What was permitted, taken out.
    pub fn into_inner(self) -> T {
        self.exchange
    }

    /// What the permits ask for.
    pub fn obligations(&self) -> Obligations {
        self.obligations
    }
}

/// Policy said no. What was asked about comes back, so that the answer can be shaped.
#[derive(Debug)]
pub struct Refused<T> {
    /// What the client may hear.
    pub refusal: Refusal,
    exchange: T,
}

impl<T> Refused<T> {
    pub(crate) fn new(exchange: T, refusal: Refusal) -> Self {
        Self { refusal, exchange }
    }

    /// What was refused.
    pub fn get(&self) -> &T {
        &self.exchange
    }

    /// What was refused, taken out.
    pub fn into_inner(self) -> T {
        self.exchange
    }
}

/// The answer, and why.
#[derive(Debug)]
pub struct Verdict<T> {
    /// Yes or no, with what was asked about.
    pub outcome: Result<Permit<T>, Refused<T>>,
    /// Why, for the event.
    pub basis: Basis,
}
