//! A stop under load: what was recorded is shipped before the process ends.

use fixtures::harness::Setup;

use super::{Bench, foreign};
use crate::load::Load;

#[test]
fn what_is_recorded_is_in_the_sink() {
    let mut bench = Bench::start("recorded", Setup::default());
    let targets = ["/public", "/orders", "/nowhere", "/public/../orders", "/orders%2f1"];
    let ids: Vec<String> = targets.iter().map(|target| bench.ask(target)).collect();
    bench.stop_gateway();
    let examined = bench.examine(&ids);
    assert_eq!(examined.decisions.len(), ids.len());
    foreign::agrees(&bench);
    foreign::finds_what_was_spoiled(&bench);
}

#[test]
fn a_stop_ships_the_tail_and_closes_the_log() {
    let setup = Setup::default().change("deadline: 5s", "deadline: 2m");
    let mut bench = Bench::start("stop", setup);
    let load = Load::start(&bench.setting.client().expect("a client"), 32, &[("GET", "/public")]);
    load.go_on(500, 20);
    bench.stop_gateway();
    let answered = load.end();
    let examined = bench.examine(&answered);
    assert_eq!(examined.ends, ["log_close"]);
    foreign::agrees(&bench);
}
