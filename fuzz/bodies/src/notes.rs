//! Names, keys, notes, checkpoints, proofs, statements and tile paths: what is read has one
//! spelling, the one it was read from.

use ledger::{
    keys::{Chain, Origin, OriginPrefix},
    note::{self, Checkpoint, CosignerKey, Note, PrivateKey, Signer, VerifierKey},
    proof::{self, Proof},
    tiles::Tile,
};

const ROOT: &str = "audit.example/root";
const ISSUER: &str = "audit.example/eu1/issuer";

/// Reads the text as each of them.
pub fn notes(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    [names(text), keys(text), signed(text), proof(text), statements(text)].contains(&true)
}

fn names(text: &str) -> bool {
    let origin = Origin::parse(text).map(|origin| assert_eq!(origin.as_str(), text));
    let prefix = OriginPrefix::parse(text).map(|prefix| assert_eq!(prefix.as_str(), text));
    let tile = Tile::parse(text).map(|tile| assert_eq!(tile.to_string(), text));
    origin.is_ok() || prefix.is_ok() || tile.is_ok()
}

fn keys(text: &str) -> bool {
    let log = VerifierKey::parse(text).map(|key| assert_eq!(key.to_string(), text));
    let cosigner = CosignerKey::parse(text).map(|key| assert_eq!(key.to_string(), text));
    let private = PrivateKey::from_pem(text).map(|key| {
        let pem = key.to_pem();
        assert_eq!(PrivateKey::from_pem(&pem).expect("its own PEM").to_pem(), pem);
    });
    log.is_ok() || cosigner.is_ok() || private.is_ok()
}

/// As a note, as the text of one, and as the text of a checkpoint.
fn signed(text: &str) -> bool {
    let parsed = Note::parse(text).map(|note| {
        assert!(note.text().ends_with('\n') && text.starts_with(note.text()));
    });
    let name = note::claimed_origin(text).unwrap_or("log");
    let Ok(signer) = Signer::new(name, &PrivateKey::from_seed([1; 32])) else {
        return parsed.is_ok();
    };
    let Ok(note) = signer.sign(text) else { return parsed.is_ok() };
    assert_eq!(note::open(&note, signer.verifier_key()), Ok(text));
    if let Ok(checkpoint) = Checkpoint::open(&note, signer.verifier_key()) {
        assert_eq!((checkpoint.text().as_str(), checkpoint.origin.as_str()), (text, name));
        assert_eq!(signer.sign_checkpoint(checkpoint.size, &checkpoint.root), note);
        return true;
    }
    parsed.is_ok()
}

fn proof(text: &str) -> bool {
    let Ok(proof) = Proof::parse(text) else { return false };
    assert_eq!(proof::format(proof.index, &proof.path, proof.checkpoint), text);
    true
}

/// As an issuer's certificate and, after a blank line, an epoch's statement, both signed.
fn statements(text: &str) -> bool {
    let signer = |name, seed| Signer::new(name, &PrivateKey::from_seed([seed; 32])).expect("a key");
    let (root, issuer) = (signer(ROOT, 1), signer(ISSUER, 2));
    let Some((certificate, statement)) = text.split_once("\n\n") else { return false };
    let (Ok(certificate), Ok(statement)) =
        (root.sign(&format!("{certificate}\n")), issuer.sign(statement))
    else {
        return false;
    };
    let origin = statement.lines().nth(1).and_then(|line| line.strip_prefix("origin "));
    let Some(origin) = origin.and_then(|origin| Origin::parse(origin).ok()) else { return false };
    let Ok(chain) = Chain::open(root.verifier_key(), &certificate, &statement, &origin) else {
        return false;
    };
    assert_eq!((chain.origin(), chain.key().name()), (&origin, origin.as_str()));
    let validity = chain.validity();
    assert!(validity.not_before_s() < validity.not_after_s());
    assert!(validity.not_after_s() - validity.not_before_s() <= ledger::keys::EPOCH_S_MAX);
    true
}
