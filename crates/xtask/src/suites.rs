//! Everything CI runs, one line a suite. A suite is a name, what it needs, and how it is run.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    machine::{build, built, cargo, root, succeed, target, watch},
    setup::{BUILD, JAVA, MAVEN, Need, PYTHON, obtain, rust_components},
    tally::Tally,
};

struct Suite {
    name: &'static str,
    needs: &'static [Need],
    run: fn() -> Result<Tally>,
}

/// In order: what fails fast comes first, and `ocsf` reads what the suites before it recorded.
const SUITES: &[Suite] = &[
    Suite { name: "format", needs: &[], run: format },
    Suite { name: "lints", needs: &BUILD, run: lints },
    Suite { name: "tests", needs: &BUILD, run: tests },
    Suite { name: "components", needs: &[JAVA, MAVEN], run: components },
    Suite { name: "demo", needs: &BUILD, run: demo },
    Suite { name: "ocsf", needs: &[PYTHON], run: ocsf },
];

/// Runs the suites named, or all. An error if anything failed.
pub(crate) fn test(names: &[&str]) -> Result<()> {
    for name in names {
        ensure!(SUITES.iter().any(|suite| suite.name == *name), "no suite `{name}`");
    }
    rust_components()?;
    let events = events()?;
    let _ = fs::remove_dir_all(&events);
    fs::create_dir_all(&events)?;
    let start = Instant::now();
    let (mut all, mut ran) = (Tally::default(), Vec::new());
    for suite in SUITES.iter().filter(|suite| names.is_empty() || names.contains(&suite.name)) {
        println!("== {}", suite.name);
        let begin = Instant::now();
        let tally = one(suite);
        ran.push((suite.name, tally, begin.elapsed()));
        all += tally;
    }
    summary(&ran, all, start.elapsed());
    ensure!(all.failed == 0, "{} failed", all.failed);
    Ok(())
}

/// A suite's tally. What it needs and cannot have skips it; under `CI=true` it fails.
fn one(suite: &Suite) -> Tally {
    if let Err(missing) = obtain(suite.needs) {
        println!("{}: {missing:#}", suite.name);
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        return if ci { Tally::one(false) } else { Tally::skipped() };
    }
    (suite.run)().unwrap_or_else(|error| {
        println!("{}: {error:#}", suite.name);
        Tally::one(false)
    })
}

fn summary(ran: &[(&str, Tally, Duration)], all: Tally, took: Duration) {
    println!();
    for (name, tally, took) in ran {
        println!("{name:<12} {tally}, {} s", took.as_secs());
    }
    println!("{all}");
    let Tally { passed, failed, skipped } = all;
    let (suites, s) = (ran.len(), took.as_secs());
    println!("test: suites={suites} passed={passed} failed={failed} skipped={skipped} s={s}");
}

fn format() -> Result<Tally> {
    Ok(Tally::one(cargo(&["fmt", "--all", "--check"])?.status()?.success()))
}

fn lints() -> Result<Tally> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    Ok(Tally::one(cargo(&arguments)?.status()?.success()))
}

/// Plain `cargo test`: Rust and a C compiler only.
fn tests() -> Result<Tally> {
    let mut cargo = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])?;
    let (success, lines) = watch(cargo.env("FIXTURES_EVENTS", events()?))?;
    Ok(Tally::of_tests(success, &lines))
}

/// The same binary with what needs real Apache Kafka.
fn components() -> Result<Tally> {
    let arguments = [
        "test",
        "--locked",
        "-p",
        "portcullis-tests",
        "--features",
        "components",
        "--test",
        "suite",
        "components::",
        "--",
        "--nocapture",
    ];
    let (success, lines) = watch(cargo(&arguments)?.env("FIXTURES_EVENTS", events()?))?;
    Ok(Tally::of_tests(success, &lines))
}

/// Each row of the tour is one, the record's examination another.
fn demo() -> Result<Tally> {
    build()?;
    let mut tour = Command::new(built()?.join("fixtures"));
    tour.args(["tour", "--once"]).env("FIXTURES_EVENTS", events()?);
    let (success, lines) = watch(&mut tour)?;
    let words = Tally::words("demo: ", &lines).context("the demo did not reach its last line")?;
    let (rows, expected) = (word(&words, "rows")?, word(&words, "as_expected")?);
    let failed = rows.checked_sub(expected).context("more rows than there are")?;
    let rest = Tally::one(success || failed > 0);
    Ok(Tally { passed: expected, failed, skipped: 0 } + rest)
}

/// Every event that the suites before it recorded is valid; every sample that is not is found.
fn ocsf() -> Result<Tally> {
    let python = environment()?;
    let validate = |files: &[PathBuf]| -> Result<(u64, u64)> {
        let mut command = Command::new(&python);
        command.arg("tests/ocsf/validate.py").args(files).current_dir(root()?);
        let (_, lines) = watch(&mut command)?;
        let words = Tally::words("ocsf: ", &lines).context("no last line")?;
        Ok((word(&words, "events")?, word(&words, "invalid")?))
    };
    let (samples, found) = validate(&[root()?.join("tests/ocsf/invalid.jsonl")])?;
    let mut tally = Tally::one(samples > 0 && samples == found);
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(events()?)? {
        files.push(entry?.path());
    }
    ensure!(!files.is_empty(), "no suite before recorded an event");
    files.sort();
    let (events, invalid) = validate(&files)?;
    tally += Tally::one(events > 0 && invalid == 0);
    Ok(tally)
}

/// A virtual environment with the validator; made again when its requirements change.
fn environment() -> Result<PathBuf> {
    let dir = target()?.join("ocsf");
    let (python, stamp) = (dir.join("bin/python3"), dir.join("requirements.txt"));
    let wanted = fs::read_to_string(root()?.join("tests/ocsf/requirements.txt"))?;
    if fs::read_to_string(&stamp).is_ok_and(|has| has == wanted) && python.exists() {
        return Ok(python);
    }
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    succeed(pip.arg(root()?.join("tests/ocsf/requirements.txt")))?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

/// Where the harness leaves the events of every run.
fn events() -> Result<PathBuf> {
    Ok(target()?.join("events"))
}

fn word(words: &[(String, u64)], name: &str) -> Result<u64> {
    match words.iter().find(|(known, _)| known == name) {
        Some((_, number)) => Ok(*number),
        None => bail!("no `{name}=`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing() -> Result<Tally> {
        bail!("it broke")
    }

    fn passing() -> Result<Tally> {
        Ok(Tally::one(true))
    }

    #[test]
    fn a_suite_that_breaks_has_failed() {
        assert_eq!(one(&Suite { name: "x", needs: &[], run: failing }).failed, 1);
        assert_eq!(one(&Suite { name: "x", needs: &[], run: passing }).passed, 1);
    }

    #[test]
    fn a_suite_that_is_not_there_is_an_error() {
        assert!(test(&["no such suite"]).is_err());
    }
}
