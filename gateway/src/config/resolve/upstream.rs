//! Services behind the gateway.

use std::{collections::BTreeMap, net::Ipv6Addr, sync::Arc};

use super::{Here, MINUTE, at_most, not};
use crate::config::{Upstream, problem::Problems, raw, units::Name};

pub(super) fn upstreams(
    raw: BTreeMap<Name, raw::Upstream>,
    here: Here<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, Arc<Upstream>> {
    let mut upstreams = BTreeMap::new();
    for (Name(name), raw) in raw {
        let upstream = upstream(name.clone(), &raw, here.key(&name), problems);
        upstreams.insert(name, Arc::new(upstream));
    }
    upstreams
}

fn upstream(
    name: String,
    raw: &raw::Upstream,
    here: Here<'_>,
    problems: &mut Problems,
) -> Upstream {
    let times = [
        ("connect_timeout", raw.connect_timeout),
        ("response_timeout", raw.response_timeout),
        ("idle_timeout", raw.idle_timeout),
        ("pool_idle_timeout", raw.pool_idle_timeout),
        ("eject_for", raw.eject_for),
    ];
    for (key, time) in times {
        at_most(time, MINUTE * 60, here.key(key), problems);
    }
    for (index, endpoint) in raw.endpoints.iter().enumerate() {
        if !is_place(&endpoint.0) {
            let noun = "an address of the form `http://host:port`";
            not(noun, &endpoint.0, here.key("endpoints").item(index), problems);
        }
    }
    Upstream {
        name,
        endpoints: raw.endpoints.iter().map(|endpoint| endpoint.0.clone()).collect(),
        connect_timeout: raw.connect_timeout.0,
        response_timeout: raw.response_timeout.0,
        idle_timeout: raw.idle_timeout.0,
        pool_idle_max_per_worker: usize::try_from(raw.pool_idle_max_per_worker)
            .unwrap_or(usize::MAX),
        pool_idle_timeout: raw.pool_idle_timeout.0,
        eject_after: raw.eject_after,
        eject_for: raw.eject_for.0,
    }
}

/// The address names a host, and a port that exists if it names one.
fn is_place(text: &str) -> bool {
    let Some(authority) = text.strip_prefix("http://") else { return false };
    let bare = authority.ends_with(']') || !authority.contains(':');
    let host = match authority.rsplit_once(':') {
        Some((host, _)) if !bare => host,
        _ => authority,
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    v6.is_none_or(|v6| v6.parse::<Ipv6Addr>().is_ok()) && (bare || port(authority).is_some())
}

/// The port of a `host:port`, if it is one.
pub(super) fn port(text: &str) -> Option<u16> {
    let (_, port) = text.rsplit_once(':')?;
    port.parse().ok().filter(|port| *port > 0)
}
