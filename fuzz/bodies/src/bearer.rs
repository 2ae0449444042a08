//! `Authorization` fields, and the claims of a token that this target signs itself.
//!
//! What was not signed is refused with a word. A payload that was is accepted only if it is for us
//! and for now, names each claim once and keeps every limit; who it says is calling is what a
//! second reading of it says, and Cedar can be asked of it.

mod claims;
mod provider;

use std::{
    pin::pin,
    sync::OnceLock,
    task::{Context, Poll, Waker},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use idp::Identity;
use signals::{Facts, PrincipalKind};
use verdict::{Action, Decision, Policies, Question, Resource, Source};

use provider::{AUDIENCES, LEEWAY_S, NAME, Provider};

const NOW_S: i64 = 1_795_262_951;
const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k1"}"#;

/// Reads the bytes as a field; as the lines `header`, `claims` and `signature` of a token; and as
/// the claims of one that is signed. Accepted is a token that holds.
pub fn bearer(data: &[u8]) -> bool {
    static PROVIDER: OnceLock<Provider> = OnceLock::new();
    let provider = PROVIDER.get_or_init(Provider::start);
    let payload = provider.with_issuer(data);
    let mut lines = payload.splitn(3, |byte| *byte == b'\n');
    let parts = [lines.next(), lines.next(), lines.next()].map(Option::unwrap_or_default);
    let unsigned = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    for field in [data.to_vec(), format!("Bearer {unsigned}").into_bytes()] {
        is_refused(&identify(provider, &field));
    }
    let signed = format!("Bearer {}", provider.token(HEADER, &payload));
    let identity = identify(provider, signed.as_bytes());
    if !identity.fact.verified {
        is_refused(&identity);
        return false;
    }
    claims::hold(&identity, &payload, provider.issuer());
    is_asked(&identity);
    true
}

/// The one key set is loaded, and no fetch may begin: nothing is waited for.
fn identify(provider: &Provider, field: &[u8]) -> Identity {
    let _entered = provider.runtime.enter();
    let (allowed, fields) = ([NAME.to_owned()], [field]);
    let asked = pin!(provider.issuers.identify(&allowed, &fields, NOW_S));
    match asked.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(identity) => Identity::clone(&identity),
        Poll::Pending => panic!("it waits for a key"),
    }
}

fn is_refused(identity: &Identity) {
    assert_eq!(identity.principal.kind, PrincipalKind::Anonymous);
    let fact = &identity.fact;
    assert!(fact.presented && !fact.verified && !fact.problem.is_empty(), "{fact:?}");
    assert!(!identity.token.present, "{fact:?}");
}

/// A question of this caller has an answer without an error, and the recorded one the same.
fn is_asked(identity: &Identity) {
    static POLICIES: OnceLock<Policies> = OnceLock::new();
    let policies = POLICIES.get_or_init(policies);
    let mut facts = Facts::default();
    facts.identity.clone_from(&identity.fact);
    facts.token.clone_from(&identity.token);
    let action = Action { namespace: "Shop".to_owned(), name: "see".to_owned() };
    let resource =
        Resource { kind: "Shop::Item".to_owned(), id: "book".to_owned(), api: "shop".to_owned() };
    let question =
        Question { principal: identity, action: &action, resource: &resource, context: &facts };
    let basis = policies.decide(&question, ()).basis;
    assert!(basis.declared && basis.errors.is_empty(), "{basis:?}");
    assert_eq!(basis.decision, Decision::Allow, "{basis:?}");
    let recorded = serde_json::to_value(question).expect("JSON");
    let facts = serde_json::to_value(&facts).expect("JSON");
    assert_eq!(policies.ask_again(&recorded, &facts).expect("as recorded"), basis);
}

/// One permit, which reads all that is known of a caller.
fn policies() -> Policies {
    let files = [
        ("schema.cedarschema", SCHEMA),
        ("entities/all.json", ENTITIES),
        ("shop/all.cedar", PERMIT),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    Policies::load(&Source { files, ..Source::default() }).expect("policies")
}

const SCHEMA: &str = "namespace Shop {
  entity Item in [Portcullis::Api];
  action see appliesTo {
    principal: [Portcullis::User],
    resource: [Item],
    context: Portcullis::Facts,
  };
}
";

const ENTITIES: &str = r#"[
  {"uid": {"type": "Portcullis::Api", "id": "shop"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Portcullis::Role", "id": "buyer"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Portcullis::Group", "id": "corp|a"}, "attrs": {},
   "parents": [{"type": "Portcullis::Role", "id": "buyer"}]}
]"#;

const PERMIT: &str = r#"
@id("reads-all")
permit (
  principal is Portcullis::User,
  action == Shop::Action::"see",
  resource in Portcullis::Api::"shop"
)
when {
  context.identity.verified && context.identity.problem == "" && context.token.present &&
  context.token.audience.containsAny(["orders", "billing"]) &&
  context.token.expires_at_s + 30 > 1795262951 &&
  context.token.issued_at_s <= 1795262981 && context.token.auth_time_s >= 0 &&
  [context.token.issuer, context.token.client, context.token.acr].contains(context.token.acr) &&
  [context.token.scope, context.token.amr].contains(context.token.amr) &&
  (if principal in Portcullis::Role::"buyer"
   then principal in Portcullis::Group::"corp|a"
   else !(principal in Portcullis::Group::"corp|a")) &&
  (if principal.hasTag("department")
   then !principal.getTag("department").isEmpty()
   else true)
};
"#;
