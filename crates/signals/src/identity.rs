//! Who asks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{IdentityFact, Token};

/// Who asks, and what is known of the credential that says so.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Identity {
    /// Cedar's principal.
    pub principal: Principal,
    /// The credential's fact.
    pub fact: IdentityFact,
    /// The token's fact.
    pub token: Token,
}

impl Identity {
    /// No credential came: the principal is `Anonymous`.
    pub fn anonymous() -> Self {
        Self {
            fact: IdentityFact { health: crate::Health::Ok, ..Default::default() },
            ..Default::default()
        }
    }

    /// A credential came and did not hold: `Anonymous`, with the reason as a fact that a
    /// guardrail refuses.
    pub fn unverified(health: crate::Health, issuer: &str, problem: &str) -> Self {
        Self {
            fact: IdentityFact {
                health,
                presented: true,
                verified: false,
                problem: problem.to_owned(),
                issuer: issuer.to_owned(),
            },
            ..Default::default()
        }
    }
}

/// The kinds of principal Cedar knows (`Portcullis::User`, …).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A service.
    Workload,
    /// The holder of an API key.
    ApiKey,
    /// Nobody known.
    #[default]
    Anonymous,
}

impl PrincipalKind {
    /// The Cedar type's name without its namespace.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Workload => "Workload",
            Self::ApiKey => "ApiKey",
            Self::Anonymous => "Anonymous",
        }
    }
}

/// Cedar's principal, whole, so that the event can ask the same question again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Principal {
    /// Its type.
    pub kind: PrincipalKind,
    /// `<issuer name in the configuration>|<sub>`, or `anonymous`.
    pub id: String,
    /// `<issuer name>|<group>`, sorted: the parents of type `Portcullis::Group`.
    pub groups: Vec<String>,
    /// Claims the configuration maps to attributes: Cedar tags of type `Set<String>`.
    pub attributes: BTreeMap<String, BTreeSet<String>>,
}

impl Default for Principal {
    fn default() -> Self {
        Self {
            kind: PrincipalKind::Anonymous,
            id: "anonymous".to_owned(),
            groups: Vec::new(),
            attributes: BTreeMap::new(),
        }
    }
}
