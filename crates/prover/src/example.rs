//! One request that shows a difference: made small, and what the authorizer says to it.
//!
//! What a solver or a search comes with holds many values that do not matter. Each is taken away
//! or made that of a plain request, and stays so if the authorizer still shows the difference.

use std::collections::BTreeMap;
use std::fmt;

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, Schema};
use serde::Serialize;
use serde_json::{Map, Value, json};
use verdict::proof::MadeUp;
use verdict::{Basis, Decision, Policies};

/// A request, and what the authorizer answers to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// Who asks: Cedar's JSON, with all ancestors as parents.
    pub principal: Value,
    /// What they want to do.
    pub action: String,
    /// What they want to do it to.
    pub resource: Value,
    /// The facts that matter, `waf.score` to its value in Cedar's JSON. The others are those of a
    /// plain request.
    pub facts: BTreeMap<String, Value>,
    /// The answer of each set that was asked, by what the set is called.
    pub answers: BTreeMap<&'static str, Answer>,
}

/// What the authorizer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// `allow` or `deny`.
    pub decision: Decision,
    /// The policies that it is of; none if nothing permits.
    pub by: Vec<String>,
}

impl From<Basis> for Answer {
    fn from(basis: Basis) -> Self {
        Self { decision: basis.decision, by: basis.determining }
    }
}

/// A request as JSON, to change things in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    pub(crate) principal: Value,
    pub(crate) action: EntityUid,
    pub(crate) resource: Value,
    pub(crate) context: Value,
}

impl Draft {
    /// Of what a solver found.
    pub(crate) fn of(request: &Request, entities: &Entities) -> Option<Self> {
        let entity = |uid: &EntityUid| {
            let entity = entities.get(uid).cloned();
            entity_json(&entity.unwrap_or_else(|| Entity::with_uid(uid.clone())), entities)
        };
        Some(Self {
            principal: entity(request.principal()?)?,
            action: request.action()?.clone(),
            resource: entity(request.resource()?)?,
            context: request.context()?.to_json_value().ok()?,
        })
    }

    /// As it is put to a set.
    pub(crate) fn made(&self, schema: &Schema) -> Option<MadeUp> {
        let entity = |json: &Value| Entity::from_json_value(json.clone(), Some(schema)).ok();
        let context =
            Context::from_json_value(self.context.clone(), Some((schema, &self.action))).ok()?;
        Some(MadeUp {
            principal: entity(&self.principal)?,
            action: self.action.clone(),
            resource: entity(&self.resource)?,
            context,
        })
    }

    /// The smallest draft near this one that still `shows` it.
    pub(crate) fn small(self, plain: &Value, shows: impl Fn(&Self) -> bool) -> Self {
        let mut small = self;
        let mut attempt = |change: &dyn Fn(&mut Self)| {
            let mut other = small.clone();
            change(&mut other);
            if other != small && shows(&other) {
                small = other;
            }
        };
        attempt(&|draft| draft.context = plain.clone());
        for pointer in leaves(plain).keys() {
            attempt(&|draft| {
                if let (Some(to), Some(from)) =
                    (draft.context.pointer_mut(pointer), plain.pointer(pointer))
                {
                    *to = from.clone();
                }
            });
        }
        attempt(&|draft| renamed(draft, true, "corp|someone"));
        attempt(&|draft| renamed(draft, false, "one"));
        small.less(shows)
    }

    /// Without the parents, attributes and tags that do not matter. A resource stays in its API:
    /// there is none without.
    fn less(mut self, shows: impl Fn(&Self) -> bool) -> Self {
        for (of, key) in [
            ("principal", "parents"),
            ("principal", "tags"),
            ("resource", "attrs"),
            ("resource", "parents"),
            ("resource", "tags"),
        ] {
            let mut at = 0;
            loop {
                let mut other = self.clone();
                let entity =
                    if of == "principal" { &mut other.principal } else { &mut other.resource };
                match without(entity, key, at) {
                    None => break,
                    Some(true) if shows(&other) => self = other,
                    Some(_) => at += 1,
                }
            }
        }
        self
    }

    /// For a reader: the facts that are not those of a plain request, and those that `read` names.
    pub(crate) fn example(
        &self,
        plain: &Value,
        read: impl Fn(&str) -> bool,
        answers: BTreeMap<&'static str, Answer>,
    ) -> Example {
        let plain = leaves(plain);
        let matter = |pointer: &str, value: &Value| {
            plain.get(pointer) != Some(value) || read(&dotted(pointer))
        };
        let facts = leaves(&self.context).into_iter().filter(|(at, value)| matter(at, value));
        Example {
            principal: self.principal.clone(),
            action: self.action.to_string(),
            resource: self.resource.clone(),
            facts: facts.map(|(pointer, value)| (dotted(&pointer), value)).collect(),
            answers,
        }
    }
}

/// An entity in Cedar's JSON, with all its ancestors as parents.
pub(crate) fn entity_json(entity: &Entity, entities: &Entities) -> Option<Value> {
    let mut json = entity.to_json_value().ok()?;
    if let Some(above) = entities.ancestors(&entity.uid()) {
        let mut parents: Vec<_> = above.collect();
        parents.sort();
        let parents = parents.into_iter().map(uid_json);
        json.as_object_mut()?.insert("parents".to_owned(), parents.collect());
    }
    Some(json)
}

pub(crate) fn uid_json(uid: &EntityUid) -> Value {
    json!({"type": uid.type_name().to_string(), "id": uid.id().unescaped()})
}

/// Every field of every fact, by its JSON pointer.
fn leaves(context: &Value) -> BTreeMap<String, Value> {
    let facts = context.as_object().into_iter().flatten();
    let fields = facts.flat_map(|(fact, fields)| {
        let fields = fields.as_object().into_iter().flatten();
        fields.map(move |(field, value)| (format!("/{fact}/{field}"), value.clone()))
    });
    fields.collect()
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// Takes the `at`th part of an entity's `key` away: `None` if there are no more, `Some(false)` if
/// it has to stay.
fn without(entity: &mut Value, key: &str, at: usize) -> Option<bool> {
    match entity.get_mut(key)? {
        Value::Array(parts) => {
            let part = parts.get(at)?;
            let stays = part.get("type").and_then(Value::as_str) == Some("Portcullis::Api");
            if !stays {
                parts.remove(at);
            }
            Some(!stays)
        }
        Value::Object(parts) => {
            let name = parts.keys().nth(at)?.clone();
            parts.remove(&name);
            Some(true)
        }
        _ => None,
    }
}

/// Gives the principal or the resource another id, wherever it is named.
fn renamed(draft: &mut Draft, principal: bool, id: &str) {
    let entity = if principal { &draft.principal } else { &draft.resource };
    let Some(from) = entity.get("uid").cloned() else { return };
    let mut to = from.clone();
    if let Some(uid) = to.as_object_mut() {
        uid.insert("id".to_owned(), json!(id));
    }
    for part in [&mut draft.principal, &mut draft.resource] {
        replace(part, &from, &to);
    }
}

fn replace(within: &mut Value, from: &Value, to: &Value) {
    let names = |value: &Value| {
        let named = value.get("__entity").unwrap_or(value);
        named.get("type") == from.get("type") && named.get("id") == from.get("id")
    };
    match within {
        Value::Object(_) if names(within) => *within = to.clone(),
        Value::Object(parts) => parts.values_mut().for_each(|part| replace(part, from, to)),
        Value::Array(parts) => parts.iter_mut().for_each(|part| replace(part, from, to)),
        _ => {}
    }
}

/// What a set says to a draft, read by that schema.
pub(crate) fn answer(set: &Policies, asked: &MadeUp) -> Option<Answer> {
    set.judge(asked).map(Answer::from)
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  principal {}", entity_text(&self.principal))?;
        writeln!(f, "  resource  {}", entity_text(&self.resource))?;
        for (name, value) in &self.facts {
            writeln!(f, "  context   {name} = {}", value_text(value))?;
        }
        for (set, Answer { decision, by }) in &self.answers {
            let word = match decision {
                Decision::Allow => "allows",
                Decision::Deny => "refuses",
            };
            let by = if by.is_empty() { "nothing permits it".to_owned() } else { by.join(", ") };
            writeln!(f, "  {set:<9} {word}: {by}")?;
        }
        Ok(())
    }
}

fn uid_text(json: &Value) -> Option<String> {
    let (kind, id) = (json.get("type")?.as_str()?, json.get("id")?.as_str()?);
    Some(format!("{kind}::\"{}\"", id.escape_debug()))
}

/// `Portcullis::User::"corp|alice" in [Portcullis::Role::"customer"]`
fn entity_text(json: &Value) -> String {
    let mut text = json.get("uid").and_then(uid_text).unwrap_or_default();
    let parents = json.get("parents").and_then(Value::as_array).into_iter().flatten();
    let parents: Vec<String> = parents.filter_map(uid_text).collect();
    if !parents.is_empty() {
        text.push_str(&format!(" in [{}]", parents.join(", ")));
    }
    let none = Map::new();
    for (key, word) in [("attrs", ""), ("tags", " tags")] {
        let fields = json.get(key).and_then(Value::as_object).unwrap_or(&none);
        let fields = fields.iter().map(|(name, value)| format!("{name}: {}", value_text(value)));
        let fields: Vec<String> = fields.collect();
        if !fields.is_empty() {
            text.push_str(&format!("{word} {{ {} }}", fields.join(", ")));
        }
    }
    text
}

/// A value as Cedar text.
fn value_text(value: &Value) -> String {
    let entity = value.get("__entity").unwrap_or(value);
    if let Some(uid) = uid_text(entity) {
        return uid;
    }
    if let Some(call) = value.get("__extn") {
        let part = |name| call.get(name).map(value_text).unwrap_or_default();
        return format!("{}({})", part("fn").trim_matches('"'), part("arg"));
    }
    match value {
        Value::Array(parts) => {
            format!("[{}]", parts.iter().map(value_text).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
