//! The configuration as it is written. The documents of these types are the descriptions in
//! `portcullis.schema.json`, and each restriction here is one that the schema states.
//!
//! What refers to what, and what makes sense together, is looked at in `resolve`.

mod waf;

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    secret::SecretSource,
    units::{
        ActionName, Address, Annotation, Cidr, Domain, Endpoint, EntityType, FieldName, Glob, Host,
        HostPort, IdTemplate, InspectText, Method, Name, Namespace, OriginText, PathTemplate,
        PercentText, Size, Time, TopicPrefix, WebOrigin,
    },
};

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

/// A front door.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    /// Its name in logs and metrics.
    pub(super) name: Name,
    /// Where it listens.
    pub(super) address: Address,
    /// Its certificate and key. A listener has either this or `plain`.
    pub(super) tls: Option<Tls>,
    /// It speaks HTTP/1.1 without TLS, to load balancers that end TLS before it.
    pub(super) plain: Option<Sources>,
    /// Connections from these addresses begin with a PROXY header (version 1 or 2) that names the client; without one they are closed. From other addresses such a header is not understood.
    pub(super) proxy_protocol: Option<Sources>,
    /// Proxies whose word on the client is believed.
    pub(super) trusted_proxies: Option<TrustedProxies>,
    /// What a peer may use of the gateway.
    #[serde(default)]
    pub(super) limits: Limits,
}

/// Addresses that connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sources {
    /// From these addresses; no other is meant.
    #[schemars(length(min = 1, max = 256), extend("uniqueItems" = true))]
    pub(super) from: Vec<Cidr>,
}

/// Proxies whose word on the client is believed: the client is the right-most address of the field that is none of theirs. What of it cannot be read is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrustedProxies {
    /// Their addresses, as they connect or as a PROXY header names them.
    #[schemars(length(min = 1, max = 256), extend("uniqueItems" = true))]
    pub(super) from: Vec<Cidr>,
    /// The field to which each of them appends who connected to it.
    pub(super) field: ForwardedField,
}

/// A field that names the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ForwardedField {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// TLS of a listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// The certificate chain in PEM, the server's own first. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(super) certificate: PathBuf,
    /// The private key in PEM, by reference.
    pub(super) key: SecretSource,
    /// The oldest version of TLS that is spoken.
    #[serde(default)]
    pub(super) min_version: TlsVersion,
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
pub(super) struct Limits {
    /// Bytes of a request's head. At most `1MiB`.
    pub(super) head_bytes: Size,
    /// Bytes of one line of a head.
    pub(super) line_bytes: Size,
    /// Bytes of the request target.
    pub(super) target_bytes: Size,
    /// Header fields of a request.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) headers: u16,
    /// Time for a head, from its first byte.
    pub(super) head_timeout: Time,
    /// Time for the PROXY header and the TLS handshake.
    pub(super) handshake_timeout: Time,
    /// Time a connection may stay without a request, and time for the peer to take a piece of an answer.
    pub(super) idle_timeout: Time,
    /// Connections of the listener.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) connections: u32,
    /// Connections of the listener from one source address; IPv6 by /64. Proxies that are believed are none; whom a PROXY header names is one.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) connections_per_source: u32,
    /// Requests on one connection; the last one is answered with `Connection: close`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) requests_per_connection: u32,
    /// Bytes of a request's body.
    pub(super) body_bytes: Size,
    /// The longest wait for a piece of a body.
    pub(super) body_idle_timeout: Time,
    /// Bytes a second that a body must bring, on average, once the gateway has waited ten seconds for it.
    pub(super) body_rate_min: Size,
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

/// Where the policies are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Policies {
    /// The directory of the schema, the policies and the entities. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(super) directory: PathBuf,
    /// Annotations that policies may carry besides those Portcullis knows.
    #[serde(default)]
    #[schemars(length(max = 64), extend("uniqueItems" = true))]
    pub(super) annotations_allowed: Vec<Annotation>,
    /// Policy files, by their path in the directory, that hold for every API and whose permits may have an empty scope.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)), extend("uniqueItems" = true))]
    pub(super) global: Vec<String>,
    /// What clients are told, by a policy's `@message_id`.
    #[serde(default)]
    #[schemars(inner(length(min = 1, max = 1024)))]
    pub(super) messages: BTreeMap<Name, String>,
    /// Policies that are to be enforced one day. They are asked too, after the answer is decided, and what they would have said is in the record. They decide nothing. Without it there are none.
    pub(super) candidate: Option<Candidate>,
    /// A set without a manifest (`portcullis policy seal`) is refused.
    #[serde(default)]
    pub(super) require_manifest: bool,
    /// Where each set that was in force is kept, for the next start and for replay.
    pub(super) keep: Option<Keep>,
    /// If the directory is wrong at the start, the set that was last in force is served, and said to be.
    #[serde(default)]
    pub(super) start_from_kept: bool,
}

/// Policies that are to be enforced one day.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Candidate {
    /// The directory of their schema, the policies and the entities: a whole one. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(super) directory: PathBuf,
    /// Of how many decisions in a hundred they are asked: a whole number, or one with decimals in quotes.
    #[serde(default = "ten_percent")]
    pub(super) percent: Percent,
}

/// A share of decisions: a whole number, or a text with decimals.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Percent {
    /// Whole.
    Whole(#[schemars(range(min = 0, max = 100))] u32),
    /// With decimals.
    Decimals(PercentText),
}

/// Where each set that was in force is kept, under its digest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Keep {
    /// The directory, of this gateway alone. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(super) directory: PathBuf,
    /// How many sets are kept.
    #[serde(default = "sixteen")]
    #[schemars(range(min = 1, max = 10_000))]
    pub(super) sets_max: u32,
}

/// The record of every decision.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    /// Where the record is written before anything is forwarded.
    pub(super) spool: Spool,
    /// What signs it.
    pub(super) keys: Keys,
    /// How people stand in the record, and in what policies are asked.
    #[serde(default)]
    pub(super) subjects: Subjects,
    /// The key of all pseudonyms, by reference: at least 32 bytes, the same on all gateways.
    pub(super) pseudonym_key: Option<SecretSource>,
    /// Where it is shipped. Without it, the record stays in the spool, which is full one day.
    pub(super) kafka: Option<Kafka>,
    /// Time between two heartbeats in the record. At most `1m`.
    #[serde(default = "ten_seconds")]
    pub(super) heartbeat: Time,
    /// When like refusals are counted instead of being recorded one by one.
    #[serde(default)]
    pub(super) flood: Flood,
}

/// How people stand in the record, and in what policies are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subjects {
    /// By their ids.
    #[default]
    Clear,
    /// Under pseudonyms: `corp|~` and 22 characters. Policies and entities have to name these. Groups, and claims that become attributes, stay as they are.
    Pseudonym,
}

/// When like refusals are counted instead of being recorded one by one: those of requests that cannot be read, that no route has, without a good credential, or over a limit. Others are always recorded.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Flood {
    /// Records of one source's refusals of one kind, in a window; IPv6 by /64.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) per_source: u32,
    /// Records of all such refusals, in a window.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) in_all: u32,
    /// The window: at its end, counts are recorded. A power cut may take those of one window; a crash takes none. From `1s` to `1m`.
    pub(super) window: Time,
}

impl Default for Flood {
    fn default() -> Self {
        Self { per_source: 20, in_all: 1000, window: seconds(10) }
    }
}

/// The spool: a write-ahead log on a disk of its own, if possible.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Spool {
    /// Its directory. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(super) directory: PathBuf,
    /// Bytes it may take. A full spool refuses every request. At least four segments.
    #[serde(default = "one_gib")]
    pub(super) bytes_max: Size,
    /// Bytes of one of its files. From `512KiB` to `256MiB`.
    #[serde(default = "sixteen_mib")]
    pub(super) segment_bytes: Size,
    /// The directory may be on a file system that does not survive a restart. For development.
    #[serde(default)]
    pub(super) volatile: bool,
}

/// The keys of the record.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// The issuer's private key, by reference.
    pub(super) issuer: SecretSource,
    /// The audit root's note on the issuer key. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(super) issuer_note: PathBuf,
    /// The audit root's verifier key. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(super) root: PathBuf,
}

/// Kafka.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Kafka {
    /// Brokers to begin with.
    #[schemars(length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub(super) brokers: Vec<HostPort>,
    /// The beginning of the topics' names: `<prefix>.events.v1` and so on.
    #[serde(default = "audit")]
    pub(super) topic_prefix: TopicPrefix,
}

/// An issuer of tokens (RFC 9068).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Issuer {
    /// Its identifier: exactly what a token's `iss` and the issuer's metadata say.
    #[schemars(length(min = 1, max = 2048))]
    pub(super) issuer: String,
    /// A token must be for one of these audiences.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 1024)), extend("uniqueItems" = true))]
    pub(super) audiences: Vec<String>,
    /// A token must be signed with one of these algorithms.
    #[schemars(length(min = 1, max = 16), extend("uniqueItems" = true))]
    pub(super) algorithms: Vec<Algorithm>,
    /// A token's `typ` must be one of these.
    #[serde(default = "access_tokens")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 128)), extend("uniqueItems" = true))]
    pub(super) token_types: Vec<String>,
    /// How claims become the principal.
    #[serde(default)]
    pub(super) claims: Claims,
    /// How far the issuer's clock may be from ours. At most `5m`.
    #[serde(default = "thirty_seconds")]
    pub(super) leeway: Time,
    /// Time between two fetches of the key set. At most `24h`.
    #[serde(default = "ten_minutes")]
    pub(super) refresh: Time,
    /// The least time between two fetches for keys that nobody knows.
    #[serde(default = "thirty_seconds")]
    pub(super) unknown_key_cooldown: Time,
    /// Certificates, in PEM, that the issuer's is checked against instead of the system's. The path is relative to this file.
    #[schemars(length(min = 1))]
    pub(super) ca: Option<PathBuf>,
    /// The issuer may be at an address that is not public (loopback, private), but not at a link-local one or one of instance metadata.
    #[serde(default)]
    pub(super) allow_private_addresses: bool,
    /// The issuer may be spoken to without TLS. For development.
    #[serde(default)]
    pub(super) allow_plain_http: bool,
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
pub(super) struct Claims {
    /// What the subject of a token is.
    pub(super) kind: PrincipalKind,
    /// The top-level claim that lists the subject's groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub(super) groups: Option<String>,
    /// Attributes of the principal and the top-level claim each is read from.
    #[schemars(inner(length(min = 1, max = 256)))]
    pub(super) attributes: BTreeMap<Name, String>,
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

/// A service behind the gateway.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    /// Where it answers.
    #[schemars(length(min = 1, max = 256), extend("uniqueItems" = true))]
    pub(super) endpoints: Vec<Endpoint>,
    /// Time to look up the name and connect.
    #[serde(default = "three_seconds")]
    pub(super) connect_timeout: Time,
    /// Time from the request's last byte to the first byte of the answer.
    #[serde(default = "thirty_seconds")]
    pub(super) response_timeout: Time,
    /// The longest pause within a body, in either direction.
    #[serde(default = "one_minute")]
    pub(super) idle_timeout: Time,
    /// Idle connections that each worker keeps to one endpoint.
    #[serde(default = "pool")]
    #[schemars(range(min = 0, max = 10_000))]
    pub(super) pool_idle_max_per_worker: u32,
    /// Time an idle connection is kept. Less than the upstream keeps it.
    #[serde(default = "fifteen_seconds")]
    pub(super) pool_idle_timeout: Time,
    /// Failed connects in a row after which an endpoint is left out.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 1000))]
    pub(super) eject_after: u32,
    /// Time it is then left out.
    #[serde(default = "five_seconds")]
    pub(super) eject_for: Time,
}

/// An API: hosts, who may identify its callers, and its routes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Api {
    /// The hosts by which clients know it.
    #[schemars(length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub(super) hosts: Vec<Host>,
    /// The Cedar namespace of its actions and types.
    pub(super) namespace: Namespace,
    /// Issuers whose tokens it takes, by name, or `none`.
    pub(super) issuers: Issuers,
    /// What the pages of other origins may do with its routes, in a browser.
    pub(super) cors: Option<Cors>,
    /// What can be asked of it. Text in a path goes before a parameter, and the path before the method.
    #[schemars(length(min = 1, max = 10_000))]
    pub(super) routes: Vec<Route>,
}

/// Issuers whose tokens an API takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Issuers {
    /// No token is taken.
    None(NoneWord),
    /// Tokens of these issuers.
    Listed(#[schemars(length(min = 1, max = 64), extend("uniqueItems" = true))] Vec<Name>),
}

/// The word `none`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum NoneWord {
    /// None.
    None,
}

/// A route: what a request means, who decides about it how, and where it goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    /// Its name within the API, in events and metrics.
    pub(super) name: Name,
    /// Its methods.
    #[schemars(length(min = 1, max = 32), extend("uniqueItems" = true))]
    pub(super) methods: Vec<Method>,
    /// Its path.
    pub(super) path: PathTemplate,
    /// The Cedar action that a request is.
    pub(super) action: ActionName,
    /// The thing that it is about.
    pub(super) resource: Resource,
    /// How parameters of the path stand in the record, and in the resource's id.
    #[serde(default)]
    pub(super) parameters: BTreeMap<Name, Shown>,
    /// Where it goes, by name.
    pub(super) upstream: Name,
    /// What must be on disk when. By default `gated` for `GET`, `HEAD` and `OPTIONS`, else `strict`.
    pub(super) audit: Option<Audited>,
    /// The checks that look at it.
    #[serde(default = "all_checks")]
    #[schemars(extend("uniqueItems" = true))]
    pub(super) checks: Vec<Check>,
    /// What the check `waf` counts for here, in place of what `waf` at the top says.
    pub(super) waf: Option<RouteWaf>,
    /// How much of the body the checks look at before the decision: a size up to `1MiB`, or `none`. By default `64KiB` with the check `waf`, else `none`.
    pub(super) inspect: Option<InspectText>,
    /// How often it may be asked.
    pub(super) rate: Option<Rate>,
    /// A segment may hold an encoded slash.
    #[serde(default)]
    pub(super) encoded_slash: Unusual,
    /// A segment may hold `;`.
    #[serde(default)]
    pub(super) matrix_params: Unusual,
    /// The upstream gets the client's `Authorization`.
    #[serde(default)]
    pub(super) forward_authorization: bool,
    /// What the pages of other origins may do with it, in place of what the API says.
    pub(super) cors: Option<Cors>,
}

/// What the pages of other origins may do, in a browser (CORS). Their preflights are answered by
/// the gateway and recorded; the upstream sees none, and what it says of origins is replaced.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cors {
    /// Origins whose pages may read the answers; `*` alone for every page, without credentials.
    #[schemars(length(min = 1, max = 256), extend("uniqueItems" = true))]
    pub(super) origins: Vec<WebOrigin>,
    /// Fields that their requests may have beyond those that any page may send.
    #[serde(default)]
    #[schemars(length(max = 64), extend("uniqueItems" = true))]
    pub(super) headers: Vec<FieldName>,
    /// Time a browser may keep the answer to a preflight. At most `24h`.
    #[serde(default = "ten_minutes")]
    pub(super) max_age: Time,
    /// Their requests may come with cookies.
    #[serde(default)]
    pub(super) credentials: bool,
}

/// The thing a request is about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resource {
    /// Its Cedar type.
    #[serde(rename = "type")]
    pub(super) kind: EntityType,
    /// Its id.
    pub(super) id: IdTemplate,
}

/// How a parameter stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shown {
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
pub(super) enum Audited {
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
pub(super) enum Check {
    /// The rule engine.
    Waf,
}

/// How often a route may be asked. All of `limit` may come at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rate {
    /// Requests in one window.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(super) limit: u32,
    /// The window. At most `24h`.
    pub(super) window: Time,
    /// Whose requests are counted together.
    pub(super) key: RateKey,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RateKey {
    /// The client's address; IPv6 by /64.
    Client,
    /// The principal; clients without one by address.
    Principal,
}

/// What becomes of a segment that two readers could read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unusual {
    /// The request is refused.
    #[default]
    Refuse,
    /// It is one segment, forwarded unchanged; policy sees it decoded.
    Opaque,
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

fn three_seconds() -> Time {
    seconds(3)
}

fn five_seconds() -> Time {
    seconds(5)
}

fn ten_percent() -> Percent {
    Percent::Whole(10)
}

fn ten_seconds() -> Time {
    seconds(10)
}

fn fifteen_seconds() -> Time {
    seconds(15)
}

fn thirty_seconds() -> Time {
    seconds(30)
}

fn one_minute() -> Time {
    seconds(60)
}

fn ten_minutes() -> Time {
    seconds(600)
}

fn one_gib() -> Size {
    Size(1 << 30)
}

fn sixteen_mib() -> Size {
    Size(16 << 20)
}

fn audit() -> TopicPrefix {
    TopicPrefix("audit".to_owned())
}

fn access_tokens() -> Vec<String> {
    vec!["at+jwt".to_owned()]
}

fn pool() -> u32 {
    64
}

fn sixteen() -> u32 {
    16
}

fn five() -> u32 {
    5
}

fn all_checks() -> Vec<Check> {
    vec![Check::Waf]
}
