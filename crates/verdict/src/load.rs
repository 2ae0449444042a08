//! From the text of a policies directory to [`Policies`]: right, or every problem at once.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use cedar_policy::Schema;

use crate::annotations::distance;
use crate::answers::Places;
use crate::catalogue::Catalogue;
use crate::compiled::Compiled;
use crate::decide::Policies;
use crate::effect::Effects;
use crate::index::Index;
use crate::inputs::{CONTEXTS_MAX, PRINCIPALS_MAX, Types};
use crate::invariants;
use crate::links;
use crate::lint::Lint;
use crate::memo::Memo;
use crate::policy::{KeptFiles, PolicyFiles};
use crate::problem::{Problem, Text};
use crate::question::Action;
use crate::schema::{self, Vocabulary};
use crate::source::{Digests, Layout, SCHEMA, Scope, Source};
use crate::template;

impl Policies {
    /// Reads a policies directory.
    ///
    /// # Errors
    ///
    /// Every problem of every file, in the order of the files: schema, annotations, policies that
    /// do not validate (a warning of Cedar's is a problem too), entities, files without a place.
    pub fn load(source: &Source) -> Result<Self, Vec<Problem>> {
        load(source, None)
    }

    /// Reads a policies directory that may have changed since this set was loaded: what
    /// [`Policies::load`] gives, at the cost of the files that differ. Policies whose file is the
    /// same are neither parsed nor, under the same schema, validated again.
    ///
    /// # Errors
    ///
    /// As [`Policies::load`].
    pub fn reload(&self, source: &Source) -> Result<Self, Vec<Problem>> {
        load(source, Some(self))
    }

    fn of(
        files: KeptFiles,
        links: Vec<Arc<Compiled>>,
        known: Known,
        digests: Digests,
    ) -> Result<Self, Problem> {
        let Known { schema, vocabulary, catalogue } = known;
        let policies: Vec<Arc<Compiled>> =
            files.values().flat_map(|file| file.compiled()).chain(&links).cloned().collect();
        let mut ids = HashSet::new();
        if let Some(twice) = policies.iter().find(|policy| !ids.insert(policy.id())) {
            let message = format!("`@id(\"{}\")` is taken", twice.id());
            return Err(Text::new(SCHEMA, "").problem(0, message));
        }
        let index = Index::of(policies.iter().map(|compiled| &compiled.policy));
        let always = index.always().iter().filter_map(|nth| {
            let one = policies.get(usize::try_from(*nth).ok()?)?;
            Some((*nth, one.as_ref()))
        });
        Ok(Self {
            actions: vocabulary.parts(&index),
            places: Places::of(always),
            policies,
            index,
            principals: Memo::new(PRINCIPALS_MAX),
            contexts: Memo::new(CONTEXTS_MAX),
            types: Types::new(),
            schema,
            vocabulary,
            catalogue,
            digests,
            annotations: BTreeSet::new(),
            global: BTreeSet::new(),
            files,
            effects: Effects::default(),
            links,
            dated: Vec::new(),
            now_ms: None,
            invariants: Vec::new(),
        })
    }

    /// Whether a route may name this action and this type of resource in this API.
    ///
    /// # Errors
    ///
    /// What the schema or the catalogue lacks, with the nearest name they have. Such a route
    /// would refuse every request.
    pub fn check_route(
        &self,
        action: &Action,
        kind: &str,
        api: &str,
    ) -> Result<(), UndeclaredRoute> {
        let Some(known) = self.vocabulary.action(action) else {
            let actions = self.vocabulary.actions.iter().flat_map(|(namespace, names)| {
                let action =
                    |name: &String| Action { namespace: namespace.clone(), name: name.clone() };
                names.keys().map(action).map(|action| action.to_string())
            });
            let action = action.to_string();
            return Err(UndeclaredRoute::Action { near: nearest(&action, actions), action });
        };
        if !known.declared.contains_key(kind) {
            return Err(UndeclaredRoute::Resource {
                action: action.to_string(),
                kind: kind.to_owned(),
                near: nearest(kind, known.declared.keys().cloned()),
            });
        }
        if !self.catalogue.apis().contains(api) {
            return Err(UndeclaredRoute::Api {
                api: api.to_owned(),
                near: nearest(api, self.catalogue.apis().iter().cloned()),
            });
        }
        Ok(())
    }
}

/// Loads, with what can be taken from the set before: its files, if they were read with the same
/// annotations and the same files were global, and all that comes of the schema, if it is the same.
fn load(source: &Source, before: Option<&Policies>) -> Result<Policies, Vec<Problem>> {
    let (layout, mut problems) = source.layout();
    let digests = Digests::of(&layout);
    let before = before.filter(|before| {
        before.annotations == source.annotations && before.global == source.global
    });
    let kept = before.map(|before| &before.files);
    let mut files = PolicyFiles::read(&layout.policies, &source.annotations, kept);
    problems.append(&mut files.problems);
    let before = before.filter(|before| before.digests.schema == digests.schema);
    let schema = match (before, layout.schema) {
        (Some(before), _) => Some(Arc::clone(&before.schema)),
        (None, Some(text)) => schema::load(text).map_err(|wrong| problems.extend(wrong)).ok(),
        (None, None) => None,
    };
    let links = links::read_all(&layout.links, &source.links, &mut problems);
    let (links, dated) = links::split(links, source.now_ms);
    let (invariants, wrong) =
        invariants::read(&layout.invariants, &source.annotations, schema.as_deref());
    problems.extend(wrong);
    let known = schema.and_then(|schema| {
        problems.extend(files.validate(&schema, before.is_none()));
        let before = before.filter(|before| before.digests.entities == digests.entities);
        let known = Known::of(schema, &layout, before, &mut problems);
        directories(&layout, known.as_ref(), &mut problems);
        known
    });
    let linked = known.as_ref().map(|known| {
        let Known { schema, catalogue, .. } = known;
        // Of a set without a time, a link that has an end may have been over when the set was in
        // force, and nobody looked at it.
        let over = source.now_ms.is_none();
        template::link(links, over, &files, catalogue, schema, &mut problems)
    });
    problems.sort();
    problems.dedup();
    match known {
        Some(known) if problems.is_empty() => {
            let links = linked.into_iter().flatten().map(|linked| linked.policy).collect();
            let mut policies = Policies::of(files.into_kept(), links, known, digests)
                .map_err(|problem| vec![problem])?;
            policies.dated = dated;
            policies.now_ms = source.now_ms;
            policies.annotations.clone_from(&source.annotations);
            policies.invariants = invariants;
            policies.global.clone_from(&source.global);
            Ok(policies)
        }
        _ => Err(problems),
    }
}

/// What comes of schema and entities, and lives on in the next set if neither changed.
struct Known {
    schema: Arc<Schema>,
    vocabulary: Arc<Vocabulary>,
    catalogue: Arc<Catalogue>,
}

impl Known {
    fn of(
        schema: Arc<Schema>,
        layout: &Layout<'_>,
        same: Option<&Policies>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        if let Some(same) = same {
            let (vocabulary, catalogue) =
                (Arc::clone(&same.vocabulary), Arc::clone(&same.catalogue));
            return Some(Self { schema, vocabulary, catalogue });
        }
        let catalogue = Catalogue::read(&layout.entities, &schema, problems).map(Arc::new);
        match Vocabulary::of(&schema) {
            Ok(vocabulary) => {
                Some(Self { vocabulary: Arc::new(vocabulary), catalogue: catalogue?, schema })
            }
            Err(error) => {
                let text = layout.schema.iter();
                problems.extend(text.flat_map(|text| text.problems(error.as_ref(), 0)));
                None
            }
        }
    }
}

/// Directories must be those of declared APIs.
fn directories(layout: &Layout<'_>, known: Option<&Known>, problems: &mut Vec<Problem>) {
    let Some(apis) = known.map(|known| known.catalogue.apis()) else { return };
    for (scope, text) in &layout.policies {
        if let Scope::Api(api) = scope
            && !apis.contains(*api)
        {
            let message = format!("`{api}/` is not the directory of a declared API");
            let hint = match nearest(api, apis.iter().cloned()) {
                Some(near) => format!("did you mean `{near}/`?"),
                None => format!("declare `{}` in entities/*.json", crate::catalogue::api_uid(api)),
            };
            problems.push(text.problem(0, message).hint(hint).lint(Lint::Layout));
        }
    }
}

/// The candidate within two edits of `name`, the nearest first.
pub(crate) fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    candidates
        .map(|candidate| (distance(name, &candidate), candidate))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A route that names what the policies directory does not declare.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UndeclaredRoute {
    /// The schema has no such action.
    #[error("the schema has no action `{action}`{}", did_you_mean(near.as_deref()))]
    Action {
        /// The action.
        action: String,
        /// The nearest that there is.
        near: Option<String>,
    },
    /// The action applies to no such resource.
    #[error("`{action}` does not apply to `{kind}`{}", did_you_mean(near.as_deref()))]
    Resource {
        /// The action.
        action: String,
        /// The resource type.
        kind: String,
        /// The nearest that there is.
        near: Option<String>,
    },
    /// The catalogue has no such API.
    #[error("no `Portcullis::Api` named `{api}` in entities/*.json{}", did_you_mean(near.as_deref()))]
    Api {
        /// The API.
        api: String,
        /// The nearest that there is.
        near: Option<String>,
    },
}

pub(crate) fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}
