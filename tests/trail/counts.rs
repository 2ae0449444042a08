//! The mix of `e2e::counts` through real Kafka: what clients did and heard is held against the sink.

use fixtures::record::Record;

use super::Bench;
use crate::e2e::counts;

#[test]
fn heads_are_what_the_sink_has() {
    let setup = counts::setup().change("deadline: 5s", "deadline: 2m");
    let mut bench = Bench::start("counts", setup);
    bench.sink.wait_ready().expect("the sink");
    let mixed = counts::mix(&bench.setting, || Ok(Record::new(bench.sink.events()?)));
    bench.stop_gateway();
    let ids: Vec<String> = mixed.ids.iter().cloned().collect();
    let examined = bench.examine(&ids);
    assert_eq!(examined.ends, ["log_close"]);
    mixed.hold(&Record::new(bench.sink.events().expect("the sink's events")));
}
