//! Tokens as a table: a good one, and each one thing wrong with it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, PublicKeyComponents},
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};
use signals::PrincipalKind;

use super::*;
use crate::{
    Algorithm, ClaimMap, Guard,
    claims::{AUDIENCE_CHARS_MAX, LIST_MAX, SUBJECT_CHARS_MAX, TEXT_CHARS_MAX},
    jws::HEADER_BYTES_MAX,
};

const NOW_S: i64 = 1_800_000_000;
/// A development key for these tests; it protects nothing.
const RSA_PKCS8: &[u8] = include_bytes!("test-rsa.pk8");

struct Signers {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    random: SystemRandom,
}

impl Signers {
    fn new() -> Self {
        crate::crypto::install();
        let random = SystemRandom::new();
        let ecdsa = |algorithm| {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap()
        };
        Self {
            rsa: RsaKeyPair::from_pkcs8(RSA_PKCS8).unwrap(),
            p256: ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            ed: Ed25519KeyPair::from_pkcs8(
                Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref(),
            )
            .unwrap(),
            random,
        }
    }

    fn n(&self) -> String {
        B64.encode(PublicKeyComponents::<Vec<u8>>::from(self.rsa.public()).n)
    }

    fn key_set(&self) -> Vec<u8> {
        let ec = |kid: &str, crv: &str, pair: &EcdsaKeyPair| {
            let (x, y) =
                pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
            json!({"kty": "EC", "kid": kid, "crv": crv, "x": B64.encode(x), "y": B64.encode(y)})
        };
        let set = json!({"keys": [
            {"kty": "RSA", "kid": "rsa", "use": "sig", "n": self.n(), "e": "AQAB"},
            ec("p256", "P-256", &self.p256),
            ec("p384", "P-384", &self.p384),
            {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": B64.encode(self.ed.public_key().as_ref())},
            {"kty": "RSA", "kid": "enc", "use": "enc", "n": self.n(), "e": "AQAB"},
        ]});
        serde_json::to_vec(&set).unwrap()
    }

    fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let rsa = |padding: &'static dyn signature::RsaEncoding| {
            let mut out = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(padding, &self.random, message, &mut out).unwrap();
            out
        };
        match alg {
            "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
            "RS384" => rsa(&signature::RSA_PKCS1_SHA384),
            "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => rsa(&signature::RSA_PSS_SHA256),
            "PS384" => rsa(&signature::RSA_PSS_SHA384),
            "PS512" => rsa(&signature::RSA_PSS_SHA512),
            "ES256" => self.p256.sign(&self.random, message).unwrap().as_ref().to_vec(),
            "ES384" => self.p384.sign(&self.random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            "HS256" => {
                let secret = self.rsa.public().as_ref();
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            _ => Vec::new(),
        }
    }

    fn token(&self, header: &Value, claims: &str) -> String {
        let alg = header["alg"].as_str().unwrap_or_default();
        let message = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims));
        let signature = self.sign(alg, message.as_bytes());
        format!("{message}.{}", B64.encode(signature))
    }
}

fn issuer() -> IssuerConfig {
    IssuerConfig {
        name: "corp".to_owned(),
        url: "https://idp.example.test".to_owned(),
        audiences: vec!["https://api.example.test".to_owned()],
        algorithms: Algorithm::ALL.to_vec(),
        token_types: vec!["at+jwt".to_owned()],
        claims: ClaimMap {
            kind: PrincipalKind::User,
            groups: Some("groups".to_owned()),
            attributes: vec![("department".to_owned(), "dept".to_owned())],
        },
        leeway: Duration::from_secs(30),
        refresh: Duration::from_secs(300),
        unknown_key_cooldown: Duration::from_secs(10),
        guard: Guard::default(),
    }
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "p256", "typ": "at+jwt"})
}

fn claims() -> Value {
    json!({
        "iss": "https://idp.example.test", "sub": "alice", "aud": "https://api.example.test",
        "exp": NOW_S + 300, "iat": NOW_S, "nbf": NOW_S, "client_id": "web",
        "scope": "orders:read orders:write", "groups": ["support", "customers"],
        "dept": "sales", "acr": "aal2", "amr": ["pwd", "otp"], "jti": "1",
    })
}

fn verify(issuer: &IssuerConfig, signers: &Signers, token: &str) -> Result<Identity, Problem> {
    let keys = KeySet::read(&signers.key_set(), &issuer.algorithms).unwrap();
    let token = token_of(format!("Bearer {token}").as_bytes()).map(str::to_owned)?;
    Unverified::read(&token)?.verify(issuer, &keys, NOW_S)
}

/// The good token with `change` made to its header and claims.
fn check(change: impl FnOnce(&mut Value, &mut Value), want: Result<(), Problem>) {
    let (mut header, mut claims, signers) = (header(), claims(), Signers::new());
    change(&mut header, &mut claims);
    let got = verify(&issuer(), &signers, &signers.token(&header, &claims.to_string()));
    assert_eq!(got.map(drop), want, "{header} {claims}");
}

#[test]
fn a_good_token_names_its_subject() {
    let signers = Signers::new();
    let token = signers.token(&header(), &claims().to_string());
    let identity = verify(&issuer(), &signers, &token).unwrap();
    assert_eq!(identity.principal.id, "corp|alice");
    assert_eq!(identity.principal.groups, ["corp|customers", "corp|support"]);
    assert_eq!(identity.principal.attributes["department"].first().unwrap(), "sales");
    assert_eq!(identity.token.scope, ["orders:read", "orders:write"]);
    assert_eq!((identity.token.acr.as_str(), identity.token.client.as_str()), ("aal2", "web"));
    assert!(identity.fact.presented && identity.fact.verified && identity.token.present);
}

#[test]
fn every_allowed_algorithm_verifies_with_its_own_key_only() {
    for algorithm in Algorithm::ALL {
        for kid in ["rsa", "p256", "p384", "ed"] {
            let fits = match algorithm.as_str() {
                "ES256" => kid == "p256",
                "ES384" => kid == "p384",
                "EdDSA" => kid == "ed",
                _ => kid == "rsa",
            };
            let want = if fits { Ok(()) } else { Err(Problem::UnknownKey) };
            check(|h, _| (h["alg"], h["kid"]) = (algorithm.as_str().into(), kid.into()), want);
        }
    }
}

#[test]
fn algorithms_outside_the_list_are_refused() {
    for alg in ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "es256", "ES256K", "RSA-OAEP"]
    {
        check(|h, _| h["alg"] = alg.into(), Err(Problem::AlgorithmNotAllowed));
    }
    let (signers, mut narrow) = (Signers::new(), issuer());
    narrow.algorithms = vec![Algorithm::RS256];
    let token = signers.token(&header(), &claims().to_string());
    assert_eq!(verify(&narrow, &signers, &token), Err(Problem::AlgorithmNotAllowed));
}

#[test]
fn keys_that_the_header_brings_are_not_looked_at() {
    let (signers, stranger) = (Signers::new(), Signers::new());
    let jwk: Value = serde_json::from_slice(&stranger.key_set()).unwrap();
    for (name, value) in [
        ("jwk", jwk["keys"][1].clone()),
        ("jku", "https://evil.example/jwks".into()),
        ("x5u", "https://evil.example/cert".into()),
        ("x5c", json!(["AAAA"])),
    ] {
        let mut header = header();
        header[name] = value;
        let token = stranger.token(&header, &claims().to_string());
        assert_eq!(verify(&issuer(), &signers, &token), Err(Problem::BadSignature), "{name}");
    }
    for kid in ["../../etc/passwd", "' OR 1=1", "a\u{0}b", "https://evil.example", "enc", ""] {
        check(|h, _| h["kid"] = kid.into(), Err(Problem::UnknownKey));
    }
    check(|h, _| h["crit"] = json!(["exp"]), Err(Problem::CriticalHeader));
    check(|h, _| h["crit"] = json!([]), Err(Problem::CriticalHeader));
    check(|h, _| h["crit"] = Value::Null, Err(Problem::CriticalHeader));
    check(|h, _| h["zip"] = "DEF".into(), Err(Problem::Encrypted));
    check(|h, _| h["enc"] = "A256GCM".into(), Err(Problem::Encrypted));
    for member in ["alg", "typ", "kid"] {
        for value in [Value::Null, json!(1), json!(["ES256"]), json!({})] {
            check(|h, _| h[member] = value.clone(), Err(Problem::Malformed));
        }
    }
}

#[test]
fn a_token_type_that_is_not_configured_is_refused() {
    for typ in ["JWT", "jwt", "dpop+jwt", "logout+jwt", "id_token", ""] {
        check(|h, _| h["typ"] = typ.into(), Err(Problem::WrongType));
    }
    check(|h, _| drop(h.as_object_mut().unwrap().remove("typ")), Err(Problem::WrongType));
    for typ in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        check(|h, _| h["typ"] = typ.into(), Ok(()));
    }
}

#[test]
fn an_id_token_is_no_access_token_even_where_plain_jwts_are() {
    let (signers, mut plain) = (Signers::new(), issuer());
    plain.token_types = vec!["JWT".to_owned()];
    for (claim, value, want) in [
        ("jti", json!("x"), Ok(())),
        ("nonce", json!("x"), Err(Problem::IdToken)),
        ("nonce", Value::Null, Err(Problem::IdToken)),
        ("at_hash", json!("x"), Err(Problem::IdToken)),
    ] {
        let mut claims = claims();
        claims[claim] = value;
        let token = signers.token(&json!({"alg": "ES256", "kid": "p256"}), &claims.to_string());
        assert_eq!(verify(&plain, &signers, &token).map(drop), want, "{claim}");
    }
}

#[test]
fn a_claim_of_another_type_is_refused_and_never_absent() {
    let odd = [Value::Null, json!({}), json!([1]), json!(true), json!(1.5), json!("1")];
    for claim in ["exp", "nbf", "iat", "auth_time"] {
        for value in
            odd.iter().chain(&[json!(1e300), json!(-1), json!(1u64 << 53), json!(u64::MAX)])
        {
            check(|_, c| c[claim] = value.clone(), Err(Problem::ClaimType));
        }
    }
    for claim in ["sub", "azp", "client_id", "scope", "acr"] {
        for value in [Value::Null, json!({}), json!(["alice"]), json!(true), json!(1)] {
            check(|_, c| c[claim] = value.clone(), Err(Problem::ClaimType));
        }
    }
    for value in
        [Value::Null, json!({}), json!(1), json!([1]), json!([["https://api.example.test"]])]
    {
        check(|_, c| c["aud"] = value.clone(), Err(Problem::ClaimType));
    }
    for value in [Value::Null, json!({"a": 1}), json!([1]), json!([["support"]]), json!(1.5)] {
        check(|_, c| c["groups"] = value.clone(), Err(Problem::ClaimType));
    }
    for value in [Value::Null, json!("pwd"), json!([1]), json!({})] {
        check(|_, c| c["amr"] = value.clone(), Err(Problem::ClaimType));
    }
    for value in [json!(["x"]), json!(1), json!(null), json!({})] {
        check(|_, c| c["iss"] = value.clone(), Err(Problem::Malformed));
    }
}

#[test]
fn a_claim_that_appears_twice_is_refused() {
    let signers = Signers::new();
    let good = claims().to_string();
    for claim in [r#""aud":"https://other.example.test""#, r#""exp":1"#, r#""groups":["admins"]"#] {
        let twice = good.replacen('{', &format!("{{{claim},"), 1);
        let token = signers.token(&header(), &twice);
        assert_eq!(verify(&issuer(), &signers, &token), Err(Problem::ClaimType), "{claim}");
    }
}

#[test]
fn required_claims_must_be_there() {
    for claim in ["sub", "aud", "exp"] {
        let remove = |_: &mut Value, c: &mut Value| drop(c.as_object_mut().unwrap().remove(claim));
        check(remove, Err(Problem::MissingClaim));
    }
    check(|_, c| c["sub"] = "".into(), Err(Problem::MissingClaim));
    check(|_, c| c["sub"] = "a\nb".into(), Err(Problem::ClaimType));
}

#[test]
fn times_hold_to_the_second_with_the_leeway() {
    check(|_, c| c["exp"] = (NOW_S - 29).into(), Ok(()));
    check(|_, c| c["exp"] = (NOW_S - 30).into(), Err(Problem::Expired));
    for claim in ["nbf", "iat"] {
        check(|_, c| c[claim] = (NOW_S + 30).into(), Ok(()));
        check(|_, c| c[claim] = (NOW_S + 31).into(), Err(Problem::NotYetValid));
    }
}

#[test]
fn audience_and_issuer_match_exactly() {
    for aud in [
        json!("https://api.example.test/"),
        json!("https://api"),
        json!([]),
        json!(""),
        json!(["a", "b"]),
    ] {
        check(|_, c| c["aud"] = aud.clone(), Err(Problem::WrongAudience));
    }
    check(|_, c| c["aud"] = json!(["other", "https://api.example.test"]), Ok(()));
    for iss in
        ["https://idp.example.test/", "https://idp.example.test.evil", "HTTPS://idp.example.test"]
    {
        check(|_, c| c["iss"] = iss.into(), Err(Problem::UnknownIssuer));
    }
}

#[test]
fn signatures_that_are_not_the_keys_are_refused() {
    let signers = Signers::new();
    let good = signers.token(&header(), &claims().to_string());
    let (message, _) = good.rsplit_once('.').unwrap();
    let p384 = signers.p384.sign(&signers.random, message.as_bytes()).unwrap();
    for signature in [vec![], vec![0; 64], vec![0; 63], vec![0xff; 64], p384.as_ref().to_vec()] {
        let token = format!("{message}.{}", B64.encode(signature));
        assert_eq!(verify(&issuer(), &signers, &token), Err(Problem::BadSignature));
    }
    let hs = signers
        .token(&json!({"alg": "HS256", "kid": "rsa", "typ": "at+jwt"}), &claims().to_string());
    assert_eq!(verify(&issuer(), &signers, &hs), Err(Problem::AlgorithmNotAllowed));
}

#[test]
fn shapes_that_are_no_jwt_are_refused() {
    let dots = ".".repeat(TOKEN_BYTES_MAX);
    let long = "a".repeat(TOKEN_BYTES_MAX + 1);
    for (token, want) in [
        ("", Problem::Malformed),
        ("a.b", Problem::Malformed),
        ("a.b.c.d", Problem::Malformed),
        ("a.b.c.d.e", Problem::Malformed),
        (dots.as_str(), Problem::Malformed),
        (long.as_str(), Problem::TooLong),
    ] {
        assert_eq!(verify(&issuer(), &Signers::new(), token), Err(want), "{}", token.len());
    }
    for (field, want) in [
        ("Basic YTpi", Problem::UnknownScheme),
        ("Bearer", Problem::UnknownScheme),
        ("DPoP abc", Problem::UnknownScheme),
        ("", Problem::UnknownScheme),
    ] {
        assert_eq!(token_of(field.as_bytes()), Err(want), "{field}");
    }
    assert_eq!(token_of(b"bearer \xff"), Err(Problem::Malformed));
}

#[test]
fn lists_and_texts_have_an_edge() {
    let groups = |count: usize| json!((0..count).map(|n| n.to_string()).collect::<Vec<_>>());
    check(|_, c| c["groups"] = groups(LIST_MAX), Ok(()));
    check(|_, c| c["groups"] = groups(LIST_MAX + 1), Err(Problem::TooLong));
    check(|_, c| c["sub"] = "s".repeat(SUBJECT_CHARS_MAX).into(), Ok(()));
    check(|_, c| c["sub"] = "s".repeat(SUBJECT_CHARS_MAX + 1).into(), Err(Problem::ClaimType));
    check(|_, c| c["acr"] = "s".repeat(TEXT_CHARS_MAX).into(), Ok(()));
    check(|_, c| c["acr"] = "s".repeat(TEXT_CHARS_MAX + 1).into(), Err(Problem::TooLong));
    let audiences = |chars: usize| json!(["https://api.example.test", "a".repeat(chars)]);
    check(|_, c| c["aud"] = audiences(AUDIENCE_CHARS_MAX), Ok(()));
    check(|_, c| c["aud"] = audiences(AUDIENCE_CHARS_MAX + 1), Err(Problem::TooLong));
}

#[test]
fn a_header_has_an_edge() {
    let signers = Signers::new();
    let header_of = |bytes: usize| {
        let mut header = header();
        header["x"] = "".into();
        header["x"] = "x".repeat(bytes / 4 * 3 - header.to_string().len()).into();
        header
    };
    for (bytes, want) in [(HEADER_BYTES_MAX, Ok(())), (HEADER_BYTES_MAX + 4, Err(Problem::TooLong))]
    {
        let token = signers.token(&header_of(bytes), &claims().to_string());
        assert_eq!(token.find('.'), Some(bytes));
        assert_eq!(verify(&issuer(), &signers, &token).map(drop), want);
    }
}

#[test]
fn an_array_of_values_is_no_object() {
    let signers = Signers::new();
    let message = |header: &str, claims: &str| {
        let message = format!("{}.{}", B64.encode(header), B64.encode(claims));
        format!("{message}.{}", B64.encode(signers.sign("ES256", message.as_bytes())))
    };
    let (good, claims) = (header().to_string(), claims().to_string());
    assert!(verify(&issuer(), &signers, &message(&good, &claims)).is_ok());
    for (header, claims) in [
        (r#"["ES256","at+jwt","p256"]"#, claims.as_str()),
        (good.as_str(), r#"["https://idp.example.test"]"#),
        (good.as_str(), r#""https://idp.example.test""#),
        (good.as_str(), ""),
    ] {
        let token = message(header, claims);
        assert_eq!(
            verify(&issuer(), &signers, &token),
            Err(Problem::Malformed),
            "{header} {claims}"
        );
    }
}

#[test]
fn any_claim_can_be_mapped() {
    let (signers, mut issuer) = (Signers::new(), issuer());
    let token = signers.token(&header(), &claims().to_string());
    for (claim, want) in [
        ("sub", &["alice"][..]),
        ("client_id", &["web"]),
        ("acr", &["aal2"]),
        ("amr", &["otp", "pwd"]),
        ("aud", &["https://api.example.test"]),
        ("iat", &["1800000000"]),
        ("groups", &["customers", "support"]),
        ("absent", &[]),
    ] {
        issuer.claims.attributes = vec![("mapped".to_owned(), claim.to_owned())];
        let identity = verify(&issuer, &signers, &token).unwrap();
        let got: Vec<&str> = identity
            .principal
            .attributes
            .get("mapped")
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        assert_eq!(got, want, "{claim}");
    }
}
