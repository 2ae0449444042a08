//! Which policies' scopes match a request, found without looking at the others.
//!
//! A scope is a conjunction of one constraint on each of principal, action and resource, and each
//! is a key that a request has or has not: anything, a type, the entity itself, or an entity at
//! or above it. So a policy lies under its three keys, and a request, by its own keys, finds all
//! those whose scopes are true and no other; what remains of a policy is its [`Condition`].
//! A scope cannot err: those that are not found would have changed nothing.
//!
//! It knows nothing of effects, conditions or annotations, and it is made anew for each set.
//! Policies with an empty scope are candidates of every request, and no index makes them cheaper.
//!
//! [`Condition`]: crate::condition::Condition

#[cfg(test)]
mod equal;

use std::collections::HashMap;

use cedar_policy::{
    ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};

/// One constraint, or what a request has that satisfies it.
type Key = u32;

/// No constraint; every request has it.
const ANY: Key = 0;

/// A policy: its place in the order in which the index was given them.
pub(crate) type Nth = u32;

/// The scopes of a set of policies, by key.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Of each entity that a scope names: the key of being it; the next one is that of being in it.
    entities: HashMap<EntityUid, Key>,
    kinds: HashMap<EntityTypeName, Key>,
    next: Key,
    /// Policies with an empty scope.
    always: Vec<Nth>,
    /// By action and resource; each sorted by principal.
    buckets: HashMap<(Key, Key), Vec<(Key, Nth)>>,
    /// Of each policy, what its keys do not say.
    also: Vec<Also>,
    /// A source of keys that it lacks.
    #[cfg(test)]
    without: Option<Source>,
}

/// The types that `is … in` asks for beside an entity; [`ANY`] if none.
#[derive(Debug, Clone, Copy)]
struct Also {
    principal: Key,
    resource: Key,
}

/// The keys of one part of a request: of its principal, its action or its resource.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    kind: Key,
    keys: Vec<Key>,
}

/// Where keys come from, beside the entity itself. Tests take one away and look who notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Ancestors,
    Kinds,
    ActionGroups,
}

/// The three constraints of a scope, of principal or resource.
enum Constraint {
    Any,
    Is(EntityTypeName),
    Own(EntityUid),
    Within(EntityUid),
    IsWithin(EntityTypeName, EntityUid),
}

impl Index {
    /// The index of these policies; they are numbered in this order.
    pub(crate) fn of<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut index = Self { next: ANY + 1, ..Self::default() };
        for (policy, nth) in policies.into_iter().zip(0..) {
            index.add(policy, nth);
        }
        for bucket in index.buckets.values_mut() {
            bucket.sort_unstable();
            bucket.shrink_to_fit();
        }
        index
    }

    fn add(&mut self, policy: &Policy, nth: Nth) {
        let (principal, principal_is) = self.constrained(principal(policy));
        let (resource, resource_is) = self.constrained(resource(policy));
        self.also.push(Also { principal: principal_is, resource: resource_is });
        let mut actions = match policy.action_constraint() {
            ActionConstraint::Any => vec![ANY],
            ActionConstraint::Eq(uid) => vec![self.entity(uid)],
            ActionConstraint::In(uids) => {
                uids.into_iter().map(|uid| self.entity(uid) + 1).collect()
            }
        };
        if (principal, actions.as_slice(), resource) == (ANY, &[ANY], ANY) {
            self.always.push(nth);
            return;
        }
        actions.sort_unstable();
        actions.dedup();
        for action in actions {
            self.buckets.entry((action, resource)).or_default().push((principal, nth));
        }
    }

    /// The key of a constraint, and the type that it asks for besides.
    fn constrained(&mut self, constraint: Constraint) -> (Key, Key) {
        match constraint {
            Constraint::Any => (ANY, ANY),
            Constraint::Is(kind) => (self.kind(kind), ANY),
            Constraint::Own(uid) => (self.entity(uid), ANY),
            Constraint::Within(uid) => (self.entity(uid) + 1, ANY),
            Constraint::IsWithin(kind, uid) => (self.entity(uid) + 1, self.kind(kind)),
        }
    }

    fn entity(&mut self, uid: EntityUid) -> Key {
        let next = &mut self.next;
        *self.entities.entry(uid).or_insert_with(|| {
            *next += 2;
            *next - 2
        })
    }

    fn kind(&mut self, kind: EntityTypeName) -> Key {
        let next = &mut self.next;
        *self.kinds.entry(kind).or_insert_with(|| {
            *next += 1;
            *next - 1
        })
    }

    /// The keys of a request's principal or resource, with everything above it.
    pub(crate) fn part<'a>(
        &self,
        uid: &EntityUid,
        ancestors: impl IntoIterator<Item = &'a EntityUid>,
    ) -> Part {
        let kind = self.kinds.get(uid.type_name()).copied().unwrap_or(ANY);
        let mut keys = self.own(uid);
        if kind != ANY && self.has(Source::Kinds) {
            keys.push(kind);
        }
        if self.has(Source::Ancestors) {
            self.above(ancestors, &mut keys);
        }
        Part { kind, keys: sorted(keys) }
    }

    /// The keys of a request's action, with the groups above it.
    pub(crate) fn action<'a>(
        &self,
        uid: &EntityUid,
        groups: impl IntoIterator<Item = &'a EntityUid>,
    ) -> Part {
        let mut keys = self.own(uid);
        if self.has(Source::ActionGroups) {
            self.above(groups, &mut keys);
        }
        Part { kind: ANY, keys: sorted(keys) }
    }

    fn own(&self, uid: &EntityUid) -> Vec<Key> {
        let mut keys = vec![ANY];
        keys.extend(self.entities.get(uid).into_iter().flat_map(|own| [*own, own + 1]));
        keys
    }

    fn above<'a>(&self, uids: impl IntoIterator<Item = &'a EntityUid>, keys: &mut Vec<Key>) {
        keys.extend(uids.into_iter().filter_map(|uid| self.entities.get(uid)).map(|own| own + 1));
    }

    /// The policies that are candidates of every request, ascending.
    pub(crate) fn always(&self) -> &[Nth] {
        &self.always
    }

    #[cfg(not(test))]
    fn has(&self, _: Source) -> bool {
        true
    }

    #[cfg(test)]
    fn has(&self, source: Source) -> bool {
        self.without != Some(source)
    }

    /// The policies whose scopes are true of a request, each once, ascending.
    pub(crate) fn matching(&self, principal: &Part, action: &Part, resource: &Part) -> Vec<Nth> {
        let mut found = Vec::with_capacity(self.always.len() + 16);
        found.extend_from_slice(&self.always);
        for action in &action.keys {
            for on in &resource.keys {
                if let Some(bucket) = self.buckets.get(&(*action, *on)) {
                    self.among(bucket, principal, resource, &mut found);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn among(
        &self,
        bucket: &[(Key, Nth)],
        principal: &Part,
        resource: &Part,
        found: &mut Vec<Nth>,
    ) {
        let mut rest = bucket;
        for key in &principal.keys {
            rest = rest.get(rest.partition_point(|(by, _)| by < key)..).unwrap_or_default();
            let of_key = rest.get(..rest.partition_point(|(by, _)| by == key)).unwrap_or_default();
            found.extend(of_key.iter().map(|(_, nth)| *nth).filter(|nth| {
                self.also(*nth).is_some_and(|also| {
                    [ANY, principal.kind].contains(&also.principal)
                        && [ANY, resource.kind].contains(&also.resource)
                })
            }));
        }
    }

    fn also(&self, nth: Nth) -> Option<Also> {
        self.also.get(usize::try_from(nth).ok()?).copied()
    }
}

/// Ascending and each once, as [`Index::among`] goes through them.
fn sorted(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn principal(policy: &Policy) -> Constraint {
    match policy.principal_constraint() {
        PrincipalConstraint::Any => Constraint::Any,
        PrincipalConstraint::Is(kind) => Constraint::Is(kind),
        PrincipalConstraint::Eq(uid) => Constraint::Own(uid),
        PrincipalConstraint::In(uid) => Constraint::Within(uid),
        PrincipalConstraint::IsIn(kind, uid) => Constraint::IsWithin(kind, uid),
    }
}

fn resource(policy: &Policy) -> Constraint {
    match policy.resource_constraint() {
        ResourceConstraint::Any => Constraint::Any,
        ResourceConstraint::Is(kind) => Constraint::Is(kind),
        ResourceConstraint::Eq(uid) => Constraint::Own(uid),
        ResourceConstraint::In(uid) => Constraint::Within(uid),
        ResourceConstraint::IsIn(kind, uid) => Constraint::IsWithin(kind, uid),
    }
}
