//! The facts of a request as Cedar's context: of all facts, those that the policies in question
//! read. Every field is named here, so that a new fact does not compile until it is here too;
//! `waf.hits` is for the event only.

use std::net::IpAddr;

use cedar_policy::{Context, RestrictedExpression};
use signals::{Abuse, Conn, Facts, Health, IdentityFact, Rate, Session, Token, Waf};

use crate::inputs::InputError;
use crate::reads::Reads;

type Expression = RestrictedExpression;

/// How many fields there are: each has a number below it.
pub(crate) const FIELDS_MAX: u32 = 44;

/// A field's value, before it is made one of Cedar's.
#[derive(Debug, Clone, Copy)]
enum Plain<'a> {
    Word(Health),
    Flag(bool),
    Number(i64),
    Text(&'a str),
    Set(&'a [String]),
    Address(IpAddr),
    Addresses(&'a [IpAddr]),
}

use Plain::{Address, Addresses, Flag, Number, Set, Text, Word};

/// A field: its name and its value.
type Field<'a> = (&'static str, Plain<'a>);

/// The context, `Portcullis::Facts`, as far as it is read.
pub(crate) fn context(facts: &Facts, reads: Reads) -> Result<Context, InputError> {
    let wrong = |error| InputError::new("context", &error);
    let mut pairs = Vec::new();
    let mut failed = None;
    each(facts, &mut |first, fact, fields| {
        let read = (first..).zip(fields).filter(|(number, _)| reads.has(*number));
        let mut read = read.map(|(_, (name, plain))| ((*name).to_owned(), plain.made())).peekable();
        if read.peek().is_none() {
            return;
        }
        match Expression::new_record(read) {
            Ok(record) => pairs.push((fact.to_owned(), record)),
            Err(error) => failed = Some(wrong(error)),
        }
    });
    match failed {
        Some(error) => Err(error),
        None => Context::from_pairs(pairs).map_err(|error| InputError::new("context", &error)),
    }
}

/// What of some facts is read, to be compared: equal keys make equal contexts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ContextKey(Vec<u8>);

impl ContextKey {
    pub(crate) fn of(facts: &Facts, reads: Reads) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&reads.of_facts().to_be_bytes());
        each(facts, &mut |first, _, fields| {
            for (number, (_, plain)) in (first..).zip(fields) {
                if reads.has(number) {
                    plain.write(&mut bytes);
                }
            }
        });
        Self(bytes)
    }
}

/// The number of a field, if there is such a one.
pub(crate) fn number(fact: &str, field: &str) -> Option<u32> {
    let mut found = None;
    each(&Facts::default(), &mut |first, name, fields| {
        let named = (first..).zip(fields).find(|(_, (known, _))| name == fact && *known == field);
        found = found.or(named.map(|(number, _)| number));
    });
    found
}

/// The fields of a fact, each as the bit of its number; none of what is no fact.
pub(crate) fn bits(fact: &str) -> u64 {
    let mut bits = 0;
    each(&Facts::default(), &mut |first, name, fields| {
        if name == fact {
            bits = (first..).zip(fields).fold(0, |bits, (number, _)| bits | 1 << number);
        }
    });
    bits
}

/// Goes through the facts: the number of the first field, the fact's name, its fields.
fn each<'a>(facts: &'a Facts, visit: &mut dyn FnMut(u32, &'static str, &[Field<'a>])) {
    let Facts { identity, token, conn, session, waf, rate, abuse } = facts;
    let mut next = 0;
    let mut visit = |name, fields: &[Field<'a>]| {
        visit(next, name, fields);
        next = (next..).zip(fields).last().map_or(next, |(last, _)| last + 1);
    };
    visit("identity", &identity_fields(identity));
    visit("token", &token_fields(token));
    visit("conn", &conn_fields(conn));
    visit("session", &session_fields(session));
    visit("waf", &waf_fields(waf));
    visit("rate", &rate_fields(rate));
    visit("abuse", &abuse_fields(abuse));
}

fn identity_fields(fact: &IdentityFact) -> [Field<'_>; 5] {
    let IdentityFact { health, presented, verified, problem, issuer } = fact;
    [
        ("health", Word(*health)),
        ("presented", Flag(*presented)),
        ("verified", Flag(*verified)),
        ("problem", Text(problem)),
        ("issuer", Text(issuer)),
    ]
}

fn token_fields(fact: &Token) -> [Field<'_>; 10] {
    let Token {
        present,
        issuer,
        audience,
        client,
        scope,
        acr,
        amr,
        auth_time_s,
        issued_at_s,
        expires_at_s,
    } = fact;
    [
        ("present", Flag(*present)),
        ("issuer", Text(issuer)),
        ("audience", Set(audience)),
        ("client", Text(client)),
        ("scope", Set(scope)),
        ("acr", Text(acr)),
        ("amr", Set(amr)),
        ("auth_time_s", Number(*auth_time_s)),
        ("issued_at_s", Number(*issued_at_s)),
        ("expires_at_s", Number(*expires_at_s)),
    ]
}

fn conn_fields(fact: &Conn) -> [Field<'_>; 11] {
    let Conn { health, ip, port, proxies, tls, tls_version, cipher, sni, alpn, mtls, received_ms } =
        fact;
    [
        ("health", Word(*health)),
        ("ip", Address(*ip)),
        ("port", Number(i64::from(*port))),
        ("proxies", Addresses(proxies)),
        ("tls", Flag(*tls)),
        ("tls_version", Text(tls_version)),
        ("cipher", Text(cipher)),
        ("sni", Text(sni)),
        ("alpn", Text(alpn)),
        ("mtls", Flag(*mtls)),
        ("received_ms", Number(*received_ms)),
    ]
}

fn session_fields(fact: &Session) -> [Field<'_>; 2] {
    let Session { health, present } = fact;
    [("health", Word(*health)), ("present", Flag(*present))]
}

fn waf_fields(fact: &Waf) -> [Field<'_>; 8] {
    let Waf { health, problem, mode, score, threshold, rules, classes, hits: _, inspected_bytes } =
        fact;
    [
        ("health", Word(*health)),
        ("problem", Text(problem)),
        ("mode", Text(mode.as_str())),
        ("score", Number(*score)),
        ("threshold", Number(*threshold)),
        ("rules", Set(rules)),
        ("classes", Set(classes)),
        ("inspected_bytes", Number(*inspected_bytes)),
    ]
}

fn rate_fields(fact: &Rate) -> [Field<'_>; 6] {
    let Rate { health, limited, limit, window_s, remaining, retry_after_s } = fact;
    [
        ("health", Word(*health)),
        ("limited", Flag(*limited)),
        ("limit", Number(*limit)),
        ("window_s", Number(*window_s)),
        ("remaining", Number(*remaining)),
        ("retry_after_s", Number(*retry_after_s)),
    ]
}

fn abuse_fields(fact: &Abuse) -> [Field<'_>; 2] {
    let Abuse { health, score } = fact;
    [("health", Word(*health)), ("score", Number(*score))]
}

impl Plain<'_> {
    fn made(&self) -> Expression {
        let text = |text: &str| Expression::new_string(text.to_owned());
        let address = |ip: &IpAddr| Expression::new_ip(ip.to_canonical().to_string());
        match self {
            Word(health) => text(health.as_str()),
            Flag(flag) => Expression::new_bool(*flag),
            Number(number) => Expression::new_long(*number),
            Text(value) => text(value),
            Set(values) => Expression::new_set(values.iter().map(|value| text(value))),
            Address(ip) => address(ip),
            Addresses(ips) => Expression::new_set(ips.iter().map(address)),
        }
    }

    /// So that no two values of one field, with what follows them, are written alike.
    fn write(&self, to: &mut Vec<u8>) {
        let text = |to: &mut Vec<u8>, text: &str| {
            to.extend_from_slice(&text.len().to_be_bytes());
            to.extend_from_slice(text.as_bytes());
        };
        let address = |to: &mut Vec<u8>, ip: &IpAddr| match ip.to_canonical() {
            IpAddr::V4(ip) => {
                to.push(4);
                to.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                to.push(6);
                to.extend_from_slice(&ip.octets());
            }
        };
        match self {
            Word(health) => text(to, health.as_str()),
            Flag(flag) => to.push(u8::from(*flag)),
            Number(number) => to.extend_from_slice(&number.to_be_bytes()),
            Text(value) => text(to, value),
            Set(values) => {
                to.extend_from_slice(&values.len().to_be_bytes());
                values.iter().for_each(|value| text(to, value));
            }
            Address(ip) => address(to, ip),
            Addresses(ips) => {
                to.extend_from_slice(&ips.len().to_be_bytes());
                ips.iter().for_each(|ip| address(to, ip));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use cedar_policy::{EntityUid, Schema, SchemaFragment};
    use serde_json::Value;

    use super::*;

    const PROBE: &str = "namespace Probe {
      entity Thing in [Portcullis::Api];
      action see appliesTo { principal: Portcullis::User, resource: Thing, context: Portcullis::Facts };
    }";

    fn schema() -> Schema {
        let fragments = [crate::PORTCULLIS_SCHEMA, PROBE].map(|text| {
            let (fragment, warnings) = SchemaFragment::from_cedarschema_str(text).unwrap();
            assert_eq!(warnings.count(), 0);
            fragment
        });
        Schema::from_schema_fragments(fragments).unwrap()
    }

    #[test]
    fn the_context_is_what_the_schema_says() {
        let schema = schema();
        let see: EntityUid = "Probe::Action::\"see\"".parse().unwrap();
        let check = |facts: &Facts| {
            let context = context(facts, Reads::EVERYTHING).unwrap();
            context.validate(&schema, &see).unwrap();
        };
        check(&Facts::default());
        let mut facts = Facts::default();
        facts.waf.rules = vec!["1".to_owned(), "2".to_owned()];
        facts.token.scope = vec!["a".to_owned(), "a".to_owned()];
        facts.conn.ip = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1]);
        facts.conn.proxies = vec![facts.conn.ip, IpAddr::from([0; 16]), facts.conn.ip];
        facts.token.expires_at_s = i64::MAX;
        check(&facts);
    }

    /// Field for field what the event holds, but `waf.hits`.
    #[test]
    fn the_context_holds_every_fact() {
        let mut want = serde_json::to_value(Facts::default()).unwrap();
        want["waf"].as_object_mut().unwrap().remove("hits").unwrap();
        want["conn"]["ip"] = serde_json::json!({"__extn": {"fn": "ip", "arg": "0.0.0.0"}});
        let got = context(&Facts::default(), Reads::EVERYTHING).unwrap().to_json_value().unwrap();
        assert_eq!(sorted(&got), sorted(&want));
    }

    /// Each field alone is there under its own name, and has its own bit.
    #[test]
    fn each_field_can_be_read_alone() {
        let facts = Facts::default();
        let all = context(&facts, Reads::EVERYTHING).unwrap().to_json_value().unwrap();
        let mut seen = 0_u64;
        for path in sorted(&all).keys() {
            let (fact, field) = path.split_once('.').unwrap();
            let number = number(fact, field).unwrap();
            let reads = Reads::of_fields(1 << number);
            let value = context(&facts, reads).unwrap().to_json_value().unwrap();
            assert!(sorted(&value).into_keys().eq([path.clone()]), "{path}");
            assert_eq!(bits(fact) >> number & 1, 1, "{path}");
            assert_eq!(seen >> number & 1, 0, "{path}");
            seen |= 1 << number;
        }
        assert_eq!(seen, (1_u64 << FIELDS_MAX) - 1, "`FIELDS_MAX` is their number");
        assert_eq!(
            (number("waf", "hits"), number("other", "health"), bits("other")),
            (None, None, 0)
        );
    }

    /// Two facts have one key only if they make one context.
    #[test]
    fn the_key_tells_what_is_read_apart() {
        let check = |change: &dyn Fn(&mut Facts), differs: bool| {
            let mut facts = Facts::default();
            change(&mut facts);
            let of = |facts: &Facts| ContextKey::of(facts, Reads::EVERYTHING);
            assert_eq!(of(&facts) != of(&Facts::default()), differs, "{facts:?}");
            let none = |facts: &Facts| ContextKey::of(facts, Reads::default());
            assert_eq!(none(&facts), none(&Facts::default()));
        };
        check(&|_| {}, false);
        check(&|facts| facts.waf.hits.push(signals::WafHit::default()), false);
        check(&|facts| facts.waf.health = Health::Ok, true);
        check(&|facts| facts.waf.score = 256, true);
        check(&|facts| facts.rate.limited = true, true);
        check(&|facts| facts.token.acr = "a".to_owned(), true);
        check(&|facts| facts.token.scope = vec![String::new()], true);
        check(&|facts| facts.token.amr = vec![String::new()], true);
        check(&|facts| facts.conn.proxies = vec![facts.conn.ip], true);
        check(&|facts| facts.conn.ip = IpAddr::from([0; 16]), true);
        let of = |client: &str, acr: &str| {
            let mut facts = Facts::default();
            (facts.token.client, facts.token.acr) = (client.to_owned(), acr.to_owned());
            ContextKey::of(&facts, Reads::EVERYTHING)
        };
        assert_ne!(of("ab", "c"), of("a", "bc"));
    }

    fn sorted(value: &Value) -> std::collections::BTreeMap<String, String> {
        value
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(name, record)| {
                let fields = record.as_object().unwrap().iter();
                fields.map(move |(field, value)| (format!("{name}.{field}"), value.to_string()))
            })
            .collect()
    }
}
