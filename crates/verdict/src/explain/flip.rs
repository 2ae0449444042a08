//! Changes of one attribute that turn an answer, found among what the policies themselves name:
//! every text, number and attribute that their parts compare with, tried by asking again.
//!
//! Facts, groups and attributes of the principal are changed in the question. Roles of the
//! principal and attributes of the resource are changed in the catalogue, of which a changed copy
//! is loaded. Nothing is told that was not asked.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};
use signals::{Facts, Principal, PrincipalKind};

use super::{Explained, ExplainedPart};
use crate::decide::Policies;
use crate::outcome::Decision;
use crate::question::{Action, Resource};
use crate::source::Source;
use crate::trace;

/// Changes that are tried, and told, at most.
const TRIED_MAX: usize = 500;
const TOLD_MAX: usize = 5;

/// The file that declares what no other file does, in a changed copy.
const DECLARED: &str = "entities/explained.json";

/// One change, and the answer with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Flip {
    /// What is changed: `context.token.acr`, `principal in …`.
    pub attribute: String,
    /// As it is, as JSON; nothing, if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// As it would be.
    pub to: String,
    /// The policy that names it.
    pub policy: String,
}

/// What is asked, to be asked again with changes.
pub(super) struct Asked<'a> {
    pub(super) policies: &'a Policies,
    pub(super) source: &'a Source,
    pub(super) principal: &'a Principal,
    pub(super) action: &'a Action,
    pub(super) resource: &'a Resource,
    pub(super) facts: &'a Facts,
}

/// What to change.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// A fact's field, to JSON.
    Fact {
        fact: String,
        field: String,
        to: String,
    },
    Group(String),
    /// An attribute of the principal's credential.
    Tag {
        name: String,
        value: String,
    },
    /// A parent of the principal in the catalogue.
    Role {
        kind: String,
        id: String,
    },
    /// An attribute of the resource in the catalogue, to JSON.
    Attribute {
        name: String,
        to: String,
    },
}

impl Asked<'_> {
    /// The changes that turn `answer`, of all that these policies' parts suggest.
    pub(super) fn flips<'e>(
        &self,
        answer: Decision,
        explained: impl Iterator<Item = &'e Explained>,
    ) -> Vec<Flip> {
        let facts = serde_json::to_value(self.facts).unwrap_or_default();
        let mut changes: Vec<(Change, &str)> = Vec::new();
        for policy in explained {
            for part in &policy.parts {
                for change in self.suggested(part, &facts) {
                    if !changes.iter().any(|(known, _)| *known == change) {
                        changes.push((change, &policy.policy));
                    }
                }
            }
        }
        let turns = |change: &Change| self.with(change, &facts).is_some_and(|now| now != answer);
        changes
            .into_iter()
            .take(TRIED_MAX)
            .filter(|(change, _)| turns(change))
            .map(|(change, policy)| self.told(&change, policy, &facts))
            .take(TOLD_MAX)
            .collect()
    }

    /// Every change that could matter to a part; of a number's values, the nearest first.
    fn suggested(&self, part: &ExplainedPart, facts: &Value) -> Vec<Change> {
        let texts: BTreeSet<String> = trace::strings(&part.text).into_iter().collect();
        let mut changes = Vec::new();
        for (path, _) in &part.reads {
            let mut steps = path.split('.');
            match (steps.next(), steps.next(), steps.next()) {
                (Some("context"), Some(fact), Some(field)) => {
                    let Some(now) = facts.get(fact).and_then(|fact| fact.get(field)) else {
                        continue;
                    };
                    let to = values(now, &texts, part, facts).into_iter().map(|to| Change::Fact {
                        fact: fact.to_owned(),
                        field: field.to_owned(),
                        to: to.to_string(),
                    });
                    changes.extend(to);
                }
                (Some("resource"), Some(name), None) => {
                    changes.extend(self.attributes(name, &texts));
                }
                _ => {}
            }
        }
        for (kind, id) in trace::entities(&part.text) {
            match kind.as_str() {
                "Portcullis::Group" => changes.push(Change::Group(id)),
                "Portcullis::Role" => changes.push(Change::Role { kind, id }),
                _ => {}
            }
        }
        if part.text.contains("getTag") {
            for name in &texts {
                let values = texts.iter().filter(|value| *value != name);
                changes.extend(
                    values.map(|value| Change::Tag { name: name.clone(), value: value.clone() }),
                );
            }
        }
        changes
    }

    fn attributes(&self, name: &str, texts: &BTreeSet<String>) -> Vec<Change> {
        let mut values = vec![json!(true), json!(false)];
        values.extend(self.principal_json().map(|uid| json!({ "__entity": uid })));
        values.extend(texts.iter().map(|text| json!(text)));
        let change = |to: Value| Change::Attribute { name: name.to_owned(), to: to.to_string() };
        values.into_iter().map(change).collect()
    }

    /// The answer with a change; nothing, if that cannot be.
    fn with(&self, change: &Change, facts: &Value) -> Option<Decision> {
        let Self { policies, principal, action, resource, .. } = self;
        let ask = |policies: &Policies, principal: &Principal, facts: &Facts| {
            policies.ask(principal, action, resource, facts).basis.decision
        };
        match change {
            Change::Fact { fact, field, to } => {
                let mut changed = facts.clone();
                *changed.get_mut(fact)?.get_mut(field)? = serde_json::from_str(to).ok()?;
                let changed: Facts = serde_json::from_value(changed).ok()?;
                Some(ask(policies, principal, &changed))
            }
            Change::Group(group) => {
                let mut changed = (*principal).clone();
                changed.groups.push(group.clone());
                Some(ask(policies, &changed, self.facts))
            }
            Change::Tag { name, value } => {
                let mut changed = (*principal).clone();
                changed.attributes.insert(name.clone(), BTreeSet::from([value.clone()]));
                Some(ask(policies, &changed, self.facts))
            }
            Change::Role { kind, id } => {
                let parents = json!([{ "type": kind, "id": id }]);
                let changed = self.declare(&self.principal_json()?, |entity| {
                    extend(entity, "parents", parents);
                })?;
                Some(ask(&policies.reload(&changed).ok()?, principal, self.facts))
            }
            Change::Attribute { name, to } => {
                let to: Value = serde_json::from_str(to).ok()?;
                let uid = json!({ "type": resource.kind, "id": resource.id });
                let api = json!([{ "type": "Portcullis::Api", "id": resource.api }]);
                let changed = self.declare(&uid, |entity| {
                    if entity.get("parents").is_none() {
                        extend(entity, "parents", api);
                    }
                    if let Some(entity) = entity.as_object_mut() {
                        let attributes = entity.entry("attrs").or_insert_with(|| json!({}));
                        if let Some(attributes) = attributes.as_object_mut() {
                            attributes.insert(name.clone(), to);
                        }
                    }
                })?;
                Some(ask(&policies.reload(&changed).ok()?, principal, self.facts))
            }
        }
    }

    fn told(&self, change: &Change, policy: &str, facts: &Value) -> Flip {
        let policy = policy.to_owned();
        let (attribute, from, to) = match change {
            Change::Fact { fact, field, to } => {
                let from = facts.get(fact).and_then(|fact| fact.get(field));
                (format!("context.{fact}.{field}"), from.map(Value::to_string), to.clone())
            }
            Change::Group(group) => {
                let group = format!("Portcullis::Group::{}", json!(group));
                ("principal in".to_owned(), None, group)
            }
            Change::Tag { name, value } => {
                let from = self.principal.attributes.get(name).map(|values| json!(values));
                (
                    format!("principal tag {name}"),
                    from.map(|from| from.to_string()),
                    json!([value]).to_string(),
                )
            }
            Change::Role { kind, id } => {
                ("principal in".to_owned(), None, format!("{kind}::{}", json!(id)))
            }
            Change::Attribute { name, to } => (format!("resource.{name}"), None, cedar(to)),
        };
        Flip { attribute, from, to, policy }
    }

    fn principal_json(&self) -> Option<Value> {
        let kind = match self.principal.kind {
            PrincipalKind::Anonymous => return None,
            kind @ (PrincipalKind::User | PrincipalKind::Workload | PrincipalKind::ApiKey) => kind,
        };
        Some(json!({ "type": format!("Portcullis::{}", kind.as_str()), "id": self.principal.id }))
    }

    /// A copy of the source in which an entity is changed, or declared and changed.
    fn declare(&self, uid: &Value, change: impl FnOnce(&mut Value)) -> Option<Source> {
        let mut source = self.source.clone();
        for (path, text) in &mut source.files {
            if !path.starts_with("entities/") {
                continue;
            }
            let mut entities: Vec<Value> = serde_json::from_str(text).ok()?;
            if let Some(entity) = entities.iter_mut().find(|entity| is(entity, uid)) {
                change(entity);
                *text = Value::Array(entities).to_string();
                return Some(source);
            }
        }
        let mut entity = json!({ "uid": uid, "attrs": {} });
        change(&mut entity);
        source.files.insert(DECLARED.to_owned(), json!([entity]).to_string());
        Some(source)
    }
}

fn is(entity: &Value, uid: &Value) -> bool {
    let given = entity.get("uid").map(|given| given.get("__entity").unwrap_or(given));
    given.is_some_and(|given| {
        given.get("type") == uid.get("type") && given.get("id") == uid.get("id")
    })
}

fn extend(entity: &mut Value, field: &str, more: Value) {
    let Some(entity) = entity.as_object_mut() else { return };
    let all = entity.entry(field.to_owned()).or_insert_with(|| json!([]));
    if let (Some(all), Value::Array(more)) = (all.as_array_mut(), more) {
        all.extend(more);
    }
}

/// An entity in JSON, as Cedar writes it; everything else as it is.
fn cedar(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap_or_default();
    let part = |name: &str| value.get("__entity").and_then(|entity| entity.get(name));
    match (part("type").and_then(Value::as_str), part("id")) {
        (Some(kind), Some(id)) => format!("{kind}::{id}"),
        _ => json.to_owned(),
    }
}

/// What a value might be instead, nearest first.
fn values(
    now: &Value,
    texts: &BTreeSet<String>,
    part: &ExplainedPart,
    facts: &Value,
) -> Vec<Value> {
    match now {
        Value::Bool(is) => vec![json!(!is)],
        Value::String(now) => {
            texts.iter().filter(|text| *text != now).map(|text| json!(text)).collect()
        }
        Value::Number(_) => {
            let mut numbers: BTreeSet<i64> = trace::numbers(&part.text).into_iter().collect();
            numbers.extend(part.reads.iter().filter_map(|(path, _)| number(path, facts)));
            let near = numbers
                .iter()
                .flat_map(|number| [number.saturating_sub(1), *number, number.saturating_add(1)]);
            let mut near: Vec<i64> = near.collect::<BTreeSet<_>>().into_iter().collect();
            let now = now.as_i64().unwrap_or_default();
            near.retain(|value| *value != now);
            near.sort_by_key(|value| value.abs_diff(now));
            near.into_iter().map(|value| json!(value)).collect()
        }
        Value::Array(now) => {
            let with = texts.iter().map(|text| {
                let mut more = now.clone();
                more.push(json!(text));
                Value::Array(more)
            });
            with.chain((!now.is_empty()).then(|| json!([]))).collect()
        }
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

fn number(path: &str, facts: &Value) -> Option<i64> {
    let (fact, field) = path.strip_prefix("context.")?.split_once('.')?;
    facts.get(fact)?.get(field)?.as_i64()
}
