//! The engine, for the suite: a copy of the CRS as rules, a request and its answer as what they
//! match. Deliberately all that this program knows of the engine.

use std::{fmt::Write as _, net::Ipv4Addr, path::Path};

use anyhow::Result;
use seclang::{File, Limits, MatchedData, Overlay, RuleSet};

use crate::{files, reflect::Response, run::Seen, wire::Request};

const SETUP: &str = include_str!("setup.conf");

/// Loads a copy of the CRS with the suite's settings, and what its operator says at its end.
pub(crate) fn load(dir: &Path, end: &str) -> Result<RuleSet> {
    let mut all = vec![
        files::read(&dir.join("crs-setup.conf.example"))?,
        File { name: "setup.conf".to_owned(), text: SETUP.as_bytes().to_vec() },
    ];
    all.extend(files::all(&dir.join("rules"), ".conf")?);
    all.push(File { name: "end.conf".to_owned(), text: end.as_bytes().to_vec() });
    files::load(&all)
}

/// What a request and its answer match.
pub(crate) fn inspect(rules: &RuleSet, request: &Request, answer: &Response) -> Seen {
    let request = seclang::Request {
        method: &request.method,
        target: &request.target,
        protocol: &request.protocol,
        headers: &fields(&request.headers),
        body: &request.body,
        client: Ipv4Addr::LOCALHOST.into(),
        client_port: 40_000,
        id: "ftw",
    };
    let response = seclang::Response {
        status: answer.status,
        protocol: b"HTTP/1.1",
        headers: &fields(&answer.headers),
        body: &answer.body,
    };
    let overlay = Overlay::default();
    let mut inspection = rules.inspect(&request, &overlay, &Limits::default());
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
