//! Where clients reach a host: its external origin (RFC 6454 §4). It is configured, never taken
//! from a request, and is what upstreams are told.

use std::collections::HashMap;

use signals::Scheme;

use super::HostPattern;

/// Scheme and port by which clients reach a host. By default, HTTPS on its own port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// The port.
    pub port: u16,
}

impl Default for Origin {
    fn default() -> Self {
        Self::of(Scheme::Https)
    }
}

impl Origin {
    /// The scheme, on its own port.
    pub fn of(scheme: Scheme) -> Self {
        let port = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        Self { scheme, port }
    }

    /// `host`, and the port unless it is the scheme's own.
    pub fn authority(self, host: &str) -> String {
        if self == Self::of(self.scheme) {
            return host.to_owned();
        }
        format!("{host}:{}", self.port)
    }

    /// A request that names `port` is meant for this origin, or for the listener on `listening`,
    /// which a proxy may have been told to name. One that names none leaves it open.
    pub fn is_meant(self, port: Option<u16>, listening: u16) -> bool {
        port.is_none_or(|port| port == self.port || port == listening)
    }
}

/// The external origins of hosts; what is not among them has the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    exact: HashMap<String, Origin>,
    /// By the domain behind the label.
    any_label: HashMap<String, Origin>,
}

impl Origins {
    /// Adds the origin of a host, or of many; false if there is one already.
    pub fn insert(&mut self, host: &HostPattern, origin: Origin) -> bool {
        let before = match host {
            HostPattern::Exact(host) => self.exact.insert(host.clone(), origin),
            HostPattern::AnyLabel(domain) => self.any_label.insert(domain.clone(), origin),
        };
        before.is_none()
    }

    /// The origin of a host, which is canonical.
    pub fn find(&self, host: &str) -> Origin {
        let any_label = || self.any_label.get(host.split_once('.')?.1);
        self.exact.get(host).or_else(any_label).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_host_has_the_say() {
        let mut origins = Origins::default();
        let odd = |port| Origin { scheme: Scheme::Https, port };
        for (host, origin) in [
            ("api.example.com", odd(8443)),
            ("*.example.com", odd(9443)),
            ("[::1]", Origin::of(Scheme::Http)),
        ] {
            let host = HostPattern::parse(host).expect("a host");
            assert!(origins.insert(&host, origin));
            assert!(!origins.insert(&host, origin));
        }
        for (host, want) in [
            ("api.example.com", odd(8443)),
            ("shop.example.com", odd(9443)),
            ("a.shop.example.com", Origin::default()),
            ("example.com", Origin::default()),
            ("[::1]", Origin::of(Scheme::Http)),
            ("localhost", Origin::default()),
        ] {
            assert_eq!(origins.find(host), want, "{host}");
        }
    }

    #[test]
    fn an_authority_has_the_port_that_is_not_the_schemes() {
        let check = |scheme, port, want: &str| {
            assert_eq!(Origin { scheme, port }.authority("a.test"), want);
        };
        check(Scheme::Https, 443, "a.test");
        check(Scheme::Https, 80, "a.test:80");
        check(Scheme::Http, 80, "a.test");
        check(Scheme::Http, 443, "a.test:443");
        check(Scheme::Https, 8443, "a.test:8443");
    }

    #[test]
    fn a_request_names_the_origins_port_or_the_listeners_or_none() {
        let check = |port, want: bool| {
            let origin = Origin { scheme: Scheme::Https, port: 8443 };
            assert_eq!(origin.is_meant(port, 9443), want, "{port:?}");
        };
        check(None, true);
        check(Some(8443), true);
        check(Some(9443), true);
        check(Some(443), false);
        check(Some(0), false);
    }
}
