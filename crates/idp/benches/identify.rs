//! What knowing the caller costs in CPU time: a token that was verified before, and one that never
//! was.

#![allow(clippy::indexing_slicing, reason = "a bench fails loudly")]
#![expect(clippy::expect_used, reason = "a bench stops if it cannot")]
#![allow(missing_docs, reason = "criterion's macros make functions")]

use std::{fs, hint::black_box, sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use fixtures::idp::{AUDIENCE, Idp, access_header, now_s};
use idp::{Algorithm, ClaimMap, Guard, IssuerConfig, Issuers};
use serde_json::{Value, json};
use signals::PrincipalKind;
use tokio::runtime::Runtime;

/// Tokens in turn: more than fit the processor's nearest caches.
const TOKENS: usize = 256;
const LEEWAY: Duration = Duration::from_secs(30);

fn config(provider: &Idp) -> IssuerConfig {
    IssuerConfig {
        name: "corp".to_owned(),
        url: provider.issuer().to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
        token_types: vec!["at+jwt".to_owned()],
        claims: ClaimMap {
            kind: PrincipalKind::User,
            groups: Some("groups".to_owned()),
            attributes: Vec::new(),
        },
        leeway: LEEWAY,
        refresh: Duration::from_secs(3600),
        unknown_key_cooldown: Duration::from_secs(3600),
        guard: Guard {
            allow_private_addresses: true,
            allow_plain_http: true,
            trust_anchors_pem: None,
        },
    }
}

/// What this thread has used of a processor, from `/proc/thread-self/schedstat`: a busy machine
/// changes it little.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    let used = text.split(' ').next().expect("a first field");
    Duration::from_nanos(used.parse().expect("nanoseconds"))
}

/// The CPU time of so many calls.
fn measured<T>(calls: u64, mut call: impl FnMut() -> T) -> Duration {
    let begun = cpu();
    for _ in 0..calls {
        black_box(call());
    }
    cpu() - begun
}

/// `Authorization` fields with tokens of one algorithm that say when they expire.
fn fields(provider: &Idp, alg: &str, count: usize, now_s: i64, expires_s: i64) -> Vec<String> {
    let key = provider.signer(alg).expect("a key");
    let token = |n: usize| {
        let mut claims: Value = provider.access_claims("alice").expect("claims");
        claims["iat"] = json!(now_s);
        claims["exp"] = json!(expires_s);
        claims["jti"] = json!(n);
        let token = key.compact(&access_header(&key), &claims).expect("a token");
        format!("Bearer {token}")
    };
    (0..count).map(token).collect()
}

fn identify(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let provider = Idp::start(0, 0).expect("a provider");
    let issuers = Arc::new(Issuers::new(vec![config(&provider)]).expect("issuers"));
    runtime.spawn({
        let issuers = Arc::clone(&issuers);
        async move { issuers.run().await }
    });
    let allowed = ["corp".to_owned()];
    let now_s = now_s();
    let ask = |field: &str| {
        let identity = runtime.block_on(issuers.identify(&allowed, &[field.as_bytes()], now_s));
        assert!(identity.fact.verified, "{}", identity.fact.problem);
        identity
    };
    let mut group = c.benchmark_group("identify");
    for alg in ["RS256", "ES256", "EdDSA"] {
        // Expired, yet within the leeway: such a token is verified each time.
        let field = fields(&provider, alg, 1, now_s, now_s - 1).remove(0);
        group.bench_function(format!("uncached/{alg}"), |bencher| {
            bencher.iter_custom(|calls| measured(calls, || ask(black_box(&field))));
        });
    }
    let fields = fields(&provider, "EdDSA", TOKENS, now_s, now_s + 3600);
    let mut turn = fields.iter().cycle();
    group.bench_function("cached", |bencher| {
        let mut next = || turn.next().map(|field| ask(black_box(field)));
        bencher.iter_custom(|calls| measured(calls, &mut next));
    });
    group.finish();
}

criterion_group!(benches, identify);
criterion_main!(benches);
