//! `outgoing/refused.toml`: where the gateway does not go for keys, although the configuration or an
//! issuer's metadata leads there (threats: server-side request forgery). A token of such an issuer
//! cannot be judged, so that it is refused, and nobody is asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fixtures::{
    harness::{Setting, Setup, wait_for},
    jws::Signer,
    serve::{Answer, Reply, Server, bind},
};
use serde::Deserialize;
use serde_json::json;

use super::{Attack, HOST, MANNERS, recorded, with_token};

const ROWS: &str = include_str!("outgoing/refused.toml");
const SOON: Duration = Duration::from_secs(30);
/// Under what metadata is found.
const METADATA: &str = "/.well-known/openid-configuration";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuer: Vec<Row>,
    key_set: Vec<Row>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    url: String,
    says: String,
}

/// An issuer of the configuration.
struct Issuer {
    row: Row,
    url: String,
    allow_private: bool,
}

impl Issuer {
    fn yaml(&self) -> String {
        format!(
            "  {}:\n    issuer: \"{}\"\n    audiences: [orders]\n    algorithms: [EdDSA]\n    \
             allow_plain_http: true\n    allow_private_addresses: {}\n",
            self.row.name, self.url, self.allow_private
        )
    }
}

/// A server that has metadata for each row of `key_set`, and counts whoever asks for anything else.
fn server(rows: &[Row], traps: &Arc<AtomicU64>) -> Server {
    let listener = bind(0).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (rows, traps) = (rows.to_vec(), Arc::clone(traps));
    Server::replying(listener, move |message| {
        let named = |row: &&Row| message.path() == format!("/{}{METADATA}", row.name);
        if let Some(row) = rows.iter().find(named) {
            let metadata = json!({
                "issuer": format!("http://127.0.0.1:{port}/{}", row.name),
                "jwks_uri": filled(row, port),
            });
            return Reply::Answer(Answer::json(200, &metadata));
        }
        if message.path() == "/redirect" {
            return Reply::Answer(Answer::redirect(format!("http://127.0.0.1:{port}/trap")));
        }
        traps.fetch_add(1, Ordering::Relaxed);
        Reply::Close
    })
    .expect("a server")
}

fn filled(row: &Row, port: u16) -> String {
    row.url.replace("{port}", &port.to_string())
}

fn setup(issuers: &[Issuer]) -> Setup {
    let yaml: String = issuers.iter().map(Issuer::yaml).collect();
    let names: Vec<&str> = issuers.iter().map(|issuer| issuer.row.name.as_str()).collect();
    Setup::open(HOST, true)
        .change("head_timeout: 2s", "head_timeout: 1m")
        .change("issuers:\n  corp:", &format!("issuers:\n{yaml}  corp:"))
        .change("issuers: [corp]", &format!("issuers: [corp, {}]", names.join(", ")))
}

#[test]
fn nobody_is_asked_for_keys_where_no_issuer_may_be() {
    let rows: File = toml::from_str(ROWS).expect("rows");
    let traps = Arc::new(AtomicU64::new(0));
    let server = server(&rows.key_set, &traps);
    let port = server.addr().port();
    let issuers: Vec<Issuer> = rows
        .issuer
        .into_iter()
        .map(|row| Issuer { url: filled(&row, port), row, allow_private: false })
        .chain(rows.key_set.into_iter().map(|row| {
            let url = format!("http://127.0.0.1:{port}/{}", row.name);
            Issuer { row, url, allow_private: true }
        }))
        .collect();
    let mut setting = Setting::start("outgoing", &setup(&issuers)).expect("the product");
    let client = setting.client_of(HOST).expect("a client");
    let key = Signer::ed25519("k").expect("a key");
    let header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "k"});
    let mut answered = Vec::new();
    for issuer in &issuers {
        let mut claims = setting.idp.access_claims("alice").expect("claims");
        claims["iss"] = json!(issuer.url);
        let token = key.compact(&header, &claims).expect("a token");
        for manner in MANNERS {
            let what = issuer.row.name.as_str();
            let bytes = with_token(&client, &token);
            let attack = Attack { what, bytes, status: 503, code: "unavailable" };
            answered.push(attack.send(&setting, &client, manner).1);
        }
    }
    recorded(&setting, &answered);
    for Issuer { row, .. } in &issuers {
        let told = format!("issuer={}", row.name);
        wait_for(&format!("`{}` in the log of {}", row.says, row.name), SOON, || {
            let log = setting.gateway.process().output();
            let found = log.lines().any(|line| {
                let mut words = line.split([' ', '"']);
                words.any(|word| word == told) && line.contains(&row.says)
            });
            Ok(found.then_some(()))
        })
        .expect("why");
    }
    assert_eq!(traps.load(Ordering::Relaxed), 0, "somebody was asked all the same");
    println!("outgoing: issuers={} sent={}", issuers.len(), answered.len());
}
