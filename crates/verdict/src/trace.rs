//! What each part of a policy comes to for one question: its scope, and each condition as it
//! stands in the file, with the values it reads.
//!
//! Cedar evaluates each part, of text that is the policy's own. What a policy comes to as a whole
//! is the decision's to say, not this module's: the parts are there to be shown and counted.

mod syntax;

use std::ops::Range;

use cedar_policy::{
    ActionConstraint, Entities, EvalResult, Expression, Policy, PrincipalConstraint, Request,
    ResourceConstraint, eval_expression,
};

use crate::inputs::Inputs;

pub(crate) use syntax::{calculates, entities, numbers, strings, tags};

/// The parts of one policy, ready to be asked: scope first, in the order of evaluation.
#[derive(Debug)]
pub(crate) struct Parts {
    parts: Vec<Part>,
    /// Effect and scope, in bytes of the policy.
    head: Range<usize>,
}

/// One part.
#[derive(Debug)]
pub(crate) struct Part {
    /// As it stands in the file; of a scope, as Cedar writes it.
    pub(crate) text: String,
    pub(crate) kind: Kind,
    /// Bytes of the policy, of a link those of its template; of a scope, the head.
    pub(crate) place: Range<usize>,
    /// Without, the text could not be read by itself.
    expression: Option<Expression>,
    /// The attributes that it names, in order.
    reads: Vec<(String, Expression)>,
}

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Scope,
    When,
    Unless,
}

/// What a part came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    /// The policy goes on: a `when` is true, an `unless` is not.
    On,
    /// The policy does not hold.
    Off,
    /// The policy ended before; by itself, this would have erred.
    Unreached,
    /// The policy errs.
    Erred(String),
}

/// A part's result for one question.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) part: &'a Part,
    pub(crate) came: Came,
    /// The policy went on after every part before.
    pub(crate) reached: bool,
}

impl Parts {
    /// The parts of a policy. A link's are its own scope and what its template says.
    pub(crate) fn of(policy: &Policy) -> Self {
        // Of a link, it is its template's.
        let text = policy.as_ref().loc().and_then(|loc| loc.snippet()).unwrap_or_default();
        let head = syntax::head(text);
        let scope = scope(policy).into_iter().map(|part| Part::of(part, Kind::Scope, head.clone()));
        let conditions = syntax::conditions(text).into_iter().filter_map(|place| {
            let kind = if place.negated { Kind::Unless } else { Kind::When };
            let part = text.get(place.range.clone())?.to_owned();
            Some(Part::of(part, kind, place.range))
        });
        Self { parts: scope.chain(conditions).collect(), head }
    }

    /// Where effect and scope stand.
    pub(crate) fn head(&self) -> Range<usize> {
        self.head.clone()
    }

    /// The scope, unless it is true of everything.
    pub(crate) fn scope_text(&self) -> Option<String> {
        let is_scope = |part: &&Part| part.kind == Kind::Scope;
        let texts: Vec<&str> =
            self.parts.iter().filter(is_scope).map(|part| part.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.kind != Kind::Scope)
    }

    /// What each part comes to.
    pub(crate) fn ask(&self, inputs: &Inputs) -> Vec<Step<'_>> {
        let mut reached = true;
        let mut steps = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let came = part.ask(&inputs.request, &inputs.store, reached);
            let goes_on = reached && came == Came::On;
            steps.push(Step { part, came, reached });
            reached = goes_on;
        }
        steps
    }
}

impl Came {
    /// Behind a part that did not hold, an error is none: a guard stands before it.
    fn erred(reached: bool, message: impl FnOnce() -> String) -> Self {
        if reached { Self::Erred(message()) } else { Self::Unreached }
    }
}

impl Part {
    fn of(text: String, kind: Kind, place: Range<usize>) -> Self {
        let named = |path: String| Some((path.parse().ok()?, path));
        let reads = syntax::attributes(&text).into_iter().filter_map(named);
        let reads = reads.map(|(expression, path)| (path, expression)).collect();
        Self { expression: text.parse().ok(), text, kind, place, reads }
    }

    fn ask(&self, request: &Request, store: &Entities, reached: bool) -> Came {
        let Some(expression) = &self.expression else {
            return Came::erred(reached, || "it cannot be read by itself".to_owned());
        };
        match eval_expression(request, store, expression) {
            Ok(EvalResult::Bool(is)) if is == (self.kind != Kind::Unless) => Came::On,
            Ok(EvalResult::Bool(_)) => Came::Off,
            Ok(_) => Came::erred(reached, || "it is neither true nor false".to_owned()),
            Err(error) => Came::erred(reached, || error.to_string()),
        }
    }

    /// The values of the attributes that it names, as Cedar writes them; none, where there is
    /// no such attribute.
    pub(crate) fn values(&self, inputs: &Inputs) -> Vec<(&str, Option<String>)> {
        let value = |expression| {
            let value = eval_expression(&inputs.request, &inputs.store, expression);
            value.ok().map(|value| value.to_string())
        };
        self.reads.iter().map(|(path, expression)| (path.as_str(), value(expression))).collect()
    }
}

/// What the policy asks of principal, action and resource; nothing of what may be anything.
fn scope(policy: &Policy) -> Vec<String> {
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::Any => None,
        PrincipalConstraint::Is(kind) => Some(format!("principal is {kind}")),
        PrincipalConstraint::Eq(uid) => Some(format!("principal == {uid}")),
        PrincipalConstraint::In(uid) => Some(format!("principal in {uid}")),
        PrincipalConstraint::IsIn(kind, uid) => Some(format!("principal is {kind} in {uid}")),
    };
    let action = match policy.action_constraint() {
        ActionConstraint::Any => None,
        ActionConstraint::Eq(uid) => Some(format!("action == {uid}")),
        ActionConstraint::In(uids) => {
            let uids: Vec<String> = uids.iter().map(ToString::to_string).collect();
            Some(format!("action in [{}]", uids.join(", ")))
        }
    };
    let resource = match policy.resource_constraint() {
        ResourceConstraint::Any => None,
        ResourceConstraint::Is(kind) => Some(format!("resource is {kind}")),
        ResourceConstraint::Eq(uid) => Some(format!("resource == {uid}")),
        ResourceConstraint::In(uid) => Some(format!("resource in {uid}")),
        ResourceConstraint::IsIn(kind, uid) => Some(format!("resource is {kind} in {uid}")),
    };
    principal.into_iter().chain(action).chain(resource).collect()
}

#[cfg(test)]
mod tests {
    use cedar_policy::{Authorizer, Context, PolicySet};
    use serde_json::json;

    use super::*;

    fn inputs(context: serde_json::Value) -> Inputs {
        let uid = |text: &str| text.parse().unwrap();
        let context = Context::from_json_value(context, None).unwrap();
        let request =
            Request::new(uid("U::\"a\""), uid("Action::\"x\""), uid("R::\"r\""), context, None);
        Inputs {
            request: request.unwrap(),
            store: Entities::empty(),
            declared: true,
            answers: None,
        }
    }

    /// Part by part, a policy comes to what Cedar's authorizer says of the whole.
    #[test]
    fn the_parts_come_to_what_the_policy_comes_to() {
        let conditions = [
            "",
            "when { context.a == 1 }",
            "when { context.a == 1 && context.b }",
            "when { context has c && context.c == 2 }",
            "when { context.c == 2 && context.b }",
            "when { context.b || context.c == 2 && context.b }",
            "unless { context.b }",
            "unless { context.a == 2 || context.b }",
            "unless { context.c == 2 }",
            "when { context.a == 1 } when { context.b } unless { context.a == 9 }",
            "when { (context.b && (context.a == 1)) && !(context.a == 3) }",
            "when { context.a == 1 && (if context.b then context.a < 5 && context.b else false) }",
            "when { if context.b then context.a == 1 && context.b else context.a == 2 }",
            "when { context.a + 9223372036854775807 > 0 && context.b }",
            "when { context.s like \"*&&*\" // && false\n && [1, 2].contains(context.a) }",
        ];
        let contexts = [
            json!({ "a": 1, "b": true, "s": "x && y" }),
            json!({ "a": 1, "b": false, "s": "" }),
            json!({ "a": 2, "b": true, "s": "&&" }),
            json!({ "a": 2, "b": false, "c": 2, "s": "&&" }),
            json!({ "a": 0, "b": true, "c": 3, "s": "&&" }),
        ];
        let mut seen = std::collections::BTreeSet::new();
        for scope in ["principal, action, resource", "principal is U, action, resource is S"] {
            for condition in conditions {
                let text = format!("forbid ({scope}) {condition};");
                let policy = Policy::parse(None, text).unwrap();
                let parts = Parts::of(&policy);
                let set = PolicySet::from_policies([policy]).unwrap();
                for context in &contexts {
                    let inputs = inputs(context.clone());
                    let whole =
                        Authorizer::new().is_authorized(&inputs.request, &set, &inputs.store);
                    let holds = whole.diagnostics().reason().next().is_some();
                    let errs = whole.diagnostics().errors().next().is_some();
                    let steps = parts.ask(&inputs);
                    let on = steps.iter().all(|step| step.came == Came::On);
                    let erred = steps.iter().any(|step| matches!(step.came, Came::Erred(_)));
                    assert_eq!((on, erred), (holds, errs), "{condition} {context}");
                    seen.insert((on, erred));
                }
            }
        }
        assert_eq!(seen.len(), 3, "some held, some did not, some erred");
    }

    #[test]
    fn a_part_has_its_place_and_the_values_it_reads() {
        let text = "permit (principal, action, resource) when { context.a == 1 && context.z.y };";
        let parts = Parts::of(&Policy::parse(None, text).unwrap());
        assert_eq!((parts.head(), parts.scope_text()), (0..36, None));
        let inputs = inputs(json!({ "a": 1 }));
        let told: Vec<_> = parts
            .conditions()
            .map(|part| (text.get(part.place.clone()).unwrap(), part.values(&inputs)))
            .collect();
        assert_eq!(
            told,
            [
                ("context.a == 1", vec![("context.a", Some("1".to_owned()))]),
                ("context.z.y", vec![("context.z.y", None)]),
            ]
        );
    }
}
