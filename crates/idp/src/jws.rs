//! JSON Web Signatures in the compact form (RFC 7515 §3.1): the header, strictly, and the
//! signature.
//!
//! The header may say which of the issuer's keys it wants by `kid`; a key that it brings (`jwk`,
//! `x5c`) or points to (`jku`, `x5u`) is not looked at. What the payload says is not its matter.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    bearer::Problem,
    config::Algorithm,
    json::{self, present},
    keys::KeySet,
};

/// Bytes of an encoded header, at most.
pub(crate) const HEADER_BYTES_MAX: usize = 4 * 1024;

/// A signed text of which nothing was verified.
pub(crate) struct Jws<'a> {
    /// What the signature is over.
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
    header: Header,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    enc: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    zip: Option<IgnoredAny>,
}

impl<'a> Jws<'a> {
    /// Its three parts, and what its header says.
    pub(crate) fn read(token: &'a str) -> Result<Self, Problem> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Problem::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Problem::Malformed)?;
        if payload.contains('.') {
            return Err(Problem::Malformed);
        }
        if header.len() > HEADER_BYTES_MAX {
            return Err(Problem::TooLong);
        }
        let header: Header = json::object(&decode(header)?).map_err(|_| Problem::Malformed)?;
        // No extension is understood here, so whatever is critical is too much (§4.1.11).
        if header.crit.is_some() {
            return Err(Problem::CriticalHeader);
        }
        if header.enc.is_some() || header.zip.is_some() {
            return Err(Problem::Encrypted);
        }
        Ok(Self { signed, payload, signature, header })
    }

    /// The payload, decoded.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, Problem> {
        decode(self.payload)
    }

    /// The algorithm it claims, if it is one that this gateway knows.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::parse(&self.header.alg)
    }

    /// `typ` without `application/` (§4.1.9); a token without one is a plain JWT.
    pub(crate) fn kind(&self) -> &str {
        let kind = self.header.typ.as_deref().unwrap_or("JWT");
        match kind.split_at_checked("application/".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
            _ => kind,
        }
    }

    /// Verifies the signature with the key of the set that the header asks for.
    pub(crate) fn verify(&self, keys: &KeySet, algorithm: Algorithm) -> Result<(), Problem> {
        let kid = self.header.kid.as_deref();
        let key = keys.find(kid, algorithm).ok_or(Problem::UnknownKey)?;
        let signed = self.signed.as_bytes();
        match jsonwebtoken::crypto::verify(self.signature, signed, key, algorithm.jose()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Problem::BadSignature),
            Err(_) => Err(Problem::Malformed),
        }
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Problem> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Problem::Malformed)
}

#[cfg(test)]
mod wycheproof;
