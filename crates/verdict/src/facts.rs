//! The facts of a request as Cedar's context. Every field is named here, so that a new fact does
//! not compile until it is in the context too; `waf.hits` is for the event only.

use cedar_policy::{Context, RestrictedExpression};
use signals::{Abuse, Conn, Facts, Health, IdentityFact, Rate, Session, Token, Waf};

use crate::inputs::InputError;

type Expression = RestrictedExpression;

/// The context, `Portcullis::Facts`.
pub(crate) fn context(facts: &Facts) -> Result<Context, InputError> {
    let Facts { identity, token, conn, session, waf, rate, abuse } = facts;
    let pairs = [
        ("identity", identity_record(identity)?),
        ("token", token_record(token)?),
        ("conn", conn_record(conn)?),
        ("session", session_record(session)?),
        ("waf", waf_record(waf)?),
        ("rate", rate_record(rate)?),
        ("abuse", abuse_record(abuse)?),
    ];
    Context::from_pairs(pairs.map(|(name, record)| (name.to_owned(), record)))
        .map_err(|error| InputError::new("context", &error))
}

fn identity_record(fact: &IdentityFact) -> Result<Expression, InputError> {
    let IdentityFact { health, presented, verified, problem, issuer } = fact;
    record([
        ("health", word(*health)),
        ("presented", flag(*presented)),
        ("verified", flag(*verified)),
        ("problem", text(problem)),
        ("issuer", text(issuer)),
    ])
}

fn token_record(fact: &Token) -> Result<Expression, InputError> {
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
    record([
        ("present", flag(*present)),
        ("issuer", text(issuer)),
        ("audience", set(audience)),
        ("client", text(client)),
        ("scope", set(scope)),
        ("acr", text(acr)),
        ("amr", set(amr)),
        ("auth_time_s", number(*auth_time_s)),
        ("issued_at_s", number(*issued_at_s)),
        ("expires_at_s", number(*expires_at_s)),
    ])
}

fn conn_record(fact: &Conn) -> Result<Expression, InputError> {
    let Conn { health, ip, port, tls, tls_version, cipher, sni, alpn, mtls, received_ms } = fact;
    record([
        ("health", word(*health)),
        ("ip", Expression::new_ip(ip.to_canonical().to_string())),
        ("port", number(i64::from(*port))),
        ("tls", flag(*tls)),
        ("tls_version", text(tls_version)),
        ("cipher", text(cipher)),
        ("sni", text(sni)),
        ("alpn", text(alpn)),
        ("mtls", flag(*mtls)),
        ("received_ms", number(*received_ms)),
    ])
}

fn session_record(fact: &Session) -> Result<Expression, InputError> {
    let Session { health, present } = fact;
    record([("health", word(*health)), ("present", flag(*present))])
}

fn waf_record(fact: &Waf) -> Result<Expression, InputError> {
    let Waf { health, score, threshold, rules, classes, hits: _, inspected_bytes } = fact;
    record([
        ("health", word(*health)),
        ("score", number(*score)),
        ("threshold", number(*threshold)),
        ("rules", set(rules)),
        ("classes", set(classes)),
        ("inspected_bytes", number(*inspected_bytes)),
    ])
}

fn rate_record(fact: &Rate) -> Result<Expression, InputError> {
    let Rate { health, limited, limit, window_s, remaining, retry_after_s } = fact;
    record([
        ("health", word(*health)),
        ("limited", flag(*limited)),
        ("limit", number(*limit)),
        ("window_s", number(*window_s)),
        ("remaining", number(*remaining)),
        ("retry_after_s", number(*retry_after_s)),
    ])
}

fn abuse_record(fact: &Abuse) -> Result<Expression, InputError> {
    let Abuse { health, score } = fact;
    record([("health", word(*health)), ("score", number(*score))])
}

fn record<const N: usize>(pairs: [(&str, Expression); N]) -> Result<Expression, InputError> {
    Expression::new_record(pairs.map(|(name, value)| (name.to_owned(), value)))
        .map_err(|error| InputError::new("context", &error))
}

fn word(health: Health) -> Expression {
    Expression::new_string(health.as_str().to_owned())
}

fn text(value: &str) -> Expression {
    Expression::new_string(value.to_owned())
}

fn set(values: &[String]) -> Expression {
    Expression::new_set(values.iter().map(|value| text(value)))
}

fn flag(value: bool) -> Expression {
    Expression::new_bool(value)
}

fn number(value: i64) -> Expression {
    Expression::new_long(value)
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
            let context = context(facts).unwrap();
            context.validate(&schema, &see).unwrap();
        };
        check(&Facts::default());
        let mut facts = Facts::default();
        facts.waf.rules = vec!["1".to_owned(), "2".to_owned()];
        facts.token.scope = vec!["a".to_owned(), "a".to_owned()];
        facts.conn.ip = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1]);
        facts.token.expires_at_s = i64::MAX;
        check(&facts);
    }

    /// Field for field what the event holds, but `waf.hits`.
    #[test]
    fn the_context_holds_every_fact() {
        let mut want = serde_json::to_value(Facts::default()).unwrap();
        want["waf"].as_object_mut().unwrap().remove("hits").unwrap();
        want["conn"]["ip"] = serde_json::json!({"__extn": {"fn": "ip", "arg": "0.0.0.0"}});
        let got = context(&Facts::default()).unwrap().to_json_value().unwrap();
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
