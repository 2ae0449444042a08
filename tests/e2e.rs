//! The line from outside: what a client gets, what the upstream got, and what the record says,
//! each read by itself and held against the others.

mod admin;
mod cors;
pub(crate) mod counts;
mod crs;
mod edge;
mod expect;
mod hidden;
mod life;
mod policies;
mod replay;
mod responses;
mod rules;
mod sent;
mod shares;
mod spool;
mod trailers;

use fixtures::{
    client::Request,
    harness::{Setting, Setup},
    idp::login,
    wire::Message,
};

fn setting(name: &str) -> Setting {
    Setting::start(name, &Setup::default()).expect("the product")
}

/// The decision that an answer is of.
fn id(answer: &Message) -> String {
    answer.field("portcullis-decision-id").expect("a decision id").to_owned()
}

/// A mix of what is allowed, refused, unrouted, unreadable and failing upstream; the statuses are
/// [`MIXED`].
fn mix(setting: &Setting) -> Vec<Message> {
    let client = setting.client().expect("a client");
    let alice = login(setting.idp.issuer(), "alice", None).expect("a login").access;
    let bearer = format!("Bearer {alice}");
    let ask = |method: &str, target: &str, authorization: Option<&str>, body: Option<&[u8]>| {
        let mut request = Request::new(method, target);
        if let Some(authorization) = authorization {
            request = request.field("Authorization", authorization);
        }
        if let Some(body) = body {
            request = request.field("Content-Type", "application/json").body(body.to_vec());
        }
        client.request(&request).expect("an answer")
    };
    let mut answers = vec![
        ask("GET", "/public", None, None),
        ask("HEAD", "/public", None, None),
        ask("GET", "/orders", None, None),
        ask("GET", "/orders", Some(&bearer), None),
        ask("GET", "/orders/o-1001", Some(&bearer), None),
        ask("GET", "/orders/o-1002", Some(&bearer), None),
        ask("POST", "/orders", Some(&bearer), Some(b"{\"item\":\"lamp\"}")),
        ask("GET", "/orders", Some("Bearer nonsense"), None),
        ask("GET", "/nowhere", None, None),
        ask("DELETE", "/orders", Some(&bearer), None),
        ask("GET", "/public/../orders", Some(&bearer), None),
    ];
    setting.upstream.down().expect("down");
    answers.push(ask("GET", "/public", None, None));
    setting.upstream.up().expect("up");
    answers
}

const MIXED: [u16; 12] = [200, 200, 401, 200, 200, 403, 201, 401, 404, 405, 400, 502];

#[test]
fn nothing_internal_reaches_a_client() {
    let setting = setting("internal");
    let inner = [
        setting.upstream.addr().to_string(),
        setting.idp.addr().to_string(),
        setting.dir().display().to_string(),
        "guard-".to_owned(),
        "orders-customer".to_owned(),
        "hyper".to_owned(),
        "cedar".to_owned(),
    ];
    let answers = mix(&setting);
    assert_eq!(answers.iter().map(Message::status).collect::<Vec<_>>(), MIXED);
    for answer in answers {
        let fields: Vec<String> =
            answer.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let all = format!("{}\n{}\n{}", answer.start, fields.join("\n"), answer.text());
        for inner in &inner {
            assert!(!all.contains(inner.as_str()), "`{inner}` in:\n{all}");
        }
    }
}
