//! What fails closed, as data: each row of `closed/table.toml` breaks something of a running
//! gateway's policies or of its candidate, and says what must come of it, everywhere it shows, to a
//! request in one write, byte by byte, and pipelined.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use fixtures::{
    client::{Client, Request},
    harness::{Portcullis, Setting, Setup, wait_for},
    idp::login,
    wire::Message,
};
use serde::Deserialize;
use serde_json::Value;

use crate::attacks::{Manner, send};

const SOON: Duration = Duration::from_secs(20);
const TABLE: &str = include_str!("closed/table.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    row: Vec<Row>,
}

/// One row; the head of the table says what each word means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    candidate: bool,
    #[serde(default)]
    write: BTreeMap<String, String>,
    #[serde(default)]
    cut: BTreeMap<String, usize>,
    #[serde(default)]
    change: BTreeMap<String, [String; 2]>,
    refused: Option<String>,
    #[serde(default)]
    untouched: bool,
    who: Option<String>,
    #[serde(default = "public")]
    target: String,
    status: u16,
    #[serde(default)]
    decision: BTreeMap<String, Value>,
    #[serde(default)]
    completion: BTreeMap<String, Value>,
    #[serde(default)]
    reload: BTreeMap<String, Value>,
    #[serde(default)]
    metrics: BTreeMap<String, u64>,
    #[serde(default)]
    gauges: BTreeMap<String, u64>,
}

fn public() -> String {
    "/public".to_owned()
}

fn rows() -> Vec<Row> {
    toml::from_str::<Table>(TABLE).expect("a table").row
}

/// Every text of a directory, by its path below it.
fn texts(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let name = PathBuf::from(path.file_name().expect("a name"));
        if path.is_dir() {
            texts.extend(texts_below(&path, &name));
        } else {
            texts.insert(name, fs::read(&path).expect("a file"));
        }
    }
    texts
}

fn texts_below(dir: &Path, name: &Path) -> impl Iterator<Item = (PathBuf, Vec<u8>)> {
    texts(dir).into_iter().map(|(below, text)| (name.join(below), text))
}

/// Makes a directory hold these files and no others.
fn restore(dir: &Path, texts: &BTreeMap<PathBuf, Vec<u8>>) {
    if dir.exists() {
        fs::remove_dir_all(dir).expect("removed");
    }
    for (name, text) in texts {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("written");
    }
}

/// What runs, and its policies as they were.
struct Rig {
    setting: Setting,
    sound: BTreeMap<PathBuf, Vec<u8>>,
    alice: String,
}

/// What came of one request.
struct Answered {
    answer: Message,
    decision: Value,
    completion: Value,
}

impl Rig {
    /// The candidate is configured, asked of every decision, and not there.
    fn start() -> Self {
        let candidate = "directory: policies\n  candidate: {directory: candidate, percent: 100}";
        let setup = Setup::default().change("directory: policies", candidate);
        let setting = Setting::start("closed", &setup).expect("the product");
        let sound = texts(&setting.policies());
        let alice = login(setting.idp.issuer(), "alice", None).expect("a login").access;
        Self { setting, sound, alice }
    }

    /// Breaks what the row says.
    fn apply(&self, row: &Row) {
        let place = |name: &String| self.setting.dir().join(name);
        if row.candidate {
            restore(&self.setting.dir().join("candidate"), &self.sound);
        }
        for (name, text) in &row.write {
            let path = place(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(path, text).expect("written");
        }
        for (name, left) in &row.cut {
            let text = fs::read(place(name)).expect("a file");
            assert!(text.len() > *left, "{}: `{name}` is not cut", row.name);
            fs::write(place(name), &text[..*left]).expect("written");
        }
        for (name, [from, to]) in &row.change {
            let text = fs::read_to_string(place(name)).expect("a file");
            assert!(text.contains(from), "{}: no `{from}` in `{name}`", row.name);
            fs::write(place(name), text.replace(from, to)).expect("written");
        }
    }

    /// Puts everything back.
    fn mend(&mut self) {
        restore(&self.setting.policies(), &self.sound);
        restore(&self.setting.dir().join("candidate"), &BTreeMap::new());
        let mended = self.reload();
        assert_eq!(mended.pointer("/unmapped/accepted"), Some(&true.into()), "{mended}");
    }

    /// The event of a reload.
    fn reload(&mut self) -> Value {
        let known = self.setting.record().expect("events").with_code("reload").count();
        self.setting.gateway.reload().expect("SIGHUP");
        let event = || Ok(self.setting.record()?.with_code("reload").nth(known).cloned());
        wait_for("the event of a reload", SOON, event).expect("a reload")
    }

    fn ask(&self, row: &Row, manner: Manner) -> Answered {
        let mut request = Request::new("GET", &row.target);
        if row.who.is_some() {
            request = request.field("Authorization", &format!("Bearer {}", self.alice));
        }
        let client = self.setting.client().expect("a client");
        let mut connection = send(&client, manner, &request.bytes(client.host()));
        let answer = connection.final_answer("GET").expect("an answer");
        let id = answer.field("portcullis-decision-id").expect("a decision id").to_owned();
        let (decision, completion) = wait_for("both events", SOON, || {
            let record = self.setting.record()?;
            let of = |events: BTreeMap<&str, &Value>| events.get(id.as_str()).copied().cloned();
            Ok(of(record.decisions()?).zip(of(record.completions()?)))
        })
        .expect("both events");
        Answered { answer, decision, completion }
    }

    fn metrics(&self) -> BTreeMap<String, u64> {
        let client = Client::plain(self.setting.health());
        let text = client.get("/metrics", &[]).expect("metrics").text();
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
    }

    /// What a start and `portcullis check` say of the files as they are, with their exit codes.
    fn start_and_check(&self) -> [(Option<i32>, String); 2] {
        let dir = self.setting.dir().join("another");
        fs::create_dir_all(&dir).expect("a directory");
        let _ = fs::remove_file(dir.join("portcullis.log"));
        let another = Portcullis::new(&dir).expect("the binary");
        let mut process = another.launch(&self.setting.config(), None).expect("a start");
        let code = process.wait(SOON).expect("an end").code();
        let check = self.setting.portcullis.run(&["check", "--config", "portcullis.yaml"]);
        let check = check.expect("check");
        [(code, process.output()), (check.code, check.out)]
    }
}

/// An answer less what names its decision.
fn anonymous(answer: &Message) -> String {
    let id = answer.field("portcullis-decision-id").expect("a decision id");
    let fields = answer.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date"));
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{}\n{}\n\n{}", answer.start, fields.join("\n"), answer.text()).replace(id, "ID")
}

fn hold(name: &str, what: &str, event: &Value, wanted: &BTreeMap<String, Value>) {
    for (place, want) in wanted {
        let is = event.pointer(place).cloned().unwrap_or_else(|| "null".into());
        assert_eq!(is, *want, "{name}: {what}: {place} of {event}");
    }
}

/// One answer is what the row says.
fn answered(row: &Row, before: &Answered, now: &Answered) {
    let name = row.name.as_str();
    assert_eq!(now.answer.status(), row.status, "{name}: {}", now.answer.text());
    hold(name, "decision", &now.decision, &row.decision);
    hold(name, "completion", &now.completion, &row.completion);
    if row.untouched || row.refused.is_some() {
        assert_eq!(anonymous(&now.answer), anonymous(&before.answer), "{name}");
    }
    if row.refused.is_some() {
        let digests = |event: &Value| event["unmapped"]["cedar"]["digests"].clone();
        let digests = (digests(&now.decision), digests(&before.decision));
        assert_eq!(digests.0, digests.1, "{name}: the old set serves");
    }
}

fn check(rig: &mut Rig, row: &Row) {
    let name = row.name.as_str();
    let before = rig.ask(row, Manner::OneWrite);
    let counted = rig.metrics();
    rig.apply(row);
    let reload = rig.reload();
    let accepted = reload.pointer("/unmapped/accepted").and_then(Value::as_bool);
    assert_eq!(accepted, Some(row.refused.is_none()), "{name}: {reload}");
    hold(name, "reload", &reload, &row.reload);
    answered(row, &before, &rig.ask(row, Manner::OneWrite));
    let now = rig.metrics();
    for (series, more) in &row.metrics {
        let counts = (counted.get(series), now.get(series));
        let (Some(was), Some(is)) = counts else { panic!("{name}: no `{series}`") };
        assert_eq!(is - was, *more, "{name}: {series}");
    }
    for (series, want) in &row.gauges {
        assert_eq!(now.get(series), Some(want), "{name}: {series}");
    }
    for manner in [Manner::EachByte, Manner::Pipelined] {
        answered(row, &before, &rig.ask(row, manner));
    }
    if let Some(why) = &row.refused {
        assert!(reload.to_string().contains(why), "{name}: no `{why}` in {reload}");
        for (code, said) in rig.start_and_check() {
            assert_eq!(code, Some(3), "{name}: {said}");
            assert!(said.contains(why), "{name}: no `{why}` in {said}");
        }
    }
    rig.mend();
}

#[test]
fn what_is_wrong_fails_closed() {
    let (mut rig, rows) = (Rig::start(), rows());
    for row in &rows {
        check(&mut rig, row);
    }
    println!("closed: rows={}", rows.len());
}

/// A candidate that is wrong is a problem to `portcullis check`, and none to a start: this gateway
/// was started with one that is not there.
#[test]
fn a_candidate_that_is_wrong_is_told_and_stops_nothing() {
    let rig = Rig::start();
    let check = rig.setting.portcullis.run(&["check", "--config", "portcullis.yaml"]);
    let check = check.expect("check");
    assert_eq!(check.code, Some(3), "{}", check.out);
    assert!(check.out.contains("the candidate: "), "{}", check.out);
    let log = fs::read_to_string(rig.setting.dir().join("portcullis.log")).expect("a log");
    assert!(log.contains("the candidate is left out"), "{log}");
    restore(&rig.setting.dir().join("candidate"), &rig.sound);
    let check = rig.setting.portcullis.run(&["check", "--config", "portcullis.yaml"]);
    assert_eq!(check.expect("check").code, Some(0));
}

#[test]
fn every_row_has_a_name_of_its_own_and_changes_something() {
    let rows = rows();
    let mut names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows.len());
    for row in &rows {
        let shown = row.refused.is_some()
            || [&row.decision, &row.completion, &row.reload].iter().any(|it| !it.is_empty());
        assert!(shown, "{}", row.name);
    }
}
