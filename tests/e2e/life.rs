//! Starting, stopping, being killed, and being told to read its files again.

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, ExitStatus},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use fixtures::{
    certs::Certs,
    client::{Client, Connection, Request},
    harness::{Portcullis, Setting, Setup, Signal, free_port, wait_for},
    idp::Fault,
    record::{number, text},
};

use super::{MIXED, id, mix, setting};

const HOST: &str = "api.example.test";
const SOON: Duration = Duration::from_secs(20);
/// Requests in flight when the gateway is killed.
const IN_FLIGHT: usize = 20;

/// A request that the upstream answers after `ms`; returns when the upstream has it.
fn in_flight(setting: &Setting, ms: u64) -> Connection {
    let client = setting.client_of(HOST).expect("a client");
    let before = setting.upstream.heads();
    let mut connection = client.connect().expect("connect");
    let bytes = Request::new("GET", &format!("/slow?ms={ms}")).bytes(client.host());
    connection.send(&bytes).expect("send");
    let there = || Ok((setting.upstream.heads() > before).then_some(()));
    wait_for("the request at the upstream", SOON, there).expect("there");
    connection
}

#[test]
fn what_was_in_flight_at_a_kill_is_recorded_as_crashed() {
    let mut setting = Setting::start("killed", &Setup::open(HOST, false)).expect("the product");
    let heard = mix(&setting);
    assert_eq!(heard.iter().map(|answer| answer.status()).collect::<Vec<_>>(), MIXED);
    let waiting: Vec<Connection> = (0..IN_FLIGHT).map(|_| in_flight(&setting, 60_000)).collect();
    setting.restart().expect("restart");
    drop(waiting);
    let after = setting.client().and_then(|client| client.get("/public", &[])).expect("an answer");
    assert!(setting.gateway.stop().expect("stop").success());

    let record = setting.record().expect("events");
    let (decisions, completions) =
        (record.decisions().expect("once"), record.completions().expect("once"));
    for answer in heard.iter().chain([&after]) {
        assert!(decisions.contains_key(id(answer).as_str()), "lost: {}", answer.start);
    }
    assert_eq!(decisions.keys().collect::<Vec<_>>(), completions.keys().collect::<Vec<_>>());
    let slow = |id: &&&str| text(decisions[**id], "/http_request/url/path") == "/slow";
    let outcomes: Vec<&str> = decisions
        .keys()
        .filter(slow)
        .map(|id| text(completions[id], "/unmapped/outcome"))
        .collect();
    assert_eq!(outcomes, ["crashed"; IN_FLIGHT]);
    let opened: Vec<_> = record.with_code("log_open").collect();
    let [first, second] = opened[..] else { panic!("{} logs", opened.len()) };
    assert_eq!(text(second, "/unmapped/previous/origin"), text(first, "/unmapped/origin"));
    assert_eq!(second.pointer("/unmapped/previous/closed"), Some(&false.into()));
    assert!(number(second, "/unmapped/previous/open") >= 20, "{second}");
}

#[test]
fn what_is_in_flight_at_a_stop_is_answered_first() {
    let setup = Setup::open(HOST, false).change("delay: 1ms", "delay: 700ms");
    let mut setting = Setting::start("drained", &setup).expect("the product");
    let mut waiting = in_flight(&setting, 1500);
    setting.gateway.process().signal(Signal::TERM).expect("SIGTERM");
    let not_ready = || Ok((!setting.gateway.ready()).then_some(()));
    wait_for("no readiness", Duration::from_millis(600), not_ready).expect("not ready");
    let still = setting.client().and_then(|client| client.get("/public", &[]));
    assert_eq!(still.expect("it still serves").status(), 200);
    assert_eq!(waiting.final_answer("GET").expect("an answer").status(), 200);
    assert!(setting.gateway.process().wait(SOON).expect("an end").success());
    assert!(setting.client().and_then(|client| client.connect()).is_err());

    let record = setting.record().expect("events");
    let last = record.events().last().expect("an event");
    assert_eq!(text(last, "/metadata/event_code"), "log_close");
    assert_eq!(number(last, "/unmapped/open"), 0);
    assert_eq!(record.completions().expect("once").len(), 2);
}

#[test]
fn what_outlasts_the_drain_deadline_is_cut_off_and_recorded() {
    let setup = Setup::open(HOST, false).change("deadline: 5s", "deadline: 200ms");
    let mut setting = Setting::start("cut-off", &setup).expect("the product");
    let waiting = in_flight(&setting, 60_000);
    assert!(setting.gateway.stop().expect("stop").success());
    drop(waiting);
    let record = setting.record().expect("events");
    let completions = record.completions().expect("once");
    let outcomes: Vec<&str> =
        completions.values().map(|event| text(event, "/unmapped/outcome")).collect();
    let [outcome] = outcomes[..] else { panic!("{outcomes:?}") };
    assert!(["abandoned", "client_gone"].contains(&outcome), "{outcome}");
    assert_eq!(record.with_code("log_close").count(), 1);
}

/// A start beside the setting's own gateway that must fail: its end and what it said.
fn failed_start(setting: &Setting, name: &str, from: &str, to: &str) -> (ExitStatus, String) {
    let before = fs::read_to_string(setting.config()).expect("the configuration");
    assert!(before.contains(from), "no `{from}`");
    let path = setting.dir().join(format!("{name}.yaml"));
    fs::write(&path, before.replace(from, to)).expect("write");
    let dir = setting.dir().join(name);
    fs::create_dir_all(&dir).expect("a directory");
    let mut process =
        Portcullis::new(&dir).and_then(|portcullis| portcullis.launch(&path, None)).expect("start");
    (process.wait(SOON).expect("an end"), process.output())
}

#[test]
fn a_wrong_configuration_stops_the_start_with_every_problem() {
    let setting = setting("wrong");
    let wrong = "  page_size: 7\n  - name: page\n        methods: [GET, CONNECT]";
    let (status, said) =
        failed_start(&setting, "yaml", "      - name: page\n        methods: [GET, HEAD]", wrong);
    assert_eq!(status.code(), Some(3), "{said}");

    let wrong = "methods: [GET, CONNECT]\n        path: /public\n        colour: red\n        upstream: orderz";
    let right = "methods: [GET, HEAD]\n        path: /public\n        action: view\n        resource: {type: Page, id: home}\n        upstream: orders";
    let (status, said) = failed_start(&setting, "several", right, wrong);
    assert_eq!(status.code(), Some(3), "{said}");
    for part in ["colour", "action", "resource", "problems: "] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
    let right = "upstream: orders\n      - name: limited\n        methods: [GET, POST]";
    let wrong = "upstream: orderz\n      - name: limited\n        methods: [GET, CONNECT]";
    let named = |said: &str, file: &str, part: &str| {
        said.lines().any(|line| line.contains(file) && line.contains(part))
    };
    let (status, said) = failed_start(&setting, "meaning", right, wrong);
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(named(&said, ".yaml:", "`orderz`") && named(&said, ".yaml:", "`CONNECT`"), "{said}");
    assert!(said.ends_with("problems: 2\n"), "{said}");

    // What it names is looked at all the same.
    fs::write(setting.policies().join("public/broken.cedar"), "permit (everyone").expect("write");
    fs::remove_file(setting.dir().join("tls.key")).expect("removed");
    let (status, said) = failed_start(&setting, "all", right, wrong);
    assert_eq!(status.code(), Some(3), "{said}");
    for (file, part) in [
        (".yaml:", "`orderz`"),
        (".yaml:", "`CONNECT`"),
        ("broken.cedar:1:", "unexpected end of input"),
        (".yaml:", "tls.key"),
    ] {
        assert!(named(&said, file, part), "no `{part}` of {file} in:\n{said}");
    }
    assert!(said.ends_with("problems: 4\n"), "{said}");
    let check = setting.portcullis.run(&["check", "--config", "all.yaml"]).expect("check");
    assert_eq!(check.code, Some(3), "{}", check.out);
    assert!(check.out.ends_with("problems: 3\n"), "it reads no key: {}", check.out);

    let (status, said) = failed_start(&setting, "nothing", "policies:", "policiez:");
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.ends_with("; the policies were not looked at\n"), "{said}");
}

#[test]
fn wrong_policies_stop_the_start_with_every_problem() {
    let setting = setting("wrong-policies");
    for (file, policy) in [
        ("public/no-id.cedar", "permit (principal, action, resource);"),
        ("public/no-refuse.cedar", "@id(\"x\")\nforbid (principal, action, resource);"),
        ("public/broken.cedar", "permit (everyone"),
    ] {
        fs::write(setting.policies().join(file), policy).expect("write");
    }
    // Keys are looked at all the same.
    let (right, wrong) = ("issuer_note: keys/issuer.note", "issuer_note: keys/other.note");
    let (status, said) = failed_start(&setting, "policies", right, wrong);
    assert_eq!(status.code(), Some(3), "{said}");
    for file in ["no-id.cedar:", "no-refuse.cedar:", "broken.cedar:1:", "other.note"] {
        assert!(said.contains(file), "no `{file}` in:\n{said}");
    }
    let check = setting.portcullis.run(&["check", "--config", "policies.yaml"]).expect("check");
    assert_eq!(check.code, Some(3), "{}", check.out);
    assert!(check.out.contains("broken.cedar:1:"), "{}", check.out);
}

#[test]
fn what_cannot_be_had_at_start_is_said() {
    let setting = setting("unstartable");
    let (door, health) = (setting.door().to_string(), setting.health().to_string());
    let config = fs::read_to_string(setting.config()).expect("the configuration");
    let spool = setting.dir().join("spool-2");
    let check = |name: &str, changes: &[(&str, &str)], code: i32, want: &[&str]| {
        let changed = changes.iter().fold(config.clone(), |config, (from, to)| {
            assert!(config.contains(from), "no `{from}`");
            config.replace(from, to)
        });
        fs::write(setting.config(), changed).expect("write");
        let other = ("directory: spool", "directory: spool-2");
        let (status, said) = failed_start(&setting, name, other.0, other.1);
        assert_eq!(status.code(), Some(code), "{name}: {said}");
        for part in want {
            assert!(said.contains(part), "{name}: no `{part}` in:\n{said}");
        }
        assert!(!said.contains("panicked"), "{name}: {said}");
        let left = fs::read_dir(&spool).into_iter().flatten();
        let logs = left.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir()));
        assert_eq!(logs.count(), 0, "{name}: a start that fails leaves no log");
    };
    let certificate = ("certificate: tls.crt", "certificate: none.crt");
    let issuer = ("file: keys/issuer.key", "file: keys/none.key");
    let elsewhere = (&*format!("address: \"{door}\""), "address: \"127.0.0.1:0\"");
    let health_elsewhere = (&*format!("address: \"{health}\""), "address: \"127.0.0.1:0\"");
    check("address", &[], 1, &[&door]);
    check("health", &[elsewhere], 1, &["listener `health`", &health]);
    check("certificate", &[certificate], 3, &[".yaml:", "none.crt", "problems: 1"]);
    let both = [".yaml:", "none.crt", "none.key", "No such file", "problems: 2"];
    check("both", &[certificate, issuer], 3, &both);
    let mismatch = ("key: {file: tls.key}", "key: {file: keys/issuer.key}");
    let cluster = ("cluster: demo", "cluster: another");
    check("cluster", &[elsewhere, health_elsewhere, cluster], 3, &[".yaml:", "may not certify"]);
    check("mismatch", &[mismatch], 3, &["listener `front`", "tls.crt", "problems: 1"]);
}

#[test]
fn check_says_what_a_start_would_say_of_issuers() {
    let setting = setting("checked");
    let wrong = "allow_plain_http: true\n    ca: none.pem";
    let (status, said) = failed_start(&setting, "ca", "allow_plain_http: true", wrong);
    let check = setting.portcullis.run(&["check", "--config", "ca.yaml"]).expect("check");
    assert_eq!((status.code(), check.code), (Some(3), Some(3)), "{said}{}", check.out);
    for out in [said, check.out] {
        assert!(out.contains("none.pem") && out.contains("problems: 1"), "{out}");
    }
}

/// Asks for a reload and waits for its event; whether it was accepted.
fn reload(setting: &mut Setting) -> (bool, String) {
    let known = setting.record().expect("events").with_code("reload").count();
    setting.gateway.reload().expect("SIGHUP");
    reloaded(setting, known)
}

fn reloaded(setting: &Setting, known: usize) -> (bool, String) {
    let event = wait_for("the event of a reload", SOON, || {
        Ok(setting.record()?.with_code("reload").nth(known).cloned())
    });
    let event = event.expect("a reload");
    let accepted = event.pointer("/unmapped/accepted").and_then(|v| v.as_bool()).expect("a word");
    (accepted, event.to_string())
}

fn replace(setting: &Setting, from: &str, to: &str) {
    let text = fs::read_to_string(setting.config()).expect("the configuration");
    assert!(text.contains(from), "no `{from}`");
    fs::write(setting.config(), text.replace(from, to)).expect("write");
}

#[test]
fn a_reload_is_taken_whole_or_not_at_all() {
    let mut setting = setting("reloaded");
    let status = |setting: &Setting, path: &str| {
        let answer = setting.client().and_then(|client| client.get(path, &[]));
        answer.expect("an answer").status()
    };
    assert_eq!((status(&setting, "/public"), status(&setting, "/moved")), (200, 404));

    replace(&setting, "path: /public", "path: /moved");
    assert!(reload(&mut setting).0);
    assert_eq!((status(&setting, "/public"), status(&setting, "/moved")), (404, 404));
    let at_upstream = setting.upstream.requests().pop().expect("a request");
    assert_eq!(at_upstream.message.path(), "/moved", "the new route leads to the upstream");

    // The route moves back, but a policy is broken: neither is taken.
    replace(&setting, "path: /moved", "path: /public");
    let broken = setting.policies().join("public/broken.cedar");
    fs::write(&broken, "permit (everyone").expect("write");
    let (accepted, event) = reload(&mut setting);
    assert!(!accepted && event.contains("broken.cedar"), "{event}");
    assert_eq!(status(&setting, "/public"), 404);
    fs::remove_file(&broken).expect("remove");

    replace(&setting, "version: 1", "version: 1\ncolour: red");
    let (accepted, event) = reload(&mut setting);
    assert!(!accepted && event.contains("colour"), "{event}");
    assert_eq!(status(&setting, "/public"), 404);
    replace(&setting, "version: 1\ncolour: red", "version: 1");

    assert!(reload(&mut setting).0);
    assert_eq!(status(&setting, "/public"), 200);
}

#[test]
fn what_cannot_be_reloaded_is_said_and_stays() {
    let mut setting = setting("not-reloaded");
    let door = setting.door();
    replace(&setting, &format!("address: \"{door}\""), "address: \"127.0.0.1:1\"");
    replace(&setting, "directory: spool", "directory: other");
    replace(&setting, "instance: gw-1", "instance: gw-2");
    assert!(reload(&mut setting).0);
    let output = setting.gateway.process().output();
    for section in ["section=\"listeners\"", "section=\"audit\"", "section=\"gateway\""] {
        assert!(output.contains(section), "no {section} in:\n{output}");
    }
    let answer = setting.client().and_then(|client| client.get("/public", &[])).expect("answer");
    let events = setting.record().expect("events");
    assert!(events.decisions().expect("once").contains_key(id(&answer).as_str()));
    assert!(!setting.dir().join("other").exists());
}

#[test]
fn another_issuer_takes_no_keys_from_those_that_are_known() {
    let mut setting = setting("another-issuer");
    let token = setting.idp.access_token("alice", "ES256").expect("a token");
    let authorization = format!("Bearer {token}");
    let ask = |setting: &Setting| {
        let client = setting.client().expect("a client");
        let answer = client.get("/orders", &[("Authorization", &authorization)]);
        answer.expect("an answer").status()
    };
    assert_eq!(ask(&setting), 200);
    setting.idp.fault("", Fault::Drop);
    let other = "issuers:\n  other:\n    issuer: \"https://login.example.test\"\n    \
                 audiences: [orders]\n    algorithms: [ES256]\n  corp:";
    replace(&setting, "issuers:\n  corp:", other);
    assert!(reload(&mut setting).0);
    assert_eq!(ask(&setting), 200, "the provider is down, its keys were known");
}

#[test]
fn where_the_record_is_shipped_to_cannot_be_reloaded() {
    let mut setting = setting("kafka-not-reloaded");
    let elsewhere = "heartbeat: 2s\n  kafka:\n    brokers: [\"127.0.0.1:1\"]";
    replace(&setting, "heartbeat: 2s", elsewhere);
    assert!(reload(&mut setting).0);
    let output = setting.gateway.process().output();
    assert!(output.contains("section=\"audit\""), "{output}");
    let health = Client::plain(setting.health());
    let metrics = health.get("/metrics", &[]).expect("metrics").text();
    assert!(!metrics.contains("portcullis_shipper_"), "it is shipped elsewhere");
}

/// Ends what goes on until then, also when a test fails.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_certificate_is_renewed_under_load_and_a_broken_one_is_not_taken() {
    let mut setting = setting("renewed");
    let door = setting.door();
    let trusting = |authority: &str| Client::tls(door, "localhost", authority).expect("a client");
    let old = fs::read_to_string(setting.authority()).expect("the authority");
    let (new, other) = (Certs::generate(), Certs::generate());
    let (new, other) = (new.expect("certificates"), other.expect("certificates"));
    let (either, renewed) =
        (trusting(&format!("{old}{}", new.authority)), trusting(&new.authority));
    assert!(renewed.connect().is_err(), "trusted before it is there");

    let over = AtomicBool::new(false);
    let answers = thread::scope(|scope| {
        let until = Until(&over);
        let ask = || {
            let ask = |_: &usize| either.get("/public", &[]).expect("an answer").status() == 200;
            (0..).take_while(|_| !over.load(Ordering::Relaxed)).filter(ask).count()
        };
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        let mut renew = || {
            new.write(setting.dir()).expect("write");
            assert!(reload(&mut setting).0);
            for _ in 0..10 {
                assert_eq!(renewed.get("/public", &[]).expect("the new one").status(), 200);
            }
            // The key of another certificate; then no certificate at all.
            fs::write(setting.dir().join("tls.key"), &other.key).expect("write");
            let (accepted, event) = reload(&mut setting);
            assert!(!accepted && event.contains("tls."), "{event}");
            fs::write(setting.dir().join("tls.crt"), "nothing").expect("write");
            let (accepted, event) = reload(&mut setting);
            assert!(!accepted && event.contains("tls.crt"), "{event}");
            assert_eq!(renewed.get("/public", &[]).expect("still").status(), 200);
        };
        renew();
        drop(until);
        asking.into_iter().map(|done| done.join().expect("no failed handshake")).sum::<usize>()
    });
    println!("renewed under load: answers={answers}");
    assert!(answers >= 4, "{answers} answers meanwhile");
    let record = setting.record().expect("events");
    let failed = record.with_code("aggregate").count();
    assert!(failed <= 1, "{failed} failed handshakes, with the one that trusted too early");
}

#[test]
fn a_certificate_that_is_wrong_is_not_taken() {
    let mut setting = setting("not-renewed");
    let key = fs::read(setting.dir().join("tls.key")).expect("the key");
    fs::copy(&setting.keys.issuer, setting.dir().join("tls.key")).expect("another key");
    replace(&setting, "path: /public", "path: /moved");
    let (accepted, event) = reload(&mut setting);
    assert!(!accepted && event.contains("tls.crt"), "{event}");
    let status = |setting: &Setting, path: &str| {
        setting.client().and_then(|client| client.get(path, &[])).expect("an answer").status()
    };
    assert_eq!((status(&setting, "/public"), status(&setting, "/moved")), (200, 404));
    fs::write(setting.dir().join("tls.key"), key).expect("write");
    assert!(reload(&mut setting).0);
    assert_eq!(status(&setting, "/public"), 404, "taken whole");
}

/// Whoever opens a pipe waits for who writes to it.
#[test]
fn a_pipe_in_place_of_a_certificate_holds_up_nothing() {
    let port = free_port().expect("a port");
    let admin = format!("admin:\n  address: 127.0.0.1:{port}\npolicies:\n");
    let setup = Setup::default().change("policies:\n", &admin);
    let mut setting = Setting::start("pipe", &setup).expect("the product");
    let certificate = setting.dir().join("tls.crt");
    fs::remove_file(&certificate).expect("removed");
    assert!(Command::new("mkfifo").arg(&certificate).status().expect("mkfifo").success());
    let admin = Client::plain(([127, 0, 0, 1], port).into());
    let status = admin.get("/status", &[]).expect("an answer").text();
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert!(text(&status, "/certificates/0/not_after").ends_with('Z'), "{status}");
    let (accepted, event) = reload(&mut setting);
    assert!(!accepted && event.contains("not a regular file"), "{event}");
    let health = Client::plain(setting.health()).get("/livez", &[]).expect("an answer");
    assert_eq!(health.status(), 200);
    assert!(setting.gateway.stop().expect("stop").success());
}

#[test]
fn a_listener_that_was_not_there_at_the_start_changes_nothing_for_the_others() {
    let mut setting = setting("reordered");
    let other = Certs::generate().expect("certificates");
    let dir = setting.dir().join("other");
    fs::create_dir(&dir).expect("a directory");
    other.write(&dir).expect("write");
    let before = "listeners:\n  - name: front";
    let first = "listeners:\n  - name: other\n    address: \"127.0.0.1:1\"\n    tls: {certificate: other/tls.crt, key: {file: other/tls.key}}\n  - name: front";
    replace(&setting, before, first);
    for _ in 0..2 {
        assert!(reload(&mut setting).0);
        let answer = setting.client().and_then(|client| client.get("/public", &[]));
        assert_eq!(answer.expect("the certificate of this listener").status(), 200);
    }
    let said = setting.gateway.process().output().matches("section=\"listeners\"").count();
    assert_eq!(said, 2, "what differs is said each time");
}

#[test]
fn files_are_watched_where_the_configuration_says_so() {
    let setup = Setup::default().change("watch: false", "watch: true");
    let setting = Setting::start("watched", &setup).expect("the product");
    // Whoever follows this link finds it again behind it.
    symlink(".", setting.policies().join(".self")).expect("a link");
    assert!(reloaded(&setting, 1).0);
    let closed = "@id(\"public-closed\")\n@refuse(\"forbidden\")\nforbid (principal, action == Public::Action::\"view\", resource in Portcullis::Api::\"public\");\n";
    fs::write(setting.policies().join("public/closed.cedar"), closed).expect("write");
    let (accepted, event) = reloaded(&setting, 2);
    assert!(accepted && event.contains("watch"), "{event}");
    let answer = setting.client().and_then(|client| client.get("/public", &[]));
    assert_eq!(answer.expect("an answer").status(), 403);
}

#[test]
fn the_health_listener_tells_nothing_else() {
    let setting = setting("health");
    let health = Client::plain(setting.health());
    let ask = |method: &str, path: &str| {
        health.request(&Request::new(method, path)).expect("an answer").status()
    };
    for (method, path, want) in [
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("POST", "/readyz", 405),
        ("GET", "/public", 404),
    ] {
        assert_eq!(ask(method, path), want, "{method} {path}");
    }
    let requests = thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(|| ask("GET", "/readyz"))).collect();
        asking.into_iter().map(|done| done.join().expect("an answer")).collect::<Vec<_>>()
    });
    assert_eq!(requests, [200; 4]);
    assert_eq!(setting.record().expect("events").with_code("decision").count(), 0);
}
