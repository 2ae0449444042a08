//! What becomes of the candidate, seen in the completions of a real record.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;

use ledger::event::{
    Completion, Connection, Decision, DecisionFields, HttpRequest, Outcome, Producer, Subject,
    Turned,
};
use ledger::keys::{Issuer, OriginPrefix, Root, Validity};
use ledger::note::{PrivateKey, Signer};
use ledger::{Durability, Ledger, Look, SpoolOptions};
use serde_json::Value;
use signals::Identity;
use uuid::Uuid;
use verdict::{Action, Decision as Answer, Obligations, Policies, PolicyError, Resource, Source};

use super::*;
use crate::bundle::{Bundle, Declared, Stamps};
use crate::candidate::Share;
use crate::snapshot::PolicySet;

const NOW_MS: i64 = 1_795_262_951_123;

fn issuer() -> Issuer {
    let private = |seed: u8| PrivateKey::from_seed([seed; 32]);
    let root = Root::new("audit.example.com/root", &private(1)).unwrap();
    let key = Signer::new("audit.example.com/eu1/issuer", &private(2)).unwrap();
    let prefix = OriginPrefix::parse("audit.example.com/eu1").unwrap();
    let start_s = u64::try_from(NOW_MS / 1000).unwrap();
    let validity = Validity::new(start_s - 1000, start_s + 1_000_000).unwrap();
    let certificate = root.certify(key.verifier_key(), &prefix, validity).unwrap();
    Issuer::open(&private(2), &certificate, root.verifier_key()).unwrap()
}

fn producer() -> Producer {
    let log = "audit.example.com/eu1/gw-a".to_owned();
    Producer { version: "0.1.0".to_owned(), log, instance: "gw-a".to_owned() }
}

fn ledger(dir: &Path) -> Ledger {
    let segment_bytes = 512 << 10;
    let spool = SpoolOptions {
        segment_bytes,
        volatile: true,
        ..SpoolOptions::new(dir, segment_bytes * 16)
    };
    Ledger::start(ledger::Options::new(producer(), issuer(), spool, || NOW_MS)).unwrap()
}

fn decision() -> Decision {
    let fields = DecisionFields {
        uid: Uuid::now_v7(),
        received_ms: NOW_MS,
        decided_ms: NOW_MS,
        subject: Subject::Http(Turned::NotFound),
        route: None,
        durability: Durability::Buffered,
        http: HttpRequest::default(),
        conn: Connection { ip: [127, 0, 0, 1].into(), port: 1, proxies: &[], tls: None },
        trace: None,
        request_digest: None,
    };
    fields.seal(&producer()).unwrap()
}

/// Policies that allow nobody anything.
fn set() -> Arc<PolicySet> {
    let schema = "namespace Orders {
      entity Order in [Portcullis::Api];
      action read appliesTo {
        principal: [Portcullis::Anonymous], resource: [Order], context: Portcullis::Facts
      };
    }";
    let apis =
        r#"[{"uid": {"type": "Portcullis::Api", "id": "orders"}, "attrs": {}, "parents": []}]"#;
    let files = BTreeMap::from([
        ("schema.cedarschema".to_owned(), schema.to_owned()),
        ("entities/apis.json".to_owned(), apis.to_owned()),
    ]);
    let source = Source { files, ..Source::default() };
    let policies = Policies::load(&source).unwrap();
    let (declared, stamps) = (Declared::default(), Stamps::default());
    let bundle = Bundle { source, declared, sealed: false, labels: BTreeMap::new(), stamps };
    Arc::new(PolicySet { policies, bundle, set_aside: Vec::new() })
}

fn candidate(millionths: u32) -> Candidate {
    Candidate::Loaded(Arc::new(Loaded::new(set(), Share::of_million(millionths))))
}

fn said(refusal: Option<Class>, errors: &[&str]) -> Basis {
    let error = |policy: &&str| PolicyError {
        policy: (*policy).to_owned(),
        message: "not for the completion".to_owned(),
    };
    Basis {
        decision: if refusal.is_none() { Answer::Allow } else { Answer::Deny },
        determining: vec!["next".to_owned()],
        errors: errors.iter().map(error).collect(),
        would_refuse: Vec::new(),
        would_permit: Vec::new(),
        refusal,
        declared: true,
        obligations: Obligations::default(),
    }
}

/// A pool, the decisions it is given, and the record of them.
struct Rig {
    dir: tempfile::TempDir,
    ledger: Ledger,
    trials: Trials,
    metrics: Arc<Metrics>,
}

impl Rig {
    fn new(waiting_max: usize, ask: impl Fn(&Asking) -> Basis + Send + 'static) -> Self {
        let (dir, metrics) = (tempfile::tempdir().unwrap(), Arc::<Metrics>::default());
        let trials = Trials::start_with(Arc::clone(&metrics), waiting_max, ask);
        Self { ledger: ledger(dir.path()), dir, trials, metrics }
    }

    /// One decision that was answered so, with its end.
    async fn decide(&self, candidate: &Candidate, enforced: Option<Class>) {
        let identity = Identity::default();
        let (namespace, name) = ("Orders".to_owned(), "read".to_owned());
        let (kind, id, api) = ("Orders::Order".to_owned(), "o".to_owned(), "orders".to_owned());
        let question = Question {
            principal: &identity,
            action: &Action { namespace, name },
            resource: &Resource { kind, id, api },
            context: &Facts::default(),
        };
        let mut receipt = self.ledger.open(decision(), Durability::Buffered, ()).await.unwrap();
        self.trials.consider(candidate, &question, enforced, &mut receipt);
        receipt.split().1.close(Completion::new(Outcome::Answered, NOW_MS));
    }

    /// What each completion says of the candidate, in their order, and a counter.
    async fn ended(self, word: &str) -> (Vec<Value>, u64) {
        self.trials.end();
        self.ledger.close().await.unwrap();
        let mut told = Vec::new();
        for mut log in Look::all(self.dir.path()).unwrap() {
            while let Some(group) = log.group().unwrap() {
                for record in group.records {
                    let mut event: Value = serde_json::from_slice(&record.value).unwrap();
                    if event["metadata"]["event_code"] == "completion" {
                        told.push(event["unmapped"]["candidate"].take());
                    }
                }
            }
        }
        (told, self.metrics.tried_so_far(word))
    }
}

#[tokio::test]
async fn what_a_candidate_says_is_in_the_completion() {
    let check = async |enforced, refusal, errors: &'static [&'static str], want: &str| {
        let rig = Rig::new(8, move |_| said(refusal, errors));
        rig.decide(&candidate(1_000_000), enforced).await;
        let (told, counted) = rig.ended(want).await;
        assert_eq!(told.len(), 1);
        assert_eq!((&told[0]["health"], counted), (&"ok".into(), 1), "{told:?}");
        assert_eq!(told[0]["agreement"], want);
        assert_eq!(told[0]["determining"], serde_json::json!(["next"]));
        assert_eq!(told[0]["errors"], serde_json::json!(errors));
        assert_eq!(told[0].get("refusal"), refusal.map(|it| it.as_str().into()).as_ref());
        assert!(!told[0].to_string().contains("not for the completion"));
    };
    let (blocked, forbidden) = (Some(Class::Blocked), Some(Class::Forbidden));
    check(None, None, &[], "same").await;
    check(blocked, blocked, &["a"], "same").await;
    check(None, forbidden, &["a", "b"], "would_refuse").await;
    check(forbidden, None, &["a"], "would_allow").await;
    check(forbidden, blocked, &[], "other_refusal").await;
}

#[tokio::test]
async fn the_policies_of_the_candidate_are_asked() {
    let (dir, metrics) = (tempfile::tempdir().unwrap(), Arc::<Metrics>::default());
    let trials = Trials::start(Arc::clone(&metrics));
    let rig = Rig { ledger: ledger(dir.path()), dir, trials, metrics };
    rig.decide(&candidate(1_000_000), None).await;
    let (told, _) = rig.ended("would_refuse").await;
    assert_eq!(told[0]["agreement"], "would_refuse");
    assert_eq!(told[0]["refusal"], "unauthenticated");
    assert_eq!(told[0]["digests"]["policies"], set().policies.digests().policies);
}

#[tokio::test]
async fn a_panic_is_one_answer_that_is_missing() {
    let rig = Rig::new(8, |asking| match asking.enforced {
        Some(_) => panic!("the test's own panic"),
        None => said(None, &[]),
    });
    let candidate = candidate(1_000_000);
    rig.decide(&candidate, Some(Class::Forbidden)).await;
    rig.decide(&candidate, None).await;
    let (told, counted) = rig.ended("panicked").await;
    let health: Vec<&str> = told.iter().map(|it| it["health"].as_str().unwrap()).collect();
    assert_eq!((health, counted), (vec!["unavailable", "ok"], 1));
    assert_eq!(told[0]["problem"], "panicked");
}

#[tokio::test]
async fn a_question_that_cannot_be_put_is_no_answer() {
    let rig = Rig::new(8, |_| said(Some(Class::Unavailable), &[""]));
    rig.decide(&candidate(1_000_000), None).await;
    let (told, counted) = rig.ended("erred").await;
    assert_eq!((&told[0]["problem"], counted), (&"erred".into(), 1));
}

/// One is being asked and one waits: the third has no room.
#[tokio::test]
async fn what_has_no_room_is_dropped_and_ends_at_once() {
    let (begun, has_begun) = mpsc::channel();
    let (go_on, told_to) = mpsc::channel::<()>();
    let rig = Rig::new(1, move |_| {
        begun.send(()).unwrap();
        told_to.recv().unwrap();
        said(None, &[])
    });
    let candidate = candidate(1_000_000);
    rig.decide(&candidate, None).await;
    has_begun.recv().unwrap();
    rig.decide(&candidate, None).await;
    rig.decide(&candidate, None).await;
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    let (told, counted) = rig.ended("dropped").await;
    let problems: Vec<_> = told.iter().filter_map(|it| it["problem"].as_str()).collect();
    assert_eq!((told.len(), problems, counted), (3, vec!["dropped"], 1));
}

#[tokio::test]
async fn what_is_not_of_the_share_is_not_asked() {
    let rig = Rig::new(8, |_| panic!("nobody asks"));
    for nobody in [candidate(0), Candidate::Absent, Candidate::Broken(Vec::new())] {
        rig.decide(&nobody, None).await;
    }
    let (told, counted) = rig.ended("panicked").await;
    assert_eq!((told, counted), (vec![Value::Null; 3], 0));
}

#[tokio::test]
async fn after_the_end_everything_is_dropped() {
    let rig = Rig::new(8, |_| said(None, &[]));
    rig.trials.end();
    rig.decide(&candidate(1_000_000), None).await;
    let (told, counted) = rig.ended("dropped").await;
    assert_eq!((&told[0]["problem"], counted), (&"dropped".into(), 1));
}

#[tokio::test]
async fn what_waits_too_long_is_late() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let check = async |waited: Duration, want| {
        let mut receipt = ledger.open(decision(), Durability::Buffered, ()).await.unwrap();
        let loaded = Arc::new(Loaded::new(set(), Share::of_million(1_000_000)));
        let asking = Asking {
            question: RecordedQuestion {
                principal: Identity::default().principal.clone(),
                action: Action { namespace: "Orders".to_owned(), name: "read".to_owned() },
                resource: Resource { kind: String::new(), id: String::new(), api: String::new() },
            },
            facts: Facts::default(),
            enforced: None,
            since: Instant::now(),
            trial: receipt.try_candidate(Arc::clone(&loaded.digests)),
            candidate: loaded,
        };
        let heard = asking.heard(asking.since + waited, |_| said(None, &[]));
        assert_eq!(heard.map(|opinion| opinion.agreement), want, "{waited:?}");
    };
    check(LATE_AFTER, Ok(Agreement::Same)).await;
    check(LATE_AFTER + Duration::from_nanos(1), Err(Unheard::Late)).await;
}
