//! Templates, and the policies that links make of them.
//!
//! A link's policy has the annotations of its template and the link's own id. What a template
//! leaves open, its links have to keep to: the policies of an API stay within it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Effect, EntityUid, PolicyId, PolicySet, Schema, SlotId, Template, TemplateResourceConstraint,
    ValidationMode, Validator,
};
use miette::Diagnostic;
use serde_json::Value;

use crate::annotations::{self, Annotation, Carrier, Meta, distance};
use crate::catalogue::{Catalogue, api_uid};
use crate::compiled::Compiled;
use crate::links::{Link, Part};
use crate::lint::Lint;
use crate::policy::{ENTITY_LEVEL, PolicyFiles};
use crate::problem::{Problem, Text};
use crate::source::Scope;
use crate::until::Until;

/// One template that parsed.
#[derive(Debug)]
pub(crate) struct ParsedTemplate {
    /// Byte offset in the file.
    pub(crate) offset: usize,
    pub(crate) id: Option<String>,
    meta: Option<Meta>,
    /// Under its `@id`, if it has one.
    pub(crate) template: Template,
    /// The API that the resource of each link has to be in; `None` if the template sees to it.
    open: Option<String>,
}

impl ParsedTemplate {
    pub(crate) fn read(
        scope: Scope<'_>,
        text: Text<'_>,
        template: &Template,
        listed: &BTreeSet<String>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let offset = template.as_ref().loc().map_or(0, |loc| loc.start());
        let carrier = Carrier { text, offset, effect: template.effect() };
        let annotations: Vec<Annotation<'_>> = template
            .as_ref()
            .annotations()
            .map(|(key, annotation)| Annotation {
                key: key.as_ref(),
                value: annotation.as_ref(),
                offset: annotation.loc.as_ref().map_or(offset, |loc| loc.start()),
            })
            .collect();
        let (id, meta) = annotations::read(carrier, &annotations, listed, problems);
        let open = reach(scope, text, offset, template, problems);
        let template = match &id {
            Some(id) => template.new_id(PolicyId::new(id)),
            None => template.clone(),
        };
        Self { offset, id, meta, template, open }
    }

    /// Every entity that it names.
    pub(crate) fn literals(&self) -> BTreeSet<EntityUid> {
        let mut found = BTreeSet::new();
        let json = self.template.to_json().unwrap_or_default();
        let mut next = vec![&json];
        while let Some(value) = next.pop() {
            match value {
                Value::Array(items) => next.extend(items),
                Value::Object(fields) => {
                    found.extend(entity(value));
                    next.extend(fields.values());
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        found
    }
}

/// `{"type": …, "id": …}`
fn entity(json: &Value) -> Option<EntityUid> {
    let text = |key: &str| json.get(key).and_then(Value::as_str);
    let kind = text("type")?.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(text("id")?)))
}

/// As for policies; a resource that is left to the links is theirs to hold within the API, unless
/// a condition does.
fn reach(
    scope: Scope<'_>,
    text: Text<'_>,
    offset: usize,
    template: &Template,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    use TemplateResourceConstraint::{Any, Eq, In, Is, IsIn};
    let mut wrong = |message: String, hint: String| {
        problems.push(text.problem(offset, message).hint(hint).lint(Lint::Reach));
        None
    };
    let api = match scope {
        Scope::Guardrail if template.effect() == Effect::Permit => {
            let hint = "it would permit on every API: write it in the API's directory, or list \
                        the file in `policies.global`";
            return wrong("a guardrail cannot permit".to_owned(), hint.to_owned());
        }
        Scope::Guardrail | Scope::Global => return None,
        Scope::Api(api) => api,
    };
    let uid = api_uid(api);
    match template.resource_constraint() {
        In(Some(resource)) | IsIn(_, Some(resource)) if resource == uid => None,
        In(None) | Eq(None) | IsIn(_, None) => (!is_held(template, &uid)).then(|| api.to_owned()),
        Any | Is(_) | In(Some(_)) | Eq(Some(_)) | IsIn(_, Some(_)) => wrong(
            format!("this template reaches beyond the API `{api}`"),
            format!("write `resource in {uid}` or `resource in ?resource` in its scope"),
        ),
    }
}

/// Whether a `when` asks for `resource in <api>`, by itself or beside other conditions.
fn is_held(template: &Template, api: &EntityUid) -> bool {
    let json = template.to_json().unwrap_or_default();
    let conditions = json.get("conditions").and_then(Value::as_array).into_iter().flatten();
    let whens = conditions.filter(|one| one.get("kind").and_then(Value::as_str) == Some("when"));
    let mut next: Vec<&Value> = whens.filter_map(|one| one.get("body")).collect();
    while let Some(condition) = next.pop() {
        if let Some(both) = condition.get("&&") {
            next.extend(both.get("left").into_iter().chain(both.get("right")));
        }
        let Some(is_in) = condition.get("in") else { continue };
        let of = is_in.get("left").and_then(|left| left.get("Var")).and_then(Value::as_str);
        let what = is_in.pointer("/right/Value/__entity").and_then(entity);
        if of == Some("resource") && what.as_ref() == Some(api) {
            return true;
        }
    }
    false
}

/// A link and the policy that it makes.
#[derive(Debug)]
pub(crate) struct Linked<'a> {
    pub(crate) link: Link<'a>,
    pub(crate) policy: Arc<Compiled>,
}

/// Links each to its template; problems are appended, and what has one is left out. Links that have
/// an end may be `over`: what is wrong with them is no problem.
pub(crate) fn link<'a>(
    links: Vec<Link<'a>>,
    over: bool,
    files: &PolicyFiles<'_>,
    catalogue: &Catalogue,
    schema: &Schema,
    problems: &mut Vec<Problem>,
) -> Vec<Linked<'a>> {
    let mut linker = Linker {
        templates: files
            .templates()
            .filter_map(|(_, one)| Some((one.id.as_deref()?, one)))
            .collect(),
        taken: files.ids().collect(),
        set: PolicySet::new(),
        catalogue,
    };
    let mut linked = Vec::with_capacity(links.len());
    for link in links {
        match linker.link(&link) {
            Ok(Some(policy)) => linked.push(Linked { link, policy: Arc::new(policy) }),
            Ok(None) => {}
            Err(_) if over && link.until != Until::Never => {}
            Err(problem) => problems.push(*problem),
        }
    }
    problems.extend(validate(&linker.set, &linked, schema));
    linked
}

struct Linker<'a> {
    templates: HashMap<&'a str, &'a ParsedTemplate>,
    taken: HashSet<&'a str>,
    set: PolicySet,
    catalogue: &'a Catalogue,
}

impl Linker<'_> {
    /// `None` if the template has problems of its own.
    fn link(&mut self, link: &Link<'_>) -> Result<Option<Compiled>, Box<Problem>> {
        let template = self.template(link)?;
        let values = values(link, &template.template)?;
        self.within(link, template)?;
        let id = PolicyId::new(&link.id);
        if self.taken.contains(link.id.as_str()) || self.set.policy(&id).is_some() {
            let problem = link.problem(Part::Whole, format!("`{}` is taken", link.id));
            return Err(Box::new(
                problem.hint("a policy, template or link has this id").lint(Lint::Id),
            ));
        }
        let Some(meta) = template.meta.clone() else { return Ok(None) };
        let wrong =
            |error: &dyn std::error::Error| Box::new(link.problem(Part::Whole, error.to_string()));
        let of = template.template.id().clone();
        if self.set.template(&of).is_none() {
            self.set.add_template(template.template.clone()).map_err(|error| wrong(&error))?;
        }
        self.set.link(of, id.clone(), values).map_err(|error| wrong(&error))?;
        let policy = self.set.policy(&id).cloned();
        Ok(policy.map(|policy| Compiled::of(policy, meta).until(link.until)))
    }

    fn template(&self, link: &Link<'_>) -> Result<&'_ ParsedTemplate, Box<Problem>> {
        if let Some(template) = self.templates.get(link.template.as_str()) {
            return Ok(template);
        }
        let message = match self.taken.contains(link.template.as_str()) {
            true => format!("`{}` is a policy without slots, and cannot be linked", link.template),
            false => format!("no template has the `@id` `{}`", link.template),
        };
        let near = self.templates.keys().map(|id| (distance(id, &link.template), *id)).min();
        let problem = link.problem(Part::Template, message);
        Err(Box::new(match near.filter(|(distance, _)| *distance <= 2) {
            Some((_, near)) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("a template is a policy with `?principal` or `?resource`"),
        }))
    }

    /// A resource that the template leaves open is the API, or known to be in it.
    fn within(&self, link: &Link<'_>, template: &ParsedTemplate) -> Result<(), Box<Problem>> {
        let (Some(api), Some(resource)) = (&template.open, &link.resource) else { return Ok(()) };
        let uid = api_uid(api);
        if *resource == uid || self.catalogue.is_in(resource, &uid) {
            return Ok(());
        }
        let message = format!("`{resource}` is not known to be in the API `{api}`");
        let hint = format!(
            "declare it in entities/*.json, or write `when {{ resource in {uid} }}` in the template"
        );
        Err(Box::new(link.problem(Part::Resource, message).hint(hint).lint(Lint::Reach)))
    }
}

/// What the slots of the template stand for: one value for each, and no more.
fn values(
    link: &Link<'_>,
    template: &Template,
) -> Result<HashMap<SlotId, EntityUid>, Box<Problem>> {
    let mut values = HashMap::new();
    for (slot, name, part, value) in [
        (SlotId::principal(), "principal", Part::Principal, &link.principal),
        (SlotId::resource(), "resource", Part::Resource, &link.resource),
    ] {
        match (template.slots().any(|has| *has == slot), value) {
            (true, Some(value)) => drop(values.insert(slot, value.clone())),
            (false, None) => {}
            (true, None) => {
                let message = format!("this link has no `{name}`");
                let hint = format!("the template has `?{name}`");
                return Err(Box::new(link.problem(Part::Whole, message).hint(hint)));
            }
            (false, Some(_)) => {
                let message = format!("the template has no `?{name}`");
                return Err(Box::new(link.problem(part, message).hint("remove it")));
            }
        }
    }
    Ok(values)
}

/// What Cedar has against the values of a link, the first thing of each; the templates were
/// looked at with the policies.
fn validate(set: &PolicySet, linked: &[Linked<'_>], schema: &Schema) -> Vec<Problem> {
    if linked.is_empty() {
        return Vec::new();
    }
    let validator = Validator::new(schema.clone());
    let validated = validator.validate_with_level(set, ValidationMode::Strict, ENTITY_LEVEL);
    let mut against: HashMap<&PolicyId, &dyn Diagnostic> = HashMap::new();
    for error in validated.validation_errors() {
        against.entry(error.policy_id()).or_insert(error);
    }
    for warning in validated.validation_warnings() {
        against.entry(warning.policy_id()).or_insert(warning);
    }
    let problem = |Linked { link, policy }: &Linked<'_>| {
        let error = against.get(policy.policy.id())?;
        let problem = link.problem(Part::Whole, error.to_string());
        Some(match error.help() {
            Some(help) => problem.hint(help.to_string()),
            None => problem,
        })
    };
    linked.iter().filter_map(problem).collect()
}
