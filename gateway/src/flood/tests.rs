use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const BAD: Why = Why { kind: Kind::Unreadable, reason: "bare_lf" };
const DOTS: Why = Why { kind: Kind::Unreadable, reason: "dot_segment" };
const NOBODY: Why = Why { kind: Kind::Unauthenticated, reason: "unauthenticated" };

fn flood(per_source: u32, in_all: u32) -> Flood {
    Flood::new(Limits { per_source, in_all })
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The `nth` of many /64s.
fn network(nth: usize) -> IpAddr {
    Ipv6Addr::from_bits(u128::from(u32::try_from(nth).expect("a number")) << 64 | 1 << 120).into()
}

/// Which of these refusals, in this order, are recorded.
fn check(per_source: u32, in_all: u32, refusals: &[(&str, Why, bool)]) {
    let flood = flood(per_source, in_all);
    for (nth, (from, why, recorded)) in refusals.iter().enumerate() {
        let admit = flood.admit(ip(from), *why, 0);
        assert_eq!(admit == Admit::Record, *recorded, "refusal {nth} of {refusals:?}");
    }
}

#[test]
fn the_first_of_each_source_and_kind_are_recorded() {
    let (a, b) = ("192.0.2.1", "192.0.2.2");
    check(2, 9, &[(a, BAD, true), (a, BAD, true), (a, BAD, false), (a, BAD, false)]);
    check(2, 9, &[(a, BAD, true), (a, DOTS, true), (a, DOTS, false)]);
    check(1, 9, &[(a, BAD, true), (a, NOBODY, true), (a, Why::NOT_FOUND, true), (a, BAD, false)]);
    check(1, 9, &[(a, Why::NOT_FOUND, true), (a, Why::METHOD_NOT_ALLOWED, false)]);
    check(1, 9, &[(a, BAD, true), (b, BAD, true), (a, BAD, false), (b, BAD, false)]);
    check(1, 9, &[(a, BAD, true), ("::ffff:192.0.2.1", BAD, false)]);
    check(
        1,
        9,
        &[
            ("2001:db8::1", BAD, true),
            ("2001:db8::2:1", BAD, false),
            ("2001:db8:0:1::1", BAD, true),
        ],
    );
}

#[test]
fn all_sources_together_have_a_limit() {
    let (a, b, c) = ("192.0.2.1", "192.0.2.2", "192.0.2.3");
    check(9, 2, &[(a, BAD, true), (b, BAD, true), (c, BAD, false), (a, BAD, false)]);
    check(
        2,
        3,
        &[(a, BAD, true), (a, BAD, true), (a, BAD, false), (b, BAD, true), (b, BAD, false)],
    );
}

#[test]
fn what_is_counted_is_handed_out_once() {
    let flood = flood(1, 9);
    let (v4, v6) = (ip("192.0.2.1"), ip("2001:db8::7"));
    for (from, why, now_ms) in
        [(v4, BAD, 1), (v4, DOTS, 7), (v4, BAD, 5), (v4, DOTS, 6), (v6, NOBODY, 8), (v6, NOBODY, 9)]
    {
        flood.admit(from, why, now_ms);
    }
    let v4 = Source { ip: v4, prefix_bits: 32 };
    let v6 = Source { ip: ip("2001:db8::"), prefix_bits: 64 };
    let want = [
        Folded {
            source: v4,
            from_ms: 5,
            to_ms: 7,
            counts: vec![("bare_lf", 1), ("dot_segment", 2)],
        },
        Folded { source: v6, from_ms: 9, to_ms: 9, counts: vec![("unauthenticated", 1)] },
    ];
    assert_eq!(flood.drain().1, want);
    assert_eq!(flood.drain().1, []);
}

#[test]
fn a_new_window_has_new_budgets() {
    let flood = flood(1, 2);
    let one_batch = Admit::Fold(Batch(0));
    for (from, want) in
        [("192.0.2.1", Admit::Record), ("192.0.2.1", one_batch), ("192.0.2.2", Admit::Record)]
    {
        assert_eq!(flood.admit(ip(from), BAD, 0), want);
    }
    assert_eq!(flood.drain().1.len(), 1);
    assert_eq!(flood.admit(ip("192.0.2.1"), BAD, 1), Admit::Fold(Batch(1)), "a batch is no window");
    flood.renew();
    assert_eq!(flood.admit(ip("192.0.2.1"), BAD, 1), Admit::Record);
    assert_eq!(flood.admit(ip("192.0.2.2"), BAD, 1), Admit::Record);
    assert_eq!(flood.admit(ip("192.0.2.3"), BAD, 1), Admit::Fold(Batch(1)));
    let counts: Vec<u64> = flood.drain().1.iter().map(Folded::count).collect();
    assert_eq!(counts, [1, 1], "what was counted before the window's end is counted still");
}

#[tokio::test]
async fn who_is_counted_waits_until_that_is_recorded() {
    let flood = flood(0, 9);
    let admit = || match flood.admit(ip("192.0.2.1"), BAD, 0) {
        Admit::Fold(batch) => batch,
        Admit::Record => panic!("recorded"),
    };
    let waits = |batch| {
        let waits = flood.recorded(batch);
        async { tokio::time::timeout(std::time::Duration::from_millis(1), waits).await }
    };
    let first = admit();
    assert!(waits(first).await.is_err(), "nothing is recorded");
    let (batch, folded) = flood.drain();
    let second = admit();
    flood.tell(batch, Err(Uncounted));
    assert_eq!(waits(first).await, Ok(Err(Uncounted)));
    assert!(waits(second).await.is_err(), "its own batch is not over");
    folded.iter().for_each(|folded| flood.restore(folded));
    let (batch, folded) = flood.drain();
    assert_eq!(folded.iter().map(Folded::count).sum::<u64>(), 2);
    flood.tell(batch, Ok(()));
    for batch in [first, second] {
        assert_eq!(waits(batch).await, Ok(Ok(())));
    }
    let third = admit();
    flood.close();
    assert_eq!(waits(third).await, Ok(Err(Uncounted)));
    assert_eq!(waits(admit()).await, Ok(Err(Uncounted)), "nothing is recorded any more");
}

#[test]
fn connections_have_a_budget_of_their_own_and_bring_their_counts() {
    let flood = flood(1, 9);
    let ip = ip("192.0.2.1");
    let connection = |to_ms| Counted { ip, from_ms: 3, to_ms, counts: &[("reset", 4), ("tls", 2)] };
    assert_eq!(flood.admit(ip, BAD, 5), Admit::Record);
    assert_eq!(flood.admit_connection(connection(6)), Admit::Record);
    assert!(matches!(flood.admit_connection(connection(7)), Admit::Fold(_)));
    assert!(matches!(flood.admit_connection(connection(8)), Admit::Fold(_)));
    assert!(matches!(flood.admit(ip, BAD, 9), Admit::Fold(_)));
    flood.restore(&connection(7).folded());
    let source = Source { ip, prefix_bits: 32 };
    let counts = vec![("bare_lf", 1), ("reset", 12), ("tls", 6)];
    assert_eq!(flood.drain().1, [Folded { source, from_ms: 3, to_ms: 9, counts }]);
}

#[test]
fn what_could_not_be_recorded_is_handed_out_again() {
    let flood = flood(0, 9);
    let from = ip("192.0.2.1");
    flood.admit(from, BAD, 1);
    let folded = flood.drain().1;
    flood.admit(from, BAD, 2);
    folded.iter().for_each(|folded| flood.restore(folded));
    let counts = vec![("bare_lf", 2)];
    let source = Source { ip: from, prefix_bits: 32 };
    assert_eq!(flood.drain().1, [Folded { source, from_ms: 1, to_ms: 2, counts }]);
    let rest = Folded { source: Source::REST, from_ms: 1, to_ms: 1, counts: vec![("bare_lf", 3)] };
    flood.restore(&rest);
    assert_eq!(flood.lock().sources.len(), 1, "the rest is no source");
    assert_eq!(flood.drain().1, [rest]);
}

#[test]
fn sources_beyond_the_limit_are_counted_together() {
    let flood = flood(1, u32::MAX);
    for nth in 0..SOURCES_MAX {
        assert_eq!(flood.admit(network(nth), BAD, 0), Admit::Record);
    }
    assert!(matches!(flood.admit(network(SOURCES_MAX), BAD, 0), Admit::Fold(_)));
    assert!(matches!(flood.admit(network(SOURCES_MAX + 1), NOBODY, 0), Admit::Fold(_)));
    assert_eq!(flood.lock().sources.len(), SOURCES_MAX);
    assert_eq!(
        flood.admit(network(0), NOBODY, 0),
        Admit::Record,
        "a source that is known stays so"
    );
    let beyond = Folded {
        source: Source { ip: network(SOURCES_MAX), prefix_bits: 64 },
        from_ms: 0,
        to_ms: 0,
        counts: vec![("bare_lf", 1)],
    };
    flood.restore(&beyond);
    assert_eq!(flood.lock().sources.len(), SOURCES_MAX);
    let counts = vec![("bare_lf", 2), ("unauthenticated", 1)];
    assert_eq!(flood.drain().1, [Folded { source: Source::REST, counts, ..beyond }]);
}

#[test]
fn only_the_worst_sources_have_an_aggregate_of_their_own() {
    let check = |sources: usize, named: usize, rest: u64| {
        let flood = flood(0, 0);
        for nth in 0..sources {
            for _ in 0..=nth % 3 {
                flood.admit(network(nth), BAD, 0);
            }
        }
        let folded = flood.drain().1;
        let (last, counts): (Vec<_>, Vec<_>) =
            folded.iter().map(|folded| (folded.source == Source::REST, folded.count())).unzip();
        assert_eq!(last.iter().filter(|rest| !**rest).count(), named);
        assert!(counts[..named].is_sorted_by(|a, b| a >= b), "{counts:?}");
        assert_eq!(counts.get(named).copied().unwrap_or(0), rest);
    };
    check(NAMED_MAX, NAMED_MAX, 0);
    check(NAMED_MAX + 1, NAMED_MAX, 1);
    check(NAMED_MAX * 3, NAMED_MAX, NAMED_MAX as u64 * 3);
}

#[test]
fn no_aggregate_has_too_many_reasons() {
    let reasons: Vec<&'static str> =
        (0..=REASONS_MAX).map(|nth| &*format!("r{nth:03}").leak()).collect();
    let check = |reasons: &[&'static str], want: &[usize]| {
        let flood = flood(0, 0);
        for reason in reasons {
            flood.admit(ip("192.0.2.1"), Why { reason, ..BAD }, 0);
        }
        let folded = flood.drain().1;
        let lengths: Vec<usize> = folded.iter().map(|folded| folded.counts.len()).collect();
        assert_eq!(lengths, want);
    };
    check(&reasons[1..], &[REASONS_MAX]);
    check(&reasons, &[REASONS_MAX, 1]);
}

#[test]
fn only_refusals_that_cost_nothing_are_counted() {
    for class in Class::ALL {
        let may = matches!(class, Class::Unauthenticated | Class::Throttled);
        assert_eq!(Why::refused(class).map(|why| why.reason), may.then(|| class.as_str()));
    }
}

#[test]
fn the_event_has_what_was_counted() {
    let counts = vec![("bare_lf", 3), ("dot_segment", 4)];
    let source = Source { ip: ip("2001:db8::"), prefix_bits: 64 };
    let folded = Folded { source, from_ms: 5, to_ms: 9, counts };
    let aggregate = folded.aggregate();
    assert_eq!((aggregate.start_ms, aggregate.end_ms), (5, 9));
    assert_eq!((aggregate.source, aggregate.prefix_bits), (source.ip, 64));
    assert_eq!((aggregate.count(), folded.count()), (7, 7));
}

#[derive(Debug, Clone)]
enum Step {
    Refuse {
        from: u8,
        why: Why,
    },
    /// The window ends, and of what was counted this many are recorded.
    End {
        recorded: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let whys = [BAD, DOTS, NOBODY, Why::NOT_FOUND, Why::METHOD_NOT_ALLOWED];
    prop_oneof![
        20 => (0..5_u8, proptest::sample::select(whys.to_vec()))
            .prop_map(|(from, why)| Step::Refuse { from, why }),
        1 => (0..4_usize).prop_map(|recorded| Step::End { recorded }),
    ]
}

proptest! {
    #[test]
    fn every_refusal_is_recorded_or_counted_exactly_once(
        steps in proptest::collection::vec(step(), 0..400),
        per_source in 0..4_u32,
        in_all in 0..20_u32,
    ) {
        let flood = flood(per_source, in_all);
        let mut refused: BTreeMap<(Source, &str), u64> = BTreeMap::new();
        let mut told = BTreeMap::new();
        let mut add = |source, reason, count| *told.entry((source, reason)).or_insert(0) += count;
        for (now_ms, step) in (0..).zip(steps) {
            match step {
                Step::Refuse { from, why } => {
                    let from = IpAddr::from([192, 0, 2, from]);
                    let source = Source { ip: from, prefix_bits: 32 };
                    *refused.entry((source, why.reason)).or_insert(0) += 1;
                    if flood.admit(from, why, now_ms) == Admit::Record {
                        add(source, why.reason, 1);
                    }
                }
                Step::End { recorded } => {
                    for (nth, folded) in flood.drain().1.iter().enumerate() {
                        if nth >= recorded {
                            flood.restore(folded);
                            continue;
                        }
                        for (reason, count) in &folded.counts {
                            add(folded.source, *reason, *count);
                        }
                    }
                }
            }
        }
        for folded in flood.drain().1 {
            for (reason, count) in folded.counts {
                add(folded.source, reason, count);
            }
        }
        prop_assert_eq!(refused, told);
    }
}
