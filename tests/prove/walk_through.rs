//! The walk-through of `policies/README.md`, done as it is written there, on the product after its
//! tour: files are written, commands run in a shell, and what they print is what the page shows.

use std::{fs, process::Command, time::Duration};

use fixtures::{
    harness::{binary, repository, wait_for},
    tour::{Stage, Tour, rows},
};

const SOON: Duration = Duration::from_secs(30);
/// The section, to the next one.
const SECTION: &str = "## A change, from a mistake to an answer\n";

/// What the page tells to do.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    /// A file and its text.
    Write(&'a str, String),
    /// A command, and the lines that it prints; `…` stands for anything.
    Run(&'a str, Vec<&'a str>),
}

/// The steps of the section: blocks whose language is followed by a path are files, and of a
/// `console` what follows `$ ` are commands.
fn steps(page: &str) -> Vec<Step<'_>> {
    let section = page.split_once(SECTION).expect("the section").1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut steps = Vec::new();
    for block in section.split("```").skip(1).step_by(2) {
        let (head, text) = block.split_once('\n').expect("a language");
        match head.split_once(' ') {
            Some((_, path)) => steps.push(Step::Write(path, text.to_owned())),
            None => {
                assert_eq!(head, "console", "a block is a file or a console");
                steps.extend(commands(text));
            }
        }
    }
    steps
}

fn commands(text: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step::Run(command, Vec::new())),
            (None, Some(Step::Run(_, lines))) => lines.push(line),
            (None, _) => panic!("`{line}` is before every command"),
        }
    }
    steps
}

/// Whether a line is what is shown of it.
fn is(shown: &str, line: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// What is shown and not printed: lines follow each other as they are shown, and a line that is
/// `…` alone stands for any number of them.
fn missing<'a>(shown: &[&'a str], printed: &str) -> Option<&'a str> {
    let mut lines = printed.lines();
    let mut skip = false;
    for want in shown {
        if *want == "…" {
            skip = true;
            continue;
        }
        let found = match skip {
            true => lines.any(|line| is(want, line)),
            false => lines.next().is_some_and(|line| is(want, line)),
        };
        if !found {
            return Some(want);
        }
        skip = false;
    }
    let ended = skip || lines.next().is_none();
    (!ended).then_some("the end")
}

/// The product after its tour, and what the page's names stand for.
struct Walk {
    tour: Tour,
    variables: Vec<(&'static str, String)>,
}

impl Walk {
    fn start() -> Self {
        let mut tour = Tour::new(Stage::start(None).expect("the product"));
        for row in rows().expect("rows") {
            tour.row(&row).expect("a row");
        }
        tour.stage.settle().expect("the trail in the sink");
        let variables = tour.names().expect("tokens");
        Self { tour, variables }
    }

    /// What a command prints. A reload is waited for, and so is what an answer leaves in the
    /// evidence; the id in it is the next `DECISION`.
    fn run(&mut self, command: &str) -> String {
        let loads = self.loads();
        let setting = &self.tour.stage.setting;
        let binaries = binary("portcullis").expect("the binary");
        let binaries = binaries.parent().expect("its directory");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{{ {command}; }} 2>&1")]).current_dir(setting.dir());
        shell.env("PATH", format!("{}:{path}", binaries.display()));
        shell.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        let printed = String::from_utf8(shell.output().expect("a shell").stdout).expect("text");
        if command.starts_with("kill -HUP") {
            let loaded = || Ok((self.loads() > loads).then_some(()));
            wait_for("the event of a reload", SOON, loaded).expect("a reload");
        }
        if let Some((_, rest)) = printed.split_once("\"decision_id\":\"") {
            let id = rest.split('"').next().unwrap_or_default().to_owned();
            self.recorded(&id);
            self.variables.retain(|(name, _)| *name != "DECISION");
            self.variables.push(("DECISION", id));
        }
        printed
    }

    /// Waits until the evidence has a decision, and all that came of it.
    fn recorded(&mut self, id: &str) {
        let stage = &mut self.tour.stage;
        let there =
            || Ok(stage.sink.places("decision")?.iter().any(|it| it.uid == id).then_some(()));
        wait_for("the decision in the evidence", SOON, there).expect("a decision");
        stage.settle().expect("the trail in the sink");
    }

    fn loads(&self) -> usize {
        self.tour.stage.sink.places("reload").expect("the evidence").len()
    }
}

#[test]
fn the_walk_through_is_as_it_is_written() {
    let page = repository().expect("the repository").join("policies/README.md");
    let page = fs::read_to_string(page).expect("the page");
    let mut walk = Walk::start();
    let dir = walk.tour.stage.setting.dir().to_owned();
    let mut commands = 0;
    for step in steps(&page) {
        match step {
            Step::Write(path, text) => fs::write(dir.join(path), text).expect("written"),
            Step::Run(command, shown) => {
                let printed = walk.run(command);
                let lacks = missing(&shown, &printed);
                assert!(lacks.is_none(), "$ {command}\n{printed}\nlacks: {lacks:?}");
                commands += 1;
            }
        }
    }
    assert!(commands > 15, "the commands are not found");
}

#[test]
fn what_is_shown_and_not_printed_is_missed() {
    let check = |shown: &[&str], printed: &str, want: Option<&str>| {
        assert_eq!(missing(shown, printed), want, "{shown:?} {printed:?}");
    };
    check(&["a", "b"], "a\nb\n", None);
    check(&["a"], "a\nb\n", Some("the end"));
    check(&["a", "…"], "a\nb\nc\n", None);
    check(&["b"], "a\nb\n", Some("b"));
    check(&["…", "b"], "a\nb\n", None);
    check(&["…", "c"], "a\nb\n", Some("c"));
    check(&["x=… y=1"], "x=12 y=1\n", None);
    check(&["x=… y=1"], "x=12 y=12\n", Some("x=… y=1"));
    check(&["x=…"], "x=12\n", None);
    check(&["x"], "x=12\n", Some("x"));
    check(&[], "", None);
}
