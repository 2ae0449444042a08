//! Pseudonyms: what stands for a person or a thing in the record, and in the question that policy
//! is asked, so that a recorded question has the same answer when it is asked again.
//!
//! They are keyed: without the key nobody can try guesses. With one key, one name always has one
//! pseudonym. Deliberately no way back: who has the key can make a pseudonym and look for it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use signals::{Identity, PrincipalKind};

/// Bytes of a key, at least.
pub const KEY_BYTES_MIN: usize = 32;

/// Bytes of the HMAC that a pseudonym shows.
const SHOWN_BYTES: usize = 16;

/// Makes pseudonyms. The key cannot be shown.
pub struct Pseudonyms(hmac::Key);

impl Pseudonyms {
    /// With a key of at least [`KEY_BYTES_MIN`] bytes; `None` if it is shorter.
    pub fn new(key: &[u8]) -> Option<Self> {
        (key.len() >= KEY_BYTES_MIN).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    /// `~` and 22 characters of base64url for a path's parameter, decoded.
    pub fn parameter(&self, value: &str) -> String {
        self.make(b"parameter\0", value)
    }

    /// The same for a principal's id, behind the issuer's name: `corp|~…`.
    pub fn subject(&self, id: &str) -> String {
        match id.split_once('|') {
            Some((issuer, _)) => format!("{issuer}|{}", self.make(b"subject\0", id)),
            None => self.make(b"subject\0", id),
        }
    }

    /// A person under a pseudonym; services and nobody as they are. A client that is named as the
    /// person is gets the pseudonym as well.
    pub fn identity(&self, identity: &Identity) -> Identity {
        let mut shown = identity.clone();
        if identity.principal.kind != PrincipalKind::User {
            return shown;
        }
        let id = &identity.principal.id;
        shown.principal.id = self.subject(id);
        if id.split_once('|').is_some_and(|(_, subject)| subject == identity.token.client) {
            shown.token.client.clone_from(&shown.principal.id);
        }
        shown
    }

    fn make(&self, purpose: &[u8], value: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose);
        context.update(value.as_bytes());
        let tag = context.sign();
        let shown = tag.as_ref().get(..SHOWN_BYTES).unwrap_or_default();
        format!("~{}", URL_SAFE_NO_PAD.encode(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonyms(key: u8) -> Pseudonyms {
        Pseudonyms::new(&[key; KEY_BYTES_MIN]).unwrap()
    }

    #[test]
    fn a_key_has_a_length() {
        assert!(Pseudonyms::new(&[0; KEY_BYTES_MIN - 1]).is_none());
        assert!(Pseudonyms::new(&[0; KEY_BYTES_MIN]).is_some());
    }

    #[test]
    fn one_name_has_one_pseudonym_for_a_key_and_a_purpose() {
        let made = pseudonyms(1).parameter("o-1001");
        // HMAC-SHA256, as any other program computes it
        assert_eq!(made, "~sqYYCJEV6CKBHHe8JmAKBw");
        assert_eq!(made, pseudonyms(1).parameter("o-1001"));
        assert_ne!(made, pseudonyms(1).parameter("o-1002"));
        assert_ne!(made, pseudonyms(2).parameter("o-1001"));
        assert_ne!(made, pseudonyms(1).subject("o-1001"));
        assert!(pseudonyms(1).subject("corp|alice").starts_with("corp|~"));
        let [a, b] = ["a|alice", "b|alice"].map(|id| pseudonyms(1).subject(id));
        assert_ne!(a.strip_prefix("a|"), b.strip_prefix("b|"));
    }

    #[test]
    fn a_person_is_nowhere_in_what_is_shown() {
        let mut identity = Identity::default();
        identity.principal.id = "corp|alice".to_owned();
        identity.token.client = "alice".to_owned();
        assert_eq!(pseudonyms(1).identity(&identity), identity, "nobody known");
        identity.principal.kind = PrincipalKind::Workload;
        assert_eq!(pseudonyms(1).identity(&identity), identity, "a service");
        identity.principal.kind = PrincipalKind::User;
        let shown = pseudonyms(1).identity(&identity);
        assert!(!format!("{shown:?}").contains("alice"), "{shown:?}");
        identity.token.client = "shop".to_owned();
        assert_eq!(pseudonyms(1).identity(&identity).token.client, "shop");
    }
}
