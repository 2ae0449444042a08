//! Transactions. What the engine leaves out because the bytes in a value rule it out changes
//! nothing: with and without such filters a request has the same outcome in every part.

use std::sync::OnceLock;

use seclang::{File, Limits, MatchedData, Outcome, Overlay, Request, RuleSet};

/// Rules that use every filter; the engine's own tests run them, too.
const RULES: &str = include_str!("../../../crates/seclang/tests/data/filters.conf");

/// Bytes that are looked at.
const BYTES_MAX: usize = 8 << 10;

/// Looks at a request: its target, its content type and a cookie are the first three lines, the
/// rest is its body. Accepted is one that a rule beside the first ones matches.
pub fn seclang_filters(data: &[u8]) -> bool {
    let data = data.get(..BYTES_MAX).unwrap_or(data);
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (target, kind, cookie, body) = (line(), line(), line(), line());
    let headers = [(&b"Content-Type"[..], kind), (&b"Cookie"[..], cookie)];
    let request = Request {
        method: b"POST",
        target,
        protocol: b"HTTP/1.1",
        headers: &headers,
        body,
        client: std::net::IpAddr::from([192, 0, 2, 1]),
        client_port: 1,
        id: "1",
    };
    let with = look(&request, true);
    assert_eq!(with, look(&request, false));
    with.hits.iter().any(|hit| hit.id >= 10)
}

fn look(request: &Request<'_>, filters: bool) -> Outcome<'static> {
    static RULE_SET: OnceLock<(RuleSet, Overlay)> = OnceLock::new();
    let (rules, overlay) = RULE_SET.get_or_init(|| {
        let file = File { name: "filters.conf".to_owned(), text: RULES.as_bytes().to_vec() };
        let loaded = RuleSet::load(&[file], &|_| Err("there is no other file".to_owned()));
        (loaded.expect("rules").rules, Overlay::default())
    });
    // without filters there is more work, and it must not be cut short
    let limits = Limits { work_bytes_max: u64::MAX, ..Limits::default() };
    let mut inspection = match filters {
        true => rules.inspect(request, overlay, &limits),
        false => rules.inspect_unfiltered(request, overlay, &limits),
    };
    inspection.finish();
    inspection.outcome_with(MatchedData::Plain)
}
