use std::fs;

use clap::Parser as _;
use serde_json::{Value, json};

use super::super::setting::Setting;
use super::*;
use crate::cli::INVALID;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    replay: Replay,
}

impl Setting {
    /// The exit code and what is told.
    fn run(&self, arguments: &str) -> (u8, String) {
        let words = format!("replay --from @events.jsonl --bundles @kept {arguments}");
        let words = self.words(&words);
        let mut out = Vec::new();
        let code = Line::try_parse_from(words).unwrap().replay.run(&mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[track_caller]
    fn check(&self, arguments: &str, code: u8, want: &str) {
        let (got, out) = self.run(arguments);
        let last = out.lines().last().unwrap_or_default();
        let last = last.split(" s=").next().unwrap_or_default();
        assert_eq!((got, last), (code, format!("policy replay: {want}").as_str()), "{out}");
    }
}

/// Refuses the page to one of the principals.
const CLOSED: &str = "@id(\"public-closed\")\n@refuse(\"forbidden\")\nforbid (principal == Portcullis::User::\"corp|bob\", action == Public::Action::\"view\", resource in Portcullis::Api::\"public\");\n";

#[test]
fn the_same_set_answers_the_same() {
    let setting = Setting::new();
    let all = "decisions=9 same=9 newly_allowed=0 newly_denied=0 changed=0 undecidable=0";
    setting.check("", OK, all);
    setting.check("--candidate @candidate --fail-on any", OK, all);
    let events = setting.events();
    let allowed = events.iter().filter(|event| {
        event.pointer("/unmapped/cedar/decision").is_some_and(|decision| decision == "allow")
    });
    assert!((2..8).contains(&allowed.count()), "some are allowed, and some refused");
}

#[test]
fn a_changed_policy_changes_exactly_the_decisions_that_are_listed() {
    let setting = Setting::new();
    fs::write(setting.path("candidate/public/closed.cedar"), CLOSED).unwrap();
    let one = "decisions=9 same=8 newly_allowed=0 newly_denied=1 changed=0 undecidable=0";
    setting.check("--candidate @candidate", OK, one);
    setting.check("--candidate @candidate --fail-on newly-allowed", OK, one);
    setting.check("--candidate @candidate --fail-on newly-denied", FAILED, one);
    setting.check("--candidate @candidate --fail-on any", FAILED, one);
    let (_, out) = setting.run("--candidate @candidate");
    for part in [
        "newly denied: 1\n",
        "  policy +public-closed: 1 (corp|bob/home)\n",
        "  route view: 1 (corp|bob/home)\n",
        "  principal corp|bob: 1 (corp|bob/home)\n",
    ] {
        assert!(out.contains(part), "no `{part}` in:\n{out}");
    }
    let (_, out) = setting.run("--candidate @candidate --format json");
    let told: Value = serde_json::from_str(&out).unwrap();
    let by = &told["newly_denied"]["by_policy"];
    let group = json!({"count": 1, "decisions": ["corp|bob/home"]});
    assert_eq!(by["+public-closed"], group, "{out}");
    assert_eq!((&told["decisions"], &told["differences"]), (&json!(9), &json!(1)));
    let (_, out) = setting.run("--candidate @candidate --samples 0");
    assert!(out.contains("  route view: 1 ()\n"), "{out}");
}

#[test]
fn what_a_candidate_opens_is_newly_allowed() {
    let setting = Setting::new();
    let open = "@id(\"orders-open\")\npermit (principal is Portcullis::User, action == Orders::Action::\"get\", resource is Orders::Order in Portcullis::Api::\"orders\");\n";
    fs::write(setting.path("candidate/orders/open.cedar"), open).unwrap();
    let (code, out) = setting.run("--candidate @candidate --fail-on newly-allowed --samples 99");
    assert_eq!(code, FAILED, "{out}");
    let now: Vec<String> = setting
        .events()
        .iter()
        .filter(|event| event.pointer("/unmapped/question/principal/kind") == Some(&json!("User")))
        .filter(|event| {
            event.pointer("/unmapped/question/action/namespace") == Some(&json!("Orders"))
        })
        .filter(|event| event.pointer("/unmapped/cedar/decision") == Some(&json!("deny")))
        .map(|event| event["metadata"]["uid"].as_str().unwrap().to_owned())
        .collect();
    assert!(!now.is_empty());
    let want = format!("  policy +orders-open: {} ({})\n", now.len(), now.join(", "));
    assert!(out.contains(&want), "no `{want}` in:\n{out}");
}

#[test]
fn what_is_not_recorded_or_whose_set_is_not_there_is_undecidable() {
    let setting = Setting::new();
    let check = |change: &dyn Fn(&mut Value), why: &str| {
        let before = setting.events();
        let mut events = before.clone();
        change(&mut events[1]);
        setting.record(&events);
        let one = "decisions=9 same=8 newly_allowed=0 newly_denied=0 changed=0 undecidable=1";
        setting.check("", FAILED, one);
        setting.check("--candidate @candidate", OK, one);
        for fail_on in ["newly-allowed", "newly-denied", "any"] {
            setting.check(&format!("--candidate @candidate --fail-on {fail_on}"), FAILED, one);
        }
        assert!(setting.run("").1.contains(why), "{why}: {}", setting.run("").1);
        setting.record(&before);
    };
    let unmapped = |event: &mut Value, key: &str| {
        event["unmapped"].as_object_mut().unwrap().remove(key).unwrap();
    };
    let whole = "the question is not recorded whole";
    check(&|event| unmapped(event, "question"), whole);
    check(&|event| unmapped(event, "facts"), whole);
    check(&|event| unmapped(event, "cedar"), whole);
    let version = "as no version like this does";
    check(
        &|event| drop(event["unmapped"]["facts"].as_object_mut().unwrap().remove("waf")),
        version,
    );
    check(&|event| event["unmapped"]["cedar"]["decision"] = json!("perhaps"), version);
    let gone = "the set that decided is not there";
    for digest in ["policies", "schema", "entities"] {
        check(&|event| event["unmapped"]["cedar"]["digests"][digest] = json!("0"), gone);
    }
    for entry in fs::read_dir(setting.path("kept")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("guard-credential", "guard-credentials")).unwrap();
    }
    let none = "decisions=9 same=0 newly_allowed=0 newly_denied=0 changed=0 undecidable=9";
    setting.check("", FAILED, none);
    assert!(setting.run("").1.contains("is there, and cannot be loaded"));
}

#[test]
fn an_answer_that_does_not_come_out_again_is_a_difference() {
    let setting = Setting::new();
    let before = setting.events();
    let nth = before
        .iter()
        .position(|event| event.pointer("/unmapped/cedar/decision") == Some(&json!("allow")))
        .unwrap();
    let mut events = before.clone();
    events[nth]["unmapped"]["cedar"]["decision"] = json!("deny");
    setting.record(&events);
    let one = "decisions=9 same=8 newly_allowed=1 newly_denied=0 changed=0 undecidable=0";
    setting.check("", FAILED, one);
    events[nth] = before[nth].clone();
    events[nth]["unmapped"]["cedar"]["determining"] = json!(["another"]);
    setting.record(&events);
    let one = "decisions=9 same=8 newly_allowed=0 newly_denied=0 changed=1 undecidable=0";
    setting.check("", FAILED, one);
    assert!(setting.run("").1.contains("  policy -another: 1 "));
}

#[test]
fn nothing_to_ask_is_a_failure_and_a_wrong_candidate_is_invalid() {
    let setting = Setting::new();
    let broken = setting.path("candidate/public/broken.cedar");
    fs::write(&broken, "permit (everyone").unwrap();
    setting.check("--candidate @candidate", INVALID, "problems=1");
    fs::remove_file(&broken).unwrap();
    setting.record(&setting.events()[..1]);
    let none = "decisions=0 same=0 newly_allowed=0 newly_denied=0 changed=0 undecidable=0";
    setting.check("", FAILED, none);
    setting.check("--candidate @candidate", FAILED, none);
    fs::write(setting.path("events.jsonl"), "{}\n").unwrap();
    let line =
        ["replay", "--from", setting.path("events.jsonl").to_str().unwrap()].map(str::to_owned);
    assert!(Line::try_parse_from(line).unwrap().replay.run(&mut Vec::new()).is_err());
}

/// A policies directory may stand for the sets that were kept.
#[test]
fn a_policies_directory_is_a_place_for_sets_too() {
    let setting = Setting::new();
    fs::remove_dir_all(setting.path("kept")).unwrap();
    setting.check("", INVALID, "problems=1");
    assert!(setting.run("").1.contains("/kept: there is no such directory\n"));
    fs::create_dir(setting.path("kept")).unwrap();
    let all = "decisions=9 same=9 newly_allowed=0 newly_denied=0 changed=0 undecidable=0";
    let none = "decisions=9 same=0 newly_allowed=0 newly_denied=0 changed=0 undecidable=9";
    setting.check("", FAILED, none);
    setting.check("--bundles @candidate", OK, all);
}

#[test]
fn names_are_told_to_a_terminal_without_what_moves_it() {
    let setting = Setting::new();
    fs::write(setting.path("candidate/public/closed.cedar"), CLOSED).unwrap();
    let mut events = setting.events();
    for event in &mut events {
        if event["metadata"]["uid"] == "corp|bob/home" {
            event["unmapped"]["route"] = json!("view\u{1b}[2J");
        }
    }
    setting.record(&events);
    let (_, out) = setting.run("--candidate @candidate");
    assert!(out.contains("  route view\\u{1b}[2J: 1 "), "{out}");
}
