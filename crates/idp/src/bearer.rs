//! Bearer tokens: JWTs by RFC 7519 and RFC 9068, checked as RFC 8725 advises.
//!
//! Order matters: size and shape, then the header (strictly, never trusting a key it names), the
//! issuer, the algorithm by the issuer's list, the type, the key by `kid`, the signature, and only
//! then the claims, with their types. Every refusal has one word.

use serde::Deserialize;
use signals::{Health, Identity};

use crate::{claims::Claims, config::IssuerConfig, json, jws::Jws, keys::KeySet};

/// Bytes of a token, at most.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Why a credential does not hold: the word in `context.identity.problem`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum Problem {
    Malformed,
    TooLong,
    UnknownScheme,
    SeveralCredentials,
    CriticalHeader,
    Encrypted,
    UnknownIssuer,
    AlgorithmNotAllowed,
    WrongType,
    IdToken,
    KeysUnavailable,
    UnknownKey,
    BadSignature,
    ClaimType,
    MissingClaim,
    WrongAudience,
    Expired,
    NotYetValid,
}

impl Problem {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::UnknownScheme => "unknown_scheme",
            Self::SeveralCredentials => "several_credentials",
            Self::CriticalHeader => "critical_header",
            Self::Encrypted => "encrypted",
            Self::UnknownIssuer => "unknown_issuer",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::WrongType => "wrong_type",
            Self::IdToken => "id_token",
            Self::KeysUnavailable => "keys_unavailable",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::ClaimType => "claim_type",
            Self::MissingClaim => "missing_claim",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
        }
    }

    /// The identity of a request whose credential has this problem.
    pub(crate) fn identity(self, issuer: &str) -> Identity {
        let health = match self {
            Self::KeysUnavailable => Health::Unavailable,
            _ => Health::Ok,
        };
        Identity::unverified(health, issuer, self.as_str())
    }
}

/// The token in an `Authorization` field (RFC 6750 §2.1).
pub(crate) fn token_of(field: &[u8]) -> Result<&str, Problem> {
    let field = std::str::from_utf8(field).map_err(|_| Problem::Malformed)?;
    let (scheme, token) = field.split_once(' ').ok_or(Problem::UnknownScheme)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::UnknownScheme);
    }
    let token = token.trim_matches(' ');
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Problem::TooLong);
    }
    Ok(token)
}

/// A token whose header and issuer were read, and nothing verified.
pub(crate) struct Unverified<'a> {
    jws: Jws<'a>,
    payload: Vec<u8>,
    /// The `iss` it claims.
    pub(crate) issuer: String,
}

#[derive(Deserialize)]
struct IssuerOnly {
    iss: String,
}

impl<'a> Unverified<'a> {
    /// As much of a token as is needed to know whom to ask about it.
    pub(crate) fn read(token: &'a str) -> Result<Self, Problem> {
        let jws = Jws::read(token)?;
        let payload = jws.payload()?;
        let IssuerOnly { iss } = json::object(&payload).map_err(|_| Problem::Malformed)?;
        Ok(Self { jws, payload, issuer: iss })
    }

    /// Checks everything against one issuer, whose identifier is the token's `iss`.
    pub(crate) fn verify(
        &self,
        issuer: &IssuerConfig,
        keys: &KeySet,
        now_s: i64,
    ) -> Result<Identity, Problem> {
        let algorithm = self.jws.algorithm().filter(|known| issuer.algorithms.contains(known));
        let algorithm = algorithm.ok_or(Problem::AlgorithmNotAllowed)?;
        let kind = self.jws.kind();
        if !issuer.token_types.iter().any(|allowed| allowed.eq_ignore_ascii_case(kind)) {
            return Err(Problem::WrongType);
        }
        self.jws.verify(keys, algorithm)?;
        let claims = Claims::read(&self.payload)?;
        claims.check(issuer, now_s)?;
        claims.identity(issuer)
    }
}

#[cfg(test)]
mod tests;
