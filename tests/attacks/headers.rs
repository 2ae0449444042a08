//! `headers/*.toml`: what a client says of itself is nobody's word but its own.

use std::{collections::BTreeMap, fs, path::Path};

use fixtures::{
    client::{Client, Request},
    harness::{HOST, Setting, Setup},
    record::{Record, text},
    upstream::request_digest,
    wire::Message,
};
use serde::Deserialize;

use super::{MANNERS, Manner, decision_id, send};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    /// Whose token comes with it.
    who: Option<String>,
    #[serde(default = "get")]
    method: String,
    #[serde(default = "public")]
    target: String,
    fields: Vec<(String, String)>,
    body: Option<String>,
    #[serde(default = "ok")]
    status: u16,
    /// `unmapped.reason` of its decision, where it cannot be read.
    unreadable: Option<String>,
    /// What reaches the upstream under these names.
    #[serde(default)]
    upstream: BTreeMap<String, Lines>,
    /// What the event has at these places.
    #[serde(default)]
    recorded: BTreeMap<String, String>,
    /// The `X-Request-ID` of the answer.
    echoed: Option<String>,
}

/// The values of one name, a line each.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Several(Vec<String>),
}

impl Lines {
    fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(line) => vec![line.clone()],
            Self::Several(lines) => lines.clone(),
        }
    }
}

fn get() -> String {
    "GET".to_owned()
}

fn public() -> String {
    "/public".to_owned()
}

fn ok() -> u16 {
    200
}

fn rows() -> Vec<Row> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("attacks/headers");
    let mut rows = Vec::new();
    for entry in fs::read_dir(&dir).expect("a directory") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        rows.extend(toml::from_str::<File>(&text).expect("rows").row);
    }
    rows
}

/// The request's fields with tokens filled in, as sent.
fn request(setting: &Setting, row: &Row) -> Request {
    let token = |who: &str| setting.idp.access_token(who, "ES256").expect("a token");
    let mut request = Request::new(&row.method, &row.target);
    if let Some(who) = &row.who {
        request = request.field("Authorization", &format!("Bearer {}", token(who)));
    }
    for (name, value) in &row.fields {
        request = request.field(name, &value.replace("{token}", &token("alice")));
    }
    match &row.body {
        Some(body) => request.body(body.clone().into_bytes()),
        None => request,
    }
}

/// What the upstream must have under each name that matters here.
fn wanted(row: &Row, host: &str, id: &str) -> BTreeMap<String, Vec<String>> {
    let ours = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", HOST),
        ("x-forwarded-port", "443"),
        ("portcullis-decision-id", id),
        ("host", host),
    ];
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let names = row.fields.iter().map(|(name, _)| name.to_ascii_lowercase());
    for name in names.chain(["authorization".to_owned(), "x-forwarded-user".to_owned()]) {
        if name != "traceparent" {
            wanted.insert(name, Vec::new());
        }
    }
    for (name, value) in ours {
        wanted.insert(name.to_owned(), vec![value.to_owned()]);
    }
    wanted.extend(row.upstream.iter().map(|(name, lines)| (name.clone(), lines.to_vec())));
    wanted
}

fn check_upstream(row: &Row, message: &Message, host: &str, id: &str) {
    for (name, want) in wanted(row, host, id) {
        let got: Vec<&str> = message.fields_named(&name).collect();
        assert_eq!(got, want, "{}: `{name}` at the upstream", row.name);
        let twin = name.replace('-', "_");
        assert!(twin == name || message.field(&twin).is_none(), "{}: `{twin}`", row.name);
    }
    let traces: Vec<&str> = message.fields_named("traceparent").collect();
    let [trace] = traces[..] else { panic!("{}: {traces:?}", row.name) };
    assert!(trace.len() == 55 && !trace.contains("-0000000000000000-"), "{}: {trace}", row.name);
    let goes_on = |value: &str| value.contains(trace.get(3..35).expect("a trace's id"));
    assert!(!row.fields.iter().any(|(_, value)| goes_on(value)), "{}: {trace}", row.name);
}

fn check_event(row: &Row, record: &Record, asked: &Asked) {
    let decisions = record.decisions().expect("each once");
    let decision =
        decisions.get(asked.id.as_str()).unwrap_or_else(|| panic!("{}: no decision", row.name));
    let principal = row.who.as_ref().map_or("anonymous".to_owned(), |who| format!("corp|{who}"));
    let recorded = text(decision, "/unmapped/question/principal/id");
    match &row.unreadable {
        None => assert_eq!(recorded, principal, "{}", row.name),
        Some(reason) => {
            assert_eq!(recorded, "", "{}: policy was asked", row.name);
            assert_eq!(text(decision, "/unmapped/reason"), reason, "{}", row.name);
        }
    }
    for (pointer, want) in &row.recorded {
        assert_eq!(text(decision, pointer), want, "{}: {pointer}", row.name);
    }
    assert_eq!(text(decision, "/src_endpoint/ip"), "127.0.0.1", "{}", row.name);
    if let Some(sent) = &asked.sent {
        let digest = text(decision, "/unmapped/request_digest");
        assert_eq!(digest, request_digest(sent), "{}", row.name);
    }
}

/// What came of a row.
struct Asked {
    /// The decision's id.
    id: String,
    /// What reached the upstream.
    sent: Option<Message>,
}

fn ask(setting: &Setting, client: &Client, row: &Row, manner: Manner) -> Asked {
    let what = format!("{} ({manner:?})", row.name);
    setting.upstream.clear();
    let mut connection = send(client, manner, &request(setting, row).bytes(client.host()));
    let answer = connection.final_answer(&row.method).expect("an answer");
    assert_eq!(answer.status(), row.status, "{what}: {}", answer.text());
    assert_eq!(answer.field("x-request-id"), row.echoed.as_deref(), "{what}: echoed");
    let id = if row.status < 400 {
        answer.field("portcullis-decision-id").expect("an id").to_owned()
    } else {
        decision_id(&what, &row.method, &answer)
    };
    let ahead = usize::from(manner == Manner::Pipelined);
    let mut sent = setting.upstream.requests().into_iter().skip(ahead);
    let (sent, more) = (sent.next().map(|received| received.message), sent.next());
    assert!(more.is_none(), "{what}: twice at the upstream");
    assert_eq!(sent.is_some(), row.status < 400, "{what}: at the upstream");
    if let Some(sent) = &sent {
        check_upstream(row, sent, client.host(), &id);
    }
    Asked { id, sent }
}

#[test]
fn nobody_is_who_he_says_he_is() {
    let setup = Setup::open(super::HOST, false).change("limit: 5,", "limit: 1000,");
    let setting = Setting::start("headers", &setup).expect("the product");
    let client = setting.client().expect("a client");
    let rows = rows();
    let mut done = Vec::new();
    for row in &rows {
        for manner in MANNERS {
            done.push((row, ask(&setting, &client, row, manner)));
        }
    }
    let record = setting.record().expect("events");
    for (row, asked) in &done {
        check_event(row, &record, asked);
    }
    println!("headers: rows={} sent={}", rows.len(), done.len());
}
