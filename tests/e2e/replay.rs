//! A recorded decision, asked again of the same policies, gives the same answer, to the last
//! field of its basis.

use std::{collections::BTreeMap, fs, path::Path};

use fixtures::{
    client::Request,
    harness::Setting,
    idp::{hostile::KINDS, login},
    record::{Record, text},
};
use serde_json::Value;
use verdict::{Policies, Source};

use super::{mix, setting};

/// The policies of a directory, loaded as the gateway loads them.
pub(super) fn policies(directory: &Path) -> Policies {
    let mut files = BTreeMap::new();
    read(directory, directory, &mut files);
    Policies::load(&Source { files, ..Source::default() }).expect("policies")
}

fn read(root: &Path, directory: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
            files.insert(name, fs::read_to_string(&path).expect("text"));
        }
    }
}

/// What becomes of the requests that policy is asked about, as various as can be.
fn ask_everything(setting: &Setting) {
    mix(setting);
    let client = setting.client().expect("a client");
    let send = |request: Request| client.request(&request).expect("an answer").status();
    for (who, acr) in [("alice", None), ("bob", None), ("carol", None), ("carol", Some("aal2"))] {
        let token = login(setting.idp.issuer(), who, acr).expect("a login").access;
        for (method, target) in [
            ("GET", "/orders?q=1%27%20OR%20%271%27%3D%271"),
            ("GET", "/orders/o-1001"),
            ("PUT", "/orders/o-1002"),
            ("DELETE", "/orders/o-1003"),
            ("GET", "/public"),
        ] {
            let bearer = format!("Bearer {token}");
            send(Request::new(method, target).field("Authorization", &bearer));
        }
    }
    for (kind, _) in KINDS {
        let token = setting.idp.hostile_token(kind, "alice").expect("a token");
        send(Request::new("GET", "/orders").field("Authorization", &format!("Bearer {token}")));
    }
    let burst: Vec<u16> = (0..8).map(|_| send(Request::new("GET", "/reflect"))).collect();
    assert!(burst.contains(&429), "{burst:?}");
}

/// Asks every decision of policy again; how many there were, and the classes of the refusals.
pub(super) fn replay(record: &Record, policies: &Policies) -> (usize, Vec<String>) {
    let (mut asked, mut classes) = (0, Vec::new());
    for (id, event) in record.decisions().expect("each once") {
        let unmapped = &event["unmapped"];
        let Some(recorded) = unmapped.get("cedar") else { continue };
        let again = policies.ask_again(&unmapped["question"], &unmapped["facts"]);
        let again = serde_json::to_value(again.expect("a question")).expect("a basis");
        assert_eq!(recorded["digests"], serde_json::to_value(policies.digests()).expect("digests"));
        let mut basis = recorded.clone();
        basis.as_object_mut().expect("an object").shift_remove("digests");
        assert_eq!(again, basis, "{id}");
        asked += 1;
        classes.push(text(recorded, "/refusal").to_owned());
    }
    classes.sort();
    classes.dedup();
    (asked, classes)
}

#[test]
fn every_recorded_decision_asked_again_is_the_same() {
    let mut setting = setting("replay");
    ask_everything(&setting);
    assert!(setting.gateway.stop().expect("stop").success());
    let record = setting.record().expect("events");
    let (asked, classes) = replay(&record, &policies(&setting.policies()));
    let want = ["", "blocked", "forbidden", "step_up", "throttled", "unauthenticated"];
    assert_eq!(classes, want, "the mix has every class");
    println!("replay: asked={asked}");
    let verb = ["policy", "replay", "--from", "spool", "--bundles", "kept"];
    let told = setting.portcullis.must(&verb).expect("every answer comes out again");
    let all = format!(
        "policy replay: decisions={asked} same={asked} newly_allowed=0 newly_denied=0 changed=0 undecidable=0 "
    );
    assert!(told.starts_with(&all), "{told}");
    explains(&setting, &record);
}

/// Each refusal of the mix is explained by its id and the set that is kept.
fn explains(setting: &Setting, record: &Record) {
    let mut explained = 0;
    for (id, event) in record.decisions().expect("each once") {
        if text(&event["unmapped"], "/cedar/decision") != "deny" {
            continue;
        }
        let verb = ["policy", "explain", id, "--from", "spool", "--config", "portcullis.yaml"];
        let told = setting.portcullis.must(&[&verb[..], &["--format", "json"]].concat());
        let told: Value = serde_json::from_str(&told.expect("an explanation")).expect("a document");
        let explanation = &told["questions"][0]["explanation"];
        assert_eq!(explanation["basis"]["refusal"], event["unmapped"]["cedar"]["refusal"], "{id}");
        explained += 1;
    }
    assert!(explained >= 5, "{explained}");
}

#[test]
fn other_policies_answer_otherwise() {
    let setting = setting("replay-can-fail");
    mix(&setting);
    let record = setting.record().expect("events");
    let closed = "@id(\"closed\")\n@refuse(\"forbidden\")\nforbid (principal, action, resource);";
    fs::write(setting.policies().join("guardrails/closed.cedar"), closed).expect("write");
    let others = policies(&setting.policies());
    let differs = |event: &&Value| {
        let unmapped = &event["unmapped"];
        let again = others.ask_again(&unmapped["question"], &unmapped["facts"]).expect("asked");
        text(&unmapped["cedar"], "/decision") == "allow"
            && serde_json::to_value(again).expect("a basis")["decision"] == "deny"
    };
    let decisions = record.decisions().expect("each once");
    let policy = decisions.values().copied().filter(|event| event["unmapped"]["cedar"].is_object());
    let denied = policy.filter(differs).count();
    assert!(denied >= 5);
    let verb = ["policy", "replay", "--from", "spool", "--config", "portcullis.yaml"];
    let candidate = ["--candidate", "policies", "--fail-on", "newly-denied"];
    let told = setting.portcullis.run(&[&verb[..], &candidate[..]].concat()).expect("a verb");
    assert_eq!(told.code, Some(1), "{}", told.out);
    assert!(told.out.contains(&format!("newly denied: {denied}\n")), "{}", told.out);
    assert!(told.out.contains(&format!("  policy +closed: {denied} (")), "{}", told.out);
}
