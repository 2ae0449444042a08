//! Key sets (RFC 7517): which key verifies a token with this `kid` and `alg`.

use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use crate::config::Algorithm;

/// Keys a set may hold.
pub(crate) const KEYS_MAX: usize = 128;

/// Bytes of an RSA modulus, at least: 2048 bits, the least that ring verifies with.
const RSA_MODULUS_BYTES_MIN: usize = 256;

/// Why a set is bad. A bad set never replaces a good one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySetError {
    #[error("the key set is malformed")]
    Malformed(#[from] serde_json::Error),
    #[error("the key set holds {0} keys, more than {KEYS_MAX}")]
    TooMany(usize),
    #[error("the key set has no key that verifies an allowed algorithm")]
    NoneUsable,
    #[error("two keys of the set have the `kid` `{0}` for one algorithm")]
    Ambiguous(String),
}

/// The keys of one issuer that may verify something.
#[derive(Debug)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Jwk>,
}

/// A key as published. Members we do not know are ignored, as RFC 7517 §4 wants.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// The keys of a JWK set that can verify one of `allowed`. Keys for other purposes, of other
    /// kinds or too weak are left out.
    pub(crate) fn parse(body: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        let Document { keys } = serde_json::from_slice(body)?;
        if keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany(keys.len()));
        }
        let keys: Vec<Key> = keys.iter().filter_map(|jwk| jwk.usable(allowed)).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoneUsable);
        }
        let set = Self { keys };
        for key in &set.keys {
            let Some(kid) = key.kid.as_deref() else {
                continue;
            };
            if key.algorithms.iter().any(|algorithm| set.named(kid, *algorithm).count() > 1) {
                return Err(KeySetError::Ambiguous(kid.chars().take(128).collect()));
            }
        }
        Ok(set)
    }

    /// The key for a token. Without a `kid` there must be just one that fits.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        if let Some(kid) = kid {
            return self.named(kid, algorithm).next().map(|key| &key.key);
        }
        let mut fitting = self.keys.iter().filter(|key| key.algorithms.contains(&algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(&key.key),
            _ => None,
        }
    }

    fn named(&self, kid: &str, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| {
            key.kid.as_deref() == Some(kid) && key.algorithms.contains(&algorithm)
        })
    }
}

impl Jwk {
    fn usable(&self, allowed: &[Algorithm]) -> Option<Key> {
        let to_verify = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !to_verify {
            return None;
        }
        let fits = |algorithm: &Algorithm| {
            self.kind().contains(algorithm)
                && self.alg.as_deref().is_none_or(|alg| alg == algorithm.as_str())
        };
        let algorithms: Vec<Algorithm> = allowed.iter().copied().filter(fits).collect();
        if algorithms.is_empty() {
            return None;
        }
        Some(Key { kid: self.kid.clone(), algorithms, key: self.key()? })
    }

    /// The algorithms that a key of this type and curve can verify.
    fn kind(&self) -> &'static [Algorithm] {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => &[RS256, RS384, RS512, PS256, PS384, PS512],
            ("EC", Some("P-256")) => &[ES256],
            ("EC", Some("P-384")) => &[ES384],
            ("OKP", Some("Ed25519")) => &[EdDSA],
            _ => &[],
        }
    }

    fn key(&self) -> Option<DecodingKey> {
        match self.kty.as_str() {
            "RSA" => {
                let key = DecodingKey::from_rsa_components(self.n.as_deref()?, self.e.as_deref()?);
                key.ok().filter(is_strong)
            }
            "EC" => DecodingKey::from_ec_components(self.x.as_deref()?, self.y.as_deref()?).ok(),
            "OKP" => DecodingKey::from_ed_components(self.x.as_deref()?).ok(),
            _ => None,
        }
    }
}

fn is_strong(key: &DecodingKey) -> bool {
    match key.kind() {
        jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } => {
            n.iter().skip_while(|byte| **byte == 0).count() >= RSA_MODULUS_BYTES_MIN
        }
        jsonwebtoken::DecodingKeyKind::SecretOrDer(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &str = r#"{"kty":"EC","crv":"P-256","kid":"a","x":"AA","y":"AA"}"#;

    fn check(keys: &str, allowed: &[Algorithm], want: Result<usize, &str>) {
        let body = format!(r#"{{"keys":[{keys}]}}"#);
        let got = KeySet::parse(body.as_bytes(), allowed);
        let got = got.map(|set| set.keys.len()).map_err(|error| error.to_string());
        assert_eq!(got, want.map_err(str::to_owned), "{keys}");
    }

    #[test]
    fn only_keys_that_verify_an_allowed_algorithm_count() {
        let none = Err("the key set has no key that verifies an allowed algorithm");
        check(EC, &[Algorithm::ES256], Ok(1));
        check(EC, &[Algorithm::RS256, Algorithm::ES384], none);
        check(r#"{"kty":"oct","k":"c2VjcmV0","kid":"a"}"#, &Algorithm::ALL, none);
        check(&EC.replace(r#""kid""#, r#""use":"enc","kid""#), &Algorithm::ALL, none);
        check(&EC.replace(r#""kid""#, r#""alg":"ES384","kid""#), &Algorithm::ALL, none);
        check(&EC.replace(r#""kid""#, r#""key_ops":["sign"],"kid""#), &Algorithm::ALL, none);
        check(r#"{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"weak"}"#, &Algorithm::ALL, none);
        check(&format!(r#"{EC},{{"kty":"OKP","crv":"X25519","x":"AA"}}"#), &Algorithm::ALL, Ok(1));
        check("", &Algorithm::ALL, none);
    }

    #[test]
    fn one_kid_twice_is_ambiguous() {
        let error = "two keys of the set have the `kid` `a` for one algorithm";
        check(&format!("{EC},{EC}"), &[Algorithm::ES256], Err(error));
    }

    #[test]
    fn too_many_keys_are_refused() {
        let keys = |count: usize| vec![r#"{"kty":"oct"}"#; count - 1].join(",") + "," + EC;
        check(&keys(KEYS_MAX), &[Algorithm::ES256], Ok(1));
        let error = "the key set holds 129 keys, more than 128";
        check(&keys(KEYS_MAX + 1), &[Algorithm::ES256], Err(error));
    }

    #[test]
    fn without_a_kid_just_one_key_may_fit() {
        let other = EC.replace(r#""a""#, r#""b""#);
        for (keys, want) in [(EC.to_owned(), true), (format!("{EC},{other}"), false)] {
            let set = KeySet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes(), &Algorithm::ALL);
            assert_eq!(set.unwrap().find(None, Algorithm::ES256).is_some(), want);
        }
    }
}
