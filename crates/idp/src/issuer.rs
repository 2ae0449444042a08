//! One issuer: its key set, kept fresh in the background, and the check of its tokens.
//!
//! A fetch that fails, or gives a set that is bad, changes nothing but when the next one is made.
//! A token whose key is not known asks for a fetch; however many ask, one is made, and not sooner
//! than a cool-down after the one before. It never makes a request wait for a provider that is
//! known to fail.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use ring::digest;
use signals::Identity;
use tokio::{
    sync::{Notify, watch},
    time::{self, Instant},
};
use tracing::{info, warn};

use crate::{
    bearer::{Problem, Unverified},
    config::IssuerConfig,
    discovery::{self, DiscoveryError},
    fetch::{FetchError, Fetcher},
    keys::{KeySet, KeySetError},
};

/// How long a request waits for the fetch of a key nobody knew.
pub(crate) const UNKNOWN_KEY_WAIT: Duration = Duration::from_secs(2);

/// Pause after a first failed fetch; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);

/// Longest pause between failed fetches.
const RETRY_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Issuer {
    config: IssuerConfig,
    fetcher: Fetcher,
    /// Shared with the issuer of another configuration that has the same.
    keys: Arc<ArcSwapOption<Keys>>,
    fetches: watch::Sender<Fetches>,
    wanted: Notify,
}

/// How the fetches go.
#[derive(Debug, Clone, Copy)]
struct Fetches {
    /// Those that ended.
    ended: u64,
    /// The last of them changed nothing.
    failed: bool,
    /// When the next may start for an unknown key; `None` while one is under way.
    due: Option<Instant>,
}

/// A key set that was loaded.
pub(crate) struct Keys {
    set: Arc<KeySet>,
    /// Sets loaded until this one, with it.
    generation: u64,
    /// SHA-256 of the document it was read from: the same keys again are no new generation.
    digest: digest::Digest,
}

/// Why a key set was not replaced.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("`{url}` could not be fetched")]
    Fetch { url: String, source: FetchError },
    #[error("`{url}` is not a usable key set")]
    KeySet { url: String, source: KeySetError },
}

impl Issuer {
    /// An issuer with these keys, which another may replace, too.
    pub(crate) fn new(
        config: IssuerConfig,
        fetcher: Fetcher,
        keys: Arc<ArcSwapOption<Keys>>,
    ) -> Self {
        let fetches = Fetches { ended: 0, failed: false, due: None };
        Self { config, fetcher, keys, fetches: watch::Sender::new(fetches), wanted: Notify::new() }
    }

    pub(crate) fn config(&self) -> &IssuerConfig {
        &self.config
    }

    pub(crate) fn keys(&self) -> Arc<ArcSwapOption<Keys>> {
        Arc::clone(&self.keys)
    }

    /// Key sets loaded so far.
    pub(crate) fn generation(&self) -> u64 {
        self.keys.load().as_ref().map_or(0, |keys| keys.generation)
    }

    /// Fetches that ended so far.
    pub(crate) fn fetched(&self) -> u64 {
        self.fetches.borrow().ended
    }

    /// Who a token of this issuer names, and the generation of keys that says so. A key that is
    /// not known may be one that is new: then, and if it can help, a fetch is waited for.
    pub(crate) async fn verify(
        &self,
        token: &Unverified<'_>,
        now_s: i64,
    ) -> Result<(Identity, u64), Problem> {
        // Taken before the keys are looked at, so that no fetch can end unseen in between.
        let before = *self.fetches.borrow();
        match self.verify_now(token, now_s) {
            Err(Problem::UnknownKey | Problem::KeysUnavailable) if self.may_come(before) => {
                let ended = |fetches: &Fetches| fetches.ended > before.ended;
                let mut fetches = self.fetches.subscribe();
                let _ = time::timeout(UNKNOWN_KEY_WAIT, fetches.wait_for(ended)).await;
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

    /// Asks for a fetch, and says whether it is worth waiting for: it is under way or may start
    /// now, and the one before did not fail.
    fn may_come(&self, fetches: Fetches) -> bool {
        match fetches.due {
            None => !fetches.failed,
            Some(due) => {
                self.wanted.notify_one();
                !fetches.failed && due <= Instant::now()
            }
        }
    }

    /// Fetches the key set again and again, for ever.
    pub(crate) async fn keep_fresh(self: Arc<Self>) {
        let mut pause = RETRY_MIN;
        loop {
            self.fetches.send_modify(|fetches| fetches.due = None);
            let refreshed = self.refresh().await;
            let failed = refreshed.is_err();
            let rest = match refreshed {
                Ok(()) => {
                    pause = RETRY_MIN;
                    self.config.refresh
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(issuer = %self.config.name, error, "key set not replaced");
                    let rest = pause;
                    pause = (pause * 2).min(RETRY_MAX);
                    rest
                }
            };
            let now = Instant::now();
            let due = now + self.config.unknown_key_cooldown.min(rest);
            self.fetches.send_modify(|fetches| {
                *fetches = Fetches { ended: fetches.ended + 1, failed, due: Some(due) };
            });
            let wanted = async {
                time::sleep_until(due).await;
                self.wanted.notified().await;
            };
            let _ = time::timeout_at(now + rest, wanted).await;
        }
    }

    async fn refresh(&self) -> Result<(), RefreshError> {
        let url = discovery::key_set_url(&self.fetcher, &self.config.url).await?;
        let body = match self.fetcher.get(&url).await {
            Ok(body) => body,
            Err(source) => return Err(RefreshError::Fetch { url, source }),
        };
        let set = KeySet::read(&body, &self.config.algorithms)
            .map_err(|source| RefreshError::KeySet { url, source })?;
        self.replace(set, digest::digest(&digest::SHA256, &body));
        Ok(())
    }

    fn replace(&self, set: KeySet, digest: digest::Digest) {
        let set = Arc::new(set);
        let is_held = |held: &Arc<Keys>| held.digest.as_ref() == digest.as_ref();
        let before = self.keys.rcu(|held| match held {
            Some(held) if is_held(held) => Some(Arc::clone(held)),
            held => {
                let generation = held.as_ref().map_or(0, |held| held.generation) + 1;
                Some(Arc::new(Keys { set: Arc::clone(&set), generation, digest }))
            }
        });
        if !before.as_ref().is_some_and(is_held) {
            info!(issuer = %self.config.name, generation = self.generation(), "key set loaded");
        }
    }
}
