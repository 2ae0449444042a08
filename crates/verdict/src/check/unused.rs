//! Entities, templates and links that make no difference. Of entities: neither they nor anything
//! above them is named by a policy or an invariant, no other entity refers to them, and no case is
//! about them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::EntityUid;
use serde_json::Value;
use signals::PrincipalKind;

use super::ours;
use crate::cases::Case;
use crate::catalogue::{Placed, uid};
use crate::links::{Link, Part};
use crate::lint::Lint;
use crate::problem::{Problem, Text};
use crate::template::ParsedTemplate;

/// Every entity to all that is above it, declared or only named as a parent.
pub(super) fn above(placed: &[Placed<'_>]) -> BTreeMap<EntityUid, BTreeSet<EntityUid>> {
    let parents: BTreeMap<EntityUid, Vec<EntityUid>> = placed
        .iter()
        .map(|placed| {
            let (uid, _, parents) = placed.entity.clone().into_inner();
            (uid, parents.into_iter().collect())
        })
        .collect();
    let all = |uid: &EntityUid| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&EntityUid> = parents.get(uid).into_iter().flatten().collect();
        while let Some(parent) = next.pop() {
            if seen.insert(parent.clone()) {
                next.extend(parents.get(parent).into_iter().flatten());
            }
        }
        seen
    };
    parents.keys().map(|uid| (uid.clone(), all(uid))).collect()
}

/// Templates that no link names: they have no effect.
pub(super) fn templates<'a>(
    templates: impl Iterator<Item = (Text<'a>, &'a ParsedTemplate)>,
    links: &[Link<'_>],
) -> Vec<Problem> {
    let linked: BTreeSet<&str> = links.iter().map(|link| link.template.as_str()).collect();
    let idle = templates.filter(|(_, one)| !linked.contains(one.id.as_deref().unwrap_or_default()));
    idle.map(|(text, one)| {
        let problem = text.problem(one.offset, "no link is made of this template");
        problem.hint("without one it has no effect: write links/*.yaml").lint(Lint::Unused)
    })
    .collect()
}

/// Links that another one covers: it grants the same, no less long.
pub(super) fn links(links: &[Link<'_>]) -> Vec<Problem> {
    let mut longest: HashMap<(&str, Option<&EntityUid>, Option<&EntityUid>), &Link<'_>> =
        HashMap::new();
    let mut idle = Vec::new();
    for link in links {
        let what = (link.template.as_str(), link.principal.as_ref(), link.resource.as_ref());
        let (less, more) = match longest.get(&what) {
            Some(other) if link.until > other.until => (*other, link),
            Some(other) => (link, *other),
            None => {
                longest.insert(what, link);
                continue;
            }
        };
        longest.insert(what, more);
        let problem = less.problem(Part::Whole, format!("`{}` grants the same", more.id));
        idle.push(problem.hint("and no less long: remove this one").lint(Lint::Unused));
    }
    idle
}

/// One warning for each entity that makes no difference.
pub(super) fn find(
    placed: &[Placed<'_>],
    above: &BTreeMap<EntityUid, BTreeSet<EntityUid>>,
    told: &BTreeSet<EntityUid>,
) -> Vec<Problem> {
    let referred: BTreeSet<(String, String)> = placed.iter().flat_map(references).collect();
    let matters = |uid: &EntityUid| {
        let name = (uid.type_name().to_string(), uid.id().unescaped().to_owned());
        told.contains(uid)
            || referred.contains(&name)
            || above.get(uid).is_some_and(|above| above.iter().any(|uid| told.contains(uid)))
    };
    let idle = placed.iter().filter(|placed| !matters(&placed.entity.uid()));
    idle.map(warning).collect()
}

fn warning(placed: &Placed<'_>) -> Problem {
    let uid = placed.entity.uid();
    let (message, hint) = match ours(uid.type_name()) {
        Some("Role") => {
            (format!("no policy asks for `{uid}`"), "grant something to it, or remove it")
        }
        Some("Group") => (
            format!("to be in `{uid}` gives nobody anything"),
            "no policy names it, nor a role or group above it",
        ),
        Some("Api") => (
            format!("no policy is for `{uid}`"),
            "all that a route of this API is asked for is refused",
        ),
        _ => (
            format!("`{uid}` is as if it were not declared"),
            "no policy names it or what it is in, no entity refers to it, no case is about it",
        ),
    };
    placed.text.problem(placed.offset, message).hint(hint).lint(Lint::Unused)
}

/// Whom and what a case is about.
pub(super) fn of_case(Case { principal, resource, .. }: &Case) -> Vec<EntityUid> {
    let mut named: Vec<EntityUid> =
        principal.groups.iter().map(|group| uid("Portcullis::Group", group)).collect();
    match principal.kind {
        PrincipalKind::User => named.push(uid("Portcullis::User", &principal.id)),
        PrincipalKind::Workload => named.push(uid("Portcullis::Workload", &principal.id)),
        PrincipalKind::ApiKey => named.push(uid("Portcullis::ApiKey", &principal.id)),
        PrincipalKind::Anonymous => {}
    }
    let kind = resource.kind.parse().ok();
    named.extend(kind.map(|kind| {
        EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(&resource.id))
    }));
    named
}

/// The entities that the attributes of one name, by type and id.
fn references(placed: &Placed<'_>) -> Vec<(String, String)> {
    let json: Value = serde_json::from_str(placed.json).unwrap_or_default();
    let mut found = Vec::new();
    let mut next: Vec<&Value> = json.get("attrs").into_iter().chain(json.get("tags")).collect();
    while let Some(value) = next.pop() {
        match value {
            Value::Array(items) => next.extend(items),
            Value::Object(fields) => {
                let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
                found.extend(text("type").zip(text("id")));
                next.extend(fields.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}
