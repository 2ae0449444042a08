//! What cases name, held against what the set has. A question about an action that does not exist
//! is refused, whatever the policies are: a slip in a case that expects a refusal would pass, and
//! show nothing.
//!
//! It looks at the file as it was written, for the place of each name, and at nothing that
//! [`read`](super::read) tells already.

use std::collections::BTreeSet;

use cedar_policy::{EntityUid, Schema};
use serde_json::Value;

use super::{CaseProblem, child};
use crate::catalogue::api_uid;
use crate::decide::Policies;
use crate::load::{did_you_mean, nearest};

/// The keys of a case that list policies.
const POLICIES: [&str; 3] = ["determining", "would_refuse", "would_permit"];

/// What a set has that cases can name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// As cases write them.
    actions: BTreeSet<String>,
    kinds: BTreeSet<String>,
    /// None, if not all of the set can be read.
    rest: Option<Rest>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Rest {
    apis: BTreeSet<String>,
    /// What the entities declare, by type and id.
    entities: BTreeSet<(String, String)>,
    /// Policies, templates and links, those that are over too.
    policies: BTreeSet<String>,
}

impl Policies {
    /// What cases of this set can name.
    pub fn names(&self) -> Names {
        let entities = self.catalogue.resources().map(|entity| entity.uid());
        let policies = self.policies.iter().map(|one| one.id());
        let over = self.dated.iter().map(|link| link.id.as_str());
        let templates = self.files.values().flat_map(|file| file.ids()).map(|(id, _)| id);
        let policies = policies.chain(over).chain(templates);
        Names::of_schema(&self.schema).with(entities, policies)
    }
}

impl Names {
    pub(crate) fn of_schema(schema: &Schema) -> Self {
        let action =
            |uid: &EntityUid| format!("{}::{}", uid.type_name().namespace(), uid.id().unescaped());
        Self {
            actions: schema.actions().map(action).collect(),
            kinds: schema.entity_types().map(ToString::to_string).collect(),
            rest: None,
        }
    }

    pub(crate) fn with<'a>(
        self,
        entities: impl Iterator<Item = EntityUid>,
        policies: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut rest = Rest { policies: policies.map(str::to_owned).collect(), ..Rest::default() };
        for uid in entities {
            let id = uid.id().unescaped().to_owned();
            if uid == api_uid(&id) {
                rest.apis.insert(id);
            } else {
                rest.entities.insert((uid.type_name().to_string(), id));
            }
        }
        Self { rest: Some(rest), ..self }
    }

    /// Every name in a file of cases that the set does not have.
    pub fn unknown(&self, file: &Value) -> Vec<CaseProblem> {
        let mut found = Vec::new();
        let resources = file.get("resources").and_then(Value::as_object);
        for (name, resource) in resources.into_iter().flatten() {
            self.resource(resource, &child("/resources", name), &mut found);
        }
        let cases = file.get("cases").and_then(Value::as_array);
        for (nth, case) in cases.into_iter().flatten().enumerate() {
            let pointer = format!("/cases/{nth}");
            let action = case.get("action").and_then(Value::as_str);
            if let Some(action) = action.filter(|action| action.contains("::")) {
                let what = "the schema has no action";
                unknown(&self.actions, action, what, child(&pointer, "action"), &mut found);
            }
            if let Some(resource) = case.get("resource") {
                self.resource(resource, &child(&pointer, "resource"), &mut found);
            }
            self.listed(case, &pointer, &mut found);
        }
        found
    }

    fn resource(&self, resource: &Value, pointer: &str, found: &mut Vec<CaseProblem>) {
        let text = |key: &str| resource.get(key).and_then(Value::as_str);
        let (Some(kind), Some(id), Some(api)) = (text("kind"), text("id"), text("api")) else {
            return;
        };
        unknown(&self.kinds, kind, "the schema has no type", child(pointer, "kind"), found);
        // An API that no set has may be meant so, of a resource that is in none.
        let Some(Rest { apis, entities, .. }) = &self.rest else { return };
        let is_known = entities.contains(&(kind.to_owned(), id.to_owned()));
        if is_known || nearest(api, apis.iter().cloned()).is_some() {
            let what = "the entities have no API";
            unknown(apis, api, what, child(pointer, "api"), found);
        }
    }

    fn listed(&self, case: &Value, pointer: &str, found: &mut Vec<CaseProblem>) {
        let Some(Rest { policies, .. }) = &self.rest else { return };
        for key in POLICIES {
            let pointer = child(pointer, key);
            let ids = case.get(key).and_then(Value::as_array).into_iter().flatten();
            for (nth, id) in ids.enumerate() {
                if let Some(id) = id.as_str() {
                    let pointer = format!("{pointer}/{nth}");
                    unknown(policies, id, "there is no policy", pointer, found);
                }
            }
        }
    }
}

fn unknown(
    known: &BTreeSet<String>,
    name: &str,
    what: &str,
    pointer: String,
    found: &mut Vec<CaseProblem>,
) {
    if known.contains(name) {
        return;
    }
    let near = nearest(name, known.iter().cloned());
    let message = format!("{what} `{name}`{}", did_you_mean(near.as_deref()));
    found.push(CaseProblem::at(pointer, message));
}
