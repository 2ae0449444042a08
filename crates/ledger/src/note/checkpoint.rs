//! Checkpoints (C2SP tlog-checkpoint): a log's name, its size and its root, as a signed note.
//!
//! Stricter than the specification where our logs are: the key's name is the origin, there are no
//! extension lines, and the empty log has the empty root.

use super::{Note, NoteError, VerifierKey, decode_decimal, decode_hash, encode_hash};
use crate::tlog::{EMPTY_ROOT, Hash, SIZE_MAX};

/// What a log says of itself at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root of the tree of these leaves.
    pub root: Hash,
}

impl Checkpoint {
    /// Opens a signed checkpoint of the log that has this key; signatures by others are ignored.
    ///
    /// # Errors
    /// If the note is malformed, of another log, or not signed by this key.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let note = Note::parse(note)?;
        note.verify(key)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != key.name() {
            let wanted = key.name().to_owned();
            return Err(NoteError::Origin { wanted, found: checkpoint.origin });
        }
        Ok(checkpoint)
    }

    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, encode_hash(&self.root))
    }

    fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.split('\n');
        let (origin, size, root) = (lines.next(), lines.next(), lines.next());
        if lines.next() != Some("") || lines.next().is_some() {
            return Err(NoteError::Malformed("a checkpoint has three lines"));
        }
        let origin = origin.filter(|origin| !origin.is_empty());
        let origin = origin.ok_or(NoteError::Malformed("checkpoint without origin"))?.to_owned();
        let size = size.and_then(decode_decimal).filter(|size| *size <= SIZE_MAX);
        let size = size.ok_or(NoteError::Malformed("checkpoint size"))?;
        let root = root.and_then(decode_hash).filter(|root| size > 0 || *root == EMPTY_ROOT);
        let root = root.ok_or(NoteError::Malformed("checkpoint root"))?;
        Ok(Self { origin, size, root })
    }
}

/// The log that a checkpoint says it is of, to find the key to open it with. Nothing is verified.
#[must_use]
pub fn claimed_origin(note: &str) -> Option<&str> {
    note.split_once('\n').map(|(origin, _)| origin).filter(|origin| !origin.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::{Cosigner, PrivateKey, Signer};
    use super::*;

    const ORIGIN: &str = "audit.example/eu1/gw-a/1";

    fn signer() -> Signer {
        Signer::new(ORIGIN, &PrivateKey::from_seed([1; 32])).ok().unwrap()
    }

    #[test]
    fn a_checkpoint_opens_as_it_was_signed() {
        for (size, root) in [(0, EMPTY_ROOT), (1, [3; 32]), (SIZE_MAX, [4; 32])] {
            let note = signer().sign_checkpoint(size, &root);
            let want = Checkpoint { origin: ORIGIN.into(), size, root };
            assert_eq!(Checkpoint::open(&note, signer().verifier_key()), Ok(want));
            assert_eq!(claimed_origin(&note), Some(ORIGIN));
        }
    }

    #[test]
    fn signed_texts_that_are_no_checkpoint_are_refused() {
        let root = encode_hash(&[3; 32]);
        let check = |text: String, want: &str| {
            let note = signer().sign(&text).unwrap();
            let found = Checkpoint::open(&note, signer().verifier_key()).unwrap_err();
            assert_eq!(found.to_string(), want, "{text:?}");
        };
        let three = "malformed note: a checkpoint has three lines";
        check(format!("{ORIGIN}\n1\n"), three);
        check(format!("{ORIGIN}\n1\n{root}\nextension\n"), three);
        check(format!("{ORIGIN}\n1\n{root}\n\n"), three);
        check(format!("\n1\n{root}\n"), "malformed note: checkpoint without origin");
        for size in ["", "-1", "01", "1 ", "9223372036854775808"] {
            check(format!("{ORIGIN}\n{size}\n{root}\n"), "malformed note: checkpoint size");
        }
        check(format!("{ORIGIN}\n1\nAAAA\n"), "malformed note: checkpoint root");
        check(format!("{ORIGIN}\n0\n{root}\n"), "malformed note: checkpoint root");
        let other = format!("checkpoint is of log `other`, not `{ORIGIN}`");
        check(format!("other\n1\n{root}\n"), &other);
    }

    #[test]
    fn a_cosignature_tells_its_time_and_covers_all() {
        let cosigner = Cosigner::new("sink.example", &PrivateKey::from_seed([2; 32])).ok().unwrap();
        let note = signer().sign_checkpoint(5, &[3; 32]);
        let checkpoint = Checkpoint::open(&note, signer().verifier_key()).unwrap();
        let line = cosigner.cosign(&checkpoint, 1_795_262_951);
        let key = cosigner.verifier_key();

        let cosigned = note.clone() + &line;
        assert_eq!(Note::parse(&cosigned).unwrap().cosigned(key), Ok(1_795_262_951));
        assert_eq!(Checkpoint::open(&cosigned, signer().verifier_key()), Ok(checkpoint.clone()));
        let twice = cosigned.clone() + &cosigner.cosign(&checkpoint, 1_795_262_999);
        assert_eq!(Note::parse(&twice).unwrap().cosigned(key), Ok(1_795_262_999));

        let unsigned = Err(NoteError::Unsigned("sink.example".into()));
        assert_eq!(Note::parse(&note).unwrap().cosigned(key), unsigned);
        let wrong = Err(NoteError::WrongSignature("sink.example".into()));
        let elsewhere = signer().sign_checkpoint(6, &[3; 32]) + &line;
        assert_eq!(Note::parse(&elsewhere).unwrap().cosigned(key), wrong);
        for at in 0..cosigned.len() {
            let mut bytes = cosigned.as_bytes().to_vec();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else {
                continue;
            };
            let Ok(changed) = Note::parse(&changed) else {
                continue;
            };
            let of_ours_alone = at >= note.rfind("— ").unwrap() && at < note.len();
            assert!(changed.cosigned(key).is_err() || of_ours_alone, "byte {at}");
        }
    }
}
