//! What Cedar is handed for one question: a request and a store of three entities (principal,
//! action, resource), each with all its ancestors as parents, so that no other entity is needed.
//!
//! No schema is used here: it cost more than the decision. The facts are right by their types,
//! the catalogue was read against the schema, and whether the schema declares the question is a
//! look-up.

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use signals::{Facts, Principal, PrincipalKind};

use crate::catalogue::{Catalogue, type_name, uid};
use crate::facts;
use crate::question::{Action, Resource};
use crate::reads::Reads;
use crate::schema::{KnownAction, Vocabulary};

/// The question cannot be put to Cedar.
#[derive(Debug, thiserror::Error)]
#[error("{part} cannot be put to Cedar: {reason}")]
pub(crate) struct InputError {
    part: &'static str,
    reason: String,
}

impl InputError {
    pub(crate) fn new(part: &'static str, reason: &dyn std::error::Error) -> Self {
        Self { part, reason: reason.to_string() }
    }
}

/// Our own types, parsed once.
#[derive(Debug)]
pub(crate) struct Types {
    user: EntityTypeName,
    workload: EntityTypeName,
    api_key: EntityTypeName,
    group: EntityTypeName,
    pub(crate) role: EntityTypeName,
    api: EntityTypeName,
    anonymous: EntityUid,
}

impl Types {
    pub(crate) fn new() -> Self {
        Self {
            user: type_name("Portcullis::User"),
            workload: type_name("Portcullis::Workload"),
            api_key: type_name("Portcullis::ApiKey"),
            group: type_name("Portcullis::Group"),
            role: type_name("Portcullis::Role"),
            api: type_name("Portcullis::Api"),
            anonymous: uid("Portcullis::Anonymous", "anonymous"),
        }
    }
}

/// One question, ready for Cedar.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) request: Request,
    pub(crate) store: Entities,
    /// The schema has principal type, action and resource type together.
    pub(crate) declared: bool,
}

/// Makes [`Inputs`]; borrowed from one loaded set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker<'a> {
    pub(crate) types: &'a Types,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) reads: &'a Reads,
}

impl Maker<'_> {
    pub(crate) fn inputs(
        self,
        principal: &Principal,
        action: &Action,
        resource: &Resource,
        facts: &Facts,
    ) -> Result<Inputs, InputError> {
        let known = self.vocabulary.action(action);
        let declared = known.is_some_and(|known| known.declares(principal.kind, &resource.kind));
        let (action, base) = match known {
            Some(KnownAction { uid, store, .. }) => (uid.clone(), store.clone()),
            None => (undeclared_action(action)?, Entities::empty()),
        };
        let principal = self.principal(principal)?;
        let resource = self.resource(resource)?;
        let (who, what) = (principal.uid(), resource.uid());
        let store = base
            .add_entities([principal, resource], None)
            .map_err(|error| InputError::new("the entities", &error))?;
        let context: Context = facts::context(facts, self.reads)?;
        let request = Request::new(who, action, what, context, None)
            .map_err(|error| InputError::new("the request", &error))?;
        Ok(Inputs { request, store, declared })
    }

    /// The principal with its groups and everything that the catalogue puts above it and them.
    pub(crate) fn principal(self, principal: &Principal) -> Result<Entity, InputError> {
        let kind = match principal.kind {
            PrincipalKind::User => &self.types.user,
            PrincipalKind::Workload => &self.types.workload,
            PrincipalKind::ApiKey => &self.types.api_key,
            PrincipalKind::Anonymous => return Ok(Entity::with_uid(self.types.anonymous.clone())),
        };
        let uid = entity_uid(kind, &principal.id);
        let mut parents: Vec<EntityUid> = self.catalogue.ancestors(&uid).to_vec();
        for group in &principal.groups {
            let group = entity_uid(&self.types.group, group);
            parents.extend_from_slice(self.catalogue.ancestors(&group));
            parents.push(group);
        }
        let tags = principal.attributes.iter().map(|(name, values)| {
            let values = values.iter().cloned().map(RestrictedExpression::new_string);
            (name.clone(), RestrictedExpression::new_set(values))
        });
        Entity::new_with_tags(uid, [], parents, tags)
            .map_err(|error| InputError::new("the principal", &error))
    }

    /// The resource as the catalogue has it, or bare, in the API that the route names. Where the
    /// catalogue has it, the catalogue says which API it is in.
    fn resource(self, resource: &Resource) -> Result<Entity, InputError> {
        let uid = match self.vocabulary.kinds.get(&resource.kind) {
            Some(kind) => entity_uid(kind, &resource.id),
            None => entity_uid(&parsed("the resource type", &resource.kind)?, &resource.id),
        };
        if let Some(known) = self.catalogue.resource(&uid) {
            return Ok(known.clone());
        }
        let api = entity_uid(&self.types.api, &resource.api);
        Entity::new_with_tags(uid, [], [api], [])
            .map_err(|error| InputError::new("the resource", &error))
    }
}

fn entity_uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn undeclared_action(action: &Action) -> Result<EntityUid, InputError> {
    let kind = parsed("the action", &format!("{}::Action", action.namespace))?;
    Ok(entity_uid(&kind, &action.name))
}

fn parsed(part: &'static str, name: &str) -> Result<EntityTypeName, InputError> {
    name.parse().map_err(|_| InputError { part, reason: format!("`{name}` is not a type name") })
}
