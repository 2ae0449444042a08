//! Tests of the log on disk: one module a property. What a log holds is read back through a
//! cursor and judged by the verifier, which shares no code with the writer.

#![expect(clippy::disallowed_methods, reason = "tests of files use files")]

mod crash;
mod faults;
mod frame;
mod order;
mod space;
mod trail;
mod trial;

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use uuid::Uuid;

use crate::cursor::{Cursor, Entry, Trail};
use crate::event::{
    Actor, ActorKind, Call, Connection, Decision, DecisionFields, Durability, HttpRequest, Json,
    Kind, Producer, Resource, Subject, Trace, Verdict,
};
use crate::keys::{Issuer, Origin, OriginPrefix, Root, Validity};
use crate::ledger::{Ledger, Options, StartError};
use crate::note::{PrivateKey, Signer, VerifierKey};
use crate::verify::{Message, Outcome, TrailVerifier};
use crate::wal::disk::Disk;
use crate::wal::frame::{FrameError, Group, HEADER_BYTES, Head};
use crate::wal::segment::SEGMENT_BYTES_MIN;
use crate::wal::spool::SpoolOptions;

const NOW_MS: i64 = 1_795_262_951_123;
const LOG: &str = "audit.acme.example/eu1/gw-a";

/// A wall clock that stands still: nothing a test asserts hangs on time.
fn now() -> i64 {
    NOW_MS
}

fn private(seed: u8) -> PrivateKey {
    PrivateKey::from_seed([seed; 32])
}

fn root() -> Root {
    Root::new("audit.acme.example/root", &private(1)).unwrap()
}

fn root_key() -> VerifierKey {
    root().verifier_key().clone()
}

fn issuer() -> Issuer {
    let key = Signer::new("audit.acme.example/eu1/issuer", &private(2)).unwrap();
    let start_s = u64::try_from(NOW_MS / 1000).unwrap();
    let validity = Validity::new(start_s - 1000, start_s + 1_000_000).unwrap();
    let prefix = OriginPrefix::parse("audit.acme.example/eu1").unwrap();
    let certificate = root().certify(key.verifier_key(), &prefix, validity).unwrap();
    Issuer::open(&private(2), &certificate, &root_key()).unwrap()
}

fn producer() -> Producer {
    Producer { version: "0.1.0".into(), log: LOG.into(), instance: "gw-a".into() }
}

/// The smallest segments, in a spool of `segments` of them.
fn spool(dir: &Path, segments: u64) -> SpoolOptions {
    SpoolOptions {
        segment_bytes: SEGMENT_BYTES_MIN,
        volatile: true,
        ..SpoolOptions::new(dir, SEGMENT_BYTES_MIN * segments)
    }
}

fn options(dir: &Path, segments: u64) -> Options {
    Options {
        // Nothing here waits for these, unless it sets them.
        deadline: Duration::from_secs(600),
        heartbeat: Duration::from_secs(600),
        ..Options::new(producer(), issuer(), spool(dir, segments), now)
    }
}

fn start(dir: &Path) -> Ledger {
    Ledger::start(options(dir, 64)).unwrap()
}

fn start_on(dir: &Path, disk: &Disk) -> Ledger {
    Ledger::start_on(options(dir, 64), disk.clone()).unwrap()
}

/// A fresh decision's id.
fn uid() -> Uuid {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let next = u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
    Uuid::from_u128(0x019a_a2b0_7d1c_7c3e_9a41_0000_0000_0000 + next)
}

/// A decision about resource `id` whose facts have `bytes` bytes.
fn decision_of(id: &str, bytes: usize) -> Decision {
    let raw =
        |json: &str| Json::of(&serde_json::from_str::<serde_json::Value>(json).unwrap()).unwrap();
    let call = Call {
        actor: Actor {
            kind: ActorKind::User,
            id: "acme|u-17",
            groups: &[],
            idp: "acme",
            issuer: "https://idp.acme.example",
            client: "web-shop",
        },
        service: "orders",
        operation: "read",
        resource: Resource { kind: "Orders::Order", id },
        verdict: Verdict::Allow { determining: &[] },
        policies: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        firewall_rule: None,
        risk_score: None,
        question: raw("{}"),
        facts: Json::of(&noise(bytes)).unwrap(),
        cedar: raw("{}"),
    };
    let fields = DecisionFields {
        uid: uid(),
        received_ms: NOW_MS,
        decided_ms: NOW_MS,
        subject: Subject::Call(Box::new(call)),
        route: Some("orders-read"),
        durability: Durability::Gated,
        http: HttpRequest { method: Some("GET"), path: Some("/v1/orders"), ..Default::default() },
        conn: Connection { ip: [203, 0, 113, 24].into(), port: 51344, proxies: &[], tls: None },
        trace: Some(Trace {
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            parent_span: None,
        }),
        request_digest: Some([0xab; 32]),
    };
    fields.seal(&producer()).unwrap()
}

/// Text that does not compress away.
fn noise(bytes: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap())
    };
    (0..bytes)
        .map(|_| next())
        .map(|char| if char == '"' || char == '\\' { 'x' } else { char })
        .collect()
}

fn decision() -> Decision {
    decision_of("o-1", 16)
}

/// One log, read back.
struct Log {
    origin: String,
    notes: (String, String),
    entries: Vec<Entry>,
}

impl Log {
    fn read(cursor: &mut Cursor) -> Self {
        let mut entries = Vec::new();
        while let Some(batch) = cursor.read().unwrap() {
            entries.extend(batch.entries);
        }
        let notes = (cursor.issuer_note().to_owned(), cursor.epoch_note().to_owned());
        Self { origin: cursor.origin().to_owned(), notes, entries }
    }

    fn kinds(&self) -> Vec<Kind> {
        self.entries.iter().map(|entry| entry.record.kind).collect()
    }

    fn of_kind(&self, kind: Kind) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| entry.record.kind == kind).collect()
    }

    /// Each completion: its decision and its outcome.
    fn completions(&self) -> Vec<(Uuid, String)> {
        let completions = self.of_kind(Kind::Completion).into_iter().map(json);
        completions
            .map(|json| {
                (
                    text(&json, "/metadata/correlation_uid").parse().unwrap(),
                    text(&json, "/unmapped/outcome"),
                )
            })
            .collect()
    }

    /// The decisions, in order.
    fn decisions(&self) -> Vec<Uuid> {
        self.of_kind(Kind::Decision).iter().map(|entry| entry.record.uid).collect()
    }
}

fn json(entry: &Entry) -> serde_json::Value {
    serde_json::from_slice(&entry.record.value).unwrap()
}

fn text(json: &serde_json::Value, pointer: &str) -> String {
    json.pointer(pointer).unwrap().as_str().unwrap().to_owned()
}

/// Every log in a spool that nobody writes to, oldest first.
fn read_all(dir: &Path) -> Vec<Log> {
    read_spool(dir).unwrap()
}

fn read_spool(dir: &Path) -> Result<Vec<Log>, StartError> {
    let mut trail = Trail::of_spool(spool(dir, 64))?;
    let mut logs = Vec::new();
    while let Poll::Ready(Some(mut cursor)) = once(pin!(trail.next())) {
        logs.push(Log::read(&mut cursor));
    }
    Ok(logs)
}

/// The verifier finds nothing wrong with these logs, and each leaf is the next one.
fn assert_verified(logs: &[Log]) {
    let mut verifier = TrailVerifier::new(root_key());
    for log in logs {
        let origin: Origin = log.origin.parse().unwrap();
        verifier.statement(&origin, &log.notes.0, &log.notes.1).unwrap();
        for Entry { index, record, proof } in &log.entries {
            let message = Message { index: *index, value: &record.value, proof, seen_ms: NOW_MS };
            assert_eq!(verifier.message(&origin, &message), Outcome::Next, "{origin} {index}");
        }
    }
    verifier.tick(NOW_MS);
    let findings = verifier.take_findings();
    assert!(findings.is_empty(), "{findings:?}");
}

/// Polls a future once.
fn once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Copies a spool as a crash would leave it, the lock apart.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}

/// The directories of a spool's epochs, oldest first.
fn epoch_dirs(spool: &Path) -> Vec<PathBuf> {
    let dirs = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().path());
    let mut dirs: Vec<_> = dirs.filter(|path| path.is_dir()).collect();
    dirs.sort();
    dirs
}

/// The frame at the start of `bytes`, and its length.
fn read_frame(bytes: &[u8]) -> Result<(Group, usize), FrameError> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(FrameError::Short)?;
    let head = Head::parse(header)?;
    let stored = rest.get(..head.stored_bytes()).ok_or(FrameError::Short)?;
    Ok((head.group(header, stored)?, HEADER_BYTES + stored.len()))
}
