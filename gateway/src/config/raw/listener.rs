//! Listeners: where they are, what stands in front of them, and their limits.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::seconds;
use crate::config::{
    secret::SecretSource,
    units::{Address, Cidr, Name, Size, Time},
};

/// A front door.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Listener {
    /// Its name in logs and metrics.
    pub(in crate::config) name: Name,
    /// Where it listens.
    pub(in crate::config) address: Address,
    /// Its certificate and key. A listener has either this or `plain`.
    pub(in crate::config) tls: Option<Tls>,
    /// It speaks HTTP/1.1 without TLS, to load balancers that end TLS before it.
    pub(in crate::config) plain: Option<Sources>,
    /// Connections from these addresses begin with a PROXY header (version 1 or 2) that names the client; without one they are closed. From other addresses such a header is not understood.
    pub(in crate::config) proxy_protocol: Option<Sources>,
    /// Proxies whose word on the client is believed.
    pub(in crate::config) trusted_proxies: Option<TrustedProxies>,
    /// What a peer may use of the gateway.
    #[serde(default)]
    pub(in crate::config) limits: Limits,
}

/// Addresses that connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Sources {
    /// From these addresses; no other is meant.
    #[schemars(length(min = 1, max = 256), extend("uniqueItems" = true))]
    pub(in crate::config) from: Vec<Cidr>,
}

/// Proxies whose word on the client is believed: the client is the right-most address of the field that is none of theirs. What of it cannot be read is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TrustedProxies {
    /// Their addresses, as they connect or as a PROXY header names them.
    #[schemars(length(min = 1, max = 256), extend("uniqueItems" = true))]
    pub(in crate::config) from: Vec<Cidr>,
    /// The field to which each of them appends who connected to it.
    pub(in crate::config) field: ForwardedField,
}

/// A field that names the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum ForwardedField {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// TLS of a listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tls {
    /// The certificate chain in PEM, the server's own first. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(in crate::config) certificate: PathBuf,
    /// The private key in PEM, by reference.
    pub(in crate::config) key: SecretSource,
    /// The oldest version of TLS that is spoken.
    #[serde(default)]
    pub(in crate::config) min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    V13,
}

/// What a peer may use. Each limit is per connection, unless it says otherwise.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Limits {
    /// Bytes of a request's head. At most `1MiB`.
    pub(in crate::config) head_bytes: Size,
    /// Bytes of one line of a head.
    pub(in crate::config) line_bytes: Size,
    /// Bytes of the request target.
    pub(in crate::config) target_bytes: Size,
    /// Header fields of a request.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) headers: u16,
    /// Time for a head, from its first byte.
    pub(in crate::config) head_timeout: Time,
    /// Time for the PROXY header and the TLS handshake.
    pub(in crate::config) handshake_timeout: Time,
    /// Time a connection may stay without a request, and time for the peer to take a piece of an answer.
    pub(in crate::config) idle_timeout: Time,
    /// Connections of the listener.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) connections: u32,
    /// Connections of the listener from one source address; IPv6 by /64. Proxies that are believed are none; whom a PROXY header names is one.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) connections_per_source: u32,
    /// Requests on one connection; the last one is answered with `Connection: close`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) requests_per_connection: u32,
    /// Bytes of a request's body.
    pub(in crate::config) body_bytes: Size,
    /// The longest wait for a piece of a body.
    pub(in crate::config) body_idle_timeout: Time,
    /// Bytes a second that a body must bring, on average, once the gateway has waited ten seconds for it.
    pub(in crate::config) body_rate_min: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: Size(32 << 10),
            line_bytes: Size(16 << 10),
            target_bytes: Size(8 << 10),
            headers: 100,
            head_timeout: seconds(10),
            handshake_timeout: seconds(10),
            idle_timeout: seconds(60),
            connections: 10_000,
            connections_per_source: 256,
            requests_per_connection: 10_000,
            body_bytes: Size(16 << 20),
            body_idle_timeout: seconds(60),
            body_rate_min: Size(512),
        }
    }
}
