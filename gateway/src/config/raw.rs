//! The configuration as it is written. The documents of these types are the descriptions in
//! `portcullis.schema.json`, and each restriction here is one that the schema states.
//!
//! What refers to what, and what makes sense together, is looked at in `resolve`.

mod api;
mod audit;
mod issuer;
mod listener;
mod policies;
mod upstream;
mod waf;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Address, Domain, Glob, Name, OriginText, Time};

pub(super) use api::{Api, Audited, Check, Cors, Issuers, RateKey, Route, Shown, Unusual};
pub use audit::Subjects;
pub(super) use audit::{Audit, Flood, Spool};
pub(super) use issuer::Issuer;
pub use issuer::{Algorithm, PrincipalKind};
pub use listener::TlsVersion;
pub(super) use listener::{ForwardedField, Limits, Listener, Sources};
pub(super) use policies::{Percent, Policies};
pub(super) use upstream::Upstream;
pub(super) use waf::{Exclusion, Mode, RouteWaf, Waf};

/// The configuration of Portcullis, a policy-as-code gateway with an audit pipeline.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "portcullis.yaml")]
pub(super) struct Main {
    /// The version of this format. There is one: 1.
    #[schemars(required, range(min = 1, max = 1))]
    #[expect(dead_code, reason = "the schema knows one version only")]
    pub(super) version: Option<u32>,
    /// Which gateway this is.
    #[schemars(required)]
    pub(super) gateway: Option<Gateway>,
    /// More files, which may hold `apis` and `upstreams` only, so that teams own their routes. An included file includes none.
    #[serde(default)]
    #[schemars(length(max = 64), extend("uniqueItems" = true))]
    #[expect(dead_code, reason = "read from the tree, before the files are")]
    pub(super) include: Vec<Glob>,
    /// The front doors.
    #[schemars(required, length(min = 1, max = 16))]
    pub(super) listeners: Option<Vec<Listener>>,
    /// The read-only listener for `/livez`, `/readyz` and `/metrics`. Without it there is none.
    pub(super) health: Option<Health>,
    /// The listener for operators on this machine: `/status` and `/reload`. Without it there is none.
    pub(super) admin: Option<Admin>,
    /// The policies that decide.
    #[schemars(required)]
    pub(super) policies: Option<Policies>,
    /// The rules of the check `waf`, and what they count for.
    #[serde(default)]
    pub(super) waf: Waf,
    /// The record of every decision.
    #[schemars(required)]
    pub(super) audit: Option<Audit>,
    /// The issuers of tokens, by name. The name becomes part of every principal's id.
    #[serde(default)]
    pub(super) issuers: BTreeMap<Name, Issuer>,
    /// The services behind the gateway, by name.
    #[serde(default)]
    pub(super) upstreams: BTreeMap<Name, Upstream>,
    /// The APIs in front of them, by name.
    #[serde(default)]
    pub(super) apis: BTreeMap<Name, Api>,
    /// Where clients reach the APIs' hosts, each once. A host that is not here is at `https://<host>`. Upstreams are told these, never what a request says.
    #[serde(default)]
    #[schemars(length(max = 4096), extend("uniqueItems" = true))]
    pub(super) origins: Vec<OriginText>,
    /// How the gateway stops.
    #[serde(default)]
    pub(super) drain: Drain,
    /// How a changed configuration is taken over.
    #[serde(default)]
    pub(super) reload: Reload,
}

/// What an included file may hold.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "its entries are moved into the main file's tree")]
pub(super) struct Included {
    /// The services behind the gateway, by name.
    upstreams: Option<BTreeMap<Name, Upstream>>,
    /// The APIs in front of them, by name.
    apis: Option<BTreeMap<Name, Api>>,
}

/// Which gateway this is. The three names are part of the origin of every log it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Gateway {
    /// The DNS domain that answers for the record.
    pub(super) domain: Domain,
    /// The cluster.
    pub(super) cluster: Name,
    /// This gateway within the cluster; no two running ones have the same.
    pub(super) instance: Name,
    /// Worker threads. Without it, one for each processor.
    #[schemars(range(min = 1, max = 256))]
    pub(super) workers: Option<u16>,
}

/// The health listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Health {
    /// Where it listens.
    pub(super) address: Address,
}

/// The admin listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    /// Where it listens: an address of loopback.
    pub(super) address: Address,
}

/// How the gateway stops on SIGTERM.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Drain {
    /// Time it goes on, not ready any more, before it accepts no more. At most `10m`.
    pub(super) delay: Time,
    /// Time that requests in flight then have. At most `1h`.
    pub(super) deadline: Time,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: seconds(5), deadline: seconds(30) }
    }
}

/// How a changed configuration is taken over. SIGHUP always asks for it.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Reload {
    /// The files of the configuration and the policies are watched.
    pub(super) watch: bool,
}

impl Default for Reload {
    fn default() -> Self {
        Self { watch: true }
    }
}

fn seconds(s: u64) -> Time {
    Time(std::time::Duration::from_secs(s))
}

fn thirty_seconds() -> Time {
    seconds(30)
}

fn ten_minutes() -> Time {
    seconds(600)
}
