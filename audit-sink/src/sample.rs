//! Logs to take in, for tests and benches: as gateways sign them, without a gateway.

use ledger::keys::{Issuer, Origin, OriginPrefix, Root, Validity};
use ledger::note::{PrivateKey, Signer, VerifierKey};
use ledger::proof;
use ledger::tlog::{Frontier, group_proofs, leaf_hash};

/// When the first log begins, in milliseconds since 1970.
pub(crate) const START_MS: i64 = 1_795_262_951_123;

/// Leaves of a commit group.
pub(crate) const GROUP: usize = 7;

/// The keys of one cluster.
pub(crate) struct Keys {
    root: Root,
    issuer: Issuer,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let private = |seed: u8| PrivateKey::from_seed([seed; 32]);
        let root = Root::new("audit.acme.example/root", &private(1)).unwrap();
        let issuer = Signer::new("audit.acme.example/eu1/issuer", &private(2)).unwrap();
        let prefix = OriginPrefix::parse("audit.acme.example/eu1").unwrap();
        let validity = Validity::new(0, 4_000_000_000).unwrap();
        let certificate = root.certify(issuer.verifier_key(), &prefix, validity).unwrap();
        let issuer = Issuer::open(&private(2), &certificate, root.verifier_key()).unwrap();
        Self { root, issuer }
    }

    pub(crate) fn root(&self) -> &VerifierKey {
        self.root.verifier_key()
    }
}

/// One log.
pub(crate) struct Log {
    pub(crate) origin: Origin,
    pub(crate) values: Vec<String>,
    pub(crate) issuer_note: String,
    pub(crate) epoch_note: String,
    signer: Signer,
}

/// A message as it is sent.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) origin: Origin,
    pub(crate) index: u64,
    pub(crate) value: String,
    pub(crate) proof: String,
}

/// A decision, a second after the one before; what it is about depends on its number.
fn decision(number: usize, time_ms: i64) -> String {
    let (action, status) =
        if number.is_multiple_of(3) { ("Denied", 403) } else { ("Allowed", 200) };
    let (id, user) = (uid(number), number % 5);
    format!(
        r#"{{"class_uid":6003,"time":{time_ms},"action":"{action}","api":{{"operation":"read"}},"actor":{{"user":{{"uid":"acme|u-{user}"}}}},"resources":[{{"uid":"o-{number}"}}],"http_response":{{"code":{status}}},"metadata":{{"uid":"{id}","correlation_uid":"{id}","event_code":"decision"}}}}"#
    )
}

/// The id of the decision of this number.
pub(crate) fn uid(number: usize) -> String {
    format!("019aa2b0-7d1c-7c3e-9a41-{number:012x}")
}

fn lifecycle(code: &str, time_ms: i64) -> String {
    format!(
        r#"{{"class_uid":6002,"time":{time_ms},"metadata":{{"uid":"{code}-{time_ms}","event_code":"{code}"}},"unmapped":{{"previous":null}}}}"#
    )
}

impl Log {
    /// A log of this instance with `count` records, a second apart, the first a `log_open`.
    pub(crate) fn new(keys: &Keys, instance: &str, count: usize) -> Self {
        let decisions = (1..count).map(|number| decision(number, time_ms(number)));
        let values = std::iter::once(lifecycle("log_open", START_MS)).chain(decisions);
        Self::of(keys, instance, values.collect())
    }

    /// A log with these records.
    pub(crate) fn of(keys: &Keys, instance: &str, values: Vec<String>) -> Self {
        let start_ms = START_MS.unsigned_abs();
        let origin = Origin::new("acme.example", "eu1", instance, start_ms, 1).unwrap();
        let signer = Signer::new(origin.as_str(), &PrivateKey::from_seed([9; 32])).unwrap();
        let validity = Validity::new(start_ms / 1000, start_ms / 1000 + 90_000).unwrap();
        let epoch_note = keys.issuer.certify(&origin, signer.verifier_key(), validity).unwrap();
        let issuer_note = keys.issuer.certificate().to_owned();
        Self { origin, values, issuer_note, epoch_note, signer }
    }

    /// Ends with a `log_close`.
    pub(crate) fn closed(mut self) -> Self {
        self.values.push(lifecycle("log_close", time_ms(self.values.len())));
        self
    }

    /// The same log with another record at `index`: another history, signed by the same key.
    pub(crate) fn rewritten(&self, index: usize) -> Self {
        let mut values = self.values.clone();
        values[index] = decision(index + 100_000, time_ms(index));
        let (issuer_note, epoch_note) = (self.issuer_note.clone(), self.epoch_note.clone());
        let signer = Signer::new(self.origin.as_str(), &PrivateKey::from_seed([9; 32])).unwrap();
        Self { origin: self.origin.clone(), values, issuer_note, epoch_note, signer }
    }

    /// The statements, each with its key.
    pub(crate) fn statements(&self) -> [(String, String); 2] {
        let issuer = (format!("{}#issuer", self.origin), self.issuer_note.clone());
        [issuer, (self.origin.to_string(), self.epoch_note.clone())]
    }

    /// The messages, signed in groups of [`GROUP`].
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent_in_groups_of(GROUP)
    }

    pub(crate) fn sent_in_groups_of(&self, count: usize) -> Vec<Sent> {
        let mut frontier = Frontier::new();
        let mut sent = Vec::new();
        for group in self.values.chunks(count) {
            let leaves: Vec<_> = group.iter().map(|value| leaf_hash(value.as_bytes())).collect();
            let paths = group_proofs(&frontier, &leaves);
            leaves.iter().for_each(|leaf| frontier.push(*leaf));
            let checkpoint = self.signer.sign_checkpoint(frontier.size(), &frontier.root());
            for (value, path) in group.iter().zip(paths) {
                let (origin, index) = (self.origin.clone(), sent.len() as u64);
                let proof = proof::format(index, &path, &checkpoint);
                sent.push(Sent { origin, index, value: value.clone(), proof });
            }
        }
        sent
    }

    /// The signed checkpoint of the first `size` leaves.
    pub(crate) fn checkpoint(&self, size: usize) -> String {
        let mut frontier = Frontier::new();
        self.values.iter().take(size).for_each(|value| frontier.push(leaf_hash(value.as_bytes())));
        self.signer.sign_checkpoint(frontier.size(), &frontier.root())
    }
}

/// When the record of this number is written.
pub(crate) fn time_ms(number: usize) -> i64 {
    START_MS + i64::try_from(number).unwrap() * 1000
}
