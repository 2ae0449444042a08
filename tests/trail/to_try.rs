//! The demo as a newcomer has it, without `--once`: it stays up after its tour, each line that it
//! prints to try does what it says, and Ctrl-C ends all of it.
//!
//! The lines are given to a shell as they are printed. Ctrl-C is a SIGINT to the whole group of
//! processes, as a terminal sends it.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use fixtures::harness::{Process, Work, binary, wait_for};

/// How long the tour may take, with the build of what it runs, and a reload.
const TOUR: Duration = Duration::from_secs(300);
const RELOAD: Duration = Duration::from_secs(30);
/// How long everything may take to end.
const END: Duration = Duration::from_secs(60);
/// The last line of the page.
const LAST: &str = "All of it goes with Ctrl-C.\n";
/// Curl writes the status behind the answer, on a line of its own.
const CURL: &str =
    "curl() { command curl --silent --show-error --write-out '\\n%{http_code}' \"$@\"; }";
const CLOSED: &str = r#"
@id("public-closed")
@refuse("forbidden")
forbid (principal, action == Public::Action::"view", resource in Portcullis::Api::"public");
"#;

/// The demo, in a group of processes of its own.
struct Demo {
    process: Process,
    _work: Work,
}

impl Demo {
    fn start() -> Self {
        let work = Work::new("to-try").expect("a directory");
        let mut command = Command::new(binary("fixtures").expect("the binary"));
        command.arg("tour").process_group(0);
        let process = Process::start("the demo", command, &work.path().join("out"));
        Self { process: process.expect("the demo"), _work: work }
    }

    /// What it has printed, once that has `part`.
    fn page(&mut self, part: &str) -> String {
        let there = || {
            self.process.expect_running()?;
            let page = self.process.output();
            Ok(page.contains(part).then_some(page))
        };
        wait_for("the demo's page", TOUR, there).expect("the page")
    }

    /// What is left in its group after Ctrl-C and its end, and its exit code.
    fn interrupt(&mut self) -> (Option<i32>, Vec<String>) {
        let group = self.process.id();
        let (code, said) = shell(&format!("kill -s INT -- -{group}"));
        assert_eq!(code, 0, "{said}");
        let code = self.process.wait(END).expect("its end").code();
        (code, group_of(group))
    }
}

/// Of a test that failed, nothing is left either.
impl Drop for Demo {
    fn drop(&mut self) {
        if self.process.ended().is_ok_and(|ended| ended.is_none()) {
            shell(&format!("kill -s KILL -- -{}", self.process.id()));
        }
    }
}

/// The programs of the processes in a group.
fn group_of(group: u32) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let (head, rest) = stat.rsplit_once(") ")?;
        let of_group = rest.split(' ').nth(2)? == group.to_string();
        of_group.then(|| head.to_owned())
    });
    processes.collect()
}

/// The exit code, and what was printed.
fn shell(script: &str) -> (i32, String) {
    let script = format!("{CURL}\n{{ {script}\n}} 2>&1");
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().expect("a code"), printed)
}

/// What a line of curl is answered: status and body.
fn answer(line: &str) -> (u16, String) {
    let (code, printed) = shell(line);
    assert_eq!(code, 0, "{line}\n{printed}");
    let (body, status) = printed.rsplit_once('\n').expect("a status");
    (status.parse().expect("a status"), body.to_owned())
}

/// The status that a line promises behind its `#`: 200 if it says nothing.
fn promised(line: &str) -> u16 {
    let said = line.split_once("# ").map(|(_, said)| said);
    said.map_or(200, |said| {
        let number = said.split(|c: char| !c.is_ascii_digit()).find(|word| word.len() == 3);
        number.unwrap_or_else(|| panic!("`{said}` names no status")).parse().expect("a status")
    })
}

/// The lines that are to be typed.
fn to_try(page: &str) -> Vec<&str> {
    let (_, after) = page.split_once("To try, in another terminal").expect("what to try");
    after.lines().filter_map(|line| line.strip_prefix("  ")).collect()
}

/// Where the text after `name`, up to the next of `ends`, says that something is.
fn place(page: &str, name: &str, end: char) -> PathBuf {
    let (_, rest) = page.rsplit_once(name).unwrap_or_else(|| panic!("no `{name}`"));
    PathBuf::from(rest.split(end).next().unwrap_or_default().trim())
}

fn beginning<'a>(lines: &[&'a str], head: &str) -> Vec<&'a str> {
    lines.iter().copied().filter(|line| line.starts_with(head)).collect()
}

fn curl_lines(lines: &[&str]) {
    let asked = beginning(lines, "curl ");
    for line in &asked {
        let (status, body) = answer(line);
        assert_eq!(status, promised(line), "{line}\n{body}");
        let is_problem = body.contains("\"decision_id\":\"");
        assert_eq!(is_problem, status >= 400, "{line}\n{body}");
        if line.ends_with("/log") {
            assert!(body.contains("/orders/o-1001"), "what the upstream got:\n{body}");
        } else if line.ends_with("/metrics") {
            assert!(body.contains("\nportcullis_"), "figures:\n{body}");
        }
    }
    let statuses: Vec<u16> = asked.iter().map(|line| promised(line)).collect();
    assert_eq!(statuses, [200, 403, 200, 200, 200, 403, 200, 200]);
}

fn evidence_lines(lines: &[&str], sink: &Path) {
    let asked = beginning(lines, &sink.display().to_string());
    let mut verbs = Vec::new();
    for line in &asked {
        let (code, printed) = shell(line);
        assert_eq!(code, 0, "{line}\n{printed}");
        let words: Vec<&str> = line.split(' ').collect();
        let id = words.last().copied().unwrap_or_default();
        match words[1] {
            "show" => assert!(printed.contains(id) && printed.contains("blocked"), "{printed}"),
            "search" => {
                let is = |row: &str| row.contains("\tDenied\t") && row.contains("\tcorp|alice\t");
                assert!(printed.lines().count() > 1 && printed.lines().all(is), "{printed}");
            }
            "verify" => assert!(printed.contains(" findings=0 "), "{printed}"),
            other => panic!("`{other}` is not looked at"),
        }
        verbs.push(words[1]);
    }
    assert_eq!(verbs, ["show", "search", "verify"]);
}

/// In a shell that was given the names, the page's own commands work.
fn walk_through_lines(lines: &[&str]) {
    let names = [beginning(lines, "cd "), beginning(lines, "export ")].concat();
    assert_eq!(names.len(), 6, "{names:?}");
    let with_names = |command: &str| [&names[..], &[command]].concat().join("\n");
    for command in [
        "kill -0 $PORTCULLIS",
        "portcullis policy check policies",
        "audit-sink verify --evidence evidence --root keys/root.vkey",
    ] {
        let (code, printed) = shell(&with_names(command));
        assert_eq!(code, 0, "{command}\n{printed}");
    }
    for (who, want) in [("ALICE", 200), ("BOB", 200)] {
        let ask = "curl --cacert ca.pem -H \"Authorization: Bearer $WHO\" $DOOR/orders/o-1001";
        let (status, body) = answer(&with_names(&ask.replace("WHO", who)));
        assert_eq!(status, want, "{who}: {body}");
    }
}

/// A policy changed as the page says is in force, and the log says what came of it.
fn reload_line(page: &str, lines: &[&str]) {
    let policies = place(page, "change a file in ", ',');
    let log = place(page, "What came of it is in ", '\n');
    let log = log.to_str().and_then(|log| log.strip_suffix('.')).expect("a full stop").to_owned();
    let loads =
        || Ok::<_, std::io::Error>(fs::read_to_string(&log)?.matches("trigger=\"signal\"").count());
    let before = loads().expect("the log");
    fs::write(policies.join("public/closed.cedar"), CLOSED).expect("written");
    let [tell] = beginning(lines, "kill -HUP ")[..] else { panic!("one line tells it") };
    let (code, printed) = shell(tell);
    assert_eq!(code, 0, "{tell}\n{printed}");
    let said = || Ok((loads()? > before).then_some(()));
    wait_for("the log's word", RELOAD, said).expect("a reload in the log");
    let public = beginning(lines, "curl ")[0];
    assert_eq!(answer(public).0, 403, "the policy is in force");
}

#[test]
fn each_line_to_try_does_what_it_says_and_ctrl_c_ends_it() {
    let mut demo = Demo::start();
    let page = demo.page(LAST);
    assert!(page.contains("verified=ok tamper_found=2/2"), "{page}");
    let lines = to_try(&page);
    curl_lines(&lines);
    evidence_lines(&lines, &binary("audit-sink").expect("the binary"));
    walk_through_lines(&lines);
    reload_line(&page, &lines);
    let dir = place(&page, "\n  cd ", '\n');
    assert!(dir.is_dir(), "{}", dir.display());
    let (code, left) = demo.interrupt();
    assert_eq!(code, Some(0), "{}", demo.process.output());
    assert_eq!(left, [""; 0], "processes that are left");
    assert!(!dir.exists(), "all of it goes");
    println!("to try: lines={}", lines.len());
}

#[test]
fn ctrl_c_during_the_tour_ends_it_too() {
    let mut demo = Demo::start();
    demo.page("\npublic page ");
    let page = demo.page("\nown order ");
    let evidence = place(&page, "keeps the evidence in ", '\n');
    let (code, left) = demo.interrupt();
    let said = demo.process.output();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("\nfixtures: "), "{said}");
    assert_eq!(left, [""; 0], "processes that are left");
    assert!(!evidence.exists(), "what it kept goes too");
}
