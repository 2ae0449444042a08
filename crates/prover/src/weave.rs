//! A set as `verdict` reads it, written as a set that Cedar reads in the same way.
//!
//! Cedar skips a policy that errs. `verdict` does so with a `permit`, but a `forbid` that errs
//! refuses. So a `forbid` that may err is woven into each `permit`, as one more condition that it
//! does not hold: where it holds, that condition is false, and where it errs, the `permit` errs and
//! is skipped. Either way nothing is permitted, which is what `verdict` says.

use cedar_policy::{Effect, Policy, PolicyId, PolicySet};
use verdict::proof::FACTS;

/// A policy's whole condition, scope and all, as Cedar text. It is the policy's meaning, but for
/// its effect; annotations are no part of it.
pub(crate) fn condition(policy: &Policy) -> String {
    policy.as_ref().condition().to_string()
}

/// Sums, differences and products in one policy, at most: each is looked at for overflow on both
/// of its sides, which doubles the work with every one.
const ARITHMETIC_MAX: usize = 8;

/// An error if a policy would take too long to make ready for a solver, which nothing interrupts.
pub(crate) fn bounded(policy: &Policy) -> Result<(), String> {
    let condition = condition(policy);
    let count: usize = [" + ", " - ", " * "].iter().map(|of| condition.matches(of).count()).sum();
    if count <= ARITHMETIC_MAX {
        return Ok(());
    }
    Err(format!("`{}` has {count} sums, of which {ARITHMETIC_MAX} can be proved", policy.id()))
}

/// The policies as one static set, with those that `err` woven in, and what holds of all facts.
pub(crate) fn set(policies: &[&Policy], err: &[&Policy]) -> Result<PolicySet, String> {
    let woven: String =
        err.iter().map(|forbid| format!(" unless {{ {} }}", condition(forbid))).collect();
    let mut set = PolicySet::new();
    let mut add = |id: &str, text: String| {
        let policy = Policy::parse(Some(PolicyId::new(id)), text).map_err(|e| e.to_string())?;
        set.add(policy).map_err(|error| error.to_string())
    };
    add("the facts of a request", FACTS.to_owned())?;
    let is_woven = |policy: &Policy| err.iter().any(|forbid| forbid.id() == policy.id());
    policies.iter().try_for_each(|policy| bounded(policy))?;
    for policy in policies.iter().filter(|policy| !is_woven(policy)) {
        let (id, condition) = (policy.id().to_string(), condition(policy));
        let text = match policy.effect() {
            Effect::Permit => {
                format!("permit (principal, action, resource) when {{ {condition} }}{woven};")
            }
            Effect::Forbid => {
                format!("forbid (principal, action, resource) when {{ {condition} }};")
            }
        };
        add(&id, text)?;
    }
    Ok(set)
}

/// The set that allows what does not match this policy and does not make it err.
pub(crate) fn all_but(policy: &Policy) -> Result<PolicySet, String> {
    bounded(policy)?;
    let text = format!("permit (principal, action, resource) unless {{ {} }};", condition(policy));
    let policy = Policy::parse(None, text).map_err(|error| error.to_string())?;
    PolicySet::from_policies([policy]).map_err(|error| error.to_string())
}
