//! What is served now, whole: configuration, routes, policies, rules, issuers and upstreams,
//! loaded together and exchanged together.
//!
//! A load gives something already right or every problem of all its files. Nothing of a load that
//! failed is ever served: what was served before goes on.

mod set;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use idp::{ClaimMap, Guard, IssuerConfig, Issuers};
use signals::{Identity, PrincipalKind, Rules};
use verdict::Policies;

use crate::candidate::Candidate;
use crate::config::{self, Config, Examined, Problem};
use crate::forward::{self, Upstream};
use crate::pseudonym::{self, Pseudonyms};
use crate::read::Exchange;
use crate::regular;
use crate::route::{Route, Routes};
use crate::rules::Ruleset;
pub(crate) use set::of_candidate;
pub use set::{PolicySet, load, read_policies};

/// Bytes of a file of certificates that an issuer's own is to be signed by, at most.
const CA_BYTES_MAX: u64 = 1 << 20;

/// What is served, exchanged as a whole.
#[derive(Debug)]
pub struct Snapshots(ArcSwap<Snapshot>);

impl Snapshots {
    /// Serves `first`.
    pub fn new(first: Snapshot) -> Self {
        Self(ArcSwap::from_pointee(first))
    }

    /// What is served now. A request keeps what it began with.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Serves `next` from now on.
    pub fn replace(&self, next: Snapshot) -> Arc<Snapshot> {
        let next = Arc::new(next);
        self.0.store(Arc::clone(&next));
        next
    }
}

/// Everything that belongs together.
pub struct Snapshot {
    config: Arc<Config>,
    set: Arc<PolicySet>,
    candidate: Candidate,
    rules: Ruleset,
    issuers: Arc<Issuers>,
    issuer_configs: Vec<IssuerConfig>,
    upstreams: HashMap<String, Arc<Upstream>>,
    pseudonyms: Option<Pseudonyms>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("config", &self.config.digest).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Loads the configuration at `path` and all that it names. What did not change of
    /// `before` lives on: its policies, the keys of its issuers, and the health of its upstreams.
    /// Without one this is a start, which the configuration may allow to begin with the policies
    /// that were in force last.
    ///
    /// # Errors
    /// Every problem, by file, line and column: of what a wrong configuration names as well, as far
    /// as it can be made out.
    pub fn load(path: &Path, before: Option<&Self>) -> Result<Self, Vec<Problem>> {
        let Examined { config, mut problems } = Examined::load(path);
        let Some(config) = config.map(Arc::new) else { return Err(problems) };
        let pseudonyms = pseudonyms(&config)
            .map_err(|message| problems.push(Problem::at_start(path, message)))
            .unwrap_or_default();
        let set = match before {
            Some(before) => set::of_directory(&config, Some(&before.set)),
            None => set::start(&config),
        };
        match parts(&config, path, set, before, &mut problems) {
            Some(Parts { set, rules, issuers, issuer_configs, upstreams })
                if problems.is_empty() =>
            {
                let candidate = Candidate::load(&config, before.map(Self::candidate));
                Ok(Self {
                    config,
                    set,
                    candidate,
                    rules,
                    issuers,
                    issuer_configs,
                    upstreams,
                    pseudonyms,
                })
            }
            _ => Err(problems),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The policies.
    pub fn policies(&self) -> &Policies {
        &self.set.policies
    }

    /// The policies with their files, and where these come from.
    pub fn policy_set(&self) -> &Arc<PolicySet> {
        &self.set
    }

    /// The policies that are asked too, and decide nothing.
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// The rule set.
    pub fn rules(&self) -> &Rules {
        self.rules.rules()
    }

    /// The rule set with its files.
    pub fn ruleset(&self) -> &Ruleset {
        &self.rules
    }

    /// The issuers of tokens.
    pub fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    /// The upstreams.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.upstreams.values()
    }

    /// The routes.
    pub(crate) fn routes(&self) -> &Routes {
        &self.config.routes
    }

    /// What makes pseudonyms, if there are any.
    pub(crate) fn pseudonyms(&self) -> Option<&Pseudonyms> {
        self.pseudonyms.as_ref()
    }

    /// Who is recorded for this identity, and asked about.
    pub(crate) fn subject(&self, identity: &Arc<Identity>) -> Arc<Identity> {
        match (self.config.audit.subjects, &self.pseudonyms) {
            (config::Subjects::Pseudonym, Some(pseudonyms)) => {
                Arc::new(pseudonyms.identity(identity))
            }
            _ => Arc::clone(identity),
        }
    }

    /// Where a route leads. Every route's upstream is there: the load saw to it.
    pub(crate) fn upstream(&self, route: &Route) -> Option<Arc<Upstream>> {
        self.upstreams.get(&route.upstream.name).cloned()
    }

    /// What clients are told for the `@message_id` of the policy that refused.
    pub(crate) fn message(&self, refusal: &verdict::Refusal) -> Option<&str> {
        let id = refusal.message_id.as_deref()?;
        self.config.policies.messages.get(id).map(String::as_str)
    }

    /// Who sent this. A bearer token is all there is to say so.
    pub(crate) async fn identify(&self, route: &Route, exchange: &Exchange) -> Arc<Identity> {
        let fields: Vec<&[u8]> = exchange
            .request
            .headers
            .get_all("authorization")
            .map(http::HeaderValue::as_bytes)
            .collect();
        let now_s = exchange.conn.received_ms.div_euclid(1000);
        self.issuers.identify(&route.api.issuers, &fields, now_s).await
    }
}

/// What is wrong with all that the configuration at `path` names, without serving it.
pub fn problems(config: &Config, path: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    let _ = parts(config, path, set::of_directory(config, None), None, &mut problems);
    problems.extend_from_slice(Candidate::load(config, None).problems());
    problems
}

/// All that a configuration names.
struct Parts {
    set: Arc<PolicySet>,
    rules: Ruleset,
    issuers: Arc<Issuers>,
    issuer_configs: Vec<IssuerConfig>,
    upstreams: HashMap<String, Arc<Upstream>>,
}

/// Loads what a configuration names; `None` if there are problems, of which it adds every one.
fn parts(
    config: &Config,
    path: &Path,
    set: Result<Arc<PolicySet>, Vec<Problem>>,
    before: Option<&Snapshot>,
    problems: &mut Vec<Problem>,
) -> Option<Parts> {
    let set = set.map_err(|found| problems.extend(found)).ok();
    let before_rules = before.map(|before| &before.rules);
    let rules =
        Ruleset::load(&config.waf, before_rules).map_err(|found| problems.extend(found)).ok();
    let issuer_configs = issuer_configs(config, path, problems);
    let issuers = issuers(&issuer_configs, before, path, problems);
    let upstreams = upstreams(config, before, path, problems);
    Some(Parts { set: set?, rules: rules?, issuers: issuers?, issuer_configs, upstreams })
}

/// What makes the configuration's pseudonyms, if it asks for any.
///
/// # Errors
/// The key cannot be had, or is too short.
pub(crate) fn pseudonyms(config: &Config) -> Result<Option<Pseudonyms>, String> {
    let Some(source) = &config.audit.pseudonym_key else { return Ok(None) };
    let key = source.read().map_err(|error| format!("`audit.pseudonym_key`: {error}"))?;
    let made = Pseudonyms::new(key.expose());
    made.map(Some).ok_or_else(|| {
        format!("`audit.pseudonym_key`: fewer than {} bytes", pseudonym::KEY_BYTES_MIN)
    })
}

fn issuer_configs(config: &Config, path: &Path, problems: &mut Vec<Problem>) -> Vec<IssuerConfig> {
    let mut configs = Vec::with_capacity(config.issuers.len());
    for issuer in config.issuers.values() {
        let anchors = match issuer.ca.as_ref().map(|ca| (ca, regular::read(ca, CA_BYTES_MAX))) {
            None => None,
            Some((_, Ok(pem))) => Some(pem),
            Some((ca, Err(error))) => {
                let message = format!("issuer `{}`: `{}`: {error}", issuer.name, ca.display());
                problems.push(Problem::at_start(path, message));
                continue;
            }
        };
        configs.push(issuer_config(issuer, anchors));
    }
    configs
}

fn issuer_config(issuer: &config::Issuer, trust_anchors_pem: Option<Vec<u8>>) -> IssuerConfig {
    IssuerConfig {
        name: issuer.name.clone(),
        url: issuer.url.clone(),
        audiences: issuer.audiences.clone(),
        algorithms: issuer.algorithms.iter().map(algorithm).collect(),
        token_types: issuer.token_types.clone(),
        claims: ClaimMap {
            kind: match issuer.claims.kind {
                config::PrincipalKind::User => PrincipalKind::User,
                config::PrincipalKind::Workload => PrincipalKind::Workload,
            },
            groups: issuer.claims.groups.clone(),
            attributes: issuer.claims.attributes.clone().into_iter().collect(),
        },
        leeway: issuer.leeway,
        refresh: issuer.refresh,
        unknown_key_cooldown: issuer.unknown_key_cooldown,
        guard: Guard {
            allow_private_addresses: issuer.allow_private_addresses,
            allow_plain_http: issuer.allow_plain_http,
            trust_anchors_pem,
        },
    }
}

fn algorithm(algorithm: &config::Algorithm) -> idp::Algorithm {
    match algorithm {
        config::Algorithm::RS256 => idp::Algorithm::RS256,
        config::Algorithm::RS384 => idp::Algorithm::RS384,
        config::Algorithm::RS512 => idp::Algorithm::RS512,
        config::Algorithm::PS256 => idp::Algorithm::PS256,
        config::Algorithm::PS384 => idp::Algorithm::PS384,
        config::Algorithm::PS512 => idp::Algorithm::PS512,
        config::Algorithm::ES256 => idp::Algorithm::ES256,
        config::Algorithm::ES384 => idp::Algorithm::ES384,
        config::Algorithm::EdDSA => idp::Algorithm::EdDSA,
    }
}

fn issuers(
    configs: &[IssuerConfig],
    before: Option<&Snapshot>,
    path: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Arc<Issuers>> {
    if let Some(before) = before.filter(|before| before.issuer_configs == configs) {
        return Some(Arc::clone(&before.issuers));
    }
    let made = match before {
        Some(before) => Issuers::renew(configs.to_vec(), &before.issuers),
        None => Issuers::new(configs.to_vec()),
    };
    match made {
        Ok(issuers) => Some(Arc::new(issuers)),
        Err(found) => {
            problems
                .extend(found.into_iter().map(|error| Problem::at_start(path, error.to_string())));
            None
        }
    }
}

fn upstreams(
    config: &Config,
    before: Option<&Snapshot>,
    path: &Path,
    problems: &mut Vec<Problem>,
) -> HashMap<String, Arc<Upstream>> {
    let mut upstreams = HashMap::with_capacity(config.upstreams.len());
    for upstream in config.upstreams.values() {
        let kept = before
            .filter(|before| before.config.upstreams.get(&upstream.name) == Some(upstream))
            .and_then(|before| before.upstreams.get(&upstream.name));
        if let Some(kept) = kept {
            upstreams.insert(upstream.name.clone(), Arc::clone(kept));
            continue;
        }
        let limits = forward::Limits {
            connect_timeout: upstream.connect_timeout,
            response_timeout: upstream.response_timeout,
            idle_timeout: upstream.idle_timeout,
            pool_idle_max_per_worker: upstream.pool_idle_max_per_worker,
            pool_idle_timeout: upstream.pool_idle_timeout,
            eject_after: upstream.eject_after,
            eject_for: upstream.eject_for,
        };
        match Upstream::new(&upstream.name, &upstream.endpoints, limits) {
            Ok(made) => drop(upstreams.insert(upstream.name.clone(), Arc::new(made))),
            Err(error) => problems.push(Problem::at_start(path, error.to_string())),
        }
    }
    upstreams
}
