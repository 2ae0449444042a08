//! The rule engine, for tests: a request and its answer as what they match. The answer is that of
//! the tests' own back end. Matched data is told as it is: tests ask for it.

use std::{fmt::Write as _, net::Ipv4Addr};

use ftw::{Seen, reflect::Response, wire::Request};
use signals::{MatchedData, RuleLimits, RuleOverlay, RuleRequest, RuleResponse, RuleSet};

/// What a request and its answer match.
pub(super) fn inspect(
    rules: &RuleSet,
    overlay: &RuleOverlay,
    request: &Request,
    answer: &Response,
) -> Seen {
    let request = RuleRequest {
        method: &request.method,
        target: &request.target,
        protocol: &request.protocol,
        headers: &fields(&request.headers),
        body: &request.body,
        client: Ipv4Addr::LOCALHOST.into(),
        client_port: 40_000,
        id: "ftw",
    };
    let response = RuleResponse {
        status: answer.status,
        protocol: b"HTTP/1.1",
        headers: &fields(&answer.headers),
        body: &answer.body,
        whole: true,
    };
    let mut inspection = rules.inspect(&request, overlay, &RuleLimits::default());
    inspection.response(&response);
    inspection.finish();
    let outcome = inspection.outcome_with(MatchedData::Plain);
    let mut seen = Seen::default();
    for hit in outcome.hits {
        seen.ids.insert(hit.id);
        let log = escaped(&hit.log.unwrap_or_default());
        let _ =
            writeln!(seen.log, "[id \"{}\"] [msg \"{}\"] [data \"{log}\"]", hit.id, hit.message);
    }
    seen
}

/// A line of a log has no line's end in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(escaped, "\\x{:02x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

fn fields(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
    fields.iter().map(|(name, value)| (&**name, &**value)).collect()
}
