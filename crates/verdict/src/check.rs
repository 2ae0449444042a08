//! Everything there is to say of a policies directory: what keeps it from loading, and what loads
//! and cannot be meant so.
//!
//! Errors are those of [`Policies::load`], told at once, and tests that cannot be asked. Warnings are of parts that make no
//! difference: a policy that no question reaches, an action or a role in it that nothing matches,
//! an entity that nothing tells from one that is not declared. Nothing is warned of on a guess:
//! groups come from credentials, so a group that only policies name is fine.

mod unused;

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    ActionConstraint, EntityTypeName, EntityUid, Policy, RequestEnv, Schema, Template,
};

use crate::annotations::distance;
use crate::cases::{Case, Names};
use crate::catalogue::{Catalogue, Placed};
use crate::decide::Policies;
use crate::invariants;
use crate::links::{self, Link, Part};
use crate::lint::Lint;
use crate::policy::{Parsed, PolicyFiles};
use crate::problem::{Problem, Text};
use crate::run_tests;
use crate::schema;
use crate::source::Source;
use crate::template::ParsedTemplate;

/// What was found, errors and warnings each in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// What keeps the directory from loading.
    pub errors: Vec<Problem>,
    /// What loads, and cannot be meant so.
    pub warnings: Vec<Problem>,
    /// What there is.
    pub counts: Counts,
    /// What cases can name; nothing, if the schema cannot be read.
    pub names: Option<Names>,
}

/// How much a directory holds, as far as it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Policies without slots.
    pub policies: usize,
    /// Templates.
    pub templates: usize,
    /// Links that are not over.
    pub links: usize,
    /// Entities.
    pub entities: usize,
}

/// Looks at a policies directory. What `cases`, tests and invariants name is of use, whatever
/// policies say.
pub fn check(source: &Source, cases: &[Case]) -> Checked {
    let mut errors = Policies::load(source).err().unwrap_or_default();
    let (layout, _) = source.layout();
    let files = PolicyFiles::read(&layout.policies, &source.annotations, None);
    let links = links::read_all(&layout.links, &source.links, &mut Vec::new());
    let is_over = |link: &&Link<'_>| source.now_ms.is_some_and(|now_ms| link.until.is_over(now_ms));
    let mut counts = Counts {
        policies: files.parsed().count(),
        templates: files.templates().count(),
        links: links.len().saturating_sub(links.iter().filter(is_over).count()),
        entities: 0,
    };
    let Some(Ok(schema)) = layout.schema.map(schema::load) else {
        return Checked { errors, counts, ..Checked::default() };
    };
    let placed = Catalogue::place(&layout.entities, &schema, &mut Vec::new());
    counts.entities = placed.len();
    let mut named: BTreeSet<EntityUid> = cases.iter().flat_map(unused::of_case).collect();
    for text in &layout.tests {
        named.extend(run_tests::read(*text, &schema, &mut errors));
    }
    errors.sort();
    let (invariants, _) = invariants::read(&layout.invariants, &source.annotations, None);
    named.extend(invariants.iter().flat_map(|one| one.policy.entity_literals()));
    let mut names = Names::of_schema(&schema);
    // Without the files that cannot be read, whatever they name would seem to be unused, and what
    // they hold would seem not to be there.
    let warnings = match errors.iter().any(|error| is_unread(error.lint)) {
        true => Vec::new(),
        false => {
            let policies = files.ids().chain(links.iter().map(|link| link.id.as_str()));
            names = names.with(placed.iter().map(|placed| placed.entity.uid()), policies);
            let mut found = Warned::of(&schema, &files, &links, &placed, named, &errors);
            found.extend(links.iter().filter(is_over).map(links::is_over));
            found.sort();
            found.dedup();
            found
        }
    };
    Checked { errors, warnings, counts, names: Some(names) }
}

/// Whether a problem of this kind leaves something out of what was read.
fn is_unread(lint: Lint) -> bool {
    matches!(lint, Lint::Layout | Lint::Schema | Lint::Entity | Lint::Syntax | Lint::Link)
}

/// Looks for warnings in what has loaded.
struct Warned<'a> {
    schema: &'a Schema,
    placed: &'a [Placed<'a>],
    /// Every entity to what is above it.
    above: BTreeMap<EntityUid, BTreeSet<EntityUid>>,
    /// What the entities of `entities/*.json` are in.
    granted: BTreeSet<EntityUid>,
    errors: &'a [Problem],
}

impl<'a> Warned<'a> {
    fn of(
        schema: &'a Schema,
        files: &PolicyFiles<'_>,
        links: &[Link<'_>],
        placed: &'a [Placed<'a>],
        named: BTreeSet<EntityUid>,
        errors: &'a [Problem],
    ) -> Vec<Problem> {
        let above = unused::above(placed);
        let granted = above.values().flatten().cloned().collect();
        let warned = Self { schema, placed, above, granted, errors };
        let mut stated: Vec<Stated<'_>> = files.parsed().map(Stated::policy).collect();
        stated.extend(files.templates().map(Stated::template));
        stated.sort_by(|a, b| (a.text.file, a.offset).cmp(&(b.text.file, b.offset)));
        let mut found: Vec<Problem> =
            links.iter().flat_map(|link| warned.unmet_link(link)).collect();
        let mut following = stated.iter().skip(1);
        for one in &stated {
            found.extend(warned.unmet(one));
            if !warned.is_told(one, following.next()) {
                found.extend(warned.reached(one));
            }
        }
        let mut mentioned = named;
        mentioned.extend(stated.into_iter().flat_map(|one| one.literals));
        mentioned.extend(links.iter().flat_map(Link::values).cloned());
        found.extend(unused::find(placed, &warned.above, &mentioned));
        found.extend(unused::templates(files.templates(), links));
        found.extend(unused::links(links));
        found
    }

    /// Whether an error says already what is wrong with when this policy holds.
    fn is_told(&self, this: &Stated<'_>, next: Option<&Stated<'_>>) -> bool {
        let place = |one: &Stated<'_>| {
            let Problem { file, line, column, .. } = one.text.problem(one.offset, "");
            (file, line, column)
        };
        let (from, to) = (place(this), next.map(place));
        self.errors.iter().any(|error| {
            let at = (error.file.clone(), error.line, error.column);
            matches!(error.lint, Lint::Types | Lint::Impossible | Lint::Unreachable)
                && error.file == from.0
                && at >= from
                && to.as_ref().is_none_or(|to| to.0 != from.0 || at < *to)
        })
    }

    /// Actions of the scope for which the policy holds of no kind of request.
    fn reached(&self, Stated { text, offset, body, .. }: &Stated<'_>) -> Vec<Problem> {
        let (envs, action): (Vec<RequestEnv>, _) = match body {
            Body::Policy(policy) => {
                (policy.get_valid_request_envs(self.schema).collect(), policy.action_constraint())
            }
            Body::Template(template) => {
                let envs = template.get_valid_request_envs(self.schema);
                (envs.collect(), template.action_constraint())
            }
        };
        if envs.is_empty() {
            let problem = text.problem(*offset, "no request reaches this policy");
            let hint = "its scope and conditions fit no principal, action and resource together";
            return vec![problem.hint(hint).lint(Lint::Unreachable)];
        }
        let actions = match action {
            ActionConstraint::Any | ActionConstraint::Eq(_) => Vec::new(),
            ActionConstraint::In(actions) => actions,
        };
        let is_met = |action: &EntityUid| envs.iter().any(|env| self.is_in(env.action(), action));
        let unmet = actions.iter().filter(|action| !is_met(action));
        unmet
            .map(|action| {
                let place = literal(text.text, *offset, action);
                let message = format!("for `{action}` this policy never holds");
                let hint = "no principal and resource of the scope go with it: take it out";
                text.problem(place, message).hint(hint).lint(Lint::Unreachable)
            })
            .collect()
    }

    fn is_in(&self, action: &EntityUid, group: &EntityUid) -> bool {
        action == group
            || self.schema.action_entities().is_ok_and(|all| all.is_ancestor_of(group, action))
    }

    /// Roles that nobody has and APIs that do not exist: only `entities/*.json` declares them.
    fn unmet(&self, Stated { text, offset, literals, .. }: &Stated<'_>) -> Vec<Problem> {
        let problem = |uid: &EntityUid| {
            let problem = text.problem(literal(text.text, *offset, uid), self.lacking(uid)?);
            Some(problem.hint(self.near(uid)).lint(Lint::Unreachable))
        };
        literals.iter().filter_map(problem).collect()
    }

    fn unmet_link(&self, link: &Link<'_>) -> Vec<Problem> {
        let parts = [(Part::Principal, &link.principal), (Part::Resource, &link.resource)];
        let problem = |(part, uid): (Part, &Option<EntityUid>)| {
            let uid = uid.as_ref()?;
            let problem = link.problem(part, self.lacking(uid)?).lint(Lint::Unreachable);
            Some(problem.hint(self.near(uid)))
        };
        parts.into_iter().filter_map(problem).collect()
    }

    fn lacking(&self, uid: &EntityUid) -> Option<String> {
        match ours(uid.type_name()) {
            Some("Role") if !self.granted.contains(uid) => Some(format!("nobody has `{uid}`")),
            Some("Api") if !self.above.contains_key(uid) => Some(format!("there is no `{uid}`")),
            _ => None,
        }
    }

    fn near(&self, uid: &EntityUid) -> String {
        let same = |placed: &&Placed<'_>| placed.entity.uid().type_name() == uid.type_name();
        let near =
            self.placed.iter().filter(same).map(|placed| placed.entity.uid()).filter(|known| {
                known != uid && distance(known.id().unescaped(), uid.id().unescaped()) <= 2
            });
        match near.min() {
            Some(near) => format!("did you mean `{near}`?"),
            None => "only entities/*.json can say who or what is in it".to_owned(),
        }
    }
}

/// A policy or template, where it stands and what it names.
struct Stated<'a> {
    text: Text<'a>,
    offset: usize,
    body: Body<'a>,
    literals: BTreeSet<EntityUid>,
}

enum Body<'a> {
    Policy(&'a Policy),
    Template(&'a Template),
}

impl<'a> Stated<'a> {
    fn policy((text, parsed): (Text<'a>, &'a Parsed)) -> Self {
        let (offset, policy) = (parsed.offset, parsed.policy());
        let literals = policy.entity_literals().into_iter().collect();
        Self { text, offset, body: Body::Policy(policy), literals }
    }

    fn template((text, parsed): (Text<'a>, &'a ParsedTemplate)) -> Self {
        let body = Body::Template(&parsed.template);
        Self { text, offset: parsed.offset, body, literals: parsed.literals() }
    }
}

/// The name of one of our own types.
fn ours(kind: &EntityTypeName) -> Option<&str> {
    (kind.namespace() == "Portcullis").then(|| kind.basename())
}

/// Where the policy at `offset` names an entity, as it is usually written; else where it begins.
fn literal(text: &str, offset: usize, uid: &EntityUid) -> usize {
    let within = text.get(offset..).and_then(|rest| rest.find(&uid.to_string()));
    within.map_or(offset, |within| offset.saturating_add(within))
}
