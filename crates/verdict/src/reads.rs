//! Which facts the policies read. To make a value for Cedar costs more than to evaluate it, so
//! what no policy names is not made.
//!
//! It is read off each policy's syntax, once, and errs on the side of making: whatever is not
//! plainly `context.<fact>.<field>` reads all that it may lead to. A policy cannot tell the
//! difference, and the event holds all facts anyway.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::Policy;
use serde_json::Value;

/// What of the context a set of policies may read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reads {
    /// The context as a value: everything.
    everything: bool,
    facts: BTreeMap<String, Fields>,
}

/// What of one fact may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fields {
    All,
    Named(BTreeSet<String>),
}

/// What of one fact may be read, to be asked field by field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a>(Option<&'a BTreeSet<String>>);

impl Wanted<'_> {
    /// Whether the field may be read.
    pub(crate) fn has(self, field: &str) -> bool {
        self.0.is_none_or(|named| named.contains(field))
    }
}

impl Reads {
    /// Everything.
    #[cfg(test)]
    pub(crate) fn everything() -> Self {
        Self { everything: true, facts: BTreeMap::new() }
    }

    /// Adds what `policy` reads.
    pub(crate) fn add(&mut self, policy: &Policy) {
        match policy.to_json() {
            Ok(Value::Object(policy)) => {
                policy.get("conditions").into_iter().for_each(|all| self.expression(all));
            }
            Ok(_) | Err(_) => self.everything = true,
        }
    }

    /// Adds what others read.
    pub(crate) fn merge(&mut self, others: &Self) {
        self.everything |= others.everything;
        for (fact, fields) in &others.facts {
            match (self.facts.entry(fact.clone()), fields) {
                (Entry::Vacant(place), fields) => drop(place.insert(fields.clone())),
                (Entry::Occupied(mut place), Fields::All) => *place.get_mut() = Fields::All,
                (Entry::Occupied(mut place), Fields::Named(more)) => match place.get_mut() {
                    Fields::All => {}
                    Fields::Named(named) => named.extend(more.iter().cloned()),
                },
            }
        }
    }

    /// What is wanted of a fact; `None` if no policy reads it.
    pub(crate) fn of(&self, fact: &str) -> Option<Wanted<'_>> {
        match self.facts.get(fact) {
            _ if self.everything => Some(Wanted(None)),
            Some(Fields::All) => Some(Wanted(None)),
            Some(Fields::Named(fields)) => Some(Wanted(Some(fields))),
            None => None,
        }
    }

    /// Cedar's JSON format of an expression, or anything that holds some.
    fn expression(&mut self, json: &Value) {
        match json {
            Value::Array(all) => all.iter().for_each(|part| self.expression(part)),
            Value::Object(node) => node.iter().for_each(|(kind, part)| self.node(kind, part)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn node(&mut self, kind: &str, part: &Value) {
        match (kind, part) {
            ("Value", _) => {}
            ("Var", Value::String(name)) => self.everything |= name == "context",
            // the names of a literal record's fields are the author's
            ("Record", Value::Object(fields)) => {
                fields.values().for_each(|field| self.expression(field));
            }
            (".", _) => self.attribute(part),
            _ => self.expression(part),
        }
    }

    /// `left.attr`
    fn attribute(&mut self, access: &Value) {
        let (Some(left), Some(name)) = (access.get("left"), name(access)) else {
            self.everything = true;
            return;
        };
        if is_context(left) {
            self.facts.insert(name.to_owned(), Fields::All);
        } else if let Some(fact) = fact(left) {
            let fields = self.facts.entry(fact.to_owned());
            if let Fields::Named(named) = fields.or_insert_with(|| Fields::Named(BTreeSet::new())) {
                named.insert(name.to_owned());
            }
        } else {
            self.expression(left);
        }
    }
}

/// `<fact>` of `context.<fact>`.
fn fact(json: &Value) -> Option<&str> {
    let access = json.get(".")?;
    access.get("left").is_some_and(is_context).then(|| name(access)).flatten()
}

fn name(access: &Value) -> Option<&str> {
    access.get("attr")?.as_str()
}

fn is_context(json: &Value) -> bool {
    json.get("Var").and_then(Value::as_str) == Some("context")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_names_is_read_and_nothing_else() {
        let check = |condition: &str, want: &[&str], others: bool| {
            let text = format!("forbid (principal, action, resource) when {{ {condition} }};");
            let mut reads = Reads::default();
            reads.add(&Policy::parse(None, text).unwrap());
            let is_read = |path: &str| {
                let (fact, field) = path.split_once('.').unwrap();
                reads.of(fact).is_some_and(|wanted| wanted.has(field))
            };
            let all = ["waf.score", "waf.health", "token.acr", "token.present", "conn.ip"];
            let read: Vec<&str> = all.into_iter().filter(|path| is_read(path)).collect();
            assert_eq!((read, is_read("other.field")), (want.to_vec(), others), "{condition}");
        };
        let all = ["waf.score", "waf.health", "token.acr", "token.present", "conn.ip"];
        check("true", &[], false);
        check("context.waf.score > 1", &["waf.score"], false);
        check("!(1 + context.waf.score > 1)", &["waf.score"], false);
        check(
            "context.conn.ip.isLoopback() || [context[\"token\"][\"acr\"]].contains(\"a\")",
            &["token.acr", "conn.ip"],
            false,
        );
        check(
            "if resource.a then {b: context.waf.health}.b == \"\" else true",
            &["waf.health"],
            false,
        );
        check("context.token has acr", &["token.acr", "token.present"], false);
        check(
            "context.token.acr == \"\" && context.token == {}",
            &["token.acr", "token.present"],
            false,
        );
        check(
            "context.token == {} && context.token.acr == \"\"",
            &["token.acr", "token.present"],
            false,
        );
        check("context.token.acr.more == 1", &["token.acr"], false);
        check("context has token", &all, true);
        check("context == {}", &all, true);
        check("(if true then context else {}).waf.score > 1", &all, true);
        check("{\".\": 1, \"Var\": \"context\"}.Var == \"context\"", &[], false);
        check("resource.waf.score > 1 && principal.context.token.acr == \"\"", &[], false);
        check("principal.getTag(context.token.acr).contains(\"a\")", &["token.acr"], false);
    }

    #[test]
    fn what_files_read_adds_up() {
        let of = |conditions: &[&str]| {
            let mut reads = Reads::default();
            for condition in conditions {
                let text = format!("forbid (principal, action, resource) when {{ {condition} }};");
                reads.add(&Policy::parse(None, text).unwrap());
            }
            reads
        };
        let (score, health) = ("context.waf.score > 1", "context.waf.health == \"ok\"");
        let (whole, all) = ("context.waf == {}", "context == {}");
        let (acr, none) = ("context.token.acr == \"\"", "true");
        for one in [score, health, whole, all, acr, none] {
            for other in [score, health, whole, all, acr, none] {
                let mut merged = of(&[one]);
                merged.merge(&of(&[other]));
                assert_eq!(merged, of(&[one, other]), "{one} and {other}");
            }
        }
    }

    #[test]
    fn an_unless_is_read_too() {
        let mut reads = Reads::default();
        let text = "permit (principal, action, resource) unless { context.rate.limited };";
        reads.add(&Policy::parse(None, text).unwrap());
        assert!(reads.of("rate").is_some_and(|wanted| wanted.has("limited")));
        assert!(!reads.of("rate").is_some_and(|wanted| wanted.has("limit")));
        assert!(Reads::everything().of("rate").is_some_and(|wanted| wanted.has("limit")));
    }
}
