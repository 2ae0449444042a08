//! Made up requests, where no solver is at hand: from what the policies and the entities name.
//!
//! Bounded, and the same each time. A difference that it finds is one; that it finds none says
//! nothing.

use std::collections::BTreeSet;

use cedar_policy::{Entities, EntityUid, Policy, RequestEnv};
use serde_json::{Value, json};
use verdict::Policies;

use crate::example::{Draft, entity_json, uid_json};
use crate::weave::condition;

/// Most values of the context that one request has otherwise than a plain one.
const CHANGES_MAX: usize = 4;
const HEALTHS: [&str; 5] = ["ok", "skipped", "truncated", "malformed", "unavailable"];

/// What requests of one environment are made of.
pub(crate) struct Pool {
    env: RequestEnv,
    plain: Value,
    /// Where the policies read the context, as pointers.
    reads: Vec<String>,
    strings: Vec<String>,
    numbers: Vec<i64>,
    parents: Vec<Value>,
    principals: Vec<Value>,
    resources: Vec<Value>,
    dice: Dice,
}

impl Pool {
    /// Of what these policies name, and what the sets' entities are.
    pub(crate) fn of(
        env: &RequestEnv,
        plain: Value,
        policies: &[&Policy],
        sets: &[&Policies],
    ) -> Self {
        let texts: Vec<String> = policies.iter().map(|policy| condition(policy)).collect();
        let literals: BTreeSet<EntityUid> =
            policies.iter().flat_map(|policy| policy.entity_literals()).collect();
        let of_type = |kinds: &[&str]| -> Vec<Value> {
            let all = literals.iter();
            all.filter(|uid| kinds.contains(&uid.type_name().to_string().as_str()))
                .map(uid_json)
                .collect()
        };
        let who = env.principal().to_string();
        let resources: Vec<Value> = resources(env, sets, &of_type(&["Portcullis::Api"]));
        let mut principals = of_type(&[&who]);
        resources.iter().for_each(|resource| named(resource, &who, &mut principals));
        let id = if who == "Portcullis::Anonymous" { "anonymous" } else { "corp|someone" };
        principals.push(json!({"type": who, "id": id}));
        let is_anonymous = id == "anonymous";
        let parents = of_type(&["Portcullis::Role", "Portcullis::Group"]);
        Self {
            env: env.clone(),
            reads: reads(&plain, &texts),
            plain,
            strings: strings(&texts),
            numbers: numbers(&texts),
            parents: if is_anonymous { Vec::new() } else { parents },
            principals,
            resources,
            dice: Dice(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// One more request.
    pub(crate) fn draw(&mut self) -> Option<Draft> {
        let dice = &mut self.dice;
        let parents: Vec<Value> =
            self.parents.iter().filter(|_| dice.roll(3) == 0).cloned().collect();
        let principal = dice.of(&self.principals)?.clone();
        let mut context = self.plain.clone();
        for _ in 0..dice.roll(CHANGES_MAX + 1) {
            let Some(at) = dice.of(&self.reads) else { break };
            let Some(value) = context.pointer_mut(at) else { continue };
            let strings: Vec<String> = match at.ends_with("/health") {
                true => HEALTHS.map(str::to_owned).to_vec(),
                false => self.strings.clone(),
            };
            match value {
                Value::Bool(flag) => *flag = !*flag,
                Value::Number(_) => *value = json!(dice.of(&self.numbers)?),
                Value::String(_) => *value = json!(dice.of(&strings)?),
                Value::Array(set) => set.extend(dice.of(&strings).map(|text| json!(text))),
                Value::Null | Value::Object(_) => {}
            }
        }
        Some(Draft {
            principal: json!({"uid": principal, "attrs": {}, "parents": parents}),
            action: self.env.action().clone(),
            resource: dice.of(&self.resources)?.clone(),
            context,
        })
    }
}

/// The resources of the type that the entities have, and one that they do not have, in each API.
fn resources(env: &RequestEnv, sets: &[&Policies], apis: &[Value]) -> Vec<Value> {
    let mut resources: Vec<Value> = Vec::new();
    for set in sets {
        let known = set.known_resources(env.resource());
        resources.extend(known.iter().filter_map(|known| entity_json(known, &Entities::empty())));
    }
    let uid = json!({"type": env.resource().to_string(), "id": "one"});
    let bare = |api: &Value| json!({"uid": uid, "attrs": {}, "parents": [api]});
    resources.extend(apis.iter().map(bare));
    resources.sort_by_key(ToString::to_string);
    resources.dedup();
    resources
}

/// The entities of a type that a value names.
fn named(value: &Value, kind: &str, found: &mut Vec<Value>) {
    match value {
        Value::Object(parts) => {
            let is = parts.get("type").and_then(Value::as_str) == Some(kind);
            if is && !found.contains(value) {
                found.push(value.clone());
            }
            parts.values().for_each(|part| named(part, kind, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| named(part, kind, found)),
        _ => {}
    }
}

/// The fields of the context that the conditions name.
fn reads(plain: &Value, texts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (fact, fields) in plain.as_object().into_iter().flatten() {
        for field in fields.as_object().into_iter().flatten().map(|(field, _)| field) {
            if texts.iter().any(|text| is_read(text, &format!("{fact}.{field}"))) {
                found.push(format!("/{fact}/{field}"));
            }
        }
    }
    found
}

/// Whether a condition, as Cedar prints it, reads a field of the context.
pub(crate) fn is_read(condition: &str, dotted: &str) -> bool {
    let Some((fact, field)) = dotted.split_once('.') else { return false };
    condition.contains(&format!("(context[\"{fact}\"])[\"{field}\"]"))
        || condition.contains(&format!("context.{fact}.{field}"))
        || condition.contains(&format!("(context.{fact}).{field}"))
}

/// The literals, and one that none of them is.
fn strings(texts: &[String]) -> Vec<String> {
    let quoted = texts.iter().flat_map(|text| text.split('"').skip(1).step_by(2));
    let mut all: BTreeSet<String> = quoted.map(str::to_owned).collect();
    all.extend(["".to_owned(), "other".to_owned()]);
    all.into_iter().collect()
}

/// The literals and their neighbours.
fn numbers(texts: &[String]) -> Vec<i64> {
    let digits = |text: &String| {
        let words = text.split(|c: char| !c.is_ascii_digit()).map(str::to_owned);
        words.collect::<Vec<_>>()
    };
    let literals = texts.iter().flat_map(digits).filter_map(|word| word.parse::<i64>().ok());
    let near = literals.flat_map(|n| [n.saturating_sub(1), n, n.saturating_add(1)]);
    let mut all: BTreeSet<i64> = near.collect();
    all.extend([0, 1, i64::MAX]);
    all.into_iter().collect()
}

/// Numbers that look random and are the same each time (xorshift, by Marsaglia).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.roll(all.len()))
    }
}
