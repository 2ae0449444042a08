//! The regression tests of the OWASP CRS, as stages: what is sent, and what is expected.
//!
//! The files' format is that of `coreruleset/ftw-tests-schema`, v2. Deliberately strict: a key that
//! is not known here could change what a test means, so it is an error with its file and line.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::Regex;

use super::{
    Result, Wrong,
    yaml::{self, Node},
};

/// Bytes of one file of tests, at most.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

/// One request of a test, and what is expected of it.
#[derive(Debug)]
pub struct Stage {
    /// As the suite's users name it: rule id and test id, `920100-4`.
    pub test: String,
    /// From 1.
    pub nth: usize,
    /// What is sent.
    pub input: Input,
    /// What is expected of it.
    pub expected: Expected,
}

/// What is sent.
#[derive(Debug)]
pub enum Input {
    /// These bytes.
    Encoded(Vec<u8>),
    /// A request made of this.
    Parts(Parts),
}

/// A request's parts, as a test has them.
#[derive(Debug)]
pub struct Parts {
    /// The method.
    pub method: String,
    /// The target.
    pub uri: String,
    /// `HTTP/1.1`.
    pub version: String,
    /// Fields, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub data: Vec<u8>,
    /// Whether headers that a client adds are added.
    pub complete: bool,
}

/// What is expected; all of it must hold.
#[derive(Debug, Default)]
pub struct Expected {
    /// Rules that match.
    pub ids: Vec<u32>,
    /// Rules that do not.
    pub no_ids: Vec<u32>,
    /// What the log says.
    pub log: Option<Regex>,
    /// What it does not say.
    pub no_log: Option<Regex>,
    /// What a server answers; only a server can tell.
    pub status: Option<u16>,
    /// The connection may break instead; only a server can tell.
    pub error: bool,
}

impl Expected {
    /// Whether rules are named.
    pub fn names_rules(&self) -> bool {
        !self.ids.is_empty() || !self.no_ids.is_empty()
    }

    /// Whether the log is looked at.
    pub fn reads_log(&self) -> bool {
        self.log.is_some() || self.no_log.is_some()
    }
}

/// Reads every test below a directory, in the order of the files' names.
///
/// # Errors
/// A file cannot be read or is not such tests, or there is none.
pub fn read(dir: &Path) -> Result<Vec<Stage>> {
    let (mut stages, mut files) = (Vec::new(), Vec::new());
    find(dir, &mut files)?;
    files.sort();
    for file in files {
        let text = text(&file).map_err(|error| unread(&file, &error))?;
        read_file(&text, &mut stages).map_err(|wrong| wrong.of(&file))?;
    }
    if stages.is_empty() {
        return Err(Wrong::at(1, "no test is below it").of(dir));
    }
    Ok(stages)
}

fn find(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|error| unread(dir, &error))? {
        let path = entry.map_err(|error| unread(dir, &error))?.path();
        // what is hidden is somebody else's: the settings of a runner, say
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}

/// The text of a file. What is none, a pipe or a device, might never end.
fn text(path: &Path) -> io::Result<String> {
    let limit = || io::Error::other(format!("not a file of at most {FILE_BYTES_MAX} bytes"));
    if !fs::metadata(path)?.is_file() {
        return Err(limit());
    }
    let mut text = String::new();
    let read = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    match u64::try_from(read).is_ok_and(|read| read <= FILE_BYTES_MAX) {
        true => Ok(text),
        false => Err(limit()),
    }
}

fn unread(path: &Path, error: &io::Error) -> Wrong {
    Wrong::at(1, format!("cannot be read: {error}")).of(path)
}

fn read_file(text: &str, stages: &mut Vec<Stage>) -> Result<()> {
    let Some(root) = yaml::parse(text)? else { return Ok(()) };
    // one file has its author beside `meta`
    let [meta, rule, tests, _] = root.keys(["meta", "rule_id", "tests", "author"])?;
    let rule: u32 = rule.ok_or_else(|| root.wrong("no `rule_id`"))?.number()?;
    if let Some(meta) = meta {
        let known = ["enabled", "author", "description", "name", "version", "tags"];
        let [enabled, ..] = meta.keys(known)?;
        if !enabled.map_or(Ok(true), Node::truth)? {
            return Ok(());
        }
    }
    for (nth, test) in tests.ok_or_else(|| root.wrong("no `tests`"))?.list()?.iter().enumerate() {
        let [id, _, _, list] = test.keys(["test_id", "desc", "test_title", "stages"])?;
        let id = id.map_or(Ok(nth + 1), Node::number)?;
        for (nth, stage) in
            list.ok_or_else(|| test.wrong("no `stages`"))?.list()?.iter().enumerate()
        {
            let [_, input, output] = stage.keys(["description", "input", "output"])?;
            stages.push(Stage {
                test: format!("{rule}-{id}"),
                nth: nth + 1,
                input: read_input(input.ok_or_else(|| stage.wrong("no `input`"))?)?,
                expected: read_expected(output.ok_or_else(|| stage.wrong("no `output`"))?)?,
            });
        }
    }
    Ok(())
}

fn read_input(node: &Node) -> Result<Input> {
    // where to is for the runner to say
    let [_, _, protocol, method, uri, version, headers, data, encoded, complete] = node.keys([
        "dest_addr",
        "port",
        "protocol",
        "method",
        "uri",
        "version",
        "headers",
        "data",
        "encoded_request",
        "autocomplete_headers",
    ])?;
    let text = |node: Option<&Node>, otherwise: &str| -> Result<String> {
        Ok(node.map_or(Ok(otherwise), Node::text)?.to_owned())
    };
    if text(protocol, "http")? != "http" {
        return Err(node.wrong("not over HTTP"));
    }
    if let Some(encoded) = encoded {
        let text = encoded.text()?.replace(['\r', '\n'], "");
        let bytes = STANDARD.decode(text).map_err(|_| encoded.wrong("not base64"))?;
        return Ok(Input::Encoded(bytes));
    }
    let mut list = Vec::new();
    for (name, value) in headers.map_or(Ok(&[][..]), Node::map)? {
        list.push((name.clone(), value.text()?.to_owned()));
    }
    let data = match data {
        Some(data) => fill(data.text()?).map_err(|message| data.wrong(message))?,
        None => String::new(),
    };
    Ok(Input::Parts(Parts {
        method: text(method, "GET")?,
        uri: text(uri, "/")?,
        version: text(version, "HTTP/1.1")?,
        headers: list,
        data: data.into_bytes(),
        complete: complete.map_or(Ok(true), Node::truth)?,
    }))
}

fn read_expected(node: &Node) -> Result<Expected> {
    // to try twice is for runners that wait for a log to be written
    let [status, log, error, _, _] =
        node.keys(["status", "log", "expect_error", "retry_once", "isolated"])?;
    let mut expected = Expected {
        status: status.map(Node::number).transpose()?,
        error: error.map_or(Ok(false), Node::truth)?,
        ..Expected::default()
    };
    if let Some(log) = log {
        let [ids, no_ids, matches, no_matches] =
            log.keys(["expect_ids", "no_expect_ids", "match_regex", "no_match_regex"])?;
        expected.ids = numbers(ids)?;
        expected.no_ids = numbers(no_ids)?;
        expected.log = pattern(matches)?;
        expected.no_log = pattern(no_matches)?;
    }
    let says = expected.names_rules() || expected.reads_log() || expected.status.is_some();
    match says || expected.error {
        true => Ok(expected),
        false => Err(node.wrong("nothing is expected")),
    }
}

fn numbers(node: Option<&Node>) -> Result<Vec<u32>> {
    node.map_or(Ok(&[][..]), Node::list)?.iter().map(Node::number).collect()
}

fn pattern(node: Option<&Node>) -> Result<Option<Regex>> {
    let Some(node) = node else { return Ok(None) };
    let regex = Regex::new(node.text()?);
    regex.map(Some).map_err(|error| node.wrong(format!("not a pattern: {error}")))
}

/// Fills in the one kind of template that tests have: `{{ "1" | repeat 64200 }}`.
fn fill(data: &str) -> std::result::Result<String, String> {
    let (mut filled, mut rest) = (String::new(), data);
    while let Some((before, template)) = rest.split_once("{{") {
        let (template, after) = template.split_once("}}").ok_or("`{{` without `}}`")?;
        let Some((text, times)) = repeat(template) else {
            return Err(format!("what `{{{{{template}}}}}` does is not known"));
        };
        filled += before;
        filled += &text.repeat(times);
        rest = after;
    }
    Ok(filled + rest)
}

fn repeat(template: &str) -> Option<(&str, usize)> {
    let (text, function) = template.split_once('|')?;
    let text = text.trim().strip_prefix('"')?.strip_suffix('"')?;
    let times = function.trim().strip_prefix("repeat ")?.trim().parse().ok()?;
    (!text.contains(['"', '\\'])).then_some((text, times))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "meta: {author: us}\nrule_id: 9\ntests:\n- test_id: 4\n  stages:\n  \
                        - input:\n      headers: {B: 007, A: x}\n      data: 'a{{ \"1\" | repeat 3 }}b'\n    \
                        output:\n      log: {expect_ids: [9, 8]}\n";

    #[test]
    fn a_stage_is_read_with_what_is_usual() {
        let mut stages = Vec::new();
        read_file(FILE, &mut stages).unwrap();
        let [stage] = &stages[..] else { panic!("{stages:?}") };
        let Input::Parts(parts) = &stage.input else { panic!("{stage:?}") };
        assert_eq!((stage.test.as_str(), stage.nth), ("9-4", 1));
        assert_eq!((&*parts.method, &*parts.uri, &*parts.version), ("GET", "/", "HTTP/1.1"));
        assert_eq!(parts.headers, [("B", "007"), ("A", "x")].map(|(a, b)| (a.into(), b.into())));
        assert_eq!((&*parts.data, parts.complete), (&b"a111b"[..], true));
        assert_eq!(stage.expected.ids, [9, 8]);
    }

    #[test]
    fn what_could_change_a_test_is_an_error() {
        let check = |from: &str, to: &str, want: &str| {
            let text = FILE.replace(from, to);
            assert_ne!(text, FILE, "{from} is not there");
            let error = read_file(&text, &mut Vec::new()).expect_err(to);
            assert!(error.to_string().contains(want), "{error}");
        };
        check("data:", "date:", ":8: what `date`");
        check("repeat", "reverse", "is not known");
        check("expect_ids: [9, 8]", "", "nothing is expected");
        check("[9, 8]", "[nine]", "not such a number");
        check("rule_id: 9", "", "no `rule_id`");
        check("data: '", "encoded_request: '", "not base64");
    }
}
