//! Sets of policies as files under a running gateway: sealed, half written, swapped by a link,
//! kept, and wrong at the start.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use fixtures::{
    client::Client,
    harness::{Portcullis, Setting, Setup, wait_for},
    record::{number, text},
};
use serde_json::Value;

use super::setting;

const SOON: Duration = Duration::from_secs(20);

/// Refuses what the page of the public API is.
const CLOSED: &str = "@id(\"public-closed\")\n@refuse(\"forbidden\")\nforbid (principal, action == Public::Action::\"view\", resource in Portcullis::Api::\"public\");\n";

/// Asks for a reload; its event.
fn reload(setting: &mut Setting) -> Value {
    let known = setting.record().expect("events").with_code("reload").count();
    setting.gateway.reload().expect("SIGHUP");
    let there = || Ok(setting.record()?.with_code("reload").nth(known).cloned());
    wait_for("the event of a reload", SOON, there).expect("a reload")
}

fn is_accepted(event: &Value) -> bool {
    event["unmapped"]["accepted"] == true
}

fn status(setting: &Setting) -> u16 {
    let answer = setting.client().and_then(|client| client.get("/public", &[]));
    answer.expect("an answer").status()
}

/// The lines of `/metrics` about loads and policies.
fn metrics(setting: &Setting) -> String {
    let answer = Client::plain(setting.health()).get("/metrics", &[]).expect("an answer").text();
    let told = answer.lines().filter(|line| {
        ["portcullis_policies_", "portcullis_load_"].iter().any(|name| line.starts_with(name))
    });
    told.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn a_load_says_what_changed_and_whose_it_is() {
    let mut setting = setting("load-told");
    let start = setting.record().expect("events").with_code("reload").next().cloned();
    let start = start.expect("the event of the start");
    assert!(is_accepted(&start));
    assert_eq!(text(&start, "/unmapped/trigger"), "start");
    assert!(number(&start, "/unmapped/policies/added/count") > 10, "{start}");
    fs::write(setting.policies().join("REVISION"), "revision: r-7\nauthor: ann\n").expect("write");
    fs::write(setting.policies().join("public/closed.cedar"), CLOSED).expect("write");
    let event = reload(&mut setting);
    let told = &event["unmapped"]["policies"];
    assert_eq!((&told["revision"], &told["author"]), (&"r-7".into(), &"ann".into()), "{event}");
    assert_eq!(told["added"], serde_json::json!({"count": 1, "ids": ["public-closed"]}));
    assert_eq!((number(told, "/removed/count"), number(told, "/changed/count")), (0, 0));
    assert_eq!((&told["sealed"], &told["kept"]), (&false.into(), &true.into()));
    assert_ne!(event["unmapped"]["digests"]["policies"], start["unmapped"]["digests"]["policies"]);
    says(&metrics(&setting), &[text(told, "/digest"), "revision=\"r-7\"", "load_refused 0"]);
    assert_eq!(status(&setting), 403);
}

/// A guardrail that is not copied yet forbids nothing: the set would load, and allow more.
#[test]
fn a_set_that_is_not_whole_is_not_taken() {
    let mut setting = setting("load-sealed");
    let closed = setting.policies().join("public/closed.cedar");
    fs::write(&closed, CLOSED).expect("write");
    let seal = |setting: &Setting, revision: &str| {
        let sealed =
            setting.portcullis.must(&["policy", "seal", "policies", "--revision", revision]);
        sealed.expect("sealed")
    };
    says(&seal(&setting, "r-1"), &["policy seal: files=", " revision=r-1 author=-\n"]);
    let event = reload(&mut setting);
    assert!(is_accepted(&event), "{event}");
    assert_eq!(event["unmapped"]["policies"]["sealed"], true);
    let refused = |setting: &mut Setting, what: &str, part: &str| {
        let event = reload(setting);
        assert!(!is_accepted(&event), "{what}: {event}");
        says(text(&event, "/unmapped/problems/0"), &[part]);
        assert_eq!(text(&event, "/unmapped/policies/revision"), "r-1", "{what}");
        assert_eq!(status(setting), 403, "{what}: the old set serves");
        says(&metrics(setting), &["load_refused 1", "revision=\"r-1\""]);
    };
    fs::write(&closed, CLOSED.split_at(CLOSED.len() / 2).0).expect("write");
    refused(&mut setting, "half of a file", "`public/closed.cedar` is another");
    fs::remove_file(&closed).expect("remove");
    refused(&mut setting, "a file less", "`public/closed.cedar` is missing");
    fs::write(&closed, CLOSED).expect("write");
    fs::write(setting.policies().join("public/more.cedar"), "// more\n").expect("write");
    refused(&mut setting, "a file more", "`MANIFEST` does not list it");
    fs::remove_file(&closed).expect("remove");
    seal(&setting, "r-2");
    let event = reload(&mut setting);
    assert!(is_accepted(&event), "{event}");
    assert_eq!(text(&event, "/unmapped/policies/removed/ids/0"), "public-closed");
    assert_eq!(status(&setting), 200);
    says(&metrics(&setting), &["load_refused 0", "revision=\"r-2\""]);
}

#[test]
fn half_of_a_file_is_not_taken_without_a_manifest_either() {
    let mut setting = setting("load-half");
    let closed = setting.policies().join("public/closed.cedar");
    fs::write(&closed, CLOSED).expect("write");
    assert!(is_accepted(&reload(&mut setting)));
    fs::write(&closed, CLOSED.split_at(CLOSED.len() / 2).0).expect("write");
    let event = reload(&mut setting);
    assert!(!is_accepted(&event));
    says(text(&event, "/unmapped/problems/0"), &["public/closed.cedar:"]);
    assert_eq!(status(&setting), 403);
}

/// As the kubelet does it: `..data` is the one link that moves.
#[test]
fn a_set_behind_links_is_swapped() {
    let setup = Setup::default().change("watch: false", "watch: true");
    let setting = Setting::start("load-swapped", &setup).expect("the product");
    let root = setting.policies();
    let known = setting.record().expect("events").with_code("reload").count();
    let release = |name: &str, closed: bool| {
        let at = root.join(name);
        for place in ["schema.cedarschema", "guardrails", "entities", "orders", "public"] {
            copy(&root.join(place), &at.join(place));
        }
        if closed {
            fs::write(at.join("public/closed.cedar"), CLOSED).expect("write");
        }
    };
    release("..1", false);
    release("..2", true);
    let swap = |name: &str| {
        symlink(name, root.join("..next")).expect("a link");
        fs::rename(root.join("..next"), root.join("..data")).expect("swapped");
    };
    swap("..2");
    for place in ["schema.cedarschema", "guardrails", "entities", "orders", "public"] {
        let place = root.join(place);
        let link = Path::new("..data").join(place.file_name().expect("a name"));
        match place.is_dir() {
            true => fs::remove_dir_all(&place).expect("removed"),
            false => fs::remove_file(&place).expect("removed"),
        }
        symlink(link, place).expect("a link");
    }
    let closed = |want: u16| {
        let there = || Ok((status(&setting) == want).then_some(()));
        wait_for("the other set", SOON, there).expect("in force");
    };
    closed(403);
    swap("..1");
    closed(200);
    swap("..2");
    closed(403);
    assert!(setting.record().expect("events").with_code("reload").count() >= known + 3);
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).expect("a directory") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().expect("a directory")).expect("made");
        fs::copy(from, to).expect("copied");
    }
}

fn replace(setting: &Setting, from: &str, to: &str) {
    let text = fs::read_to_string(setting.config()).expect("the configuration");
    assert!(text.contains(from), "no `{from}`");
    fs::write(setting.config(), text.replace(from, to)).expect("write");
}

/// A start that must fail: what it said.
fn failed_start(setting: &Setting) -> String {
    let portcullis = Portcullis::new(setting.dir()).expect("the binary");
    let mut process = portcullis.launch(&setting.config(), None).expect("launched");
    let (end, said) = (process.wait(SOON).expect("an end"), process.output());
    assert_eq!(end.code(), Some(3), "{said}");
    said
}

#[test]
fn a_wrong_directory_stops_the_start_unless_the_last_set_may_do() {
    let mut setting = setting("load-kept");
    let closed = setting.policies().join("public/closed.cedar");
    fs::write(&closed, CLOSED).expect("write");
    assert!(is_accepted(&reload(&mut setting)));
    let digest = |setting: &Setting| {
        let told = metrics(setting);
        told.split('"').nth(1).expect("a digest").to_owned()
    };
    let before = digest(&setting);
    fs::write(&closed, "permit (everyone").expect("write");
    setting.gateway.process().kill().expect("killed");
    says(&failed_start(&setting), &["closed.cedar:1:"]);

    replace(
        &setting,
        "keep: {directory: kept}",
        "keep: {directory: kept}\n  start_from_kept: true",
    );
    setting.start_again().expect("a start with the set that was kept");
    assert_eq!((status(&setting), digest(&setting)), (403, before), "as it was");
    says(&metrics(&setting), &["policies_from_kept 1", "load_refused 1"]);
    says(&setting.gateway.process().output(), &["the set that was last in force is served"]);
    let events = setting.record().expect("events");
    let start = events.with_code("reload").last().expect("the start");
    assert!(!is_accepted(start));
    assert_eq!(text(start, "/unmapped/policies/source"), "kept");
    says(text(start, "/unmapped/problems/0"), &["closed.cedar:1:"]);
    // A reload is held against the directory; it stays wrong until it is right.
    let refused = reload(&mut setting);
    assert!(!is_accepted(&refused));
    assert_eq!(text(&refused, "/unmapped/policies/source"), "kept");
    fs::write(&closed, CLOSED).expect("write");
    let taken = reload(&mut setting);
    assert!(is_accepted(&taken));
    assert_eq!(text(&taken, "/unmapped/policies/source"), "directory");
    says(&metrics(&setting), &["policies_from_kept 0", "load_refused 0"]);

    // Nothing is served that is not what was kept.
    fs::write(&closed, "permit (everyone").expect("write");
    setting.gateway.process().kill().expect("killed");
    for entry in fs::read_dir(setting.dir().join("kept")).expect("the kept sets") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("text");
        fs::write(&path, text.replace("public-closed", "public-opened")).expect("write");
    }
    says(&failed_start(&setting), &["closed.cedar:1:", "is not a kept set"]);
}

/// A set that cannot be kept is served all the same: the one before it may allow more.
#[test]
fn what_cannot_be_kept_is_served_and_said_to_be() {
    let setup = Setup::default().change("keep: {directory: kept}", "keep: {directory: tls.crt/x}");
    let mut setting = Setting::start("load-unkept", &setup).expect("the product");
    says(&metrics(&setting), &["policies_kept 0"]);
    fs::write(setting.policies().join("public/closed.cedar"), CLOSED).expect("write");
    let event = reload(&mut setting);
    assert!(is_accepted(&event));
    assert_eq!(event["unmapped"]["policies"]["kept"], false);
    assert_eq!(status(&setting), 403);
    replace(&setting, "keep: {directory: tls.crt/x}", "keep: {directory: kept}");
    assert_eq!(reload(&mut setting)["unmapped"]["policies"]["kept"], true);
    says(&metrics(&setting), &["policies_kept 1"]);
}

#[test]
fn a_set_without_a_manifest_is_refused_where_one_is_asked_for() {
    let mut setting = setting("load-required");
    replace(&setting, "keep: {directory: kept}", "require_manifest: true");
    let refused = reload(&mut setting);
    assert!(!is_accepted(&refused));
    says(text(&refused, "/unmapped/problems/0"), &["there is no `MANIFEST`", "policy seal"]);
    setting.portcullis.must(&["policy", "seal", "policies"]).expect("sealed");
    assert!(is_accepted(&reload(&mut setting)));
}

/// The last set was in force under another configuration.
#[test]
fn a_kept_set_that_the_configuration_forbids_now_starts_nothing() {
    let mut setting = setting("load-kept-forbidden");
    let closed = setting.policies().join("public/closed.cedar");
    fs::write(&closed, "permit (everyone").expect("write");
    let keep = "keep: {directory: kept}\n  start_from_kept: true";
    replace(&setting, "keep: {directory: kept}", &format!("{keep}\n  require_manifest: true"));
    setting.gateway.process().kill().expect("killed");
    says(&failed_start(&setting), &["had no manifest, and one is required"]);
    replace(&setting, "require_manifest: true", "require_manifest: false");
    setting.start_again().expect("a start with the set that was kept");
}

/// Whoever reads a policy goes as deep as it is nested: that is refused before, not a crash.
#[test]
fn a_policy_that_is_nested_too_deep_is_refused() {
    let mut setting = setting("load-deep");
    let deep = setting.policies().join("public/deep.cedar");
    let condition = format!("{}true{}", "(".repeat(1000), ")".repeat(1000));
    let policy = format!(
        "@id(\"deep\")\npermit (principal, action == Public::Action::\"view\", resource in Portcullis::Api::\"public\")\nwhen {{ {condition} }};\n"
    );
    fs::write(&deep, policy).expect("write");
    let event = reload(&mut setting);
    assert!(!is_accepted(&event));
    says(text(&event, "/unmapped/problems/0"), &["deep.cedar:3:", "brackets within each other"]);
    assert_eq!(status(&setting), 200);
}
