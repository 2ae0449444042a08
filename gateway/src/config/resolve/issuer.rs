//! Issuers of tokens.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use http::Uri;

use super::{Here, MINUTE, at_most};
use crate::config::{
    Claims, Issuer,
    problem::{Place, Problems, quoted},
    raw,
    units::Name,
};

pub(super) fn issuers(
    raw: BTreeMap<Name, raw::Issuer>,
    here: Here<'_>,
    base: &Path,
    problems: &mut Problems,
) -> BTreeMap<String, Arc<Issuer>> {
    let mut urls: BTreeMap<String, Place> = BTreeMap::new();
    let mut issuers = BTreeMap::new();
    for (Name(name), raw) in raw {
        let here = here.key(&name);
        let url = here.key("issuer");
        if let Some(first) = urls.insert(raw.issuer.clone(), url.at) {
            let first = format!("first at {}", problems.show(first));
            let message = format!("the issuer {} has two names", quoted(&raw.issuer));
            problems.add_hinted(url.at, message, first);
        }
        if let Some((message, hint)) = url_problem(&raw.issuer, raw.allow_plain_http) {
            let message = format!("{} {message}", quoted(&raw.issuer));
            problems.add_hinted(url.at, message, hint.map(str::to_owned));
        }
        at_most(raw.leeway, MINUTE * 5, here.key("leeway"), problems);
        at_most(raw.refresh, MINUTE * 60 * 24, here.key("refresh"), problems);
        let cooldown = here.key("unknown_key_cooldown");
        at_most(raw.unknown_key_cooldown, MINUTE * 60 * 24, cooldown, problems);
        issuers.insert(name.clone(), Arc::new(issuer(name, raw, base)));
    }
    issuers
}

fn issuer(name: String, raw: raw::Issuer, base: &Path) -> Issuer {
    Issuer {
        name,
        url: raw.issuer,
        audiences: raw.audiences,
        algorithms: raw.algorithms,
        token_types: raw.token_types,
        claims: Claims {
            kind: raw.claims.kind,
            groups: raw.claims.groups,
            attributes: raw
                .claims
                .attributes
                .into_iter()
                .map(|(name, claim)| (name.0, claim))
                .collect(),
        },
        leeway: raw.leeway.0,
        refresh: raw.refresh.0,
        unknown_key_cooldown: raw.unknown_key_cooldown.0,
        ca: raw.ca.map(|ca| base.join(ca)),
        allow_private_addresses: raw.allow_private_addresses,
        allow_plain_http: raw.allow_plain_http,
    }
}

/// What is wrong with an issuer's identifier (RFC 8414 §2), and what helps.
fn url_problem(url: &str, plain_http: bool) -> Option<(&'static str, Option<&'static str>)> {
    let Ok(uri) = url.parse::<Uri>() else { return Some(("is not a URL", None)) };
    if uri.host().is_none_or(str::is_empty) {
        return Some(("has no host", None));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Some(("has a user in it", None));
    }
    if url.contains(['?', '#']) {
        return Some(("has a query or a fragment", None));
    }
    match uri.scheme_str() {
        Some("https") => None,
        Some("http") if plain_http => None,
        Some("http") => {
            let hint = "an issuer without TLS needs `allow_plain_http: true`, for development";
            Some(("is not `https`", Some(hint)))
        }
        _ => Some(("is not `https`", None)),
    }
}
