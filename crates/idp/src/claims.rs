//! Claims (RFC 7519 §4, RFC 9068 §2.2): each once, each with the type it must have, and what they
//! make of the caller.
//!
//! A claim of another type refuses the token; it is never taken for absent, and neither is `null`.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::Value;
use signals::{Health, Identity, IdentityFact, Principal, Token};

use crate::{bearer::Problem, config::IssuerConfig};

/// Characters of `sub`, at most.
pub(crate) const SUBJECT_CHARS_MAX: usize = 256;

/// Characters of any other text taken from a claim, at most.
pub(crate) const TEXT_CHARS_MAX: usize = 256;

/// Characters of an audience, at most: what the configuration may name.
pub(crate) const AUDIENCE_CHARS_MAX: usize = 1024;

/// Entries of any list taken from a claim, at most.
pub(crate) const LIST_MAX: usize = 256;

/// The largest integer JSON parsers agree on (RFC 8259 §6).
const INTEGER_MAX: i64 = (1 << 53) - 1;

/// Every claim of a token whose signature was verified.
pub(crate) struct Claims(BTreeMap<String, Value>);

impl Claims {
    /// The claims in a payload, each of them once.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(payload).map_err(|_| Problem::ClaimType)
    }

    /// Checks that the token is an access token of this issuer, for us, and for now.
    pub(crate) fn check(&self, issuer: &IssuerConfig, now_s: i64) -> Result<(), Problem> {
        let leeway_s = i64::try_from(issuer.leeway.as_secs()).unwrap_or(0);
        if self.text("iss")? != Some(&issuer.url) {
            return Err(Problem::UnknownIssuer);
        }
        if self.0.contains_key("nonce") || self.0.contains_key("at_hash") {
            return Err(Problem::IdToken);
        }
        let expires_s = self.time("exp")?.ok_or(Problem::MissingClaim)?;
        if expires_s.saturating_add(leeway_s) <= now_s {
            return Err(Problem::Expired);
        }
        let starts = [self.time("nbf")?, self.time("iat")?];
        if starts.into_iter().flatten().any(|start_s| start_s > now_s.saturating_add(leeway_s)) {
            return Err(Problem::NotYetValid);
        }
        let audiences = self.audiences()?.ok_or(Problem::MissingClaim)?;
        let ours = |audience: &&str| {
            !audience.is_empty() && issuer.audiences.iter().any(|known| known == audience)
        };
        if audiences.iter().any(ours) { Ok(()) } else { Err(Problem::WrongAudience) }
    }

    /// Who they say is calling, by the issuer's map of claims.
    pub(crate) fn identity(&self, issuer: &IssuerConfig) -> Result<Identity, Problem> {
        let subject = self.text("sub")?.filter(|sub| !sub.is_empty());
        let subject = subject.ok_or(Problem::MissingClaim)?;
        if subject.chars().count() > SUBJECT_CHARS_MAX || subject.chars().any(char::is_control) {
            return Err(Problem::ClaimType);
        }
        let groups = match &issuer.claims.groups {
            Some(claim) => self.mapped(claim)?,
            None => BTreeSet::new(),
        };
        let mut attributes = BTreeMap::new();
        for (attribute, claim) in &issuer.claims.attributes {
            let values = self.mapped(claim)?;
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

    fn token(&self) -> Result<Token, Problem> {
        let client = match (self.text("azp")?, self.text("client_id")?) {
            (Some(client), _) | (None, Some(client)) => client,
            (None, None) => "",
        };
        let scope = self.text("scope")?.unwrap_or_default();
        let scope = scope.split(' ').filter(|value| !value.is_empty());
        Ok(Token {
            present: true,
            issuer: self.text("iss")?.unwrap_or_default().to_owned(),
            audience: bounded(self.audiences()?.unwrap_or_default(), AUDIENCE_CHARS_MAX)?,
            client: text(client, TEXT_CHARS_MAX)?,
            scope: bounded(scope, TEXT_CHARS_MAX)?,
            acr: text(self.text("acr")?.unwrap_or_default(), TEXT_CHARS_MAX)?,
            amr: bounded(self.list("amr")?.unwrap_or_default(), TEXT_CHARS_MAX)?,
            auth_time_s: self.time("auth_time")?.unwrap_or(0),
            issued_at_s: self.time("iat")?.unwrap_or(0),
            expires_at_s: self.time("exp")?.unwrap_or(0),
        })
    }

    /// A claim that must be text where it is there.
    fn text(&self, claim: &str) -> Result<Option<&str>, Problem> {
        self.0.get(claim).map(|value| value.as_str().ok_or(Problem::ClaimType)).transpose()
    }

    /// A claim that must be a list of texts where it is there.
    fn list<'a>(&'a self, claim: &str) -> Result<Option<Vec<&'a str>>, Problem> {
        let Some(value) = self.0.get(claim) else {
            return Ok(None);
        };
        let list = value.as_array().ok_or(Problem::ClaimType)?.iter().map(Value::as_str);
        list.collect::<Option<_>>().ok_or(Problem::ClaimType).map(Some)
    }

    /// `aud`: one text or a list of them (§4.1.3).
    fn audiences(&self) -> Result<Option<Vec<&str>>, Problem> {
        match self.0.get("aud") {
            Some(Value::String(one)) => Ok(Some(vec![one])),
            _ => self.list("aud"),
        }
    }

    /// A NumericDate without a fraction, from 0 to 2^53-1 (§2).
    fn time(&self, claim: &str) -> Result<Option<i64>, Problem> {
        let seconds = |value: &Value| value.as_i64().filter(|s| (0..=INTEGER_MAX).contains(s));
        self.0.get(claim).map(|value| seconds(value).ok_or(Problem::ClaimType)).transpose()
    }

    /// A claim that the operator maps: text, true or false, a whole number, or a list of texts.
    fn mapped(&self, claim: &str) -> Result<BTreeSet<String>, Problem> {
        let one = match self.0.get(claim) {
            None => return Ok(BTreeSet::new()),
            Some(Value::String(one)) => one.clone(),
            Some(Value::Bool(one)) => one.to_string(),
            Some(Value::Number(one)) if one.is_i64() => one.to_string(),
            Some(_) => {
                let list = self.list(claim)?.unwrap_or_default();
                return Ok(bounded(list, TEXT_CHARS_MAX)?.into_iter().collect());
            }
        };
        Ok(BTreeSet::from([text(&one, TEXT_CHARS_MAX)?]))
    }
}

/// The texts of a list, none longer than `chars_max`.
fn bounded<'a>(
    list: impl IntoIterator<Item = &'a str>,
    chars_max: usize,
) -> Result<Vec<String>, Problem> {
    let list = list.into_iter().take(LIST_MAX + 1).map(|value| text(value, chars_max));
    let list: Vec<String> = list.collect::<Result<_, _>>()?;
    if list.len() > LIST_MAX { Err(Problem::TooLong) } else { Ok(list) }
}

fn text(value: &str, chars_max: usize) -> Result<String, Problem> {
    if value.chars().count() > chars_max { Err(Problem::TooLong) } else { Ok(value.to_owned()) }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(claims: D) -> Result<Self, D::Error> {
        claims.deserialize_map(EachOnce)
    }
}

struct EachOnce;

impl<'de> Visitor<'de> for EachOnce {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims, each once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Claims, A::Error> {
        let mut claims = BTreeMap::new();
        while let Some((name, value)) = members.next_entry()? {
            match claims.entry(name) {
                btree_map::Entry::Vacant(place) => place.insert(value),
                btree_map::Entry::Occupied(_) => return Err(A::Error::custom("a claim twice")),
            };
        }
        Ok(Claims(claims))
    }
}
