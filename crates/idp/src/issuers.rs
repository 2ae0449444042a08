//! All issuers of one configuration, and the one question asked of them.
//!
//! A token that was verified is believed again without looking, until it expires, its issuer's
//! keys change or [`CACHE_MAX_S`] have passed, for routes that take tokens of its issuer.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use signals::Identity;
use tokio::task::JoinSet;

use crate::{
    bearer::{self, Problem, Unverified},
    cache::{Cache, Entry, Key},
    config::{ConfigError, IssuerConfig},
    crypto,
    fetch::Fetcher,
    issuer::{Issuer, Keys},
};

/// Longest time a verified token is believed without looking again.
const CACHE_MAX_S: i64 = 300;

/// The issuers of one configuration.
pub struct Issuers {
    issuers: Vec<Arc<Issuer>>,
    cache: Cache,
}

/// What an operator wants to know of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerStatus {
    /// Its name.
    pub name: String,
    /// Key sets loaded so far; 0 means that no token of it can be verified.
    pub generation: u64,
    /// Fetches tried so far.
    pub fetches: u64,
}

impl Issuers {
    /// The issuers, with no keys yet.
    ///
    /// # Errors
    /// Everything that stops one of them from loading, or all of them.
    pub fn new(configs: Vec<IssuerConfig>) -> Result<Self, Vec<ConfigError>> {
        Self::after(configs, None)
    }

    /// The issuers in place of those `before`, with the keys of those that are the same: a provider
    /// that is down now has been asked before. What either fetches both have.
    ///
    /// # Errors
    /// As for [`Issuers::new`].
    pub fn renew(configs: Vec<IssuerConfig>, before: &Self) -> Result<Self, Vec<ConfigError>> {
        Self::after(configs, Some(before))
    }

    fn after(configs: Vec<IssuerConfig>, before: Option<&Self>) -> Result<Self, Vec<ConfigError>> {
        crypto::install();
        let mut problems: Vec<ConfigError> =
            configs.iter().flat_map(IssuerConfig::problems).collect();
        let mut issuers: Vec<Arc<Issuer>> = Vec::with_capacity(configs.len());
        for config in configs {
            let same = |other: &Arc<Issuer>| {
                other.config().name == config.name || other.config().url == config.url
            };
            if issuers.iter().any(same) {
                problems.push(ConfigError::Duplicate(config.name.clone()));
            }
            match Fetcher::new(config.guard.clone()) {
                Ok(fetcher) => {
                    let keys = before.and_then(|before| before.keys_for(&config));
                    let keys = keys.unwrap_or_default();
                    issuers.push(Arc::new(Issuer::new(config, fetcher, keys)));
                }
                Err(error) => problems.push(ConfigError::Trust {
                    name: config.name.clone(),
                    problem: error.to_string(),
                }),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { issuers, cache: Cache::default() })
    }

    /// The keys that would be fetched for this issuer from the same place and read the same way.
    fn keys_for(&self, config: &IssuerConfig) -> Option<Arc<ArcSwapOption<Keys>>> {
        let same = |known: &&Arc<Issuer>| known.config().has_keys_of(config);
        self.issuers.iter().find(same).map(|known| known.keys())
    }

    /// Keeps every key set fresh, until it is dropped. Without issuers there is nothing to do.
    pub async fn run(&self) {
        let mut tasks = JoinSet::new();
        for issuer in &self.issuers {
            tasks.spawn(Arc::clone(issuer).keep_fresh());
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Who sent a request with these `Authorization` fields, to a route that takes tokens of the
    /// issuers named in `allowed`; `now_s` is in seconds of Unix time.
    pub async fn identify(
        &self,
        allowed: &[String],
        fields: &[&[u8]],
        now_s: i64,
    ) -> Arc<Identity> {
        let found = match fields {
            [] => return Arc::new(Identity::anonymous()),
            [field] => bearer::token_of(field),
            [..] => Err(Problem::SeveralCredentials),
        };
        match found {
            Ok(token) => self.verify(allowed, token, now_s).await,
            Err(problem) => Arc::new(problem.identity("")),
        }
    }

    /// What an operator wants to know, in the order configured.
    pub fn status(&self) -> Vec<IssuerStatus> {
        let status = |issuer: &Arc<Issuer>| IssuerStatus {
            name: issuer.config().name.clone(),
            generation: issuer.generation(),
            fetches: issuer.fetched(),
        };
        self.issuers.iter().map(status).collect()
    }

    async fn verify(&self, allowed: &[String], token: &str, now_s: i64) -> Arc<Identity> {
        let key = Key::of(token);
        if let Some(identity) = self.known(&key, allowed, now_s) {
            return identity;
        }
        let unverified = match Unverified::read(token) {
            Ok(unverified) => unverified,
            Err(problem) => return Arc::new(problem.identity("")),
        };
        let named = |(_, issuer): &(usize, &Arc<Issuer>)| issuer.config().url == unverified.issuer;
        let found = self.issuers.iter().enumerate().find(named);
        let found = found.filter(|(_, issuer)| allowed.contains(&issuer.config().name));
        let Some((place, issuer)) = found else {
            return Arc::new(Problem::UnknownIssuer.identity(""));
        };
        let (identity, generation) = match issuer.verify(&unverified, now_s).await {
            Ok((identity, generation)) => (Arc::new(identity), generation),
            Err(problem) => return Arc::new(problem.identity(&issuer.config().name)),
        };
        let until_s = identity.token.expires_at_s.min(now_s.saturating_add(CACHE_MAX_S));
        if now_s < until_s {
            let (identity, bytes) = (Arc::clone(&identity), token.len());
            let seconds = now_s..until_s;
            self.cache.put(key, Entry { identity, issuer: place, generation, seconds, bytes });
        }
        identity
    }

    /// The identity of a token that was verified, if all that it was verified for still holds.
    fn known(&self, key: &Key, allowed: &[String], now_s: i64) -> Option<Arc<Identity>> {
        let entry = self.cache.get(key, now_s)?;
        let issuer = self.issuers.get(entry.issuer)?;
        let holds =
            entry.generation == issuer.generation() && allowed.contains(&issuer.config().name);
        holds.then_some(entry.identity)
    }
}
