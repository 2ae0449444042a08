//! What a worker looks at itself, and what is too much for it.

use super::*;
use crate::WafMode;

const FORM: &str = "application/x-www-form-urlencoded";

fn checks(waf: Inspect) -> Checks {
    Checks { waf, ..Checks::default() }
}

/// Whether a worker looks at it.
fn check(asked: Asked, inspect: Inspect, inline: bool) {
    let (request, conn) = (asked.request(), Conn::default());
    let seen = rules().observe_inline(&checks(inspect), &request, &conn);
    assert_eq!(seen.is_some(), inline, "{} bytes", request.inspected.bytes.len());
    if let Some((seen, _)) = seen {
        assert_eq!(seen, rules().observe(&checks(inspect), &request, &conn));
    }
}

#[test]
fn large_requests_are_not_for_a_worker() {
    let text = |bytes: usize| format!("a={}", "word+".repeat(bytes / 5));
    check(Asked::get("/orders?a=%3Cscript%3Ealert(1)%3C/script%3E"), Inspect::Body, true);
    check(Asked::post(FORM, text(16 << 10)), Inspect::Body, true);
    check(Asked::post(FORM, text(1 << 20)), Inspect::Body, false);
    check(Asked::post(FORM, text(1 << 20)), Inspect::Head, true);
    check(Asked::post(FORM, text(1 << 20)), Inspect::Nothing, true);
    let coded = Asked::post(FORM, text(256 << 10)).header("content-encoding", "gzip");
    check(coded, Inspect::Body, false);
    check(Asked::get("/").header("x-long", "a".repeat(1 << 20)), Inspect::Head, false);
}

#[test]
fn what_shows_to_be_too_much_on_the_way_is_not_for_a_worker() {
    let (request, conn) = (Asked::post(FORM, "a=%27+or+1%3D1--").request(), Conn::default());
    let checks = checks(Inspect::Body);
    let ((whole, _), work_bytes) = rules().look(&checks, &request, &conn, &limits());
    let within =
        |most: u64| rules().observe_within(&checks, &request, &conn, most).map(|(waf, _)| waf);
    assert!(work_bytes > rules().estimate(&checks, &request), "{work_bytes}");
    assert_eq!(within(work_bytes), Some(whole));
    assert_eq!(within(work_bytes - 1), None);
    assert_eq!(within(0), None);
}

#[test]
fn where_nobody_could_look_the_fact_says_so() {
    let settings = [
        RuleSettings::default(),
        RuleSettings { mode: WafMode::Shadow, threshold: Some(7), ..RuleSettings::default() },
    ];
    let rules = rules().viewed(&settings).expect("views");
    for (view, mode, threshold) in [
        (0, WafMode::Enforce, rules.threshold),
        (1, WafMode::Shadow, 7),
        (2, WafMode::Enforce, rules.threshold),
    ] {
        let checks = Checks { view, ..checks(Inspect::Body) };
        let waf = rules.unavailable(&checks, "share_full");
        assert_eq!((waf.health, waf.problem.as_str()), (Health::Unavailable, "share_full"));
        assert_eq!((waf.mode, waf.threshold, waf.score), (mode, threshold, 0), "{view}");
        assert!(waf.threshold > 0);
    }
}
