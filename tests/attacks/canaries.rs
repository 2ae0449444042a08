//! Secrets that clients and operators hand to the gateway, and that must be found nowhere: in no
//! event, no log line however verbose, no metric, no answer, in plain or in another coding.

use std::{fs, path::Path};

use fixtures::{
    client::{Client, Request},
    harness::{Setting, Setup, wait_for},
    idp::{access_header, now_s},
    jws::{b64, random},
    wire::Message,
};
use serde_json::{Value, json};

use super::{HOST, MANNERS, Manner, talkative};

/// Characters of a secret that are looked for.
const PART: usize = 24;

/// How a secret is sent; `{secret}` is filled in, `{jwt}` with a token that holds
/// it, `{length}` with the content's.
struct Place {
    name: &'static str,
    /// The request's exact bytes.
    raw: &'static str,
    /// What is changed of a good token for `{jwt}`.
    token: fn(&mut Value, &mut Value, &str),
    /// The answer's status: the request came as far as it was to come.
    status: u16,
}

fn no_token(_: &mut Value, _: &mut Value, _: &str) {}

macro_rules! place {
    ($name:literal, $status:literal, $raw:literal) => {
        place!($name, $status, $raw, no_token)
    };
    ($name:literal, $status:literal, $raw:literal, $token:expr) => {
        Place { name: $name, raw: $raw, token: $token, status: $status }
    };
}

#[rustfmt::skip]
const PLACES: &[Place] = &[
    // tokens
    place!("opaque token", 401, "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n\r\n"),
    place!("basic credentials", 401, "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {base64}\r\n\r\n"),
    place!("another scheme", 401, "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Negotiate {secret}\r\n\r\n"),
    place!("claim of a good token", 200, "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n",
        |_, claims, secret| claims["email"] = json!(secret)),
    place!("claim of an expired token", 401, "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n",
        |_, claims, secret| { claims["exp"] = json!(now_s() - 3600); claims["sub"] = json!(secret); }),
    place!("audience of a wrong token", 401, "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n",
        |_, claims, secret| claims["aud"] = json!(secret)),
    place!("issuer of a wrong token", 401, "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n",
        |_, claims, secret| claims["iss"] = json!(secret)),
    place!("claim of a wrong type", 401, "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n",
        |_, claims, secret| claims["nbf"] = json!(secret)),
    place!("key id of a wrong token", 401, "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n",
        |header, _, secret| header["kid"] = json!(secret)),
    place!("type of a wrong token", 401, "GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {jwt}\r\n\r\n",
        |header, _, secret| header["typ"] = json!(secret)),
    place!("proxy credentials", 200, "GET /public HTTP/1.1\r\nHost: localhost\r\nProxy-Authorization: Bearer {secret}\r\n\r\n"),
    // cookies
    place!("cookie", 200, "GET /public HTTP/1.1\r\nHost: localhost\r\nCookie: a=b; session={secret}\r\n\r\n"),
    place!("cookie without a name", 200, "GET /public HTTP/1.1\r\nHost: localhost\r\nCookie: {secret}\r\n\r\n"),
    place!("cookie of an attack", 403, "GET /public HTTP/1.1\r\nHost: localhost\r\nCookie: session={secret}' OR '1'='1\r\n\r\n"),
    place!("cookie of an unreadable request", 400, "GET /public HTTP/1.1\r\nHost: localhost\r\nCookie: session={secret}\n\r\n"),
    // queries
    place!("query", 200, "GET /public?token={secret} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    place!("query without a name", 200, "GET /public?{secret} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    place!("query of an attack", 403, "GET /public?q={secret}%27%20OR%20%271%27%3D%271 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    place!("query of an unrouted request", 404, "GET /?token={secret} HTTP/1.1\r\nHost: other.example.test\r\n\r\n"),
    place!("query of an unreadable request", 400, "GET /public?token={secret} HTTP/1.1\nHost: localhost\r\n\r\n"),
    place!("query of an unreadable path", 400, "GET /a/../b?token={secret} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    place!("encoded query in a path", 404, "GET /%3Ftoken={secret} HTTP/1.1\r\nHost: other.example.test\r\n\r\n"),
    place!("referer's query", 200, "GET /public HTTP/1.1\r\nHost: localhost\r\nReferer: https://a.test/?token={secret}\r\n\r\n"),
    place!("fragment", 400, "GET /public#{secret} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    place!("matrix parameter", 400, "GET /public;jsessionid={secret} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    place!("user information", 400, "GET https://user:{secret}@localhost/public HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    place!("user information in the host", 400, "GET /public HTTP/1.1\r\nHost: user:{secret}@localhost\r\n\r\n"),
    // paths, where a route hides parameters
    place!("pseudonym in a path", 404, "GET /people/{secret}/x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    place!("secret in a path", 404, "GET /people/x/{secret} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    place!("hidden in a path by another method", 405, "PUT /people/{secret}/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"),
    place!("hidden in a path that has no route", 404, "GET /people/{secret}/x/y HTTP/1.1\r\nHost: other.example.test\r\n\r\n"),
    place!("hidden in an unreadable path", 400, "GET /people/{secret}/../x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    place!("hidden in a path with an encoded slash", 400, "GET /people/{secret}/a%2Fb HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    // bodies
    place!("form", 404, "POST /form HTTP/1.1\r\nHost: api.example.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\npassword={secret}"),
    place!("json", 404, "POST /json HTTP/1.1\r\nHost: api.example.test\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{\"password\":\"{secret}\"}"),
    place!("attack in json", 403, "POST /json HTTP/1.1\r\nHost: api.example.test\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{\"password\":\"{secret}' OR '1'='1\"}"),
    place!("attack in json that is none", 403, "POST /json HTTP/1.1\r\nHost: api.example.test\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{\"password\":\"{secret}<script>al\""),
    place!("broken chunk", 400, "POST /json HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\n\r\n{secret}\r\n0\r\n\r\n"),
    place!("trailer", 404, "POST /json HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Secret: {secret}\r\n\r\n"),
    // other fields
    place!("api key", 200, "GET /public HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {secret}\r\n\r\n"),
    place!("field without a colon", 400, "GET /public HTTP/1.1\r\nHost: localhost\r\n{secret}\r\n\r\n"),
    place!("late head", 408, "GET /public HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}"),
    place!("failing upstream", 502, "GET /down?token={secret} HTTP/1.1\r\nHost: localhost\r\nCookie: a={secret}\r\n\r\n"),
];

/// A secret of [`PLACES`], and what would give it away.
struct Canary {
    name: String,
    secret: String,
}

impl Canary {
    fn new(name: &str) -> Self {
        let secret = format!("canary-{}", random().expect("randomness"));
        Self { name: name.to_owned(), secret: secret.chars().take(PART + 5).collect() }
    }

    /// The secret in plain and in every coding by which it might come out.
    fn spellings(&self) -> Vec<Vec<u8>> {
        let bytes = self.secret.as_bytes();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        // The middle of base64 does not depend on what stands around it, only on where it begins.
        let base64 = (0..3).map(|skew: usize| {
            let text = b64([&vec![b' '; skew], bytes].concat());
            text.get(4..text.len() - 4).expect("a middle").to_owned()
        });
        let mut all: Vec<Vec<u8>> = base64.map(String::into_bytes).collect();
        all.extend([bytes.to_vec(), hex.clone().into_bytes(), hex.to_uppercase().into_bytes()]);
        all
    }

    #[track_caller]
    fn nowhere_in(&self, what: &str, bytes: &[u8]) {
        for spelling in self.spellings() {
            let found = bytes.windows(spelling.len()).position(|window| window == spelling);
            let around = found.map(|at| {
                let around = bytes.get(at.saturating_sub(300)..bytes.len().min(at + 100));
                String::from_utf8_lossy(around.unwrap_or_default()).into_owned()
            });
            assert_eq!(around, None, "the secret of `{}` is in {what}", self.name);
        }
    }
}

fn start() -> Setting {
    let route = "      - name: person
        methods: [GET]
        path: /people/{who}/{token}
        action: view
        resource: {type: Page, id: \"{who}\"}
        parameters: {who: pseudonym, token: secret}
        upstream: orders
      - name: limited\n";
    let setup = talkative(Setup::open(HOST, true))
        .change("  flood:", "  pseudonym_key: {file: tls.key}\n  flood:")
        .change("      - name: limited\n", route);
    Setting::start("canaries", &setup).expect("the product")
}

/// The secrets of the operator: the middle of each private key.
fn keys(setting: &Setting) -> Vec<Canary> {
    let middle = |name: &str, path: &Path| {
        let pem = fs::read_to_string(path).expect("a key");
        let line = pem.lines().nth(1).expect("base64").to_owned();
        Canary { name: name.to_owned(), secret: line.chars().skip(20).take(PART).collect() }
    };
    vec![
        middle("the issuer's key", &setting.keys.issuer),
        middle("the certificate's key", &setting.dir().join("tls.key")),
    ]
}

fn send(setting: &Setting, place: &Place, secret: &str, manner: Manner) -> Message {
    let host = place.raw.split("Host: ").nth(1).and_then(|rest| rest.split(['\r', ':']).next());
    let name = match host {
        Some(HOST) => HOST,
        _ => "localhost",
    };
    let key = setting.idp.signer("ES256").expect("a key");
    let mut header = access_header(&key);
    let mut claims = setting.idp.access_claims("alice").expect("claims");
    (place.token)(&mut header, &mut claims, secret);
    let raw = place
        .raw
        .replace("{jwt}", &key.compact(&header, &claims).expect("a token"))
        .replace("{base64}", &b64(format!("user:{secret}")))
        .replace("{secret}", secret);
    let content = raw.split_once("\r\n\r\n").map_or(0, |(_, content)| content.len());
    let raw = raw.replace("{length}", &content.to_string());
    let client = setting.client_of(name).expect("a client");
    let answer = super::send(&client, manner, raw.as_bytes()).final_answer("GET");
    let answer = answer.unwrap_or_else(|error| panic!("{} ({manner:?}): {error:#}", place.name));
    assert_eq!(answer.status(), place.status, "{} ({manner:?}): {}", place.name, answer.text());
    answer
}

/// A reload of a configuration that holds a secret where only a reference to one may be.
fn reload_with_inline_secrets(setting: &mut Setting, secret: &str) {
    let good = fs::read_to_string(setting.config()).expect("the configuration");
    for (from, to) in [
        ("key: {file: tls.key}", format!("key: {secret}")),
        ("key: {file: tls.key}", format!("key: {{value: {secret}}}")),
        ("issuer: {file: keys/issuer.key}", format!("issuer: {{env: {secret}}}")),
        ("key: {file: tls.key}", format!("key: {{file: tls.key}}\n      password: {secret}")),
    ] {
        assert!(good.contains(from), "no `{from}`");
        fs::write(setting.config(), good.replace(from, &to)).expect("write");
        let known = setting.record().expect("events").with_code("reload").count();
        setting.gateway.reload().expect("SIGHUP");
        let event = wait_for("a reload", std::time::Duration::from_secs(20), || {
            Ok(setting.record()?.with_code("reload").nth(known).cloned())
        });
        let accepted = event.expect("an event").pointer("/unmapped/accepted").cloned();
        assert_eq!(accepted, Some(false.into()), "{to}");
    }
    fs::write(setting.config(), good).expect("write");
}

/// The bytes of every file below a directory.
fn everything_in(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(everything_in(&path));
        } else {
            all.extend(fs::read(&path).expect("a file"));
        }
    }
    // a preallocated file ends in zeros
    all.truncate(all.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1));
    all
}

#[test]
fn no_secret_comes_out_anywhere() {
    let mut setting = start();
    let mut canaries = keys(&setting);
    let mut answers = Vec::new();
    for place in PLACES {
        for manner in MANNERS {
            let canary = Canary::new(place.name);
            answers.push((place.name, send(&setting, place, &canary.secret, manner)));
            canaries.push(canary);
        }
    }
    let inline = Canary::new("the configuration");
    reload_with_inline_secrets(&mut setting, &inline.secret);
    canaries.push(inline);
    assert!(canaries.len() >= 20);

    let health = Client::plain(setting.health());
    let metrics = health.request(&Request::new("GET", "/metrics")).expect("metrics");
    assert!(setting.gateway.stop().expect("stop").success());
    let log = setting.gateway.process().output();
    let events = setting.portcullis.event_lines(&setting.spool()).expect("events");
    assert!(log.contains("DEBUG") && events.lines().count() > 2 * PLACES.len());
    let spool = everything_in(&setting.spool());
    for canary in &canaries {
        canary.nowhere_in("an event", events.as_bytes());
        canary.nowhere_in("the spool", &spool);
        canary.nowhere_in("the log", log.as_bytes());
        canary.nowhere_in("the metrics", &metrics.body);
        for (name, answer) in &answers {
            canary.nowhere_in(&format!("the answer to `{name}`"), &answer.raw_head);
            canary.nowhere_in(&format!("the answer to `{name}`"), &answer.body);
        }
    }
    println!("canaries: secrets={} answers={}", canaries.len(), answers.len());
}

#[test]
fn a_secret_is_found_in_every_coding() {
    let canary = Canary::new("a test");
    let secret = canary.secret.clone();
    for text in [
        format!("a {secret} b"),
        b64(format!("{{\"email\":\"{secret}\"}}")),
        b64(format!("x{{\"email\":\"{secret}\"}}")),
        b64(format!("xy{{\"email\":\"{secret}\"}}")),
        secret.bytes().map(|b| format!("{b:02X}")).collect(),
    ] {
        let found = std::panic::catch_unwind(|| canary.nowhere_in("it", text.as_bytes()));
        assert!(found.is_err(), "{text}");
    }
    canary.nowhere_in("it", b"nothing");
}
