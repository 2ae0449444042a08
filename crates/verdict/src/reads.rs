//! What the conditions of a policy read: which facts, and which of principal, action and resource
//! they may look into. To make a value for Cedar costs more than to evaluate it, so what none of
//! the policies in question reads is not made.
//!
//! It is read off each policy's syntax, once, and errs on the side of making: whatever is not
//! plainly `context.<fact>.<field>` reads all that it may lead to, and an entity is left out only
//! where it is not named, or only compared. A policy cannot tell the difference: it cannot reach
//! an entity but by its name (validation refuses to go on from there), and the event holds all
//! facts anyway.

use cedar_policy::Policy;
use serde_json::Value;

use crate::facts;

/// What of a question may be read: a bit for each field of each fact, as [`facts::number`] numbers
/// them, one for each of the three entities, and one for naming any entity at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Reads(u64);

const PRINCIPAL: u64 = 1 << 63;
const ACTION: u64 = 1 << 62;
const RESOURCE: u64 = 1 << 61;
const NAMES: u64 = 1 << 60;
const ENTITIES: u64 = PRINCIPAL | ACTION | RESOURCE | NAMES;

const _: () = assert!(facts::FIELDS_MAX <= 60, "a bit for each field, beside four for entities");

impl Reads {
    /// Everything.
    pub(crate) const EVERYTHING: Self = Self(u64::MAX);

    /// What `policy` reads. Its scope is not read here: the index knows it.
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut reads = Self::default();
        match policy.to_json() {
            Ok(Value::Object(policy)) => {
                policy.get("conditions").into_iter().for_each(|all| reads.expression(all));
            }
            Ok(_) | Err(_) => reads = Self::EVERYTHING,
        }
        reads
    }

    /// What either reads.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What it reads of the facts alone, as bits.
    pub(crate) fn of_facts(self) -> u64 {
        self.0 & !ENTITIES
    }

    #[cfg(test)]
    pub(crate) fn of_fields(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether facts are read and nothing else: no entity is named, not even to be compared.
    pub(crate) fn facts_alone(self) -> bool {
        self.of_facts() != 0 && self.0 & ENTITIES == 0
    }

    /// Whether the field of this number may be read.
    pub(crate) fn has(self, field: u32) -> bool {
        self.0 >> field & 1 == 1
    }

    pub(crate) fn principal(self) -> bool {
        self.0 & PRINCIPAL != 0
    }

    pub(crate) fn action(self) -> bool {
        self.0 & ACTION != 0
    }

    pub(crate) fn resource(self) -> bool {
        self.0 & RESOURCE != 0
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
            ("Value", _) if holds_entity(part) => self.0 |= ENTITIES,
            ("Value", _) => {}
            ("Slot", _) => self.0 |= NAMES,
            ("Var", Value::String(name)) => self.variable(name),
            // the names of a literal record's fields are the author's
            ("Record", Value::Object(fields)) => {
                fields.values().for_each(|field| self.expression(field));
            }
            (".", _) => self.attribute(part),
            ("==" | "!=", _) => ["left", "right"].iter().for_each(|side| self.compared(part, side)),
            // what is on the right of `in` is not looked into, nor is what follows `is … in`
            ("in" | "is", _) => {
                part.get("left").into_iter().for_each(|left| self.expression(left));
                ["right", "in"].iter().for_each(|side| self.compared(part, side));
            }
            _ => self.expression(part),
        }
    }

    fn variable(&mut self, name: &str) {
        match name {
            "principal" => self.0 |= PRINCIPAL | NAMES,
            "action" => self.0 |= ACTION | NAMES,
            "resource" => self.0 |= RESOURCE | NAMES,
            _ => *self = Self::EVERYTHING,
        }
    }

    /// An operand that is compared and not looked into.
    fn compared(&mut self, operation: &Value, side: &str) {
        match operation.get(side) {
            Some(operand) if is_literal(operand) => {}
            Some(operand) if is_name(operand) => self.0 |= NAMES,
            Some(operand) => self.expression(operand),
            None => {}
        }
    }

    /// `left.attr`
    fn attribute(&mut self, access: &Value) {
        let (Some(left), Some(name)) = (access.get("left"), name(access)) else {
            *self = Self::EVERYTHING;
            return;
        };
        if is_context(left) {
            self.0 |= facts::bits(name);
        } else if let Some(fact) = fact(left) {
            self.0 |= facts::number(fact, name).map_or(0, |field| 1 << field);
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

/// A variable, a literal, or a set of them: what stands there is not looked into.
fn is_name(json: &Value) -> bool {
    let variable = json.get("Var").and_then(Value::as_str);
    let set = json.get("Set").and_then(Value::as_array);
    variable.is_some_and(|name| name != "context")
        || json.get("Value").is_some()
        || set.is_some_and(|all| all.iter().all(is_name))
}

/// A literal, or a set of them, and no entity among them.
fn is_literal(json: &Value) -> bool {
    let set = json.get("Set").and_then(Value::as_array);
    json.get("Value").is_some_and(|value| !holds_entity(value))
        || set.is_some_and(|all| all.iter().all(is_literal))
}

fn holds_entity(literal: &Value) -> bool {
    match literal {
        Value::Array(all) => all.iter().any(holds_entity),
        Value::Object(node) => node.contains_key("__entity") || node.values().any(holds_entity),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_read(reads: Reads, path: &str) -> bool {
        let (fact, field) = path.split_once('.').unwrap();
        reads.has(facts::number(fact, field).unwrap())
    }

    #[test]
    fn what_a_policy_names_is_read_and_nothing_else() {
        let check = |condition: &str, want: &[&str], others: bool| {
            let text = format!("forbid (principal, action, resource) when {{ {condition} }};");
            let reads = Reads::of(&Policy::parse(None, text).unwrap());
            let all = ["waf.score", "waf.health", "token.acr", "token.present", "conn.ip"];
            let read: Vec<&str> = all.into_iter().filter(|path| is_read(reads, path)).collect();
            let other = is_read(reads, "abuse.score");
            assert_eq!((read, other), (want.to_vec(), others), "{condition}");
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
    fn an_unless_is_read_too() {
        let text = "permit (principal, action, resource) unless { context.rate.limited };";
        let reads = Reads::of(&Policy::parse(None, text).unwrap());
        assert!(is_read(reads, "rate.limited"));
        assert!(!is_read(reads, "rate.limit"));
        assert!(is_read(Reads::EVERYTHING, "rate.limit"));
    }

    #[test]
    fn facts_alone_are_read_where_nothing_else_is_named() {
        let check = |condition: &str, want: bool| {
            let text = format!("permit (principal, action, resource) when {{ {condition} }};");
            let reads = Reads::of(&Policy::parse(None, text).unwrap());
            assert_eq!(reads.facts_alone(), want, "{condition}");
        };
        check("context.rate.limited", true);
        check("context.waf.score >= 5 && context.waf.health == \"ok\"", true);
        check("[\"a\", \"b\"].contains(context.token.acr) || !context.token.present", true);
        check("context.token.acr == \"a\"", true);
        check("context.conn.ip.isInRange(ip(\"10.0.0.0/8\"))", true);
        check("[\"a\"] == context.token.scope", true);
        check("true", false);
        check("context has token", false);
        for named in [
            "principal == resource",
            "principal is Portcullis::User",
            "resource == Portcullis::Api::\"a\"",
            "Portcullis::Api::\"a\" == Portcullis::Api::\"b\"",
            "action in Orders::Action::\"read\"",
            "resource has owner",
            "principal.hasTag(\"a\")",
            "[principal] == [resource]",
            "[Portcullis::Api::\"a\"] == []",
            "{a: action} == {}",
            "(if true then principal else principal) is Portcullis::User",
            "[principal].contains(resource)",
        ] {
            check(&format!("context.rate.limited && {named}"), false);
        }
    }

    #[test]
    fn an_entity_is_read_where_it_may_be_looked_into() {
        let check = |condition: &str, want: [bool; 3]| {
            let text = format!("permit (principal, action, resource) when {{ {condition} }};");
            let reads = Reads::of(&Policy::parse(None, text).unwrap());
            assert_eq!([reads.principal(), reads.action(), reads.resource()], want, "{condition}");
        };
        check("context.rate.limited", [false; 3]);
        check("resource.owner == principal", [false, false, true]);
        check("principal != resource.owner", [false, false, true]);
        check("principal == resource", [false; 3]);
        check("resource has owner && principal.hasTag(\"a\")", [true, false, true]);
        check("principal in Portcullis::Role::\"a\"", [true, false, false]);
        check("principal in [Portcullis::Role::\"a\", resource]", [true, false, false]);
        check("principal in resource.owner", [true, false, true]);
        check("principal is Portcullis::User in resource", [true, false, false]);
        check("principal is Portcullis::User in resource.owner", [true, false, true]);
        check("principal is Portcullis::User in [action, resource.owner]", [true, true, true]);
        check("action in [Shop::Action::\"see\"]", [false, true, false]);
        check("resource.owners.contains(principal)", [true, false, true]);
        check("[principal].contains(resource)", [true, false, true]);
        check("(if true then principal else principal) == resource", [true, false, false]);
        check("Portcullis::Role::\"a\" == principal", [false; 3]);
        check("Portcullis::Role::\"a\" in principal", [true; 3]);
        check("Portcullis::User::\"a\".hasTag(\"b\")", [true; 3]);
        check("[Portcullis::User::\"a\"].contains(principal)", [true; 3]);
        check("{a: Portcullis::User::\"a\"}.a has b", [true; 3]);
    }
}
