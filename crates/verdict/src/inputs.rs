//! What Cedar is handed for one question: a request and a store of at most three entities
//! (principal, action, resource), each with all its ancestors as parents, so that no other entity
//! is needed. Of facts and entities it is what the policies in question read.
//!
//! No schema is used here: it cost more than the decision. The facts are right by their types,
//! the catalogue was read against the schema, and whether the schema declares the question is a
//! look-up. Principals and contexts that come again are kept, each in a bounded [`Memo`].

use std::sync::Arc;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use signals::{Facts, Principal, PrincipalKind};

use crate::answers::Answers;
use crate::catalogue::{Catalogue, type_name, uid};
use crate::facts::{self, ContextKey};
use crate::index::{Index, Nth, Part};
use crate::memo::Memo;
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

/// How many principals are kept, as [`Who`]: those whose requests come again.
pub(crate) const PRINCIPALS_MAX: usize = 1024;

/// How many contexts are kept: where nothing stands out, requests have the same.
pub(crate) const CONTEXTS_MAX: usize = 256;

/// One question, ready for Cedar.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) request: Request,
    pub(crate) store: Entities,
    /// The schema has principal type, action and resource type together.
    pub(crate) declared: bool,
    /// What is known of the same context.
    pub(crate) answers: Option<Arc<Answers>>,
}

/// A context that may come again, and what is known of it.
pub(crate) type Kept = (Context, Arc<Answers>);

/// A principal as its requests share it.
#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) entity: Entity,
    pub(crate) part: Part,
}

/// One question, and what the index finds for it. Inputs can be made of it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    maker: Maker<'a>,
    who: Arc<Who>,
    action: EntityUid,
    known: Option<&'a KnownAction>,
    what: EntityUid,
    /// The API that the route names.
    api: &'a str,
    declared: bool,
}

/// Makes [`Inputs`]; borrowed from one loaded set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maker<'a> {
    pub(crate) types: &'a Types,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) index: &'a Index,
    pub(crate) actions: &'a [Part],
    pub(crate) principals: &'a Memo<Principal, Arc<Who>>,
    pub(crate) contexts: &'a Memo<ContextKey, Kept>,
}

impl<'a> Maker<'a> {
    /// Names what is asked.
    pub(crate) fn asked(
        self,
        principal: &Principal,
        action: &Action,
        resource: &'a Resource,
    ) -> Result<Asked<'a>, InputError> {
        let known = self.vocabulary.action(action);
        let declared = known.is_some_and(|known| known.declares(principal.kind, &resource.kind));
        let action = match known {
            Some(known) => known.uid.clone(),
            None => undeclared_action(action)?,
        };
        let who = self.principals.get(principal, || self.who(principal).map(Arc::new))?;
        let what = match self.vocabulary.kinds.get(&resource.kind) {
            Some(kind) => entity_uid(kind, &resource.id),
            None => entity_uid(&parsed("the resource type", &resource.kind)?, &resource.id),
        };
        Ok(Asked { maker: self, who, action, known, what, api: &resource.api, declared })
    }

    fn who(self, principal: &Principal) -> Result<Who, InputError> {
        let entity = self.principal(principal)?;
        let (uid, _, parents) = entity.clone().into_inner();
        let part = self.index.part(&uid, &parents);
        Ok(Who { entity, part })
    }

    /// The principal with its groups and everything that the catalogue puts above it and them.
    pub(crate) fn principal(self, principal: &Principal) -> Result<Entity, InputError> {
        self.principal_changed(principal, |_| {})
    }

    /// The same, after a change of what is above it: each with all that is above that in turn.
    pub(crate) fn principal_changed(
        self,
        principal: &Principal,
        change: impl FnOnce(&mut Vec<EntityUid>),
    ) -> Result<Entity, InputError> {
        let Some(uid) = self.principal_uid(principal) else {
            return Ok(Entity::with_uid(self.types.anonymous.clone()));
        };
        let mut parents: Vec<EntityUid> = self.catalogue.ancestors(&uid).to_vec();
        for group in &principal.groups {
            let group = self.group(group);
            parents.extend_from_slice(self.catalogue.ancestors(&group));
            parents.push(group);
        }
        change(&mut parents);
        let tags = principal.attributes.iter().map(|(name, values)| {
            let values = values.iter().cloned().map(RestrictedExpression::new_string);
            (name.clone(), RestrictedExpression::new_set(values))
        });
        Entity::new_with_tags(uid, [], parents, tags)
            .map_err(|error| InputError::new("the principal", &error))
    }

    /// Nobody known has no name of its own.
    fn principal_uid(self, principal: &Principal) -> Option<EntityUid> {
        let kind = match principal.kind {
            PrincipalKind::User => &self.types.user,
            PrincipalKind::Workload => &self.types.workload,
            PrincipalKind::ApiKey => &self.types.api_key,
            PrincipalKind::Anonymous => return None,
        };
        Some(entity_uid(kind, &principal.id))
    }

    /// A group as a credential names it.
    pub(crate) fn group(self, id: &str) -> EntityUid {
        entity_uid(&self.types.group, id)
    }
}

impl<'a> Asked<'a> {
    pub(crate) fn maker(&self) -> Maker<'a> {
        self.maker
    }

    pub(crate) fn principal(&self) -> &Entity {
        &self.who.entity
    }

    /// The policies whose scopes are true of it.
    pub(crate) fn matching(&self) -> Result<Vec<Nth>, InputError> {
        let index = self.maker.index;
        let action = self.known.and_then(|known| self.maker.actions.get(known.nth));
        match action {
            Some(action) if self.declared => {
                let api;
                let what = match self.maker.catalogue.above(&self.what) {
                    Some(above) => index.part(&self.what, above),
                    None => {
                        api = self.api();
                        index.part(&self.what, [&api])
                    }
                };
                Ok(index.matching(&self.who.part, action, &what))
            }
            // One of them may be above another, which no schema declares.
            _ => {
                let store = self.store(Reads::EVERYTHING)?;
                let above = |uid| store.ancestors(uid).into_iter().flatten();
                let who = self.who.entity.uid();
                let who = index.part(&who, above(&who));
                let action = index.action(&self.action, above(&self.action));
                let what = index.part(&self.what, above(&self.what));
                Ok(index.matching(&who, &action, &what))
            }
        }
    }

    /// As much of it as is read.
    pub(crate) fn inputs(&self, facts: &Facts, reads: Reads) -> Result<Inputs, InputError> {
        self.with(self.store(reads)?, facts, reads)
    }

    /// All of it, with another principal or resource of the same name in place of its own.
    pub(crate) fn changed(
        &self,
        facts: &Facts,
        who: Option<Entity>,
        what: Option<Entity>,
    ) -> Result<Inputs, InputError> {
        let who = who.unwrap_or_else(|| self.who.entity.clone());
        let what = what.map_or_else(|| self.resource(), Ok)?;
        let store = self.holding(Some(who), Some(what), Reads::EVERYTHING)?;
        self.with(store, facts, Reads::EVERYTHING)
    }

    fn with(&self, store: Entities, facts: &Facts, reads: Reads) -> Result<Inputs, InputError> {
        let (context, answers) = match reads.of_facts() {
            0 => (Context::empty(), None),
            _ => {
                let make = || Ok((facts::context(facts, reads)?, Arc::default()));
                let kept = self.maker.contexts.get(&ContextKey::of(facts, reads), make)?;
                (kept.0, Some(kept.1))
            }
        };
        let (who, action, what) = (self.who.entity.uid(), self.action.clone(), self.what.clone());
        let request = Request::new(who, action, what, context, None)
            .map_err(|error| InputError::new("the request", &error))?;
        Ok(Inputs { request, store, declared: self.declared, answers })
    }

    fn store(&self, reads: Reads) -> Result<Entities, InputError> {
        let who = reads.principal().then(|| self.who.entity.clone());
        let what = if reads.resource() { Some(self.resource()?) } else { None };
        self.holding(who, what, reads)
    }

    fn holding(
        &self,
        who: Option<Entity>,
        what: Option<Entity>,
        reads: Reads,
    ) -> Result<Entities, InputError> {
        let base = match self.known {
            Some(known) if reads.action() => known.store.clone(),
            Some(_) | None => Entities::empty(),
        };
        if who.is_none() && what.is_none() {
            return Ok(base);
        }
        base.add_entities(who.into_iter().chain(what), None)
            .map_err(|error| InputError::new("the entities", &error))
    }

    /// The resource as the catalogue has it, or bare, in the API that the route names. Where the
    /// catalogue has it, the catalogue says which API it is in.
    pub(crate) fn resource(&self) -> Result<Entity, InputError> {
        if let Some(known) = self.maker.catalogue.resource(&self.what) {
            return Ok(known.clone());
        }
        Entity::new_with_tags(self.what.clone(), [], [self.api()], [])
            .map_err(|error| InputError::new("the resource", &error))
    }

    fn api(&self) -> EntityUid {
        entity_uid(&self.maker.types.api, self.api)
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
