//! What recording costs: one decision and its completion, from the call to the synced file.
//!
//! `record/…` is wall-clock time per event pair with that many requests in flight; the CPU time
//! of the whole process per event (callers, writer, kernel) is printed beside it.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a bench measures time, and stops if it cannot"
)]
#![allow(missing_docs, reason = "criterion's macros make functions")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledger::event::{
    Actor, ActorKind, Call, Completion, Connection, Decision, DecisionFields, HttpRequest, Json,
    Outcome, Producer, Resource, Subject, Verdict,
};
use ledger::keys::{Issuer, OriginPrefix, Root, Validity};
use ledger::note::{PrivateKey, Signer};
use ledger::{Compress, Durability, Ledger, Options, SpoolOptions};
use uuid::Uuid;

const NOW_MS: i64 = 1_795_262_951_123;
/// As large as a decision with all facts is.
const FACTS_BYTES: usize = 2500;

fn now() -> i64 {
    NOW_MS
}

fn producer() -> Producer {
    Producer {
        version: "0.1.0".into(),
        log: "audit.acme.example/eu1/gw-a".into(),
        instance: "gw-a".into(),
    }
}

fn issuer() -> Issuer {
    let root =
        Root::new("audit.acme.example/root", &PrivateKey::from_seed([1; 32])).expect("a root");
    let private = PrivateKey::from_seed([2; 32]);
    let key = Signer::new("audit.acme.example/eu1/issuer", &private).expect("a signer");
    let prefix = OriginPrefix::parse("audit.acme.example/eu1").expect("a prefix");
    let start_s = u64::try_from(NOW_MS / 1000).expect("a time");
    let validity = Validity::new(start_s - 1000, start_s + 1_000_000).expect("a validity");
    let certificate = root.certify(key.verifier_key(), &prefix, validity).expect("a certificate");
    Issuer::open(&private, &certificate, root.verifier_key()).expect("an issuer")
}

fn facts() -> Json {
    let fact = r#"{"health":"ok","rules":["942100","942110"],"score":5,"inspected_bytes":1234},"#;
    let facts: String = fact.chars().cycle().take(FACTS_BYTES / fact.len() * fact.len()).collect();
    let list = format!("[{}]", facts.trim_end_matches(','));
    json(&list)
}

fn json(text: &str) -> Json {
    let value: serde_json::Value = serde_json::from_str(text).expect("json");
    Json::of(&value).expect("json")
}

fn decision(facts: &Json, producer: &Producer) -> Decision {
    let none = || Json::of(&serde_json::Map::new()).expect("an object");
    let call = Call {
        actor: Actor {
            kind: ActorKind::User,
            id: "acme|u-17",
            groups: &[],
            idp: "acme",
            issuer: "https://idp.acme.example",
            client: "web-shop",
        },
        service: "orders",
        operation: "read",
        resource: Resource { kind: "Orders::Order", id: "o-98213" },
        verdict: Verdict::Allow { determining: &[] },
        policies: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        firewall_rule: None,
        risk_score: None,
        question: none(),
        facts: facts.clone(),
        cedar: none(),
    };
    let fields = DecisionFields {
        uid: Uuid::now_v7(),
        received_ms: NOW_MS,
        decided_ms: NOW_MS,
        subject: Subject::Call(Box::new(call)),
        route: Some("orders-read"),
        durability: Durability::Gated,
        http: HttpRequest {
            method: Some("GET"),
            path: Some("/v1/orders/o-98213"),
            ..Default::default()
        },
        conn: Connection { ip: [203, 0, 113, 24].into(), port: 51344, proxies: &[], tls: None },
        trace: None,
        request_digest: Some([0xab; 32]),
    };
    fields.seal(producer).expect("a decision")
}

/// CPU time of this process, all threads, user and system, to a hundredth of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("statistics of this process");
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("ticks"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

async fn one(ledger: &Ledger, facts: &Json) {
    let decision = decision(facts, ledger.producer());
    let receipt = ledger.open(decision, Durability::Gated, ()).await.expect("a receipt");
    let ((), mut open) = receipt.split();
    open.synced().await.expect("a sync");
    open.close(Completion::new(Outcome::Answered, NOW_MS));
}

fn record(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let facts = facts();
    let mut group = criterion.benchmark_group("record");
    group
        .throughput(Throughput::Elements(2))
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    for compress in [Compress::Never, Compress::Always] {
        for in_flight in [1_u64, 16, 256] {
            let dir = tempfile::tempdir().expect("a directory");
            let mut spool = SpoolOptions::new(dir.path(), 16 << 30);
            spool.volatile = true;
            spool.compress = compress;
            let ledger =
                Ledger::start(Options::new(producer(), issuer(), spool, now)).expect("a ledger");
            let (mut spent, mut pairs) = (Duration::ZERO, 0);
            group.bench_function(format!("{compress:?}/{in_flight}"), |bencher| {
                bencher.iter_custom(|rounds| {
                    let begun = (Instant::now(), cpu());
                    let per_task = rounds.div_ceil(in_flight);
                    let local = tokio::task::LocalSet::new();
                    for _ in 0..in_flight.min(rounds) {
                        let (ledger, facts) = (ledger.clone(), facts.clone());
                        local.spawn_local(async move {
                            for _ in 0..per_task {
                                one(&ledger, &facts).await;
                            }
                        });
                    }
                    runtime.block_on(local);
                    spent += cpu() - begun.1;
                    pairs += per_task * in_flight.min(rounds);
                    begun.0.elapsed()
                });
            });
            let per_event = spent.as_secs_f64() * 1e6 / (pairs * 2) as f64;
            println!("record compress={compress:?}/{in_flight}: cpu_us_per_event={per_event:.2}");
            runtime.block_on(ledger.close()).expect("an end");
        }
    }
    group.finish();
}

/// Making the two events alone, to tell it from recording them.
fn make(criterion: &mut Criterion) {
    let (facts, producer) = (facts(), producer());
    criterion.bench_function("make/decision", |bencher| {
        bencher.iter(|| decision(black_box(&facts), &producer));
    });
    let (_, reference) = decision(&facts, &producer).into_parts();
    criterion.bench_function("make/completion", |bencher| {
        let completion = Completion::new(Outcome::Answered, NOW_MS);
        bencher.iter(|| completion.record(Uuid::now_v7(), black_box(&reference), &producer));
    });
}

criterion_group!(benches, make, record);
criterion_main!(benches);
