//! `bodies/refused.toml`: bodies that the rules and an upstream could read differently, or that the
//! rules do not read. Each goes to a route that inspects bodies: once with our own rules, and once
//! with an operator's, `bodies/rules.conf`.

use std::path::Path;

use fixtures::{
    client::{Client, Request},
    harness::{Setting, Setup},
};
use serde::Deserialize;

use super::{Attack, HOST, MANNERS, recorded, send, unhex};

const ROWS: &str = include_str!("bodies/refused.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
    good: Vec<Good>,
}

/// What is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    fields: Vec<(String, String)>,
    body: Body,
    /// With our own rules; without this it is not sent there.
    own: Option<Refusal>,
    /// With an operator's; likewise.
    rules: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    /// The answer's status.
    status: u16,
    /// `unmapped.reason` of its decision.
    code: String,
}

/// What resembles it and goes upstream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Good {
    name: String,
    #[serde(default)]
    fields: Vec<(String, String)>,
    body: Body,
    /// Only an operator's rules read it.
    #[serde(default)]
    rules_only: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Text(String),
    /// Where it is not UTF-8.
    Hex(String),
    /// Texts, each so often.
    Repeated(Vec<(String, usize)>),
}

impl Body {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Hex(hex) => unhex(hex),
            Self::Repeated(texts) => {
                texts.iter().flat_map(|(text, times)| text.repeat(*times).into_bytes()).collect()
            }
        }
    }
}

fn file() -> File {
    toml::from_str(ROWS).expect("rows")
}

fn request(client: &Client, fields: &[(String, String)], body: &Body) -> Vec<u8> {
    let request = fields
        .iter()
        .fold(Request::new("POST", "/bodies"), |request, (name, value)| request.field(name, value));
    request.body(body.bytes()).bytes(client.host())
}

/// A body is inspected as far as the longest of the rows that is to be read whole.
fn setup() -> Setup {
    Setup::open(HOST, true).change("checks: [waf]\n", "checks: [waf]\n        inspect: 256KiB\n")
}

fn check(
    name: &str,
    setup: &Setup,
    refusal: fn(&Row) -> Option<&Refusal>,
    is_good: fn(&Good) -> bool,
) {
    let setting = Setting::start(name, setup).expect("the product");
    let client = setting.client_of(HOST).expect("a client");
    let File { row: rows, good } = file();
    let mut answered = Vec::new();
    for row in &rows {
        let Some(refusal) = refusal(row) else { continue };
        for manner in MANNERS {
            let bytes = request(&client, &row.fields, &row.body);
            let attack =
                Attack { what: &row.name, bytes, status: refusal.status, code: &refusal.code };
            answered.push(attack.send(&setting, &client, manner).1);
        }
    }
    recorded(&setting, &answered);
    for good in good.iter().filter(|good| is_good(good)) {
        for manner in MANNERS {
            setting.upstream.clear();
            let bytes = request(&client, &good.fields, &good.body);
            let answer = send(&client, manner, &bytes).final_answer("POST").expect("an answer");
            assert_eq!(answer.status(), 404, "{} ({manner:?}): {}", good.name, answer.text());
            let received = setting.upstream.requests().pop().expect("a request");
            assert_eq!(received.message.body, good.body.bytes(), "{} ({manner:?})", good.name);
        }
    }
    println!("{name}: sent={}", answered.len());
}

#[test]
fn no_body_passes_that_our_rules_do_not_read() {
    check("bodies", &setup(), |row| row.own.as_ref(), |good| !good.rules_only);
}

#[test]
fn no_body_passes_that_an_operators_rules_do_not_read() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("attacks/bodies/rules.conf");
    let policies = "policies:\n  directory: policies";
    let waf = format!("waf:\n  rules: [\"{}\"]\n{policies}", rules.display());
    let setup = setup().change(policies, &waf);
    check("bodies-by-rules", &setup, |row| row.rules.as_ref(), |_| true);
}
