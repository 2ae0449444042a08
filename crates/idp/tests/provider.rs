//! Issuers against a provider that rotates, fails, lies and comes late.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test throughout, its helpers too"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fixtures::{
    harness::free_port,
    idp::{AUDIENCE, Fault, Idp, now_s},
    jws::Signer,
};
use idp::{Algorithm, ClaimMap, Guard, Identity, IssuerConfig, Issuers};
use serde_json::{Value, json};
use signals::{Health, PrincipalKind};
use tokio::task::{JoinHandle, JoinSet};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(1);
/// What may take long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a request may wait for a key; requests that need not wait take far less.
const WAIT: Duration = Duration::from_secs(2);

fn config(name: &str, url: &str, cooldown: Duration) -> IssuerConfig {
    IssuerConfig {
        name: name.to_owned(),
        url: url.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
        token_types: vec!["at+jwt".to_owned()],
        claims: ClaimMap {
            kind: PrincipalKind::User,
            groups: Some("groups".to_owned()),
            attributes: Vec::new(),
        },
        leeway: Duration::from_secs(30),
        refresh: HOUR,
        unknown_key_cooldown: cooldown,
        guard: Guard {
            allow_private_addresses: true,
            allow_plain_http: true,
            trust_anchors_pem: None,
        },
    }
}

/// Issuers whose key sets are kept fresh.
struct Served {
    issuers: Arc<Issuers>,
    names: Vec<String>,
    running: JoinHandle<()>,
}

impl Served {
    fn start(configs: Vec<IssuerConfig>) -> Self {
        let names: Vec<String> = configs.iter().map(|config| config.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Self::run(Issuers::new(configs).expect("issuers"), &names)
    }

    fn run(issuers: Issuers, names: &[&str]) -> Self {
        let issuers = Arc::new(issuers);
        let run = Arc::clone(&issuers);
        let running = tokio::spawn(async move { run.run().await });
        Self { issuers, names: names.iter().map(ToString::to_string).collect(), running }
    }

    /// One issuer, its first key set loaded.
    async fn of(provider: &Idp, cooldown: Duration) -> Self {
        let served = Self::start(vec![config("corp", provider.issuer(), cooldown)]);
        served.fetched(1).await;
        assert_eq!(served.generation(), 1);
        served
    }

    async fn identify(&self, token: &str) -> Arc<Identity> {
        let field = format!("Bearer {token}");
        self.issuers.identify(&self.names, &[field.as_bytes()], now_s()).await
    }

    /// The problem of a token, empty if it has none.
    async fn ask(&self, token: &str) -> String {
        let identity = self.identify(token).await;
        assert_eq!(identity.fact.verified, identity.fact.problem.is_empty());
        identity.fact.problem.clone()
    }

    /// Asks until the answer is `want`.
    async fn ask_until(&self, token: &str, want: &str) {
        let end = Instant::now() + PATIENCE;
        while self.ask(token).await != want {
            assert!(Instant::now() < end, "never `{want}`");
            tokio::task::yield_now().await;
        }
    }

    fn fetches(&self) -> u64 {
        self.issuers.status().iter().map(|status| status.fetches).sum()
    }

    fn generation(&self) -> u64 {
        self.issuers.status().iter().map(|status| status.generation).sum()
    }

    /// Waits until so many fetches have ended.
    async fn fetched(&self, count: u64) {
        let end = Instant::now() + PATIENCE;
        while self.fetches() < count {
            assert!(Instant::now() < end, "never {count} fetches");
            tokio::time::sleep(MOMENT).await;
        }
    }

    /// Waits until a fetch that began after now has ended; asking for it with `unknown`.
    async fn fetched_again(&self, unknown: &str) {
        let seen = self.fetches();
        let end = Instant::now() + PATIENCE;
        while self.fetches() < seen + 2 {
            assert!(Instant::now() < end, "no fetch for an unknown key");
            assert_eq!(self.ask(unknown).await, "unknown_key");
            tokio::time::sleep(MOMENT).await;
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn token(provider: &Idp) -> String {
    provider.access_token("alice", "ES256").expect("a token")
}

/// A token of that issuer whose key it never published.
fn by_stranger(provider: &Idp, kid: &str) -> String {
    let key = Signer::ed25519(kid).expect("a key");
    let header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": kid});
    key.compact(&header, &provider.access_claims("alice").expect("claims")).expect("a token")
}

fn provider() -> Idp {
    Idp::start(0, 0).expect("a provider")
}

#[tokio::test]
async fn requests_wait_for_the_first_key_set_but_the_start_does_not() {
    let provider = provider();
    provider.fault("/jwks", Fault::Slow(Duration::from_millis(200)));
    let served = Served::start(vec![config("corp", provider.issuer(), HOUR)]);
    assert_eq!((served.fetches(), served.generation()), (0, 0));
    assert_eq!(served.ask(&token(&provider)).await, "");
    assert_eq!(served.fetches(), 1);
}

#[tokio::test]
async fn a_provider_that_is_down_makes_nobody_wait_and_may_come_up() {
    let port = free_port().expect("a port");
    let url = format!("http://127.0.0.1:{port}");
    let mut claims: Value = provider().access_claims("alice").expect("claims");
    claims["iss"] = json!(url);
    let header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "k"});
    let key = Signer::ed25519("k").expect("a key");
    let early = key.compact(&header, &claims).expect("a token");

    let served = Served::start(vec![config("corp", &url, MOMENT)]);
    served.fetched(1).await;
    let started = Instant::now();
    for _ in 0..100 {
        let identity = served.identify(&early).await;
        assert_eq!(identity.fact.problem, "keys_unavailable");
        assert_eq!(identity.fact.health, Health::Unavailable);
    }
    assert!(started.elapsed() < WAIT, "{:?}", started.elapsed());
    assert_eq!(served.generation(), 0);

    let up = Idp::start(port, 0).expect("the provider");
    served.ask_until(&token(&up), "").await;
    assert_eq!(served.ask(&early).await, "unknown_key");
}

#[tokio::test]
async fn a_new_key_costs_one_fetch_and_a_retired_one_ends_its_tokens() {
    let provider = provider();
    let served = Served::of(&provider, MOMENT).await;
    let old = token(&provider);
    assert_eq!(served.ask(&old).await, "");
    provider.rotate().expect("rotate");
    let new = token(&provider);
    served.ask_until(&new, "").await;
    assert_eq!((provider.hits("/jwks"), served.generation()), (2, 2));
    assert_eq!(served.ask(&old).await, "", "it is still published");

    provider.retire();
    assert_eq!(served.ask(&old).await, "", "nothing was fetched since");
    served.fetched_again(&by_stranger(&provider, "nobody")).await;
    assert_eq!(served.generation(), 3);
    assert_eq!(served.ask(&old).await, "unknown_key", "it was in the cache");
    assert_eq!(served.ask(&new).await, "");
}

#[tokio::test]
async fn the_same_set_again_is_no_new_generation() {
    let provider = provider();
    let served = Served::of(&provider, MOMENT).await;
    served.fetched_again(&by_stranger(&provider, "nobody")).await;
    assert_eq!(served.generation(), 1);
}

/// Asks for a thousand keys that nobody knows, all at once.
async fn storm(provider: &Idp, served: &Arc<Served>) {
    let mut asking = JoinSet::new();
    for n in 0..1000 {
        let (token, served) = (by_stranger(provider, &format!("k{n}")), Arc::clone(served));
        asking.spawn(async move { served.ask(&token).await });
    }
    assert!(asking.join_all().await.iter().all(|problem| problem == "unknown_key"));
}

#[tokio::test]
async fn a_storm_of_unknown_keys_is_one_fetch() {
    let provider = provider();
    let served = Arc::new(Served::of(&provider, MOMENT).await);
    provider.fault("/jwks", Fault::Slow(Duration::from_millis(300)));
    storm(&provider, &served).await;
    assert!((2..=3).contains(&provider.hits("/jwks")), "{}", provider.hits("/jwks"));
    assert_eq!(served.ask(&token(&provider)).await, "");
}

#[tokio::test]
async fn within_the_cooldown_unknown_keys_cost_no_fetch_and_no_wait() {
    let provider = provider();
    let served = Arc::new(Served::of(&provider, HOUR).await);
    let started = Instant::now();
    storm(&provider, &served).await;
    assert!(started.elapsed() < WAIT, "{:?}", started.elapsed());
    assert_eq!(provider.hits("/jwks"), 1);
}

/// A key set of somebody else, longer than what is read.
fn endless() -> String {
    let stranger = Signer::ed25519("ed-1").expect("a key").jwk().expect("a jwk");
    json!({"keys": [stranger], "padding": "x".repeat(1 << 20)}).to_string()
}

#[tokio::test]
async fn a_bad_set_never_replaces_a_good_one() {
    let provider = provider();
    let served = Served::of(&provider, MOMENT).await;
    let stranger = by_stranger(&provider, "nobody");
    let metadata = |issuer: &str, keys: &str| {
        Fault::Body(json!({"issuer": issuer, "jwks_uri": keys}).to_string())
    };
    let (own, evil) = (provider.issuer(), Idp::start(0, 0).expect("another provider"));
    let evil_keys = format!("{}/jwks", evil.issuer());
    let symmetric = json!({"keys": [{"kty": "oct", "kid": "ec-1", "k": "c2VjcmV0"}]}).to_string();
    let many = json!({"keys": vec![json!({"kty": "oct"}); 129]}).to_string();
    const METADATA: &str = "/.well-known/openid-configuration";
    for (path, fault) in [
        ("/jwks", Fault::Status(500)),
        ("/jwks", Fault::Status(204)),
        ("/jwks", Fault::Status(302)),
        ("/jwks", Fault::Garbage),
        ("/jwks", Fault::Drop),
        ("/jwks", Fault::Body(String::new())),
        ("/jwks", Fault::Body("{}".to_owned())),
        ("/jwks", Fault::Body("[]".to_owned())),
        ("/jwks", Fault::Body(r#"{"keys":[]}"#.to_owned())),
        ("/jwks", Fault::Body(r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA"}]}"#.to_owned())),
        ("/jwks", Fault::Body("<html>maintenance</html>".to_owned())),
        ("/jwks", Fault::Body(symmetric)),
        ("/jwks", Fault::Body(many)),
        ("/jwks", Fault::Body(endless())),
        (METADATA, Fault::Status(404)),
        (METADATA, Fault::Drop),
        (METADATA, Fault::Garbage),
        (METADATA, metadata(evil.issuer(), &evil_keys)),
        (METADATA, metadata(&format!("{own}/"), &format!("{own}/jwks"))),
        (METADATA, metadata(own, "file:///etc/passwd")),
        (METADATA, metadata(own, "/jwks")),
        (METADATA, metadata(own, "http://127.0.0.1:1/jwks")),
    ] {
        provider.fault(path, fault.clone());
        served.fetched_again(&stranger).await;
        assert_eq!(served.generation(), 1, "{path} {fault:?}");
        assert_eq!(served.ask(&token(&provider)).await, "", "{path} {fault:?}");
        provider.fault(path, Fault::None);
    }
    assert_eq!(evil.hits("/jwks"), 0);
    provider.rotate().expect("rotate");
    served.ask_until(&token(&provider), "").await;
    assert_eq!(served.generation(), 2);
}

#[tokio::test]
async fn metadata_of_another_issuer_gives_no_keys_at_all() {
    let (provider, other) = (provider(), provider());
    let body = json!({"issuer": other.issuer(), "jwks_uri": format!("{}/jwks", provider.issuer())});
    provider.fault("/.well-known/openid-configuration", Fault::Body(body.to_string()));
    let served = Served::start(vec![config("corp", provider.issuer(), MOMENT)]);
    served.fetched(1).await;
    assert_eq!(served.ask(&token(&provider)).await, "keys_unavailable");
    assert_eq!((served.generation(), provider.hits("/jwks")), (0, 0));
}

#[tokio::test]
async fn two_issuers_with_one_kid_do_not_mix() {
    let (one, two) = (provider(), provider());
    let configs = vec![config("one", one.issuer(), HOUR), config("two", two.issuer(), HOUR)];
    let served = Served::start(configs);
    served.fetched(2).await;
    let key = one.signer("ES256").expect("a key");
    assert_eq!(key.kid, two.signer("ES256").expect("a key").kid);
    let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": key.kid});
    let forged = key.compact(&header, &two.access_claims("alice").expect("claims"));
    for (token, want) in [
        (token(&one), Ok("one|alice")),
        (token(&two), Ok("two|alice")),
        (forged.expect("a token"), Err("bad_signature")),
    ] {
        let identity = served.identify(&token).await;
        let got = match identity.fact.verified {
            true => Ok(identity.principal.id.as_str()),
            false => Err(identity.fact.problem.as_str()),
        };
        assert_eq!(got, want);
    }
}

#[tokio::test]
async fn a_token_in_the_cache_holds_for_its_routes_its_time_and_its_configuration() {
    let (one, two) = (provider(), provider());
    let configs = vec![config("one", one.issuer(), HOUR), config("two", two.issuer(), HOUR)];
    let served = Served::start(configs.clone());
    served.fetched(2).await;
    let (token, now_s) = (token(&one), now_s());
    let field = format!("Bearer {token}");
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (allowed, now_s, want) in [
        (names(&["one", "two"]), now_s, ""),
        (names(&["one"]), now_s, ""),
        (names(&["two"]), now_s, "unknown_issuer"),
        (names(&[]), now_s, "unknown_issuer"),
        (names(&["one"]), now_s + 3500, ""),
        (names(&["one"]), now_s + 4000, "expired"),
        (names(&["one"]), now_s - 4000, "not_yet_valid"),
        (names(&["one"]), now_s, ""),
    ] {
        let identity = served.issuers.identify(&allowed, &[field.as_bytes()], now_s).await;
        assert_eq!(identity.fact.problem, want, "{allowed:?} {now_s}");
    }

    let [mut first, second] = configs.try_into().expect("two");
    first.audiences = vec!["somebody-else".to_owned()];
    let reloaded = Served::start(vec![first, second]);
    reloaded.fetched(2).await;
    assert_eq!(reloaded.ask(&token).await, "wrong_audience");
    assert_eq!(served.ask(&token).await, "");
}

#[tokio::test]
async fn another_configuration_keeps_the_keys_of_an_issuer_that_it_did_not_move() {
    let (one, two) = (provider(), provider());
    let before = Served::of(&one, HOUR).await;
    let (of_one, of_two) = (token(&one), token(&two));
    assert_eq!(before.ask(&of_one).await, "");
    one.fault("", Fault::Drop);
    let corp = config("corp", one.issuer(), HOUR);
    let renew = |corp: IssuerConfig| {
        Issuers::renew(vec![corp, config("two", two.issuer(), HOUR)], &before.issuers)
    };
    let check = |corp: IssuerConfig, want: &'static str| {
        let issuers = renew(corp).expect("issuers");
        let of_one = of_one.clone();
        async move {
            let (allowed, field) = (["corp".to_owned()], format!("Bearer {of_one}"));
            let identity = issuers.identify(&allowed, &[field.as_bytes()], now_s()).await;
            assert_eq!(identity.fact.problem, want);
        }
    };
    check(corp.clone(), "").await;
    check(IssuerConfig { name: "corp".to_owned(), refresh: HOUR * 2, ..corp.clone() }, "").await;
    let audiences = vec!["somebody-else".to_owned()];
    check(IssuerConfig { audiences, ..corp.clone() }, "wrong_audience").await;
    // What may be another's keys, or others of the same, are to be fetched first.
    let guard = Guard { trust_anchors_pem: None, allow_plain_http: true, ..Guard::default() };
    check(IssuerConfig { guard, ..corp.clone() }, "keys_unavailable").await;
    let algorithms = vec![Algorithm::EdDSA, Algorithm::ES256, Algorithm::PS256];
    check(IssuerConfig { algorithms, ..corp.clone() }, "keys_unavailable").await;

    // Those that are fetched after it are no less fresh.
    let soon = IssuerConfig { unknown_key_cooldown: MOMENT, ..corp };
    let served = Served::run(renew(soon).expect("issuers"), &["corp", "two"]);
    served.ask_until(&of_two, "").await;
    assert_eq!(served.ask(&of_one).await, "");
    one.fault("", Fault::None);
    one.rotate().expect("rotate");
    one.retire();
    served.ask_until(&token(&one), "").await;
    assert_eq!(served.ask(&of_one).await, "unknown_key");
}

#[tokio::test]
async fn dropping_the_run_ends_the_fetches() {
    let provider = provider();
    let mut fast = config("corp", provider.issuer(), HOUR);
    fast.refresh = MOMENT;
    let served = Served::start(vec![fast]);
    served.fetched(3).await;
    served.running.abort();
    while !served.running.is_finished() {
        tokio::task::yield_now().await;
    }
    let seen = served.fetches();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(served.fetches(), seen);
    assert_eq!(served.ask(&token(&provider)).await, "", "what was loaded is still there");
}

#[tokio::test]
async fn one_credential_of_one_scheme_is_all_there_may_be() {
    let provider = provider();
    let served = Served::of(&provider, HOUR).await;
    let good = format!("Bearer {}", token(&provider));
    for (fields, problem, presented) in [
        (vec![], "", false),
        (vec![good.as_str()], "", true),
        (vec![good.as_str(), good.as_str()], "several_credentials", true),
        (vec!["Basic YTpi"], "unknown_scheme", true),
        (vec![""], "unknown_scheme", true),
    ] {
        let bytes: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
        let identity = served.issuers.identify(&served.names, &bytes, now_s()).await;
        assert_eq!(identity.fact.problem, problem, "{fields:?}");
        assert_eq!(identity.fact.presented, presented, "{fields:?}");
    }
}
