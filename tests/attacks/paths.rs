//! Spellings of the path of a protected thing, asked for by people who may have it and people who
//! may not: each of `paths/spellings.toml`, in each manner.
//!
//! A spelling is refused before policy is asked, or it is the plain path: then the decision, its
//! route, principal and resource are those of the plain path. A third kind is another thing, and
//! policy is asked about that. Whatever reaches the upstream is what was asked and recorded.

use std::{fs, path::Path};

use fixtures::{
    client::{Client, Request},
    harness::{HOST, Setting, Setup},
    record::{Record, text},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MANNERS, Manner, send};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    spelling: Vec<Spelling>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelling {
    name: String,
    /// As it is asked for; `{number}` and `{host}` are filled in.
    target: String,
    /// The reason of the refusal, before policy.
    refused: Option<String>,
    /// What policy is asked about, where that is not the plain order.
    other: Option<String>,
    /// The rules find an attack in it: everybody is refused what the plain path is about.
    #[serde(default)]
    blocked: bool,
    /// What the upstream gets, where that is not the target as written.
    sent: Option<String>,
}

/// Somebody who asks for an order.
#[derive(Debug, Clone, Copy)]
struct Asker {
    who: Option<&'static str>,
    number: &'static str,
    /// What the plain path is answered.
    plain: u16,
    /// What is answered where the order is one that nobody has.
    other: u16,
}

/// The upstream knows no other order: it says 404 to whoever may see all of them.
const ASKERS: [Asker; 5] = [
    Asker { who: Some("alice"), number: "1001", plain: 200, other: 403 },
    Asker { who: Some("alice"), number: "1002", plain: 403, other: 403 },
    Asker { who: Some("alice"), number: "1003", plain: 403, other: 403 },
    Asker { who: None, number: "1001", plain: 401, other: 401 },
    Asker { who: Some("bob"), number: "1001", plain: 200, other: 404 },
];

impl Asker {
    fn principal(&self) -> String {
        self.who.map_or("anonymous".to_owned(), |who| format!("corp|{who}"))
    }

    fn request(&self, setting: &Setting, target: &str) -> Request {
        let request = Request::new("GET", target);
        let Some(who) = self.who else { return request };
        let token = setting.idp.access_token(who, "ES256").expect("a token");
        request.field("Authorization", &format!("Bearer {token}"))
    }
}

/// A spelling that was asked for, and what came of it.
struct Asked<'a> {
    what: String,
    asker: Asker,
    spelling: &'a Spelling,
    status: u16,
    id: String,
    /// The targets that reached the upstream.
    sent: Vec<String>,
    /// What may reach it.
    written: String,
}

fn spellings() -> Vec<Spelling> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("attacks/paths/spellings.toml");
    let text = fs::read_to_string(file).expect("a file");
    toml::from_str::<File>(&text).expect("spellings").spelling
}

/// The status that an asker is to get, if `written` may reach the upstream. That decodes nothing:
/// where the path is not letter by letter the plain one, it has no such order.
fn wanted(spelling: &Spelling, asker: Asker, written: &str) -> u16 {
    let plain = format!("/orders/o-{}", asker.number);
    match (&spelling.refused, &spelling.other) {
        (Some(reason), _) if reason == "not_found" => 404,
        (Some(_), _) => 400,
        (None, _) if spelling.blocked => 403,
        (None, Some(_)) => asker.other,
        (None, None) if asker.plain == 200 && path(written) != plain => 404,
        (None, None) => asker.plain,
    }
}

fn path(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

fn ask<'a>(
    setting: &Setting,
    client: &Client,
    spelling: &'a Spelling,
    asker: Asker,
    manner: Manner,
) -> Asked<'a> {
    let fill = |text: &str| text.replace("{number}", asker.number).replace("{host}", client.host());
    let who = asker.who.unwrap_or("nobody");
    let what = format!("{} by {who} for {} ({manner:?})", spelling.name, asker.number);
    setting.upstream.clear();
    let bytes = asker.request(setting, &fill(&spelling.target)).bytes(client.host());
    let answer = send(client, manner, &bytes).final_answer("GET").expect("an answer");
    let id = answer.field("portcullis-decision-id").unwrap_or_else(|| panic!("{what}: no id"));
    let sent: Vec<String> = setting
        .upstream
        .requests()
        .into_iter()
        .map(|received| received.message.target().to_owned())
        .collect();
    // whoever may not have the order gets nothing by any spelling of its path
    assert!(asker.plain == 200 || sent.is_empty(), "{what}: at the upstream: {sent:?}");
    let written = fill(spelling.sent.as_ref().unwrap_or(&spelling.target));
    Asked { what, asker, spelling, status: answer.status(), id: id.to_owned(), sent, written }
}

/// What a decision says of who asked for what, where, and with which end.
fn essence(decision: &Value) -> Value {
    let at = |pointer: &str| decision.pointer(pointer).cloned().unwrap_or_default();
    json!({
        "reason": at("/unmapped/reason"),
        "route": at("/unmapped/route"),
        "principal": at("/unmapped/question/principal"),
        "action": at("/unmapped/question/action"),
        "resource": at("/unmapped/question/resource"),
        "determining": at("/unmapped/cedar/determining"),
    })
}

/// What is to be recorded of a request for what the plain request was for.
fn wanted_essence(record: &Record, plain: &[Asked<'_>], asked: &Asked<'_>) -> Value {
    let (asker, spelling) = (asked.asker, asked.spelling);
    let is_twin =
        |plain: &&Asked<'_>| (plain.asker.who, plain.asker.number) == (asker.who, asker.number);
    let twin = plain.iter().find(is_twin).expect("a plain request");
    let decisions = record.decisions().expect("each once");
    let mut want = essence(decisions[twin.id.as_str()]);
    assert_eq!(want["resource"]["id"], format!("o-{}", asker.number));
    assert_eq!(want["principal"]["id"], asker.principal());
    assert_eq!(want["route"], "get");
    if let Some(other) = &spelling.other {
        want["resource"]["id"] = other.replace("{number}", asker.number).into();
    }
    want
}

/// What is wrong with the answer and the event of a request.
fn problems(record: &Record, plain: &[Asked<'_>], asked: &Asked<'_>) -> Vec<String> {
    let (what, spelling) = (&asked.what, asked.spelling);
    let status = wanted(spelling, asked.asker, &asked.written);
    let mut problems = Vec::new();
    let mut same = |name: &str, got: Value, want: Value| {
        if got != want {
            problems.push(format!("{what}: {name}: {got} and not {want}"));
        }
    };
    same("status", asked.status.into(), status.into());
    let forwarded = spelling.refused.is_none() && [200, 404].contains(&status);
    let want = if forwarded { vec![&asked.written] } else { Vec::new() };
    same("at the upstream", json!(asked.sent), json!(want));

    let decisions = record.decisions().expect("each once");
    let decision = decisions[asked.id.as_str()];
    if let Some(reason) = &spelling.refused {
        same("reason", text(decision, "/unmapped/reason").into(), reason.as_str().into());
        same("question", json!(decision.pointer("/unmapped/question")), Value::Null);
        return problems;
    }
    same("path", text(decision, "/http_request/url/path").into(), path(&asked.written).into());
    let (mut got, mut want) = (essence(decision), wanted_essence(record, plain, asked));
    if spelling.blocked {
        same("reason", got["reason"].clone(), "blocked".into());
    }
    if spelling.blocked || spelling.other.is_some() {
        for essence in [&mut got, &mut want] {
            essence["reason"] = Value::Null; // its status says it
            essence["determining"] = Value::Null;
        }
    }
    same("decision", got, want);
    problems
}

#[test]
fn no_spelling_of_a_path_has_another_decision() {
    let setting = Setting::start("spellings", &Setup::default()).expect("the product");
    let client = setting.client_of(HOST).expect("a client");
    let spellings = spellings();
    let (first, rest) = spellings.split_first().expect("the plain path");
    let ask_all = |spelling| {
        ASKERS.into_iter().flat_map(move |asker| MANNERS.map(|manner| (spelling, asker, manner)))
    };
    let asked = |(spelling, asker, manner)| ask(&setting, &client, spelling, asker, manner);
    let plain: Vec<Asked<'_>> = ask_all(first).map(asked).collect();
    let others: Vec<Asked<'_>> = rest.iter().flat_map(ask_all).map(asked).collect();
    let record = setting.record().expect("events");
    let all = plain.iter().chain(&others);
    let problems: Vec<String> = all.flat_map(|asked| problems(&record, &plain, asked)).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    println!("spellings: rows={} sent={}", spellings.len(), plain.len() + others.len());
}

#[test]
fn every_end_of_a_spelling_is_among_them() {
    let spellings = spellings();
    let first = spellings.first().expect("the plain path");
    assert_eq!(first.target, "/orders/o-{number}");
    assert!(first.refused.is_none() && first.other.is_none() && first.sent.is_none());
    let ends = |refused: bool, other: bool| {
        let of = |row: &&Spelling| (row.refused.is_some(), row.other.is_some()) == (refused, other);
        spellings.iter().filter(of).count()
    };
    assert!(ends(false, false) >= 5 && ends(true, false) >= 20 && ends(false, true) >= 5);
    assert_eq!(ends(true, true), 0);
}
