//! The regression tests of the OWASP CRS through the running product: each stage as bytes on a
//! socket of its own, and the rules that matched as the record has them. `cargo xtask ftw` gets the
//! tests and runs this.
//!
//! Rules are in shadow, so that no stage is refused for what they find. What stands between a
//! client and the rules stays as it is, and so do its refusals: a request that cannot be read is
//! refused and recorded before rules look, and is counted as that, not as passed.

mod report;
mod through;

use std::{env, path::Path, time::Instant};

use ftw::Override;
use report::{Floor, Report};
use through::Through;

/// The sets, the variables that name their directories, and what they must not fall below.
const SETS: [(&str, &str, Floor); 2] = [
    ("crs425", "FTW_CRS425", Floor { bar: 4630, good: 4660, missed: 0 }),
    ("crs429", "FTW_CRS429", Floor { bar: 5000, good: 5031, missed: 0 }),
];
/// What may come out otherwise than the suite expects.
const OVERRIDES_MAX: usize = 36;
const OVERRIDES: &str = include_str!("ftw/overrides.yaml");

#[test]
fn the_regression_tests_go_through_the_gateway() {
    let overrides = ftw::read_overrides(OVERRIDES).expect("overrides.yaml");
    let (mut ran, mut wrong) = (0, Vec::new());
    for (set, variable, floor) in SETS {
        let Some(dir) = env::var_os(variable) else { continue };
        let report = one(set, Path::new(&dir), &floor, &overrides);
        wrong.extend(report.held_to(set, &floor, OVERRIDES_MAX));
        println!("ftw-gateway: set={set} {report}");
        ran += 1;
    }
    assert!(ran > 0, "`cargo xtask ftw` says where the tests are");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn one(set: &str, dir: &Path, floor: &Floor, overrides: &[Override]) -> Report {
    let copy = ftw::Copy::find(dir).expect("a copy of the CRS");
    let stages = ftw::read(&copy.tests.clone().expect("its tests")).expect("the tests");
    let through = Through::start(set, &copy, &stages).expect("the product");
    let start = Instant::now();
    let shown = through.show(&stages).expect("what the stages show");
    let took = start.elapsed();
    let report = report::report(&stages, &shown, overrides);
    println!("{set}, through the gateway in {} s: {}", took.as_secs(), report.table(floor.bar));
    report
}
