//! Everything there is to say of a policies directory: what keeps it from loading, and what loads
//! and cannot be meant so.
//!
//! Errors are those of [`Policies::load`], told at once. Warnings are of parts that make no
//! difference: a policy that no question reaches, an action or a role in it that nothing matches,
//! an entity that nothing tells from one that is not declared. Nothing is warned of on a guess:
//! groups come from credentials, so a group that only policies name is fine.

mod unused;

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, RequestEnv, Schema};

use crate::annotations::distance;
use crate::cases::Case;
use crate::catalogue::{Catalogue, Placed};
use crate::decide::Policies;
use crate::lint::Lint;
use crate::policy::{Parsed, PolicyFiles};
use crate::problem::{Problem, Text};
use crate::schema;
use crate::source::Source;

/// What was found, errors and warnings each in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// What keeps the directory from loading.
    pub errors: Vec<Problem>,
    /// What loads, and cannot be meant so.
    pub warnings: Vec<Problem>,
    /// What there is.
    pub counts: Counts,
}

/// How much a directory holds, as far as it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Policies without slots.
    pub policies: usize,
    /// Entities.
    pub entities: usize,
}

/// Looks at a policies directory. What `cases` name is of use, whatever policies say.
pub fn check(source: &Source, cases: &[Case]) -> Checked {
    let errors = Policies::load(source).err().unwrap_or_default();
    let (layout, _) = source.layout();
    let files = PolicyFiles::read(&layout.policies, &source.annotations, None);
    let mut counts = Counts { policies: files.parsed().count(), entities: 0 };
    let Some(Ok(schema)) = layout.schema.map(schema::load) else {
        return Checked { errors, warnings: Vec::new(), counts };
    };
    let placed = Catalogue::place(&layout.entities, &schema, &mut Vec::new());
    counts.entities = placed.len();
    // Without the files that cannot be read, whatever they name would seem to be unused.
    let warnings = match errors.iter().any(|error| is_unread(error.lint)) {
        true => Vec::new(),
        false => Warned::of(&schema, &files, &placed, cases, &errors),
    };
    Checked { errors, warnings, counts }
}

/// Whether a problem of this kind leaves something out of what was read.
fn is_unread(lint: Lint) -> bool {
    matches!(lint, Lint::Layout | Lint::Schema | Lint::Entity | Lint::Syntax)
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
        placed: &'a [Placed<'a>],
        cases: &[Case],
        errors: &'a [Problem],
    ) -> Vec<Problem> {
        let above = unused::above(placed);
        let granted = above.values().flatten().cloned().collect();
        let warned = Self { schema, placed, above, granted, errors };
        let mut found = Vec::new();
        let mut following = files.parsed().skip(1);
        for (text, parsed) in files.parsed() {
            found.extend(warned.unmet(text, parsed));
            if !warned.is_told((text, parsed), following.next()) {
                found.extend(warned.reached(text, parsed));
            }
        }
        let mentioned =
            files.parsed().flat_map(|(_, parsed)| parsed.policy().entity_literals()).collect();
        found.extend(unused::find(placed, &warned.above, mentioned, cases));
        found.sort();
        found.dedup();
        found
    }

    /// Whether an error says already what is wrong with when this policy holds.
    fn is_told(&self, this: (Text<'_>, &Parsed), next: Option<(Text<'_>, &Parsed)>) -> bool {
        let place = |(text, parsed): (Text<'_>, &Parsed)| {
            let Problem { file, line, column, .. } = text.problem(parsed.offset, "");
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
    fn reached(&self, text: Text<'_>, parsed: &Parsed) -> Vec<Problem> {
        let (offset, policy) = (&parsed.offset, parsed.policy());
        let envs: Vec<RequestEnv> = policy.get_valid_request_envs(self.schema).collect();
        if envs.is_empty() {
            let problem = text.problem(*offset, "no request reaches this policy");
            let hint = "its scope and conditions fit no principal, action and resource together";
            return vec![problem.hint(hint).lint(Lint::Unreachable)];
        }
        let actions = match policy.action_constraint() {
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
    fn unmet(&self, text: Text<'_>, parsed: &Parsed) -> Vec<Problem> {
        let (offset, policy) = (&parsed.offset, parsed.policy());
        let literals: BTreeSet<EntityUid> = policy.entity_literals().into_iter().collect();
        let mut found = Vec::new();
        for uid in &literals {
            let message = match ours(uid.type_name()) {
                Some("Role") if !self.granted.contains(uid) => format!("nobody has `{uid}`"),
                Some("Api") if !self.above.contains_key(uid) => format!("there is no `{uid}`"),
                _ => continue,
            };
            let problem = text.problem(literal(text.text, *offset, uid), message);
            found.push(problem.hint(self.near(uid)).lint(Lint::Unreachable));
        }
        found
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

/// The name of one of our own types.
fn ours(kind: &EntityTypeName) -> Option<&str> {
    (kind.namespace() == "Portcullis").then(|| kind.basename())
}

/// Where the policy at `offset` names an entity, as it is usually written; else where it begins.
fn literal(text: &str, offset: usize, uid: &EntityUid) -> usize {
    let within = text.get(offset..).and_then(|rest| rest.find(&uid.to_string()));
    within.map_or(offset, |within| offset.saturating_add(within))
}
