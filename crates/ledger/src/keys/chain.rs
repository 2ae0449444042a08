//! The chain from the root key to an epoch's key, made and verified.

use super::statement::{EpochStatement, IssuerStatement};
use super::{KeyError, Link, Origin, OriginPrefix, Validity};
use crate::note::{PrivateKey, Signer, VerifierKey, open};

/// The audit root: certifies issuers, offline.
pub struct Root {
    signer: Signer,
}

impl Root {
    /// A root with a name of the operator's choice, such as `audit.acme.example/root`.
    ///
    /// # Errors
    /// [`KeyError::Key`].
    pub fn new(name: &str, private: &PrivateKey) -> Result<Self, KeyError> {
        let signer = Signer::new(name, private)?;
        Ok(Self { signer })
    }

    /// The root that has this public key: its name is taken from it.
    ///
    /// # Errors
    /// [`KeyError::PrivateKey`] if the keys do not belong together.
    pub fn open(private: &PrivateKey, key: &VerifierKey) -> Result<Self, KeyError> {
        let signer = signer_of(private, key)?;
        Ok(Self { signer })
    }

    /// What verifiers need.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        self.signer.verifier_key()
    }

    /// The certificate of an issuer: its key may certify epochs whose origin has this prefix,
    /// within this time.
    ///
    /// # Errors
    /// None for names within their limits.
    pub fn certify(
        &self,
        issuer: &VerifierKey,
        prefix: &OriginPrefix,
        validity: Validity,
    ) -> Result<String, KeyError> {
        let (prefix, key) = (prefix.clone(), issuer.clone());
        let statement = IssuerStatement { prefix, key, validity };
        Ok(self.signer.sign(&statement.text())?)
    }
}

/// A cluster's issuer: signs the statements of its epochs.
pub struct Issuer {
    signer: Signer,
    statement: IssuerStatement,
    certificate: String,
}

impl Issuer {
    /// The issuer that this certificate is for.
    ///
    /// # Errors
    /// If the certificate is not the root's or not for this private key. Its time is not looked
    /// at: see [`validity`](Self::validity).
    pub fn open(
        private: &PrivateKey,
        certificate: &str,
        root: &VerifierKey,
    ) -> Result<Self, KeyError> {
        let statement = open_certificate(certificate, root)?;
        let signer = signer_of(private, &statement.key)?;
        Ok(Self { signer, statement, certificate: certificate.to_owned() })
    }

    /// The certificate, a signed note.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// What the issuer may certify.
    #[must_use]
    pub fn prefix(&self) -> &OriginPrefix {
        &self.statement.prefix
    }

    /// When the issuer may certify.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.statement.validity
    }

    /// The statement for an epoch's key, which is named as the origin.
    ///
    /// # Errors
    /// If the origin, the key's name or the time are not the issuer's to certify.
    pub fn certify(
        &self,
        origin: &Origin,
        key: &VerifierKey,
        validity: Validity,
    ) -> Result<String, KeyError> {
        let statement = EpochStatement::new(origin.clone(), key.clone(), validity)?;
        check_scope(&self.statement, &statement)?;
        Ok(self.signer.sign(&statement.text())?)
    }
}

/// A verified chain: the key of one epoch, and when it is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    origin: Origin,
    key: VerifierKey,
    validity: Validity,
}

impl Chain {
    /// Verifies the chain to an epoch's key, for this log at this time, in seconds since 1970.
    /// For a log of the past that is the time of its records.
    ///
    /// # Errors
    /// Any that says which link does not hold.
    pub fn verify(
        root: &VerifierKey,
        issuer_note: &str,
        epoch_note: &str,
        origin: &Origin,
        time_s: u64,
    ) -> Result<VerifierKey, KeyError> {
        let chain = Self::open(root, issuer_note, epoch_note, origin)?;
        chain.validity.check(time_s)?;
        Ok(chain.key)
    }

    /// The same without a time: the caller checks each record's against
    /// [`validity`](Self::validity).
    ///
    /// # Errors
    /// Any that says which link does not hold.
    pub fn open(
        root: &VerifierKey,
        issuer_note: &str,
        epoch_note: &str,
        origin: &Origin,
    ) -> Result<Self, KeyError> {
        let issuer = open_certificate(issuer_note, root)?;
        let text = open_link(epoch_note, &issuer.key, Link::Epoch)?;
        let epoch = EpochStatement::parse(text)?;
        if epoch.origin != *origin {
            let wanted = origin.to_string();
            return Err(KeyError::OtherOrigin { wanted, found: epoch.origin.to_string() });
        }
        check_scope(&issuer, &epoch)?;
        let EpochStatement { origin, key, validity } = epoch;
        Ok(Self { origin, key, validity })
    }

    /// The log.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The key that signs its checkpoints.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// When it may.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }
}

fn open_certificate(certificate: &str, root: &VerifierKey) -> Result<IssuerStatement, KeyError> {
    IssuerStatement::parse(open_link(certificate, root, Link::Issuer)?)
}

fn open_link<'a>(note: &'a str, key: &VerifierKey, link: Link) -> Result<&'a str, KeyError> {
    open(note, key).map_err(|source| KeyError::Note { link, source })
}

fn check_scope(issuer: &IssuerStatement, epoch: &EpochStatement) -> Result<(), KeyError> {
    if !issuer.prefix.covers(&epoch.origin) {
        let (prefix, origin) = (issuer.prefix.to_string(), epoch.origin.to_string());
        return Err(KeyError::Prefix { prefix, origin });
    }
    if !epoch.validity.lies_within(&issuer.validity) {
        return Err(KeyError::OutlivesIssuer);
    }
    Ok(())
}

fn signer_of(private: &PrivateKey, key: &VerifierKey) -> Result<Signer, KeyError> {
    let signer = Signer::new(key.name(), private)?;
    if signer.verifier_key() == key {
        Ok(signer)
    } else {
        Err(KeyError::PrivateKey(key.name().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::NoteError;

    const ORIGIN: &str = "audit.acme.example/eu1/gw-a/1795262951123-0a1b2c3d";
    const START: u64 = 1_795_262_951;

    fn origin() -> Origin {
        ORIGIN.parse().unwrap()
    }

    fn private(seed: u8) -> PrivateKey {
        PrivateKey::from_seed([seed; 32])
    }

    fn validity(from: u64, to: u64) -> Validity {
        Validity::new(START + from, START + to).unwrap()
    }

    fn root(seed: u8) -> Root {
        Root::new("audit.acme.example/root", &private(seed)).unwrap()
    }

    fn issuer_key(seed: u8) -> VerifierKey {
        let signer = Signer::new("audit.acme.example/eu1/issuer", &private(seed)).unwrap();
        signer.verifier_key().clone()
    }

    fn certificate(prefix: &str, validity: Validity) -> String {
        let prefix = OriginPrefix::parse(prefix).unwrap();
        root(1).certify(&issuer_key(2), &prefix, validity).unwrap()
    }

    fn issuer() -> Issuer {
        let certificate = certificate("audit.acme.example/eu1", validity(0, 1_000_000));
        Issuer::open(&private(2), &certificate, root(1).verifier_key()).unwrap()
    }

    fn epoch_key(name: &str) -> VerifierKey {
        Signer::new(name, &private(3)).unwrap().verifier_key().clone()
    }

    fn statement() -> String {
        issuer().certify(&origin(), &epoch_key(ORIGIN), validity(100, 200)).unwrap()
    }

    fn verify(issuer_note: &str, epoch_note: &str, time_s: u64) -> Result<VerifierKey, KeyError> {
        Chain::verify(root(1).verifier_key(), issuer_note, epoch_note, &origin(), time_s)
    }

    #[test]
    fn a_whole_chain_gives_the_epochs_key() {
        let (issuer, statement) = (issuer(), statement());
        for time_s in [START + 100, START + 150, START + 200] {
            assert_eq!(verify(issuer.certificate(), &statement, time_s), Ok(epoch_key(ORIGIN)));
        }
        for time_s in [START + 99, START + 201, 0, u64::MAX] {
            let (not_before_s, not_after_s) = (START + 100, START + 200);
            let want = KeyError::NotValidAt { not_before_s, not_after_s, time_s };
            assert_eq!(verify(issuer.certificate(), &statement, time_s), Err(want));
        }
    }

    #[test]
    fn every_changed_byte_of_either_statement_breaks_the_chain() {
        let (certificate, statement) = (issuer().certificate().to_owned(), statement());
        let changed = |note: &str, at: usize| {
            let mut bytes = note.as_bytes().to_vec();
            bytes[at] ^= 1;
            String::from_utf8(bytes).ok()
        };
        for at in 0..certificate.len() {
            let Some(note) = changed(&certificate, at) else {
                continue;
            };
            assert!(verify(&note, &statement, START + 150).is_err(), "certificate byte {at}");
        }
        for at in 0..statement.len() {
            let Some(note) = changed(&statement, at) else {
                continue;
            };
            assert!(verify(&certificate, &note, START + 150).is_err(), "statement byte {at}");
        }
    }

    #[test]
    fn a_chain_of_other_keys_or_another_log_is_refused() {
        let certificate = issuer().certificate().to_owned();
        let unsigned =
            |link, name: &str| KeyError::Note { link, source: NoteError::Unsigned(name.into()) };
        let (of_root, of_issuer) = ("audit.acme.example/root", "audit.acme.example/eu1/issuer");
        let check =
            |root: &Root, certificate: &str, statement: &str, origin: &str, want: KeyError| {
                let origin = origin.parse().unwrap();
                let found = Chain::open(root.verifier_key(), certificate, statement, &origin);
                assert_eq!(found, Err(want));
            };
        let want = unsigned(Link::Issuer, of_root);
        check(&root(9), &certificate, &statement(), ORIGIN, want.clone());
        check(&root(1), &statement(), &statement(), ORIGIN, want);

        let other_issuer = Signer::new(of_issuer, &private(9)).unwrap();
        let text = statement().split_once("\n\n").unwrap().0.to_owned() + "\n";
        let forged = other_issuer.sign(&text).unwrap();
        check(&root(1), &certificate, &forged, ORIGIN, unsigned(Link::Epoch, of_issuer));
        check(&root(1), &certificate, &certificate, ORIGIN, unsigned(Link::Epoch, of_issuer));

        let other = ORIGIN.replace("gw-a", "gw-b");
        let want = KeyError::OtherOrigin { wanted: other.clone(), found: ORIGIN.into() };
        check(&root(1), &certificate, &statement(), &other, want);
    }

    /// A statement that a well behaved issuer refuses to sign, but a stolen issuer key would.
    #[test]
    fn an_issuer_is_held_to_its_prefix_and_its_time() {
        let stolen = Signer::new("audit.acme.example/eu1/issuer", &private(2)).unwrap();
        let check = |prefix: &str, issuer: Validity, epoch: Validity, want: Option<KeyError>| {
            let certificate = certificate(prefix, issuer);
            let issuer = Issuer::open(&private(2), &certificate, root(1).verifier_key()).unwrap();
            let made = issuer.certify(&origin(), &epoch_key(ORIGIN), epoch);
            assert_eq!(made.err(), want, "{prefix}");
            let text = format!(
                "portcullis-epoch-key/v1\norigin {ORIGIN}\nkey {}\nnot-before {}\nnot-after {}\n",
                epoch_key(ORIGIN),
                epoch.not_before_s(),
                epoch.not_after_s(),
            );
            let note = stolen.sign(&text).unwrap();
            let found = Chain::open(root(1).verifier_key(), &certificate, &note, &origin());
            assert_eq!(found.err(), want, "{prefix}");
        };
        let (long, short) = (validity(0, 1_000_000), validity(100, 200));
        check("audit.acme.example", long, short, None);
        check("audit.acme.example/eu1/gw-a", long, short, None);
        check("audit.acme.example/eu1", short, short, None);
        for prefix in ["audit.acme.example/eu", "audit.acme.example/eu1/gw", "audit.acme"] {
            let (covers, origin) = (prefix.to_owned(), ORIGIN.to_owned());
            check(prefix, long, short, Some(KeyError::Prefix { prefix: covers, origin }));
        }
        let outlives = Some(KeyError::OutlivesIssuer);
        check("audit.acme.example/eu1", validity(101, 1000), short, outlives.clone());
        check("audit.acme.example/eu1", validity(0, 199), short, outlives);
        let day = validity(0, super::super::EPOCH_S_MAX);
        check("audit.acme.example/eu1", long, day, None);
        let longer = validity(0, super::super::EPOCH_S_MAX + 1);
        let refused = KeyError::Validity("an epoch key is valid for 25 hours at most");
        check("audit.acme.example/eu1", long, longer, Some(refused));
    }

    #[test]
    fn private_keys_must_belong_to_their_public_keys() {
        let certificate = issuer().certificate().to_owned();
        let wrong = Issuer::open(&private(3), &certificate, root(1).verifier_key()).err();
        assert_eq!(wrong, Some(KeyError::PrivateKey("audit.acme.example/eu1/issuer".into())));
        let wrong = Root::open(&private(3), root(1).verifier_key()).err();
        assert_eq!(wrong, Some(KeyError::PrivateKey("audit.acme.example/root".into())));
        assert!(Root::open(&private(1), root(1).verifier_key()).is_ok());
        let renamed = epoch_key("audit.acme.example/eu1/gw-b/1-00000000");
        let refused = issuer().certify(&origin(), &renamed, validity(100, 200)).err();
        assert!(matches!(refused, Some(KeyError::OtherOrigin { .. })));
    }

    #[test]
    fn statements_have_one_form() {
        let good = statement().split_once("\n\n").unwrap().0.to_owned() + "\n";
        let check = |text: String, expected: &'static str| {
            let want = KeyError::Statement { link: Link::Epoch, expected };
            assert_eq!(EpochStatement::parse(&text), Err(want), "{text}");
        };
        assert_eq!(EpochStatement::parse(&good).unwrap().text(), good);
        check(good.replace("epoch", "issuer"), "portcullis-epoch-key/v1");
        check(good.replace("origin ", "origin  "), "origin");
        check(good.replace("key audit", "key: audit"), "key");
        check(good.replace("not-before 1", "not-before 01"), "not-before");
        check(good.replace("not-after", "not-before"), "not-after");
        check(format!("{good}more\n"), "end");
        check(good.trim_end().to_owned(), "end");
        assert!(Validity::new(5, 5).is_err());
    }
}
