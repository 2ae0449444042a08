//! What a gateway could not ship is named at its end, and shipped by the next start.

use std::fs;

use fixtures::{
    harness::Setup,
    record::{number, text},
};

use super::{Bench, foreign, logs_in_spool};

#[test]
fn a_log_that_was_left_is_shipped_by_the_next_start() {
    let setup = Setup::default().change("deadline: 5s", "deadline: 1s");
    let mut bench = Bench::start("left", setup);
    let mut ids = vec![bench.ask("/public")];
    bench.kafka.stop(1).expect("stop kafka");

    // Stopped without Kafka: the end says what is left.
    ids.push(bench.ask("/public"));
    let status = bench.setting.gateway.stop().expect("the gateway's end");
    assert_eq!(status.code(), Some(1));
    let [first] = &logs_in_spool(&bench.setting)[..] else { panic!("one log was to be left") };
    let said = bench.setting.gateway.process().output();
    let line = said.lines().rev().find(|line| line.contains("not shipped"));
    let line = line.unwrap_or_else(|| panic!("nothing of what is left in:\n{said}"));
    assert!(line.contains(first.as_str()) && line.contains("events of"), "{line}");

    // Started and killed without Kafka: readiness and answers do not depend on it.
    bench.setting.start_again().expect("a start without kafka");
    ids.push(bench.ask("/public"));
    bench.setting.gateway.process().kill().expect("kill");
    assert_eq!(logs_in_spool(&bench.setting).len(), 2);

    bench.kafka.restart(1).expect("restart kafka");
    let config = fs::read_to_string(bench.setting.config()).expect("the configuration");
    let patient = config.replace("deadline: 1s", "deadline: 2m");
    fs::write(bench.setting.config(), patient).expect("write");
    bench.setting.start_again().expect("start again");
    ids.push(bench.ask("/public"));
    bench.stop_gateway();
    let examined = bench.examine(&ids);
    assert_eq!(examined.decisions.len(), ids.len());
    let [_, second, third] = &examined.opened[..] else { panic!("{} logs", examined.opened.len()) };
    for (log, previous) in [(second, &examined.opened[0]), (third, second)] {
        let origin = text(log, "/unmapped/previous/origin");
        assert_eq!(origin, text(previous, "/unmapped/origin"));
    }
    assert!(text(&examined.opened[0], "/unmapped/origin").ends_with(first.as_str()));
    assert_eq!(second.pointer("/unmapped/previous/closed"), Some(&true.into()));
    assert_eq!(third.pointer("/unmapped/previous/closed"), Some(&false.into()));
    assert_eq!(examined.ends[0], "log_close");
    assert_ne!(examined.ends[1], "log_close");
    assert_eq!(examined.ends[2], "log_close");
    let sizes = bench.sink.logs().expect("the sink's logs");
    assert_eq!(sizes[text(second, "/unmapped/origin")], number(third, "/unmapped/previous/size"));
    foreign::agrees(&bench);
}
