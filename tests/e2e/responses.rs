//! Rules on responses: what an upstream tells that it should not goes to the client as it came, and
//! is in the completion, the metrics and, where rules are heeded, a finding.

use std::{fs, io::Write as _, net::TcpStream, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fixtures::{
    client::{Client, Request},
    h2,
    harness::{HOST, Setting, Setup, wait_for},
    record::text,
    serve::{Server, bind},
    wire::{Message, Reader},
};
use serde_json::{Value, json};

use super::id;

const SOON: Duration = Duration::from_secs(20);

const RULES: &str = r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5,\
  setvar:tx.outbound_anomaly_score_threshold=4,setvar:tx.blocking_paranoia_level=1,\
  setvar:tx.detection_paranoia_level=1"
SecRule RESPONSE_HEADERS:X-Powered-By "@rx ." "id:9101,phase:3,pass,t:none,\
  msg:'a framework tells its name',setvar:'tx.outbound_anomaly_score=+1'"
SecRule RESPONSE_BODY "@rx SQL syntax" "id:9102,phase:4,block,t:none,\
  msg:'a database tells its errors',tag:'attack-disclosure',setvar:'tx.outbound_anomaly_score=+4'"
SecRule TX:blocking_paranoia_level "@lt 2" "id:9103,phase:4,pass,nolog,skipAfter:END"
SecRule RESPONSE_BODY "@rx MySQL" "id:9104,phase:4,block,t:none,\
  msg:'a database tells its name',setvar:'tx.outbound_anomaly_score=+2'"
SecMarker END
"#;

const LEAK: &[u8] = b"<html>You have an error in your SQL syntax; check the manual that \
    corresponds to your MySQL server version</html>";
/// The same, by an encoder of gzip.
const GZIP: &str = "H4sIAAAAAAAC/yWNQQqAMAwEv7I/8AGKL9CDePIYaqBiTSRNxf5e0cPAXIbpoh+pX7Qg0sUgAZupYRNULYZ5GpCrON0tQuSwwyPjICmUXiVHUDPOp8qa4fpXY/06tosNL3lT6Zpv9QAImAtkcQAAAA==";
/// What rules look at of a body here.
const BOUND: usize = 4 << 10;

/// What the upstream answers: head and body, as they are sent.
fn answer(request: &Message) -> Vec<u8> {
    let html = "Content-Type: text/html; charset=utf-8\r\n";
    let with = |status: &str, fields: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        let body = if request.method() == "HEAD" { b"" } else { body };
        [head.as_bytes(), body].concat()
    };
    let long = [&vec![b'.'; BOUND][..], LEAK].concat();
    match request.path().rsplit('/').next().unwrap_or_default() {
        "leak" => with("500 Oh", &format!("{html}X-Powered-By: Servlet\r\n"), LEAK),
        "gzip" => {
            let coded = STANDARD.decode(GZIP).expect("base64");
            with("200 OK", &format!("{html}Content-Encoding: gzip\r\n"), &coded)
        }
        "broken-gzip" => with("200 OK", &format!("{html}Content-Encoding: gzip\r\n"), LEAK),
        "image" => with("200 OK", "Content-Type: image/png\r\n", LEAK),
        "long" => with("200 OK", html, &long),
        "longer" => with("200 OK", html, &[LEAK, &long].concat()),
        "fine" => with("200 OK", html, b"fine"),
        "none" => b"HTTP/1.1 204 No\r\nX-Powered-By: Servlet\r\n\r\n".to_vec(),
        "same" => b"HTTP/1.1 304 Same\r\nX-Powered-By: Servlet\r\n\r\n".to_vec(),
        _ => [b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9999\r\n\r\n", LEAK]
            .concat(),
    }
}

fn upstream() -> Server {
    let serve = |stream: TcpStream| {
        let mut reader = Reader::new(stream);
        while let Ok(Some(request)) = reader.request_head() {
            let breaks = request.path().ends_with("/breaks");
            if reader.stream_mut().write_all(&answer(&request)).is_err() || breaks {
                return;
            }
        }
    };
    Server::connections(bind(0).expect("a port"), serve).expect("an upstream")
}

/// A gateway with a route of each kind.
fn start(name: &str, upstream: &Server) -> (Setting, tempfile::TempDir) {
    let rules = tempfile::tempdir().expect("a directory");
    let file = rules.path().join("a.conf");
    fs::write(&file, RULES).expect("written");
    let route = |name: &str, waf: &str| {
        format!(
            "      - name: {name}
        methods: [GET, HEAD]
        path: /{name}/{{what}}
        action: view
        resource: {{type: Page, id: home}}
        upstream: leaky
{waf}"
        )
    };
    let of_route = |keys: &str| format!("        waf: {{responses: 4KiB{keys}}}\n");
    let routes = [
        route("looked", &of_route("")),
        route("unlooked", ""),
        route("shadow", &of_route(", mode: shadow")),
        route("spared", &of_route(", exclude: [{rules: [9102]}]")),
        route("strict", &of_route(", paranoia: 2")),
    ];
    let setup = Setup::default()
        .change(
            "policies:\n  directory",
            &format!("waf: {{rules: [{:?}]}}\npolicies:\n  directory", file.display().to_string()),
        )
        .change(
            "upstreams:\n",
            &format!("upstreams:\n  leaky:\n    endpoints: [\"http://{}\"]\n", upstream.addr()),
        )
        .change(
            "    routes:\n      - name: page\n",
            &format!("    routes:\n{}      - name: page\n", routes.concat()),
        );
    (Setting::start(name, &setup).expect("the product"), rules)
}

/// The completion of a decision, and its findings.
fn ended(setting: &Setting, id: &str) -> (Value, Vec<Value>) {
    let there = || {
        let record = setting.record()?;
        let of_it = |event: &&Value| text(event, "/metadata/correlation_uid") == id;
        let Some(completion) = record.with_code("completion").find(of_it).cloned() else {
            return Ok(None);
        };
        let findings: Vec<Value> = record.with_code("finding").filter(of_it).cloned().collect();
        let owed = completion["unmapped"]["waf"]["finding"] == true;
        Ok((!owed || !findings.is_empty()).then_some((completion, findings)))
    };
    wait_for("a completion", SOON, there).expect("a completion")
}

fn metric(setting: &Setting, line: &str) -> u64 {
    let text = Client::plain(setting.health()).get("/metrics", &[]).expect("metrics").text();
    let found = text.lines().find_map(|it| it.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no `{line}` in\n{text}"))
}

#[test]
fn what_a_response_tells_is_in_the_record_and_the_client_has_it_all_the_same() {
    let upstream = upstream();
    let (setting, _rules) = start("responses", &upstream);
    let client = setting.client().expect("a client");
    let answer = client.get("/looked/leak", &[]).expect("an answer");
    assert_eq!((answer.status(), answer.body.as_slice()), (500, LEAK));
    assert_eq!(answer.field("x-powered-by"), Some("Servlet"));
    let (completion, findings) = ended(&setting, &id(&answer));
    let waf = &completion["unmapped"]["waf"];
    let want = json!({
        "health": "ok", "mode": "enforce", "score": 5, "threshold": 4,
        "rules": ["9101", "9102"], "classes": ["attack-disclosure"],
        "hits": [
            {"rule": "9101", "message": "a framework tells its name",
             "target": "RESPONSE_HEADERS:x-powered-by"},
            {"rule": "9102", "message": "a database tells its errors", "target": "RESPONSE_BODY"},
        ],
        "hit_count": 2, "inspected_bytes": LEAK.len(), "finding": true,
    });
    assert_eq!(*waf, want);
    assert_eq!(completion["unmapped"]["body_out_bytes"], LEAK.len());
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(finding["unmapped"]["waf"], want);
    assert_eq!((&finding["class_uid"], &finding["is_alert"]), (&2004.into(), &true.into()));
    assert_eq!(finding["firewall_rule"]["uid"], "9101");
    assert_eq!(finding["finding_info"]["related_events"], json!([{"uid": id(&answer)}]));
    assert_eq!(finding["evidences"][0]["http_response"]["code"], 500);
    assert_eq!(finding["unmapped"]["route"], "looked");
    let record = setting.record().expect("events");
    let all: Vec<String> = record.events().iter().map(Value::to_string).collect();
    assert!(!all.concat().contains("SQL syntax"), "what matched is told");
    assert_eq!(metric(&setting, "portcullis_waf_rule_hits_total{rule=\"9102\"}"), 1);
    assert_eq!(metric(&setting, "portcullis_waf_response_findings_total"), 1);
    // nothing of it is a question to policy
    let decisions = record.decisions().expect("once");
    let waf = &decisions[id(&answer).as_str()]["unmapped"]["facts"]["waf"];
    assert_eq!((&waf["score"], &waf["rules"]), (&0.into(), &json!([])));
}

#[test]
fn each_route_says_what_is_looked_at_and_what_counts() {
    let upstream = upstream();
    let (setting, _rules) = start("responses-routes", &upstream);
    let client = setting.client().expect("a client");
    let check = |method: &str, target: &str, status: u16, want: Value| {
        let answer = client.request(&Request::new(method, target)).expect("an answer");
        assert_eq!(answer.status(), status, "{method} {target}");
        let (completion, findings) = ended(&setting, &id(&answer));
        let waf = &completion["unmapped"]["waf"];
        let told = match waf {
            Value::Null => Value::Null,
            waf => json!([waf["health"], waf["score"], waf["rules"], waf["finding"]]),
        };
        assert_eq!(told, want, "{method} {target}: {completion}");
        assert_eq!(findings.len(), usize::from(waf["finding"] == true), "{method} {target}");
    };
    check("GET", "/looked/fine", 200, json!(["ok", 0, [], false]));
    check("GET", "/unlooked/leak", 500, Value::Null);
    check("GET", "/shadow/leak", 500, json!(["ok", 5, ["9101", "9102"], false]));
    check("GET", "/spared/leak", 500, json!(["ok", 1, ["9101"], false]));
    check("GET", "/strict/leak", 500, json!(["ok", 7, ["9101", "9102", "9104"], true]));
    check("GET", "/looked/gzip", 200, json!(["ok", 4, ["9102"], true]));
    check("GET", "/looked/broken-gzip", 200, json!(["malformed", 4, ["9102"], true]));
    check("GET", "/looked/image", 200, json!(["ok", 0, [], false]));
    check("GET", "/looked/long", 200, json!(["truncated", 0, [], false]));
    check("GET", "/looked/longer", 200, json!(["truncated", 4, ["9102"], true]));
    check("HEAD", "/looked/leak", 500, json!(["ok", 1, ["9101"], false]));
    check("GET", "/looked/none", 204, json!(["ok", 1, ["9101"], false]));
    check("GET", "/looked/same", 304, json!(["ok", 1, ["9101"], false]));
    // a refusal is the gateway's own answer
    check("GET", "/public/leak", 404, Value::Null);
}

#[test]
fn a_response_over_http_2_and_one_that_breaks_are_looked_at_as_far_as_they_came() {
    let upstream = upstream();
    let (setting, _rules) = start("responses-ends", &upstream);
    let mut connection = setting.client().and_then(|client| client.connect_h2()).expect("connect");
    let fields =
        [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/looked/leak")];
    connection.send(&h2::request(1, &fields, None)).expect("sent");
    let answer = connection.answer(1).expect("an answer");
    assert_eq!((answer.status(), answer.body.as_slice()), (500, LEAK));
    let (completion, findings) = ended(&setting, &id(&answer));
    assert_eq!(completion["unmapped"]["waf"]["rules"], json!(["9101", "9102"]));
    assert_eq!(findings.len(), 1);

    let broken = setting.client().and_then(|client| client.get("/looked/breaks", &[]));
    assert!(broken.is_err(), "its end is missing: {broken:?}");
    let failed = wait_for("a completion", SOON, || {
        let record = setting.record()?;
        let mut completions = record.with_code("completion");
        Ok(completions.find(|it| it["unmapped"]["outcome"] == "upstream_failed").cloned())
    });
    let failed = failed.expect("a completion");
    let waf = &failed["unmapped"]["waf"];
    assert_eq!((&waf["health"], &waf["rules"]), (&"truncated".into(), &json!(["9102"])));
    let (_, findings) = ended(&setting, text(&failed, "/metadata/correlation_uid"));
    assert_eq!(findings.len(), 1);
}
