//! What a client says in order to write something else into the record or the operator's log: each
//! row of `injection/rows.toml`, in each manner.
//!
//! A row holds if its event is one line of JSON without a control character, says what it should,
//! and has no other keys than the event of the same request with harmless words in it; and if there
//! is no event that nobody asked for, and no line in the log that is not the gateway's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use fixtures::{
    client::{Client, Request},
    harness::{Setting, Setup},
    idp::access_header,
    record::{Record, text},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{HOST, MANNERS, Manner, send, talkative};

/// What a request says in place of what is hostile.
const HARMLESS: &str = "harmless";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default = "page")]
    target: String,
    /// The target of the same request without harm.
    #[serde(default = "page")]
    like: String,
    #[serde(default)]
    fields: Vec<(String, String)>,
    /// What is changed of alice's token, which comes with it then.
    #[serde(default)]
    claims: Map<String, Value>,
    /// The same of the request without harm; harmless words if not said.
    like_claims: Option<Map<String, Value>>,
    /// That many of the letter `a` in place of each `{long}`.
    #[serde(default)]
    long: usize,
    status: u16,
    reason: String,
    route: String,
    #[serde(default)]
    principal: String,
    /// What the event has at these places.
    #[serde(default)]
    recorded: BTreeMap<String, String>,
    /// The keys that it has beside those of the harmless one.
    #[serde(default)]
    more: BTreeSet<String>,
}

/// Every page of this host has a route, and no rules look at it.
fn page() -> String {
    "/page".to_owned()
}

/// A request that was answered: its row, and the ids of its decision and of a harmless one.
struct Asked<'a> {
    what: String,
    row: &'a Row,
    status: u16,
    id: String,
    like: String,
}

impl Row {
    fn fill(&self, text: &str) -> String {
        text.replace("{long}", &"a".repeat(self.long))
    }

    fn bytes(&self, setting: &Setting, client: &Client) -> Vec<u8> {
        let mut request = Request::new("GET", &self.fill(&self.target));
        for (name, value) in &self.fields {
            request = request.field(name, &self.fill(value));
        }
        let mut claims = self.claims.clone();
        for value in claims.values_mut() {
            if let Value::String(text) = value {
                *text = self.fill(text);
            }
        }
        with_token(setting, request, &claims).bytes(client.host())
    }

    /// The same with harmless words.
    fn harmless_bytes(&self, setting: &Setting, client: &Client) -> Vec<u8> {
        let mut request = Request::new("GET", &self.like);
        for (name, _) in &self.fields {
            request = request.field(name, HARMLESS);
        }
        let mut claims = self.claims.clone();
        for value in claims.values_mut() {
            *value = if value.is_array() { vec![HARMLESS].into() } else { HARMLESS.into() };
        }
        let claims = self.like_claims.as_ref().unwrap_or(&claims);
        with_token(setting, request, claims).bytes(client.host())
    }
}

/// The request with alice's token, its claims changed; without it, if nothing is.
fn with_token(setting: &Setting, request: Request, changes: &Map<String, Value>) -> Request {
    if changes.is_empty() {
        return request;
    }
    let mut claims = setting.idp.access_claims("alice").expect("claims");
    for (name, value) in changes {
        claims[name] = value.clone();
    }
    let key = setting.idp.signer("ES256").expect("a key");
    let token = key.compact(&access_header(&key), &claims).expect("a token");
    request.field("Authorization", &format!("Bearer {token}"))
}

fn start() -> Setting {
    Setting::start("injection", &talkative(Setup::open(HOST, false))).expect("the product")
}

fn rows() -> Vec<Row> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("attacks/injection/rows.toml");
    let text = fs::read_to_string(file).expect("a file");
    toml::from_str::<File>(&text).expect("rows").row
}

/// The answer's status and the id of its decision.
fn ask(client: &Client, manner: Manner, bytes: &[u8]) -> (u16, String) {
    let answer = send(client, manner, bytes).final_answer("GET").expect("an answer");
    let id = answer.field("portcullis-decision-id").unwrap_or_default();
    (answer.status(), id.to_owned())
}

fn ask_all<'a>(setting: &Setting, client: &Client, rows: &'a [Row]) -> Vec<Asked<'a>> {
    let mut asked = Vec::new();
    for row in rows {
        let harmless = row.harmless_bytes(setting, client);
        let (_, like) = ask(client, Manner::OneWrite, &harmless);
        for manner in MANNERS {
            let what = format!("{} ({manner:?})", row.name);
            let (status, id) = ask(client, manner, &row.bytes(setting, client));
            asked.push(Asked { what, row, status, id, like: like.clone() });
        }
    }
    asked
}

/// Where an event has something, items of one list as one.
fn keys(event: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, at: &str, keys: &mut BTreeSet<String>) {
        keys.insert(at.to_owned());
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| walk(value, &format!("{at}/{name}"), keys));
            }
            Value::Array(items) => {
                items.iter().for_each(|item| walk(item, &format!("{at}/*"), keys))
            }
            _ => {}
        }
    }
    let mut keys = BTreeSet::new();
    walk(event, "", &mut keys);
    keys
}

/// The event of a line. Written again it is the same line: no key is there twice, and nothing
/// stands around it.
fn event(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let again = event.to_string();
    let again: String = again.chars().map(escaped).collect();
    assert_eq!(
        again, line,
        "it is not as the gateway writes it, or has more than it seems to have"
    );
    event
}

/// A character as the record has it: what is not shown, changes how others are shown or ends a line
/// for somebody is told in letters.
fn escaped(c: char) -> String {
    let unseen =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    if c.is_control() || unseen { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
}

/// What is wrong with the event of a request.
fn problems(record: &Record, asked: &Asked<'_>) -> Vec<String> {
    let (what, row) = (&asked.what, asked.row);
    let decisions = record.decisions().expect("each once");
    let find = |id: &str| *decisions.get(id).unwrap_or_else(|| panic!("{what}: no decision {id}"));
    let (decision, like) = (find(&asked.id), find(&asked.like));
    let own = [
        ("/unmapped/reason", &row.reason),
        ("/unmapped/route", &row.route),
        ("/unmapped/question/principal/id", &row.principal),
    ];
    let recorded = row.recorded.iter().map(|(pointer, want)| (pointer.as_str(), want));
    let mut problems = Vec::new();
    if asked.status != row.status {
        problems.push(format!("{what}: answered with {}", asked.status));
    }
    for (pointer, want) in own.into_iter().chain(recorded) {
        let (got, want) = (text(decision, pointer), row.fill(want));
        if got != want {
            problems.push(format!("{what}: {pointer}: {got:?} and not {want:?}"));
        }
    }
    let (mut got, want) = (keys(decision), keys(like));
    got.retain(|key| !row.more.contains(key));
    let differing = got.symmetric_difference(&want);
    problems.extend(differing.map(|key| format!("{what}: {key} is there or is missing")));
    problems
}

/// Every line is a record of the gateway's own: its time is first.
fn check_log(log: &str) {
    for line in log.split_terminator('\n') {
        let time = line.as_bytes().get(..20).unwrap_or_default();
        let is_time = time.starts_with(b"20") && time.get(10) == Some(&b'T');
        assert!(is_time, "a line that is no record: {}", line.escape_debug());
        let control = line.chars().find(|c| c.is_control());
        assert_eq!(control, None, "a control character: {}", line.escape_debug());
    }
}

#[test]
fn nobody_writes_into_the_record_or_the_log() {
    let mut setting = start();
    let client = setting.client().expect("a client");
    let rows = rows();
    let asked = ask_all(&setting, &client, &rows);
    assert!(setting.gateway.stop().expect("stop").success());

    let lines = setting.portcullis.event_lines(&setting.spool()).expect("events");
    let record = Record::new(lines.split_terminator('\n').map(event).collect());
    let problems: Vec<String> = asked.iter().flat_map(|asked| problems(&record, asked)).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let pipelined = rows.len(); // each behind a good request
    let sent = asked.len() + rows.len() + pipelined;
    assert_eq!(record.decisions().expect("each once").len(), sent, "decisions of requests");
    let log = setting.gateway.process().output();
    assert!(log.contains("DEBUG"), "{log}");
    check_log(&log);
    println!("injection: rows={} sent={sent} lines={}", rows.len(), lines.lines().count());
}

#[test]
fn what_is_injected_is_found() {
    let good = r#"{"a":1,"b":[{"c":"x"}]}"#;
    assert_eq!(
        keys(&event(good)).into_iter().collect::<Vec<_>>(),
        ["", "/a", "/b", "/b/*", "/b/*/c"]
    );
    assert_eq!(event(r#"{"a":"\u009b\u2028"}"#)["a"], "\u{9b}\u{2028}");
    for line in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1} "#,
        r#"{"a":1}{"b":2}"#,
        "{\"a\":\"\u{7f}\"}",
        "{\"a\":\"\u{9b}\"}",
        "{\"a\":\"\u{2028}\"}",
        "{\"a\":\"\u{202e}\"}",
        "not json",
    ] {
        assert!(std::panic::catch_unwind(|| event(line)).is_err(), "{line}");
    }
    let good = "2026-01-01T00:00:00.000000Z  INFO portcullis: started\n";
    check_log(good);
    for more in ["forged\n", "2026-01-01T00:00:00.000000Z  INFO \u{1b}[31m\n", "\r\n"] {
        let log = format!("{good}{more}");
        assert!(std::panic::catch_unwind(|| check_log(&log)).is_err(), "{more}");
    }
}
