//! Issuers of tokens, and what their claims become.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ten_minutes, thirty_seconds};
use crate::config::units::{Name, Time};

/// An issuer of tokens (RFC 9068).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Issuer {
    /// Its identifier: exactly what a token's `iss` and the issuer's metadata say.
    #[schemars(length(min = 1, max = 2048))]
    pub(in crate::config) issuer: String,
    /// A token must be for one of these audiences.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 1024)), extend("uniqueItems" = true))]
    pub(in crate::config) audiences: Vec<String>,
    /// A token must be signed with one of these algorithms.
    #[schemars(length(min = 1, max = 16), extend("uniqueItems" = true))]
    pub(in crate::config) algorithms: Vec<Algorithm>,
    /// A token's `typ` must be one of these.
    #[serde(default = "access_tokens")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 128)), extend("uniqueItems" = true))]
    pub(in crate::config) token_types: Vec<String>,
    /// How claims become the principal.
    #[serde(default)]
    pub(in crate::config) claims: Claims,
    /// How far the issuer's clock may be from ours. At most `5m`.
    #[serde(default = "thirty_seconds")]
    pub(in crate::config) leeway: Time,
    /// Time between two fetches of the key set. At most `24h`.
    #[serde(default = "ten_minutes")]
    pub(in crate::config) refresh: Time,
    /// The least time between two fetches for keys that nobody knows.
    #[serde(default = "thirty_seconds")]
    pub(in crate::config) unknown_key_cooldown: Time,
    /// Certificates, in PEM, that the issuer's is checked against instead of the system's. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(in crate::config) ca: Option<PathBuf>,
    /// The issuer may be at an address that is not public (loopback, private), but not at a link-local one or one of instance metadata.
    #[serde(default)]
    pub(in crate::config) allow_private_addresses: bool,
    /// The issuer may be spoken to without TLS. For development.
    #[serde(default)]
    pub(in crate::config) allow_plain_http: bool,
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(extend("x-refused" = {
    "HS256": "with HMAC, whoever can verify a token can make one",
    "HS384": "with HMAC, whoever can verify a token can make one",
    "HS512": "with HMAC, whoever can verify a token can make one",
    "ES512": "this gateway cannot verify P-521 signatures",
    "none": "an unsigned token says nothing",
}))]
#[expect(missing_docs, reason = "the names are RFC 7518's")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// How claims become the principal.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Claims {
    /// What the subject of a token is.
    pub(in crate::config) kind: PrincipalKind,
    /// The top-level claim that lists the subject's groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub(in crate::config) groups: Option<String>,
    /// Attributes of the principal and the top-level claim each is read from.
    #[schemars(inner(length(min = 1, max = 256)))]
    pub(in crate::config) attributes: BTreeMap<Name, String>,
}

/// What the subject of a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person: `Portcullis::User`.
    #[default]
    User,
    /// A service: `Portcullis::Workload`.
    Workload,
}

fn access_tokens() -> Vec<String> {
    vec!["at+jwt".to_owned()]
}
