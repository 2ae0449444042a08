//! Checks a tree against our JSON Schema and reports everything that does not fit, at once.
//!
//! What fits is handed on, so that its meaning can be looked at in the same run: a value that does
//! not fit is left out, and so is a map that lacks something it must have. It implements the part
//! of JSON Schema that ours uses; a test holds the two together. It reads values as they are and
//! turns none into another kind.

use std::collections::{BTreeSet, HashMap};

use regex::Regex;
use serde_json::{Map, Value as Json};

use super::{
    problem::{Place, Problems, did_you_mean, listed, quoted},
    tree::{Entry, Node, Value},
};

type Schema = Map<String, Json>;

/// What is said of a key that is no name.
const NAMES: &str = "a name is lower-case letters, digits, `-` and `_`, begins with a letter and has at most 63 characters";

/// A schema, and where problems go.
pub(super) struct Shape<'a> {
    root: &'a Schema,
    problems: &'a mut Problems,
    patterns: HashMap<String, Option<Regex>>,
}

impl<'a> Shape<'a> {
    /// Checks a file. `None` if it is no map.
    pub(super) fn check(root: &'a Json, file: Node, problems: &'a mut Problems) -> Option<Node> {
        let Json::Object(root) = root else { return None };
        let mut shape = Shape { root, problems, patterns: HashMap::new() };
        let Node { at, value } = file;
        match value {
            Value::Map(entries) => {
                let (entries, _) = shape.entries(entries, at, root);
                Some(Node { at, value: Value::Map(entries) })
            }
            value => shape.node(Node { at, value }, root),
        }
    }

    fn node(&mut self, node: Node, schema: &'a Schema) -> Option<Node> {
        let schema = self.follow(schema);
        let words = self.words(schema);
        match (branches(schema), node.value) {
            (_, Value::Refused) => None,
            (_, Value::Text(text)) if !words.is_empty() => {
                self.word(&text, &words, node.at, schema).then(|| text_node(text, node.at))
            }
            (Some(branches), value) => {
                let node = Node { value, at: node.at };
                let branch = self.branch(&node, branches, schema)?;
                self.node(node, branch)
            }
            (None, value) if !self.accepts(schema, &value) => {
                self.wrong_kind(&value, node.at, schema);
                None
            }
            (None, Value::Text(text)) => {
                self.text(&text, node.at, schema).then(|| text_node(text, node.at))
            }
            (None, Value::Integer(number)) => {
                let value = Value::Integer(number);
                self.number(number, node.at, schema).then_some(Node { value, at: node.at })
            }
            (None, Value::List(items)) => Some(self.list(items, node.at, schema)),
            (None, Value::Map(entries)) => {
                let (entries, whole) = self.entries(entries, node.at, schema);
                whole.then_some(Node { value: Value::Map(entries), at: node.at })
            }
            (None, value) => Some(Node { value, at: node.at }),
        }
    }

    /// The schema that `$ref` names, or the schema itself.
    fn follow(&self, schema: &'a Schema) -> &'a Schema {
        let reference = schema.get("$ref").and_then(Json::as_str);
        let name = reference.and_then(|reference| reference.strip_prefix("#/$defs/"));
        name.and_then(|name| self.root.get("$defs")?.get(name)?.as_object()).unwrap_or(schema)
    }

    /// A value is of a kind that a schema allows.
    fn accepts(&self, schema: &'a Schema, value: &Value) -> bool {
        match value {
            Value::Null | Value::Fraction | Value::Refused => false,
            Value::Bool(_) => self.accepts_kind(schema, "boolean"),
            Value::Integer(_) => self.accepts_kind(schema, "integer"),
            Value::Text(_) => self.accepts_kind(schema, "string"),
            Value::List(_) => self.accepts_kind(schema, "array"),
            Value::Map(_) => self.accepts_kind(schema, "object"),
        }
    }

    fn accepts_kind(&self, schema: &'a Schema, kind: &str) -> bool {
        let schema = self.follow(schema);
        match branches(schema) {
            None => schema.get("type").and_then(Json::as_str) == Some(kind),
            Some(all) => {
                all.iter().filter_map(Json::as_object).any(|branch| self.accepts_kind(branch, kind))
            }
        }
    }

    /// The words a schema allows, its branches' included; empty if it allows other text too.
    fn words(&self, schema: &'a Schema) -> Vec<&'a str> {
        let schema = self.follow(schema);
        if let Some(word) = schema.get("const").and_then(Json::as_str) {
            return vec![word];
        }
        if let Some(Json::Array(words)) = schema.get("enum") {
            return words.iter().filter_map(Json::as_str).collect();
        }
        let branches = branches(schema).unwrap_or_default().iter().filter_map(Json::as_object);
        let textual = branches.filter(|branch| self.accepts_kind(branch, "string"));
        let words: Vec<Vec<&str>> = textual.map(|branch| self.words(branch)).collect();
        match words.iter().any(Vec::is_empty) {
            true => Vec::new(),
            false => words.into_iter().flatten().collect(),
        }
    }

    /// The one branch that a node can be meant for.
    fn branch(&mut self, node: &Node, all: &'a [Json], schema: &'a Schema) -> Option<&'a Schema> {
        let all: Vec<&Schema> =
            all.iter().filter_map(Json::as_object).map(|branch| self.follow(branch)).collect();
        let mut fitting: Vec<&Schema> =
            all.iter().copied().filter(|branch| self.accepts(branch, &node.value)).collect();
        if fitting.is_empty() {
            self.wrong_kind(&node.value, node.at, schema);
            return None;
        }
        if fitting.len() > 1 {
            let keys: Vec<&str> = fitting.iter().copied().flat_map(required).collect();
            fitting.retain(|branch| required(branch).any(|key| node.get(key).is_some()));
            if fitting.is_empty() {
                let message = format!("a map with one of {} is expected", listed(keys));
                self.problems.add(node.at, message);
            }
        }
        fitting.first().copied()
    }

    fn wrong_kind(&mut self, found: &Value, at: Place, schema: &'a Schema) {
        let expected = self.expected(schema);
        let hint = self.kind_hint(found, &expected, self.follow(schema));
        let message = format!("expected {expected}, found {}", kind_name(found));
        self.problems.add_hinted(at, message, hint);
    }

    fn kind_hint(&self, found: &Value, expected: &str, schema: &'a Schema) -> Option<String> {
        match found {
            Value::Text(text) if self.accepts_kind(schema, "boolean") => {
                let text = text.to_lowercase();
                let yes = ["yes", "on", "y", "true"].contains(&text.as_str());
                let no = ["no", "off", "n", "false"].contains(&text.as_str());
                yes.then_some("write `true`").or(no.then_some("write `false`")).map(str::to_owned)
            }
            Value::Text(_) if self.accepts_kind(schema, "array") => {
                Some("a list is written `[a, b]`, or with a `-` before each item".to_owned())
            }
            Value::Text(_) if expected == "a map" => {
                let keys = schema.get("properties").and_then(Json::as_object);
                let keys = keys.map(|keys| listed(keys.keys().map(String::as_str)));
                keys.map(|keys| format!("the keys here are {keys}"))
                    .or_else(|| self.description(schema))
            }
            Value::Map(_) if branches(schema).is_none() && self.accepts_kind(schema, "string") => {
                Some("quote it: `{` begins a map".to_owned())
            }
            Value::Bool(_) | Value::Integer(_) | Value::Fraction
                if self.accepts_kind(schema, "string") =>
            {
                Some(examples(schema).unwrap_or_else(|| "quote it".to_owned()))
            }
            Value::Fraction if expected.contains('`') => Some("quote it".to_owned()),
            _ => None,
        }
    }

    /// What a schema asks for, in words.
    fn expected(&self, schema: &'a Schema) -> String {
        let schema = self.follow(schema);
        if let Some(noun) = schema.get("x-noun").and_then(Json::as_str) {
            return noun.to_owned();
        }
        let words = self.words(schema);
        if !words.is_empty() && branches(schema).is_none_or(|all| all.len() == words.len()) {
            return match words.as_slice() {
                [only] => format!("`{only}`"),
                words => format!("one of {}", listed(words.iter().copied())),
            };
        }
        if let Some(all) = branches(schema) {
            let each = all.iter().filter_map(Json::as_object).map(|branch| self.expected(branch));
            let each: BTreeSet<String> = each.collect();
            return each.into_iter().collect::<Vec<_>>().join(" or ");
        }
        match schema.get("type").and_then(Json::as_str) {
            Some("object") => "a map",
            Some("array") => "a list",
            Some("integer") => "a whole number",
            Some("boolean") => "`true` or `false`",
            _ => "a string",
        }
        .to_owned()
    }

    fn word(&mut self, text: &str, words: &[&str], at: Place, schema: &'a Schema) -> bool {
        if words.contains(&text) {
            return true;
        }
        let refused = schema.get("x-refused").and_then(|words| words.get(text)?.as_str());
        match refused {
            Some(why) => {
                self.problems.add_hinted(at, format!("`{text}` is refused"), why.to_owned());
            }
            None => {
                let message = format!("{} is not {}", quoted(text), self.expected(schema));
                self.problems.add_hinted(at, message, did_you_mean(text, words.iter().copied()));
            }
        }
        false
    }

    fn text(&mut self, text: &str, at: Place, schema: &'a Schema) -> bool {
        let length = text.chars().count() as u64;
        if limit(schema, "minLength").is_some_and(|min| length < min) {
            self.problems.add(at, "the string is empty");
            return false;
        }
        if let Some(max) = limit(schema, "maxLength").filter(|max| length > *max) {
            self.problems.add(at, format!("longer than {max} characters"));
            return false;
        }
        let Some(pattern) = schema.get("pattern").and_then(Json::as_str) else { return true };
        let fits = self.matches(pattern, text);
        if !fits {
            // Where a secret is named, a secret itself may stand by mistake.
            let secret = schema.get("writeOnly").is_some_and(|yes| *yes == Json::Bool(true));
            let found = if secret { "this".to_owned() } else { quoted(text) };
            let message = format!("{found} is not {}", self.expected(schema));
            self.problems.add_hinted(at, message, examples(schema));
        }
        fits
    }

    fn number(&mut self, number: i64, at: Place, schema: &'a Schema) -> bool {
        let bound = |key: &str| schema.get(key).and_then(Json::as_i64);
        if let Some(min) = bound("minimum").filter(|min| number < *min) {
            self.problems.add(at, format!("{number} is below {min}, the least allowed"));
            return false;
        }
        if let Some(max) = bound("maximum").filter(|max| number > *max) {
            self.problems.add(at, format!("{number} is above {max}, the most allowed"));
            return false;
        }
        true
    }

    fn list(&mut self, items: Vec<Node>, at: Place, schema: &'a Schema) -> Node {
        let count = items.len() as u64;
        if limit(schema, "minItems").is_some_and(|min| count < min) {
            let hint = "an empty list never means `anything`: say what is meant";
            self.problems.add_hinted(at, "the list is empty", hint.to_owned());
        }
        if let Some(max) = limit(schema, "maxItems").filter(|max| count > *max) {
            self.problems.add(at, format!("more than {max} items"));
        }
        let unique = schema.get("uniqueItems") == Some(&Json::Bool(true));
        let mut seen = BTreeSet::new();
        let mut kept = Vec::new();
        for item in items {
            if let Value::Text(text) = &item.value
                && unique
                && !seen.insert(text.clone())
            {
                self.problems.add(item.at, format!("{} is listed twice", quoted(text)));
                continue;
            }
            let checked = match schema.get("items").and_then(Json::as_object) {
                Some(each) => self.node(item, each),
                None => Some(item),
            };
            kept.extend(checked);
        }
        Node { value: Value::List(kept), at }
    }

    /// What fits of a map's entries, and whether all that it must have is among them.
    fn entries(
        &mut self,
        entries: Vec<Entry>,
        at: Place,
        schema: &'a Schema,
    ) -> (Vec<Entry>, bool) {
        let known = schema.get("properties").and_then(Json::as_object);
        let mut whole = true;
        for key in required(schema) {
            if entries.iter().all(|entry| entry.key != key) {
                let about = known.and_then(|known| known.get(key)?.as_object());
                let hint = about.and_then(|about| self.description(about));
                self.problems.add_hinted(at, format!("the key `{key}` is missing"), hint);
                whole = false;
            }
        }
        let mut kept = Vec::new();
        for Entry { key, at, value } in entries {
            let Some(schema_of_value) = self.of_key(&key, at, schema) else { continue };
            match self.node(value, schema_of_value) {
                Some(value) => kept.push(Entry { key, at, value }),
                None => whole &= required(schema).all(|needed| needed != key),
            }
        }
        (kept, whole)
    }

    /// The schema of a key's value; `None` if there can be no such key, which is reported.
    fn of_key(&mut self, key: &str, at: Place, schema: &'a Schema) -> Option<&'a Schema> {
        let known = schema.get("properties").and_then(Json::as_object);
        if let Some(found) = known.and_then(|known| known.get(key)?.as_object()) {
            return Some(found);
        }
        if let Some(Json::Object(patterns)) = schema.get("patternProperties") {
            let found = patterns.iter().find(|(pattern, _)| self.matches(pattern, key));
            if found.is_none() {
                let message = format!("the key {} is not a name", quoted(key));
                self.problems.add_hinted(at, message, NAMES.to_owned());
            }
            return found.and_then(|(_, schema)| schema.as_object());
        }
        let known: Vec<&str> =
            known.map(|known| known.keys().map(String::as_str).collect()).unwrap_or_default();
        let hint = did_you_mean(key, known.iter().copied())
            .unwrap_or_else(|| format!("the keys here are {}", listed(known.iter().copied())));
        self.problems.add_hinted(at, format!("unknown key {}", quoted(key)), hint);
        None
    }

    fn matches(&mut self, pattern: &str, text: &str) -> bool {
        let compiled =
            self.patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
        compiled.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }

    /// The first sentence of what the schema says about a value.
    fn description(&self, schema: &'a Schema) -> Option<String> {
        let text = schema.get("description").or_else(|| self.follow(schema).get("description"));
        let text = text?.as_str()?;
        let sentence = text.split(". ").next()?.split('\n').next()?.trim_end_matches('.');
        Some(sentence.to_owned())
    }
}

fn text_node(text: String, at: Place) -> Node {
    Node { value: Value::Text(text), at }
}

fn branches(schema: &Schema) -> Option<&[Json]> {
    let branches = schema.get("anyOf").or_else(|| schema.get("oneOf"))?;
    branches.as_array().map(Vec::as_slice)
}

fn required(schema: &Schema) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

fn limit(schema: &Schema, key: &str) -> Option<u64> {
    schema.get(key).and_then(Json::as_u64)
}

fn examples(schema: &Schema) -> Option<String> {
    let examples = schema.get("examples")?.as_array()?;
    let examples: Vec<String> =
        examples.iter().filter_map(Json::as_str).map(|example| format!("`{example}`")).collect();
    Some(format!("such as {}", examples.join(" or ")))
}

fn kind_name(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::Refused => "nothing",
        Value::Bool(true) => "`true`",
        Value::Bool(false) => "`false`",
        Value::Integer(_) => "a number",
        Value::Fraction => "a fraction",
        Value::Text(_) => "a string",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    }
}
