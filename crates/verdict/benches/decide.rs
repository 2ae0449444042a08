//! CPU time of one decision with the starter policies: inputs, evaluation and basis.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use signals::{Facts, Identity, Principal, PrincipalKind};
use verdict::{Action, Question, Resource};

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a bench, like a test, stops at a mistake")]
#[path = "../tests/policies/support.rs"]
mod support;

fn decide(criterion: &mut Criterion) {
    let policies = support::load(&support::starter());
    let alice = Principal {
        kind: PrincipalKind::User,
        id: "corp|alice".to_owned(),
        groups: vec!["corp|customers".to_owned()],
        ..Principal::default()
    };
    let mut facts = Facts::default();
    facts.conn.ip = [203, 0, 113, 7].into();
    facts.token.scope = ["openid", "orders:read", "orders:write"].map(str::to_owned).into();
    facts.token.audience = vec!["https://api.example.test".to_owned()];
    facts.token.amr = vec!["pwd".to_owned(), "otp".to_owned()];
    let identity = Identity { principal: alice, ..Identity::default() };
    let action = |name: &str| Action { namespace: "Orders".to_owned(), name: name.to_owned() };
    let resource = Resource {
        kind: "Orders::Order".to_owned(),
        id: "o-1001".to_owned(),
        api: "orders".to_owned(),
    };
    for (name, action) in [("allow", action("get")), ("deny", action("delete"))] {
        let question = Question {
            principal: &identity,
            action: &action,
            resource: &resource,
            context: &facts,
        };
        criterion.bench_function(&format!("decide/{name}"), |bencher| {
            bencher.iter(|| policies.decide(black_box(&question), ()));
        });
    }
}

fn load(criterion: &mut Criterion) {
    let source = support::starter();
    criterion.bench_function("load/starter", |bencher| {
        bencher.iter(|| support::load(black_box(&source)));
    });
}

criterion_group!(benches, decide, load);
criterion_main!(benches);
