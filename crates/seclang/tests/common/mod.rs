//! What tests that run whole rule sets share.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops if it cannot begin")]

use std::{
    env,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use seclang::{File, Overlay, RuleSet, Settings};

#[allow(dead_code, reason = "each test uses a part")]
#[path = "../../examples/benign/crs.rs"]
mod crs;
#[allow(dead_code, reason = "each test uses a part")]
#[path = "../../examples/benign/files.rs"]
mod files;
#[path = "../../examples/benign/random.rs"]
mod random;

pub(crate) use random::Random;

/// Rules of our own that use every filter.
const OWN: &str = include_str!("../data/filters.conf");

/// The CRS as a Go module, which `cargo xtask ftw` gets.
const MODULE: &str = "github.com/corazawaf/coraza-coreruleset/v4@v4.25.0";

/// Our rules.
pub(crate) fn own() -> RuleSet {
    let file = File { name: "filters.conf".to_owned(), text: OWN.as_bytes().to_vec() };
    let loaded = RuleSet::load(&[file], &|_| Err("there is no other file".to_owned()));
    loaded.unwrap_or_else(|problems| panic!("{problems:#?}")).rules
}

/// A copy of the CRS, if this machine has one: what `CRS_DIR` names, or what Go has downloaded.
pub(crate) fn crs_dir() -> Option<PathBuf> {
    if let Some(dir) = env::var_os("CRS_DIR").filter(|dir| !dir.is_empty()) {
        return Some(PathBuf::from(dir));
    }
    let output = Command::new("go").args(["env", "GOMODCACHE"]).output().ok()?;
    let cache = String::from_utf8(output.stdout).ok()?;
    let dir = PathBuf::from(cache.trim()).join(MODULE);
    dir.is_dir().then_some(dir)
}

/// The rules of a copy of the CRS, all of which run.
pub(crate) fn crs(dir: &std::path::Path) -> (RuleSet, Overlay) {
    let rules = crs::load(dir).unwrap_or_else(|error| panic!("{error:#}"));
    let settings = Settings { paranoia: Some(4), ..Settings::default() };
    let overlay = rules.overlay(&settings).expect("the CRS has levels");
    (rules, overlay)
}

/// Does something for each number below a limit, on every core.
#[allow(dead_code, reason = "each test uses a part")]
pub(crate) fn each(limit: usize, act: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= limit {
                        return;
                    }
                    act(number);
                }
            });
        }
    });
}
