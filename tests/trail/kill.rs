//! `cargo xtask kill`: gateway and sink killed, Kafka away, under load. Prints where each kill fell.

use std::{
    thread,
    time::{Duration, Instant},
};

use fixtures::{
    harness::Setup,
    record::{number, text},
};

use super::Bench;
use crate::load::Load;

/// Clients that ask at once, and how many must wait for their answer when something is killed.
const CLIENTS: usize = 240;
const IN_FLIGHT: u64 = 200;
const KILLS: usize = 20;
/// Answers between two kills, at least.
const BETWEEN: u64 = 300;
const OUTAGE: Duration = Duration::from_secs(20);

/// What was true when the gateway was killed.
struct Fell {
    answered: u64,
    in_flight: u64,
}

/// Kills the gateway and starts it again.
fn kill_gateway(bench: &mut Bench, load: &Load, kill: usize) -> Fell {
    let in_flight = load.go_on(BETWEEN, IN_FLIGHT);
    bench.setting.gateway.process().kill().expect("kill");
    let fell = Fell { answered: load.answered(), in_flight };
    println!("gateway kill {kill}: {} answered, {in_flight} in flight", fell.answered);
    bench.setting.start_again().expect("start again");
    fell
}

fn kill_sink(bench: &mut Bench, load: &Load, kill: usize) {
    let in_flight = load.go_on(BETWEEN, IN_FLIGHT);
    let before: u64 = bench.sink.logs().expect("its logs").values().sum();
    bench.sink.kill_and_restart().expect("kill the sink");
    let answered = load.answered();
    println!("sink kill {kill}: {before} events kept, {answered} answered, {in_flight} in flight");
}

/// Stops Kafka for a while; answers go on.
fn outage(bench: &mut Bench, load: &Load) {
    load.go_on(BETWEEN, IN_FLIGHT);
    let (stopped, before) = (Instant::now(), load.answered());
    bench.kafka.stop(1).expect("stop kafka");
    load.go_on(BETWEEN, IN_FLIGHT);
    thread::sleep(OUTAGE.saturating_sub(stopped.elapsed()));
    let meanwhile = load.answered() - before;
    bench.kafka.restart(1).expect("restart kafka");
    println!("kafka stopped for {} s: {meanwhile} answered meanwhile", stopped.elapsed().as_secs());
}

#[test]
fn no_answer_is_without_its_event_whatever_is_killed() {
    let setup = Setup::default()
        .change("    limits:\n", "    limits:\n      connections_per_source: 1000\n")
        .change("bytes_max: 256MiB", "bytes_max: 4GiB")
        .change("deadline: 5s", "deadline: 5m");
    let mut bench = Bench::start("kill", setup);
    let load = Load::start(&bench.setting.client().expect("a client"), CLIENTS, &["/public"]);
    let fell: Vec<Fell> = (1..=KILLS).map(|kill| kill_gateway(&mut bench, &load, kill)).collect();
    (1..=KILLS).for_each(|kill| kill_sink(&mut bench, &load, kill));
    outage(&mut bench, &load);
    load.go_on(BETWEEN, 0);
    let answered = load.end();
    bench.stop_gateway();
    let examined = bench.examine(&answered);

    assert_eq!(examined.opened.len(), KILLS + 1, "a log for each start");
    for (kill, (fell, opened)) in fell.iter().zip(examined.opened.iter().skip(1)).enumerate() {
        let previous = |name: &str| number(opened, &format!("/unmapped/previous/{name}"));
        println!(
            "gateway kill {}: {} answered, {} in flight; `{}` ends after {} events, {} decisions open",
            kill + 1,
            fell.answered,
            fell.in_flight,
            text(opened, "/unmapped/previous/origin"),
            previous("size"),
            previous("open"),
        );
    }
    println!(
        "kill: gateway_kills={KILLS} sink_kills={KILLS} kafka_outage_s={} clients={CLIENTS} in_flight_min={IN_FLIGHT} answered={} decisions={} completions={} events={} lost=0 duplicates=0",
        OUTAGE.as_secs(),
        answered.len(),
        examined.decisions.len(),
        examined.completions.len(),
        examined.uids.len(),
    );
}
