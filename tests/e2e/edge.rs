//! What stands between clients and the gateway: what is believed of it, from whom, and what
//! becomes of it in the record, at the upstream, and in the rate limit.

use std::{net::Ipv6Addr, time::Duration};

use fixtures::{
    client::{Client, Request},
    harness::{HOST, Setting, Setup, wait_for},
    record::{number, text},
    wire::Message,
};
use serde_json::{Value, json};

use super::{id, setting};

const SOON: Duration = Duration::from_secs(20);
const TLS: &str = "    tls:\n      certificate: tls.crt\n      key: {file: tls.key}\n";
const LIMITS: &str = "    limits:\n";

/// A gateway whose listener has these lines too.
fn start(name: &str, lines: &str) -> Setting {
    let setup = Setup::default().change(LIMITS, &format!("{lines}{LIMITS}"));
    Setting::start(name, &setup).expect("the product")
}

fn v1(source: &str) -> Vec<u8> {
    format!("PROXY TCP4 {source} 198.51.100.2 51344 443\r\n").into_bytes()
}

fn v2(source: &str, additional: &[u8]) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().expect("an address");
    let length = u16::try_from(36 + additional.len()).expect("a length").to_be_bytes();
    let ports = [0xc8, 0x90, 1, 0xbb];
    let fixed = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x21"[..], &length].concat();
    [&fixed[..], &source.octets(), &Ipv6Addr::LOCALHOST.octets(), &ports, additional].concat()
}

fn get(client: &Client, fields: &[(&str, &str)]) -> Message {
    client.get("/public", fields).expect("an answer")
}

/// The decision of an answer.
fn decision(setting: &Setting, answer: &Message) -> Value {
    let record = setting.record().expect("events");
    (*record.decisions().expect("once").get(id(answer).as_str()).expect("a decision")).clone()
}

/// Who the client was, in the record and at the upstream: it is alone there.
fn check_client(setting: &Setting, answer: &Message, client: &str, proxies: &[&str]) {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let event = decision(setting, answer);
    assert_eq!(text(&event, "/src_endpoint/ip"), client, "{event}");
    assert_eq!(text(&event, "/unmapped/facts/conn/ip"), client, "{event}");
    assert_eq!(event["unmapped"]["facts"]["conn"]["proxies"], json!(proxies), "{event}");
    let between = &event["src_endpoint"]["intermediate_ips"];
    assert_eq!(between, &if proxies.is_empty() { Value::Null } else { json!(proxies) });
    let requests = setting.upstream.requests();
    let of_it =
        |message: &&Message| message.field("portcullis-decision-id") == Some(id(answer).as_str());
    let sent = requests.iter().map(|received| &received.message).find(of_it).expect("a request");
    assert_eq!(sent.fields_named("x-forwarded-for").collect::<Vec<_>>(), [client]);
    assert_eq!(sent.fields_named("forwarded").count(), 0);
}

/// Waits for this many connections that ended for this reason.
fn ended(setting: &Setting, reason: &str, count: u64) {
    wait_for(reason, SOON, || {
        let record = setting.record()?;
        let counts = record.with_code("aggregate").map(|event| {
            assert_eq!(text(event, "/unmapped/scope"), "connection", "{event}");
            event["unmapped"]["counts"][reason].as_u64().unwrap_or(0)
        });
        Ok((counts.sum::<u64>() >= count).then_some(()))
    })
    .expect("an event");
}

#[test]
fn a_listed_proxy_names_the_client() {
    let lines = "    proxy_protocol: {from: [127.0.0.1/32]}\n".to_owned();
    let setup = Setup::default()
        .change(LIMITS, &format!("{lines}{LIMITS}"))
        .change("head_timeout: 2s", "head_timeout: 2s\n      handshake_timeout: 1s");
    let mut setting = Setting::start("proxy", &setup).expect("the product");
    let client = setting.client().expect("a client");
    let behind = |header: &[u8]| client.clone().first(header);

    let first = get(&behind(&v1("203.0.113.7")), &[("X-Forwarded-For", "1.1.1.1")]);
    check_client(&setting, &first, "203.0.113.7", &["127.0.0.1"]);
    assert_eq!(number(&decision(&setting, &first), "/src_endpoint/port"), 51344);
    let second = get(&behind(&v2("2001:db8::7", b"\x04\0\x02\0\0")), &[]);
    check_client(&setting, &second, "2001:db8::7", &["127.0.0.1"]);
    let mapped = get(&behind(&v2("::ffff:203.0.113.7", b"")), &[]);
    check_client(&setting, &mapped, "203.0.113.7", &["127.0.0.1"]);
    for own in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        check_client(&setting, &get(&behind(own), &[]), "127.0.0.1", &[]);
    }

    // One client uses up its limit, and no other's.
    let asked = |source: &str| {
        let answer = behind(&v1(source)).get("/reflect", &[]).expect("an answer");
        answer.status()
    };
    let statuses: Vec<u16> = (0..6).map(|_| asked("203.0.113.8")).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    assert_eq!(asked("203.0.113.9"), 200);

    let wrong: [&[u8]; 6] = [
        b"",
        b"PROXY TCP4 203.0.113.7 198.51.100.2 51344 443\n",
        b"PROXY TCP4 203.0.113.7 198.51.100.2 51344 443 \r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        &[b' '; 300],
    ];
    for header in wrong {
        assert!(behind(header).connect().is_err(), "{}", header.escape_ascii());
    }
    ended(&setting, "proxy_protocol", 6);
    for late in [&b""[..], b"PROXY TCP4 203.0.113.7 198.51.100.2 51344 443\r"] {
        let mut silent = Client::plain(setting.door()).first(late).connect().expect("connect");
        assert_eq!(silent.rest().expect("closed"), b"");
    }
    ended(&setting, "proxy_protocol_timeout", 2);
    drop(Client::plain(setting.door()).connect().expect("connect"));
    assert_eq!(get(&behind(&v1("203.0.113.7")), &[]).status(), 200);
    assert!(setting.gateway.stop().expect("stop").success());
    let record = setting.record().expect("events");
    let aggregated: u64 = record.with_code("aggregate").map(|event| number(event, "/count")).sum();
    assert_eq!(aggregated, 8, "a look whether the port is open is no event");
}

#[test]
fn from_elsewhere_a_proxy_header_is_nothing_that_is_understood() {
    let setting = start("proxy-elsewhere", "    proxy_protocol: {from: [192.0.2.0/24]}\n");
    let client = setting.client().expect("a client");
    for header in [v1("203.0.113.7"), v2("2001:db8::7", b"")] {
        assert!(client.clone().first(&header).connect().is_err());
    }
    ended(&setting, "tls_handshake", 2);
    check_client(&setting, &get(&client, &[]), "127.0.0.1", &[]);
    assert_eq!(setting.upstream.requests().len(), 1);
}

#[test]
fn a_trusted_proxy_names_the_client_in_its_field() {
    let trusted =
        "    trusted_proxies: {from: [127.0.0.1/32, 10.0.0.0/8], field: x-forwarded-for}\n";
    let setting = start("forwarded-for", trusted);
    let client = setting.client().expect("a client");
    let check = |value: &str, want: &str, proxies: &[&str]| {
        let fields = [("X-Forwarded-For", value), ("Forwarded", "for=1.1.1.1")];
        check_client(&setting, &get(&client, &fields), want, proxies);
    };
    check("203.0.113.7", "203.0.113.7", &["127.0.0.1"]);
    check("10.9.9.9, 203.0.113.7, 10.0.0.3", "203.0.113.7", &["10.0.0.3", "127.0.0.1"]);
    check("127.0.0.1, 2001:db8::7", "2001:db8::7", &["127.0.0.1"]);
    let own = get(&client, &[("Connection", "X-Forwarded-For")]);
    check_client(&setting, &own, "127.0.0.1", &[]);
    let listed = [("Connection", "X-Forwarded-For"), ("X-Forwarded-For", "203.0.113.7")];
    check_client(&setting, &get(&client, &listed), "203.0.113.7", &["127.0.0.1"]);

    let before = setting.upstream.requests().len();
    for (value, code) in [
        ("unknown", "bad_forwarded"),
        ("203.0.113.7,", "bad_forwarded"),
        (&format!("{}203.0.113.7", "10.0.0.3,".repeat(32)), "too_many_hops"),
    ] {
        let answer = get(&client, &[("X-Forwarded-For", value)]);
        assert_eq!(answer.status(), 400, "{value}");
        let event = decision(&setting, &answer);
        assert_eq!(text(&event, "/unmapped/reason"), code, "{value}");
        assert_eq!(text(&event, "/src_endpoint/ip"), "127.0.0.1", "{value}");
    }
    assert_eq!(setting.upstream.requests().len(), before);
}

#[test]
fn an_untrusted_word_on_the_client_is_nobodys() {
    let elsewhere = "    trusted_proxies: {from: [192.0.2.0/24], field: forwarded}\n";
    let setting = start("forwarded-elsewhere", elsewhere);
    let client = setting.client().expect("a client");
    for value in ["for=203.0.113.7", "for=192.0.2.1", "nonsense"] {
        let fields = [("Forwarded", value), ("X-Forwarded-For", "203.0.113.7")];
        check_client(&setting, &get(&client, &fields), "127.0.0.1", &[]);
    }
}

/// A request to the plain listener for this authority.
fn plain(setting: &Setting, authority: &str) -> Message {
    let request = Request::new("GET", "/public")
        .field("Host", authority)
        .field("X-Forwarded-Proto", "ftp")
        .field("X-Forwarded-Host", "evil.test")
        .field("X-Forwarded-Port", "1");
    Client::plain(setting.door()).request(&request).expect("an answer")
}

#[test]
fn behind_a_load_balancer_the_origin_is_the_configured_one() {
    let setup = Setup::default()
        .change(TLS, "    plain: {from: [127.0.0.1/32]}\n")
        .change("drain:\n", "origins: [\"https://localhost:8443\"]\ndrain:\n");
    let setting = Setting::start("plain", &setup).expect("the product");
    let port = setting.door().port();
    for authority in [HOST, "localhost:8443", &format!("LOCALHOST.:{port}")] {
        setting.upstream.clear();
        let answer = plain(&setting, authority);
        check_client(&setting, &answer, "127.0.0.1", &[]);
        let sent = setting.upstream.requests().pop().expect("a request").message;
        for (name, want) in [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "localhost:8443"),
            ("x-forwarded-port", "8443"),
        ] {
            assert_eq!(sent.fields_named(name).collect::<Vec<_>>(), [want], "{authority}: {name}");
        }
        let event = decision(&setting, &answer);
        assert_eq!(text(&event, "/http_request/url/scheme"), "https", "{authority}");
        assert_eq!(event["unmapped"]["facts"]["conn"]["tls"], json!(false));
    }
    setting.upstream.clear();
    for authority in ["localhost:443", "localhost:80", "localhost:0"] {
        let answer = plain(&setting, authority);
        assert_eq!(answer.status(), 421, "{authority}");
        let reason = decision(&setting, &answer);
        assert_eq!(text(&reason, "/unmapped/reason"), "misdirected", "{authority}");
    }
    let mut preface = Client::plain(setting.door()).connect().expect("connect");
    preface.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("send");
    let status = preface.final_answer("PRI").expect("an answer").status();
    assert!((400..600).contains(&status), "{status}");
    assert!(setting.client().and_then(|client| client.connect()).is_err(), "there is no TLS");
    assert_eq!(setting.upstream.requests().len(), 0);
}

#[test]
fn who_is_no_load_balancer_may_not_connect_without_tls() {
    let setup = Setup::default().change(TLS, "    plain: {from: [192.0.2.0/24]}\n");
    let setting = Setting::start("plain-elsewhere", &setup).expect("the product");
    let mut connection = Client::plain(setting.door()).connect().expect("connect");
    let _ = connection.send(b"GET /public HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(connection.rest().expect("closed"), b"");
    ended(&setting, "source_not_listed", 1);
    assert_eq!(setting.upstream.requests().len(), 0);
}

#[test]
fn who_is_allowed_hears_what_is_left_of_the_limit() {
    let setting = setting("rate-limit");
    let client = setting.client().expect("a client");
    let mut left = Vec::new();
    let refused = loop {
        let answer = client.get("/reflect", &[]).expect("an answer");
        assert_eq!(answer.field("ratelimit-policy"), Some("\"default\";q=5;w=60"));
        let limit = answer.field("ratelimit").expect("a limit").to_owned();
        if answer.status() == 429 {
            break answer;
        }
        assert_eq!((answer.status(), answer.field("retry-after")), (200, None));
        left.push(limit.split(';').nth(1).expect("what is left").to_owned());
    };
    assert_eq!(left, ["r=4", "r=3", "r=2", "r=1", "r=0"]);
    assert!(refused.field("retry-after").is_some());
    // A route without a limit has nothing to tell.
    let answer = client.get("/public", &[]).expect("an answer");
    assert_eq!((answer.status(), answer.field("ratelimit")), (200, None));
}
