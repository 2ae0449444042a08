//! The schema: ours, embedded, and the operator's, which refers to it.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::entities_errors::EntitiesError;
use cedar_policy::{Entities, EntityTypeName, EntityUid, Schema, SchemaFragment};
use miette::Diagnostic;
use serde_json::Value;
use signals::PrincipalKind;

use crate::PORTCULLIS_SCHEMA;
use crate::extent;
use crate::index::{Index, Part};
use crate::problem::{Problem, Text};
use crate::question::Action;

const NAMESPACE: &str = "Portcullis";
const CONTEXT: &str = "Portcullis::Facts";
const API: &str = "Portcullis::Api";
const PRINCIPALS: &str = "one of `Portcullis::User`, `Portcullis::Workload`, `Portcullis::ApiKey`, \
                          `Portcullis::Anonymous`";

/// The kinds of principal, as the schema's types.
pub(crate) const PRINCIPAL_KINDS: [PrincipalKind; 4] =
    [PrincipalKind::User, PrincipalKind::Workload, PrincipalKind::ApiKey, PrincipalKind::Anonymous];

/// What a decision needs of the schema.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    /// By namespace, then by name.
    pub(crate) actions: HashMap<String, HashMap<String, KnownAction>>,
    /// Resource types by name.
    pub(crate) kinds: HashMap<String, EntityTypeName>,
}

/// One action of the schema.
#[derive(Debug)]
pub(crate) struct KnownAction {
    pub(crate) uid: EntityUid,
    /// A store of the action alone, with its groups: the base of each request's store.
    pub(crate) store: Entities,
    /// Resource type to the kinds of principal that the schema declares with it.
    pub(crate) declared: HashMap<String, Vec<PrincipalKind>>,
    /// Its place among all actions.
    pub(crate) nth: usize,
}

/// The linked schema, or everything Cedar and we have against it.
pub(crate) fn load(text: Text<'_>) -> Result<Arc<Schema>, Vec<Problem>> {
    if let Some(problem) = extent::problem(text) {
        return Err(vec![problem]);
    }
    let (ours, _) = SchemaFragment::from_cedarschema_str(PORTCULLIS_SCHEMA)
        .map_err(|error| embedded(&error))?;
    let (theirs, warnings) = SchemaFragment::from_cedarschema_str(text.text)
        .map_err(|error| text.problems(&error, 0))?;
    let mut problems: Vec<Problem> =
        warnings.flat_map(|warning| text.problems(&warning, 0)).collect();
    problems.extend(namespaces(&theirs, text));
    if !problems.is_empty() {
        return Err(problems);
    }
    let schema = Schema::from_schema_fragments([ours, theirs.clone()])
        .map_err(|error| text.problems(&error, 0))?;
    let json = theirs.to_json_value().map_err(|error| text.problems(&error, 0))?;
    let problems = actions(&schema, &json, text);
    if problems.is_empty() { Ok(Arc::new(schema)) } else { Err(problems) }
}

/// A test holds the embedded schema right; should it not be, the load says so.
fn embedded(error: &dyn Diagnostic) -> Vec<Problem> {
    Text::new("portcullis.cedarschema", PORTCULLIS_SCHEMA).problems(error, 0)
}

fn namespaces(theirs: &SchemaFragment, text: Text<'_>) -> Vec<Problem> {
    let wrong = |namespace: Option<cedar_policy::EntityNamespace>| match namespace {
        None => Some(
            text.problem(0, "a declaration is outside of any namespace")
                .hint("put it into `namespace <Name> { … }`, so that a route can name it"),
        ),
        Some(name) if name.to_string().split("::").next() == Some(NAMESPACE) => {
            let offset = text.text.find(NAMESPACE).unwrap_or(0);
            let message = format!("namespace `{name}` is ours and cannot be declared");
            Some(text.problem(offset, message).hint("refer to it; declare yours beside it"))
        }
        Some(_) => None,
    };
    theirs.namespaces().filter_map(wrong).collect()
}

/// Every action that applies to something must ask our question.
fn actions(schema: &Schema, json: &Value, text: Text<'_>) -> Vec<Problem> {
    let offsets = offsets(schema);
    let mut actions: Vec<&EntityUid> = schema.actions().collect();
    actions.sort();
    let mut problems = Vec::new();
    for uid in actions {
        let offset = offsets.get(&uid.to_string()).copied().unwrap_or(0);
        let mut wrong = |message: String, hint: &str| {
            problems.push(text.problem(offset, message).hint(hint));
        };
        for principal in schema.principals_for_action(uid).into_iter().flatten() {
            if kind_of(principal).is_none() {
                wrong(format!("`{uid}` applies to the principal `{principal}`"), PRINCIPALS);
            }
        }
        for resource in schema.resources_for_action(uid).into_iter().flatten() {
            if !in_api(schema, resource) {
                let hint = format!("declare `entity {} in [{API}]`", resource.basename());
                wrong(format!("`{uid}` applies to `{resource}`, which is in no API"), &hint);
            }
        }
        if applies(schema, uid) && context(json, uid) != Some(CONTEXT) {
            wrong(
                format!("the context of `{uid}` is not `{CONTEXT}`"),
                "write `context: Portcullis::Facts`",
            );
        }
    }
    problems
}

fn applies(schema: &Schema, uid: &EntityUid) -> bool {
    schema.principals_for_action(uid).into_iter().flatten().next().is_some()
}

fn in_api(schema: &Schema, kind: &EntityTypeName) -> bool {
    schema.ancestors(kind).into_iter().flatten().any(|ancestor| ancestor.to_string() == API)
}

/// The name of an action's context type, as the schema's JSON form has it.
fn context<'a>(json: &'a Value, uid: &EntityUid) -> Option<&'a str> {
    let action =
        json.get(uid.type_name().namespace())?.get("actions")?.get(uid.id().unescaped())?;
    let context = action.get("appliesTo")?.get("context")?;
    context.get("name").or_else(|| context.get("type"))?.as_str()
}

/// Where each action is declared. Cedar's public interface has no such thing; the reference that
/// it hides has, and our version of it is pinned.
fn offsets(schema: &Schema) -> HashMap<String, usize> {
    let actions = schema.as_ref().action_ids();
    actions.filter_map(|action| Some((action.name().to_string(), action.loc()?.start()))).collect()
}

/// Ours, if the type is one of ours.
pub(crate) fn kind_of(name: &EntityTypeName) -> Option<PrincipalKind> {
    let ours = name.namespace() == NAMESPACE;
    PRINCIPAL_KINDS.into_iter().find(|kind| ours && kind.as_str() == name.basename())
}

impl Vocabulary {
    pub(crate) fn of(schema: &Schema) -> Result<Self, Box<EntitiesError>> {
        let mut vocabulary = Self::default();
        for (nth, action) in schema.action_entities()?.iter().enumerate() {
            let uid = action.uid();
            let known = KnownAction {
                store: Entities::from_entities([action.clone()], None)?,
                declared: HashMap::new(),
                nth,
                uid: uid.clone(),
            };
            let names = vocabulary.actions.entry(uid.type_name().namespace()).or_default();
            names.insert(uid.id().unescaped().to_owned(), known);
        }
        for env in schema.request_envs() {
            let Some(kind) = kind_of(env.principal()) else { continue };
            let resource = env.resource().to_string();
            vocabulary.kinds.insert(resource.clone(), env.resource().clone());
            let names = vocabulary.actions.get_mut(&env.action().type_name().namespace());
            if let Some(action) =
                names.and_then(|names| names.get_mut(env.action().id().unescaped()))
            {
                action.declared.entry(resource).or_default().push(kind);
            }
        }
        Ok(vocabulary)
    }

    /// The keys of every action, each at its place.
    pub(crate) fn parts(&self, index: &Index) -> Vec<Part> {
        let mut actions: Vec<_> = self.actions.values().flat_map(HashMap::values).collect();
        actions.sort_by_key(|known| known.nth);
        let part = |known: &KnownAction| {
            let groups = known.store.ancestors(&known.uid).into_iter().flatten();
            index.action(&known.uid, groups)
        };
        actions.into_iter().map(part).collect()
    }

    pub(crate) fn action(&self, action: &Action) -> Option<&KnownAction> {
        self.actions.get(&action.namespace)?.get(&action.name)
    }
}

impl KnownAction {
    /// Whether the schema declares this kind of principal with this type of resource.
    pub(crate) fn declares(&self, principal: PrincipalKind, resource: &str) -> bool {
        self.declared.get(resource).is_some_and(|kinds| kinds.contains(&principal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = "namespace Orders {
  entity Order in [Portcullis::Api] { owner?: Portcullis::User };
  action read;
  action get in [read] appliesTo { principal: [Portcullis::User], resource: [Order], context: Portcullis::Facts };
}";

    fn check(from: &str, to: &str, want: &[(usize, usize, &str)]) {
        let text = FINE.replace(from, to);
        let problems = load(Text::new("schema.cedarschema", &text)).err().unwrap_or_default();
        let got: Vec<_> = problems.iter().map(|p| (p.line, p.column, p.message.as_str())).collect();
        assert_eq!(got.len(), want.len(), "{to}: {got:?}");
        for ((line, column, message), wanted) in got.iter().zip(want) {
            assert_eq!((*line, *column), (wanted.0, wanted.1), "{to}: {got:?}");
            assert!(message.contains(wanted.2), "{to}: {got:?}");
        }
    }

    #[test]
    fn each_schema_mistake_has_its_place() {
        check("", "", &[]);
        check("owner?:", "owner? ", &[(2, 47, "unexpected token")]);
        check("context: Portcullis::Facts", "context: {}", &[(4, 3, "context")]);
        check(", context: Portcullis::Facts", "", &[(4, 3, "context")]);
        check(
            "principal: [Portcullis::User]",
            "principal: [Order]",
            &[(4, 3, "the principal `Orders::Order`")],
        );
        check("Order in [Portcullis::Api]", "Order in [Portcullis::Group]", &[(4, 3, "in no API")]);
        check("Portcullis::User }", "Portcullis::Usr }", &[(2, 47, "Portcullis::Usr")]);
        check("namespace Orders", "namespace Portcullis", &[(1, 11, "is ours")]);
        check(
            "namespace Orders {",
            "entity Loose;\nnamespace Orders {",
            &[(1, 1, "outside of any namespace")],
        );
    }

    #[test]
    fn the_vocabulary_knows_what_is_declared() {
        let schema = load(Text::new("schema.cedarschema", FINE)).unwrap();
        let vocabulary = Vocabulary::of(&schema).unwrap();
        let get = Action { namespace: "Orders".to_owned(), name: "get".to_owned() };
        let get = vocabulary.action(&get).unwrap();
        assert!(get.declares(PrincipalKind::User, "Orders::Order"));
        assert!(!get.declares(PrincipalKind::Anonymous, "Orders::Order"));
        assert!(!get.declares(PrincipalKind::User, "Orders::Other"));
    }
}
