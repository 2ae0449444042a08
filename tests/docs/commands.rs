//! Commands of ours that a text shows, held against what the programs know.

use std::{collections::BTreeSet, fs, process::Command};

use fixtures::harness::{binary, repository};

use super::markdown::Document;

/// A command as it is written: the program, what follows it, the options.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shown {
    program: String,
    words: Vec<String>,
    options: Vec<String>,
}

impl Shown {
    /// The command of ours that a line begins with.
    pub(super) fn read(line: &str) -> Option<Self> {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let line = line.strip_prefix("/usr/bin/").unwrap_or(line);
        let line =
            line.strip_prefix("cargo ").filter(|rest| rest.starts_with("xtask")).unwrap_or(line);
        let (program, rest) = line.split_once(' ')?;
        if !["xtask", "portcullis", "audit-sink"].contains(&program) {
            return None;
        }
        let (mut words, mut options) = (Vec::new(), Vec::new());
        for word in rest.split_whitespace().take_while(|word| !["|", ">"].contains(word)) {
            match word.starts_with("--") {
                true => options.push(word.to_owned()),
                false if options.is_empty() => words.push(word.to_owned()),
                false => {} // an option's value
            }
        }
        // `portcullis policy …` and the like are spoken of, not shown.
        let plain =
            |word: &String| word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        let shown = !words.is_empty() && words.iter().all(plain);
        shown.then(|| Self { program: program.to_owned(), words, options })
    }

    /// What is wrong with it, if anything is.
    pub(super) fn problem(&self) -> Option<String> {
        let Self { program, words, options } = self;
        let help = if program == "xtask" { usage_of_xtask(words) } else { help(program, words) };
        let Some(help) = help else { return Some(format!("no `{program} {}`", words.join(" "))) };
        let known: BTreeSet<&str> =
            help.split(|c: char| c.is_whitespace() || "[],=".contains(c)).collect();
        let unknown = options.iter().find(|option| !known.contains(option.as_str()))?;
        Some(format!("`{program} {}` has no `{unknown}`", words.join(" ")))
    }
}

/// Every command that a document shows, in blocks for a shell and in prose.
pub(super) fn of_document(document: &Document) -> BTreeSet<Shown> {
    let lines = document.blocks_in("sh").flat_map(str::lines);
    lines.chain(document.spans.iter().map(String::as_str)).filter_map(Shown::read).collect()
}

/// The line of xtask's usage that these words are an instance of.
fn usage_of_xtask(words: &[String]) -> Option<String> {
    let main = repository().expect("the repository").join("crates/xtask/src/main.rs");
    let source = fs::read_to_string(main).expect("xtask's source");
    let lines = source.lines().filter_map(|line| line.split_once("cargo xtask "));
    lines.map(|(_, line)| line).find(|line| is_instance(words, line)).map(str::to_owned)
}

/// Whether the words are those of a usage, `a b|c [d…]`, whose explanation stands behind spaces.
fn is_instance(words: &[String], usage: &str) -> bool {
    let usage = usage.split("  ").next().unwrap_or_default();
    let (mut pattern, mut repeated) = (usage.split(' '), None);
    words.iter().all(|word| {
        let place = repeated.or_else(|| pattern.next()).unwrap_or_default();
        repeated = place.ends_with("…]").then_some(place);
        place.starts_with('[') || place.split('|').any(|one| one == word)
    })
}

/// What a program says of the verb that these words begin with, if the rest are arguments of it.
fn help(program: &str, words: &[String]) -> Option<String> {
    let mut command = Command::new(binary(program).expect("a binary"));
    let output = command.args(words).arg("--help").output().expect("run");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let usage = help.lines().find_map(|line| line.strip_prefix("Usage: "))?;
    let usage: Vec<&str> = usage.split(' ').skip(1).collect();
    let is_place = |word: &&&str| word.starts_with(['[', '<', '-']);
    let verbs = usage.iter().take_while(|word| !is_place(word)).count();
    let places = usage.iter().filter(is_place).filter(|word| **word != "[OPTIONS]").count();
    let taken = verbs <= words.len() && words.len() <= verbs + places;
    (output.status.success() && taken).then_some(help)
}

#[track_caller]
fn check(line: &str, want: Option<&str>) {
    let shown = Shown::read(line).unwrap_or_else(|| panic!("not taken for a command: {line}"));
    assert_eq!(shown.problem().as_deref(), want, "{line}");
}

#[test]
fn commands_that_do_not_exist_are_found() {
    check("cargo xtask demo --once", None);
    check("cargo xtask kafka down", None);
    check("cargo xtask test format lints   # some", None);
    check("cargo xtask kafka sideways", Some("no `xtask kafka sideways`"));
    check("cargo xtask deploy", Some("no `xtask deploy`"));
    check("cargo xtask demo --twice", Some("`xtask demo` has no `--twice`"));
    check("portcullis run --config portcullis.yaml", None);
    check("portcullis audit key root --out x", None);
    check("portcullis policy test policies", None);
    check("/usr/bin/portcullis check --config /etc/x.yaml", None);
    check("portcullis fly", Some("no `portcullis fly`"));
    check("portcullis audit key toor", Some("no `portcullis audit key toor`"));
    check("portcullis run fast", Some("no `portcullis run fast`"));
    check("portcullis run --conf x", Some("`portcullis run` has no `--conf`"));
}

#[test]
fn other_lines_are_no_commands_of_ours() {
    for line in ["cargo test", "portcullis", "portcullis …", "mkdir keys", "portcullisd run", ""]
    {
        assert_eq!(Shown::read(line), None, "{line}");
    }
}
