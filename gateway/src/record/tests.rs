use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;
use signals::{
    Abuse, Framing, Header, Headers, Host, Identity, IdentityFact, Inspected, Path, Principal,
    Query, Token, Waf, WafHit,
};
use verdict::{Action, Policies, Source};

use super::*;

const SCHEMA: &str = "namespace Orders {
  entity Order in [Portcullis::Api];
  action read appliesTo {
    principal: [Portcullis::User, Portcullis::Workload, Portcullis::ApiKey, Portcullis::Anonymous],
    resource: [Order],
    context: Portcullis::Facts,
  };
}";

const POLICIES: &str = "@id(\"orders/readers\")
permit (principal in Portcullis::Group::\"acme|readers\", action == Orders::Action::\"read\",
  resource in Portcullis::Api::\"orders\");
@id(\"orders/attacks\") @refuse(\"blocked\") @message_id(\"orders.attack\")
forbid (principal, action, resource in Portcullis::Api::\"orders\") when { context.waf.score > 4 };";

const APIS: &str =
    r#"[{ "uid": { "type": "Portcullis::Api", "id": "orders" }, "attrs": {}, "parents": [] }]"#;

fn policies() -> Policies {
    let files = BTreeMap::from([
        ("entities/apis.json".to_owned(), APIS.to_owned()),
        ("schema.cedarschema".to_owned(), SCHEMA.to_owned()),
        ("orders/orders.cedar".to_owned(), POLICIES.to_owned()),
    ]);
    Policies::load(&Source { files, ..Source::default() }).expect("sound policies")
}

fn producer() -> Producer {
    Producer {
        version: "0.1.0".to_owned(),
        log: "audit.acme.example/eu1/gw-a".to_owned(),
        instance: "gw-a".to_owned(),
    }
}

fn request(fields: &[(&'static str, &str)]) -> Request {
    let header = |(name, value): &(&'static str, &str)| Header {
        name: HeaderName::from_static(name),
        value: HeaderValue::from_bytes(value.as_bytes()).unwrap(),
    };
    Request {
        protocol: Protocol::Http2,
        method: Method::GET,
        scheme: Scheme::Https,
        host: Host::parse(b"api.example").unwrap().0,
        port: Some(8443),
        path: Path::parse(b"/v1/orders/o-1").unwrap(),
        query: Some(Query::parse(b"q=canary-query").unwrap()),
        headers: Headers::new(fields.iter().map(header).collect()).unwrap(),
        framing: Framing::None,
        inspected: Inspected { bytes: "canary-body".into(), whole: true },
    }
}

fn reader() -> Identity {
    Identity {
        principal: Principal {
            kind: PrincipalKind::User,
            id: "acme|u-17".to_owned(),
            groups: vec!["acme|readers".to_owned()],
            attributes: BTreeMap::from([("team".to_owned(), ["blue".to_owned()].into())]),
        },
        fact: IdentityFact {
            health: Health::Ok,
            presented: true,
            verified: true,
            problem: String::new(),
            issuer: "acme".to_owned(),
        },
        token: Token {
            present: true,
            issuer: "https://idp.acme.example".to_owned(),
            client: "web-shop".to_owned(),
            ..Token::default()
        },
    }
}

fn conn() -> Conn {
    Conn {
        ip: [203, 0, 113, 24].into(),
        port: 51344,
        tls: true,
        tls_version: "TLSv1.3".to_owned(),
        cipher: "TLS13_AES_128_GCM_SHA256".to_owned(),
        sni: "api.example".to_owned(),
        received_ms: 1_795_262_951_123,
        ..Conn::default()
    }
}

fn mark(trace: &Trace) -> Mark<'_> {
    Mark {
        decision_id: Uuid::from_u128(7),
        decided_ms: 1_795_262_951_124,
        trace,
        durability: Durability::Gated,
    }
}

fn json(decision: &Decision) -> Value {
    serde_json::from_slice(&decision.record().value).unwrap()
}

/// Decides with `facts`, and gives the event.
fn decide(policies: &Policies, request: &Request, identity: &Identity, facts: &Facts) -> Value {
    let action = Action { namespace: "Orders".to_owned(), name: "read".to_owned() };
    let resource = verdict::Resource {
        kind: "Orders::Order".to_owned(),
        id: "o-1".to_owned(),
        api: "orders".to_owned(),
    };
    let question =
        Question { principal: identity, action: &action, resource: &resource, context: facts };
    let verdict = policies.decide(&question, ());
    let trace = Trace::new(request.headers.get_all("traceparent"), [0xab; 24]);
    let decided = Decided {
        mark: mark(&trace),
        request,
        path: "/v1/orders/{id}",
        route: "read",
        question,
        basis: &verdict.basis,
        refusal: verdict.outcome.as_ref().err().map(|refused| &refused.refusal),
        digests: policies.digests(),
    };
    json(&decided.record(&producer()).unwrap())
}

#[test]
fn a_recorded_decision_asked_again_gives_the_same_basis() {
    let policies = policies();
    let quiet = Facts { conn: conn(), ..Facts::default() };
    let attack = Facts {
        waf: Waf { health: Health::Ok, score: 5, threshold: 5, ..Waf::default() },
        ..quiet.clone()
    };
    for (identity, facts, decision, detail) in [
        (reader(), &quiet, "allow", "permit"),
        (reader(), &attack, "deny", "blocked"),
        (Identity::anonymous(), &quiet, "deny", "unauthenticated"),
    ] {
        let event = decide(&policies, &request(&[]), &identity, facts);
        assert_eq!(event["unmapped"]["cedar"]["decision"], decision);
        assert_eq!(event["status_detail"], detail);
        let unmapped = &event["unmapped"];
        let again = policies.ask_again(&unmapped["question"], &unmapped["facts"]).unwrap();
        let mut recorded = unmapped["cedar"].clone();
        let digests = recorded.as_object_mut().and_then(|cedar| cedar.remove("digests")).unwrap();
        assert_eq!(recorded, serde_json::to_value(&again).unwrap());
        assert_eq!(digests, serde_json::to_value(policies.digests()).unwrap());
        assert_eq!(unmapped["facts"], serde_json::to_value(facts).unwrap());
    }
}

#[test]
fn the_fields_of_a_call() {
    let facts = Facts {
        conn: conn(),
        waf: Waf {
            hits: vec![WafHit {
                rule: "942100".to_owned(),
                message: "SQL injection".to_owned(),
                target: "ARGS:q".to_owned(),
            }],
            ..Waf::default()
        },
        abuse: Abuse { health: Health::Ok, score: 71 },
        ..Facts::default()
    };
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request =
        request(&[("user-agent", "curl/8"), ("x-request-id", "req-1"), ("traceparent", parent)]);
    let event = decide(&policies(), &request, &reader(), &facts);
    for (pointer, want) in [
        ("/class_uid", Value::from(6003)),
        ("/metadata/uid", Value::from("00000000-0000-0000-0000-000000000007")),
        ("/metadata/correlation_uid", Value::from("00000000-0000-0000-0000-000000000007")),
        ("/start_time", Value::from(1_795_262_951_123_i64)),
        ("/time", Value::from(1_795_262_951_124_i64)),
        ("/actor/user/uid", Value::from("acme|u-17")),
        ("/actor/user/groups/0/uid", Value::from("acme|readers")),
        ("/actor/idp/name", Value::from("acme")),
        ("/actor/app_uid", Value::from("web-shop")),
        ("/api/operation", Value::from("read")),
        ("/api/service/name", Value::from("orders")),
        ("/resources/0/uid", Value::from("o-1")),
        ("/authorizations/0/policy/uid", Value::from("orders/readers")),
        ("/firewall_rule/uid", Value::from("942100")),
        ("/risk_score", Value::from(71)),
        ("/http_request/version", Value::from("HTTP/2")),
        ("/http_request/user_agent", Value::from("curl/8")),
        ("/http_request/uid", Value::from("req-1")),
        ("/http_request/url/hostname", Value::from("api.example")),
        ("/http_request/url/port", Value::from(8443)),
        ("/http_request/url/path", Value::from("/v1/orders/{id}")),
        ("/src_endpoint/ip", Value::from("203.0.113.24")),
        ("/trace/uid", Value::from("4bf92f3577b34da6a3ce929d0e0e4736")),
        ("/trace/span/uid", Value::from("abababababababab")),
        ("/trace/span/parent_uid", Value::from("00f067aa0ba902b7")),
        ("/unmapped/route", Value::from("read")),
        ("/unmapped/durability", Value::from("gated")),
        ("/unmapped/question/principal/attributes/team/0", Value::from("blue")),
    ] {
        assert_eq!(event.pointer(pointer), Some(&want), "{pointer}");
    }
    let digest = event.pointer("/unmapped/request_digest").and_then(Value::as_str).unwrap();
    let hex: String = request.digest().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, format!("sha256:{hex}"));
}

#[test]
fn nothing_secret_is_recorded() {
    let request = request(&[
        ("authorization", "Bearer canary-token"),
        ("cookie", "session=canary-cookie"),
        ("referer", "https://api.example/?q=canary-referer"),
        ("x-api-key", "canary-key"),
    ]);
    let facts = Facts { conn: conn(), ..Facts::default() };
    let decided = decide(&policies(), &request, &reader(), &facts);
    let trace = Trace::new(std::iter::empty(), [1; 24]);
    let conn = conn();
    let turned = TurnedAway {
        mark: mark(&trace),
        why: Turned::NotFound,
        conn: &conn,
        request: Some(&request),
        path: None,
        request_line: None,
        route: None,
    };
    let turned = json(&turned.record(&producer()).unwrap());
    for event in [decided, turned] {
        assert!(!event.to_string().contains("canary"), "{event}");
    }
}

#[test]
fn what_could_not_be_read_is_recorded_all_the_same() {
    let trace = Trace::new(std::iter::empty(), [1; 24]);
    let conn = conn();
    let turned = TurnedAway {
        mark: mark(&trace),
        why: Turned::Unreadable { code: "bare_lf" },
        conn: &conn,
        request: None,
        path: None,
        request_line: Some("GET /a"),
        route: None,
    };
    let event = json(&turned.record(&producer()).unwrap());
    assert_eq!(event["class_uid"], 4002);
    assert_eq!(event["status_detail"], "bare_lf");
    assert_eq!(event["unmapped"]["request_line"], "GET /a");
    assert_eq!(event["tls"]["version"], "TLSv1.3");
    assert_eq!(event["src_endpoint"]["ip"], "203.0.113.24");
    assert_eq!(event["http_request"], serde_json::json!({}));
    assert!(event["unmapped"].get("request_digest").is_none());
}
