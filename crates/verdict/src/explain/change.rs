//! One change of one attribute of a question, and the question with it: inputs as those of every
//! decision, of which one fact, one membership or one attribute is another.

use std::collections::BTreeSet;

use cedar_policy::{Entity, EntityUid};
use serde_json::{Value, json};
use signals::Facts;

use super::{Flip, Inquiry};
use crate::inputs::{InputError, Inputs};

/// What to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A fact's field.
    Fact { fact: String, field: String, to: Value },
    /// A claim of the principal's credential; none: without it.
    Tag { name: String, to: Option<BTreeSet<String>> },
    /// A group of the principal's credential.
    Group { id: String, joins: bool },
    /// What the catalogue puts the principal in.
    Within { uid: EntityUid, joins: bool },
    /// An attribute or tag of the resource in the catalogue, by its place there (`attrs`, `tags`);
    /// none: without it.
    Resource { path: Vec<String>, to: Option<Value> },
}

/// How large a change is: the smaller is told first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    Flag,
    Word,
    /// By the distance.
    Number(u64),
    Membership,
    /// The catalogue is a file that somebody has to edit; numbers by the distance.
    Catalogue(u64),
}

impl Size {
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Number(_) | Self::Catalogue(1..))
    }

    /// Of an attribute of the catalogue.
    pub(super) fn of_catalogue(self) -> Self {
        match self {
            Self::Number(distance) | Self::Catalogue(distance) => {
                Self::Catalogue(distance.saturating_add(1))
            }
            Self::Flag | Self::Word | Self::Membership => Self::Catalogue(0),
        }
    }
}

/// What a question is changed from.
#[derive(Debug)]
pub(super) struct Base<'a> {
    pub(super) inquiry: &'a Inquiry<'a>,
    /// The facts as JSON.
    pub(super) facts: Value,
    /// The resource as JSON, with all that it is in; nothing, if it cannot be written so.
    pub(super) resource: Value,
}

impl<'a> Base<'a> {
    pub(super) fn of(inquiry: &'a Inquiry<'a>) -> Self {
        let facts = serde_json::to_value(inquiry.facts).unwrap_or_default();
        Self { inquiry, facts, resource: resource(inquiry).unwrap_or_default() }
    }

    /// The question with a change, and when it is asked then. None, if there is no such change:
    /// the value is not one of its type, or it is so already.
    pub(super) fn with(&self, change: &Change) -> Result<Option<(Inputs, i64)>, InputError> {
        let Inquiry { policies, question, facts, asked, at_ms, .. } = self.inquiry;
        let (maker, principal) = (asked.maker(), &question.principal);
        let (who, what) = match change {
            Change::Fact { fact, field, to } => {
                let Some(changed) = self.fact(fact, field, to) else { return Ok(None) };
                let at_ms = policies.at_ms(changed.conn.received_ms);
                return Ok(Some((asked.changed(&changed, None, None)?, at_ms)));
            }
            Change::Tag { name, to } => {
                let mut changed = principal.clone();
                match to {
                    Some(to) => drop(changed.attributes.insert(name.clone(), to.clone())),
                    None => drop(changed.attributes.remove(name)),
                }
                (Some(maker.principal(&changed)?), None)
            }
            Change::Group { id, joins } => {
                let mut changed = principal.clone();
                changed.groups.retain(|group| group != id);
                changed.groups.extend(joins.then(|| id.clone()));
                (Some(maker.principal(&changed)?), None)
            }
            Change::Within { uid, joins } => {
                let above = maker.catalogue.above(uid).into_iter().flatten().cloned();
                let changed = maker.principal_changed(principal, |parents| match joins {
                    true => parents.extend([uid.clone()].into_iter().chain(above)),
                    false => parents.retain(|parent| parent != uid),
                })?;
                (Some(changed), None)
            }
            Change::Resource { path, to } => {
                let Some(changed) = self.resource(path, to.as_ref()) else { return Ok(None) };
                (None, Some(changed))
            }
        };
        Ok(Some((asked.changed(facts, who, what)?, *at_ms)))
    }

    fn fact(&self, fact: &str, field: &str, to: &Value) -> Option<Facts> {
        let mut changed = self.facts.clone();
        *changed.get_mut(fact)?.get_mut(field)? = to.clone();
        serde_json::from_value(changed).ok()
    }

    /// The resource with another value there, if the schema has it so.
    fn resource(&self, path: &[String], to: Option<&Value>) -> Option<Entity> {
        let mut changed = self.resource.clone();
        let (last, before) = path.split_last()?;
        let mut at = &mut changed;
        for step in before {
            at = at.as_object_mut()?.entry(step.clone()).or_insert_with(|| json!({}));
        }
        match to {
            Some(to) => drop(at.as_object_mut()?.insert(last.clone(), to.clone())),
            None => drop(at.as_object_mut()?.remove(last)?),
        }
        Entity::from_json_value(changed, Some(&self.inquiry.policies.schema)).ok()
    }

    /// What is there now.
    pub(super) fn there(&self, path: &[String]) -> Option<&Value> {
        path.iter().try_fold(&self.resource, |at, step| at.get(step))
    }

    /// How it is told; the policy is the one that names it.
    pub(super) fn told(&self, change: &Change, policy: &str) -> Flip {
        let (attribute, from, to) = match change {
            Change::Fact { fact, field, to } => {
                let from = self.facts.get(fact).and_then(|fact| fact.get(field));
                (
                    format!("context.{fact}.{field}"),
                    from.map(Value::to_string),
                    Some(to.to_string()),
                )
            }
            Change::Tag { name, to } => {
                let from = self.inquiry.question.principal.attributes.get(name);
                let text = |values: &BTreeSet<String>| json!(values).to_string();
                (format!("principal tag {name}"), from.map(text), to.as_ref().map(text))
            }
            Change::Group { id, joins } => within(&self.inquiry.asked.maker().group(id), *joins),
            Change::Within { uid, joins } => within(uid, *joins),
            Change::Resource { path, to } => {
                let name = match path.split_first() {
                    Some((first, rest)) if first == "tags" => format!("tag {}", rest.join(".")),
                    Some((_, rest)) => rest.join("."),
                    None => String::new(),
                };
                let of = if name.starts_with("tag ") { "resource " } else { "resource." };
                (format!("{of}{name}"), self.there(path).map(cedar), to.as_ref().map(cedar))
            }
        };
        Flip { attribute, from, to, policy: policy.to_owned() }
    }
}

fn within(uid: &EntityUid, joins: bool) -> (String, Option<String>, Option<String>) {
    let attribute = "principal in".to_owned();
    match joins {
        true => (attribute, None, Some(uid.to_string())),
        false => (attribute, Some(uid.to_string()), None),
    }
}

/// The resource with everything that it is in as its parents: no other entity is asked.
fn resource(inquiry: &Inquiry<'_>) -> Option<Value> {
    let entity = inquiry.asked.resource().ok()?;
    let mut json = entity.to_json_value().ok()?;
    let above = inquiry.inputs.store.ancestors(&entity.uid()).into_iter().flatten();
    let parents: Vec<Value> = above
        .map(|uid| json!({ "type": uid.type_name().to_string(), "id": uid.id().unescaped() }))
        .collect();
    json.as_object_mut()?.insert("parents".to_owned(), Value::Array(parents));
    Some(json)
}

/// An entity in JSON, as Cedar writes it; everything else as it is.
fn cedar(json: &Value) -> String {
    let part = |name: &str| json.get("__entity").unwrap_or(json).get(name).and_then(Value::as_str);
    match (part("type"), part("id")) {
        (Some(kind), Some(id)) => format!("{kind}::{}", json!(id)),
        _ => json.to_string(),
    }
}
