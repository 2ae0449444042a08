//! The engine's `@detectSQLi` and `@detectXSS`, which are `barbacane-libinjection` behind filters,
//! against libinjection itself, which is C: `cargo xtask injection` gets that, inside
//! libmodsecurity, and runs this.
//!
//! Both say of every value whether it is SQL, with which fingerprint, and whether it is script.
//! Every difference is shown; it is a failure unless `known.toml` says why it is there, and so is
//! a reason that no difference needs.

#![expect(clippy::disallowed_methods, reason = "this program reads files: it is a shell")]

mod inputs;
mod known;
mod random;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use seclang::{ByteSet, operator};

fn main() -> ExitCode {
    match compare() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("injection: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How many differences are new, and how many reasons are not needed.
fn compare() -> Result<usize> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tests, work, python, peer, count, seed] = arguments.as_slice() else {
        anyhow::bail!("usage: injection TESTS WORK PYTHON PEER COUNT SEED");
    };
    let inputs = inputs::all(Path::new(tests), count.parse()?, seed.parse()?)?;
    let said = ask(&PathBuf::from(work), Command::new(python).arg(peer), &inputs)?;
    ensure!(said.len() == inputs.len(), "{} answers to {} values", said.len(), inputs.len());
    let mut known = known::parse(include_str!("known.toml")).context("known.toml")?;
    let (mut sqli, mut xss, mut differences) = (0, 0, Vec::new());
    for (value, theirs) in inputs.iter().zip(&said) {
        let ours = ours(value);
        sqli += usize::from(!theirs.starts_with('-'));
        xss += usize::from(theirs.ends_with("xss"));
        if ours != *theirs {
            let why = known.iter_mut().find(|it| it.explains(value));
            let name = why.map_or("new", known::Known::count);
            let value = value.escape_ascii();
            let line = format!("injection: {name}: \"{value}\" is `{ours}`, C says `{theirs}`");
            differences.push((name == "new", line));
        }
    }
    // a peer that finds nothing would agree with anything that finds nothing
    ensure!(sqli.min(xss) * 50 > inputs.len(), "sqli={sqli} xss={xss}: too few");
    for (_, line) in &differences {
        println!("{line}");
    }
    let new = differences.iter().filter(|(new, _)| *new).count();
    let idle = known.iter().filter(|it| it.is_idle());
    let idle = idle.map(|it| println!("injection: nothing needs `{}`", it.name)).count();
    let (inputs, all) = (inputs.len(), differences.len());
    println!("injection: inputs={inputs} sqli={sqli} xss={xss} known={} new={new}", all - new);
    Ok(new + idle)
}

/// As the peer says it: the fingerprint, and whether it is script.
fn ours(value: &[u8]) -> String {
    let seen = ByteSet::seen(value);
    let sql = operator::is_sqli(value, seen);
    let fingerprint = if sql { operator::sqli_fingerprint(value) } else { None };
    let script = if operator::is_xss(value, seen) { "xss" } else { "-" };
    format!("{} {script}", fingerprint.as_deref().unwrap_or("-"))
}

fn ask(work: &Path, peer: &mut Command, inputs: &[Vec<u8>]) -> Result<Vec<String>> {
    let file = work.join("inputs");
    let lines: String = inputs.iter().map(|value| STANDARD.encode(value) + "\n").collect();
    fs::write(&file, lines).with_context(|| file.display().to_string())?;
    let output = peer.stdin(File::open(&file)?).output().context("start the peer")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the peer: {}: {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}
