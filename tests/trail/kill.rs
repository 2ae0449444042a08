//! `cargo xtask kill`: gateway and sink killed, Kafka away, under load. Prints where each kill fell.

use std::{
    thread,
    time::{Duration, Instant},
};

use fixtures::{
    harness::{Setup, wait_for},
    record::{number, text},
};

use super::{Bench, LIMIT};
use crate::load::Load;

/// Clients that ask at once, and how many must wait for their answer when something is killed.
const CLIENTS: usize = 240;
const IN_FLIGHT: u64 = 200;
const KILLS: usize = 20;
/// Answers between two kills, at least.
const BETWEEN: u64 = 300;
/// Asked while the sink is killed and Kafka is away: so slow upstream that the load stays bounded.
const STEADY: [(&str, &str); 1] = [("GET", "/slow?ms=200")];
/// Asked while the gateway is killed: `gated`, `strict`, a method that no route has, and what cannot
/// be read.
const MIXED: [(&str, &str); 8] = [
    ("GET", "/public"),
    ("POST", "/public"),
    ("GET", "/public"),
    ("PURGE", "/public"),
    ("GET", "/public"),
    ("HEAD", "/public"),
    ("GET", "/public"),
    ("GET", "/public/../public"),
];
const HOST: &str = "api.example.test";
const OUTAGE: Duration = Duration::from_secs(20);

/// What was true when the gateway was killed.
struct Fell {
    answered: u64,
    in_flight: u64,
}

/// Kills the gateway and starts it again.
fn kill_gateway(bench: &mut Bench, load: &Load, kill: usize) -> Fell {
    // Logs of several lengths.
    let in_flight = load.go_on(BETWEEN * (1 + kill as u64 % 4), IN_FLIGHT);
    bench.setting.gateway.process().kill().expect("kill");
    let fell = Fell { answered: load.answered(), in_flight };
    println!("gateway kill {kill}: {} answered, {in_flight} in flight", fell.answered);
    bench.setting.start_again().expect("start again");
    fell
}

/// Kills the sink in its work: once it keeps more than when it was killed last, which was `kept`.
fn kill_sink(bench: &mut Bench, load: &Load, kill: usize, kept: u64) -> u64 {
    let in_flight = load.go_on(BETWEEN, IN_FLIGHT);
    let before = wait_for("the sink's work", LIMIT, || {
        let now: u64 = bench.sink.logs()?.values().sum();
        Ok((now > kept).then_some(now))
    });
    let before = before.expect("it goes on");
    bench.sink.kill_and_restart().expect("kill the sink");
    let answered = load.answered();
    println!("sink kill {kill}: {before} events kept, {answered} answered, {in_flight} in flight");
    before
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
    let setup = Setup::open(HOST, false)
        .change("    limits:\n", "    limits:\n      connections_per_source: 1000\n")
        .change("bytes_max: 256MiB", "bytes_max: 4GiB")
        .change("deadline: 5s", "deadline: 5m");
    let mut bench = Bench::start("kill", setup);
    let client = bench.setting.client_of(HOST).expect("a client");
    let load = Load::start(&client, CLIENTS, &MIXED);
    let fell: Vec<Fell> = (1..=KILLS).map(|kill| kill_gateway(&mut bench, &load, kill)).collect();
    let mut answered = load.end();

    let load = Load::start(&client, CLIENTS, &STEADY);
    (1..=KILLS).fold(0, |kept, kill| kill_sink(&mut bench, &load, kill, kept));
    outage(&mut bench, &load);
    load.go_on(BETWEEN, 0);
    answered.extend(load.end());
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
