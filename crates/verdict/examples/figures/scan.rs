//! Cedar's own authorizer over the same policies, with a request and a store as small as they can
//! be: what a decision would cost without an index.

use std::collections::HashSet;
use std::hint::black_box;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request,
};
use verdict::Source;

use crate::workload::Asked;

/// Of one decision, µs.
pub(crate) fn p50(source: &Source, questions: &[Asked]) -> f64 {
    let set = policies(source);
    let authorizer = Authorizer::new();
    let decide = |asked: &Asked| {
        let (request, store) = inputs(asked);
        crate::measure(|| drop(black_box(authorizer.is_authorized(&request, &set, &store))))
    };
    crate::median(questions.iter().map(decide).collect())
}

fn policies(source: &Source) -> PolicySet {
    let mut all = PolicySet::new();
    let texts = source.files.iter().filter(|(path, _)| path.ends_with(".cedar"));
    for (path, text) in texts {
        let file: PolicySet = text.parse().unwrap();
        for (nth, policy) in file.policies().enumerate() {
            let policy: Policy = policy.new_id(PolicyId::new(format!("{path}#{nth}")));
            all.add(policy).unwrap();
        }
    }
    all
}

fn inputs(asked: &Asked) -> (Request, Entities) {
    let question = asked.question();
    let uid = |kind: &str, id: &str| -> EntityUid { format!("{kind}::\"{id}\"").parse().unwrap() };
    let principal = &question.principal.principal;
    let who = uid(&format!("Portcullis::{}", principal.kind.as_str()), &principal.id);
    let groups = principal.groups.iter().map(|group| uid("Portcullis::Group", group)).collect();
    let action = uid("Gw::Action", &question.action.name);
    let what = uid(&question.resource.kind, &question.resource.id);
    let api = HashSet::from([uid("Portcullis::Api", &question.resource.api)]);
    let entities = [
        Entity::new_no_attrs(who.clone(), groups),
        Entity::new_no_attrs(what.clone(), api),
        Entity::new_no_attrs(action.clone(), HashSet::from([uid("Gw::Action", "read")])),
    ];
    let facts = serde_json::to_value(&asked.facts).unwrap();
    let context = Context::from_json_value(facts, None).unwrap();
    let request = Request::new(who, action, what, context, None).unwrap();
    (request, Entities::from_entities(entities, None).unwrap())
}
