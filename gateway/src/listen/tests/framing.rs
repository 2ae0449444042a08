//! `tests/attacks/framing.toml`, in one write, byte by byte, and pipelined after a good request.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Table {
    row: Vec<Row>,
    good: Vec<Good>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    raw: Option<String>,
    hex: Option<String>,
    status: u16,
    code: String,
    #[serde(default)]
    part: Part,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Part {
    #[default]
    Head,
    Body,
}

#[derive(Deserialize)]
struct Good {
    name: String,
    raw: String,
    paths: Vec<String>,
    #[serde(default)]
    closes: bool,
}

impl Row {
    fn bytes(&self) -> Vec<u8> {
        match (&self.raw, &self.hex) {
            (Some(raw), None) => raw.clone().into_bytes(),
            (None, Some(hex)) => hex
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect(),
            _ => panic!("`{}` needs `raw` or `hex`", self.name),
        }
    }
}

fn table() -> Table {
    toml::from_str(include_str!("../../../../tests/attacks/framing.toml")).expect("a table")
}

const BEFORE: &[u8] = b"GET /before HTTP/1.1\r\nHost: api.example.test\r\n\r\n";

/// What the handler saw of `raw`, and what was answered.
fn run(raw: &[u8], step: usize, pipe_bytes: usize, answers: usize) -> (Vec<Saw>, Answered) {
    let log = Log::default();
    let handler = recorder(Rc::clone(&log));
    let client = async |io| exchange(io, raw, step, answers).await;
    let answered = connect(handler, &common(Limits::default()), pipe_bytes, client);
    (log.take(), answered)
}

fn check(row: &Row, how: &str, raw: &[u8], step: usize, pipe_bytes: usize, before: usize) {
    let (saw, answered) = run(raw, step, pipe_bytes, usize::MAX);
    let name = format!("`{}` {how}: {answered:?}", row.name);
    let (last, first) = saw.split_last().unwrap_or_else(|| panic!("{name}"));
    let codes = match (last, &row.part) {
        (Saw::Refused(code), Part::Head) | (Saw::Broken(code), Part::Body) => *code,
        _ => panic!("{name}: {saw:?}"),
    };
    assert_eq!(codes, row.code, "{name}");
    assert_eq!(first, vec![Saw::Request("/before".to_owned()); before], "{name}");
    let want: Vec<u16> = (0..before).map(|_| 200).chain([row.status]).collect();
    assert_eq!(answered.statuses, want, "{name}");
    assert!(answered.closed, "{name}");
}

#[test]
fn attacks() {
    let table = table();
    assert!(table.row.len() >= 190, "{} rows", table.row.len());
    for row in &table.row {
        let raw = row.bytes();
        let after_good = [BEFORE, &raw].concat();
        check(row, "in one write", &raw, usize::MAX, 64 << 10, 0);
        check(row, "byte by byte", &raw, 1, 1, 0);
        check(row, "pipelined", &after_good, usize::MAX, 64 << 10, 1);
        check(row, "pipelined byte by byte", &after_good, 1, 1, 1);
    }
}

#[test]
fn what_must_be_read() {
    for good in table().good {
        for (step, pipe_bytes) in [(usize::MAX, 64 << 10), (1, 1), (7, 16)] {
            let (saw, answered) = run(good.raw.as_bytes(), step, pipe_bytes, good.paths.len());
            let name = format!("`{}` by {step}: {answered:?}", good.name);
            let want: Vec<Saw> = good.paths.iter().cloned().map(Saw::Request).collect();
            assert_eq!(saw, want, "{name}");
            assert_eq!(answered.statuses, vec![200; want.len()], "{name}");
            assert_eq!(answered.closed, good.closes, "{name}");
        }
    }
}
