//! Listeners: addresses, what stands in front of them, and limits.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{Around, Here, MINUTE, at_most, not};
use crate::{
    config::{
        Limits, Listener, Tls, Transport, TrustedProxies,
        problem::{Place, Problems, Site, quoted},
        raw,
        units::{Address, Cidr, Size},
    },
    network::{Network, Networks, NotANetwork},
    protocol::forwarded::Field,
};

/// The most a head may be allowed to take.
const HEAD_BYTES_MAX: u64 = 1 << 20;

/// The least: a request line and a few fields.
const HEAD_BYTES_MIN: u64 = 1 << 10;

/// The listeners, and where each has its `tls`.
pub(super) fn listeners(
    raw: &raw::Main,
    root: Here<'_>,
    around: &Around<'_>,
    problems: &mut Problems,
) -> (Vec<Listener>, Vec<Site>) {
    let here = root.key("listeners");
    let mut names: BTreeMap<String, Place> = BTreeMap::new();
    let mut addresses: BTreeMap<SocketAddr, Place> = BTreeMap::new();
    let (mut listeners, mut sites) = (Vec::new(), Vec::new());
    for (index, raw) in raw.listeners.iter().flatten().enumerate() {
        let here = here.item(index);
        once(&mut names, raw.name.0.clone(), here.key("name"), problems);
        if let Some(listener) = listener(raw, here, around, problems) {
            bound_once(&mut addresses, listener.address, here.key("address"), problems);
            listeners.push(listener);
            sites.push(problems.site(here.key("tls").at));
        }
    }
    let health = raw.health.iter().map(|health| ("health", &health.address));
    let admin = raw.admin.iter().map(|admin| ("admin", &admin.address));
    for (section, address) in health.chain(admin) {
        if let Ok(address) = address.0.parse() {
            bound_once(&mut addresses, address, root.key(section).key("address"), problems);
        }
    }
    (listeners, sites)
}

fn listener(
    raw: &raw::Listener,
    here: Here<'_>,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<Listener> {
    let limits = limits(&raw.limits, here.key("limits"), problems);
    let from = |key, raw: &Option<raw::Sources>, problems: &mut Problems| {
        let from = raw.as_ref()?;
        Some(networks(&from.from, here.key(key).key("from"), problems))
    };
    let plain = from("plain", &raw.plain, problems);
    let proxy_protocol = from("proxy_protocol", &raw.proxy_protocol, problems);
    let trusted_proxies = raw.trusted_proxies.as_ref().map(|trusted| TrustedProxies {
        from: networks(&trusted.from, here.key("trusted_proxies").key("from"), problems),
        field: match trusted.field {
            raw::ForwardedField::XForwardedFor => Field::XForwardedFor,
            raw::ForwardedField::Forwarded => Field::Forwarded,
        },
    });
    let transport = match (&raw.tls, plain) {
        (Some(tls), None) => Some(Transport::Tls(Tls {
            certificate: around.base.join(&tls.certificate),
            key: tls.key.clone().relative_to(around.base),
            min_version: tls.min_version,
        })),
        (None, Some(from)) => Some(Transport::Plain { from }),
        (Some(_), Some(_)) => {
            problems.add(here.name("plain").at, "a listener has `tls` or `plain`, not both");
            None
        }
        (None, None) => {
            if around.bare.contains(&here.at) {
                let hint = "`plain` is for load balancers that end TLS before it".to_owned();
                let message = "a listener has `tls` or `plain`".to_owned();
                problems.add_hinted(here.at, message, Some(hint));
            }
            None
        }
    };
    let address = address(&raw.address, here.key("address"), problems)?;
    Some(Listener {
        name: raw.name.0.clone(),
        address,
        transport: transport?,
        proxy_protocol: proxy_protocol.unwrap_or_default(),
        trusted_proxies,
        limits,
    })
}

/// Ranges of addresses.
fn networks(raw: &[Cidr], here: Here<'_>, problems: &mut Problems) -> Networks {
    let mut networks = Vec::with_capacity(raw.len());
    for (index, Cidr(text)) in raw.iter().enumerate() {
        match Network::parse(text) {
            Ok(network) => networks.push(network),
            Err(error) => {
                let hint = match error {
                    NotANetwork::Meant(meant) => Some(format!("did you mean `{meant}`?")),
                    NotANetwork::Malformed => None,
                };
                let message = format!("{} is not a range of addresses", quoted(text));
                problems.add_hinted(here.item(index).at, message, hint);
            }
        }
    }
    networks.into_iter().collect()
}

/// An address to listen on.
pub(super) fn address(
    raw: &Address,
    here: Here<'_>,
    problems: &mut Problems,
) -> Option<SocketAddr> {
    let address = raw.0.parse().ok();
    if address.is_none() {
        not("an IP address and a port", &raw.0, here, problems);
    }
    address
}

fn limits(raw: &raw::Limits, here: Here<'_>, problems: &mut Problems) -> Limits {
    let times = [
        ("head_timeout", raw.head_timeout),
        ("handshake_timeout", raw.handshake_timeout),
        ("idle_timeout", raw.idle_timeout),
        ("body_idle_timeout", raw.body_idle_timeout),
    ];
    for (key, time) in times {
        at_most(time, MINUTE * 60, here.key(key), problems);
    }
    let head = raw.head_bytes;
    if !(HEAD_BYTES_MIN..=HEAD_BYTES_MAX).contains(&head.0) {
        let (min, max) = (Size(HEAD_BYTES_MIN), Size(HEAD_BYTES_MAX));
        let message = format!("{head} is not between {min} and {max}");
        problems.add(here.key("head_bytes").at, message);
    }
    if raw.connections_per_source > raw.connections {
        let (source, all) = (raw.connections_per_source, raw.connections);
        let message = format!("one source may have {source} connections, all sources {all}");
        problems.add(here.key("connections_per_source").at, message);
    }
    Limits {
        head_bytes: bytes(head),
        line_bytes: bytes(raw.line_bytes),
        target_bytes: bytes(raw.target_bytes),
        headers: usize::from(raw.headers),
        head_timeout: raw.head_timeout.0,
        handshake_timeout: raw.handshake_timeout.0,
        idle_timeout: raw.idle_timeout.0,
        connections: count(raw.connections),
        connections_per_source: count(raw.connections_per_source),
        requests_per_connection: raw.requests_per_connection,
        body_bytes: raw.body_bytes.0,
        body_idle_timeout: raw.body_idle_timeout.0,
        body_rate_min: raw.body_rate_min.0,
    }
}

fn bytes(size: Size) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn bound_once(
    seen: &mut BTreeMap<SocketAddr, Place>,
    address: SocketAddr,
    here: Here<'_>,
    problems: &mut Problems,
) {
    // Port 0 is a free port, another one each time.
    if address.port() != 0 {
        once(seen, address, here, problems);
    }
}

fn once<K: Ord + ToString>(
    seen: &mut BTreeMap<K, Place>,
    key: K,
    here: Here<'_>,
    problems: &mut Problems,
) {
    match seen.get(&key) {
        Some(first) => {
            let first = format!("first at {}", problems.show(*first));
            problems.add_hinted(here.at, format!("`{}` is used twice", key.to_string()), first);
        }
        None => {
            seen.insert(key, here.at);
        }
    }
}
