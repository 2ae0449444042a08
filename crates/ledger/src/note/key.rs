//! Keys of signed notes: the private key in its file, signers, and verifier keys in C2SP's text
//! form. A log's key and a cosigner's key are different types, as their signatures cover
//! different bytes and one must never be taken for the other.
//!
//! Private keys are neither `Debug` nor serializable; the one way out is [`PrivateKey::to_pem`].

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::checkpoint::Checkpoint;
use super::{NOTE_BYTES_MAX, NoteError, encode_hash, is_key_name, is_note_text, signature_line};
use crate::tlog::{Hash, hash};

/// Signature type of a note by Ed25519 (signed-note, "Signature types").
const LOG: u8 = 0x01;
/// Signature type of a timestamped Ed25519 cosignature.
const COSIGNATURE: u8 = 0x04;

const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_TAIL: &str = "-----END PRIVATE KEY-----";
/// RFC 8410 §7: PKCS#8 version 1, Ed25519, no attributes; the 32 byte seed follows.
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// An Ed25519 private key.
pub struct PrivateKey {
    seed: [u8; 32],
}

impl PrivateKey {
    /// A fresh key from the system's random source.
    ///
    /// # Errors
    /// [`NoteError::Random`].
    pub fn generate() -> Result<Self, NoteError> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| NoteError::Random)?;
        Ok(Self { seed })
    }

    /// The key of an RFC 8032 seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed }
    }

    /// Reads PKCS#8 version 1 in PEM, as `openssl genpkey -algorithm ed25519` writes it: one
    /// block, nothing around it but white space.
    ///
    /// # Errors
    /// [`NoteError::PrivateKey`].
    pub fn from_pem(pem: &str) -> Result<Self, NoteError> {
        let body = pem.trim().strip_prefix(PEM_HEAD).and_then(|rest| rest.strip_suffix(PEM_TAIL));
        let encoded: String = body.ok_or(NoteError::PrivateKey)?.split_ascii_whitespace().collect();
        let der = STANDARD.decode(encoded).map_err(|_| NoteError::PrivateKey)?;
        let seed = der.strip_prefix(&PKCS8_HEAD).ok_or(NoteError::PrivateKey)?;
        let seed = seed.try_into().map_err(|_| NoteError::PrivateKey)?;
        Ok(Self { seed })
    }

    /// The key as a PEM file. Whoever writes it sees to its permissions.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let body = STANDARD.encode([PKCS8_HEAD.as_slice(), &self.seed].concat());
        format!("{PEM_HEAD}\n{body}\n{PEM_TAIL}\n")
    }

    fn pair(&self) -> Result<Ed25519KeyPair, NoteError> {
        Ed25519KeyPair::from_seed_unchecked(&self.seed).map_err(|_| NoteError::PrivateKey)
    }
}

/// A public key with its name. Its text form is `name+hex(key id)+base64(type ‖ public key)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key<const TYPE: u8> {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

/// Verifies notes.
pub type VerifierKey = Key<LOG>;

/// Verifies cosignatures.
pub type CosignerKey = Key<COSIGNATURE>;

impl<const TYPE: u8> Key<TYPE> {
    fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Name(name.to_owned()));
        }
        let [a, b, c, d, ..] = hash(&[name.as_bytes(), b"\n", &[TYPE], &public]);
        Ok(Self { name: name.to_owned(), id: [a, b, c, d], public })
    }

    /// Reads the text form; a key of another type or with a wrong key id is refused.
    ///
    /// # Errors
    /// [`NoteError::Name`] or [`NoteError::Key`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let named = text.split_once('+').map(|(name, _)| name).filter(|name| is_key_name(name));
        let named = named.unwrap_or_default();
        let refuse = |problem| NoteError::Key { name: named.to_owned(), problem };
        let (name, rest) = text.split_once('+').ok_or(refuse("expected `name+id+key`"))?;
        let (_, encoded) = rest.split_once('+').ok_or(refuse("expected `name+id+key`"))?;
        let decoded = STANDARD.decode(encoded).map_err(|_| refuse("the key is not base64"))?;
        let (found, public) = decoded.split_first().ok_or(refuse("the key is empty"))?;
        if *found != TYPE {
            return Err(refuse("the key is of another type"));
        }
        let public = public.try_into().map_err(|_| refuse("the key is not 32 bytes"))?;
        let key = Self::new(name, public)?;
        if key.to_string() == text { Ok(key) } else { Err(refuse("the key id does not match")) }
    }

    /// The key's name; for a log's key, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256(name ‖ "\n" ‖ type ‖ public key).
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The Ed25519 public key (RFC 8032 §5.1.5).
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public
    }

    fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).is_ok()
    }
}

impl VerifierKey {
    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        self.holds(text, signature)
    }
}

impl CosignerKey {
    /// The time of a cosignature over this note text, if it holds.
    pub(super) fn verifies(&self, text: &str, signature: &[u8]) -> Option<u64> {
        let (time, signature) = signature.split_first_chunk::<8>()?;
        let time_s = u64::from_be_bytes(*time);
        let holds = time_s <= TIME_S_MAX && self.holds(&cosigned(text, time_s), signature);
        holds.then_some(time_s)
    }
}

impl<const TYPE: u8> fmt::Display for Key<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id);
        let key = STANDARD.encode([&[TYPE], self.public.as_slice()].concat());
        write!(f, "{}+{id:08x}+{key}", self.name)
    }
}

impl<const TYPE: u8> FromStr for Key<TYPE> {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        Self::parse(text)
    }
}

/// Signs notes under one name.
pub struct Signer {
    key: VerifierKey,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// A signer with this name and key.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, private: &PrivateKey) -> Result<Self, NoteError> {
        let (key, pair) = named(name, private)?;
        Ok(Self { key, pair })
    }

    /// A signer with a fresh key that lives in memory only.
    ///
    /// # Errors
    /// [`NoteError::Name`] or [`NoteError::Random`].
    pub fn generate(name: &str) -> Result<Self, NoteError> {
        Self::new(name, &PrivateKey::generate()?)
    }

    /// The key that verifies what this signs.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.key
    }

    /// A note with this text and one signature.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] if the text does not end in a newline, has control characters,
    /// or is too long.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        let note = self.sign_text(text);
        if is_note_text(text) && note.len() <= NOTE_BYTES_MAX {
            Ok(note)
        } else {
            Err(NoteError::Malformed("text cannot be signed"))
        }
    }

    /// The signed checkpoint of the log that has this signer's name.
    #[must_use]
    pub fn sign_checkpoint(&self, size: u64, root: &Hash) -> String {
        self.sign_text(&format!("{}\n{size}\n{}\n", self.key.name, encode_hash(root)))
    }

    fn sign_text(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let line = signature_line(&self.key.name, self.key.id, signature.as_ref());
        format!("{text}\n{line}")
    }
}

/// Cosigns checkpoints of others under one name.
pub struct Cosigner {
    key: CosignerKey,
    pair: Ed25519KeyPair,
}

impl Cosigner {
    /// A cosigner with this name and key, which must be no log's.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, private: &PrivateKey) -> Result<Self, NoteError> {
        let (key, pair) = named(name, private)?;
        Ok(Self { key, pair })
    }

    /// The key that verifies what this cosigns.
    #[must_use]
    pub fn verifier_key(&self) -> &CosignerKey {
        &self.key
    }

    /// The line, with its newline, to append to a note of this checkpoint. It says: at `time_s`
    /// seconds since 1970 this was the largest consistent tree of the log that the cosigner had
    /// seen; so see to that first.
    #[must_use]
    pub fn cosign(&self, checkpoint: &Checkpoint, time_s: u64) -> String {
        let time_s = time_s.min(TIME_S_MAX);
        let signature = self.pair.sign(&cosigned(&checkpoint.text(), time_s));
        let timestamped = [&time_s.to_be_bytes(), signature.as_ref()].concat();
        signature_line(&self.key.name, self.key.id, &timestamped)
    }
}

/// Latest time of a cosignature: 2^63 - 1 (tlog-cosignature, "Format").
const TIME_S_MAX: u64 = i64::MAX as u64;

/// What a version 1 cosignature covers.
fn cosigned(text: &str, time_s: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{text}").into_bytes()
}

fn named<const TYPE: u8>(
    name: &str,
    private: &PrivateKey,
) -> Result<(Key<TYPE>, Ed25519KeyPair), NoteError> {
    let pair = private.pair()?;
    let public = pair.public_key().as_ref().try_into().map_err(|_| NoteError::PrivateKey)?;
    Ok((Key::new(name, public)?, pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_survives_its_file() {
        let key = PrivateKey::from_seed([7; 32]);
        let pem = key.to_pem();
        assert_eq!(PrivateKey::from_pem(&pem).ok().unwrap().seed, [7; 32]);
        assert_eq!(PrivateKey::from_pem(&pem.replace('\n', "\r\n")).ok().unwrap().seed, [7; 32]);
        let fresh = PrivateKey::generate().ok().unwrap();
        assert_ne!(fresh.seed, PrivateKey::generate().ok().unwrap().seed);
    }

    /// The private key and public key of RFC 8410 §10.
    #[test]
    fn the_example_of_rfc_8410_is_read() {
        let pem = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            -----END PRIVATE KEY-----\n";
        let signer = Signer::new("a", &PrivateKey::from_pem(pem).ok().unwrap()).ok().unwrap();
        let public = STANDARD.encode(signer.verifier_key().public_key());
        assert_eq!(public, "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
    }

    #[test]
    fn what_is_not_one_ed25519_private_key_is_refused() {
        let pem = PrivateKey::from_seed([7; 32]).to_pem();
        let body = pem.lines().nth(1).unwrap();
        let cases = [
            String::new(),
            body.to_owned(),
            pem.replace("PRIVATE KEY", "EC PRIVATE KEY"),
            pem.replace("MC4C", "MC8C"),
            pem.replace(body, body.split_at(60).0),
            pem.replace(body, &format!("{body}AAAA")),
            format!("{pem}{pem}"),
            format!("text\n{pem}"),
        ];
        for case in cases {
            let refused = PrivateKey::from_pem(&case).err();
            assert_eq!(refused, Some(NoteError::PrivateKey), "{case}");
        }
    }

    #[test]
    fn a_verifier_key_is_strict() {
        let check = |text: &str, want: &str| {
            let problem = text.parse::<VerifierKey>().unwrap_err().to_string();
            assert!(problem.ends_with(want), "{text}: {problem}");
        };
        let signer = Signer::new("log.example/a", &PrivateKey::from_seed([7; 32])).ok().unwrap();
        let good = signer.verifier_key().to_string();
        assert_eq!(good.parse(), Ok(signer.verifier_key().clone()));
        // A secret that was given by mistake is not said.
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4C+AQAw+BQYD\n-----END PRIVATE KEY-----\n";
        for text in [pem, &pem.replace('\n', "")] {
            let problem = text.parse::<VerifierKey>().unwrap_err().to_string();
            assert!(!problem.contains("MC4C"), "{problem}");
        }
        check("", "expected `name+id+key`");
        check("log.example/a+00000000", "expected `name+id+key`");
        check(&good.replace("/a", "/b"), "the key id does not match");
        check(&good.to_uppercase(), "the key is of another type");
        check(&format!("{good}\n"), "the key is not base64");
        check(&format!(" {good}"), "or a plus");
        check(&good.replace("log.example/a", ""), "or a plus");
        check(good.split_at(good.len() - 4).0, "the key is not 32 bytes");
        let cosigner =
            Cosigner::new("log.example/a", &PrivateKey::from_seed([7; 32])).ok().unwrap();
        let other_type = cosigner.verifier_key().to_string();
        check(&other_type, "the key is of another type");
        assert_ne!(cosigner.verifier_key().id(), signer.verifier_key().id());
    }

    #[test]
    fn a_name_has_a_limit() {
        let key = PrivateKey::from_seed([7; 32]);
        for (name, fits) in [
            ("a".repeat(super::super::NAME_BYTES_MAX), true),
            ("a".repeat(super::super::NAME_BYTES_MAX + 1), false),
            (String::new(), false),
            ("a b".into(), false),
            ("a+b".into(), false),
            ("a\u{2003}b".into(), false),
            ("a\nb".into(), false),
        ] {
            assert_eq!(Signer::new(&name, &key).is_ok(), fits, "{name:?}");
        }
    }
}
