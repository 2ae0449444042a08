//! The facts of a request as Cedar's context: of all facts, those that some policy reads. Every
//! field is named here, so that a new fact does not compile until it is here too; `waf.hits` is
//! for the event only.

use std::net::IpAddr;

use cedar_policy::{Context, RestrictedExpression};
use signals::{Abuse, Conn, Facts, Health, IdentityFact, Rate, Session, Token, Waf};

use crate::inputs::InputError;
use crate::reads::{Reads, Wanted};

type Expression = RestrictedExpression;

/// A field's value, before it is made one of Cedar's.
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

/// The context, `Portcullis::Facts`, as far as policies read it.
pub(crate) fn context(facts: &Facts, reads: &Reads) -> Result<Context, InputError> {
    let Facts { identity, token, conn, session, waf, rate, abuse } = facts;
    let mut pairs = Vec::new();
    let mut put = |name: &str, record: &dyn Fn(Wanted<'_>) -> Made| match reads.of(name) {
        Some(wanted) => record(wanted).map(|record| pairs.push((name.to_owned(), record))),
        None => Ok(()),
    };
    put("identity", &|wanted| identity_record(identity, wanted))?;
    put("token", &|wanted| token_record(token, wanted))?;
    put("conn", &|wanted| conn_record(conn, wanted))?;
    put("session", &|wanted| session_record(session, wanted))?;
    put("waf", &|wanted| waf_record(waf, wanted))?;
    put("rate", &|wanted| rate_record(rate, wanted))?;
    put("abuse", &|wanted| abuse_record(abuse, wanted))?;
    Context::from_pairs(pairs).map_err(|error| InputError::new("context", &error))
}

type Made = Result<Expression, InputError>;

fn identity_record(fact: &IdentityFact, wanted: Wanted<'_>) -> Made {
    let IdentityFact { health, presented, verified, problem, issuer } = fact;
    record(
        wanted,
        [
            ("health", Word(*health)),
            ("presented", Flag(*presented)),
            ("verified", Flag(*verified)),
            ("problem", Text(problem)),
            ("issuer", Text(issuer)),
        ],
    )
}

fn token_record(fact: &Token, wanted: Wanted<'_>) -> Made {
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
    record(
        wanted,
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
        ],
    )
}

fn conn_record(fact: &Conn, wanted: Wanted<'_>) -> Made {
    let Conn { health, ip, port, proxies, tls, tls_version, cipher, sni, alpn, mtls, received_ms } =
        fact;
    record(
        wanted,
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
        ],
    )
}

fn session_record(fact: &Session, wanted: Wanted<'_>) -> Made {
    let Session { health, present } = fact;
    record(wanted, [("health", Word(*health)), ("present", Flag(*present))])
}

fn waf_record(fact: &Waf, wanted: Wanted<'_>) -> Made {
    let Waf { health, score, threshold, rules, classes, hits: _, inspected_bytes } = fact;
    record(
        wanted,
        [
            ("health", Word(*health)),
            ("score", Number(*score)),
            ("threshold", Number(*threshold)),
            ("rules", Set(rules)),
            ("classes", Set(classes)),
            ("inspected_bytes", Number(*inspected_bytes)),
        ],
    )
}

fn rate_record(fact: &Rate, wanted: Wanted<'_>) -> Made {
    let Rate { health, limited, limit, window_s, remaining, retry_after_s } = fact;
    record(
        wanted,
        [
            ("health", Word(*health)),
            ("limited", Flag(*limited)),
            ("limit", Number(*limit)),
            ("window_s", Number(*window_s)),
            ("remaining", Number(*remaining)),
            ("retry_after_s", Number(*retry_after_s)),
        ],
    )
}

fn abuse_record(fact: &Abuse, wanted: Wanted<'_>) -> Made {
    let Abuse { health, score } = fact;
    record(wanted, [("health", Word(*health)), ("score", Number(*score))])
}

fn record<const N: usize>(wanted: Wanted<'_>, pairs: [(&str, Plain<'_>); N]) -> Made {
    let read = pairs.into_iter().filter(|(name, _)| wanted.has(name));
    Expression::new_record(read.map(|(name, plain)| (name.to_owned(), plain.made())))
        .map_err(|error| InputError::new("context", &error))
}

impl Plain<'_> {
    fn made(self) -> Expression {
        let text = |text: &str| Expression::new_string(text.to_owned());
        let address = |ip: &IpAddr| Expression::new_ip(ip.to_canonical().to_string());
        match self {
            Word(health) => text(health.as_str()),
            Flag(flag) => Expression::new_bool(flag),
            Number(number) => Expression::new_long(number),
            Text(value) => text(value),
            Set(values) => Expression::new_set(values.iter().map(|value| text(value))),
            Address(ip) => address(&ip),
            Addresses(ips) => Expression::new_set(ips.iter().map(address)),
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
            let context = context(facts, &Reads::everything()).unwrap();
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
        let got =
            context(&Facts::default(), &Reads::everything()).unwrap().to_json_value().unwrap();
        assert_eq!(sorted(&got), sorted(&want));
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
