//! The kinds of request that a schema has, and which policies can have a say in one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cedar_policy::{
    ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, RequestEnv,
    ResourceConstraint, Schema,
};
use serde::Serialize;
use verdict::Policies;

use crate::Error;

/// One kind of request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Environment {
    /// The type of the principal, `Portcullis::User`.
    pub principal: String,
    /// The action, `Orders::Action::"get"`.
    pub action: String,
    /// The type of the resource, `Orders::Order`.
    pub resource: String,
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.principal, self.action, self.resource)
    }
}

impl Environment {
    fn of(env: &RequestEnv) -> Self {
        let (principal, resource) = (env.principal().to_string(), env.resource().to_string());
        Self { principal, action: env.action().to_string(), resource }
    }
}

/// A set's environments, in order, and its actions with their groups.
#[derive(Debug)]
pub(crate) struct Environments {
    pub(crate) all: BTreeMap<Environment, RequestEnv>,
    groups: BTreeMap<EntityUid, BTreeSet<EntityUid>>,
}

impl Environments {
    pub(crate) fn of(set: &Policies) -> Result<Self, Error> {
        let schema: &Schema = set.schema();
        let all = schema.request_envs().map(|env| (Environment::of(&env), env)).collect();
        let actions =
            schema.action_entities().map_err(|error| Error::Actions(error.to_string()))?;
        let groups = actions.iter().map(|action| {
            let uid = action.uid();
            let above = actions.ancestors(&uid).into_iter().flatten().cloned().collect();
            (uid, above)
        });
        Ok(Self { all, groups: groups.collect() })
    }

    /// Whether the scope of a policy can match a request of this environment. If not, it is false
    /// by types and actions alone, and since a scope cannot err, so is the policy: it is no part
    /// of any answer, whatever its conditions are.
    pub(crate) fn applies(&self, policy: &Policy, env: &RequestEnv) -> bool {
        let is = |kind: &EntityTypeName, of: &EntityTypeName| kind == of;
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::In(_) => true,
            PrincipalConstraint::Eq(uid) => is(uid.type_name(), env.principal()),
            PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) => {
                is(&kind, env.principal())
            }
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::In(_) => true,
            ResourceConstraint::Eq(uid) => is(uid.type_name(), env.resource()),
            ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => {
                is(&kind, env.resource())
            }
        };
        let action = match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => uid == *env.action(),
            ActionConstraint::In(uids) => uids.iter().any(|uid| self.is_in(env.action(), uid)),
        };
        principal && resource && action
    }

    fn is_in(&self, action: &EntityUid, group: &EntityUid) -> bool {
        action == group || self.groups.get(action).is_some_and(|above| above.contains(group))
    }
}

/// One loaded set, as a prover sees it.
pub(crate) struct Side<'a> {
    pub(crate) set: &'a Policies,
    pub(crate) environments: Environments,
    /// By id, so that what did not change stands at the same place in both sets.
    pub(crate) deciding: BTreeMap<String, Policy>,
}

impl<'a> Side<'a> {
    pub(crate) fn of(set: &'a Policies) -> Result<Self, Error> {
        let environments = Environments::of(set)?;
        Ok(Self { set, environments, deciding: set.deciding()? })
    }

    /// The policies that can have a say in this environment; none if the schema does not have it.
    pub(crate) fn candidates(&self, environment: &Environment) -> Vec<&Policy> {
        let Some(env) = self.environments.all.get(environment) else { return Vec::new() };
        self.deciding.values().filter(|policy| self.environments.applies(policy, env)).collect()
    }
}
