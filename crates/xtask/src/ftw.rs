//! `cargo xtask ftw`: the regression tests of the OWASP CRS against the rule engine, in process, and
//! against the gateway, over sockets.
//! Deliberately only gets what that needs: what passes is for what runs them to say.

use std::{collections::BTreeMap, ffi::OsString, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    crs,
    machine::{built, cargo, root, succeed, watch},
    setup::{BUILD, obtain},
    suites::of_components,
    tally::Tally,
};

/// The sets that have tests.
const SETS: [&str; 2] = ["crs425", "crs429"];
/// What comes out otherwise than the tests expect, and why.
const OVERRIDES: &str = "tests/ftw/overrides.yaml";
/// What may be missed of the stages that name rules: as many as Coraza misses.
const MISSES_MAX: usize = 5;
/// How many stages of release 4.25.0 name rules.
const OF_RELEASE: usize = 4645;

/// Runs it; its own last line is the last line.
pub(crate) fn ftw() -> Result<()> {
    let (tally, last) = run()?;
    println!("{last}");
    ensure!(tally.failed == 0, "a stage does not come out as expected, or a set is not there");
    Ok(())
}

/// As a suite of `cargo xtask test`: what is there is one each.
pub(crate) fn suite() -> Result<Tally> {
    Ok(run()?.0)
}

fn run() -> Result<(Tally, String)> {
    obtain(&BUILD)?;
    let mut tally = Tally::default();
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |name: &str, dir: std::path::PathBuf| {
        let mut argument = OsString::from(name);
        argument.push("=");
        argument.push(dir);
        arguments.push(argument);
    };
    let mut released = None;
    match crs::release() {
        Ok(dir) => {
            add("crs425", dir.clone());
            released = Some(dir);
        }
        Err(missing) => {
            println!("ftw: {missing:#}; have Go, and let it reach a module proxy (GOPROXY)");
            tally += Tally::missing();
        }
    }
    match crs::debian() {
        Ok(dir) => add("debian", dir),
        Err(missing) => {
            println!("ftw: Debian's copy is absent: {missing:#}");
            tally += Tally::skipped();
        }
    }
    if let Some(dir) = crs::named()? {
        add("crs429", dir);
    }
    // the whole workspace, or cargo builds dependencies again with the features of a part
    let build = ["build", "--workspace", "--locked", "--bins", "--example", "benign"];
    succeed(&mut cargo(&build)?)?;
    let (mine, last) = in_process(&arguments)?;
    tally += mine;
    let is_tested = |argument: &&OsString| !argument.to_string_lossy().starts_with("debian=");
    let mut benign = Command::new(built()?.join("examples/benign"));
    let (success, _) = watch(benign.args(arguments.iter().filter(is_tested)))?;
    tally += Tally::one(success);
    if let Some(dir) = released {
        let tests = ["--test", "worst", "--test", "differential"];
        let run = [&["test", "--workspace", "--locked"], &tests[..], &["--", "--nocapture"]];
        let mut tests = cargo(&run.concat())?;
        let (success, lines) = watch(tests.env("CRS_DIR", dir))?;
        tally += Tally::of_tests(success, &lines);
    }
    let (through, figures) = through(&arguments)?;
    Ok((tally + through, with(&last, &figures)?))
}

/// The tests in this process, by the product's own verb, and the last line without what goes through
/// the gateway. Debian's copy has no tests: it is loaded.
fn in_process(arguments: &[OsString]) -> Result<(Tally, String)> {
    let (mut tally, mut counts, mut overrides) = (Tally::default(), BTreeMap::new(), 0);
    for argument in arguments {
        let argument = argument.to_str().context("a directory's name is not Unicode")?;
        let (set, dir) = argument.split_once('=').context("a set and its directory")?;
        let mut portcullis = Command::new(built()?.join("portcullis"));
        portcullis.arg("rules");
        if !SETS.contains(&set) {
            let (success, _) = watch(portcullis.arg("check").args(crs::files_of_debian(dir)?))?;
            tally += Tally::one(success);
            continue;
        }
        let overridden = root()?.join(OVERRIDES);
        portcullis.args(["test", "--crs", dir, "--overrides"]).arg(overridden);
        let (success, lines) = watch(&mut portcullis)?;
        let words = lines.iter().find_map(|line| words(line, "rules test: "));
        let word = |name: &str| words.as_ref().and_then(|words| words.get(name)).cloned();
        let count = word("rules").unwrap_or_else(|| "none".to_owned());
        let needed = word("overridden").and_then(|needed| needed.parse::<u64>().ok());
        overrides = overrides.max(needed.unwrap_or_default());
        let wrong = bar(set, &count);
        if let Err(why) = &wrong {
            println!("ftw: {set}: {why}");
        }
        tally += Tally::one(success && wrong.is_ok());
        counts.insert(set.to_owned(), count);
    }
    let count = |set: &str| counts.get(set).map_or("absent", String::as_str).to_owned();
    let sets: Vec<String> = SETS.iter().map(|set| format!("{set}={}", count(set))).collect();
    let last = format!(
        "ftw: {} gateway=absent refused_by_read=absent overrides={overrides}",
        sets.join(" ")
    );
    Ok((tally, last))
}

/// Whether enough stages passed of those that name rules, and none was left out.
fn bar(set: &str, count: &str) -> Result<()> {
    let (passed, total) = count.split_once('/').context("the run says no count")?;
    let (passed, total): (usize, usize) = (passed.parse()?, total.parse()?);
    let missed = total.saturating_sub(passed);
    ensure!(missed <= MISSES_MAX, "{missed} stages missed, above the bar of {MISSES_MAX}");
    ensure!(set != "crs425" || total == OF_RELEASE, "{total} stages name rules, not {OF_RELEASE}");
    Ok(())
}

/// The same tests through the gateway, and what it printed of each set.
fn through(arguments: &[OsString]) -> Result<(Tally, Vec<Figures>)> {
    let mut tests = of_components("ftw::")?;
    let mut any = false;
    for argument in arguments {
        let argument = argument.to_str().context("a directory's name is not Unicode")?;
        let (set, dir) = argument.split_once('=').context("a set and its directory")?;
        if SETS.contains(&set) {
            tests.env(format!("FTW_{}", set.to_uppercase()), dir);
            any = true;
        }
    }
    if !any {
        return Ok((Tally::default(), Vec::new()));
    }
    let (success, lines) = watch(&mut tests)?;
    Ok((Tally::of_tests(success, &lines), lines.iter().filter_map(|line| figures(line)).collect()))
}

/// What a set came to through the gateway, word by word.
type Figures = BTreeMap<String, String>;

fn figures(line: &str) -> Option<Figures> {
    words(line, "ftw-gateway: ")
}

/// The words `name=value` after a mark.
fn words(line: &str, mark: &str) -> Option<Figures> {
    // the test's name may stand before it on the line
    let (_, words) = line.split_once(mark)?;
    let word = |word: &str| word.split_once('=').map(|(name, is)| (name.to_owned(), is.to_owned()));
    Some(words.split_whitespace().filter_map(word).collect())
}

/// The last line of the run in process, with what came through the gateway: of 4.29 in its places,
/// of 4.25.0 at its end; and with the overrides of both runs, those of the gateway in whichever set
/// has more.
fn with(last: &str, figures: &[Figures]) -> Result<String> {
    let of = |set: &str, name: &str| {
        let figures = figures.iter().find(|it| it.get("set").is_some_and(|it| it == set));
        figures.and_then(|it| it.get(name)).map_or("absent", String::as_str).to_owned()
    };
    let overrides = figures.iter().filter_map(|it| it.get("overrides")?.parse::<u64>().ok()).max();
    let mut words = Vec::new();
    for word in last.split(' ') {
        words.push(match word.split_once('=') {
            Some((name @ ("gateway" | "refused_by_read"), _)) => {
                format!("{name}={}", of("crs429", name))
            }
            Some(("overrides", engine)) => {
                let engine: u64 = engine.parse().context("the overrides")?;
                format!("overrides={}", engine + overrides.unwrap_or_default())
            }
            _ => word.to_owned(),
        });
    }
    for name in ["gateway", "refused_by_read"] {
        words.push(format!("{name}425={}", of("crs425", name)));
    }
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_held_to_the_bar() {
        let check = |set: &str, count: &str, want: bool| {
            assert_eq!(bar(set, count).is_ok(), want, "{set} {count}");
        };
        check("crs425", "4640/4645", true);
        check("crs425", "4639/4645", false);
        check("crs425", "4640/4644", false);
        check("crs429", "5011/5016", true);
        check("crs429", "none", false);
    }

    #[test]
    fn the_last_line_has_what_came_through_the_gateway() {
        let last = "ftw: crs425=4/5 crs429=6/7 gateway=absent refused_by_read=absent overrides=3";
        let check = |lines: &[&str], want: &str| {
            let figures: Vec<Figures> = lines.iter().filter_map(|line| figures(line)).collect();
            assert_eq!(with(last, &figures).expect("a line"), want, "{lines:?}");
        };
        let newer = "test a ... ftw-gateway: set=crs429 gateway=7/9 refused_by_read=1 overrides=2";
        let older = "ftw-gateway: set=crs425 gateway=5/8 refused_by_read=2 overrides=1";
        check(
            &[older, newer],
            "ftw: crs425=4/5 crs429=6/7 gateway=7/9 refused_by_read=1 overrides=5 gateway425=5/8 \
             refused_by_read425=2",
        );
        check(
            &[older],
            "ftw: crs425=4/5 crs429=6/7 gateway=absent refused_by_read=absent overrides=4 \
             gateway425=5/8 refused_by_read425=2",
        );
    }
}
