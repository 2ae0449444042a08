//! What knowing the caller costs: a token that was verified before, and one that never was.

#![expect(clippy::expect_used, reason = "a bench stops if it cannot")]
#![allow(missing_docs, reason = "criterion's macros make functions")]

use std::{hint::black_box, sync::Arc, time::Duration};

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

/// `Authorization` fields with tokens of one algorithm, expired at `expires_s`.
fn fields(provider: &Idp, alg: &str, count: usize, expires_s: i64) -> Vec<String> {
    let key = provider.signer(alg).expect("a key");
    let token = |n: usize| {
        let mut claims: Value = provider.access_claims("alice").expect("claims");
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
        let field = fields(&provider, alg, 1, now_s - 1).remove(0);
        group.bench_function(format!("uncached/{alg}"), |b| b.iter(|| ask(black_box(&field))));
    }
    let fields = fields(&provider, "EdDSA", TOKENS, now_s + 3600);
    let mut turn = fields.iter().cycle();
    group.bench_function("cached", |b| b.iter(|| turn.next().map(|field| ask(black_box(field)))));
    group.finish();
}

criterion_group!(benches, identify);
criterion_main!(benches);
