//! Taking in and storing: verification, tiles, index and their syncs, in batches as `run` has.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot set up may end"
)]

use std::time::Duration;

use audit_sink::{Event, Evidence, Ingest, Manifest, Position};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sample::{Keys, Log, START_MS, Sent};

#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../src/sample.rs"]
mod sample;

/// Events of one run, and of one batch.
const EVENTS: usize = 50_000;
const BATCH: usize = 2_000;

/// Events of a commit group, as a busy gateway has.
const GROUP: usize = 100;

/// Logs that interleave, an event of each after the other.
const LOGS: usize = 4;

/// Bytes of an event's facts: 1.5 KiB in all.
const FACTS_BYTES: usize = 1_200;

fn logs(keys: &Keys) -> Vec<Log> {
    let log = |n: usize| {
        let mut log = Log::new(keys, &format!("gw-{n}"), EVENTS / LOGS);
        let facts =
            format!(r#","unmapped":{{"facts":"{}","previous":null}}}}"#, "f".repeat(FACTS_BYTES));
        for value in &mut log.values[1..] {
            value.pop();
            value.push_str(&facts);
        }
        log
    };
    (0..LOGS).map(log).collect()
}

fn ingest(c: &mut Criterion) {
    let keys = Keys::new();
    let logs = logs(&keys);
    let sent: Vec<Vec<Sent>> = logs.iter().map(|log| log.sent_in_groups_of(GROUP)).collect();
    let messages = || (0..EVENTS).map(|n| sent[n % LOGS][n / LOGS].clone());
    let mut group = c.benchmark_group("ingest");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(10);
    group.measurement_time(Duration::from_secs(30));
    group.bench_function("50k", |bench| {
        let set_up = || (tempfile::tempdir().unwrap(), messages().collect::<Vec<_>>());
        bench.iter_batched(
            set_up,
            |(directory, messages)| take(&keys, &logs, directory, messages),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn take(
    keys: &Keys,
    logs: &[Log],
    directory: tempfile::TempDir,
    messages: Vec<Sent>,
) -> tempfile::TempDir {
    let evidence = Evidence::lock(directory.path()).unwrap();
    let manifest = Manifest::open(&evidence.manifest()).unwrap();
    let mut ingest = Ingest::resume(keys.root().clone(), evidence, manifest).unwrap();
    for (key, note) in logs.iter().flat_map(Log::statements) {
        ingest.statement(&key, &note).unwrap();
    }
    for (offset, Sent { origin, index, value, proof }) in messages.into_iter().enumerate() {
        let partition = i32::try_from(offset % LOGS).unwrap();
        let offset_in_partition = i64::try_from(offset / LOGS).unwrap();
        let topic = "audit.events.v1".to_owned();
        let at = Position { topic, partition, offset: offset_in_partition };
        let event = Event { origin, index, value: value.into_bytes(), proof };
        ingest.event(at, event, START_MS).unwrap();
        if offset % BATCH == BATCH - 1 {
            let found = ingest.commit(START_MS).unwrap();
            assert!(found.iter().all(|finding| finding.kind.as_str() == "clock"), "{found:?}");
        }
    }
    ingest.commit(START_MS).unwrap();
    directory
}

criterion_group!(benches, ingest);
criterion_main!(benches);
