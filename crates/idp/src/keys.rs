//! Key sets (RFC 7517): which key verifies a token with this `kid` and `alg`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{config::Algorithm, json};

/// Keys a set may hold.
pub(crate) const KEYS_MAX: usize = 128;

/// Bytes of an RSA modulus: 2048 to 8192 bits, what ring verifies with.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Bytes of an RSA exponent, at most: 33 bits, what ring verifies with.
const RSA_EXPONENT_BYTES_MAX: usize = 5;

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
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
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
    /// kinds, incomplete or too weak are left out (§5).
    pub(crate) fn read(body: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        let Document { keys } = json::object(body)?;
        if keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany(keys.len()));
        }
        let jwk = |raw: &&RawValue| json::object::<Jwk>(raw.get().as_bytes()).ok();
        let keys = keys.iter().filter_map(jwk);
        let keys: Vec<Key> = keys.filter_map(|jwk| jwk.usable(allowed)).collect();
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
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => self.rsa(),
            ("EC", Some("P-256")) => self.point(32),
            ("EC", Some("P-384")) => self.point(48),
            ("OKP", _) => {
                let x = self.x.as_deref().filter(|x| has_bytes(x, 32))?;
                DecodingKey::from_ed_components(x).ok()
            }
            _ => None,
        }
    }

    /// Two coordinates of so many bytes each (RFC 7518 §6.2.1.2).
    fn point(&self, bytes: usize) -> Option<DecodingKey> {
        let x = self.x.as_deref().filter(|x| has_bytes(x, bytes))?;
        let y = self.y.as_deref().filter(|y| has_bytes(y, bytes))?;
        DecodingKey::from_ec_components(x, y).ok()
    }

    /// A modulus and an exponent; some libraries put a zero in front (RFC 7518 §6.3.1.1).
    fn rsa(&self) -> Option<DecodingKey> {
        let integer = |part: &Option<String>| {
            let bytes = URL_SAFE_NO_PAD.decode(part.as_deref()?).ok()?;
            Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>())
        };
        let (n, e) = (integer(&self.n)?, integer(&self.e)?);
        let odd = e.last().is_some_and(|last| last % 2 == 1) && e != [1];
        let fits = RSA_MODULUS_BYTES.contains(&n.len()) && odd && e.len() <= RSA_EXPONENT_BYTES_MAX;
        fits.then(|| DecodingKey::from_rsa_raw_components(&n, &e))
    }
}

fn has_bytes(part: &str, bytes: usize) -> bool {
    URL_SAFE_NO_PAD.decode(part).is_ok_and(|decoded| decoded.len() == bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NONE: Result<usize, &str> =
        Err("the key set has no key that verifies an allowed algorithm");

    fn zeros(bytes: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![0; bytes])
    }

    fn ec(kid: &str) -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": zeros(32), "y": zeros(32)})
    }

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Value {
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        json!({"kty": "RSA", "kid": "r", "n": n, "e": e})
    }

    fn with(mut jwk: Value, member: &str, value: Value) -> Value {
        jwk[member] = value;
        jwk
    }

    #[track_caller]
    fn check_text(body: &str, allowed: &[Algorithm], want: Result<usize, &str>) {
        let got = KeySet::read(body.as_bytes(), allowed);
        let got = got.map(|set| set.keys.len()).map_err(|error| error.to_string());
        assert_eq!(got, want.map_err(str::to_owned), "{body}");
    }

    #[track_caller]
    fn check(keys: &[Value], want: Result<usize, &str>) {
        check_text(&json!({"keys": keys}).to_string(), &Algorithm::ALL, want);
    }

    #[test]
    fn only_keys_that_verify_an_allowed_algorithm_count() {
        let set = json!({"keys": [ec("a")]}).to_string();
        check_text(&set, &[Algorithm::ES256], Ok(1));
        check_text(&set, &[Algorithm::RS256, Algorithm::ES384], NONE);
        check(&[], NONE);
        check(&[json!({"kty": "oct", "k": "c2VjcmV0", "kid": "a"})], NONE);
        check(&[with(ec("a"), "use", json!("enc"))], NONE);
        check(&[with(ec("a"), "alg", json!("ES384"))], NONE);
        check(&[with(ec("a"), "key_ops", json!(["sign"]))], NONE);
        check(&[with(ec("a"), "key_ops", json!(["sign", "verify"]))], Ok(1));
        check(&[ec("a"), json!({"kty": "OKP", "crv": "X25519", "x": zeros(32)})], Ok(1));
        check(&[json!({"kty": "OKP", "crv": "Ed25519", "x": zeros(32)})], Ok(1));
    }

    #[test]
    fn a_key_that_is_incomplete_or_weak_is_left_out() {
        for (member, value) in [
            ("x", json!(zeros(31))),
            ("y", json!(zeros(33))),
            ("y", json!(format!("{}==", zeros(32)))),
            ("x", Value::Null),
            ("crv", json!("P-384")),
            ("kty", json!("ec")),
            ("kid", json!(7)),
        ] {
            check(&[with(ec("a"), member, value.clone()), ec("b")], Ok(1));
            check(&[with(ec("a"), member, value)], NONE);
        }
        check(&[json!("no key"), json!(["EC"]), json!({}), ec("b")], Ok(1));
        check(&[json!({"kty": "OKP", "crv": "Ed25519", "x": zeros(31)})], NONE);
    }

    #[test]
    fn an_rsa_key_has_2048_bits_at_least_and_8192_at_most() {
        for (modulus, exponent, want) in [
            (vec![0xff; 256], vec![1, 0, 1], Ok(1)),
            (vec![0xff; 255], vec![1, 0, 1], NONE),
            (vec![0xff; 1024], vec![3], Ok(1)),
            (vec![0xff; 1025], vec![3], NONE),
            ([vec![0], vec![0xff; 256]].concat(), vec![0, 1, 0, 1], Ok(1)),
            ([vec![0; 2], vec![0xff; 255]].concat(), vec![1, 0, 1], NONE),
            (vec![0xff; 256], vec![], NONE),
            (vec![0xff; 256], vec![1], NONE),
            (vec![0xff; 256], vec![2], NONE),
            (vec![0xff; 256], vec![1; 6], NONE),
        ] {
            check(&[rsa(&modulus, &exponent)], want);
        }
    }

    #[test]
    fn what_is_no_set_is_malformed() {
        for body in ["", "{}", "null", r#"{"keys":{}}"#, r#"{"keys":null}"#, "[[]]"] {
            check_text(body, &Algorithm::ALL, Err("the key set is malformed"));
        }
        let twice = r#"{"keys":[],"keys":[]}"#;
        check_text(twice, &Algorithm::ALL, Err("the key set is malformed"));
    }

    #[test]
    fn one_kid_twice_is_ambiguous() {
        let error = "two keys of the set have the `kid` `a` for one algorithm";
        check(&[ec("a"), ec("a")], Err(error));
        check(&[ec("a"), with(rsa(&[0xff; 256], &[3]), "kid", json!("a"))], Ok(2));
    }

    #[test]
    fn too_many_keys_are_refused() {
        let keys = |count: usize| {
            let mut keys = vec![json!({"kty": "oct"}); count - 1];
            keys.push(ec("a"));
            keys
        };
        check(&keys(KEYS_MAX), Ok(1));
        check(&keys(KEYS_MAX + 1), Err("the key set holds 129 keys, more than 128"));
    }

    #[test]
    fn without_a_kid_just_one_key_may_fit() {
        let nameless = json!({"kty": "EC", "crv": "P-256", "x": zeros(32), "y": zeros(32)});
        for (keys, want) in [
            (vec![ec("a")], true),
            (vec![nameless.clone()], true),
            (vec![ec("a"), ec("b")], false),
            (vec![ec("a"), nameless], false),
            (vec![ec("a"), rsa(&[0xff; 256], &[3])], true),
        ] {
            let set = KeySet::read(json!({"keys": keys}).to_string().as_bytes(), &Algorithm::ALL);
            assert_eq!(set.unwrap().find(None, Algorithm::ES256).is_some(), want, "{keys:?}");
        }
    }
}
