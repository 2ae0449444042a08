//! What a route changes of a rule set, without a second compile.

use super::{RuleSet, Rules, build::number};
use crate::{
    syntax::{self, Argument},
    variable::Variable,
};

/// A route's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The level of rules that count for blocking, 1 to 4.
    pub paranoia: Option<u8>,
    /// The level of rules that run; what `paranoia` says if this says nothing.
    pub detection_paranoia: Option<u8>,
    /// The score of a request from which on the rules' author would block.
    pub inbound_threshold: Option<i64>,
    /// As that, of a response.
    pub outbound_threshold: Option<i64>,
    /// What is not looked for.
    pub exclusions: Vec<Exclusion>,
}

/// Rules that do not run, or that do not look at a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exclusion {
    /// By id.
    pub rules: Vec<u32>,
    /// By tag, the whole of it.
    pub tags: Vec<String>,
    /// `ARGS:comment`, `REQUEST_COOKIES:/^ad_/`: not looked at; without one the rules do not run.
    pub target: Option<String>,
}

/// Settings made ready for one rule set. The default is what the files say.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    /// `tx` variables that rules cannot change.
    pub(crate) pinned: Vec<(u32, i64)>,
    pub(crate) removed: Rules,
    pub(crate) targets: Vec<(Rules, super::Selector)>,
}

/// A setting that means nothing in a rule set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Why.
    pub message: String,
    /// The exclusion it is, by its place among them.
    pub exclusion: Option<usize>,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.message.fmt(out)
    }
}

impl RuleSet {
    /// Makes settings ready; an error says which of them means nothing in this rule set.
    pub fn overlay(&self, settings: &Settings) -> Result<Overlay, Unfit> {
        let mut overlay = Overlay::default();
        let scores = &self.scores;
        let mut pin = |slots: &[u32], value: Option<i64>, what: &str| match (value, slots) {
            (None, _) => Ok(()),
            (Some(_), []) => {
                Err(Unfit { message: format!("the rule set has no {what}"), exclusion: None })
            }
            (Some(value), slots) => {
                overlay.pinned.extend(slots.iter().map(|slot| (*slot, value)));
                Ok(())
            }
        };
        let detection = settings.detection_paranoia.or(settings.paranoia);
        pin(&scores.paranoia, settings.paranoia.map(i64::from), "paranoia level")?;
        pin(&scores.detection, detection.map(i64::from), "level of detection")?;
        let inbound: Vec<u32> = scores.inbound_threshold.into_iter().collect();
        pin(&inbound, settings.inbound_threshold, "threshold for requests")?;
        let outbound: Vec<u32> = scores.outbound_threshold.into_iter().collect();
        pin(&outbound, settings.outbound_threshold, "threshold for responses")?;
        for (place, exclusion) in settings.exclusions.iter().enumerate() {
            self.exclude(exclusion, &mut overlay)
                .map_err(|message| Unfit { message, exclusion: Some(place) })?;
        }
        Ok(overlay)
    }

    fn exclude(&self, exclusion: &Exclusion, overlay: &mut Overlay) -> Result<(), String> {
        let mut rules = Rules::default();
        for id in &exclusion.rules {
            let rule = self.program.by_id.get(id);
            rules.insert(*rule.ok_or_else(|| format!("no rule has the id `{id}`"))?);
        }
        for tag in &exclusion.tags {
            let tagged = self.tagged(tag);
            if tagged.is_empty() {
                return Err(format!("no rule has the tag `{tag}`"));
            }
            rules.extend(&tagged);
        }
        let Some(target) = &exclusion.target else {
            overlay.removed.extend(&rules);
            return Ok(());
        };
        let mut faults = Vec::new();
        let written = syntax::targets(&Argument::of(0, target), &mut faults);
        let no_target = || format!("`{target}` is no target");
        let [written] = written.as_slice() else { return Err(no_target()) };
        let variable = Variable::named(&written.variable.text).ok_or_else(no_target)?;
        let key = match &written.selector {
            None => super::Key::All,
            Some(syntax::Selector::Name(name)) => super::Key::Name(name.text.clone().into_bytes()),
            Some(syntax::Selector::Pattern(pattern)) => {
                super::Key::Pattern(super::Pattern::new(&format!("(?i){}", pattern.text))?.regex)
            }
        };
        overlay
            .targets
            .push((rules, super::Selector { variable, key, count: false, slots: Vec::new() }));
        Ok(())
    }

    fn tagged(&self, tag: &str) -> Rules {
        let rules = (0..).zip(&self.program.rules);
        let tagged = rules.filter(|(_, rule)| self.program.tags_of(rule).any(|own| own == tag));
        Rules::of(tagged.map(|(index, _): (usize, _)| number(index)))
    }
}
