//! What is asked: who, what, on what, and in which circumstances.

use serde::{Deserialize, Serialize};
use signals::{Facts, Identity, Principal};

/// One question. Serialized, it is the event's `unmapped.question`: the principal, the action and
/// the resource; the context is the event's `unmapped.facts`.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: &'a Identity,
    /// What they want to do.
    pub action: &'a Action,
    /// What they want to do it to.
    pub resource: &'a Resource,
    /// What was seen of the request.
    pub context: &'a Facts,
}

impl Serialize for Question<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut question = serializer.serialize_struct("Question", 3)?;
        question.serialize_field("principal", &self.principal.principal)?;
        question.serialize_field("action", self.action)?;
        question.serialize_field("resource", self.resource)?;
        question.end()
    }
}

/// A [`Question`] as the event holds it, without its context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedQuestion {
    /// Who asked.
    pub principal: Principal,
    /// What they wanted to do.
    pub action: Action,
    /// What they wanted to do it to.
    pub resource: Resource,
}

/// An action: `<namespace>::Action::"<name>"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The schema namespace, `Orders`.
    pub namespace: String,
    /// The name, `read`.
    pub name: String,
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::Action::\"{}\"", self.namespace, self.name.escape_debug())
    }
}

/// A resource: `<kind>::"<id>"`, in `Portcullis::Api::"<api>"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// The entity type with its namespace, `Orders::Order`.
    pub kind: String,
    /// The id, often from the path.
    pub id: String,
    /// The API it belongs to, `orders`.
    pub api: String,
}
