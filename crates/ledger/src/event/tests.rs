use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::samples::*;
use super::*;

fn json(record: &Record) -> Value {
    serde_json::from_slice(&record.value).unwrap()
}

fn at<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(event, |value, key| value.get(key))
}

/// The sample decision, changed by `change`.
fn decide(change: impl FnOnce(&mut DecisionFields<'_>)) -> Result<Decision, EventError> {
    let determining = policies(1);
    let mut fields =
        fields(Subject::Call(Box::new(call(Verdict::Allow { determining: &determining }))));
    change(&mut fields);
    fields.seal(&producer())
}

#[test]
fn every_sample_is_one_line_in_the_dictionary() {
    let mut seen = Vec::new();
    for record in all() {
        assert!(!record.value.contains(&b'\n') && !record.value.contains(&b'\r'));
        let event = json(&record);
        let code = at(&event, "metadata.event_code").and_then(Value::as_str).unwrap();
        let entry = dictionary::entry(code).unwrap();
        assert_eq!(entry.kind, record.kind);
        assert!(entry.classes.contains(&record.class_uid), "{code} {}", record.class_uid);
        let severity =
            u32::try_from(at(&event, "severity_id").and_then(Value::as_u64).unwrap()).unwrap();
        assert!(entry.severities.contains(&severity), "{code} severity {severity}");
        for field in dictionary::ALWAYS.iter().chain(entry.fields) {
            assert!(at(&event, field).is_some(), "{code} lacks {field}");
        }
        seen.push((entry.code, record.class_uid, severity));
    }
    for entry in dictionary::ENTRIES {
        for class in entry.classes {
            assert!(seen.iter().any(|(code, uid, _)| *code == entry.code && uid == class));
        }
        for severity in entry.severities {
            assert!(
                seen.iter().any(|(code, _, id)| *code == entry.code && id == severity),
                "{} {severity}",
                entry.code
            );
        }
    }
}

#[test]
fn ids_add_up() {
    for record in all() {
        let event = json(&record);
        let number = |field| event.get(field).and_then(Value::as_u64).unwrap();
        assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
        assert_eq!(number("class_uid"), u64::from(record.class_uid));
        assert_eq!(number("time"), u64::try_from(record.time_ms).unwrap());
        assert_eq!(at(&event, "metadata.uid").unwrap(), &record.uid.to_string());
    }
}

#[test]
fn a_decision_and_its_completion_share_the_id() {
    let (record, reference) = allow().into_parts();
    let end = completion(Outcome::Answered).record(uid(9), &reference, &producer()).unwrap();
    let (decision, end) = (json(&record), json(&end));
    for event in [&decision, &end] {
        assert_eq!(at(event, "metadata.correlation_uid").unwrap(), &uid(1).to_string());
        assert_eq!(at(event, "api.request.uid").unwrap(), &uid(1).to_string());
        assert_eq!(event["class_uid"], 6003);
        assert_eq!(event["activity_id"], 2);
        assert_eq!(event["trace"]["uid"], "4bf92f3577b34da6a3ce929d0e0e4736");
    }
    assert_eq!(at(&decision, "metadata.uid").unwrap(), &uid(1).to_string());
    assert_eq!(at(&end, "metadata.uid").unwrap(), &uid(9).to_string());
    assert!(decision.get("http_response").is_none());
    assert_eq!(end["http_response"]["latency"], 7);
    assert_eq!(end["dst_endpoint"]["svc_name"], "orders");
}

#[test]
fn a_reference_read_back_makes_the_same_completion() {
    for record in all().into_iter().filter(|record| record.kind == Kind::Decision) {
        let reference = DecisionRef::read(&record.value).unwrap();
        assert_eq!(reference.uid(), record.uid);
        assert_eq!(reference.traceparent, record.traceparent);
        let end = Completion::crashed(1).record(uid(2), &reference, &producer()).unwrap();
        assert_eq!(end.class_uid, record.class_uid);
        assert_eq!(json(&end)["type_uid"], json(&record)["type_uid"]);
    }
    let (record, reference) = allow().into_parts();
    assert_eq!(DecisionRef::read(&record.value).unwrap(), reference);
}

#[test]
fn a_record_is_read_back_from_its_value() {
    for record in all() {
        assert_eq!(Record::read(record.value.clone()).unwrap(), record);
    }
}

#[test]
fn what_is_no_event_is_not_read() {
    let completion = completion(Outcome::Answered);
    let end = completion.record(uid(2), &allow().into_parts().1, &producer()).unwrap();
    assert!(matches!(DecisionRef::read(&end.value), Err(ReadError::Field("metadata.event_code"))));
    for value in ["", "{}", "[]", "{\"class_uid\":6003}", "\u{0}"] {
        assert!(matches!(Glance::read(value.as_bytes()), Err(ReadError::Json(_))), "{value}");
    }
    let foreign = String::from_utf8(end.value).unwrap();
    let foreign = foreign.replace(r#""event_code":"completion""#, r#""event_code":"other""#);
    assert!(matches!(Glance::read(foreign.as_bytes()), Err(ReadError::Field(_))));
}

/// A field of the client's, `len` bytes long: `kept` are in the event.
fn check_cut(field: &str, len: usize, max: usize, set: impl FnOnce(&mut DecisionFields<'_>)) {
    let event = json(decide(set).unwrap().record());
    let text = at(&event, field).and_then(Value::as_str).unwrap();
    assert_eq!(text.len(), len.min(max), "{field}");
    assert_eq!(at(&event, "metadata.is_truncated").is_some(), len > max, "{field} of {len}");
    assert_eq!(at(&event, "metadata.untruncated_size").is_some(), len > max, "{field} of {len}");
}

#[test]
fn what_a_client_controls_is_cut_at_its_limit() {
    let long: &'static str = "a".repeat(4096).leak();
    for over in [0, 1] {
        let text = |max: usize| long.split_at(max + over).0;
        check_cut("http_request.user_agent", 512 + over, 512, |f| {
            f.http.user_agent = Some(text(512).as_bytes())
        });
        check_cut("http_request.uid", 256 + over, 256, |f| {
            f.http.request_id = Some(text(256).as_bytes())
        });
        check_cut("http_request.url.path", 2048 + over, 2048, |f| f.http.path = Some(text(2048)));
        check_cut("http_request.url.hostname", 255 + over, 255, |f| f.http.host = Some(text(255)));
        check_cut("unmapped.method", 32 + over, 32, |f| f.http.method = Some(text(32)));
        let rule = |message, target| {
            move |f: &mut DecisionFields<'_>| {
                let Subject::Call(call) = &mut f.subject else { panic!() };
                call.firewall_rule = Some(FirewallRule { id: "1", message, target });
            }
        };
        check_cut("firewall_rule.name", 256 + over, 256, rule(text(256), ""));
        check_cut("firewall_rule.match_location", 256 + over, 256, rule("", text(256)));
        check_cut("tls.sni", 255 + over, 255, |f| {
            f.subject = Subject::Http(Turned::NotFound);
            f.conn.tls = Some(Tls { version: "TLSv1.3", cipher: "", sni: text(255) });
        });
    }
}

#[test]
fn what_a_client_says_acts_on_nobodys_terminal() {
    let said = "a\u{9b}2J\u{1b}[0m\u{202e}b";
    let decision = decide(|fields| {
        fields.http.user_agent = Some(said.as_bytes());
        let Subject::Call(call) = &mut fields.subject else { panic!() };
        call.resource.id = said;
        call.question = Json::of(said).unwrap();
    });
    let (record, _) = decision.unwrap().into_parts();
    let line = std::str::from_utf8(&record.value).unwrap();
    assert!(line.chars().all(is_printable), "{line}");
    for field in ["/http_request/user_agent", "/resources/0/uid", "/unmapped/question"] {
        assert_eq!(json(&record).pointer(field).and_then(Value::as_str), Some(said), "{field}");
    }
}

/// An event whose question is so long that the whole has `bytes`.
fn sized(bytes: usize) -> Result<Decision, EventError> {
    let with = |len: usize| {
        decide(|fields| {
            let Subject::Call(call) = &mut fields.subject else { panic!() };
            call.question = question(len);
        })
    };
    let base = with(2).unwrap().record().value.len();
    with(2 + bytes - base)
}

#[test]
fn an_event_that_does_not_fit_is_refused() {
    assert_eq!(sized(60 * 1024).unwrap().record().value.len(), 60 * 1024);
    let refused = sized(60 * 1024 + 1);
    assert!(
        matches!(refused, Err(EventError::TooLarge { bytes: 61_441, max: 61_440 })),
        "{refused:?}"
    );
}

fn check_whole(field: &str, max: usize, set: impl Fn(&mut DecisionFields<'_>, &'static str)) {
    let fits: &'static str = "n".repeat(max).leak();
    let over: &'static str = "n".repeat(max + 1).leak();
    let escaped: &'static str = "\u{1}".repeat(max / 6 + 1).leak();
    let seal = |text| {
        let determining = policies(1);
        let mut fields =
            fields(Subject::Call(Box::new(call(Verdict::Allow { determining: &determining }))));
        set(&mut fields, text);
        fields.seal(&producer())
    };
    assert!(seal(fits).is_ok(), "{field}");
    for text in [over, escaped] {
        let refused = seal(text);
        assert!(
            matches!(&refused, Err(EventError::FieldTooLarge { field: name, .. }) if *name == field),
            "{field}: {refused:?}"
        );
    }
}

#[test]
fn what_is_never_cut_is_refused() {
    fn edit(fields: &mut DecisionFields<'_>, set: impl FnOnce(&mut Call<'_>)) {
        let Subject::Call(call) = &mut fields.subject else { panic!() };
        set(call);
    }
    let set_principal = |fields: &mut DecisionFields<'_>, text: &'static str| {
        edit(fields, |call| call.actor.id = text)
    };
    check_whole("principal", 2048, set_principal);
    check_whole("service", 256, |fields, text| edit(fields, |call| call.service = text));
    check_whole("operation", 256, |fields, text| edit(fields, |call| call.operation = text));
    check_whole("route", 256, |fields, text| fields.route = Some(text));
    check_whole("reason", 256, |fields, text| {
        fields.subject = Subject::Http(Turned::Unreadable { code: text })
    });
}

fn longest_candidate() -> Candidate {
    let digest = || "f".repeat(64);
    let ids = || vec!["p".repeat(limit::CANDIDATE_ID_JSON_BYTES_MAX); 100_000];
    Candidate {
        digests: Arc::new(CandidateDigests {
            policies: digest(),
            schema: digest(),
            entities: digest(),
        }),
        heard: Ok(Opinion {
            agreement: Agreement::OtherRefusal,
            refusal: Some(Refusal::Unauthenticated),
            determining: ids(),
            errors: ids(),
        }),
    }
}

#[test]
fn the_longest_completion_fits_its_reserve() {
    let name: &'static str = "n".repeat(256).leak();
    let decision = decide(|fields| {
        let Subject::Call(call) = &mut fields.subject else { panic!() };
        call.actor.id = "\"".repeat(1024).leak();
        call.service = name;
        call.operation = name;
        fields.route = Some(name);
        fields.received_ms = i64::MIN;
        fields.conn.ip = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
    });
    let reference = decision.unwrap().into_parts().1;
    let end = Completion {
        ended_ms: i64::MIN,
        outcome: Outcome::UpstreamFailed,
        detail: Some(name),
        fault: Some("\u{1}".repeat(257)),
        status: Some(999),
        body_in_bytes: u64::MAX,
        body_out_bytes: u64::MAX,
        latency_us: u64::MAX,
        upstream: Some(Upstream {
            name: "\u{1}".repeat(65).into(),
            address: Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap()),
        }),
        body_sha256: Some([0xff; 32]),
        candidate: Some(longest_candidate()),
        waf: Some(longest_response()),
    };
    let producer =
        Producer { version: name.to_owned(), log: name.to_owned(), instance: name.to_owned() };
    let fits = json(&end.record(uid(1), &reference, &producer).unwrap());
    assert_eq!(fits["dst_endpoint"]["svc_name"].as_str().map(str::len), Some(64));
    assert_eq!(fits["unmapped"]["fault"].as_str().map(str::len), Some(256));
    assert_eq!(fits["metadata"]["is_truncated"], true);
    assert_eq!(fits["unmapped"]["candidate"]["determining_count"], 100_000);
    let waf = &fits["unmapped"]["waf"];
    assert_eq!(waf["rules"].as_array().map(Vec::len), Some(limit::RESPONSE_RULES_MAX));
    assert_eq!((&waf["hits"], &waf["hit_count"]), (&Value::Array(Vec::new()), &100.into()));
}

/// More than a completion has room for.
fn longest_response() -> ResponseWaf {
    let hit = ResponseHit {
        rule: u32::MAX.to_string(),
        message: "\u{1}".repeat(1000),
        target: "t".repeat(1000),
    };
    ResponseWaf {
        rules: vec![u32::MAX.to_string(); 100],
        classes: vec!["c".repeat(1000); 100],
        hits: vec![hit; 100],
        problem: "the document refers to an entity that nothing declares".to_owned(),
        ..response_waf(true)
    }
}

#[test]
fn a_completion_tells_hits_of_a_response_where_they_fit() {
    let (reference, producer) = (allow().into_parts().1, producer());
    let told = |waf: ResponseWaf| {
        let end = Completion { waf: Some(waf), ..completion(Outcome::Answered) };
        let event = json(&end.record(uid(9), &reference, &producer).unwrap());
        let count = |list: &str| event["unmapped"]["waf"][list].as_array().map(Vec::len);
        (count("rules"), count("classes"), count("hits"))
    };
    let many = |count: usize| {
        let waf = response_waf(true);
        let [hit, ..] = waf.hits.as_slice() else { panic!() };
        ResponseWaf {
            rules: vec!["951240".to_owned(); count],
            classes: vec!["attack-disclosure".to_owned(); count],
            hits: vec![hit.clone(); count],
            ..waf
        }
    };
    assert_eq!(told(many(8)), (Some(8), Some(8), Some(8)));
    assert_eq!(told(many(33)), (Some(32), Some(16), Some(8)));
    assert_eq!(told(longest_response()), (Some(32), Some(0), Some(0)));
}

#[test]
fn the_longest_control_record_fits_its_reserve() {
    let name: &'static str = "n".repeat(256).leak();
    let producer =
        Producer { version: name.to_owned(), log: name.to_owned(), instance: name.to_owned() };
    let most = u64::MAX;
    let counters = Counters {
        requests: most,
        decisions: most,
        completions: most,
        answers: most,
        aggregated: most,
        event_bytes: most,
        clock_offset_us: i64::MIN,
        dropped: most,
    };
    let beat = Heartbeat {
        origin: name,
        interval_ms: most,
        size: most,
        open: most,
        spool_used_bytes: most,
        spool_max_bytes: most,
        counters,
    };
    assert!(beat.record(uid(1), i64::MIN, &producer).is_ok());
    let close = LogClose { origin: name, reason: name, size: most, open: most, counters };
    assert!(close.record(uid(1), i64::MIN, &producer).is_ok());
    let loss =
        Loss { origin: name, reason: name, count: most, first_ms: i64::MIN, last_ms: i64::MIN };
    assert!(loss.record(uid(1), i64::MIN, &producer).is_ok());
    let long = "n".repeat(257);
    for (field, long) in [
        ("version", Producer { version: long.clone(), ..producer.clone() }),
        ("log", Producer { log: long.clone(), ..producer.clone() }),
        ("instance", Producer { instance: long.clone(), ..producer.clone() }),
    ] {
        let refused = beat.record(uid(1), 0, &long);
        assert!(
            matches!(&refused, Err(EventError::FieldTooLarge { field: name, .. }) if *name == field),
            "{field}: {refused:?}"
        );
    }
    let origin = "n".repeat(257);
    let over = Heartbeat { origin: &origin, ..beat }.record(uid(1), 0, &producer);
    assert!(matches!(over, Err(EventError::FieldTooLarge { field: "origin", .. })));
}

#[test]
fn hostile_text_stays_one_line_and_one_value() {
    let hostile = b"a\r\nb\x1b[31m\x00\x7f\"},\"class_uid\":1,\"x\":\"\xff\xe2\x80\xa8";
    let event = decide(|fields| {
        fields.http.user_agent = Some(hostile);
        fields.http.request_id = Some(hostile);
        fields.http.method = Some("GET\u{1b}[2K");
    });
    let value = event.unwrap().record().value.clone();
    assert!(value.iter().all(|byte| *byte >= 0x20), "a raw control character");
    let event: Value = serde_json::from_slice(&value).unwrap();
    assert_eq!(event["class_uid"], 6003);
    assert_eq!(
        event["http_request"]["user_agent"],
        "a\r\nb\u{1b}[31m\u{0}\u{7f}\"},\"class_uid\":1,\"x\":\"\u{fffd}\u{2028}"
    );
    assert!(event["http_request"].get("http_method").is_none());
    assert_eq!(event["activity_id"], 99);
}

#[test]
fn long_lists_are_projected_in_part_and_never_lost() {
    let determining = policies(40);
    let sealed =
        fields(Subject::Call(Box::new(call(Verdict::Allow { determining: &determining }))))
            .seal(&producer())
            .unwrap();
    assert_eq!(json(sealed.record())["authorizations"].as_array().map(Vec::len), Some(32));
}

#[test]
fn an_aggregate_counts_exactly() {
    let record =
        aggregate(&[("a", 3), ("b", u64::from(u32::MAX))]).record(uid(1), &producer()).unwrap();
    let event = json(&record);
    assert_eq!(event["count"], 4_294_967_298_u64);
    assert_eq!(event["unmapped"]["counts"]["a"], 3);
    assert_eq!(event["unmapped"]["source"], "2001:db8::/64");
    let most = vec![("r", 1); 65];
    let fits = most.get(..64).unwrap();
    assert!(aggregate(fits).record(uid(1), &producer()).is_ok());
    assert!(matches!(
        aggregate(&most).record(uid(1), &producer()),
        Err(EventError::FieldTooLarge { field: "counts", size: 65, max: 64 })
    ));
}

#[test]
fn a_malformed_traceparent_is_left_out() {
    for bad in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        let decision =
            decide(|fields| fields.trace = Some(Trace { traceparent: bad, parent_span: None }))
                .unwrap();
        assert_eq!(decision.record().traceparent, None, "{bad}");
        let (record, reference) = decision.into_parts();
        assert!(json(&record).get("trace").is_none());
        assert_eq!(reference.traceparent, None);
    }
}

#[test]
fn kind_codes_are_stable() {
    let codes: Vec<(u8, &str)> =
        Kind::ALL.iter().map(|kind| (kind.code(), kind.as_str())).collect();
    assert_eq!(
        codes,
        [
            (1, "log_open"),
            (2, "log_close"),
            (3, "heartbeat"),
            (4, "decision"),
            (5, "completion"),
            (6, "aggregate"),
            (7, "lifecycle"),
            (8, "authentication"),
            (9, "finding"),
        ]
    );
    for code in 0..=u8::MAX {
        assert_eq!(Kind::from_code(code).map(Kind::code), (1..=9).contains(&code).then_some(code));
    }
}

/// `OCSF_SAMPLES=<file>` writes the samples there, for `tests/ocsf/validate.py`.
#[test]
#[expect(clippy::disallowed_methods, reason = "the samples leave the format's tests as a file")]
fn samples_can_be_written() {
    let mut lines = Vec::new();
    for record in all() {
        lines.extend_from_slice(&record.value);
        lines.push(b'\n');
    }
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), all().len());
    if let Some(path) = std::env::var_os("OCSF_SAMPLES") {
        fs::write(path, lines).unwrap();
    }
}

/// `UPDATE=1` writes the page anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "the committed page is a file")]
fn the_dictionary_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/ocsf/dictionary.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, dictionary::markdown()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, dictionary::markdown(), "run the tests with UPDATE=1 to write it anew");
}

#[test]
fn a_load_counts_every_policy_and_names_the_first() {
    let check = |count: usize, named: usize| {
        let (ids, long) = (policies(count), "r".repeat(limit::DECLARED_BYTES_MAX + 1));
        let changes = PolicyChanges {
            added: &ids,
            removed: &ids,
            changed: &ids,
            schema: true,
            entities: false,
        };
        let policies = PolicySet {
            digest: "d",
            revision: Some(&long),
            author: None,
            sealed: true,
            source: PolicySource::Kept,
            kept: Some(false),
            changes,
            expired_links: &ids,
        };
        let reload = Reload {
            what: Reloaded::Config,
            trigger: "start",
            accepted: true,
            digests: Digests::default(),
            policies: Some(policies),
            rules: None,
            problems: &[],
            candidate: None,
        };
        let event = json(&reload.record(uid(1), 1, &producer()).unwrap());
        let told = &event["unmapped"]["policies"];
        for kind in ["added", "removed", "changed", "expired_links"] {
            assert_eq!(told[kind]["count"], count, "{kind}");
            assert_eq!(told[kind]["ids"].as_array().map(Vec::len), Some(named), "{kind}");
        }
        let revision = told["revision"].as_str().map(str::len);
        assert_eq!(revision, Some(limit::DECLARED_BYTES_MAX));
        let words = (&told["source"], &told["kept"], &told["schema_changed"]);
        assert_eq!(words, (&"kept".into(), &false.into(), &true.into()));
        assert!(told.get("author").is_none());
    };
    check(0, 0);
    check(limit::POLICY_IDS_MAX, limit::POLICY_IDS_MAX);
    check(limit::POLICY_IDS_MAX + 1, limit::POLICY_IDS_MAX);
}
