//! What one changed file costs in a large directory of policies, from the disk to a set that decides
//! by it and is kept: `cargo xtask bench verdict` runs this.
//!
//! CPU time of the thread that does it. Deliberately no test: what a bar is, is for the reader.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench stops at a mistake, reads what the kernel says, and prints"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::bundle::Kept;
use gateway::snapshot::Snapshot;

/// The allocator of the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Files of policies, one policy in each, beside those that the repository ships with. A directory
/// holds 10,000 at most.
const FILES: usize = 9_900;
/// Files that change, one after the other.
const TIMES: usize = 9;
/// File systems count in ticks, and what was written a moment before it was read is read again:
/// that is not what a gateway meets that runs for more than a moment.
const SETTLED: Duration = Duration::from_secs(3);

const CONFIG: &str = "version: 1
gateway: {domain: example.com, cluster: eu, instance: one}
listeners:
  - name: public
    address: 127.0.0.1:8443
    tls: {certificate: tls.crt, key: {file: tls.key}}
policies: {directory: policies}
audit:
  spool: {directory: spool, segment_bytes: 1MiB}
  keys: {issuer: {file: issuer.key}, issuer_note: issuer.note, root: root.vkey}
issuers:
  corp:
    issuer: https://login.example.com
    audiences: [orders]
    algorithms: [ES256]
upstreams:
  orders: {endpoints: [\"http://127.0.0.1:8080\"]}
apis:
  orders:
    hosts: [api.example.com]
    namespace: Orders
    issuers: [corp]
    routes:
      - name: get
        methods: [GET]
        path: /orders/{id}
        action: get
        resource: {type: Order, id: \"{id}\"}
        upstream: orders
";

fn main() {
    let root = tempfile::tempdir().unwrap();
    let (config, policies) = (root.path().join("portcullis.yaml"), root.path().join("policies"));
    fs::write(&config, CONFIG).unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies"), &policies);
    for nth in 0..FILES {
        fs::write(file(&policies, nth), policy(nth, 1)).unwrap();
    }
    std::thread::sleep(SETTLED);
    let kept = Kept { directory: root.path().join("kept"), sets_max: 3 };
    let mut now = load(&config, None);
    let mut times: Vec<u64> =
        (0..TIMES).map(|nth| once(&config, &policies, nth, &kept, &mut now)).collect();
    times.sort_unstable();
    let ms = |us: u64| us as f64 / 1_000.0;
    println!(
        "one changed file among {FILES}: {:.0} to {:.0} ms",
        ms(times[0]),
        ms(times[TIMES - 1])
    );
    println!("reload_ms={:.1}", ms(times[TIMES / 2]));
}

/// Changes a file and loads what is there then, µs.
fn once(config: &Path, policies: &Path, nth: usize, kept: &Kept, now: &mut Snapshot) -> u64 {
    fs::write(file(policies, nth * 1_000), policy(nth * 1_000, 2)).unwrap();
    let begin = cpu_ns();
    let next = load(config, Some(now));
    let changes = next.policies().changes_since(Some(now.policies()));
    let set = next.policy_set();
    kept.keep(&set.bundle, set.policies.digests()).unwrap();
    let end = cpu_ns();
    assert_eq!(changes.changed.len(), 1, "the one policy changed");
    *now = next;
    (end - begin) / 1_000
}

fn file(policies: &Path, nth: usize) -> PathBuf {
    policies.join(format!("orders/one-{nth}.cedar"))
}

fn policy(nth: usize, level: usize) -> String {
    format!(
        "@id(\"one-{nth}\")\npermit (\n  principal == Portcullis::User::\"corp|u{nth}\",\n  \
         action == Orders::Action::\"get\",\n  resource in Portcullis::Api::\"orders\"\n)\n\
         when {{ context.token.acr == \"aal{level}\" }}\nwhen {{ context.waf.score < 3 }};\n"
    )
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(&path, to).unwrap()),
        }
    }
}

fn load(config: &Path, before: Option<&Snapshot>) -> Snapshot {
    Snapshot::load(config, before).unwrap_or_else(|problems| panic!("{}", problems[0]))
}

/// CPU time of this thread. Another look at the queue brings the count up to date.
fn cpu_ns() -> u64 {
    std::thread::yield_now();
    let counts = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    counts.split(' ').next().unwrap().parse().unwrap()
}
