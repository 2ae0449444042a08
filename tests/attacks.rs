//! Attacks as data: each row of `attacks/*.toml` on a raw socket of the running product, in one
//! write, byte by byte, and pipelined behind a good request; and so is each kind of hostile token,
//! body and field, and each place of a secret.
//!
//! A row holds if the answer has the status and a problem document with a decision id, the event
//! of that id has the code, nothing follows on the connection, and the upstream saw nothing:
//! although everything that *can* be read is allowed here and reaches it.

mod bodies;
mod canaries;
mod h2;
mod headers;
mod injection;
mod issuers;
mod outgoing;
mod paths;

use std::{collections::BTreeMap, fs, path::Path};

use fixtures::{
    client::{Client, Connection, Request},
    harness::{Setting, Setup},
    idp::{
        access_header,
        hostile::{KINDS, PAGES},
    },
    jws::b64,
    wire::Message,
};
use serde::Deserialize;
use serde_json::Value;

/// The host that the rows name.
const HOST: &str = "api.example.test";
/// How each row is sent.
pub(crate) const MANNERS: [Manner; 3] = [Manner::OneWrite, Manner::EachByte, Manner::Pipelined];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
    #[serde(default)]
    good: Vec<Good>,
}

/// One attack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    /// The exact bytes, or
    raw: Option<String>,
    /// the same in hex, where they are not UTF-8.
    hex: Option<String>,
    /// The answer's status.
    status: u16,
    /// `unmapped.reason` of its decision.
    code: String,
    /// Where it is found out; the head if not said.
    #[serde(default)]
    part: Part,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    #[default]
    Head,
    Body,
    /// In what the head means: it was read, and the connection goes on.
    Meaning,
}

/// What looks like an attack and is none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Good {
    name: String,
    raw: String,
    /// The paths of the requests that it is, in order.
    paths: Vec<String>,
    /// The connection closes behind the last of them.
    #[serde(default)]
    closes: bool,
}

/// A manner of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    OneWrite,
    EachByte,
    /// Behind a good request, which reaches the upstream.
    Pipelined,
}

/// What is sent, and what it has to come to.
struct Attack<'a> {
    what: &'a str,
    bytes: Vec<u8>,
    status: u16,
    code: &'a str,
}

/// An answer whose decision still is to be found in the record.
struct Answered {
    what: String,
    id: String,
    code: String,
}

impl Row {
    fn bytes(&self) -> Vec<u8> {
        match (&self.raw, &self.hex) {
            (Some(raw), None) => raw.as_bytes().to_vec(),
            (None, Some(hex)) => unhex(hex),
            _ => panic!("{}: either raw or hex", self.name),
        }
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16).expect("a hex digit")).collect();
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("a byte"))
        .collect()
}

/// The method of the first request in these bytes: an answer to `HEAD` has no content.
fn method(bytes: &[u8]) -> String {
    bytes
        .split(|&b| b == b' ')
        .next()
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .unwrap_or_default()
}

fn file() -> File {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("attacks");
    let mut all = File { row: Vec::new(), good: Vec::new() };
    for entry in fs::read_dir(&dir).expect("tests/attacks") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a file");
        let file: File =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        all.row.extend(file.row);
        all.good.extend(file.good);
    }
    assert!(!all.row.is_empty());
    all
}

fn open_setting(name: &str) -> Setting {
    Setting::start(name, &Setup::open(HOST, true)).expect("the product")
}

/// Logs all it can, and has a route `/down` to an upstream where nobody listens, so that it has
/// something to log.
fn talkative(mut setup: Setup) -> Setup {
    let route = "      - name: down
        methods: [GET]
        path: /down
        action: view
        resource: {type: Page, id: home}
        upstream: down
      - name: limited\n";
    let down = "upstreams:\n  down:\n    endpoints: [\"http://127.0.0.1:1\"]";
    setup.log = Some("trace".to_owned());
    setup.change("upstreams:", down).change("      - name: limited\n", route)
}

/// Sends it over a new connection.
pub(crate) fn send(client: &Client, manner: Manner, bytes: &[u8]) -> Connection {
    let mut connection = client.connect().expect("connect");
    match manner {
        Manner::OneWrite => connection.send(bytes).expect("send"),
        Manner::EachByte => connection.send_each_byte(bytes).expect("send"),
        Manner::Pipelined => {
            let good = Request::new("GET", "/first").bytes(client.host());
            connection.send(&[&good, bytes].concat()).expect("send");
            let good = connection.final_answer("GET").expect("the good request's answer");
            assert_eq!(good.status(), 404, "the upstream's own answer");
        }
    }
    connection
}

/// The decision id of a refusal, which its problem document must repeat.
fn decision_id(what: &str, method: &str, answer: &Message) -> String {
    let id =
        answer.field("portcullis-decision-id").unwrap_or_else(|| panic!("{what}: no decision id"));
    if method != "HEAD" {
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        assert_eq!(problem["decision_id"], id, "{what}: {}", answer.text());
    }
    id.to_owned()
}

impl Attack<'_> {
    /// Its answer. Nothing follows that on the connection, and nothing of it is at the upstream.
    fn send(&self, setting: &Setting, client: &Client, manner: Manner) -> (Message, Answered) {
        let what = format!("{} ({manner:?})", self.what);
        let before = setting.upstream.heads();
        let mut connection = send(client, manner, &self.bytes);
        let method = method(&self.bytes);
        let answer =
            connection.final_answer(&method).unwrap_or_else(|error| panic!("{what}: {error:#}"));
        assert_eq!(answer.status(), self.status, "{what}: {}", answer.text());
        if answer.field("connection") != Some("close") {
            connection.finish().expect("finish");
        }
        let rest = connection.rest();
        let rest = rest.unwrap_or_else(|error| panic!("{what}: not closed: {error:#}"));
        assert!(rest.is_empty(), "{what}: answered again: {}", String::from_utf8_lossy(&rest));
        let reached = setting.upstream.heads() - before;
        let good = u64::from(manner == Manner::Pipelined);
        assert_eq!(reached, good, "{what}: requests at the upstream");
        let id = decision_id(&what, &method, &answer);
        (answer, Answered { what, id, code: self.code.to_owned() })
    }
}

fn attack(setting: &Setting, client: &Client, row: &Row, manner: Manner) -> Answered {
    let what = format!("{}, {:?}", row.name, row.part);
    let attack = Attack { what: &what, bytes: row.bytes(), status: row.status, code: &row.code };
    let (answer, answered) = attack.send(setting, client, manner);
    let closes = (row.part != Part::Meaning).then_some("close");
    assert_eq!(answer.field("connection"), closes, "{}", answered.what);
    answered
}

fn good(setting: &Setting, client: &Client, good: &Good, manner: Manner) {
    let what = format!("{} ({manner:?})", good.name);
    let bytes = good.raw.as_bytes();
    setting.upstream.clear();
    let mut connection = send(client, manner, bytes);
    let mut method = method(bytes);
    for path in &good.paths {
        let answer = connection.final_answer(&method);
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {path}: {error:#}"));
        assert!(answer.field("portcullis-decision-id").is_some(), "{what}: {path}");
        "GET".clone_into(&mut method); // only a first request is another
    }
    if good.closes {
        assert_eq!(connection.rest().expect("a close"), b"", "{what}");
    }
    let received = setting.upstream.requests();
    let paths: Vec<&str> = received.iter().map(|received| received.message.path()).collect();
    assert_eq!(paths, good.paths, "{what}");
    assert!(received.iter().all(|received| received.whole), "{what}: a body that is not whole");
}

fn recorded(setting: &Setting, answered: &[Answered]) {
    let events = setting.events().expect("events");
    let reasons: BTreeMap<&str, &str> = events
        .iter()
        .filter(|event| event["metadata"]["event_code"] == "decision")
        .filter_map(|event| {
            Some((event["metadata"]["uid"].as_str()?, event["unmapped"]["reason"].as_str()?))
        })
        .collect();
    for Answered { what, id, code } in answered {
        assert_eq!(reasons.get(id.as_str()), Some(&code.as_str()), "{what}: decision {id}");
    }
}

#[test]
fn nothing_that_two_parsers_could_read_differently_passes() {
    let setting = open_setting("attacks");
    let client = setting.client_of(HOST).expect("a client");
    let mut answered = Vec::new();
    for row in file().row {
        for manner in MANNERS {
            answered.push(attack(&setting, &client, &row, manner));
        }
    }
    recorded(&setting, &answered);
    println!("attacks: sent={}", answered.len());
}

#[test]
fn what_only_looks_like_an_attack_is_read_as_what_it_is() {
    // rules would find an attack in what only looks like one
    let setting = Setting::start("good", &Setup::open(HOST, false)).expect("the product");
    let client = setting.client_of(HOST).expect("a client");
    for row in file().good {
        for manner in [Manner::OneWrite, Manner::EachByte] {
            good(&setting, &client, &row, manner);
        }
    }
}

/// Where anybody may ask for anything, and a head may take its time.
fn patient_setting(name: &str) -> Setting {
    let setup = Setup::open(HOST, true).change("head_timeout: 2s", "head_timeout: 1m");
    Setting::start(name, &setup).expect("the product")
}

fn with_token(client: &Client, token: &str) -> Vec<u8> {
    let authorization = format!("Bearer {token}");
    Request::new("GET", "/orders").field("Authorization", &authorization).bytes(client.host())
}

/// A kind that must be refused for its algorithm, whatever else is wrong with it.
fn is_by_algorithm(kind: &str) -> bool {
    ["hs256_", "hs384_", "hs512_", "alg_rs", "alg_ps", "alg_es", "alg_ed"]
        .iter()
        .any(|family| kind.starts_with(family))
}

#[test]
fn no_hostile_token_is_taken() {
    let setting = patient_setting("tokens");
    let client = setting.client_of(HOST).expect("a client");
    for alg in ["RS256", "ES256", "EdDSA"] {
        let good = setting.idp.access_token("alice", alg).expect("a token");
        let mut connection = send(&client, Manner::OneWrite, &with_token(&client, &good));
        assert_eq!(connection.final_answer("GET").expect("an answer").status(), 200, "{alg}");
    }
    let mut answered = Vec::new();
    for (kind, _) in KINDS {
        for manner in MANNERS {
            let token = setting.idp.hostile_token(kind, "alice").expect("a token");
            let bytes = with_token(&client, &token);
            let attack = Attack { what: kind, bytes, status: 401, code: "unauthenticated" };
            let (answer, found) = attack.send(&setting, &client, manner);
            let challenge = answer.field("www-authenticate").unwrap_or_default();
            assert!(challenge.contains("invalid_token"), "{}: {challenge}", found.what);
            answered.push(found);
        }
    }
    recorded(&setting, &answered);
    let record = setting.record().expect("events");
    let mut not_allowed = answered.iter().filter(|found| is_by_algorithm(&found.what)).peekable();
    assert!(not_allowed.peek().is_some());
    for found in not_allowed {
        let problem = issuers::problem(&record, found);
        assert_eq!(problem, "algorithm_not_allowed", "{}", found.what);
    }
    for page in PAGES {
        assert_eq!(setting.idp.hits(page), 0, "the gateway fetched {page}, as a token told it to");
    }
    println!("tokens: kinds={} sent={}", KINDS.len(), answered.len());
}

#[test]
fn a_token_longer_than_a_head_is_not_read() {
    /// More than the line of a head may have.
    const SOON_REFUSED: usize = 17 << 10;
    let setting = patient_setting("long-tokens");
    let client = setting.client_of(HOST).expect("a client");
    let mut answered = Vec::new();
    for (what, token) in [
        ("a million dots", ".".repeat(1_000_000)),
        ("a header of 1 MiB", format!("{}.e30.AA", b64("a".repeat(768 << 10)))),
    ] {
        for manner in MANNERS {
            let mut bytes = with_token(&client, &token);
            if manner == Manner::EachByte {
                bytes.truncate(SOON_REFUSED); // the answer is there before the end
            }
            let attack = Attack { what, bytes, status: 431, code: "head_too_long" };
            let (answer, found) = attack.send(&setting, &client, manner);
            assert_eq!(answer.field("connection"), Some("close"), "{}", found.what);
            answered.push(found);
        }
    }
    recorded(&setting, &answered);
}

/// Nobody is so long that he leaves no record: neither by his groups nor by what he asks for.
#[test]
fn what_is_longer_than_a_record_is_turned_away_and_recorded() {
    let setting = Setting::start("long", &Setup::default()).expect("the product");
    let client = setting.client().expect("a client");
    let token = |groups: u32| {
        let mut claims = setting.idp.access_claims("alice").expect("claims");
        let group = |number| format!("{number:02}{}", "\u{9b}".repeat(248));
        claims["groups"] = (0..groups).map(group).collect();
        let key = setting.idp.signer("ES256").expect("a key");
        key.compact(&access_header(&key), &claims).expect("a token")
    };
    let long = |bytes: usize| format!("/orders/{}", "a".repeat(bytes));
    let mut answered = Vec::new();
    for (groups, target, status, code) in [
        (1, "/orders".to_owned(), 403, "forbidden"),
        (22, "/orders".to_owned(), 431, "record_too_long"),
        (0, long(2048), 403, "forbidden"),
        (0, long(2049), 414, "target_too_long"),
    ] {
        let authorization = format!("Bearer {}", token(groups));
        let answer = client.get(&target, &[("Authorization", &authorization)]).expect("an answer");
        let what = format!("{groups} groups, a target of {}", target.len());
        assert_eq!(answer.status(), status, "{what}");
        let id = decision_id(&what, "GET", &answer);
        answered.push(Answered { what, id, code: code.to_owned() });
    }
    assert_eq!(setting.upstream.heads(), 0);
    recorded(&setting, &answered);
}

#[test]
fn the_data_files_are_good() {
    let file = file();
    for row in &file.row {
        assert!(!row.bytes().is_empty() && row.status >= 400, "{}", row.name);
    }
    assert_eq!(unhex("00fF"), [0, 255]);
    assert_eq!(method(b"HEAD / HTTP/1.1"), "HEAD");
}
