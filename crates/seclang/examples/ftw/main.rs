//! Runs the regression tests of the OWASP CRS in process: `cargo xtask ftw` gets them and runs
//! this.
//!
//! Each argument is `NAME=DIR`, a copy of the CRS: `crs-setup.conf.example`, `rules/` and, for all
//! but `debian`, which is only loaded, `tests/`.
//!
//! A stage of a test passes if the rules that it names match, or do not, at paranoia level 4 with
//! the settings in `setup.conf`. What does not pass is in `overrides.toml`, with what happens
//! instead; anything else, or an override that is not needed, is a failure.

#![expect(clippy::disallowed_methods, reason = "this program reads files: it is a shell")]

mod engine;
mod files;
mod overrides;
mod reflect;
mod report;
mod run;
mod suite;
mod wire;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use overrides::{At, Override};
use report::Report;

/// The sets that the last line has, and how many stages of each name rules, where that is known.
const SETS: [(&str, Option<usize>); 2] = [("crs425", Some(4645)), ("crs429", None)];
/// The three rules of 3.3 whose patterns look around, which takes more than linear time; CRS 4 has
/// none. Its operator must leave them out.
const DEBIAN_END: &str = "SecRuleRemoveById 920120 942130 953120";
const OVERRIDES: &str = include_str!("overrides.toml");

fn main() -> ExitCode {
    match all() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ftw: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was wrong.
fn all() -> Result<bool> {
    let overrides = overrides::parse(OVERRIDES).context("overrides.toml")?;
    let (mut reports, mut wrong) = (BTreeMap::new(), Vec::new());
    for argument in std::env::args().skip(1) {
        let (set, dir) = argument.split_once('=').context("usage: ftw NAME=DIR…")?;
        if set == "debian" {
            match engine::load(Path::new(dir), DEBIAN_END) {
                Ok(rules) => println!("{set}: loads, {} rules", rules.len()),
                Err(error) => wrong.push(format!("{set}: {error:#}")),
            }
            continue;
        }
        ensure!(SETS.iter().any(|(known, _)| *known == set), "no set is called `{set}`");
        let report = one(set, Path::new(dir), &overrides)?;
        reports.insert(set.to_owned(), report);
    }
    let needed: BTreeSet<usize> = reports.values().flat_map(|it| &it.needed).copied().collect();
    wrong.extend(reports.values().flat_map(|it: &Report| &it.wrong).cloned());
    for (place, it) in overrides.iter().enumerate() {
        let here = it.at == At::Engine && reports.keys().any(|set| it.is_in(set));
        if here && !needed.contains(&place) {
            wrong.push(format!("{}: no stage needs its override", it.test));
        }
    }
    for line in &wrong {
        println!("ftw: {line}");
    }
    let count = |(set, _): (&str, _)| match reports.get(set) {
        Some(report) => format!("{set}={}", report.rules),
        None => format!("{set}=absent"),
    };
    let (sets, overrides) = (SETS.map(count).join(" "), needed.len());
    // what goes through the gateway is not run here
    println!("ftw: {sets} gateway=absent refused_by_read=absent overrides={overrides}");
    Ok(wrong.is_empty())
}

/// Runs a set in process.
fn one(set: &str, dir: &Path, overrides: &[Override]) -> Result<Report> {
    let tests = dir.join("tests/regression");
    let stages = suite::read(&if tests.is_dir() { tests } else { dir.join("tests") })?;
    let start = Instant::now();
    let rules = engine::load(dir, "")?;
    let loaded = start.elapsed();
    let ran = run::run(&stages, |stage| {
        let request = wire::read(&wire::raw(&stage.input))?;
        Ok(engine::inspect(&rules, &request, &reflect::answer(&request)))
    })?;
    let took = start.elapsed() - loaded;
    let mut report = report::report(set, At::Engine, &ran, overrides);
    let known = SETS.iter().find(|(known, _)| *known == set).and_then(|(_, total)| *total);
    if let Some(known) = known.filter(|known| *known != report.rules.total) {
        report.wrong.push(format!("{set}: {} stages name rules, not {known}", report.rules.total));
    }
    println!(
        "{set}: {} stages that name rules, {} that name the log, {} that only a server can show; \
         load {} ms, run {} ms",
        report.rules,
        report.log,
        report.not_seen,
        loaded.as_millis(),
        took.as_millis(),
    );
    Ok(report)
}
