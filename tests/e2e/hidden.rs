//! People and parameters that the record hides: they are nowhere in it, the upstream gets them
//! all the same, and a recorded question still has its answer.

use std::fs;

use fixtures::{
    client::Request,
    harness::{Setting, Setup},
    idp::login,
    record::text,
};

use super::{id, replay};

/// A route with a pseudonym and a secret in its path, and people under pseudonyms.
fn setting(name: &str) -> Setting {
    let route = "    routes:
      - name: visit
        methods: [GET]
        path: /people/{who}/{token}
        action: view
        resource: {type: Page, id: \"{who}\"}
        parameters: {who: pseudonym, token: secret}
        upstream: orders
      - name: page\n";
    let subjects = "  subjects: pseudonym\n  pseudonym_key: {file: tls.key}\n  flood:";
    let setup = Setup::default()
        .change("    routes:\n      - name: page\n", route)
        .change("  flood:", subjects);
    Setting::start(name, &setup).expect("the product")
}

#[test]
fn hidden_people_and_parameters_are_not_in_the_record() {
    let mut setting = setting("hidden");
    let client = setting.client().expect("a client");
    let bearer = |who: &str| {
        let login = login(setting.idp.issuer(), who, None).expect("a login");
        format!("Bearer {}", login.access)
    };
    let (alice, bob) = (bearer("alice"), bearer("bob"));
    let ask = |method: &str, target: &str, authorization: &str| {
        let request = Request::new(method, target).field("Authorization", authorization);
        client.request(&request).expect("an answer")
    };
    let seen = [
        // the upstream knows no such page
        ("GET", "/people/somebody/hush-1", &alice, 404),
        ("GET", "/people/somebody/hush-2", &bob, 404),
        ("GET", "/people/another/hush-3", &alice, 404),
        ("GET", "/orders", &alice, 200),
        // what policy is not asked about
        ("POST", "/people/somebody/hush-4", &alice, 405),
        ("GET", "/people/somebody/hush-5/", &alice, 404),
        ("GET", "/people/somebody/hush%2F6", &alice, 400),
        ("GET", "/people/somebody/../hush-7", &alice, 400),
    ]
    .map(|(method, target, who, status)| {
        let answer = ask(method, target, who);
        assert_eq!(answer.status(), status, "{method} {target}");
        id(&answer)
    });
    let sent = setting.upstream.requests();
    let first = &sent.first().expect("a request").message;
    assert_eq!(first.start, "GET /people/somebody/hush-1 HTTP/1.1");
    assert_eq!(first.field("x-forwarded-user"), Some("corp|alice"));

    assert!(setting.gateway.stop().expect("stop").success());
    let events = setting.portcullis.event_lines(&setting.spool()).expect("events");
    for hidden in ["hush", "somebody", "another", "alice", "bob"] {
        assert_eq!(events.lines().find(|line| line.contains(hidden)), None, "`{hidden}`");
    }
    let record = setting.record().expect("events");
    let decisions = record.decisions().expect("each once");
    let of = |index: usize, pointer: &str| text(decisions[seen[index].as_str()], pointer);
    let made = |option: &str, value: &str| {
        let config = setting.config().display().to_string();
        let verb = ["audit", "pseudonym", "--config", &config, option, value];
        setting.portcullis.must(&verb).expect("a pseudonym").trim().to_owned()
    };
    let (person, place) = ("/unmapped/question/principal/id", "/unmapped/question/resource/id");
    assert_eq!(of(0, person), made("--subject", "corp|alice"));
    assert_eq!(of(1, person), made("--subject", "corp|bob"));
    assert_eq!((of(0, person), of(0, "/actor/user/uid")), (of(2, person), of(3, person)));
    assert_eq!(of(0, place), made("--parameter", "somebody"));
    assert_eq!((of(0, place), of(2, place)), (of(1, place), &*made("--parameter", "another")));
    let path = "/http_request/url/path";
    assert_eq!(of(0, path), format!("/people/{}/*", of(0, place)));
    assert_eq!(
        [4, 5, 6].map(|index| of(index, path)),
        ["/people/*/*", "/people/*/*/", "/people/*/*"]
    );
    assert_eq!(of(7, "/unmapped/request_line"), "GET");

    let (asked, _) = replay::replay(&record, &replay::policies(&setting.policies()));
    assert_eq!(asked, 4);
    let log = setting.gateway.process().output();
    assert!(!log.contains("hush") && !log.contains("alice"), "{log}");
}

#[test]
fn a_key_that_is_too_short_stops_the_start() {
    let mut setting = setting("hidden-key");
    let short = setting.dir().join("short.key");
    fs::write(&short, [b'k'; 31]).expect("write");
    let text = fs::read_to_string(setting.config()).expect("the configuration");
    let text = text.replace("pseudonym_key: {file: tls.key}", "pseudonym_key: {file: short.key}");
    fs::write(setting.config(), text).expect("write");
    assert!(setting.gateway.stop().expect("stop").success());
    let error = setting.start_again().expect_err("a short key");
    assert!(format!("{error:#}").contains("fewer than 32 bytes"), "{error:#}");
    fs::write(&short, [b'k'; 32]).expect("write");
    setting.start_again().expect("a key");
}
