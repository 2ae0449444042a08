//! The rule files, and what the rules count for on each route.

use std::path::Path;

use signals::{RuleExclusion, RuleSettings, WafMode};

use super::Here;
use crate::config::{
    RuleFiles, View, Waf,
    include::Glob,
    problem::{Problems, Site, quoted},
    raw,
    units::{InspectText, Size},
};

/// The most of a response's body that rules look at.
const RESPONSE_BYTES_MAX: u64 = 1 << 20;

/// The views so far: what the rules count for, each once; the first is that of the top.
pub(super) struct Views {
    views: Vec<View>,
    /// The routes that have another.
    routes: Vec<(String, usize)>,
}

impl Views {
    /// What the top says.
    pub(super) fn of(raw: &raw::Waf, here: Here<'_>, problems: &mut Problems) -> Self {
        let (excluded, sites) = exclusions(&raw.exclude, here.key("exclude"), problems);
        let settings = RuleSettings {
            mode: mode(raw.mode).unwrap_or_default(),
            paranoia: raw.paranoia,
            threshold: raw.threshold.map(i64::from),
            exclusions: excluded,
            responses: responses(raw.responses.as_ref(), here.key("responses"), problems)
                .unwrap_or_default(),
        };
        let top = View { settings, site: problems.site(here.at), exclusions: sites };
        Self { views: vec![top], routes: Vec::new() }
    }

    /// The number of a route's view.
    pub(super) fn of_route(
        &mut self,
        name: String,
        raw: Option<&raw::RouteWaf>,
        here: Here<'_>,
        problems: &mut Problems,
    ) -> usize {
        let (Some(raw), Some(top)) = (raw, self.views.first()) else { return 0 };
        let (mut settings, mut sites) = (top.settings.clone(), top.exclusions.clone());
        settings.mode = mode(raw.mode).unwrap_or(settings.mode);
        settings.paranoia = raw.paranoia.or(settings.paranoia);
        settings.threshold = raw.threshold.map(i64::from).or(settings.threshold);
        settings.responses = responses(raw.responses.as_ref(), here.key("responses"), problems)
            .unwrap_or(settings.responses);
        let (excluded, at) = exclusions(&raw.exclude, here.key("exclude"), problems);
        settings.exclusions.extend(excluded);
        sites.extend(at);
        let known = self.views.iter().position(|view| view.settings == settings);
        let view = known.unwrap_or_else(|| {
            let site = problems.site(here.at);
            self.views.push(View { settings, site, exclusions: sites });
            self.views.len() - 1
        });
        if view > 0 {
            self.routes.push((name, view));
        }
        view
    }

    /// The section, whole.
    pub(super) fn finish(
        self,
        raw: &raw::Waf,
        here: Here<'_>,
        base: &Path,
        problems: &mut Problems,
    ) -> Waf {
        let mut files = Vec::new();
        for (index, text) in raw.rules.iter().enumerate() {
            let here = here.key("rules").item(index);
            match Glob::parse(&text.0) {
                Ok(glob) => {
                    files.push(RuleFiles { glob: glob.below(base), site: problems.site(here.at) })
                }
                Err(why) => {
                    let message = format!("{} names no rule files", quoted(&text.0));
                    problems.add_hinted(here.at, message, why.to_owned());
                }
            }
        }
        Waf { files, views: self.views, routes: self.routes }
    }
}

fn mode(raw: Option<raw::Mode>) -> Option<WafMode> {
    raw.map(|mode| match mode {
        raw::Mode::Enforce => WafMode::Enforce,
        raw::Mode::Shadow => WafMode::Shadow,
    })
}

/// Nothing, if nothing is said.
fn responses(
    raw: Option<&InspectText>,
    here: Here<'_>,
    problems: &mut Problems,
) -> Option<Option<usize>> {
    let text = raw?;
    let Ok(size) = Size::try_from(text.0.clone()) else { return Some(None) };
    if size.0 > RESPONSE_BYTES_MAX {
        let max = Size(RESPONSE_BYTES_MAX);
        problems.add(here.at, format!("{size} is above {max}, the most allowed"));
    }
    Some(usize::try_from(size.0).ok())
}

fn exclusions(
    raw: &[raw::Exclusion],
    here: Here<'_>,
    problems: &mut Problems,
) -> (Vec<RuleExclusion>, Vec<Site>) {
    let (mut exclusions, mut sites) = (Vec::new(), Vec::new());
    for (index, one) in raw.iter().enumerate() {
        sites.push(problems.site(here.item(index).at));
        if one.rules.is_empty() && one.tags.is_empty() {
            let hint = "list `rules`, `tags` or both".to_owned();
            problems.add_hinted(here.item(index).at, "this excludes no rule".to_owned(), hint);
        }
        exclusions.push(RuleExclusion {
            rules: one.rules.clone(),
            tags: one.tags.iter().map(|tag| tag.0.clone()).collect(),
            target: one.target.as_ref().map(|target| target.0.clone()),
        });
    }
    (exclusions, sites)
}
