//! The set of policies that is served: its files, what came of them, and where they come from.
//!
//! Whether a route names what a set declares is looked at here too: a set that lacks it is as
//! wrong as one that does not parse.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use verdict::{Policies, Source};

use crate::asked::now_ms;
use crate::bundle::{self, Bundle};
use crate::config::{self, Config, Problem};

/// A set of policies that is right, and right for the routes.
#[derive(Debug)]
pub struct PolicySet {
    /// The policies.
    pub policies: Policies,
    /// What they were loaded from.
    pub bundle: Bundle,
    /// What was wrong with the directory at the start, if this is the last set that was kept.
    pub set_aside: Vec<Problem>,
}

impl PolicySet {
    /// It is not the directory's, but the last that was kept.
    pub fn is_kept(&self) -> bool {
        !self.set_aside.is_empty()
    }
}

/// The set in the directory; what is the same as `before` is not read again.
///
/// # Errors
/// Every problem, of the set and of routes that name what it does not declare.
pub(super) fn of_directory(
    config: &Config,
    before: Option<&Arc<PolicySet>>,
) -> Result<Arc<PolicySet>, Vec<Problem>> {
    let config::Policies { directory, require_manifest, .. } = &config.policies;
    let set = read(directory, config, *require_manifest, before)?;
    tell_over(&set.policies, now_ms());
    Ok(set)
}

/// The set in the directory of a candidate, which need not be sealed.
///
/// # Errors
/// Every problem, of the set and of routes that name what it does not declare.
pub(crate) fn of_candidate(
    directory: &Path,
    config: &Config,
    before: Option<&Arc<PolicySet>>,
) -> Result<Arc<PolicySet>, Vec<Problem>> {
    read(directory, config, false, before)
}

fn read(
    directory: &Path,
    config: &Config,
    require_manifest: bool,
    before: Option<&Arc<PolicySet>>,
) -> Result<Arc<PolicySet>, Vec<Problem>> {
    let config::Policies { annotations_allowed, global, .. } = &config.policies;
    let (annotations, global) = (annotations_allowed.clone(), global.clone());
    let like = Source { annotations, global, ..Source::default() };
    let bundle =
        Bundle::read(directory, like, require_manifest, before.map(|before| &before.bundle))?;
    let set = match before {
        Some(before) if before.bundle.is_same(&bundle) && !before.is_kept() => Arc::clone(before),
        before => {
            let before = before.map(|before| &before.policies);
            let policies = parse(directory, &bundle.source, before)?;
            Arc::new(PolicySet { policies, bundle, set_aside: Vec::new() })
        }
    };
    let lacking = lacking(config, &set.policies);
    if lacking.is_empty() { Ok(set) } else { Err(lacking) }
}

/// The set in the directory; if that is wrong and the configuration says so, the one that was in
/// force last.
///
/// # Errors
/// Every problem of both.
pub(super) fn start(config: &Config) -> Result<Arc<PolicySet>, Vec<Problem>> {
    let mut wrong = match of_directory(config, None) {
        Ok(set) => return Ok(set),
        Err(wrong) => wrong,
    };
    let Some(kept) = config.policies.keep.as_ref().filter(|_| config.policies.start_from_kept)
    else {
        return Err(wrong);
    };
    let problem = |message: String| Problem {
        file: kept.directory.display().to_string(),
        line: 1,
        column: 1,
        message,
        hint: None,
    };
    match kept.last() {
        Ok((bundle, policies)) => {
            let mut lacking = lacking(config, &policies);
            lacking.extend(forbidden(config, &bundle).map(problem));
            if lacking.is_empty() {
                return Ok(Arc::new(PolicySet { policies, bundle, set_aside: wrong }));
            }
            wrong
                .push(problem("the last set that was kept is not one for these routes".to_owned()));
            wrong.extend(lacking);
        }
        Err(error) => wrong.push(problem(chained(&error))),
    }
    Err(wrong)
}

/// Why a kept set is none that the configuration allows now: it may be another configuration than
/// the one under which it was in force.
fn forbidden(config: &Config, kept: &Bundle) -> Option<String> {
    let config::Policies { annotations_allowed, global, require_manifest, .. } = &config.policies;
    if *require_manifest && !kept.sealed {
        return Some("the last set that was kept had no manifest, and one is required".to_owned());
    }
    let beyond = |kept: &BTreeSet<String>, listed: &BTreeSet<String>| {
        kept.difference(listed).next().cloned()
    };
    let annotation = beyond(&kept.source.annotations, annotations_allowed);
    let file = beyond(&kept.source.global, global);
    let named = annotation.or(file)?;
    Some(format!("the last set that was kept was allowed `{named}`, which is not listed now"))
}

/// The text of a policies directory that somebody works at: it must hold still, and need not
/// match its manifest, which is sealed when the work is done.
///
/// # Errors
/// Every problem.
pub fn read_policies(
    directory: &Path,
    annotations: BTreeSet<String>,
    global: BTreeSet<String>,
) -> Result<Source, Vec<Problem>> {
    let like = Source { annotations, global, ..Source::default() };
    Ok(bundle::unsealed(directory, like)?.source)
}

/// The policies of the text of a directory.
///
/// # Errors
/// Every problem, with the directory before each file's name.
pub fn load(directory: &Path, source: &Source) -> Result<Policies, Vec<Problem>> {
    parse(directory, source, None)
}

/// What a text means; what is the same as `before` is not read again.
fn parse(
    directory: &Path,
    source: &Source,
    before: Option<&Policies>,
) -> Result<Policies, Vec<Problem>> {
    let loaded = match before {
        Some(before) => before.reload(source),
        None => Policies::load(source),
    };
    loaded.map_err(|found| {
        let problem = |problem: verdict::Problem| Problem {
            file: directory.join(problem.file).display().to_string(),
            line: problem.line,
            column: problem.column,
            message: problem.message,
            hint: problem.hint,
        };
        found.into_iter().map(problem).collect()
    })
}

/// Names the links that count no more.
fn tell_over(policies: &Policies, now_ms: i64) {
    for link in policies.links_over(now_ms) {
        let verdict::DatedLink { file, line, id, until, ticket, .. } = link;
        tracing::warn!(file, line, link = id, until, ticket, "a link is over, and counts no more");
    }
}

/// Every route that names what the policies do not declare.
fn lacking(config: &Config, policies: &Policies) -> Vec<Problem> {
    let wrong = |used: &config::ActionUse| {
        use verdict::UndeclaredRoute as Lacks;
        let error = policies.check_route(&used.action, &used.resource_type, &used.api).err()?;
        let site = match error {
            Lacks::Action { .. } => &used.action_site,
            Lacks::Resource { .. } => &used.resource_site,
            Lacks::Api { .. } => &used.api_site,
        };
        Some(site.problem(error.to_string()))
    };
    config.actions().filter_map(wrong).collect()
}

fn chained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
