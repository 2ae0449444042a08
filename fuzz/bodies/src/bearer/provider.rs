//! An issuer with one key: its key set is served once, on loopback, and loaded as any other.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use idp::{Algorithm, ClaimMap, Guard, IssuerConfig, Issuers};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;
use signals::PrincipalKind;
use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};

/// The issuer's name.
pub(super) const NAME: &str = "corp";
/// How the bytes name it; where it really is depends on the port.
const ISSUER: &str = "https://login.example.com";
pub(super) const AUDIENCES: [&str; 2] = ["orders", "billing"];
pub(super) const LEEWAY_S: i64 = 30;

const DAY: Duration = Duration::from_secs(86_400);
/// A certificate: the machine's own trust anchors do not matter here.
const ANCHOR: &[u8] = include_bytes!("../anchor.pem");

pub(super) struct Provider {
    pub(super) runtime: Runtime,
    pub(super) issuers: Issuers,
    url: String,
    key: Ed25519KeyPair,
}

impl Provider {
    /// The key set is loaded when it returns.
    pub(super) fn start() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let metadata = json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string();
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": x}]});
        thread::spawn(move || serve(&listener, [metadata, keys.to_string()]));
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let issuers = Issuers::new(vec![config(&url)]).expect("an issuer");
        runtime.block_on(async {
            tokio::select! {
                () = issuers.run() => {}
                () = loaded(&issuers) => {}
            }
        });
        Self { runtime, issuers, url, key }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.url
    }

    /// The bytes with the issuer's identifier where they name it.
    pub(super) fn with_issuer(&self, data: &[u8]) -> Vec<u8> {
        let (name, mut rest) = (ISSUER.as_bytes(), data);
        let mut bytes = Vec::with_capacity(data.len());
        while let Some(at) = rest.windows(name.len()).position(|window| window == name) {
            bytes.extend(&rest[..at]);
            bytes.extend(self.url.as_bytes());
            rest = &rest[at + name.len()..];
        }
        bytes.extend(rest);
        bytes
    }

    /// A token with the key's signature.
    pub(super) fn token(&self, header: &str, payload: &[u8]) -> String {
        let [header, payload] =
            [header.as_bytes(), payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        let signed = format!("{header}.{payload}");
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// Answers as many requests as there are bodies, in their order.
fn serve(listener: &TcpListener, bodies: [String; 2]) {
    for body in bodies {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(stream.try_clone().expect("the connection")).lines();
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("an answer");
    }
}

async fn loaded(issuers: &Issuers) {
    let there = async {
        while issuers.status().iter().any(|issuer| issuer.generation == 0) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(30), there).await.expect("a key set");
}

fn config(url: &str) -> IssuerConfig {
    IssuerConfig {
        name: NAME.to_owned(),
        url: url.to_owned(),
        audiences: AUDIENCES.map(str::to_owned).to_vec(),
        algorithms: Algorithm::ALL.to_vec(),
        token_types: vec!["at+jwt".to_owned()],
        claims: ClaimMap {
            kind: PrincipalKind::User,
            groups: Some("groups".to_owned()),
            attributes: vec![("department".to_owned(), "dept".to_owned())],
        },
        leeway: Duration::from_secs(LEEWAY_S.unsigned_abs()),
        refresh: DAY,
        unknown_key_cooldown: DAY,
        guard: Guard {
            allow_private_addresses: true,
            allow_plain_http: true,
            trust_anchors_pem: Some(ANCHOR.to_vec()),
        },
    }
}
