//! The gateway and a provider that rotates its keys, fails, and is not there: what a client gets,
//! what the record says, and how often the provider is asked.

use std::{
    thread,
    time::{Duration, Instant},
};

use fixtures::{
    client::{Client, Request},
    harness::{Setting, Setup, free_port, wait_for},
    idp::{Fault, Idp},
    jws::Signer,
    wire::Message,
};
use serde_json::{Value, json};

/// What may take long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How the demo's configuration names its provider.
const ISSUER: &str = "    issuer: \"";
const LAST_LINE: &str = "    allow_plain_http: true\n";

/// Key sets are fetched all the time.
fn eager() -> Setup {
    let often = format!("{LAST_LINE}    refresh: 100ms\n    unknown_key_cooldown: 100ms\n");
    Setup::default().change(LAST_LINE, &often)
}

fn get(setting: &Setting, target: &str, token: &str) -> Message {
    let authorization = format!("Bearer {token}");
    let client = setting.client().expect("a client");
    client.get(target, &[("Authorization", &authorization)]).expect("an answer")
}

fn orders(setting: &Setting, token: &str) -> u16 {
    get(setting, "/orders", token).status()
}

fn wait_for_status(setting: &Setting, token: &str, status: u16) {
    let what = format!("status {status}");
    wait_for(&what, PATIENCE, || Ok((orders(setting, token) == status).then_some(())))
        .expect("in time");
}

fn token(provider: &Idp) -> String {
    provider.access_token("alice", "ES256").expect("a token")
}

/// A token of that issuer whose key it never published.
fn by_stranger(provider: &Idp, kid: &str) -> String {
    let key = Signer::ed25519(kid).expect("a key");
    let header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": kid});
    key.compact(&header, &provider.access_claims("alice").expect("claims")).expect("a token")
}

/// The identity fact of the decision behind an answer.
fn identity_of(setting: &Setting, answer: &Message) -> Value {
    let id = answer.field("portcullis-decision-id").expect("a decision id");
    let events = setting.events().expect("events");
    let decision = events.iter().find(|event| {
        event["metadata"]["event_code"] == "decision" && event["metadata"]["correlation_uid"] == id
    });
    decision.expect("its decision")["unmapped"]["facts"]["identity"].clone()
}

#[test]
fn keys_rotate_while_the_gateway_serves() {
    let setting = Setting::start("rotation", &eager()).expect("the product");
    let old = token(&setting.idp);
    wait_for_status(&setting, &old, 200);
    setting.idp.rotate().expect("rotate");
    let new = token(&setting.idp);
    wait_for_status(&setting, &new, 200);
    assert_eq!(orders(&setting, &old), 200, "its key is still published");
    setting.idp.retire();
    wait_for_status(&setting, &old, 401);
    assert_eq!(orders(&setting, &new), 200);
    let refused = get(&setting, "/orders", &old);
    assert_eq!(refused.status(), 401);
    let fact = identity_of(&setting, &refused);
    assert_eq!((&fact["problem"], &fact["verified"]), (&json!("unknown_key"), &json!(false)));
}

#[test]
fn a_provider_that_fails_changes_nothing_for_tokens_of_known_keys() {
    let setting = Setting::start("bad-sets", &eager()).expect("the product");
    let provider = &setting.idp;
    wait_for_status(&setting, &token(provider), 200);
    let stranger = by_stranger(provider, "nobody");
    for fault in [
        Fault::Status(500),
        Fault::Garbage,
        Fault::Drop,
        Fault::Body(r#"{"keys":[]}"#.to_owned()),
        Fault::Body("x".repeat((1 << 20) + 1)),
        Fault::Hang,
    ] {
        provider.fault("/jwks", fault.clone());
        let seen = provider.hits("/jwks");
        wait_for("two more fetches", PATIENCE, || {
            assert_eq!(orders(&setting, &stranger), 401, "{fault:?}");
            Ok((provider.hits("/jwks") >= seen + 2).then_some(()))
        })
        .expect("in time");
        assert_eq!(orders(&setting, &token(provider)), 200, "{fault:?}");
    }
}

#[test]
fn a_provider_that_is_down_at_the_start_stops_nothing_but_its_tokens() {
    let port = free_port().expect("a port");
    let elsewhere = format!("{ISSUER}http://127.0.0.1:{port}\" # \"");
    let setting =
        Setting::start("late-provider", &eager().change(ISSUER, &elsewhere)).expect("the product");
    let client = setting.client().expect("a client");
    assert_eq!(client.get("/public", &[]).expect("an answer").status(), 200);

    let foreign = token(&setting.idp);
    assert_eq!(orders(&setting, &foreign), 401, "its issuer is not configured");
    let mut claims = setting.idp.access_claims("alice").expect("claims");
    claims["iss"] = json!(format!("http://127.0.0.1:{port}"));
    let key = Signer::ed25519("k").expect("a key");
    let header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "k"});
    let unknowable = key.compact(&header, &claims).expect("a token");
    for target in ["/orders", "/public"] {
        let answer = get(&setting, target, &unknowable);
        assert_eq!(answer.status(), 503, "{target}");
        assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{target}");
        let fact = identity_of(&setting, &answer);
        assert_eq!(fact["health"], "unavailable", "{target}");
        assert_eq!(fact["problem"], "keys_unavailable", "{target}");
    }
    assert_eq!(client.get("/public", &[]).expect("an answer").status(), 200);
    assert!(setting.gateway.ready(), "readiness does not depend on a provider");

    let late = Idp::start(port, 0).expect("the provider");
    wait_for_status(&setting, &token(&late), 200);
    assert_eq!(orders(&setting, &unknowable), 401);
}

/// Sends them all in one write, and reads an answer to each.
fn all_refused(client: &Client, tokens: &[String]) {
    let request = |token: &String| {
        let authorization = format!("Bearer {token}");
        Request::new("GET", "/orders").field("Authorization", &authorization).bytes(client.host())
    };
    let mut connection = client.connect().expect("a connection");
    connection.send(&tokens.iter().flat_map(request).collect::<Vec<u8>>()).expect("send");
    for _ in tokens {
        assert_eq!(connection.final_answer("GET").expect("an answer").status(), 401);
    }
}

#[test]
fn a_storm_of_unknown_keys_is_not_a_storm_at_the_provider() {
    /// Requests in all, and how many of them come on one connection.
    const REQUESTS: usize = 1000;
    const PIPELINED: usize = 50;
    let setting = Setting::start("storm", &Setup::default()).expect("the product");
    let provider = &setting.idp;
    wait_for_status(&setting, &token(provider), 200);
    let client = setting.client().expect("a client");
    let tokens: Vec<String> =
        (0..REQUESTS).map(|n| by_stranger(provider, &format!("k{n}"))).collect();
    let began = Instant::now();
    thread::scope(|scope| {
        for tokens in tokens.chunks(PIPELINED) {
            scope.spawn(|| all_refused(&client, tokens));
        }
    });
    let (took, asked) = (began.elapsed(), provider.hits("/jwks"));
    println!("storm: requests={REQUESTS} took={took:?} fetches={asked}");
    assert!(asked <= 2, "{asked} in {took:?}");
    assert_eq!(orders(&setting, &token(provider)), 200);
}
