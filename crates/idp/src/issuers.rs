//! All issuers of one configuration: their key sets, kept fresh in the background, and the one
//! question asked of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use ring::digest;
use signals::Identity;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tracing::{info, warn};

use crate::{
    bearer::{self, Problem, Unverified},
    cache::{Cache, Entry},
    config::{ConfigError, IssuerConfig},
    crypto, discovery,
    fetch::{FetchError, Fetcher},
    keys::{KeySet, KeySetError},
};

/// How long a request waits for the fetch of a key nobody knew.
const UNKNOWN_KEY_WAIT: Duration = Duration::from_secs(2);

/// Pause after a first failed fetch; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);

/// Longest pause between failed fetches.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Longest time a verified token is believed without looking again.
const CACHE_MAX_S: i64 = 300;

/// The issuers of one configuration.
pub struct Issuers {
    issuers: Vec<Issuer>,
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

struct Issuer {
    config: IssuerConfig,
    fetcher: Fetcher,
    keys: ArcSwapOption<Keys>,
    /// Requests with an unknown key wait for this to move.
    fetches: watch::Sender<Fetches>,
    wanted: Notify,
    generation: AtomicU64,
}

/// The fetches that ended so far, and when one may be made for an unknown key.
#[derive(Clone, Copy)]
struct Fetches {
    count: u64,
    cooled: Instant,
}

struct Keys {
    set: KeySet,
    generation: u64,
    /// SHA-256 of the document it was read from: the same keys again are no new generation.
    digest: Vec<u8>,
}

/// Why a key set was not replaced.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error(transparent)]
    Discovery(#[from] discovery::DiscoveryError),
    #[error("`{url}` could not be fetched")]
    Fetch { url: String, source: FetchError },
    #[error("`{url}` is not a usable key set")]
    KeySet { url: String, source: KeySetError },
}

impl Issuers {
    /// Everything that stops one of them from loading, or all of them.
    pub fn new(configs: Vec<IssuerConfig>) -> Result<Self, Vec<ConfigError>> {
        crypto::install();
        let mut problems: Vec<ConfigError> =
            configs.iter().flat_map(IssuerConfig::problems).collect();
        let mut issuers: Vec<Issuer> = Vec::with_capacity(configs.len());
        for config in configs {
            let same =
                |other: &Issuer| other.config.name == config.name || other.config.url == config.url;
            if issuers.iter().any(same) {
                problems.push(ConfigError::Duplicate(config.name.clone()));
            }
            match Fetcher::new(config.guard.clone()) {
                Ok(fetcher) => issuers.push(Issuer::new(config, fetcher)),
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

    /// Keeps every key set fresh. Runs until it is dropped.
    pub async fn run(&self) {
        let mut tasks: Vec<_> =
            self.issuers.iter().map(|issuer| Box::pin(issuer.keep_fresh())).collect();
        std::future::poll_fn(|context| {
            for task in &mut tasks {
                let _ = task.as_mut().poll(context);
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Who sent a request with these `Authorization` fields, to a route that takes tokens of the
    /// issuers named in `allowed`.
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
        let status = |issuer: &Issuer| IssuerStatus {
            name: issuer.config.name.clone(),
            generation: issuer.generation.load(Ordering::Acquire),
            fetches: issuer.fetches.borrow().count,
        };
        self.issuers.iter().map(status).collect()
    }

    async fn verify(&self, allowed: &[String], token: &str, now_s: i64) -> Arc<Identity> {
        let unverified = match Unverified::read(token) {
            Ok(unverified) => unverified,
            Err(problem) => return Arc::new(problem.identity("")),
        };
        let issuer = self.issuers.iter().find(|issuer| issuer.config.url == unverified.issuer);
        let Some(issuer) = issuer.filter(|issuer| allowed.contains(&issuer.config.name)) else {
            return Arc::new(Problem::UnknownIssuer.identity(""));
        };
        let key = cache_key(&issuer.config.name, unverified.kid(), token);
        if let Some(identity) = issuer.cached(&self.cache, &key, now_s) {
            return identity;
        }
        match issuer.verify(&unverified, now_s).await {
            Ok((identity, generation)) => {
                let identity = Arc::new(identity);
                let until_s = identity.token.expires_at_s.min(now_s.saturating_add(CACHE_MAX_S));
                let entry = Entry { identity: Arc::clone(&identity), generation, until_s };
                self.cache.put(key, entry);
                identity
            }
            Err(problem) => Arc::new(problem.identity(&issuer.config.name)),
        }
    }
}

impl Issuer {
    fn new(config: IssuerConfig, fetcher: Fetcher) -> Self {
        Self {
            config,
            fetcher,
            keys: ArcSwapOption::empty(),
            fetches: watch::Sender::new(Fetches { count: 0, cooled: Instant::now() }),
            wanted: Notify::new(),
            generation: AtomicU64::new(0),
        }
    }

    fn cached(&self, cache: &Cache, key: &[u8; 32], now_s: i64) -> Option<Arc<Identity>> {
        cache.get(key, self.generation.load(Ordering::Acquire), now_s)
    }

    async fn verify(&self, token: &Unverified<'_>, now_s: i64) -> Result<(Identity, u64), Problem> {
        match self.verify_now(token, now_s) {
            Err(Problem::UnknownKey | Problem::KeysUnavailable) => {
                self.wait_for_fetch().await;
                self.verify_now(token, now_s)
            }
            other => other,
        }
    }

    fn verify_now(&self, token: &Unverified<'_>, now_s: i64) -> Result<(Identity, u64), Problem> {
        let keys = self.keys.load();
        let keys = keys.as_deref().ok_or(Problem::KeysUnavailable)?;
        Ok((token.verify(&self.config, &keys.set, now_s)?, keys.generation))
    }

    /// Asks for a fetch and waits for it to end, but not for long: fetches for unknown keys are
    /// at least a cool-down apart, so most of these requests are answered without one.
    async fn wait_for_fetch(&self) {
        let mut fetches = self.fetches.subscribe();
        self.wanted.notify_one();
        if fetches.borrow().cooled > Instant::now() + UNKNOWN_KEY_WAIT {
            return;
        }
        let _ = tokio::time::timeout(UNKNOWN_KEY_WAIT, fetches.changed()).await;
    }

    async fn keep_fresh(&self) {
        let mut pause = RETRY_MIN;
        loop {
            let next = match self.refresh().await {
                Ok(()) => {
                    pause = RETRY_MIN;
                    self.config.refresh
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(issuer = %self.config.name, error, "key set not replaced");
                    let this = pause;
                    pause = (pause * 2).min(RETRY_MAX);
                    this
                }
            };
            let ended = Instant::now();
            let cooled = ended + self.config.unknown_key_cooldown.min(next);
            self.fetches.send_modify(|fetches| {
                *fetches = Fetches { count: fetches.count + 1, cooled };
            });
            let _ = tokio::time::timeout_at(ended + next, async {
                tokio::time::sleep_until(cooled).await;
                self.wanted.notified().await;
            })
            .await;
        }
    }

    async fn refresh(&self) -> Result<(), RefreshError> {
        let url = discovery::key_set_url(&self.fetcher, &self.config.url).await?;
        let body = match self.fetcher.get(&url).await {
            Ok(body) => body,
            Err(source) => return Err(RefreshError::Fetch { url, source }),
        };
        let set = KeySet::parse(&body, &self.config.algorithms)
            .map_err(|source| RefreshError::KeySet { url, source })?;
        let digest = digest::digest(&digest::SHA256, &body);
        self.replace(set, digest.as_ref());
        Ok(())
    }

    fn replace(&self, set: KeySet, digest: &[u8]) {
        let same = self.keys.load().as_ref().is_some_and(|held| held.digest == digest);
        if same {
            return;
        }
        let generation = self.generation.load(Ordering::Acquire) + 1;
        self.keys.store(Some(Arc::new(Keys { set, generation, digest: digest.to_vec() })));
        self.generation.store(generation, Ordering::Release);
        info!(issuer = %self.config.name, generation, "key set loaded");
    }
}

fn cache_key(issuer: &str, kid: Option<&str>, token: &str) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [issuer, kid.unwrap_or_default()] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.update(token.as_bytes());
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    key
}
