//! C2SP signed notes: a text, a blank line, and signature lines, each by a named key.
//! On top of them, checkpoints of a log (C2SP tlog-checkpoint) and cosignatures of checkpoints
//! (C2SP tlog-cosignature, version 1). The algorithm is Ed25519 everywhere.
//!
//! Signatures of unknown keys are ignored, as the format says; a note counts as signed only if
//! every signature by the known key holds and there is one. Which keys are to be known is not
//! decided here.

mod checkpoint;
mod key;

pub use checkpoint::{Checkpoint, claimed_origin};
pub use key::{Cosigner, CosignerKey, PrivateKey, Signer, VerifierKey};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::tlog::Hash;

/// Bytes of a note, at most.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// Signature lines of a note, at most. The format asks verifiers to take 16.
pub const SIGNATURES_MAX: usize = 32;

/// Bytes of a key's name, at most: what tlog-cosignature can carry.
pub const NAME_BYTES_MAX: usize = 255;

/// Why a note, a key or a checkpoint was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoteError {
    /// A key name that is empty, too long, or holds a space, a control character or a plus.
    #[error("key name `{0}` is empty, too long, or holds a space, a control character or a plus")]
    Name(String),
    /// Not a verifier key of the type asked for.
    #[error("verifier key `{name}`: {problem}")]
    Key {
        /// The name that the text gives it; of anything else, which may be a secret, nothing.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Not an Ed25519 private key in PEM.
    #[error("private key: expected one PEM block `PRIVATE KEY` with an Ed25519 key (RFC 8410)")]
    PrivateKey,
    /// The system gave no random bytes.
    #[error("the system's random source failed")]
    Random,
    /// Larger than [`NOTE_BYTES_MAX`], or more than [`SIGNATURES_MAX`] signatures.
    #[error("note is larger than `{NOTE_BYTES_MAX}` bytes or `{SIGNATURES_MAX}` signatures")]
    TooLarge,
    /// Not a signed note, or its text is not what was expected.
    #[error("malformed note: {0}")]
    Malformed(&'static str),
    /// No signature by the known key.
    #[error("note has no signature by key `{0}`")]
    Unsigned(String),
    /// A signature by the known key does not hold.
    #[error("note has a wrong signature by key `{0}`")]
    WrongSignature(String),
    /// A checkpoint of another log.
    #[error("checkpoint is of log `{found}`, not `{wanted}`")]
    Origin {
        /// The log whose key was given.
        wanted: String,
        /// The log that the checkpoint names.
        found: String,
    },
}

/// A signed note, taken apart; nothing is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    text: &'a str,
    signatures: Vec<Signature<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature<'a> {
    name: &'a str,
    key_id: [u8; 4],
    bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    ///
    /// # Errors
    /// [`NoteError::TooLarge`] or [`NoteError::Malformed`].
    pub fn parse(note: &'a str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge);
        }
        if has_control_characters(note) {
            return Err(NoteError::Malformed("control character"));
        }
        let (text, signatures) =
            split_at_last_blank_line(note).ok_or(NoteError::Malformed("no blank line"))?;
        let lines = signatures.strip_suffix('\n').ok_or(NoteError::Malformed("no last newline"))?;
        if lines.bytes().filter(|byte| *byte == b'\n').count() >= SIGNATURES_MAX {
            return Err(NoteError::TooLarge);
        }
        let signatures = lines.split('\n').map(Signature::parse).collect::<Result<_, _>>()?;
        Ok(Self { text, signatures })
    }

    /// The signed text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Verifies the signatures of this key.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] or [`NoteError::WrongSignature`].
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let mut found = false;
        for signature in self.by(key.name(), key.id()) {
            if !key.verifies(self.text.as_bytes(), &signature.bytes) {
                return Err(NoteError::WrongSignature(key.name().to_owned()));
            }
            found = true;
        }
        if found { Ok(()) } else { Err(NoteError::Unsigned(key.name().to_owned())) }
    }

    /// Verifies the cosignatures of this key, and returns the latest's time in seconds since 1970.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] or [`NoteError::WrongSignature`].
    pub fn cosigned(&self, key: &CosignerKey) -> Result<u64, NoteError> {
        let mut latest = None;
        for signature in self.by(key.name(), key.id()) {
            let time = key.verifies(self.text, &signature.bytes);
            let time = time.ok_or_else(|| NoteError::WrongSignature(key.name().to_owned()))?;
            latest = latest.max(Some(time));
        }
        latest.ok_or_else(|| NoteError::Unsigned(key.name().to_owned()))
    }

    fn by(&self, name: &str, key_id: [u8; 4]) -> impl Iterator<Item = &Signature<'a>> {
        let of_key =
            move |signature: &&Signature<'_>| signature.name == name && signature.key_id == key_id;
        self.signatures.iter().filter(of_key)
    }
}

impl<'a> Signature<'a> {
    fn parse(line: &'a str) -> Result<Self, NoteError> {
        const MALFORMED: NoteError = NoteError::Malformed("signature line");
        let (name, encoded) =
            line.strip_prefix("— ").and_then(|line| line.split_once(' ')).ok_or(MALFORMED)?;
        let decoded = STANDARD.decode(encoded).map_err(|_| MALFORMED)?;
        let (key_id, bytes) = decoded.split_first_chunk::<4>().ok_or(MALFORMED)?;
        if !is_key_name(name) || bytes.is_empty() {
            return Err(MALFORMED);
        }
        Ok(Self { name, key_id: *key_id, bytes: bytes.to_vec() })
    }
}

/// Opens a note: takes it apart, verifies it, and returns its text.
///
/// # Errors
/// Any but the ones about keys.
pub fn open<'a>(note: &'a str, key: &VerifierKey) -> Result<&'a str, NoteError> {
    let note = Note::parse(note)?;
    note.verify(key)?;
    Ok(note.text())
}

/// The line, with its newline, that a signature adds to a note.
fn signature_line(name: &str, key_id: [u8; 4], signature: &[u8]) -> String {
    let encoded = STANDARD.encode([&key_id, signature].concat());
    format!("— {name} {encoded}\n")
}

/// A text that can be signed: it ends in a newline, and has no other control character.
fn is_note_text(text: &str) -> bool {
    text.ends_with('\n') && !has_control_characters(text)
}

fn is_key_name(name: &str) -> bool {
    let refused = |char: char| char.is_whitespace() || char.is_control() || char == '+';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(refused)
}

fn has_control_characters(text: &str) -> bool {
    text.bytes().any(|byte| byte < b' ' && byte != b'\n')
}

/// The text with its newline, and the signature lines.
fn split_at_last_blank_line(note: &str) -> Option<(&str, &str)> {
    let at = note.rfind("\n\n")?;
    let (text, rest) = note.split_at_checked(at + 1)?;
    Some((text, rest.strip_prefix('\n')?))
}

/// A hash as base64 with padding, or `None` if it is anything else.
pub(crate) fn decode_hash(text: &str) -> Option<Hash> {
    let mut buffer = [0; 33];
    let length = STANDARD.decode_slice(text, &mut buffer).ok()?;
    if length == 32 { buffer.first_chunk::<32>().copied() } else { None }
}

/// A hash as base64 with padding, 44 characters.
pub(crate) fn encode_hash(hash: &Hash) -> String {
    STANDARD.encode(hash)
}

/// The same, behind a text.
pub(crate) fn push_hash(text: &mut String, hash: &Hash) {
    STANDARD.encode_string(hash, text);
}

/// A number in decimal without leading zeros or a sign.
pub(crate) fn decode_decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = canonical && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the signed-note specification.
    const EXAMPLE_KEY: &str =
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const EXAMPLE_NOTE: &str = "This is an example message.\n\n— example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    fn example_key() -> VerifierKey {
        EXAMPLE_KEY.parse().unwrap()
    }

    fn signed_by(signers: &[&Signer], text: &str) -> String {
        let mut note = signers[0].sign(text).unwrap();
        for signer in &signers[1..] {
            note += signer.sign(text).unwrap().rsplit_once("\n\n").unwrap().1;
        }
        note
    }

    #[test]
    fn the_example_of_the_specification_opens() {
        assert_eq!(example_key().to_string(), EXAMPLE_KEY);
        assert_eq!(open(EXAMPLE_NOTE, &example_key()), Ok("This is an example message.\n"));
    }

    #[test]
    fn every_changed_byte_of_a_note_is_refused() {
        for at in 0..EXAMPLE_NOTE.len() {
            for flip in [0x01, 0x02, 0x20, 0x80] {
                let mut bytes = EXAMPLE_NOTE.as_bytes().to_vec();
                bytes[at] ^= flip;
                let Ok(note) = String::from_utf8(bytes) else {
                    continue;
                };
                assert!(open(&note, &example_key()).is_err(), "byte {at} ^ {flip}: {note}");
            }
        }
        for end in 0..EXAMPLE_NOTE.len() {
            let Some(note) = EXAMPLE_NOTE.get(..end) else {
                continue;
            };
            assert!(open(note, &example_key()).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn the_shape_of_a_note_is_strict() {
        let check = |note: &str, want: &str| {
            assert_eq!(Note::parse(note).map(|_| ()).unwrap_err().to_string(), want, "{note:?}");
        };
        let line = "— n AAAAAAA=\n";
        assert_eq!(Note::parse(&format!("a\n\n{line}")).unwrap().text(), "a\n");
        assert_eq!(Note::parse(&format!("a\n\nb\n\n{line}")).unwrap().text(), "a\n\nb\n");
        check("", "malformed note: no blank line");
        check("a\n", "malformed note: no blank line");
        check("a\n\n— n AAAAAAA=", "malformed note: no last newline");
        check(&format!("a\r\n\n{line}"), "malformed note: control character");
        check("a\n\n\n", "malformed note: no last newline");
        for bad in [
            "- n AAAAAAA=",
            "— n AAAA",
            "— n AAAAAAA",
            "— n AAAAAAB=",
            "— n+o AAAAAAA=",
            "—  AAAAAAA=",
            "— n  AAAAAAA=",
            "— n AAAAAAA= ",
            "— n\u{a0}o AAAAAAA=",
            "— nAAAAAAA=",
        ] {
            check(&format!("a\n\n{bad}\n"), "malformed note: signature line");
        }
    }

    #[test]
    fn a_note_has_a_limit_in_signatures_and_in_bytes() {
        let check = |text_bytes: usize, signatures: usize, fits: bool| {
            let text = "a".repeat(text_bytes - 1) + "\n\n";
            let note = text + &"— n AAAAAAA=\n".repeat(signatures);
            let want = if fits { Ok(()) } else { Err(NoteError::TooLarge) };
            assert_eq!(Note::parse(&note).map(|_| ()), want);
        };
        check(10, SIGNATURES_MAX, true);
        check(10, SIGNATURES_MAX + 1, false);
        let line = "— n AAAAAAA=\n".len();
        check(NOTE_BYTES_MAX - line - 1, 1, true);
        check(NOTE_BYTES_MAX - line, 1, false);
    }

    #[test]
    fn unknown_signatures_are_ignored_and_known_ones_must_all_hold() {
        let ours = Signer::generate("log.example").unwrap();
        let same_name = Signer::generate("log.example").unwrap();
        let other = Signer::generate("other.example").unwrap();
        let check = |note: &str, want: Result<&str, NoteError>| {
            assert_eq!(open(note, ours.verifier_key()), want);
        };
        check(&signed_by(&[&other, &same_name, &ours], "text\n"), Ok("text\n"));
        let unsigned = Err(NoteError::Unsigned("log.example".into()));
        check(&signed_by(&[&other, &same_name], "text\n"), unsigned);

        let elsewhere = ours.sign("another text\n").unwrap();
        let wrong = elsewhere.rsplit_once("\n\n").unwrap().1;
        let note = signed_by(&[&ours], "text\n") + wrong;
        check(&note, Err(NoteError::WrongSignature("log.example".into())));
    }

    #[test]
    fn only_texts_that_can_be_read_back_are_signed() {
        let signer = Signer::generate("log.example").unwrap();
        let overhead = signer.sign("\n").unwrap().len();
        let longest = "a".repeat(NOTE_BYTES_MAX - overhead) + "\n";
        assert_eq!(open(&signer.sign(&longest).unwrap(), signer.verifier_key()), Ok(&*longest));
        for text in ["", "a", "a\tb\n", "a\r\n", &format!("a{longest}")] {
            assert_eq!(signer.sign(text), Err(NoteError::Malformed("text cannot be signed")));
        }
        for text in ["\n", "a\n", "a\n\n", "ä — b\n"] {
            assert_eq!(open(&signer.sign(text).unwrap(), signer.verifier_key()), Ok(text));
        }
    }

    #[test]
    fn numbers_and_hashes_have_one_spelling() {
        for (text, want) in
            [("0", Some(0)), ("10", Some(10)), ("18446744073709551615", Some(u64::MAX))]
        {
            assert_eq!(decode_decimal(text), want);
        }
        for text in ["", "00", "01", "+1", "-1", "1 ", "18446744073709551616", "1e3"] {
            assert_eq!(decode_decimal(text), None, "{text}");
        }
        let hash = [0xfb; 32];
        let text = encode_hash(&hash);
        assert_eq!(decode_hash(&text), Some(hash));
        let changed_spare_bits = text.replace("s=", "t=");
        assert_ne!(changed_spare_bits, text);
        for text in
            ["", "AAAA", text.trim_end_matches('='), &changed_spare_bits, &STANDARD.encode([0; 33])]
        {
            assert_eq!(decode_hash(text), None, "{text}");
        }
    }
}
