//! A suite of two stages: the verb says which one came out otherwise.

use std::fs;

use clap::Parser as _;
use serde_json::Value;

use super::*;
use crate::cli::INVALID;

const RULES: &str = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5\"\n\
    SecRule ARGS \"@contains xyzzy\" \"id:100100,phase:2,block,msg:'a word'\"\n\
    SecRule RESPONSE_BODY \"@contains trace\" \"id:100200,phase:4,block,msg:'a trace'\"\n\
    SecResponseBodyAccess On\n";

const SUITE: &str = "rule_id: 100100\n\
tests:\n\
- test_id: 1\n  \
  stages:\n  \
  - input: {uri: '/?q=xyzzy'}\n    \
    output: {log: {expect_ids: [100100]}}\n\
- test_id: 2\n  \
  stages:\n  \
  - input: {uri: '/?q=plugh'}\n    \
    output: {log: {expect_ids: [100100]}}\n\
- test_id: 3\n  \
  stages:\n  \
  - input: {method: POST, uri: /reflect, headers: {Content-Type: application/json}, data: '{\"body\": \"a trace\"}'}\n    \
    output: {log: {expect_ids: [100200], no_expect_ids: [100100]}}\n\
- test_id: 4\n  \
  stages:\n  \
  - input: {uri: '/'}\n    \
    output: {status: 400}\n";

#[derive(Debug, clap::Parser)]
struct Verb {
    #[command(flatten)]
    test: Test,
}

struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            place.write(name, text);
        }
        place
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Words that begin with `@` are paths here.
    fn run(&self, line: &str) -> (u8, String) {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.0.path().join(name).display().to_string(),
            None => word.to_owned(),
        };
        let verb = Verb::try_parse_from(
            std::iter::once("test".to_owned()).chain(line.split(' ').map(word)),
        );
        let mut out = Vec::new();
        let code = verb.unwrap().test.run(&mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }
}

fn own() -> Place {
    Place::new(&[("a.conf", RULES), ("tests/100100.yaml", SUITE)])
}

#[test]
fn a_stage_that_comes_out_otherwise_is_named_and_fails_the_run() {
    let place = own();
    let (code, text) = place.run("--tests @tests --rules @a.conf");
    assert_eq!(code, FAILED, "{text}");
    assert!(text.starts_with("100100-2 stage 1: expected [100100]; got no rule\n"), "{text}");
    let counts = "rules test: stages=4 rules=2/3 log=0/0 not_seen=1 overridden=0 failed=1 load_ms=";
    assert!(text.lines().last().unwrap().starts_with(counts), "{text}");
    let (code, json) = place.run("--tests @tests --rules @a.conf --format json");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["failed"][0]["test"]), (FAILED, &"100100-2".into()), "{json:#}");
    place.write("tests/100100.yaml", &SUITE.replace("plugh", "a%20xyzzy"));
    let (code, text) = place.run("--tests @tests --rules @a.conf");
    assert_eq!(code, OK, "{text}");
}

#[test]
fn an_override_accepts_what_it_says_and_must_be_needed() {
    let place = own();
    let run = |overrides: &str| {
        place.write("o.yaml", overrides);
        place.run("--tests @tests --rules @a.conf --overrides @o.yaml")
    };
    let accepted = "- {test: 100100-2, no_ids: [100100], reason: nobody says this}\n";
    let (code, text) = run(accepted);
    assert_eq!(code, OK, "{text}");
    assert!(text.contains("100100-2 stage 1: as its override says: nobody says this\n"), "{text}");
    assert!(text.contains(" overridden=1 failed=0 "), "{text}");
    let (code, text) = run(&format!("{accepted}- {{test: 100100-1, ids: [100100], reason: so}}\n"));
    assert_eq!(code, FAILED);
    assert!(text.contains("100100-1 stage 1: passes, so its override is not needed"), "{text}");
    let (code, text) = run(&accepted.replace("no_ids", "ids"));
    assert_eq!(code, FAILED);
    assert!(text.contains("100100-2 stage 1: its override expected [100100]; got no"), "{text}");
    let (_, text) = run(&format!("{accepted}- {{test: 9-1, ids: [9], reason: so}}\n"));
    assert!(text.contains("9-1 stage 1: an override of no stage"), "{text}");
    let (code, text) = run("- {test: 100100-2, ids: [1]}\n");
    assert_eq!(code, INVALID);
    assert!(text.contains("o.yaml:1:1: the override has no `reason`"), "{text}");
}

#[test]
fn tests_that_are_no_files_are_not_read() {
    let place = Place::new(&[("a.conf", RULES), ("o.yaml", "")]);
    fs::create_dir(place.0.path().join("t")).unwrap();
    let yaml = place.0.path().join("t/a.yaml");
    let puts: [&dyn Fn(); 3] = [
        &|| crate::regular::pipe(&yaml),
        &|| std::os::unix::fs::symlink("/dev/zero", &yaml).unwrap(),
        &|| fs::File::create(&yaml).unwrap().set_len(ftw::FILE_BYTES_MAX + 1).unwrap(),
    ];
    for put in puts {
        put();
        let (code, text) = place.run("--rules @a.conf --tests @t");
        assert_eq!(code, INVALID, "{text}");
        let want = "t/a.yaml:1:1: cannot be read: not a file of at most 8388608 bytes\n";
        assert!(text.contains(want), "{text}");
        fs::remove_file(&yaml).unwrap();
    }
    let (code, text) = place.run("--rules @a.conf --tests @ --overrides @t");
    assert_eq!(code, INVALID);
    assert!(text.contains("t:1:1: cannot be read: not a regular file"), "{text}");
}

#[test]
fn what_tests_say_moves_no_terminal() {
    let key = SUITE.replacen("uri:", "\"u\\e[2Jri\":", 1);
    let place = Place::new(&[("a.conf", RULES), ("t/a.yaml", &key)]);
    let (code, text) = place.run("--rules @a.conf --tests @t");
    assert_eq!(code, INVALID);
    assert!(text.contains("u\\u{1b}[2Jri"), "{text:?}");
}

#[test]
fn a_copy_is_found_as_it_is_published_and_runs_with_its_tests_settings() {
    let rules = format!(
        "SecAction \"id:2,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=1\"\n{RULES}\
         SecRule TX:BLOCKING_PARANOIA_LEVEL \"@lt 4\" \"id:3,phase:1,pass,nolog,skipAfter:END\"\n\
         SecRule ARGS \"@contains plugh\" \"id:100300,phase:1,block\"\nSecMarker END\n"
    );
    let suite = SUITE.replace("tests:", "# of level 4\ntests:").replacen(
        "plugh'}\n    output: {log: {expect_ids: [100100]",
        "plugh'}\n    output: {log: {expect_ids: [100300]",
        1,
    );
    assert_ne!(suite.matches("100300").count(), 0);
    for (setup, file, tests) in [
        ("crs-setup.conf.example", "rules/a.conf", "tests/regression/tests/a.yaml"),
        ("rules/@crs-setup.conf.example", "rules/@owasp_crs/a.conf", "tests/A/a.yaml"),
    ] {
        let files = [(setup, "# nothing\n"), (file, rules.as_str()), (tests, suite.as_str())];
        let place = Place::new(&files);
        let (code, text) = place.run("--crs @");
        assert_eq!(code, OK, "{setup}: {text}");
        assert_eq!(place.run("--crs @ --paranoia 1").0, FAILED, "{setup}");
    }
    let place = own();
    let (code, text) = place.run("--crs @");
    assert_eq!(code, INVALID);
    assert!(text.contains("no copy of the Core Rule Set"), "{text}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let place = own();
    place.write("tests/100100.yaml", &SUITE.replace("expect_ids", "expect_id"));
    place.write("b.conf", "SecRule ARGZ \"@rx a\" \"id:9,phase:1,pass\"\n");
    let (code, text) = place.run("--tests @tests --rules @a.conf");
    assert_eq!(code, INVALID);
    assert!(text.contains("100100.yaml:6:1: what `expect_id` is, is not known"), "{text}");
    let (code, text) = place.run("--tests @tests --rules @a.conf @b.conf");
    assert_eq!(code, INVALID);
    assert!(text.contains("b.conf:1:9:") && text.ends_with("problems=1\n"), "{text}");
}
