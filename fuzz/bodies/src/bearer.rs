//! `Authorization` fields. With no key loaded, no credential is ever verified: it is refused with
//! a word, or waits for a key, which here never comes.

use std::{
    pin::pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use idp::{Algorithm, ClaimMap, Guard, Identity, IssuerConfig, Issuers};
use signals::PrincipalKind;
use tokio::runtime::{Builder, Runtime};

const NOW_S: i64 = 1_795_262_951;

/// Reads the bytes as a field, and as the lines `header`, `claims` and `signature` of a token.
/// Accepted is what would be verified if its key were known.
pub fn bearer(data: &[u8]) -> bool {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let parts = [lines.next(), lines.next(), lines.next()].map(Option::unwrap_or_default);
    let token = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let fields = [data.to_vec(), format!("Bearer {token}").into_bytes()];
    fields.map(|field| waits_for_a_key(&field)).contains(&true)
}

fn waits_for_a_key(field: &[u8]) -> bool {
    static SETTING: OnceLock<(Runtime, Issuers)> = OnceLock::new();
    let (runtime, issuers) = SETTING.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        (runtime, Issuers::new(vec![corp()]).expect("an issuer"))
    });
    let _entered = runtime.enter();
    let (allowed, fields) = (["corp".to_owned()], [field]);
    let asked = pin!(issuers.identify(&allowed, &fields, NOW_S));
    match asked.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => true,
        Poll::Ready(identity) => {
            is_refused(&identity);
            false
        }
    }
}

fn is_refused(identity: &Arc<Identity>) {
    assert_eq!(identity.principal.kind, PrincipalKind::Anonymous);
    let fact = &identity.fact;
    assert!(fact.presented && !fact.verified && !fact.problem.is_empty(), "{fact:?}");
}

fn corp() -> IssuerConfig {
    IssuerConfig {
        name: "corp".to_owned(),
        url: "https://login.example.com".to_owned(),
        audiences: vec!["orders".to_owned()],
        algorithms: Algorithm::ALL.to_vec(),
        token_types: vec!["at+jwt".to_owned()],
        claims: ClaimMap {
            kind: PrincipalKind::User,
            groups: Some("groups".to_owned()),
            attributes: Vec::new(),
        },
        leeway: Duration::from_secs(30),
        refresh: Duration::from_secs(600),
        unknown_key_cooldown: Duration::from_secs(1),
        guard: Guard { trust_anchors_pem: Some(ANCHOR.to_vec()), ..Guard::default() },
    }
}

/// A certificate: the machine's own trust anchors do not matter here.
const ANCHOR: &[u8] = include_bytes!("anchor.pem");
