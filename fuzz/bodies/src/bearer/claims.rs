//! What must hold of claims that were accepted, by a second reading of the payload.

use std::collections::BTreeSet;

use idp::Identity;
use serde_json::Value;
use signals::PrincipalKind;

use super::{AUDIENCES, LEEWAY_S, NAME, NOW_S};

/// The limits, written down once more.
const LIST_MAX: usize = 256;
const CHARS_MAX: usize = 256;
const AUDIENCE_CHARS_MAX: usize = 1024;

/// It is for us and for now, says each thing once, and says who is calling.
pub(super) fn hold(identity: &Identity, payload: &[u8], issuer: &str) {
    let claims: Value = serde_json::from_slice(payload).expect("accepted is JSON");
    assert!(claims.is_object(), "{claims}");
    let mut names = names(payload);
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "a claim twice: {claims}");
    for_us_and_now(&claims, issuer);
    says_who(identity, &claims);
    keeps_limits(identity);
}

fn for_us_and_now(claims: &Value, issuer: &str) {
    assert_eq!(claims["iss"], issuer);
    assert!(claims.get("nonce").is_none() && claims.get("at_hash").is_none(), "an ID token");
    let ours = |value: &Value| AUDIENCES.iter().any(|audience| *value == **audience);
    let audience = &claims["aud"];
    assert!(ours(audience) || audience.as_array().is_some_and(|all| all.iter().any(ours)));
    let expires_s = claims["exp"].as_i64().expect("a time");
    assert!(expires_s > NOW_S - LEEWAY_S, "{expires_s}");
    for start in ["nbf", "iat"].iter().filter_map(|name| claims.get(name)) {
        let start_s = start.as_i64().expect("a time");
        assert!((0..=NOW_S + LEEWAY_S).contains(&start_s), "{start_s}");
    }
}

fn says_who(identity: &Identity, claims: &Value) {
    let (principal, fact, token) = (&identity.principal, &identity.fact, &identity.token);
    let subject = claims["sub"].as_str().expect("a subject");
    assert_eq!(principal.kind, PrincipalKind::User);
    assert_eq!(principal.id, format!("{NAME}|{subject}"));
    let groups: Vec<String> =
        texts(&claims["groups"]).iter().map(|group| format!("{NAME}|{group}")).collect();
    assert_eq!(principal.groups, groups);
    let department = texts(&claims["dept"]);
    assert_eq!(principal.attributes.len(), usize::from(!department.is_empty()));
    assert!(principal.attributes.values().all(|values| *values == department));
    assert!(fact.presented && fact.verified && fact.problem.is_empty(), "{fact:?}");
    assert_eq!((fact.issuer.as_str(), token.present), (NAME, true));
    assert_eq!(Some(token.expires_at_s), claims["exp"].as_i64());
    assert_eq!(token.issued_at_s, claims["iat"].as_i64().unwrap_or(0));
    assert_eq!(token.acr, claims["acr"].as_str().unwrap_or_default());
}

fn keeps_limits(identity: &Identity) {
    let (principal, token) = (&identity.principal, &identity.token);
    let short = |text: &str, chars_max: usize| assert!(text.chars().count() <= chars_max, "{text}");
    let subject = principal.id.strip_prefix("corp|").expect("the issuer");
    short(subject, CHARS_MAX);
    assert!(!subject.is_empty() && !subject.chars().any(char::is_control), "{subject:?}");
    for list in [&principal.groups, &token.audience, &token.scope, &token.amr] {
        assert!(list.len() <= LIST_MAX, "{list:?}");
    }
    assert!(principal.attributes.values().all(|values| values.len() <= LIST_MAX));
    principal.groups.iter().for_each(|group| short(group, NAME.len() + 1 + CHARS_MAX));
    principal.attributes.values().flatten().for_each(|value| short(value, CHARS_MAX));
    token.audience.iter().for_each(|audience| short(audience, AUDIENCE_CHARS_MAX));
    token.scope.iter().chain(&token.amr).for_each(|text| short(text, CHARS_MAX));
    [&token.client, &token.acr].into_iter().for_each(|text| short(text, CHARS_MAX));
}

/// The texts of a claim that the configuration maps.
fn texts(claim: &Value) -> BTreeSet<String> {
    match claim {
        Value::Null => BTreeSet::new(),
        Value::Array(all) => all.iter().map(|it| it.as_str().expect("a text").to_owned()).collect(),
        Value::String(one) => BTreeSet::from([one.clone()]),
        one => BTreeSet::from([one.to_string()]),
    }
}

/// The names of the outermost object, in the order of the text.
fn names(json: &[u8]) -> Vec<String> {
    let (mut names, mut depth, mut at) = (Vec::new(), 0, 0);
    while at < json.len() {
        match json[at] {
            b'"' => {
                let end = end_of_text(json, at);
                let next = json[end..].iter().find(|byte| !byte.is_ascii_whitespace());
                if depth == 1 && next == Some(&b':') {
                    names.push(serde_json::from_slice(&json[at..end]).expect("a name"));
                }
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    names
}

/// Where the text that begins here has ended.
fn end_of_text(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while json[at] != b'"' {
        at += if json[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}
