//! Who may depend on whom, read from `cargo metadata`. A new dependency names its owners here.
//!
//! An edge that is not in the table is an error, whichever way it points: that is what keeps
//! `cedar_policy` in two crates, the pure crates pure, and the fixtures out of the product.

use std::{collections::BTreeSet, process::Command};

use serde::Deserialize;

/// What each crate of ours may use of ours.
const EDGES: &[(&str, &[&str])] = &[
    ("gateway", &["signals", "verdict", "prover", "ledger", "shipper", "idp", "ftw"]),
    ("audit-sink", &["ledger"]),
    ("signals", &["seclang"]),
    ("verdict", &["signals"]),
    ("prover", &["verdict"]),
    ("shipper", &["ledger"]),
    ("idp", &["signals"]),
    ("ledger", &[]),
    ("seclang", &[]),
    ("ftw", &[]),
    ("fixtures", &[]),
    ("xtask", &[]),
    ("portcullis-tests", &["fixtures"]),
    // the parsers of untrusted bytes, which live in these
    ("fuzz-bodies", &["gateway", "signals", "verdict", "ledger", "idp", "seclang"]),
];

/// Who may use each crate of others, in the product or in the tools.
const OWNERS: &[(&str, &[&str])] = &[
    // heavy: each behind the one crate that exists for it
    ("barbacane-libinjection", &["seclang"]),
    ("cedar-policy", &["verdict", "prover"]),
    ("cedar-policy-formatter", &["verdict"]),
    ("cedar-policy-symcc", &["prover"]),
    ("jsonwebtoken", &["idp"]),
    ("openidconnect", &["idp"]),
    ("rdkafka", &["shipper", "audit-sink", "fixtures"]),
    ("regex", &["gateway", "seclang", "ftw"]),
    ("regex-syntax", &["seclang"]),
    ("rusqlite", &["audit-sink"]),
    ("rustls-native-certs", &["idp"]),
    // the shell and its protocols
    ("anyhow", &["gateway", "audit-sink", "fixtures", "xtask", "portcullis-tests"]),
    ("arc-swap", &["gateway", "idp"]),
    ("clap", &["gateway", "audit-sink"]),
    ("http-body", &["gateway"]),
    ("http-body-util", &["gateway", "idp"]),
    ("httparse", &["fuzz-bodies"]),
    ("hyper", &["gateway", "idp"]),
    ("hyper-util", &["gateway", "idp"]),
    ("miette", &["verdict"]),
    ("mimalloc", &["gateway"]),
    ("rand", &["gateway"]),
    ("rcgen", &["fixtures"]),
    ("rustix", &["gateway", "ledger", "fixtures"]),
    ("rustls", &["gateway", "idp", "fixtures"]),
    ("rustls-pki-types", &["gateway", "fixtures"]),
    ("saphyr-parser", &["gateway", "ftw"]),
    ("schemars", &["gateway"]),
    ("socket2", &["gateway"]),
    ("tempfile", &["fixtures", "fuzz-bodies"]),
    (
        "tokio",
        &["gateway", "audit-sink", "prover", "ledger", "shipper", "idp", "fixtures", "fuzz-bodies"],
    ),
    ("tokio-rustls", &["gateway", "idp"]),
    ("toml", &["fixtures", "portcullis-tests"]),
    ("tracing", &["gateway", "audit-sink", "ledger", "shipper", "idp"]),
    ("tracing-subscriber", &["gateway", "audit-sink"]),
    // formats and bytes
    ("aho-corasick", &["seclang"]),
    ("base64", &["gateway", "ledger", "idp", "seclang", "ftw", "fixtures", "fuzz-bodies"]),
    ("brotli-decompressor", &["seclang"]),
    ("bytes", &["gateway", "signals", "ledger", "idp", "fuzz-bodies"]),
    ("crc32fast", &["ledger"]),
    ("itoa", &["ledger"]),
    ("md-5", &["seclang"]),
    ("memchr", &["gateway", "ledger", "seclang"]),
    ("flate2", &["seclang"]),
    ("http", &["gateway", "signals", "idp", "fuzz-bodies"]),
    (
        "ring",
        &["gateway", "signals", "seclang", "verdict", "ledger", "idp", "fixtures", "fuzz-bodies"],
    ),
    (
        "serde",
        &[
            "gateway",
            "audit-sink",
            "signals",
            "verdict",
            "prover",
            "ledger",
            "idp",
            "fixtures",
            "portcullis-tests",
        ],
    ),
    (
        "serde_json",
        &[
            "gateway",
            "audit-sink",
            "signals",
            "verdict",
            "prover",
            "ledger",
            "idp",
            "ftw",
            "fixtures",
            "portcullis-tests",
            "fuzz-bodies",
        ],
    ),
    (
        "thiserror",
        &[
            "gateway",
            "audit-sink",
            "signals",
            "seclang",
            "verdict",
            "prover",
            "ledger",
            "shipper",
            "idp",
            "ftw",
        ],
    ),
    ("uuid", &["gateway", "ledger", "fuzz-bodies"]),
    ("zstd", &["ledger", "audit-sink", "seclang"]),
];

/// What any crate may use in its own tests and benches, beside what it may use anyway.
const TEST_ONLY: &[&str] =
    &["criterion", "fixtures", "httparse", "proptest", "rcgen", "tempfile", "toml"];

/// What one crate may use in its own tests and benches although others own it.
const TEST_ONLY_OF: &[(&str, &str)] = &[
    ("allocation-counter", "seclang"),
    ("anyhow", "seclang"),
    ("base64", "portcullis-tests"),
    ("ftw", "portcullis-tests"),
    ("ftw", "seclang"),
    ("mimalloc", "seclang"),
    ("mimalloc", "verdict"),
    ("saphyr-parser", "verdict"),
    ("serde", "seclang"),
    ("serde_json", "seclang"),
    ("verdict", "portcullis-tests"),
    ("wycheproof-ng-kdf-jose", "idp"),
];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `null`, `dev` or `build`.
    kind: Option<String>,
    /// Only for crates of this workspace.
    path: Option<String>,
}

/// One line for each edge that the tables do not allow.
fn violations(metadata: &Metadata) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        if look_up(EDGES, name).is_none() {
            found.insert(format!("`{name}` is not in the table of edges"));
        }
        for dependency in &package.dependencies {
            if !allowed(name, dependency) {
                let kind =
                    dependency.kind.as_deref().map_or(String::new(), |kind| format!(" ({kind})"));
                found.insert(format!("`{name}` may not use `{}`{kind}", dependency.name));
            }
        }
    }
    found
}

fn allowed(package: &str, dependency: &Dependency) -> bool {
    let name = dependency.name.as_str();
    let in_tests = dependency.kind.as_deref() == Some("dev");
    if in_tests && (TEST_ONLY.contains(&name) || TEST_ONLY_OF.contains(&(name, package))) {
        return true;
    }
    if dependency.path.is_some() {
        look_up(EDGES, package).is_some_and(|edges| edges.contains(&name))
    } else {
        look_up(OWNERS, name).is_some_and(|owners| owners.contains(&package))
    }
}

fn look_up<'a>(table: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn workspace() -> Metadata {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("metadata")
}

#[test]
fn the_workspace_keeps_to_the_table() {
    let metadata = workspace();
    assert!(metadata.packages.len() >= EDGES.len(), "cargo metadata left packages out");
    assert_eq!(violations(&metadata), BTreeSet::new());
}

#[track_caller]
fn check(package: &str, dependency: &str, kind: Option<&str>, ours: bool, want: bool) {
    let dependency = Dependency {
        name: dependency.to_owned(),
        kind: kind.map(str::to_owned),
        path: ours.then(|| "/somewhere".to_owned()),
    };
    let metadata = Metadata {
        packages: vec![Package { name: package.to_owned(), dependencies: vec![dependency] }],
    };
    let found = violations(&metadata);
    assert_eq!(found.is_empty(), want, "{found:?}");
}

#[test]
fn edges_of_ours_point_one_way() {
    check("gateway", "verdict", None, true, true);
    check("verdict", "gateway", None, true, false);
    check("signals", "verdict", None, true, false);
    check("verdict", "prover", None, true, false);
    check("audit-sink", "shipper", None, true, false);
    check("gateway", "fixtures", None, true, false);
    check("gateway", "fixtures", Some("dev"), true, true);
    check("ledger", "gateway", Some("dev"), true, false);
}

#[test]
fn heavy_crates_have_owners() {
    check("verdict", "cedar-policy", None, false, true);
    check("prover", "cedar-policy-symcc", None, false, true);
    check("verdict", "cedar-policy-symcc", None, false, false);
    check("gateway", "cedar-policy", None, false, false);
    check("gateway", "cedar-policy", Some("dev"), false, false);
    check("gateway", "rdkafka", Some("build"), false, false);
    check("signals", "tokio", None, false, false);
    check("gateway", "left-pad", None, false, false);
    check("gateway", "proptest", Some("dev"), false, true);
    check("gateway", "proptest", None, false, false);
}

#[test]
fn a_crate_of_ours_must_be_in_the_table() {
    check("gateway", "verdict", None, true, true);
    check("surprise", "verdict", None, true, false);
    // a crate of others that bears the name of one of ours is not ours
    check("gateway", "verdict", None, false, false);
}
