use std::fs;
use std::path::Path;

use clap::Parser as _;
use ledger::event::{
    Actor, ActorKind, Call, Completion, Connection, DecisionFields, HttpRequest, Json,
    Outcome as Ended, Producer, Resource, Subject, Turned, Verdict,
};
use ledger::keys::{Issuer, OriginPrefix, Root, Validity};
use ledger::note::{PrivateKey, Signer};
use ledger::tiles::{CHECKPOINT, grow};
use ledger::{Durability, Ledger, Look, SpoolOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::setting::{Setting, event};
use super::*;
use crate::bundle::{Bundle, Kept};
use crate::cli::INVALID;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    explain: Explain,
}

impl Setting {
    fn try_explain(&self, arguments: &str) -> anyhow::Result<(u8, String)> {
        let words = self.words(&format!("explain {arguments}"));
        let mut out = Vec::new();
        let code = Line::try_parse_from(words)?.explain.run(&mut out)?;
        Ok((code, String::from_utf8(out)?))
    }

    #[track_caller]
    fn explain(&self, arguments: &str, code: u8, said: &[&str]) -> String {
        let (got, out) = self.try_explain(arguments).unwrap();
        assert_eq!(got, code, "{out}");
        for said in said {
            assert!(out.contains(said), "no `{said}` in:\n{out}");
        }
        out
    }

    /// Why it ends with an error.
    #[track_caller]
    fn fails(&self, arguments: &str) -> String {
        format!("{:#}", self.try_explain(arguments).unwrap_err())
    }
}

const REQUEST: &str = "principals:
  alice: { kind: User, id: corp|alice, groups: [corp|customers] }
cases:
  - name: hers
    principal: alice
    action: Orders::get
    resource: { kind: Orders::Order, id: o-1001, api: orders }
    expect: allow
  - name: not hers
    principal: alice
    action: Orders::get
    resource: { kind: Orders::Order, id: o-1002, api: orders }
    expect: forbidden
";

#[test]
fn an_answer_is_explained_part_by_part() {
    let setting = Setting::new();
    fs::write(setting.path("request.yaml"), REQUEST).unwrap();
    let asked = "--request @request.yaml --policies @candidate";
    let said = [
        "hers\n  ALLOW\n  determining permit orders-customer-own\n",
        "not hers\n  DENY forbidden\n  nothing permits it\n  nearest permit orders-customer-own\n",
        "    true  when   resource has owner\n",
        "    false when   resource.owner == principal\n",
        "resource.owner = Portcullis::User::\"corp|bob\"\n",
        "  it would turn with principal in Portcullis::Role::\"support\" [orders-support-reads]\n",
        "  it would turn with resource.owner Portcullis::User::\"corp|alice\" \
         (is Portcullis::User::\"corp|bob\") [orders-customer-own]\n",
        "  it would turn with context.rate.limited true (is false) [guard-rate-limited]\n",
        "policy explain: questions=2 differing=0\n",
    ];
    let out = setting.explain(asked, OK, &said);
    assert!(!out.contains("also "), "{out}");
    let also = format!("{asked} --also guard-rate-limited --format json");
    let told: Value = serde_json::from_str(&setting.explain(&also, OK, &[])).unwrap();
    let first = &told["questions"][0];
    assert_eq!(first["explanation"]["basis"]["decision"], "allow", "{told:#}");
    assert_eq!(first["also"][0]["parts"][0]["came"], "false", "{told:#}");
    assert_eq!((&told["differing"], told["questions"].as_array().unwrap().len()), (&json!(0), 2));
    assert!(setting.fails(&format!("{asked} --also no-such")).contains("no policy `no-such`"));
    fs::write(setting.path("candidate/public/broken.cedar"), "permit (everyone").unwrap();
    setting.explain(asked, INVALID, &["broken.cedar:1:", "policy explain: problems=1\n"]);
}

/// A decision by its id, in a file of events; the set is the kept one.
#[test]
fn a_recorded_decision_is_explained_with_the_policies_that_decided_it() {
    let setting = Setting::new();
    let id = "corp|alice/o-1002";
    let from = format!("{id} --from @events.jsonl --policies @nowhere");
    let said = [
        format!("{id}\n  DENY forbidden\n"),
        "  nearest permit orders-customer-own\n".to_owned(),
        "policy explain: questions=1 differing=0\n".to_owned(),
    ];
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    setting.explain(&format!("{from} --bundles @kept"), OK, &said);
    // The places of sets: beside the record, or the policies directory as it still is.
    let directory = format!("{id} --from @events.jsonl --policies @candidate");
    setting.explain(&directory, OK, &said);
    // An answer that does not come out again is told.
    let mut events = setting.events();
    for event in events.iter_mut().filter(|event| event["metadata"]["uid"] == id) {
        event["unmapped"]["cedar"]["decision"] = json!("allow");
    }
    setting.record(&events);
    let note = "  note: asked again, the answer is not the recorded one\n";
    setting.explain(&directory, FAILED, &[note, "  DENY", "differing=1\n"]);
}

/// Changed since, the policies of the directory are not those that decided: the kept ones are.
#[test]
fn a_decision_is_explained_after_the_policies_changed() {
    let setting = Setting::new();
    let customers = setting.path("candidate/orders/customers.cedar");
    let text = fs::read_to_string(&customers).unwrap();
    fs::write(&customers, text.replace("orders-customer-own", "orders-customers")).unwrap();
    let asked = "corp|alice/o-1002 --from @events.jsonl --policies @candidate";
    let kept = format!("{asked} --bundles @kept");
    setting.explain(&kept, OK, &["  nearest permit orders-customer-own\n"]);
    // That they are wrong now is no matter of what was decided then.
    let broken = setting.path("candidate/public/broken.cedar");
    fs::write(&broken, "permit (everyone").unwrap();
    setting.explain(&kept, OK, &["  nearest permit orders-customer-own\n"]);
    setting.explain(asked, INVALID, &["broken.cedar:1:"]);
    fs::remove_file(broken).unwrap();
    let note = "corp|alice/o-1002\n  note: other policies decided it: those of `";
    let why = "are not the recorded ones, and the set that decided is not there";
    let hint = "; --other-policies explains it with these all the same\n";
    let end = "policy explain: questions=1 differing=1\n";
    let out = setting.explain(asked, FAILED, &[note, why, hint, end]);
    assert!(!out.contains("DENY") && !out.contains("orders-customer"), "{out}");
    let none = "  note: the set that decided is not there; name the place with --bundles, --config or --policies\n";
    setting.explain("corp|alice/o-1002 --from @events.jsonl", FAILED, &[none, end]);
    // Nor are there others to explain it with.
    let asked_for = "corp|alice/o-1002 --from @events.jsonl --other-policies";
    setting.explain(asked_for, FAILED, &[none, end]);
    let others = format!("{asked} --other-policies");
    setting.explain(&others, OK, &[note, why, "  nearest permit orders-customers\n", end]);
    let json = setting.explain(&format!("{asked} --format json"), FAILED, &[]);
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["questions"][0]["explanation"], Value::Null, "{told:#}");
}

#[test]
fn what_cannot_be_explained_says_why() {
    let setting = Setting::new();
    let check = |id: &str, said: &str| {
        let told = setting.fails(&format!("{id} --from @events.jsonl --bundles @kept"));
        assert!(told.contains(said), "{told}");
    };
    check("no-such-id", "no decision `no-such-id` is in `");
    check("", "there are several decisions: say which");
    let mut events = setting.events();
    events.truncate(3);
    events[1]["unmapped"]["facts"] = Value::Null;
    events[2]["unmapped"]["cedar"].as_object_mut().unwrap().remove("declared");
    events.push(json!({
        "class_uid": 4002, "metadata": {"uid": "no-route", "event_code": "decision"}, "unmapped": {},
    }));
    events.push(json!({
        "class_uid": 6003, "metadata": {"uid": "ended", "event_code": "completion"}, "unmapped": {},
    }));
    setting.record(&events);
    check("corp|alice/o-1001", "is not recorded whole");
    check("corp|alice/o-1002", "not as this version records");
    check("no-route", "no policy was asked for `no-route`");
    check("ended", "no decision `ended`");
    fs::write(setting.path("events.jsonl"), "ended\n").unwrap();
    check("ended", "an event that is none of ours");
    let told = setting.fails("x --from @nowhere --bundles @kept");
    assert!(told.starts_with("read `"), "{told}");
}

/// Alone in its record, a decision needs no id: what `audit-sink show` prints is one.
#[test]
fn a_record_of_one_decision_needs_no_id() {
    let setting = Setting::new();
    let events = setting.events();
    setting.record(&events[..2]);
    let id = events[1]["metadata"]["uid"].as_str().unwrap();
    setting.explain("--from @events.jsonl --bundles @kept", OK, &[id, "questions=1 differing=0"]);
    setting.record(&events[..1]);
    assert!(setting.fails("--from @events.jsonl").contains("no decision of policy is in"));
}

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

/// One of the setting's decisions, under this id; without one, a request that had no route.
fn subject(of: Option<&Value>) -> Subject<'static> {
    let Some(event) = of else { return Subject::Http(Turned::NotFound) };
    let part = |name: &str| Json::of(&event["unmapped"][name]).unwrap();
    Subject::Call(Box::new(Call {
        actor: Actor {
            kind: ActorKind::User,
            id: "corp|alice",
            groups: &[],
            idp: "corp",
            issuer: "",
            client: "",
        },
        service: "orders",
        operation: "get",
        resource: Resource { kind: "Orders::Order", id: "o-1" },
        verdict: Verdict::Allow { determining: &[] },
        policies: "",
        firewall_rule: None,
        risk_score: None,
        question: part("question"),
        facts: part("facts"),
        cedar: part("cedar"),
    }))
}

/// A real spool with these decisions, numbered from 1, each with its completion.
async fn spool(directory: &Path, events: &[Option<&Value>]) {
    let segment_bytes = 4 << 20;
    let options = SpoolOptions {
        segment_bytes,
        volatile: true,
        ..SpoolOptions::new(directory, segment_bytes * 16)
    };
    let options = ledger::Options::new(producer(), issuer(), options, || NOW_MS);
    let ledger = Ledger::start(options).unwrap();
    for (nth, event) in (1..).zip(events) {
        let fields = DecisionFields {
            uid: Uuid::from_u128(nth),
            received_ms: NOW_MS,
            decided_ms: NOW_MS,
            subject: subject(*event),
            route: Some("get"),
            durability: Durability::Buffered,
            http: HttpRequest::default(),
            conn: Connection { ip: [127, 0, 0, 1].into(), port: 1, proxies: &[], tls: None },
            trace: None,
            request_digest: None,
        };
        let decision = fields.seal(&producer()).unwrap();
        let receipt = ledger.open(decision, Durability::Buffered, ()).await.unwrap();
        receipt.split().1.close(Completion::new(Ended::Answered, NOW_MS));
    }
    ledger.close().await.unwrap();
}

/// The same as evidence: bundles of entries, and a checkpoint.
fn evidence(spool: &Path, log: &Path) {
    let mut values = Vec::new();
    for mut log in Look::all(spool).unwrap() {
        while let Some(group) = log.group().unwrap() {
            values.extend(group.records.into_iter().map(|record| record.value));
        }
    }
    for (tile, bytes) in grow(0, &values, |_| None).unwrap() {
        let path = log.join(tile.to_string());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let checkpoint = format!("audit.example.com/eu1/gw-a/1\n{}\nroot\n", values.len());
    fs::write(log.join(CHECKPOINT), checkpoint).unwrap();
}

#[tokio::test]
async fn a_decision_is_found_in_a_spool_and_in_evidence() {
    let setting = Setting::new();
    let events = setting.events();
    // More than a bundle of entries holds.
    let filler = vec![None; 150];
    let decisions = [Some(&events[1]), Some(&events[2])];
    let all: Vec<Option<&Value>> = [&decisions[..], &filler, &decisions].concat();
    spool(&setting.path("spool"), &all).await;
    evidence(&setting.path("spool"), &setting.path("evidence/gw-a/1"));
    for place in ["spool", "evidence"] {
        let check = |nth: u128, said: &str| {
            let id = Uuid::from_u128(nth);
            let asked = format!("{id} --from @{place} --bundles @kept");
            setting.explain(&asked, OK, &[&format!("{id}\n  {said}\n")]);
            let instance = format!("urn:uuid:{asked}");
            setting.explain(&instance, OK, &[&format!("{id}\n  {said}\n")]);
        };
        check(1, "ALLOW");
        check(2, "DENY forbidden");
        check(153, "ALLOW");
        check(154, "DENY forbidden");
        let of = |nth: u128| format!("{} --from @{place} --bundles @kept", Uuid::from_u128(nth));
        assert!(setting.fails(&of(3)).contains("no policy was asked"), "{place}");
        assert!(setting.fails(&of(999)).contains("no decision `"), "{place}");
    }
    // Without --bundles, sets are looked for in `bundles` of the record.
    fs::rename(setting.path("kept"), setting.path("evidence/bundles")).unwrap();
    let asked = format!("{} --from @evidence --policies @nowhere", Uuid::from_u128(1));
    setting.explain(&asked, OK, &["  ALLOW\n"]);
    fs::remove_dir_all(setting.path("evidence/bundles")).unwrap();
    fs::create_dir(setting.path("nothing")).unwrap();
    let told = setting.fails("x --from @nothing");
    assert!(told.contains("is neither a spool nor evidence"), "{told}");
}

const TEMPLATE: &str = "@id(\"grant\")
permit (principal == ?principal, action == Orders::Action::\"get\", resource == ?resource)
when { resource in Portcullis::Api::\"orders\" };
";
const LINK: &str = "- id: alice-reads-o-1002
  template: grant
  principal: Portcullis::User::\"corp|alice\"
  resource: Orders::Order::\"o-1002\"
  until: 2001-09-09T01:46:40Z
";
/// When the link ends.
const END_MS: i64 = 1_000_000_000_000;

/// What a link that ended since allowed is explained as of then, with the directory as it is, and
/// with a kept set.
#[test]
fn a_link_that_ended_since_is_there_at_the_time_of_the_decision() {
    let setting = Setting::new();
    let root = setting.path("candidate");
    fs::create_dir(root.join("links")).unwrap();
    fs::write(root.join("links/grants.yaml"), LINK).unwrap();
    fs::write(root.join("orders/grant.cedar"), TEMPLATE).unwrap();
    let bundle = Bundle::read(&root, Source::default(), false, None).unwrap();
    let then = Source { now_ms: Some(END_MS - 1), ..bundle.source.clone() };
    let policies = Policies::load(&then).unwrap();
    let mut decided = event(&policies, "corp|alice", ("Orders", "get", "o-1002"));
    let mut at = |received_ms: i64| {
        decided["unmapped"]["facts"]["conn"]["received_ms"] = json!(received_ms);
        let unmapped = &decided["unmapped"];
        let basis = policies.ask_again(&unmapped["question"], &unmapped["facts"]).unwrap();
        let mut cedar = serde_json::to_value(basis).unwrap();
        cedar["digests"] = serde_json::to_value(policies.digests()).unwrap();
        decided["unmapped"]["cedar"] = cedar;
        setting.record(std::slice::from_ref(&decided));
    };
    let id = "corp|alice/o-1002 --from @events.jsonl";
    let places =
        ["--policies @candidate", "--policies @nowhere --bundles @candidate", "--bundles @kept"];
    let kept = Kept { directory: setting.path("kept"), sets_max: 2 };
    kept.keep(&bundle, policies.digests()).unwrap();
    for place in places {
        at(END_MS - 1);
        let said = [
            "  ALLOW\n  determining permit alice-reads-o-1002\n",
            "    true  scope  resource == Orders::Order::\"o-1002\"\n",
            "    true  when   resource in Portcullis::Api::\"orders\"\n",
        ];
        setting.explain(&format!("{id} {place}"), OK, &said);
        at(END_MS);
        let over = "  link alice-reads-o-1002 was over: it held until 2001-09-09T01:46:40Z\n";
        setting.explain(&format!("{id} {place}"), OK, &["  DENY forbidden\n", over]);
        let out = setting.explain(&format!("{id} {place} --also alice-reads-o-1002"), OK, &[over]);
        assert_eq!(out.matches("alice-reads-o-1002").count(), 1, "{out}");
    }
    // One that had nothing to do with it is told of if it is asked for.
    at(END_MS);
    let question =
        |event: &mut Value| event["unmapped"]["question"]["action"]["name"] = json!("update");
    let mut events = setting.events();
    events.iter_mut().for_each(question);
    setting.record(&events);
    let asked = format!("{id} --policies @candidate");
    let out = setting.explain(&asked, OK, &["  DENY forbidden\n"]);
    assert!(!out.contains("alice-reads"), "{out}");
    let also = format!("{asked} --also alice-reads-o-1002 --format json");
    let told: Value = serde_json::from_str(&setting.explain(&also, OK, &[])).unwrap();
    let link = json!({
        "file": "links/grants.yaml", "line": 1, "id": "alice-reads-o-1002",
        "until": "2001-09-09T01:46:40Z", "ticket": null,
    });
    assert_eq!(told["questions"][0]["over"], json!([link]), "{told:#}");
}
