//! The texts of the two statements, written and strictly read.

use super::{EPOCH_S_MAX, KeyError, Link, Origin, OriginPrefix};
use crate::note::{VerifierKey, decode_decimal};

/// First and last second, since 1970, at which a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    not_before_s: u64,
    not_after_s: u64,
}

impl Validity {
    /// Both ends are part of it.
    ///
    /// # Errors
    /// [`KeyError::Validity`] if the end is not after the beginning.
    pub fn new(not_before_s: u64, not_after_s: u64) -> Result<Self, KeyError> {
        if not_before_s < not_after_s {
            Ok(Self { not_before_s, not_after_s })
        } else {
            Err(KeyError::Validity("a validity ends after it begins"))
        }
    }

    /// First second.
    #[must_use]
    pub fn not_before_s(&self) -> u64 {
        self.not_before_s
    }

    /// Last second.
    #[must_use]
    pub fn not_after_s(&self) -> u64 {
        self.not_after_s
    }

    /// Whether a key may be used at this time.
    ///
    /// # Errors
    /// [`KeyError::NotValidAt`].
    pub fn check(&self, time_s: u64) -> Result<(), KeyError> {
        let Self { not_before_s, not_after_s } = *self;
        if (not_before_s..=not_after_s).contains(&time_s) {
            Ok(())
        } else {
            Err(KeyError::NotValidAt { not_before_s, not_after_s, time_s })
        }
    }

    pub(super) fn lies_within(&self, outer: &Self) -> bool {
        outer.not_before_s <= self.not_before_s && self.not_after_s <= outer.not_after_s
    }

    fn span_s(&self) -> u64 {
        self.not_after_s - self.not_before_s
    }
}

/// What the root says of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IssuerStatement {
    pub(super) prefix: OriginPrefix,
    pub(super) key: VerifierKey,
    pub(super) validity: Validity,
}

/// What an issuer says of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EpochStatement {
    pub(super) origin: Origin,
    pub(super) key: VerifierKey,
    pub(super) validity: Validity,
}

impl IssuerStatement {
    const HEAD: &str = "portcullis-issuer-key/v1";

    pub(super) fn text(&self) -> String {
        text(Self::HEAD, "prefix", self.prefix.as_str(), &self.key, &self.validity)
    }

    pub(super) fn parse(text: &str) -> Result<Self, KeyError> {
        let mut fields = Fields::of(text, Link::Issuer);
        fields.head(Self::HEAD)?;
        let prefix = fields.next("prefix", |value| OriginPrefix::parse(value).ok())?;
        let (key, validity) = fields.key_and_validity()?;
        Ok(Self { prefix, key, validity })
    }
}

impl EpochStatement {
    const HEAD: &str = "portcullis-epoch-key/v1";

    /// # Errors
    /// [`KeyError::OtherOrigin`] if the key is not named as the origin, [`KeyError::Validity`] if
    /// it would be valid for longer than [`EPOCH_S_MAX`].
    pub(super) fn new(
        origin: Origin,
        key: VerifierKey,
        validity: Validity,
    ) -> Result<Self, KeyError> {
        if key.name() != origin.as_str() {
            let wanted = origin.to_string();
            return Err(KeyError::OtherOrigin { wanted, found: key.name().to_owned() });
        }
        if validity.span_s() > EPOCH_S_MAX {
            return Err(KeyError::Validity("an epoch key is valid for 25 hours at most"));
        }
        Ok(Self { origin, key, validity })
    }

    pub(super) fn text(&self) -> String {
        text(Self::HEAD, "origin", self.origin.as_str(), &self.key, &self.validity)
    }

    pub(super) fn parse(text: &str) -> Result<Self, KeyError> {
        let mut fields = Fields::of(text, Link::Epoch);
        fields.head(Self::HEAD)?;
        let origin = fields.next("origin", |value| Origin::parse(value).ok())?;
        let (key, validity) = fields.key_and_validity()?;
        Self::new(origin, key, validity)
    }
}

fn text(head: &str, field: &str, value: &str, key: &VerifierKey, validity: &Validity) -> String {
    let Validity { not_before_s, not_after_s } = validity;
    format!(
        "{head}\n{field} {value}\nkey {key}\nnot-before {not_before_s}\nnot-after {not_after_s}\n"
    )
}

/// The lines of a statement, taken in order.
struct Fields<'a> {
    lines: std::str::Split<'a, char>,
    link: Link,
}

impl<'a> Fields<'a> {
    fn of(text: &'a str, link: Link) -> Self {
        Self { lines: text.split('\n'), link }
    }

    fn head(&mut self, expected: &'static str) -> Result<(), KeyError> {
        if self.lines.next() == Some(expected) { Ok(()) } else { Err(self.missing(expected)) }
    }

    fn next<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, KeyError> {
        let line = self.lines.next();
        let value = line.and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(parse).ok_or_else(|| self.missing(name))
    }

    /// The fields that both statements end with.
    fn key_and_validity(&mut self) -> Result<(VerifierKey, Validity), KeyError> {
        let key = self.next("key", |value| VerifierKey::parse(value).ok())?;
        let not_before_s = self.next("not-before", decode_decimal)?;
        let not_after_s = self.next("not-after", decode_decimal)?;
        if self.lines.next() != Some("") || self.lines.next().is_some() {
            return Err(self.missing("end"));
        }
        Ok((key, Validity::new(not_before_s, not_after_s)?))
    }

    fn missing(&self, expected: &'static str) -> KeyError {
        KeyError::Statement { link: self.link, expected }
    }
}
