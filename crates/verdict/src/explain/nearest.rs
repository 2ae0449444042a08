//! Which policies came nearest to holding: first by parts of the scope, then by conditions.

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PrincipalConstraint,
    ResourceConstraint,
};

use super::{Explained, Inquiry};
use crate::compiled::Compiled;
use crate::inputs::Inputs;

/// Policies that are shown.
const SHOWN_MAX: usize = 3;
/// Policies whose conditions are looked at: to be shown, and for what would turn the answer.
const LOOKED_MAX: usize = 64;

/// The policies of one effect that lack least.
#[derive(Debug)]
pub(super) struct Near {
    /// Those to be shown, nearest first.
    pub(super) shown: Vec<Explained>,
    /// Those that one change can make hold, nearest first: action and resource are theirs.
    pub(super) turning: Vec<Explained>,
    /// How many more of these there are, which were not looked at.
    pub(super) left: usize,
}

/// What of a scope is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Misses {
    principal: bool,
    action: bool,
    resource: bool,
}

impl Misses {
    fn count(self) -> usize {
        [self.principal, self.action, self.resource].iter().filter(|miss| **miss).count()
    }

    /// Who asks can be given a group or a role; what is asked is what it is.
    fn can_turn(self) -> bool {
        !self.action && !self.resource
    }
}

impl Near {
    pub(super) fn of(enforced: &[&Compiled], effect: Effect, of: &Inquiry<'_>) -> Self {
        let ours = enforced.iter().filter(|one| one.policy.effect() == effect);
        let mut all: Vec<(Misses, &Compiled)> =
            ours.map(|one| (misses(&one.policy, &of.inputs), *one)).collect();
        all.sort_by_key(|(misses, one)| (misses.count(), one.id()));
        let can_turn = all.iter().filter(|(misses, _)| misses.can_turn());
        let left = can_turn.count().saturating_sub(LOOKED_MAX);
        let shown = ranked(all.iter().take(LOOKED_MAX), of).into_iter().take(SHOWN_MAX);
        let shown = shown.collect();
        all.retain(|(misses, _)| misses.can_turn());
        Self { shown, turning: ranked(all.iter().take(LOOKED_MAX), of), left }
    }
}

/// Among those of equal scope, conditions decide.
fn ranked<'a>(
    all: impl Iterator<Item = &'a (Misses, &'a Compiled)>,
    of: &Inquiry<'_>,
) -> Vec<Explained> {
    let explained = all.map(|(misses, one)| {
        let explained = of.explained(one);
        let failed = explained.parts.iter().filter(|part| !part.holds).count();
        (misses.count(), failed, explained)
    });
    let mut ranked: Vec<(usize, usize, Explained)> = explained.collect();
    ranked.sort_by(|a, b| (a.0, a.1, &a.2.policy).cmp(&(b.0, b.1, &b.2.policy)));
    ranked.into_iter().map(|(_, _, explained)| explained).collect()
}

/// Its scope is true of the question.
pub(super) fn in_scope(one: &Compiled, inputs: &Inputs) -> bool {
    misses(&one.policy, inputs).count() == 0
}

/// What of principal, action and resource the scope is false of.
fn misses(policy: &Policy, inputs: &Inputs) -> Misses {
    let request = &inputs.request;
    let within = |uid: Option<&EntityUid>, of: &EntityUid| {
        uid.is_some_and(|uid| uid == of || inputs.store.is_ancestor_of(of, uid))
    };
    let is = |uid: Option<&EntityUid>, kind: &EntityTypeName| {
        uid.is_some_and(|uid| uid.type_name() == kind)
    };
    let (who, action, what) = (request.principal(), request.action(), request.resource());
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::Is(kind) => is(who, &kind),
        PrincipalConstraint::Eq(uid) => who == Some(&uid),
        PrincipalConstraint::In(uid) => within(who, &uid),
        PrincipalConstraint::IsIn(kind, uid) => is(who, &kind) && within(who, &uid),
    };
    let action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => action == Some(&uid),
        ActionConstraint::In(uids) => uids.iter().any(|uid| within(action, uid)),
    };
    let resource = match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Is(kind) => is(what, &kind),
        ResourceConstraint::Eq(uid) => what == Some(&uid),
        ResourceConstraint::In(uid) => within(what, &uid),
        ResourceConstraint::IsIn(kind, uid) => is(what, &kind) && within(what, &uid),
    };
    Misses { principal: !principal, action: !action, resource: !resource }
}
