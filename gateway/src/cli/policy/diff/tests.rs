use std::fs;

use clap::Parser as _;
use serde_json::Value;

use super::*;
use crate::cli::policy::setting::Setting;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    diff: Diff,
}

/// A set beside the one that decided: the page is not Bob's, and everybody sees every order.
const CHANGED: &str = "@id(\"page-not-bobs\")
@refuse(\"forbidden\")
forbid (principal == Portcullis::User::\"corp|bob\", action, resource is Public::Page);
";
const OPEN: &str = "@id(\"orders-open\")
permit (principal, action == Orders::Action::\"get\", resource in Portcullis::Api::\"orders\");
";

fn run(setting: &Setting, command: &str) -> (u8, String) {
    let mut out = Vec::new();
    // Without a solver that ends at once, what is not seen is not known.
    let line = format!("diff @old @candidate --requests 0 --solver /bin/false {command}");
    let code = Line::try_parse_from(setting.words(&line)).unwrap().diff.run(&mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

fn setting() -> Setting {
    let setting = Setting::new();
    let (old, new) = (setting.path("old"), setting.path("candidate"));
    copy(&new, &old);
    fs::write(new.join("guardrails/page.cedar"), CHANGED).unwrap();
    fs::write(new.join("orders/open.cedar"), OPEN).unwrap();
    setting
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

fn environment<'a>(report: &'a Value, list: &str, principal: &str, action: &str) -> &'a Value {
    let all = report.pointer(list).and_then(Value::as_array).unwrap();
    let is = |one: &&Value| one["principal"] == principal && one["action"] == action;
    all.iter().find(is).unwrap_or(&Value::Null)
}

#[test]
fn what_was_asked_before_shows_whom_a_change_touches() {
    let setting = setting();
    let (code, text) = run(&setting, "--from @events.jsonl --format json");
    assert_eq!(code, FAILED, "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let (user, anyone) = ("Portcullis::User", "Portcullis::Anonymous");
    let (get, view) = ("Orders::Action::\"get\"", "Public::Action::\"view\"");
    let seen = |who, action| environment(&report, "/seen/environments", who, action);
    let wider = |who, action| seen(who, action)["wider"]["decisions"].clone();
    assert_eq!(wider(user, get), serde_json::json!(["corp|alice/o-1002", "corp|bob/o-1001"]));
    assert_eq!(wider(anyone, get), serde_json::json!(["/o-1001", "/o-1002"]));
    assert_eq!(seen(user, view)["narrower"]["decisions"], serde_json::json!(["corp|bob/home"]));
    assert_eq!(*seen(anyone, view), Value::Null);
    assert_eq!(report["seen"]["recorded"], 9);
    // What was seen is known, though nothing is proved.
    let relation =
        |who, action| environment(&report, "/environments", who, action)["relation"].clone();
    assert_eq!(relation(user, get), "wider");
    assert_eq!(relation("Portcullis::Workload", get), "undecided", "nobody of these was seen");
    assert_eq!(relation(anyone, view), "equivalent", "no policy that changed applies");
    let (_, text) = run(&setting, "--from @events.jsonl");
    for want in [
        "  only the new set allows 2 recorded: corp|alice/o-1002, corp|bob/o-1001\n",
        "  only the old set allows 1 recorded: corp|bob/home\n",
        "  only the new set allows the case: a customer does not read another's order\n",
        " recorded=9 touched=5 undecidable=0 ",
    ] {
        assert!(text.contains(want), "no `{want}` in\n{text}");
    }
}

/// What is compared is as of now: the code, the counts and the text agree on what is not proved.
#[test]
fn a_link_that_ends_at_another_time_leaves_it_unproved_and_says_so() {
    let setting = Setting::new();
    let template = "@id(\"one\")
permit (principal == ?principal, action == Orders::Action::\"get\", resource in Portcullis::Api::\"orders\");
";
    let link = "- { id: alices, template: one, principal: 'Portcullis::User::\"corp|alice\"', until: 2998-12-31 }\n";
    let root = setting.path("candidate");
    fs::write(root.join("orders/one.cedar"), template).unwrap();
    fs::create_dir(root.join("links")).unwrap();
    fs::write(root.join("links/a.yaml"), link).unwrap();
    copy(&root, &setting.path("old"));
    let (code, text) = run(&setting, "");
    assert!(code == OK && text.contains(" proved=yes "), "{text}");
    fs::write(root.join("links/a.yaml"), link.replace("2998", "2999")).unwrap();
    let (code, text) = run(&setting, "");
    assert_eq!(code, UNVERIFIED, "{text}");
    for want in ["policy until: alices\n", "note: links end at other times", " proved=no "] {
        assert!(text.contains(want), "no `{want}` in\n{text}");
    }
}

#[test]
fn what_was_seen_fails_as_what_is_proved() {
    let setting = setting();
    let check = |command: &str, want: u8| assert_eq!(run(&setting, command).0, want, "{command}");
    check("--fail-on wider --from @events.jsonl", FAILED);
    check("--fail-on narrower --from @events.jsonl", FAILED);
    fs::remove_file(setting.path("candidate").join("guardrails/page.cedar")).unwrap();
    check("--fail-on narrower --from @events.jsonl", UNVERIFIED);
    fs::remove_file(setting.path("candidate").join("orders/open.cedar")).unwrap();
    check("--from @events.jsonl", OK);
}
