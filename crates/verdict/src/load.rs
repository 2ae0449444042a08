//! From the text of a policies directory to [`Policies`]: right, or every problem at once.

use std::collections::HashMap;

use cedar_policy::{Authorizer, PolicySet, Schema};

use crate::annotations::{Rule, distance};
use crate::catalogue::Catalogue;
use crate::decide::Policies;
use crate::inputs::Types;
use crate::policy::PolicyFiles;
use crate::problem::{Problem, Text};
use crate::question::Action;
use crate::reads::Reads;
use crate::schema::{self, Vocabulary};
use crate::source::{Digests, Layout, SCHEMA, Scope, Source};

impl Policies {
    /// Reads a policies directory.
    ///
    /// # Errors
    ///
    /// Every problem of every file, in the order of the files: schema, annotations, policies that
    /// do not validate (a warning of Cedar's is a problem too), entities, files without a place.
    pub fn load(source: &Source) -> Result<Self, Vec<Problem>> {
        let (layout, mut problems) = source.layout();
        let mut files = PolicyFiles::read(&layout.policies, &source.annotations);
        problems.append(&mut files.problems);
        let known = match layout.schema.map(schema::load) {
            Some(Ok(schema)) => against(&schema, &layout, &files, &mut problems),
            Some(Err(wrong)) => {
                problems.extend(wrong);
                None
            }
            None => None,
        };
        problems.sort();
        problems.dedup();
        let digests = Digests::of(&layout);
        match known {
            Some((vocabulary, catalogue)) if problems.is_empty() => {
                Self::of(files, vocabulary, catalogue, digests).map_err(|problem| vec![problem])
            }
            _ => Err(problems),
        }
    }

    fn of(
        files: PolicyFiles<'_>,
        vocabulary: Vocabulary,
        catalogue: Catalogue,
        digests: Digests,
    ) -> Result<Self, Problem> {
        let mut policies = Self {
            authorizer: Authorizer::new(),
            enforced: PolicySet::new(),
            shadow_forbids: PolicySet::new(),
            shadow_permits: PolicySet::new(),
            meta: HashMap::new(),
            reads: Reads::default(),
            types: Types::new(),
            vocabulary,
            catalogue,
            digests,
        };
        for (policy, meta) in files.into_policies() {
            let set = match (meta.shadow, &meta.rule) {
                (false, _) => &mut policies.enforced,
                (true, Rule::Forbid { .. }) => &mut policies.shadow_forbids,
                (true, Rule::Permit) => &mut policies.shadow_permits,
            };
            policies.reads.add(&policy);
            let id = policy.id().clone();
            set.add(policy).map_err(|error| Text::new(SCHEMA, "").problem(0, error.to_string()))?;
            policies.meta.insert(id, meta);
        }
        Ok(policies)
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

/// What needs the schema: the policies' types, the catalogue, the directories' names.
fn against(
    schema: &Schema,
    layout: &Layout<'_>,
    files: &PolicyFiles<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(Vocabulary, Catalogue)> {
    problems.extend(files.validate(schema));
    let catalogue = Catalogue::read(&layout.entities, schema, problems);
    let apis = catalogue.as_ref().map(Catalogue::apis);
    for (scope, text) in &layout.policies {
        if let Scope::Api(api) = scope
            && let Some(apis) = apis
            && !apis.contains(*api)
        {
            let message = format!("`{api}/` is not the directory of a declared API");
            let hint = match nearest(api, apis.iter().cloned()) {
                Some(near) => format!("did you mean `{near}/`?"),
                None => format!("declare `{}` in entities/*.json", crate::catalogue::api_uid(api)),
            };
            problems.push(text.problem(0, message).hint(hint));
        }
    }
    match Vocabulary::of(schema) {
        Ok(vocabulary) => Some((vocabulary, catalogue?)),
        Err(error) => {
            problems.extend(layout.schema.iter().flat_map(|text| text.problems(error.as_ref(), 0)));
            None
        }
    }
}

/// The candidate within two edits of `name`, the nearest first.
fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
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

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}
