//! What might be changed, read off a part of a policy: every text, number, entity and attribute
//! that it compares with, beside what is there now.
//!
//! It proposes; whether a value is one of its type, and what would come of it, is asked.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cedar_policy::EntityUid;
use serde_json::{Value, json};
use signals::{Health, PrincipalKind};

use super::ExplainedPart;
use super::change::{Base, Change, Size};
use crate::trace;

/// What a part compares with.
struct Literals {
    texts: BTreeSet<String>,
    numbers: BTreeSet<i64>,
    entities: BTreeSet<EntityUid>,
}

/// Every change that could matter to a part.
pub(super) fn suggested(base: &Base<'_>, part: &ExplainedPart) -> Vec<(Size, Change)> {
    let literals = Literals::of(part);
    let mut changes = Vec::new();
    for (path, _) in &part.reads {
        let steps: Vec<&str> = path.split('.').collect();
        match steps.as_slice() {
            ["context", fact, field] => changes.extend(literals.of_fact(base, fact, field)),
            ["resource", name @ ..] => {
                let path = ["attrs"].iter().chain(name).map(|step| (*step).to_owned());
                changes.extend(literals.of_resource(base, path.collect()));
            }
            _ => {}
        }
    }
    for (of, name) in trace::tags(&part.text) {
        match of {
            "resource" => {
                changes.extend(literals.of_resource(base, vec!["tags".to_owned(), name]));
            }
            "principal" => changes.extend(literals.of_tag(base, &name)),
            _ => {}
        }
    }
    changes.extend(literals.memberships(base));
    changes
}

impl Literals {
    fn of(part: &ExplainedPart) -> Self {
        let values = || part.reads.iter().filter_map(|(_, value)| value.as_deref());
        let mut texts = BTreeSet::new();
        for text in trace::strings(&part.text).into_iter().chain(values().flat_map(trace::strings))
        {
            // As a pattern of `like`, it may stand for itself without its stars.
            texts.extend(text.contains('*').then(|| text.replace('*', "")));
            // As a range of addresses, its first is in it.
            let address = text.split_once('/').filter(|(ip, _)| ip.parse::<IpAddr>().is_ok());
            texts.extend(address.map(|(ip, _)| ip.to_owned()));
            texts.insert(text);
        }
        let mut numbers: BTreeSet<i64> = trace::numbers(&part.text).into_iter().collect();
        numbers.extend(values().filter_map(|value| value.parse::<i64>().ok()));
        if trace::calculates(&part.text) {
            let all: Vec<i64> = numbers.iter().copied().collect();
            let pairs = all.iter().flat_map(|one| all.iter().map(move |two| (*one, *two)));
            numbers.extend(
                pairs.flat_map(|(one, two)| [one.saturating_add(two), one.saturating_sub(two)]),
            );
        }
        let named = [part.text.as_str()].into_iter().chain(values()).flat_map(trace::entities);
        let entities = named.filter_map(|(kind, id)| {
            let kind = kind.parse().ok()?;
            Some(EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(id)))
        });
        Self { texts, numbers, entities: entities.collect() }
    }

    fn of_fact(&self, base: &Base<'_>, fact: &str, field: &str) -> Vec<(Size, Change)> {
        let Some(now) = base.facts.get(fact).and_then(|fact| fact.get(field)) else {
            return Vec::new();
        };
        let mut values = self.instead(now);
        if field == "health" {
            values = Health::ALL.map(|word| (Size::Word, json!(word.as_str()))).into();
        }
        let change = |(size, to)| {
            let change = Change::Fact { fact: fact.to_owned(), field: field.to_owned(), to };
            (size, change)
        };
        values.into_iter().map(change).collect()
    }

    /// The values of a claim: with and without each text, or not there at all.
    fn of_tag(&self, base: &Base<'_>, name: &str) -> Vec<(Size, Change)> {
        let principal = &base.inquiry.question.principal;
        if principal.kind == PrincipalKind::Anonymous {
            return Vec::new();
        }
        let now = principal.attributes.get(name);
        let mut sets: Vec<Option<BTreeSet<String>>> = Vec::new();
        sets.extend(now.map(|_| None));
        sets.extend(now.is_none().then(|| Some(BTreeSet::new())));
        for text in self.texts.iter().filter(|text| *text != name) {
            let mut set = now.cloned().unwrap_or_default();
            if !set.remove(text) {
                sets.push(Some([text.clone()].into()));
                set.insert(text.clone());
            }
            sets.push(Some(set));
        }
        let change = |to| (Size::Word, Change::Tag { name: name.to_owned(), to });
        sets.into_iter().map(change).collect()
    }

    /// Groups and roles that the principal could be in, or be in no more.
    fn memberships(&self, base: &Base<'_>) -> Vec<(Size, Change)> {
        let asked = &base.inquiry.asked;
        let (maker, principal) = (asked.maker(), &base.inquiry.question.principal);
        if principal.kind == PrincipalKind::Anonymous {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for uid in &self.entities {
            let is_group = *uid.type_name() == *maker.group("").type_name();
            if !is_group && *uid.type_name() != maker.types.role {
                continue;
            }
            let id = || uid.id().unescaped().to_owned();
            let is_in = base.inquiry.inputs.store.is_ancestor_of(uid, &asked.principal().uid());
            match (is_in, is_group) {
                (false, true) => changes.push(Change::Group { id: id(), joins: true }),
                (false, false) => changes.push(Change::Within { uid: uid.clone(), joins: true }),
                (true, _) => {
                    let leads = |group: &&String| {
                        let group = maker.group(group);
                        group == *uid || maker.catalogue.ancestors(&group).contains(uid)
                    };
                    let through = principal.groups.iter().filter(leads).cloned();
                    changes.extend(through.map(|id| Change::Group { id, joins: false }));
                    if !is_group || !principal.groups.contains(&id()) {
                        changes.push(Change::Within { uid: uid.clone(), joins: false });
                    }
                }
            }
        }
        changes.into_iter().map(|change| (Size::Membership, change)).collect()
    }

    fn of_resource(&self, base: &Base<'_>, path: Vec<String>) -> Vec<(Size, Change)> {
        let now = base.there(&path);
        let mut values: Vec<(Size, Option<Value>)> = Vec::new();
        values.extend(now.map(|_| (Size::Catalogue(0), None)));
        let uids = self.entities.iter().cloned().chain([base.inquiry.asked.principal().uid()]);
        let uids = uids.map(|uid| {
            let (kind, id) = (uid.type_name().to_string(), uid.id().unescaped().to_owned());
            json!({ "__entity": { "type": kind, "id": id } })
        });
        let uids: Vec<Value> = uids.collect();
        let some = match now {
            Some(Value::Object(_)) => {
                // Nobody, of the same type.
                let nobody = now.and_then(|now| {
                    let kind = now.pointer("/__entity/type")?;
                    Some(json!({ "__entity": { "type": kind, "id": "" } }))
                });
                uids.into_iter().chain(nobody).map(|to| (Size::Word, to)).collect()
            }
            Some(Value::Array(all)) => {
                let mut values = self.instead(&json!(all));
                values.extend(in_and_out(all, uids.into_iter()));
                values
            }
            Some(now) => self.instead(now),
            None => {
                let plain = [json!(true), json!(false), json!(""), json!([])].into_iter();
                let texts = self.texts.iter().flat_map(|text| [json!(text), json!([text])]);
                let sets = uids.iter().map(|uid| json!([uid])).collect::<Vec<_>>();
                let words = plain.chain(uids).chain(texts).chain(sets);
                let words = words.map(|to| (Size::Word, to));
                words.chain(self.near(0)).collect::<Vec<_>>()
            }
        };
        values.extend(some.into_iter().map(|(size, to)| (size.of_catalogue(), Some(to))));
        let change = |(size, to)| (size, Change::Resource { path: path.clone(), to });
        values.into_iter().map(change).collect()
    }

    /// What a value might be instead.
    fn instead(&self, now: &Value) -> Vec<(Size, Value)> {
        let texts = || self.texts.iter().map(|text| json!(text));
        match now {
            Value::Bool(is) => vec![(Size::Flag, json!(!is))],
            Value::String(now) => {
                // What is none of them: the empty text, or an address for documentation.
                let other = match now.parse::<IpAddr>() {
                    Ok(IpAddr::V4(_)) => "192.0.2.1",
                    Ok(IpAddr::V6(_)) => "2001:db8::1",
                    Err(_) => "",
                };
                texts().chain([json!(other)]).map(|to| (Size::Word, to)).collect()
            }
            Value::Number(now) => self.near(now.as_i64().unwrap_or_default()),
            Value::Array(now) => {
                let mut values = in_and_out(now, texts());
                values.push((Size::Word, json!([])));
                values
            }
            Value::Null | Value::Object(_) => Vec::new(),
        }
    }

    /// Numbers at and beside those that are named.
    fn near(&self, now: i64) -> Vec<(Size, Value)> {
        let beside = |number: &i64| [number.saturating_sub(1), *number, number.saturating_add(1)];
        let all: BTreeSet<i64> = self.numbers.iter().flat_map(beside).collect();
        all.into_iter().map(|to| (Size::Number(to.abs_diff(now)), json!(to))).collect()
    }
}

/// A list with each of these that it lacks, and without each of these that it has.
fn in_and_out(now: &[Value], each: impl Iterator<Item = Value>) -> Vec<(Size, Value)> {
    let change = |one: Value| match now.contains(&one) {
        true => now.iter().filter(|value| **value != one).cloned().collect::<Vec<_>>(),
        false => now.iter().cloned().chain([one]).collect(),
    };
    each.map(|one| (Size::Word, Value::Array(change(one)))).collect()
}
