//! What the operator says of one issuer.

use std::time::Duration;

use signals::PrincipalKind;

use crate::fetch::Guard;

/// A signature algorithm a token may use (RFC 7518 §3.1, RFC 8037). HMAC cannot be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are RFC 7518's")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The name in a token's `alg`, matched exactly.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The name in a token's `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    pub(crate) fn jose(self) -> jsonwebtoken::Algorithm {
        use jsonwebtoken::Algorithm as Jose;
        match self {
            Self::RS256 => Jose::RS256,
            Self::RS384 => Jose::RS384,
            Self::RS512 => Jose::RS512,
            Self::PS256 => Jose::PS256,
            Self::PS384 => Jose::PS384,
            Self::PS512 => Jose::PS512,
            Self::ES256 => Jose::ES256,
            Self::ES384 => Jose::ES384,
            Self::EdDSA => Jose::EdDSA,
        }
    }
}

/// How claims become the principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimMap {
    /// What the token's subject is.
    pub kind: PrincipalKind,
    /// The claim that lists the subject's groups; none if `None`.
    pub groups: Option<String>,
    /// Attribute name and the claim it is read from.
    pub attributes: Vec<(String, String)>,
}

/// One issuer of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// The name by which routes, principals and events know it.
    pub name: String,
    /// Its issuer identifier, equal to the token's `iss` and the discovery document's `issuer`.
    pub url: String,
    /// Audiences of which a token must name one. Empty does not load.
    pub audiences: Vec<String>,
    /// Algorithms a token may use. Empty does not load.
    pub algorithms: Vec<Algorithm>,
    /// Values of `typ` a token may have, without `application/`, compared without case.
    pub token_types: Vec<String>,
    /// How claims become the principal.
    pub claims: ClaimMap,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// How often the key set is fetched.
    pub refresh: Duration,
    /// The least time between two fetches for keys nobody knows.
    pub unknown_key_cooldown: Duration,
    /// Where the gateway may connect to for this issuer.
    pub guard: Guard,
}

/// An issuer that does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No audience: every token of the issuer would do.
    #[error("issuer `{0}` names no audience: a token for any service would be accepted")]
    NoAudience(String),
    /// No algorithm.
    #[error("issuer `{0}` names no algorithm")]
    NoAlgorithm(String),
    /// No token type.
    #[error("issuer `{0}` names no token type")]
    NoTokenType(String),
    /// No time between fetches.
    #[error("issuer `{0}`: `refresh` and `unknown_key_cooldown` must be longer than nothing")]
    NoPause(String),
    /// Two issuers with one identifier or name.
    #[error("issuer `{0}` has the same name or identifier as another")]
    Duplicate(String),
    /// The identifier is no usable URL.
    #[error("issuer `{name}`: `{url}` {problem}")]
    Url {
        /// The issuer's name.
        name: String,
        /// The identifier.
        url: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The trust anchors do not load.
    #[error("issuer `{name}`: {problem}")]
    Trust {
        /// The issuer's name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl IssuerConfig {
    /// Another configuration's keys come from the same place, and are read the same way.
    pub(crate) fn has_keys_of(&self, other: &Self) -> bool {
        (&self.url, &self.algorithms, &self.guard) == (&other.url, &other.algorithms, &other.guard)
    }

    /// What stops it from loading, all at once.
    pub(crate) fn problems(&self) -> Vec<ConfigError> {
        let name = || self.name.clone();
        let url = |problem| ConfigError::Url { name: name(), url: self.url.clone(), problem };
        let mut problems = Vec::new();
        if self.audiences.iter().all(String::is_empty) {
            problems.push(ConfigError::NoAudience(name()));
        }
        if self.algorithms.is_empty() {
            problems.push(ConfigError::NoAlgorithm(name()));
        }
        if self.token_types.iter().all(String::is_empty) {
            problems.push(ConfigError::NoTokenType(name()));
        }
        if self.refresh.is_zero() || self.unknown_key_cooldown.is_zero() {
            problems.push(ConfigError::NoPause(name()));
        }
        match self.url.parse::<http::Uri>() {
            Err(_) => problems.push(url("is no URL")),
            Ok(parsed) if parsed.host().is_none() => problems.push(url("has no host")),
            Ok(parsed) if parsed.query().is_some() => problems.push(url("has a query")),
            Ok(parsed) => match parsed.scheme_str() {
                Some("https") => {}
                Some("http") if self.guard.allow_plain_http => {}
                _ => problems.push(url("is not `https`")),
            },
        }
        problems
    }
}
