//! External origins: where clients reach the hosts of the APIs.

use std::collections::BTreeMap;

use signals::Scheme;

use super::{Here, not};
use crate::{
    config::{
        Api,
        problem::{Place, Problems},
        units::OriginText,
    },
    route::{HostPattern, Origin, Origins},
};

pub(super) fn origins<'a>(
    raw: &[OriginText],
    apis: impl Iterator<Item = &'a Api> + Clone,
    here: Here<'_>,
    problems: &mut Problems,
) -> Origins {
    let mut origins = Origins::default();
    let mut first: BTreeMap<HostPattern, Place> = BTreeMap::new();
    for (index, OriginText(text)) in raw.iter().enumerate() {
        let here = here.item(index);
        let Some((host, origin)) = origin(text) else {
            not("an origin", text, here, problems);
            continue;
        };
        if !apis.clone().flat_map(|api| &api.hosts).any(|known| covers(known, &host)) {
            problems.add(here.at, format!("no API has the host of `{text}`"));
        }
        if !origins.insert(&host, origin) {
            let first = first.get(&host).map(|at| format!("first at {}", problems.show(*at)));
            problems.add_hinted(here.at, "this host has two origins".to_owned(), first);
        }
        first.entry(host).or_insert(here.at);
    }
    origins
}

/// `http` or `https`, a host in canonical form or `*.` and a domain, a port if it is another than
/// the scheme's.
fn origin(text: &str) -> Option<(HostPattern, Origin)> {
    let (scheme, authority) = text.split_once("://")?;
    let origin = Origin::of(match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    });
    let host_bytes = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(host_bytes)?;
    let host = HostPattern::parse(host).ok()?;
    let Some(digits) = port.strip_prefix(':') else { return Some((host, origin)) };
    let port = digits.parse().ok().filter(|port| *port > 0)?;
    Some((host, Origin { port, ..origin }))
}

fn covers(known: &HostPattern, host: &HostPattern) -> bool {
    match (known, host) {
        (HostPattern::AnyLabel(domain), HostPattern::Exact(host)) => {
            host.split_once('.').is_some_and(|(_, behind)| behind == domain)
        }
        (known, host) => known == host,
    }
}
