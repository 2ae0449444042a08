//! What is shown against real Apache Kafka. Prints the broker's version.

use std::net::TcpStream;

use fixtures::{
    harness::Work,
    kafka::Kafka,
    topic::{self, Entry},
};

const TOPIC: &str = "audit.events.v1";

fn entry(offset: i64) -> Entry {
    let (key, value) = (b"origin".to_vec(), offset.to_string().into_bytes());
    Entry { partition: 0, offset, key, value, headers: Vec::new() }
}

#[test]
fn what_kafka_acknowledged_outlives_a_kill_and_a_stop() {
    let work = Work::new("kafka").expect("work");
    let mut kafka = Kafka::start(work.path(), 1).expect("kafka");
    println!("Apache Kafka {}", kafka.version(1).expect("a version"));
    let first = kafka.id(1).expect("a process id");
    topic::write(&kafka.bootstrap(), TOPIC, &[entry(0), entry(1)]).expect("acknowledged");

    kafka.kill(1).expect("kill");
    assert!(TcpStream::connect(kafka.bootstrap()).is_err(), "a killed broker accepts");
    kafka.restart(1).expect("restart");
    assert_ne!(kafka.id(1), Some(first));
    topic::write(&kafka.bootstrap(), TOPIC, &[entry(2)]).expect("acknowledged");

    let bootstrap = kafka.bootstrap();
    kafka.down().expect("down");
    let again = Kafka::start(work.path(), 1).expect("kafka on the same data");
    assert_eq!(again.bootstrap(), bootstrap);
    assert_eq!(topic::read(&bootstrap, TOPIC).expect("read"), [entry(0), entry(1), entry(2)]);
}
