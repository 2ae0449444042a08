//! What is too much work for a worker: one source has a share of the threads that do it, and what
//! it sends beyond that is refused and recorded, while others are answered.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use fixtures::{
    client::{Client, Request},
    harness::{Setting, Setup, wait_for},
    record::text,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
/// Everything for this host goes upstream, and the rules look at it.
const HOST: &str = "api.example.test";
/// More than one source's share of the work.
const BODIES: usize = 96;
const LIMITS: &str = "    limits:\n";
const PROXY: &str = "    proxy_protocol: {from: [127.0.0.1/32]}\n    limits:\n";

/// Patterns that have to read all of [`heavy`], and find nothing.
fn rules(id: usize) -> String {
    let mut rules = format!(
        "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5\"
SecRule REQUEST_METHOD \"@streq POST\" \"id:{id},phase:1,pass,log,msg:'a body'\"\n"
    );
    for n in 0..700 {
        let rule = format!(
            "SecRule ARGS \"@rx [ab]{{{}}}[^ab]\" \"id:{},phase:2,block\"\n",
            20 + n % 50,
            1000 + n
        );
        rules.push_str(&rule);
    }
    rules
}

fn heavy() -> Request {
    let body = format!("a=c{}", "ab".repeat(30_000));
    Request::new("POST", "/status")
        .field("Content-Type", "application/x-www-form-urlencoded")
        .body(body.into_bytes())
}

/// Somebody behind the proxy.
fn from(setting: &Setting, address: &str) -> Client {
    let client = setting.client_of(HOST).expect("a client").timeout(SOON);
    client.first(format!("PROXY TCP4 {address} 198.51.100.2 51344 443\r\n").as_bytes())
}

fn metric(setting: &Setting, name: &str) -> u64 {
    let text = Client::plain(setting.health()).get("/metrics", &[]).expect("metrics").text();
    let sample = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    sample.expect("a sample").parse().expect("a number")
}

/// Has the gateway take the rules over, of which the first has this id.
fn take_rules(setting: &mut Setting, id: usize) {
    fs::write(setting.dir().join("heavy.conf"), rules(id)).expect("written");
    let known = setting.record().expect("events").with_code("reload").count();
    setting.gateway.reload().expect("SIGHUP");
    let there = || Ok(setting.record()?.with_code("reload").nth(known).cloned());
    let event = wait_for("the event of a reload", SOON, there).expect("a reload");
    assert_eq!(event["unmapped"]["accepted"], true, "{event}");
}

#[test]
fn one_sources_heavy_bodies_leave_others_their_answers() {
    let setup = Setup::open(HOST, true).change(LIMITS, PROXY);
    let mut setting = Setting::start("shares", &setup).expect("the product");
    let config = setting.dir().join("portcullis.yaml");
    let text_of_it = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, format!("{text_of_it}waf:\n  rules: [heavy.conf]\n")).expect("written");
    take_rules(&mut setting, 9);
    let answered = AtomicUsize::new(0);
    let ask = |client: &Client| {
        let status = client.request(&heavy()).expect("an answer").status();
        answered.fetch_add(1, Ordering::SeqCst);
        status
    };
    let client = from(&setting, "192.0.2.1");
    let statuses: Vec<u16> = thread::scope(|scope| {
        let asking: Vec<_> = (0..BODIES).map(|_| scope.spawn(|| ask(&client))).collect();
        wait_for("work that is not taken", SOON, || {
            let refused =
                metric(&setting, "portcullis_blocking_work_total{outcome=\"share_full\"}");
            Ok((refused > 0).then_some(()))
        })
        .expect("refusals");
        let other = from(&setting, "192.0.2.2");
        for _ in 0..3 {
            assert_eq!(other.get("/public", &[]).expect("an answer").status(), 200);
        }
        assert_eq!(other.request(&heavy()).expect("an answer").status(), 200, "it has a share too");
        // Others were answered before; these requests keep the rules that they began with.
        take_rules(&mut setting, 8);
        assert!(answered.load(Ordering::SeqCst) < BODIES, "nothing waits any more");
        asking.into_iter().map(|asking| asking.join().expect("an answer")).collect()
    });
    let of = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(of(200) + of(503), BODIES, "{statuses:?}");
    assert!(of(200) >= 64, "a share is done: {statuses:?}");
    let refused = metric(&setting, "portcullis_blocking_work_total{outcome=\"share_full\"}");
    assert_eq!(of(503) as u64, refused);
    assert_eq!(
        metric(&setting, "portcullis_blocking_work_total{outcome=\"done\"}"),
        1 + of(200) as u64
    );
    assert_eq!(metric(&setting, "portcullis_blocking_work"), 0);

    let record = setting.record().expect("events");
    let decisions = record.decisions().expect("once");
    let theirs: Vec<&Value> = decisions
        .values()
        .copied()
        .filter(|event| text(event, "/src_endpoint/ip") == "192.0.2.1")
        .collect();
    assert_eq!(theirs.len(), BODIES);
    for event in theirs {
        let waf = &event["unmapped"]["facts"]["waf"];
        match text(waf, "/health") {
            "ok" => assert_eq!(waf["rules"], json!(["9"]), "{waf}"),
            health => {
                assert_eq!((health, text(waf, "/problem")), ("unavailable", "share_full"));
                assert_eq!(text(event, "/unmapped/reason"), "unavailable");
                assert_eq!(waf["threshold"], 5, "{waf}");
                assert_eq!(waf["rules"], json!([]), "{waf}");
            }
        }
    }
}
