//! What is left of a policy when its scope is true: its `when` and `unless`, evaluated by Cedar.
//!
//! Cedar's authorizer makes the conjunction of scope and conditions anew for each policy and
//! decision. Here the conditions are kept as Cedar parsed them, shared with the policy itself. The
//! two conversions that this takes (`Policy` to its syntax, and a part of that to an
//! `Expression`) are public but left out of Cedar's documentation; our version of it is pinned,
//! and a test compares millions of answers with those of Cedar's authorizer.

use cedar_policy::{Entities, EvalResult, Expression, Policy, Request, eval_expression};

/// The conditions of one policy, as one expression; without any, it always holds.
#[derive(Debug, Clone)]
pub(crate) struct Condition(Option<Expression>);

impl Condition {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self(policy.as_ref().non_scope_constraints().cloned().map(Expression::from))
    }

    /// Whether they hold.
    ///
    /// # Errors
    ///
    /// Cedar's message. A condition that is no boolean is one too; a strictly valid policy has
    /// none.
    pub(crate) fn holds(&self, request: &Request, store: &Entities) -> Result<bool, String> {
        let Some(expression) = &self.0 else { return Ok(true) };
        match eval_expression(request, store, expression) {
            Ok(EvalResult::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("type error: expected bool, got {}", kind(&other))),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// As Cedar's own message has it.
fn kind(value: &EvalResult) -> String {
    match value {
        EvalResult::Bool(_) => "bool".to_owned(),
        EvalResult::Long(_) => "long".to_owned(),
        EvalResult::String(_) => "string".to_owned(),
        EvalResult::Set(_) => "set".to_owned(),
        EvalResult::Record(_) => "record".to_owned(),
        EvalResult::EntityUid(uid) => format!("(entity of type `{}`)", uid.type_name()),
        EvalResult::ExtensionValue(_) => "extension value".to_owned(),
    }
}
