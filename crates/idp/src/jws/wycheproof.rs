//! Project Wycheproof's JWS vectors against the key set, the header and the signature.
//!
//! What this gateway refuses although it is a valid JWS is listed with its reason. The list must be
//! exact: a vector on it that is accepted fails as well. No vector is left out. They have RS, PS and
//! ES256, nothing of ES384 and EdDSA: the latter's is RFC 8037's own example.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wycheproof_ng_kdf_jose::json_web::{TestName, TestSet};

use super::*;

/// Vectors that hold by the standards and are refused here, and why.
const REFUSED: &[(&str, &[usize])] = &[
    ("HMAC: whoever can verify such a token can make one", &[1, 348, 352, 357, 358, 359, 376, 377]),
    ("HMAC, and base64url with characters outside its alphabet", &[372, 373]),
    ("PS384 with a key that its set reserves for PS256", &[346, 350]),
    ("P-521, under the name `ES521` that RFC 7518 does not have", &[347, 351]),
];

fn verifies(key: &Value, token: &Value) -> bool {
    crate::crypto::install();
    let set = json!({"keys": [key]}).to_string();
    let Some(token) = token.as_str() else {
        return false;
    };
    let verify = || {
        let keys = KeySet::read(set.as_bytes(), &Algorithm::ALL).ok()?;
        let jws = Jws::read(token).ok()?;
        jws.payload().ok()?;
        jws.verify(&keys, jws.algorithm()?).ok()
    };
    verify().is_some()
}

#[test]
fn every_vector_is_judged_as_it_should_be() {
    let vectors = TestSet::load(TestName::JsonWebSignature).unwrap();
    let (mut judged, mut accepted) = (BTreeMap::new(), BTreeMap::new());
    let mut wrong = Vec::new();
    for group in vectors.test_groups {
        let key = group.public_key.or(group.private_key).unwrap_or_default();
        for test in group.tests {
            let id = test.tc_id;
            let refused = REFUSED.iter().any(|(_, ids)| ids.contains(&id));
            let want = !test.result.must_fail() && !refused;
            let token = test.jws.unwrap_or_default();
            let got = verifies(&key, &token);
            *judged.entry(got).or_insert(0) += 1;
            if got {
                *accepted.entry(claimed(token.as_str().unwrap_or_default())).or_insert(0) += 1;
            }
            if got != want {
                wrong.push(format!("{id} {} {}: {got}", group.group_comment, test.comment));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(judged, BTreeMap::from([(true, 32), (false, 369)]));
    let algorithms = ["ES256", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];
    assert!(accepted.keys().map(String::as_str).eq(algorithms), "{accepted:?}");
    println!("wycheproof: vectors=401 accepted={accepted:?}");
}

/// The algorithm that an accepted token's header names.
fn claimed(token: &str) -> String {
    let jws = Jws::read(token).ok();
    jws.map(|jws| jws.header.alg.clone()).unwrap_or_default()
}

/// RFC 8037, appendices A.1, A.2 and A.4.
#[test]
fn the_example_of_ed25519_verifies_and_no_change_of_it() {
    let key = |x: &str| json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x});
    let own = key("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
                 hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvp\
                 Ar_MuM0KAg";
    assert!(verifies(&own, &token.into()));
    let start = token.find('.').unwrap() + 1;
    for at in start..token.len() - 1 {
        // its last character has bits that mean nothing
        let other = if token.as_bytes()[at] == b'B' { "C" } else { "B" };
        let mut changed = token.to_owned();
        changed.replace_range(at..=at, other);
        assert!(!verifies(&own, &changed.into()), "changed at {at}");
    }
    let other = key("PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw");
    assert!(!verifies(&other, &token.into()), "another key");
}
