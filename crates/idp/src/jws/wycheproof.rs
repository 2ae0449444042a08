//! Project Wycheproof's JWS vectors against the key set, the header and the signature.
//!
//! What this gateway refuses although it is a valid JWS is listed with its reason. The list must be
//! exact: a vector on it that is accepted fails as well. No vector is left out.

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
    let mut judged = BTreeMap::new();
    let mut wrong = Vec::new();
    for group in vectors.test_groups {
        let key = group.public_key.or(group.private_key).unwrap_or_default();
        for test in group.tests {
            let id = test.tc_id;
            let refused = REFUSED.iter().any(|(_, ids)| ids.contains(&id));
            let want = !test.result.must_fail() && !refused;
            let got = verifies(&key, &test.jws.unwrap_or_default());
            *judged.entry(got).or_insert(0) += 1;
            if got != want {
                wrong.push(format!("{id} {} {}: {got}", group.group_comment, test.comment));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(judged, BTreeMap::from([(true, 32), (false, 369)]));
}
