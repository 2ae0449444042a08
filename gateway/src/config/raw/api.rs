//! APIs and their routes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RouteWaf, ten_minutes};
use crate::config::units::{
    ActionName, EntityType, FieldName, Host, IdTemplate, InspectText, Method, Name, Namespace,
    PathTemplate, Time, WebOrigin,
};

/// An API: hosts, who may identify its callers, and its routes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Api {
    /// The hosts by which clients know it.
    #[schemars(length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub(in crate::config) hosts: Vec<Host>,
    /// The Cedar namespace of its actions and types.
    pub(in crate::config) namespace: Namespace,
    /// Issuers whose tokens it takes, by name, or `none`.
    pub(in crate::config) issuers: Issuers,
    /// What the pages of other origins may do with its routes, in a browser.
    pub(in crate::config) cors: Option<Cors>,
    /// What can be asked of it. Text in a path goes before a parameter, and the path before the method.
    #[schemars(length(min = 1, max = 10_000))]
    pub(in crate::config) routes: Vec<Route>,
}

/// Issuers whose tokens an API takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Issuers {
    /// No token is taken.
    None(NoneWord),
    /// Tokens of these issuers.
    Listed(#[schemars(length(min = 1, max = 64), extend("uniqueItems" = true))] Vec<Name>),
}

/// The word `none`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum NoneWord {
    /// None.
    None,
}

/// A route: what a request means, who decides about it how, and where it goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    /// Its name within the API, in events and metrics.
    pub(in crate::config) name: Name,
    /// Its methods.
    #[schemars(length(min = 1, max = 32), extend("uniqueItems" = true))]
    pub(in crate::config) methods: Vec<Method>,
    /// Its path.
    pub(in crate::config) path: PathTemplate,
    /// The Cedar action that a request is.
    pub(in crate::config) action: ActionName,
    /// The thing that it is about.
    pub(in crate::config) resource: Resource,
    /// How parameters of the path stand in the record, and in the resource's id.
    #[serde(default)]
    pub(in crate::config) parameters: BTreeMap<Name, Shown>,
    /// Where it goes, by name.
    pub(in crate::config) upstream: Name,
    /// What must be on disk when. By default `gated` for `GET`, `HEAD` and `OPTIONS`, else `strict`.
    pub(in crate::config) audit: Option<Audited>,
    /// The checks that look at it.
    #[serde(default = "all_checks")]
    #[schemars(extend("uniqueItems" = true))]
    pub(in crate::config) checks: Vec<Check>,
    /// What the check `waf` counts for here, in place of what `waf` at the top says.
    pub(in crate::config) waf: Option<RouteWaf>,
    /// How much of the body the checks look at before the decision: a size up to `1MiB`, or `none`. By default `64KiB` with the check `waf`, else `none`.
    pub(in crate::config) inspect: Option<InspectText>,
    /// How often it may be asked.
    pub(in crate::config) rate: Option<Rate>,
    /// A segment may hold an encoded slash.
    #[serde(default)]
    pub(in crate::config) encoded_slash: Unusual,
    /// A segment may hold `;`.
    #[serde(default)]
    pub(in crate::config) matrix_params: Unusual,
    /// The upstream gets the client's `Authorization`.
    #[serde(default)]
    pub(in crate::config) forward_authorization: bool,
    /// What the pages of other origins may do with it, in place of what the API says.
    pub(in crate::config) cors: Option<Cors>,
}

/// What the pages of other origins may do, in a browser (CORS). Their preflights are answered by
/// the gateway and recorded; the upstream sees none, and what it says of origins is replaced.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Cors {
    /// Origins whose pages may read the answers; `*` alone for every page, without credentials.
    #[schemars(length(min = 1, max = 256), extend("uniqueItems" = true))]
    pub(in crate::config) origins: Vec<WebOrigin>,
    /// Fields that their requests may have beyond those that any page may send.
    #[serde(default)]
    #[schemars(length(max = 64), extend("uniqueItems" = true))]
    pub(in crate::config) headers: Vec<FieldName>,
    /// Time a browser may keep the answer to a preflight. At most `24h`.
    #[serde(default = "ten_minutes")]
    pub(in crate::config) max_age: Time,
    /// Their requests may come with cookies.
    #[serde(default)]
    pub(in crate::config) credentials: bool,
}

/// The thing a request is about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Resource {
    /// Its Cedar type.
    #[serde(rename = "type")]
    pub(in crate::config) kind: EntityType,
    /// Its id.
    pub(in crate::config) id: IdTemplate,
}

/// How a parameter stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Shown {
    /// As it is.
    Plain,
    /// Under a pseudonym: `~` and 22 characters. In a resource's id, policies and entities have to name this.
    Pseudonym,
    /// As `*`. It cannot be in a resource's id.
    Secret,
}

/// What must be on disk when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Audited {
    /// The decision is on disk before the upstream gets a byte.
    Strict,
    /// The decision is on disk before the client gets a byte.
    Gated,
    /// The decision is on disk within one group of writes.
    Buffered,
}

/// A check that a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Check {
    /// The rule engine.
    Waf,
}

/// How often a route may be asked. All of `limit` may come at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Rate {
    /// Requests in one window.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(in crate::config) limit: u32,
    /// The window. At most `24h`.
    pub(in crate::config) window: Time,
    /// Whose requests are counted together.
    pub(in crate::config) key: RateKey,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RateKey {
    /// The client's address; IPv6 by /64.
    Client,
    /// The principal; clients without one by address.
    Principal,
}

/// What becomes of a segment that two readers could read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Unusual {
    /// The request is refused.
    #[default]
    Refuse,
    /// It is one segment, forwarded unchanged; policy sees it decoded.
    Opaque,
}

fn all_checks() -> Vec<Check> {
    vec![Check::Waf]
}
