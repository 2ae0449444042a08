//! Logs to verify, and to tamper with.

use std::collections::BTreeMap;

use super::{Finding, FindingKind, LogVerifier, Message, Outcome};
use crate::keys::{Chain, Issuer, Origin, OriginPrefix, Root, Validity};
use crate::note::{PrivateKey, Signer, VerifierKey, encode_hash};
use crate::proof;
use crate::tiles::{Tile, grow};
use crate::tlog::{Frontier, group_proofs, leaf_hash};

/// When the first epoch begins, in milliseconds since 1970.
pub(super) const START_MS: i64 = 1_795_262_951_123;

/// Leaves of a commit group.
pub(super) const GROUP: usize = 5;

pub(super) struct Keys {
    root: Root,
    issuer: Issuer,
}

impl Keys {
    pub(super) fn new(seed: u8) -> Self {
        let private = |offset: u8| PrivateKey::from_seed([seed + offset; 32]);
        let root = Root::new("audit.acme.example/root", &private(0)).unwrap();
        let issuer = Signer::new("audit.acme.example/eu1/issuer", &private(1)).unwrap();
        let prefix = OriginPrefix::parse("audit.acme.example/eu1").unwrap();
        let validity = Validity::new(0, 4_000_000_000).unwrap();
        let certificate = root.certify(issuer.verifier_key(), &prefix, validity).unwrap();
        let issuer = Issuer::open(&private(1), &certificate, root.verifier_key()).unwrap();
        Self { root, issuer }
    }

    pub(super) fn root(&self) -> &VerifierKey {
        self.root.verifier_key()
    }

    /// A statement for the same log that names another key.
    pub(super) fn second_statement(&self, log: &Log) -> String {
        let key = Signer::new(log.origin.as_str(), &PrivateKey::from_seed([200; 32])).unwrap();
        let validity = log.chain().validity();
        self.issuer.certify(&log.origin, key.verifier_key(), validity).unwrap()
    }

    pub(super) fn certificate(&self) -> &str {
        self.issuer.certificate()
    }
}

/// One epoch of instance `gw-a`.
pub(super) struct Log {
    pub(super) origin: Origin,
    pub(super) values: Vec<String>,
    pub(super) statement: String,
    certificate: String,
    root: VerifierKey,
    signer: Signer,
}

/// A message as it is sent.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) index: u64,
    pub(super) value: String,
    pub(super) proof: String,
}

pub(super) fn event(time_ms: i64, code: &str, unmapped: &str) -> String {
    format!(
        r#"{{"time":{time_ms},"metadata":{{"event_code":"{code}"}},"unmapped":{{{unmapped}}}}}"#
    )
}

impl Log {
    /// The epoch of this number, an hour after the one before, with a record each second.
    pub(super) fn new(keys: &Keys, epoch: u32, count: usize, previous: Option<&Log>) -> Self {
        let start_ms = START_MS + i64::from(epoch) * 3_600_000;
        let origin = Origin::new("acme.example", "eu1", "gw-a", start_ms as u64, epoch).unwrap();
        let signer =
            Signer::new(origin.as_str(), &PrivateKey::from_seed([epoch as u8; 32])).unwrap();
        let start_s = start_ms as u64 / 1000;
        let validity = Validity::new(start_s, start_s + 3600).unwrap();
        let statement = keys.issuer.certify(&origin, signer.verifier_key(), validity).unwrap();
        let named = previous.map(Log::named).unwrap_or_default();
        let mut values = vec![event(start_ms, "log_open", &named)];
        values.extend(
            (1..count as i64)
                .map(|n| event(start_ms + n * 1000, "decision", &format!(r#""n":{n}"#))),
        );
        let (certificate, root) = (keys.certificate().to_owned(), keys.root().clone());
        Self { origin, values, statement, certificate, root, signer }
    }

    /// Ends with a `log_close`.
    pub(super) fn closed(mut self) -> Self {
        let time_ms = self.last_ms() + 1000;
        self.values.push(event(time_ms, "log_close", ""));
        self
    }

    pub(super) fn last_ms(&self) -> i64 {
        self.origin.started_ms() as i64 + (self.values.len() as i64 - 1) * 1000
    }

    /// What the next log's `log_open` says of this one.
    pub(super) fn named(&self) -> String {
        let (origin, size) = (&self.origin, self.values.len());
        let root = encode_hash(&self.frontier().root());
        format!(r#""previous":{{"origin":"{origin}","size":{size},"root":"{root}"}}"#)
    }

    pub(super) fn frontier(&self) -> Frontier {
        let mut frontier = Frontier::new();
        self.values.iter().for_each(|value| frontier.push(leaf_hash(value.as_bytes())));
        frontier
    }

    pub(super) fn chain(&self) -> Chain {
        Chain::open(&self.root, &self.certificate, &self.statement, &self.origin).unwrap()
    }

    pub(super) fn verifier(&self) -> LogVerifier {
        LogVerifier::new(self.chain())
    }

    /// The signed checkpoint of the first `size` leaves.
    pub(super) fn checkpoint(&self, size: usize) -> String {
        let mut frontier = Frontier::new();
        self.values.iter().take(size).for_each(|value| frontier.push(leaf_hash(value.as_bytes())));
        self.signer.sign_checkpoint(frontier.size(), &frontier.root())
    }

    pub(super) fn newest(&self) -> String {
        self.checkpoint(self.values.len())
    }

    pub(super) fn messages(&self) -> Vec<Sent> {
        self.messages_in_groups_of(GROUP)
    }

    pub(super) fn messages_in_groups_of(&self, count: usize) -> Vec<Sent> {
        let mut frontier = Frontier::new();
        let mut sent = Vec::new();
        for group in self.values.chunks(count) {
            let leaves: Vec<_> = group.iter().map(|value| leaf_hash(value.as_bytes())).collect();
            let paths = group_proofs(&frontier, &leaves);
            leaves.iter().for_each(|leaf| frontier.push(*leaf));
            let checkpoint = self.signer.sign_checkpoint(frontier.size(), &frontier.root());
            for (value, path) in group.iter().zip(paths) {
                let index = sent.len() as u64;
                let proof = proof::format(index, &path, &checkpoint);
                sent.push(Sent { index, value: value.clone(), proof });
            }
        }
        sent
    }

    /// The log as a sink keeps it.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let path = |name: &str| format!("{}/{name}", self.origin);
        let tiles = grow(0, &self.values, |_: &Tile| None).unwrap();
        let tiles = tiles.into_iter().map(|(tile, bytes)| (path(&tile.to_string()), bytes));
        let texts = [
            ("checkpoint", self.newest()),
            ("issuer.note", self.certificate.clone()),
            ("epoch.note", self.statement.clone()),
        ];
        tiles.chain(texts.map(|(name, text)| (path(name), text.into_bytes()))).collect()
    }
}

impl Sent {
    /// As it arrives, a second after it was made.
    pub(super) fn message(&self) -> Message<'_> {
        let seen_ms = START_MS + (self.index as i64 + 1) * 1000;
        let Self { index, value, proof } = self;
        Message { index: *index, value: value.as_bytes(), proof, seen_ms }
    }
}

pub(super) fn feed(verifier: &mut LogVerifier, messages: &[Sent]) -> Vec<Outcome> {
    messages.iter().map(|sent| verifier.message(&sent.message())).collect()
}

pub(super) fn kinds(findings: &[Finding]) -> Vec<(FindingKind, Option<u64>)> {
    findings.iter().map(|finding| (finding.kind, finding.index)).collect()
}

/// Three epochs, each after the one before; the second ended without `log_close`.
pub(super) fn epochs(keys: &Keys) -> [Log; 3] {
    let first = Log::new(keys, 0, 9, None).closed();
    let second = Log::new(keys, 1, 12, Some(&first));
    let third = Log::new(keys, 2, 7, Some(&second)).closed();
    [first, second, third]
}
