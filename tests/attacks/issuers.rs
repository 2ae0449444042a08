//! Two issuers whose keys have the same ids: neither speaks for the other, and what one API took a
//! moment ago is no answer for another.

use fixtures::{
    client::{Client, Request},
    harness::{Setting, Setup},
    idp::{Idp, access_header},
    record::{Record, text},
};

use super::{Answered, Attack, HOST, MANNERS, Manner, recorded, send};

/// Algorithms whose keys each provider makes for itself: the RSA keys are the same everywhere.
const ALGORITHMS: [&str; 2] = ["ES256", "EdDSA"];

/// A gateway that knows the demo's issuer as `corp` and another as `partner`.
struct Two {
    setting: Setting,
    partner: Idp,
}

/// A token, and whose it is.
struct Token {
    principal: &'static str,
    text: String,
}

impl Two {
    /// `public` and `orders` list the issuers of these APIs.
    fn start(name: &str, public: &str, orders: &str) -> Self {
        let partner = Idp::start(0, 0).expect("a provider");
        let issuer = format!(
            "  partner:
    issuer: \"{}\"
    audiences: [orders]
    algorithms: [ES256, EdDSA]
    claims:
      groups: groups
    allow_private_addresses: true
    allow_plain_http: true\nupstreams:\n",
            partner.issuer()
        );
        let setup = Setup::open(HOST, false)
            .change("upstreams:\n", &issuer)
            .change(
                "    namespace: Public\n    issuers: [corp]",
                &format!("    namespace: Public\n    issuers: {public}"),
            )
            .change(
                "    namespace: Orders\n    issuers: [corp]",
                &format!("    namespace: Orders\n    issuers: {orders}"),
            );
        Self { setting: Setting::start(name, &setup).expect("the product"), partner }
    }

    fn both(&self) -> [(&'static str, &Idp); 2] {
        [("corp|alice", &self.setting.idp), ("partner|alice", &self.partner)]
    }

    fn tokens(&self, alg: &str) -> [Token; 2] {
        self.both().map(|(principal, idp)| Token {
            principal,
            text: idp.access_token("alice", alg).expect("a token"),
        })
    }
}

fn bytes(client: &Client, target: &str, token: &str) -> Vec<u8> {
    let authorization = format!("Bearer {token}");
    Request::new("GET", target).field("Authorization", &authorization).bytes(client.host())
}

/// The claims of one issuer under the signature of another, by a key of the same id.
fn forged(claims_of: &Idp, signed_by: &Idp, alg: &str) -> String {
    let (ours, theirs) = (claims_of.signer(alg), signed_by.signer(alg));
    let (ours, theirs) = (ours.expect("a key"), theirs.expect("a key"));
    assert_eq!(ours.kid, theirs.kid, "the ids are the same");
    let claims = claims_of.access_claims("alice").expect("claims");
    theirs.compact(&access_header(&theirs), &claims).expect("a token")
}

/// It is answered by the upstream; the decision's id.
fn taken(two: &Two, client: &Client, target: &str, token: &Token, manner: Manner) -> String {
    let what = format!("{} at {target} ({manner:?})", token.principal);
    let mut connection = send(client, manner, &bytes(client, target, &token.text));
    let answer = connection.final_answer("GET").expect("an answer");
    assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
    let sent = two.setting.upstream.requests().pop().expect("at the upstream").message;
    assert_eq!(sent.field("x-forwarded-user"), Some(token.principal), "{what}");
    answer.field("portcullis-decision-id").expect("an id").to_owned()
}

fn refused(two: &Two, client: &Client, target: &str, token: &str, manner: Manner) -> Answered {
    let bytes = bytes(client, target, token);
    let attack = Attack { what: target, bytes, status: 401, code: "unauthenticated" };
    attack.send(&two.setting, client, manner).1
}

/// Why a credential did not hold, as recorded.
pub(super) fn problem<'a>(record: &'a Record, answered: &Answered) -> &'a str {
    let decisions = record.decisions().expect("each once");
    let decision = decisions.get(answered.id.as_str()).expect("a decision");
    text(decision, "/unmapped/facts/identity/problem")
}

#[test]
fn a_key_of_the_same_id_speaks_for_its_own_issuer_alone() {
    let two = Two::start("same-kid", "[corp, partner]", "[corp, partner]");
    let client = two.setting.client().expect("a client");
    let [(_, corp), (_, partner)] = two.both();
    let (mut good, mut answered) = (Vec::new(), Vec::new());
    for alg in ALGORITHMS {
        for manner in MANNERS {
            for (claims_of, signed_by) in [(corp, partner), (partner, corp)] {
                for target in ["/public", "/orders"] {
                    let token = forged(claims_of, signed_by, alg);
                    answered.push(refused(&two, &client, target, &token, manner));
                }
                for token in two.tokens(alg) {
                    let id = taken(&two, &client, "/public", &token, manner);
                    good.push((id, token.principal));
                }
            }
        }
    }
    recorded(&two.setting, &answered);
    let record = two.setting.record().expect("events");
    for found in &answered {
        assert_eq!(problem(&record, found), "bad_signature", "{}", found.what);
    }
    let decisions = record.decisions().expect("each once");
    for (id, principal) in &good {
        let decision = decisions.get(id.as_str()).expect("a decision");
        assert_eq!(text(decision, "/unmapped/question/principal/id"), *principal);
    }
    println!("issuers: refused={} taken={}", answered.len(), good.len());
}

#[test]
fn what_one_api_took_is_no_answer_for_another() {
    let two = Two::start("two-apis", "[partner]", "[corp]");
    let client = two.setting.client().expect("a client");
    let mut answered = Vec::new();
    for alg in ALGORITHMS {
        for manner in MANNERS {
            let [corp, partner] = two.tokens(alg); // the same for all six, so that it is known
            for (token, own, foreign) in
                [(&corp, "/orders", "/public"), (&partner, "/public", "/orders")]
            {
                for _ in 0..2 {
                    taken(&two, &client, own, token, manner);
                    answered.push(refused(&two, &client, foreign, &token.text, manner));
                }
                taken(&two, &client, own, token, manner);
            }
        }
    }
    recorded(&two.setting, &answered);
    let record = two.setting.record().expect("events");
    for found in &answered {
        assert_eq!(problem(&record, found), "unknown_issuer", "{}", found.what);
    }
}
