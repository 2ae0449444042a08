//! Proofs that travel with a record (C2SP tlog-proof, version 1): the leaf's index, its path, and
//! the checkpoint, as text.
//!
//! The optional `extra` line is refused: our records need none and nothing authenticates it.
//!
//! ```
//! use ledger::note::Signer;
//! use ledger::proof::{self, Proof};
//! use ledger::tlog::{Frontier, group_proofs, leaf_hash};
//!
//! let signer = Signer::generate("audit.acme.example/eu1/gw-a/1795262951123-0a1b2c3d")?;
//! let mut log = Frontier::new();
//! let group = [leaf_hash(b"first"), leaf_hash(b"second")];
//! let paths = group_proofs(&log, &group);
//! group.iter().for_each(|leaf| log.push(*leaf));
//! let checkpoint = signer.sign_checkpoint(log.size(), &log.root());
//! let text = proof::format(1, &paths[1], &checkpoint);
//!
//! let proof = Proof::parse(&text)?;
//! assert_eq!(proof.verify(b"second", signer.verifier_key())?.size, 2);
//! assert!(proof.verify(b"changed", signer.verifier_key()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt::Write as _;

use thiserror::Error;

use crate::note::{
    Checkpoint, NOTE_BYTES_MAX, NoteError, VerifierKey, decode_decimal, decode_hash, push_hash,
};
use crate::tlog::{Hash, PATH_MAX, leaf_hash, verify_inclusion};

/// Bytes of a proof, at most: the longest path and the longest note.
pub const PROOF_BYTES_MAX: usize = NOTE_BYTES_MAX + 64 + PATH_MAX * 45;

const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// Why a proof was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// Longer than [`PROOF_BYTES_MAX`], or its path longer than [`PATH_MAX`].
    #[error("proof is longer than `{PROOF_BYTES_MAX}` bytes or `{PATH_MAX}` hashes")]
    TooLarge,
    /// Not a proof.
    #[error("malformed proof: {0}")]
    Malformed(&'static str),
    /// The checkpoint does not open.
    #[error("checkpoint of the proof: {0}")]
    Checkpoint(#[from] NoteError),
    /// The value is not the leaf that the checkpoint commits to at this index.
    #[error("value is not leaf `{index}` of the log's first `{size}`")]
    NotIncluded {
        /// Index that the proof is for.
        index: u64,
        /// Size of the checkpoint.
        size: u64,
    },
}

/// A leaf's index and path, and the text of the checkpoint that they lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof<'a> {
    /// Index of the leaf, from 0.
    pub index: u64,
    /// From the leaf's sibling up to the root's child.
    pub path: Vec<Hash>,
    /// The signed checkpoint; it is not opened yet.
    pub checkpoint: &'a str,
}

impl<'a> Proof<'a> {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`ProofError::TooLarge`] or [`ProofError::Malformed`].
    pub fn parse(text: &'a str) -> Result<Self, ProofError> {
        if text.len() > PROOF_BYTES_MAX {
            return Err(ProofError::TooLarge);
        }
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(ProofError::Malformed("no blank line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEAD) {
            return Err(ProofError::Malformed("first line"));
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(decode_decimal).ok_or(ProofError::Malformed("index line"))?;
        let mut path = Vec::new();
        for line in lines {
            if path.len() == PATH_MAX {
                return Err(ProofError::TooLarge);
            }
            path.push(decode_hash(line).ok_or(ProofError::Malformed("path line"))?);
        }
        Ok(Self { index, path, checkpoint })
    }

    /// Verifies that `value` is the leaf that this proof is for, in the log that has this key.
    ///
    /// # Errors
    /// [`ProofError::Checkpoint`] or [`ProofError::NotIncluded`].
    pub fn verify(&self, value: &[u8], key: &VerifierKey) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::open(self.checkpoint, key)?;
        self.verify_in(&leaf_hash(value), &checkpoint)?;
        Ok(checkpoint)
    }

    /// The same for a leaf's hash, where the checkpoint has been opened before.
    ///
    /// # Errors
    /// [`ProofError::NotIncluded`].
    pub fn verify_in(&self, leaf: &Hash, checkpoint: &Checkpoint) -> Result<(), ProofError> {
        let Checkpoint { size, root, .. } = checkpoint;
        if verify_inclusion(self.index, *size, leaf, &self.path, root) {
            Ok(())
        } else {
            Err(ProofError::NotIncluded { index: self.index, size: *size })
        }
    }
}

/// The text form of a proof.
#[must_use]
pub fn format(index: u64, path: &[Hash], checkpoint: &str) -> String {
    let mut text = String::with_capacity(64 + path.len() * 45 + checkpoint.len());
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{HEAD}\nindex {index}");
    for hash in path {
        push_hash(&mut text, hash);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(checkpoint);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::note::{PrivateKey, SIGNATURES_MAX, Signer};
    use crate::tlog::Tree;

    fn signer() -> Signer {
        Signer::new("log.example/a", &PrivateKey::from_seed([1; 32])).ok().unwrap()
    }

    /// The proof of leaf `index` of the log of the values `0`, `1`, … in decimal.
    fn proof(index: u64, size: u64) -> String {
        let leaves: Vec<_> = (0..size).map(|n| leaf_hash(n.to_string().as_bytes())).collect();
        let tree = Tree::new(&leaves);
        let checkpoint = signer().sign_checkpoint(size, &tree.root(size).unwrap());
        format(index, &tree.inclusion_path(index, size).unwrap(), &checkpoint)
    }

    fn verify(proof: &str, value: &str) -> Result<Checkpoint, ProofError> {
        Proof::parse(proof)?.verify(value.as_bytes(), signer().verifier_key())
    }

    #[test]
    fn every_leaf_has_a_proof_that_holds_for_it_alone() {
        for size in 1..20 {
            for index in 0..size {
                let proof = proof(index, size);
                assert_eq!(verify(&proof, &index.to_string()).unwrap().size, size);
                let other = verify(&proof, &(index + 1).to_string());
                assert_eq!(other, Err(ProofError::NotIncluded { index, size }));
            }
        }
    }

    #[test]
    fn every_changed_byte_of_a_proof_is_refused() {
        for (index, size) in [(0, 1), (3, 7), (5, 8), (8, 9)] {
            let good = proof(index, size);
            for at in 0..good.len() {
                for flip in [0x01, 0x02, 0x20, 0x80] {
                    let mut bytes = good.as_bytes().to_vec();
                    bytes[at] ^= flip;
                    let Ok(changed) = String::from_utf8(bytes) else {
                        continue;
                    };
                    assert!(verify(&changed, &index.to_string()).is_err(), "byte {at} of {good}");
                }
            }
            for end in 0..good.len() {
                let Some(cut) = good.get(..end) else { continue };
                assert!(verify(cut, &index.to_string()).is_err(), "cut at {end}");
            }
        }
    }

    #[test]
    fn the_shape_is_strict() {
        let good = proof(3, 7);
        let check = |text: String, want: &str| {
            assert_eq!(Proof::parse(&text).unwrap_err().to_string(), want, "{text}");
        };
        check(String::new(), "malformed proof: no blank line");
        check(good.replace("@v1", "@v2"), "malformed proof: first line");
        check(good.replace("index", "extra AAAA\nindex"), "malformed proof: index line");
        check(good.replace("index 3", "index 03"), "malformed proof: index line");
        check(good.replace("index 3", "index  3"), "malformed proof: index line");
        check(good.replace("index 3\n", "index 3\nAAAA\n"), "malformed proof: path line");
        check(good.replace('\n', "\r\n"), "malformed proof: no blank line");
    }

    #[test]
    fn a_proof_has_limits() {
        let checkpoint = signer().sign_checkpoint(7, &[0; 32]);
        let longest = format(u64::MAX, &[[0; 32]; PATH_MAX], &checkpoint);
        assert_eq!(Proof::parse(&longest).unwrap().path.len(), PATH_MAX);
        let longer = format(0, &[[0; 32]; PATH_MAX + 1], &checkpoint);
        assert_eq!(Proof::parse(&longer), Err(ProofError::TooLarge));

        let line = checkpoint.rsplit_once("\n\n").unwrap().1;
        let many = checkpoint.clone() + &line.repeat(SIGNATURES_MAX);
        let proof = format(0, &[], &many);
        let refused = Proof::parse(&proof).unwrap().verify(b"", signer().verifier_key());
        assert_eq!(refused, Err(ProofError::Checkpoint(NoteError::TooLarge)));
        let padded = longest + &"\n".repeat(PROOF_BYTES_MAX);
        assert_eq!(Proof::parse(&padded), Err(ProofError::TooLarge));
    }

    proptest! {
        #[test]
        fn what_parses_is_written_the_same(
            index: u64, path in prop::collection::vec(any::<Hash>(), 0..=PATH_MAX),
        ) {
            let text = format(index, &path, "checkpoint");
            let want = Proof { index, path, checkpoint: "checkpoint" };
            prop_assert_eq!(Proof::parse(&text), Ok(want));
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in "(c2sp.org/tlog-proof@v1\nindex )?.{0,60}\n\n.{0,60}") {
            let _ = verify(&text, "");
        }
    }
}
