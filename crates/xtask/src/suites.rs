//! Everything CI runs, one line a suite. A suite is a name, what it needs, and how it is run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    compliance, equal, ftw, injection,
    machine::{build, built, cargo, root, target, watch},
    python::python,
    setup::{BUILD, CURL, CVC5, JAVA, MAVEN, Need, PYTHON, obtain, rust_components},
    tally::Tally,
};

struct Suite {
    name: &'static str,
    needs: &'static [Need],
    run: fn() -> Result<Tally>,
}

/// In order: what fails fast comes first; `compliance` reads what the suites before it ran, `ocsf`
/// what they recorded.
const SUITES: &[Suite] = &[
    Suite { name: "format", needs: &[], run: format },
    Suite { name: "lints", needs: &BUILD, run: lints },
    Suite { name: "tests", needs: &BUILD, run: tests },
    Suite { name: "equal", needs: &BUILD, run: equal::suite },
    Suite { name: "ftw", needs: &BUILD, run: ftw::suite },
    Suite { name: "injection", needs: &BUILD, run: injection::suite },
    Suite { name: "prove", needs: &[CVC5, CURL], run: prove },
    Suite { name: "components", needs: &[JAVA, MAVEN], run: components },
    Suite { name: "trail", needs: &[JAVA, MAVEN, PYTHON, CURL], run: trail },
    Suite { name: "compliance", needs: &[JAVA, MAVEN, PYTHON], run: compliance::check },
    Suite { name: "demo", needs: &BUILD, run: demo },
    Suite { name: "ocsf", needs: &[PYTHON], run: ocsf },
];

/// Runs the suites named, or all. An error if anything failed.
pub(crate) fn test(names: &[&str]) -> Result<()> {
    for name in names {
        ensure!(SUITES.iter().any(|suite| suite.name == *name), "no suite `{name}`");
    }
    rust_components()?;
    fs::remove_dir_all(events()?)?;
    compliance::forget()?;
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
        return Tally::missing();
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
    // with the tests that need a component, too
    let all =
        ["clippy", "--workspace", "--all-targets", "--features", "portcullis-tests/components"];
    let mut cargo = cargo(&all)?;
    cargo.args(["--locked", "--", "-D", "warnings"]);
    Ok(Tally::one(cargo.status()?.success()) + entry_points()?)
}

/// libFuzzer's entry points are a workspace of their own, which nothing else compiles. Where clippy
/// went before, most of what they need has been checked.
fn entry_points() -> Result<Tally> {
    let mut cargo = cargo(&["check", "--manifest-path", "fuzz/Cargo.toml", "--locked"])?;
    Ok(Tally::one(cargo.status()?.success()))
}

/// Plain `cargo test`: Rust and a C compiler only.
fn tests() -> Result<Tally> {
    let mut cargo = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])?;
    let (success, lines) = watch(cargo.env("FIXTURES_EVENTS", events()?))?;
    compliance::keep(&lines)?;
    Ok(Tally::of_tests(success, &lines))
}

/// Tests of the same binary that need real Apache Kafka, or another component. They leave the events
/// of their gateways, whichever suite they are of.
pub(crate) fn of_components(filter: &str) -> Result<Command> {
    // The whole workspace, or cargo builds dependencies again with the features of a part.
    let suite = ["test", "--locked", "--workspace", "--features", "portcullis-tests/components"];
    let mut cargo = cargo(&suite)?;
    // One at a time: each has a broker of its own, and shows what it does.
    cargo.args(["--test", "suite", filter, "--", "--nocapture", "--test-threads=1"]);
    cargo.env("FIXTURES_EVENTS", events()?);
    Ok(cargo)
}

/// What a solver proves of policies, and the walk-through that has it prove, with the binaries as
/// they are.
fn prove() -> Result<Tally> {
    let (success, lines) = watch(&mut of_components("prove::")?)?;
    compliance::keep(&lines)?;
    Ok(Tally::of_tests(success, &lines))
}

fn components() -> Result<Tally> {
    let (success, lines) = watch(&mut of_components("components::")?)?;
    compliance::keep(&lines)?;
    Ok(Tally::of_tests(success, &lines))
}

fn trail() -> Result<Tally> {
    let mut tests = of_components("trail::")?;
    let (success, lines) = watch(tests.env("FIXTURES_PYTHON", python()?))?;
    compliance::keep(&lines)?;
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
/// Those that sinks gave out are as many as their trees have.
fn ocsf() -> Result<Tally> {
    let python = python()?;
    let validate = |files: &[PathBuf]| -> Result<(u64, u64)> {
        let mut command = Command::new(&python);
        command.arg("tests/ocsf/validate.py").args(files).current_dir(root()?);
        let (_, lines) = watch(&mut command)?;
        let words = Tally::words("ocsf: ", &lines).context("no last line")?;
        Ok((word(&words, "events")?, word(&words, "invalid")?))
    };
    let (samples, found) = validate(&[root()?.join("tests/ocsf/invalid.jsonl")])?;
    let mut tally = Tally::one(samples > 0 && samples == found);
    let dir = events()?;
    let by_sinks = |path: &PathBuf| path.to_string_lossy().ends_with(".sink.jsonl");
    let (of_sinks, of_spools): (Vec<_>, Vec<_>) =
        left(&dir, ".jsonl")?.into_iter().partition(by_sinks);
    ensure!(!of_sinks.is_empty() || !of_spools.is_empty(), "no suite before recorded an event");
    if !of_spools.is_empty() {
        let (events, invalid) = validate(&of_spools)?;
        tally += Tally::one(events > 0 && invalid == 0);
    }
    if !of_sinks.is_empty() {
        let (events, invalid) = validate(&of_sinks)?;
        let mut in_sinks = 0;
        for count in left(&dir, ".sink.count")? {
            in_sinks += fs::read_to_string(count)?.parse::<u64>()?;
        }
        println!("ocsf: validated={events} events_in_the_sinks={in_sinks}");
        tally += Tally::one(events > 0 && invalid == 0 && in_sinks == events);
    }
    Ok(tally)
}

/// The files that were left, of those whose names end so.
fn left(dir: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Where the harness leaves the events of every run. It is there: events that cannot be left fail
/// their test.
fn events() -> Result<PathBuf> {
    let dir = target()?.join("events");
    fs::create_dir_all(&dir)?;
    Ok(dir)
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
