//! The configuration: one YAML file and the files it includes, checked whole before anything runs.
//!
//! [`Config::load`] returns a configuration whose references are followed and whose texts are
//! addresses and times, or *every* problem with file, line and column. Three steps: `tree` reads
//! YAML and keeps each place, `shape` compares with our own JSON Schema, `resolve` looks at what is
//! meant. A value that a step refuses is left out and the next step goes on with the rest.
//!
//! It reads neither secrets nor certificates nor policies, and what nothing reads is no key.

mod files;
mod include;
mod problem;
mod raw;
mod resolve;
mod scalar;
mod schema;
mod secret;
mod shape;
mod tree;
mod units;
mod yaml;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ring::digest::{Context, SHA256};
use serde::Deserialize;
use signals::RuleSettings;
use verdict::Action;

use crate::{
    bundle::Kept,
    candidate::Share,
    network::Networks,
    protocol::forwarded::Field,
    route::{HostPattern, Origins, Routes},
};

pub use files::{File, Files};
pub use include::{Glob, INCLUDED_FILES_MAX};
pub(crate) use problem::shown;
pub use problem::{PROBLEMS_MAX, Problem, Site, or_null};
pub use raw::{Algorithm, PrincipalKind, Subjects, TlsVersion};
pub use schema::schema;
pub use secret::{SECRET_BYTES_MAX, Secret, SecretError, SecretSource};
pub use tree::{DEPTH_MAX, FILE_BYTES_MAX, NODES_MAX};
pub use yaml::Yaml;

use problem::{Place, Problems};
use tree::{Node, Value};

/// A configuration that holds together.
#[derive(Debug)]
pub struct Config {
    /// Which gateway this is.
    pub gateway: Gateway,
    /// The front doors, at least one.
    pub listeners: Vec<Listener>,
    /// The health listener, if there is one.
    pub health: Option<Health>,
    /// The admin listener, if there is one.
    pub admin: Option<Admin>,
    /// Where the policies are.
    pub policies: Policies,
    /// The rules of the rule engine.
    pub waf: Waf,
    /// The record.
    pub audit: Audit,
    /// Issuers of tokens, by name.
    pub issuers: BTreeMap<String, Arc<Issuer>>,
    /// Services behind the gateway, by name.
    pub upstreams: BTreeMap<String, Arc<Upstream>>,
    /// APIs, by name.
    pub apis: BTreeMap<String, Arc<Api>>,
    /// All routes of all APIs.
    pub routes: Arc<Routes>,
    /// Where clients reach the APIs' hosts.
    pub origins: Origins,
    /// How the gateway stops.
    pub drain: Drain,
    /// How a changed configuration is taken over.
    pub reload: Reload,
    /// SHA-256, in hex, over names and contents of all files. Two loads that agree in it read the
    /// same files.
    pub digest: String,
    /// The files that were read, the main file first.
    pub files: Vec<PathBuf>,
    /// Where it names the files that are not looked at before the start.
    pub sites: Sites,
    actions: Vec<ActionUse>,
}

/// Which gateway this is: parts of the origin of every log it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The DNS domain that answers for the record.
    pub domain: String,
    /// The cluster.
    pub cluster: String,
    /// This gateway within the cluster.
    pub instance: String,
    /// Worker threads, at least 1; `None` asks for one for each processor.
    pub workers: Option<usize>,
}

/// A front door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name in logs and metrics.
    pub name: String,
    /// Where it listens; port 0 is any free port.
    pub address: SocketAddr,
    /// What is spoken below HTTP.
    pub transport: Transport,
    /// Whose connections begin with a PROXY header.
    pub proxy_protocol: Networks,
    /// Whose word on the client is believed, if anybody's.
    pub trusted_proxies: Option<TrustedProxies>,
    /// What a peer may use.
    pub limits: Limits,
}

/// What is spoken below HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// TLS.
    Tls(Tls),
    /// Nothing: TLS ends at the load balancers that may connect.
    Plain {
        /// Their addresses.
        from: Networks,
    },
}

impl Transport {
    /// The certificate and key, where TLS is spoken.
    pub fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Tls(tls) => Some(tls),
            Self::Plain { .. } => None,
        }
    }
}

/// Proxies whose word on the client is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Their addresses.
    pub from: Networks,
    /// The field that each appends to.
    pub field: Field,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain in PEM, the server's own first.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: SecretSource,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// What a peer may use. All are above zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head.
    pub head_bytes: usize,
    /// Bytes of one line of a head.
    pub line_bytes: usize,
    /// Bytes of the request target.
    pub target_bytes: usize,
    /// Fields of a head.
    pub headers: usize,
    /// Time for a head, from its first byte.
    pub head_timeout: Duration,
    /// Time for the PROXY header and the TLS handshake.
    pub handshake_timeout: Duration,
    /// Time a connection may stay without a request.
    pub idle_timeout: Duration,
    /// Connections of the listener, all workers together.
    pub connections: usize,
    /// Connections of one source, all workers together; IPv6 by /64.
    pub connections_per_source: usize,
    /// Requests on one connection.
    pub requests_per_connection: u32,
    /// Bytes of a body.
    pub body_bytes: u64,
    /// The longest wait for a piece of a body.
    pub body_idle_timeout: Duration,
    /// Bytes a second of a body, on average, once the gateway has waited ten seconds for it.
    pub body_rate_min: u64,
}

/// The health listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Where it listens.
    pub address: SocketAddr,
}

/// The admin listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens, on loopback.
    pub address: SocketAddr,
}

/// Where the policies are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// The directory of the schema, the policies and the entities.
    pub directory: PathBuf,
    /// Annotations policies may carry besides ours.
    pub annotations_allowed: BTreeSet<String>,
    /// Policy files, by their path in the directory, that may permit on every API.
    pub global: BTreeSet<String>,
    /// What clients are told, by a policy's `@message_id`.
    pub messages: BTreeMap<String, String>,
    /// Policies that are asked too, and decide nothing.
    pub candidate: Option<Candidate>,
    /// A set without a manifest is refused.
    pub require_manifest: bool,
    /// Where each set that was in force is kept.
    pub keep: Option<Kept>,
    /// If the directory is wrong at the start, the set that was last in force is served.
    pub start_from_kept: bool,
}

/// The rules of the rule engine.
#[derive(Debug, Clone)]
pub struct Waf {
    /// Their files, in order; without any they are our own.
    pub files: Vec<RuleFiles>,
    /// What they count for. Routes name one by its place; the first is that of the top.
    pub views: Vec<View>,
    /// The routes with a view of their own, as `api/route`, and its place.
    pub routes: Vec<(String, usize)>,
}

/// Rule files.
#[derive(Debug, Clone)]
pub struct RuleFiles {
    /// Which.
    pub glob: Glob,
    /// Where they are named.
    pub site: Site,
}

/// What the rules count for.
#[derive(Debug, Clone)]
pub struct View {
    /// What is said of it.
    pub settings: RuleSettings,
    /// Where.
    pub site: Site,
    /// Where each exclusion is.
    pub exclusions: Vec<Site>,
}

/// Policies that are asked too, and decide nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The directory of their schema, the policies and the entities.
    pub directory: PathBuf,
    /// Of how many decisions in a million they are asked.
    pub share: Share,
}

/// The record of every decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Where it is written.
    pub spool: Spool,
    /// What signs it.
    pub keys: AuditKeys,
    /// How people stand in it.
    pub subjects: Subjects,
    /// The key of all pseudonyms; there if anything asks for one.
    pub pseudonym_key: Option<SecretSource>,
    /// Where it is shipped, if anywhere.
    pub kafka: Option<Kafka>,
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// How many like refusals are recorded one by one.
    pub flood: Flood,
}

/// When refusals are counted instead of being recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flood {
    /// Records of one source's refusals of one kind, in a window.
    pub per_source: u32,
    /// Records of all such refusals, in a window.
    pub in_all: u32,
    /// The window.
    pub window: Duration,
}

/// The spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// Its directory.
    pub directory: PathBuf,
    /// Bytes it may take, at least four segments.
    pub bytes_max: u64,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// The file system need not survive a restart.
    pub volatile: bool,
}

/// The keys of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditKeys {
    /// The issuer's private key.
    pub issuer: SecretSource,
    /// The audit root's note on it.
    pub issuer_note: PathBuf,
    /// The audit root's verifier key.
    pub root: PathBuf,
}

/// Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// Brokers to begin with, `host:port`, at least one.
    pub brokers: Vec<String>,
    /// The beginning of the topics' names.
    pub topic_prefix: String,
}

/// An issuer of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its name: part of every principal's id.
    pub name: String,
    /// Its identifier, exactly as tokens have it in `iss`.
    pub url: String,
    /// Audiences, at least one.
    pub audiences: Vec<String>,
    /// Algorithms, at least one.
    pub algorithms: Vec<Algorithm>,
    /// Values of `typ`, at least one.
    pub token_types: Vec<String>,
    /// How claims become the principal.
    pub claims: Claims,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// Time between two fetches of the key set.
    pub refresh: Duration,
    /// The least time between two fetches for unknown keys.
    pub unknown_key_cooldown: Duration,
    /// Trust anchors in PEM; the system's if `None`.
    pub ca: Option<PathBuf>,
    /// It may be at an address that is not public.
    pub allow_private_addresses: bool,
    /// It may be spoken to without TLS.
    pub allow_plain_http: bool,
}

/// How claims become the principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// What a token's subject is.
    pub kind: PrincipalKind,
    /// The claim that lists groups.
    pub groups: Option<String>,
    /// Attribute and the claim it is read from.
    pub attributes: BTreeMap<String, String>,
}

/// A service behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// Where it answers, `http://host` or `http://host:port`, at least one.
    pub endpoints: Vec<String>,
    /// Time to look up the name and connect.
    pub connect_timeout: Duration,
    /// Time from the request's last byte to the first of the answer.
    pub response_timeout: Duration,
    /// The longest pause within a body.
    pub idle_timeout: Duration,
    /// Idle connections that each worker keeps to an endpoint.
    pub pool_idle_max_per_worker: usize,
    /// Time an idle connection is kept.
    pub pool_idle_timeout: Duration,
    /// Failed connects in a row after which an endpoint is left out.
    pub eject_after: u32,
    /// Time it is then left out.
    pub eject_for: Duration,
}

/// An API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Its name, and the id of its `Portcullis::Api`.
    pub name: String,
    /// Its hosts, at least one.
    pub hosts: Vec<HostPattern>,
    /// The Cedar namespace of its actions.
    pub namespace: String,
    /// Issuers whose tokens it takes, by name; empty if it takes no tokens at all.
    pub issuers: Vec<String>,
}

/// How the gateway stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Time it goes on, not ready any more.
    pub delay: Duration,
    /// Time that requests in flight then have.
    pub deadline: Duration,
}

/// How a changed configuration is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// The files are watched.
    pub watch: bool,
}

/// Where the configuration names certificates and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sites {
    /// `tls` of each listener, in their order.
    pub tls: Vec<Site>,
    /// `audit.keys`.
    pub keys: Site,
}

/// What a route asks of the policies' schema, and where it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionUse {
    /// The action.
    pub action: Action,
    /// The resource's type, with its namespace.
    pub resource_type: String,
    /// The API's name.
    pub api: String,
    /// Where the action is written.
    pub action_site: Site,
    /// Where the type is written.
    pub resource_site: Site,
    /// Where the API's name is written.
    pub api_site: Site,
}

impl Audit {
    /// Whether a running gateway can go on with `next`: what is opened once stays the same.
    pub fn is_kept(&self, next: &Self) -> bool {
        let (subjects, pseudonym_key) = (next.subjects, next.pseudonym_key.clone());
        Self { subjects, pseudonym_key, ..self.clone() } == *next
    }
}

impl Config {
    /// Loads the file at `path` and what it includes.
    ///
    /// # Errors
    /// Every problem there is, by file, line and column.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        Self::parse(&Files::read(path)?)
    }

    /// Loads files that were read already. It reads nothing.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn parse(files: &Files) -> Result<Self, Vec<Problem>> {
        match Examined::of(files) {
            Examined { config: Some(config), problems } if problems.is_empty() => Ok(config),
            Examined { problems, .. } => Err(problems),
        }
    }

    /// The actions and types that routes name, to be looked for in the policies' schema.
    pub fn actions(&self) -> impl Iterator<Item = &ActionUse> {
        self.actions.iter()
    }
}

/// A configuration that may be wrong: only for looking at what it names, never to be served.
#[derive(Debug)]
pub struct Examined {
    /// What is left of it without what is wrong; `None` if too little is.
    pub config: Option<Config>,
    /// Every problem there is, by file, line and column. Where there is no configuration there is
    /// one at least.
    pub problems: Vec<Problem>,
}

impl Examined {
    /// Looks at the file at `path` and what it includes.
    pub fn load(path: &Path) -> Self {
        match Files::read(path) {
            Ok(files) => Self::of(&files),
            Err(problems) => Self { config: None, problems },
        }
    }

    fn of(files: &Files) -> Self {
        let names = files.all().map(|file| file.path.display().to_string()).collect();
        let mut problems = Problems::new(names, files.problems.clone());
        let config = parse(files, &mut problems);
        if config.is_none() && problems.is_empty() {
            problems.add(Place::start(0), "the configuration is incomplete");
        }
        Self { config, problems: problems.into_sorted() }
    }
}

fn parse(files: &Files, problems: &mut Problems) -> Option<Config> {
    let main = tree::parse(0, &files.main.bytes, problems);
    let mut included = Vec::new();
    for (index, file) in files.included.iter().enumerate() {
        included.extend(tree::parse(index + 1, &file.bytes, problems));
    }
    let main = main?;
    include::globs(&main, problems);
    let declared = |section: &str| {
        let sections = std::iter::once(&main).chain(&included).filter_map(|file| file.get(section));
        sections.flat_map(keys).collect::<BTreeSet<String>>()
    };
    let around = resolve::Around {
        base: files.base(),
        digest: digest(files),
        upstreams: declared("upstreams"),
        issuers: declared("issuers"),
        bare: bare_listeners(&main),
    };
    let mut root = shape::Shape::check(&schema::schema(), main, problems)?;
    let schema = schema::included();
    for file in included {
        if let Some(file) = shape::Shape::check(&schema, file, problems) {
            include::merge(&mut root, file, problems);
        }
    }
    let raw = match raw::Main::deserialize(root.to_json()) {
        Ok(raw) => raw,
        Err(error) => {
            problems.add(root.at, format!("the configuration cannot be taken over: {error}"));
            return None;
        }
    };
    let mut config = resolve::config(raw, &root, around, problems)?;
    if problems.is_empty() && config.routes.iter().next().is_none() {
        problems.add(Place::start(0), "there is no route: every request would be answered 404");
    }
    config.files = files.all().map(|file| file.path.clone()).collect();
    Some(config)
}

/// Where the listeners are that do not say what is spoken below HTTP.
fn bare_listeners(main: &Node) -> BTreeSet<Place> {
    let listeners = match main.get("listeners").map(|listeners| &listeners.value) {
        Some(Value::List(listeners)) => listeners.as_slice(),
        _ => &[],
    };
    let bare = |listener: &&Node| ["tls", "plain"].iter().all(|key| listener.get(key).is_none());
    listeners.iter().filter(bare).map(|listener| listener.at).collect()
}

fn keys(section: &Node) -> Vec<String> {
    match &section.value {
        Value::Map(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    }
}

/// SHA-256 over each file's name and content, each with its length before it. The directory of
/// the main file is left out, so that a configuration can be moved whole.
fn digest(files: &Files) -> String {
    let mut context = Context::new(&SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    for file in files.all() {
        let name = file.path.strip_prefix(files.base()).unwrap_or(&file.path);
        part(name.as_os_str().as_encoded_bytes());
        part(&file.bytes);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
