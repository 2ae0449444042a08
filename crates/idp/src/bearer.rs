//! Bearer tokens: JWTs by RFC 7519 and RFC 9068, checked as RFC 8725 advises.
//!
//! Order matters: size and shape, then the header (strictly, never trusting a key it names), the
//! issuer, the algorithm by the issuer's list, the type, the key by `kid`, the signature, and only
//! then the claims, with their types. Every refusal has one word.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Validation, errors::ErrorKind};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use signals::{Health, Identity, IdentityFact, Principal, Token};

use crate::{
    config::{Algorithm, IssuerConfig},
    keys::KeySet,
};

/// Bytes of a token, at most.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a token's encoded header, at most.
const HEADER_BYTES_MAX: usize = 4 * 1024;

/// Characters of `sub`, at most.
const SUBJECT_CHARS_MAX: usize = 256;

/// Characters of any other text taken from a claim, at most.
const TEXT_CHARS_MAX: usize = 256;

/// Entries of any list taken from a claim, at most.
const LIST_MAX: usize = 256;

/// The largest integer JSON parsers agree on (RFC 8259 §6).
const INTEGER_MAX: i64 = (1 << 53) - 1;

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
    token: &'a str,
    header: Header,
    algorithm: Result<Algorithm, Problem>,
    /// The `iss` it claims.
    pub(crate) issuer: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
    enc: Option<serde_json::Value>,
    zip: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct IssuerOnly {
    iss: String,
}

impl<'a> Unverified<'a> {
    pub(crate) fn read(token: &'a str) -> Result<Self, Problem> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Problem::Malformed);
        };
        if header.len() > HEADER_BYTES_MAX {
            return Err(Problem::TooLong);
        }
        let header: Header = json(header)?;
        if header.crit.is_some() {
            return Err(Problem::CriticalHeader);
        }
        if header.enc.is_some() || header.zip.is_some() {
            return Err(Problem::Encrypted);
        }
        let IssuerOnly { iss } = json(claims)?;
        let algorithm = Algorithm::parse(&header.alg).ok_or(Problem::AlgorithmNotAllowed);
        Ok(Self { token, algorithm, header, issuer: iss })
    }

    /// The key it asks for.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Checks everything against one issuer, whose identifier is the token's `iss`.
    pub(crate) fn verify(
        &self,
        issuer: &IssuerConfig,
        keys: &KeySet,
        now_s: i64,
    ) -> Result<Identity, Problem> {
        let algorithm = self.algorithm?;
        if !issuer.algorithms.contains(&algorithm) {
            return Err(Problem::AlgorithmNotAllowed);
        }
        let kind = self.kind();
        if !issuer.token_types.iter().any(|allowed| allowed.eq_ignore_ascii_case(kind)) {
            return Err(Problem::WrongType);
        }
        let key = keys.find(self.kid(), algorithm).ok_or(Problem::UnknownKey)?;
        let mut signature_only = Validation::new(algorithm.jose());
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(self.token, key, &signature_only)
            .map_err(|error| problem_of(&error))?
            .claims;
        claims.check(issuer, now_s)?;
        claims.identity(issuer)
    }

    /// `typ` without `application/`; tokens without one are plain JWTs.
    fn kind(&self) -> &str {
        let kind = self.header.typ.as_deref().unwrap_or("JWT");
        match kind.split_at_checked("application/".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
            _ => kind,
        }
    }
}

fn problem_of(error: &jsonwebtoken::errors::Error) -> Problem {
    match error.kind() {
        ErrorKind::InvalidSignature => Problem::BadSignature,
        ErrorKind::Json(_) => Problem::ClaimType,
        ErrorKind::InvalidAlgorithm => Problem::AlgorithmNotAllowed,
        _ => Problem::Malformed,
    }
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Problem::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Problem::Malformed)
}

/// The claims we read, with the types they must have. A claim of another type, or one that
/// appears twice, refuses the token: it is never taken for absent.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    auth_time: Option<NumericDate>,
    azp: Option<String>,
    client_id: Option<String>,
    scope: Option<String>,
    acr: Option<String>,
    amr: Option<Vec<String>>,
    nonce: Option<serde_json::Value>,
    at_hash: Option<serde_json::Value>,
    #[serde(flatten)]
    others: Others,
}

/// Every other claim, once.
struct Others(BTreeMap<String, serde_json::Value>);

impl<'de> Deserialize<'de> for Others {
    fn deserialize<D: Deserializer<'de>>(claims: D) -> Result<Self, D::Error> {
        claims.deserialize_map(OthersVisitor)
    }
}

struct OthersVisitor;

impl<'de> Visitor<'de> for OthersVisitor {
    type Value = Others;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("claims, each once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut claims: A) -> Result<Others, A::Error> {
        let mut others = BTreeMap::new();
        while let Some((name, value)) = claims.next_entry::<String, serde_json::Value>()? {
            if others.insert(name, value).is_some() {
                return Err(serde::de::Error::custom("a claim appears twice"));
            }
        }
        Ok(Others(others))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// A NumericDate without a fraction, from 0 to 2^53-1.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "i64")]
struct NumericDate(i64);

impl TryFrom<i64> for NumericDate {
    type Error = &'static str;

    fn try_from(seconds: i64) -> Result<Self, Self::Error> {
        match (0..=INTEGER_MAX).contains(&seconds) {
            true => Ok(Self(seconds)),
            false => Err("out of range"),
        }
    }
}

impl Claims {
    fn check(&self, issuer: &IssuerConfig, now_s: i64) -> Result<(), Problem> {
        let leeway_s = i64::try_from(issuer.leeway.as_secs()).unwrap_or(0);
        if self.iss != issuer.url {
            return Err(Problem::UnknownIssuer);
        }
        if self.nonce.is_some() || self.at_hash.is_some() {
            return Err(Problem::IdToken);
        }
        let NumericDate(expires_s) = self.exp.ok_or(Problem::MissingClaim)?;
        if expires_s.saturating_add(leeway_s) <= now_s {
            return Err(Problem::Expired);
        }
        let starts = [self.nbf, self.iat].into_iter().flatten();
        if starts.map(|NumericDate(s)| s).any(|start_s| start_s > now_s.saturating_add(leeway_s)) {
            return Err(Problem::NotYetValid);
        }
        let for_us = |aud: &String| !aud.is_empty() && issuer.audiences.contains(aud);
        let held = match self.aud.as_ref().ok_or(Problem::MissingClaim)? {
            OneOrMany::One(aud) => for_us(aud),
            OneOrMany::Many(auds) => auds.len() <= LIST_MAX && auds.iter().any(for_us),
        };
        if held { Ok(()) } else { Err(Problem::WrongAudience) }
    }

    fn identity(mut self, issuer: &IssuerConfig) -> Result<Identity, Problem> {
        let subject = self.sub.take().filter(|sub| !sub.is_empty()).ok_or(Problem::MissingClaim)?;
        if subject.chars().count() > SUBJECT_CHARS_MAX || subject.chars().any(char::is_control) {
            return Err(Problem::ClaimType);
        }
        let mut groups = BTreeSet::new();
        if let Some(claim) = &issuer.claims.groups {
            groups = self.texts(claim)?;
        }
        let mut attributes = BTreeMap::new();
        for (attribute, claim) in &issuer.claims.attributes {
            let values = self.texts(claim)?;
            if !values.is_empty() {
                attributes.insert(attribute.clone(), values);
            }
        }
        let principal = Principal {
            kind: issuer.claims.kind,
            id: format!("{}|{subject}", issuer.name),
            groups: groups.iter().map(|group| format!("{}|{group}", issuer.name)).collect(),
            attributes,
        };
        let fact = IdentityFact {
            health: Health::Ok,
            presented: true,
            verified: true,
            problem: String::new(),
            issuer: issuer.name.clone(),
        };
        Ok(Identity { principal, fact, token: self.token()? })
    }

    fn token(self) -> Result<Token, Problem> {
        let seconds = |date: Option<NumericDate>| date.map_or(0, |NumericDate(seconds)| seconds);
        let scope = self.scope.unwrap_or_default();
        Ok(Token {
            present: true,
            issuer: self.iss,
            audience: bounded(self.aud.map(OneOrMany::into_vec).unwrap_or_default())?,
            client: text(self.azp.or(self.client_id).unwrap_or_default())?,
            scope: bounded(
                scope.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
            )?,
            acr: text(self.acr.unwrap_or_default())?,
            amr: bounded(self.amr.unwrap_or_default())?,
            auth_time_s: seconds(self.auth_time),
            issued_at_s: seconds(self.iat),
            expires_at_s: seconds(self.exp),
        })
    }

    /// A mapped claim: text, true or false, a whole number, or a list of texts.
    fn texts(&self, claim: &str) -> Result<BTreeSet<String>, Problem> {
        use serde_json::Value;
        let standard = match claim {
            "azp" => self.azp.clone(),
            "client_id" => self.client_id.clone(),
            "acr" => self.acr.clone(),
            _ => None,
        };
        if let Some(value) = standard {
            return Ok(BTreeSet::from([text(value)?]));
        }
        let list = match self.others.0.get(claim) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Bool(one)) => vec![one.to_string()],
            Some(Value::Number(one)) if one.is_i64() => vec![one.to_string()],
            Some(Value::Array(many)) => {
                let many = many.iter().map(|value| value.as_str().map(str::to_owned));
                many.collect::<Option<_>>().ok_or(Problem::ClaimType)?
            }
            Some(_) => return Err(Problem::ClaimType),
        };
        Ok(bounded(list)?.into_iter().collect())
    }
}

fn bounded(list: Vec<String>) -> Result<Vec<String>, Problem> {
    if list.len() > LIST_MAX {
        return Err(Problem::TooLong);
    }
    list.into_iter().map(text).collect()
}

fn text(value: String) -> Result<String, Problem> {
    match value.chars().count() {
        0..=TEXT_CHARS_MAX => Ok(value),
        _ => Err(Problem::TooLong),
    }
}

#[cfg(test)]
mod tests;
