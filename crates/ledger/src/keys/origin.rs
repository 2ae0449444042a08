//! Names of logs: `audit.<domain>/<cluster>/<instance>/<epoch>`, for instance
//! `audit.acme.example/eu1/gw-a/1795262951123-0a1b2c3d`.
//!
//! Every component is also safe as the name of a directory.

use std::fmt;
use std::str::FromStr;

use super::KeyError;
use crate::note::NAME_BYTES_MAX;

/// Bytes of a cluster, an instance or a label of the domain, at most (RFC 1035 §2.3.4).
pub const COMPONENT_BYTES_MAX: usize = 63;

/// The name of one log: one epoch of one instance.
///
/// The epoch is the time at which it began, in milliseconds since 1970, and 32 random bits in
/// hexadecimal, so that no two are ever the same. The order is by instance, then by time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    text: String,
    instance_len: usize,
    started_ms: u64,
}

impl Origin {
    /// The origin of the epoch that begins at `started_ms`, with 32 random bits of the caller's.
    ///
    /// # Errors
    /// [`KeyError::Origin`].
    pub fn new(
        domain: &str,
        cluster: &str,
        instance: &str,
        started_ms: u64,
        random: u32,
    ) -> Result<Self, KeyError> {
        Self::parse(&format!("audit.{domain}/{cluster}/{instance}/{started_ms}-{random:08x}"))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`KeyError::Origin`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let refuse = |problem| KeyError::Origin { text: text.to_owned(), problem };
        if text.len() > NAME_BYTES_MAX {
            return Err(refuse("longer than 255 bytes"));
        }
        let mut parts = text.split('/');
        let four = (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(domain), Some(cluster), Some(instance), Some(epoch), None) = four else {
            return Err(refuse("expected `audit.<domain>/<cluster>/<instance>/<epoch>`"));
        };
        if !is_audit_domain(domain) {
            return Err(refuse(DOMAIN));
        }
        if !is_component(cluster) || !is_component(instance) {
            return Err(refuse(COMPONENT));
        }
        let started_ms = epoch_ms(epoch)
            .ok_or_else(|| refuse("expected an epoch of milliseconds, `-` and 8 hex digits"))?;
        let instance_len = text.len() - epoch.len() - 1;
        Ok(Self { text: text.to_owned(), instance_len, started_ms })
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part that all epochs of an instance share: `audit.<domain>/<cluster>/<instance>`.
    #[must_use]
    pub fn instance(&self) -> &str {
        self.text.get(..self.instance_len).unwrap_or_default()
    }

    /// When the epoch began, in milliseconds since 1970, as its name says.
    #[must_use]
    pub fn started_ms(&self) -> u64 {
        self.started_ms
    }

    fn order(&self) -> (&str, u64, &str) {
        (self.instance(), self.started_ms, &self.text)
    }
}

impl Ord for Origin {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Origin {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Origin {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

/// The first one to three components of origins: a domain, a cluster, or an instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginPrefix {
    text: String,
}

impl OriginPrefix {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`KeyError::Origin`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let refuse = |problem| KeyError::Origin { text: text.to_owned(), problem };
        let (domain, rest) = match text.split_once('/') {
            Some((domain, rest)) => (domain, Some(rest)),
            None => (text, None),
        };
        if !is_audit_domain(domain) {
            return Err(refuse(DOMAIN));
        }
        let components = rest.map(|rest| rest.split('/')).into_iter().flatten();
        if !components.clone().all(is_component) {
            return Err(refuse(COMPONENT));
        }
        if components.count() > 2 {
            return Err(refuse("a prefix ends with the instance at the latest"));
        }
        Ok(Self { text: text.to_owned() })
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the origin begins with exactly these components.
    #[must_use]
    pub fn covers(&self, origin: &Origin) -> bool {
        let rest = origin.text.strip_prefix(&self.text);
        rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for OriginPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const DOMAIN: &str = "expected `audit.` and a domain name in lower case first";
const COMPONENT: &str = "expected components of `a-z`, `0-9`, `-`, `_` and `.`, up to 63 bytes, \
    with a letter or digit at each end";

fn is_audit_domain(text: &str) -> bool {
    let label = |label: &str| is_component(label) && !label.contains('_');
    text.strip_prefix("audit.").is_some_and(|domain| domain.split('.').all(label))
}

fn is_component(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = |byte: u8| plain(byte) || matches!(byte, b'-' | b'_' | b'.');
    let ends = [text.bytes().next(), text.bytes().next_back()];
    text.len() <= COMPONENT_BYTES_MAX
        && text.bytes().all(inner)
        && ends.iter().all(|end| end.is_some_and(plain))
}

fn epoch_ms(text: &str) -> Option<u64> {
    let (ms, random) = text.split_once('-')?;
    let hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    let random = random.len() == 8 && random.bytes().all(hex);
    crate::note::decode_decimal(ms).filter(|ms| random && *ms <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "audit.acme.example/eu1/gw-a/1795262951123-0a1b2c3d";

    #[test]
    fn an_origin_has_its_parts() {
        let origin = Origin::new("acme.example", "eu1", "gw-a", 1_795_262_951_123, 0x0a1b_2c3d);
        let origin = origin.unwrap();
        assert_eq!(origin.as_str(), GOOD);
        assert_eq!(origin.instance(), "audit.acme.example/eu1/gw-a");
        assert_eq!(origin.started_ms(), 1_795_262_951_123);
        assert_eq!(GOOD.parse(), Ok(origin));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        let long = |bytes: usize| GOOD.replace("gw-a", &"a".repeat(bytes));
        assert!(Origin::parse(&long(COMPONENT_BYTES_MAX)).is_ok());
        let bad = [
            String::new(),
            long(COMPONENT_BYTES_MAX + 1),
            GOOD.replace("acme.example", &"a.".repeat(110)),
            GOOD.replace("audit.", ""),
            GOOD.replace("audit.acme.example", "audit."),
            GOOD.replace("acme.example", "acme..example"),
            GOOD.replace("acme.example", "Acme.example"),
            GOOD.replace("acme.example", "ac_me.example"),
            GOOD.replace("eu1", ".."),
            GOOD.replace("eu1", ""),
            GOOD.replace("eu1", "eu1/eu2"),
            GOOD.replace("eu1", "-eu1"),
            GOOD.replace("eu1", "eu1."),
            GOOD.replace("eu1", "eu 1"),
            GOOD.replace("eu1", "eü1"),
            GOOD.replace("1795262951123", "01795262951123"),
            GOOD.replace("1795262951123", "9223372036854775808"),
            GOOD.replace("-0a1b2c3d", ""),
            GOOD.replace("0a1b2c3d", "0A1b2c3d"),
            GOOD.replace("0a1b2c3d", "0a1b2c3"),
            format!("{GOOD}/"),
            format!("{GOOD}\n"),
        ];
        for text in bad {
            assert!(matches!(Origin::parse(&text), Err(KeyError::Origin { .. })), "{text}");
        }
    }

    #[test]
    fn origins_sort_by_instance_and_time() {
        let sorted = [
            "audit.acme.example/eu1/gw-a/9-ffffffff",
            "audit.acme.example/eu1/gw-a/10-00000000",
            "audit.acme.example/eu1/gw-a/10-00000001",
            "audit.acme.example/eu1/gw-b/1-00000000",
        ];
        let mut origins: Vec<Origin> = sorted.iter().rev().map(|o| o.parse().unwrap()).collect();
        origins.sort();
        let texts: Vec<_> = origins.iter().map(Origin::as_str).collect();
        assert_eq!(texts, sorted);
    }

    #[test]
    fn a_prefix_covers_whole_components_only() {
        let check = |prefix: &str, covers: bool| {
            let prefix = OriginPrefix::parse(prefix).unwrap();
            assert_eq!(prefix.covers(&GOOD.parse().unwrap()), covers, "{prefix}");
        };
        check("audit.acme.example", true);
        check("audit.acme.example/eu1", true);
        check("audit.acme.example/eu1/gw-a", true);
        check("audit.acme.example/eu1/gw", false);
        check("audit.acme.example/eu", false);
        check("audit.acme.example/eu2", false);
        check("audit.acme", false);
        for bad in
            ["", "audit", "audit.", "acme", "audit.acme/", "audit.acme//b", GOOD, "audit.a/../b"]
        {
            assert!(OriginPrefix::parse(bad).is_err(), "{bad}");
        }
    }
}
