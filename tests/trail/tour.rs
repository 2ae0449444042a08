//! The demo's tour on brokers that are given: `demo --once --kafka HOST:PORT`.

use std::process::Command;

use fixtures::{
    harness::{Work, binary},
    tour,
};

use super::broker;

#[test]
fn the_tour_comes_out_over_kafka_as_over_the_mock() {
    let dir = Work::new("kafka").expect("a directory");
    let kafka = broker(&dir);
    let mut command = Command::new(binary("fixtures").expect("the binary"));
    command.args(["tour", "--once", "--kafka", &kafka.bootstrap()]);
    let output = command.output().expect("the tour");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let rows = tour::rows().expect("rows");
    let (count, requests) = (rows.len(), rows.iter().map(|row| row.repeat).sum::<u64>());
    let last = format!(
        "demo: rows={count} as_expected={count} requests={requests} recorded={requests} verified=ok tamper_found=2/2"
    );
    assert_eq!(out.lines().last(), Some(last.as_str()), "{out}");
    assert!(
        out.contains(&format!("{}: Kafka;", kafka.bootstrap())),
        "it says where it goes:\n{out}"
    );
    println!("{last}");
}
