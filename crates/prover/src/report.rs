//! What a comparison comes to, for people and for tools.

use serde::Serialize;

use crate::environment::Environment;
use crate::example::Example;

/// Two sets, compared.
#[derive(Debug, Clone, Serialize)]
pub struct Diff {
    /// The policies that differ.
    pub changes: Vec<Change>,
    /// What also differs, and is no part of the comparison.
    pub notes: Vec<String>,
    /// What is not compared may allow more, or less: entities, and until when links hold.
    pub open: bool,
    /// Each environment of either schema, in order.
    pub environments: Vec<Compared>,
}

/// A policy that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// Its `@id`.
    pub policy: String,
    /// What became of it: `added`, `removed`, `changed`, or `until` if it is a link that ends at
    /// another time, `annotations` if it matches as before
    /// and only what it asks for is another.
    pub what: &'static str,
    /// It is in shadow, or was, and is compared where it decides alone.
    pub shadow: bool,
}

/// One environment, compared.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// The environment.
    #[serde(flatten)]
    pub environment: Environment,
    /// How the new set relates to the old one, as far as is known.
    pub relation: Relation,
    /// It is so for every request.
    pub proved: bool,
    /// Why it is proved without asking, or what is not known and why.
    pub why: Vec<String>,
    /// Which requests a proof does not speak of, if there are any.
    pub beyond: Option<String>,
    /// A request that only the new set allows.
    pub wider: Option<Example>,
    /// A request that only the old set allows.
    pub narrower: Option<Example>,
}

/// What the new set allows, beside the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The same.
    Equivalent,
    /// Less.
    Narrower,
    /// More.
    Wider,
    /// Other requests: some more, some less.
    Both,
    /// No difference is known, nor that there is none.
    Undecided,
}

impl Relation {
    /// The word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent",
            Self::Narrower => "narrower",
            Self::Wider => "wider",
            Self::Both => "both",
            Self::Undecided => "undecided",
        }
    }

    /// It allows something that the old set refuses.
    pub fn widens(self) -> bool {
        matches!(self, Self::Wider | Self::Both)
    }

    /// It refuses something that the old set allows.
    pub fn narrows(self) -> bool {
        matches!(self, Self::Narrower | Self::Both)
    }
}

impl Diff {
    /// Every environment is proved to be what it is said to be, and nothing that is not compared
    /// can make another of it.
    pub fn proved(&self) -> bool {
        !self.open && self.environments.iter().all(|compared| compared.proved)
    }

    /// How many environments are related like that.
    pub fn count(&self, relation: Relation) -> usize {
        self.environments.iter().filter(|compared| compared.relation == relation).count()
    }
}
