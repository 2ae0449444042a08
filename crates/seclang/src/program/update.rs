//! Directives that change or remove rules read before them.

use std::ops::RangeInclusive;

use regex::Regex;

use crate::{
    problem::Fault,
    syntax::{self, Argument, Directive},
};

use super::build::{Building, Draft, Which};
use super::directive::wrong_count;

impl Which {
    /// The rule is one of them.
    pub(crate) fn takes(&self, draft: &Draft, tags: &[String]) -> bool {
        match self {
            Self::Ids(ranges) => ranges.iter().any(|range| range.contains(&draft.id)),
            Self::Tag(pattern) => {
                let tag = |tag: &u32| tags.get(*tag as usize);
                draft.tags.iter().filter_map(tag).any(|tag| pattern.is_match(tag))
            }
            Self::Message(text, pattern) => {
                draft.message == *text
                    || pattern.as_ref().is_some_and(|pattern| pattern.is_match(&draft.message))
            }
        }
    }
}

impl Building<'_> {
    /// `SecRuleRemoveById`, `…ByTag`, `…ByMsg`.
    pub(crate) fn remove(&mut self, name: &str, directive: &Directive) -> Result<(), Fault> {
        let which = match (name, directive.arguments.as_slice()) {
            (_, []) => return Err(wrong_count(directive, "the rules to remove")),
            ("SecRuleRemoveById", all) => {
                let mut ranges = Vec::new();
                for argument in all {
                    ranges.extend(ids(argument.place(0), &argument.text)?);
                }
                Which::Ids(ranges)
            }
            ("SecRuleRemoveByTag", [tag]) => Which::Tag(tag_pattern(tag.place(0), &tag.text)?),
            (_, [message]) => Which::Message(message.text.clone(), Regex::new(&message.text).ok()),
            _ => return Err(wrong_count(directive, "one argument")),
        };
        let chosen = self.chosen(&which, directive);
        for index in chosen {
            if let Some(draft) = self.drafts.get_mut(index) {
                draft.removed = true;
            }
        }
        Ok(())
    }

    /// `SecRuleUpdateTargetById`, `…ByTag`, `…ByMsg`, `SecRuleUpdateActionById`.
    pub(crate) fn update(&mut self, name: &str, directive: &Directive) -> Result<(), Fault> {
        let (rules, change, replaced) = match directive.arguments.as_slice() {
            [rules, change] => (rules, change, None),
            [rules, change, replaced] if name != "SecRuleUpdateActionById" => {
                (rules, change, Some(replaced))
            }
            _ => return Err(wrong_count(directive, "rules and a change")),
        };
        let at = rules.place(0);
        // `100:1` is the first rule chained to 100.
        let (rules, link) = match rules.text.split_once(':') {
            Some((rules, link)) if name.ends_with("Id") => {
                let link = link
                    .trim()
                    .parse()
                    .map_err(|_| Fault::new(at, "`:` comes before the number of a chained rule"))?;
                (rules, link)
            }
            _ => (rules.text.as_str(), 0),
        };
        let which = if name.ends_with("Id") {
            Which::Ids(ids(at, rules)?)
        } else if name.ends_with("Tag") {
            Which::Tag(tag_pattern(at, rules)?)
        } else {
            Which::Message(rules.to_owned(), Regex::new(rules).ok())
        };
        let chosen = self.chosen(&which, directive);
        for index in &chosen {
            if let Some(draft) = self.drafts.get_mut(*index) {
                draft.material.directive(directive);
            }
        }
        if name == "SecRuleUpdateActionById" {
            return self.update_actions(&chosen, link, change);
        }
        self.update_targets(&chosen, link, change, replaced);
        Ok(())
    }

    /// The rules meant; a directive that means none is told.
    fn chosen(&mut self, which: &Which, directive: &Directive) -> Vec<usize> {
        let drafts = self.drafts.iter().enumerate();
        let chosen: Vec<usize> = drafts
            .filter(|(_, draft)| which.takes(draft, &self.tags))
            .map(|(index, _)| index)
            .collect();
        if chosen.is_empty() {
            let name = &directive.name;
            self.notice(name.at, format!("`{}` means no rule that comes before it", name.text));
        }
        chosen
    }

    fn update_targets(
        &mut self,
        chosen: &[usize],
        link: usize,
        change: &Argument,
        replaced: Option<&Argument>,
    ) {
        let mut faults = Vec::new();
        let written = syntax::targets(change, &mut faults);
        let added = self.select(&written, &mut faults);
        let replaced = replaced.map(|replaced| {
            let written = syntax::targets(replaced, &mut faults);
            self.select(&written, &mut faults)
        });
        self.faults(faults);
        for index in chosen {
            let draft = self.drafts.get_mut(*index);
            let Some(targets) = draft
                .and_then(|draft| draft.links.get_mut(link))
                .and_then(|link| link.targets.as_mut())
            else {
                continue;
            };
            if let Some(replaced) = &replaced {
                targets.included.retain(|selector| !replaced.included.contains(selector));
            }
            targets.dynamic |= added.dynamic;
            for (list, more) in
                [(&mut targets.included, &added.included), (&mut targets.excluded, &added.excluded)]
            {
                list.extend(more);
                list.sort_unstable();
                list.dedup();
            }
        }
    }

    fn update_actions(
        &mut self,
        chosen: &[usize],
        link: usize,
        change: &Argument,
    ) -> Result<(), Fault> {
        let actions = self.actions(Some(change));
        if actions.id.is_some() || actions.phase.is_some() || actions.chain {
            return Err(Fault::new(change.place(0), "`id`, `phase` and `chain` cannot be changed"));
        }
        // Effects are made anew for each rule: they are no values to copy.
        for index in chosen {
            let actions = self.actions(Some(change));
            let message_made = self.message(&actions)?;
            let defaults = self.drafts.get(*index).map(|draft| self.defaults_of(draft.phase));
            let (Some(draft), Some(defaults)) = (self.drafts.get_mut(*index), defaults) else {
                continue;
            };
            draft.update(actions, message_made, &defaults, link);
        }
        Ok(())
    }
}

/// `100`, `100-199`, several of them between commas or spaces.
pub(crate) fn ids(at: usize, text: &str) -> Result<Vec<RangeInclusive<u32>>, Fault> {
    let fault = |text: &str| Fault::new(at, format!("`{text}` is no id and no range of ids"));
    let mut ranges = Vec::new();
    for range in text.split([',', ' ', '\t']).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(first), Ok(last)) if first <= last => ranges.push(first..=last),
            _ => return Err(fault(range)),
        }
    }
    if ranges.is_empty() { Err(fault(text)) } else { Ok(ranges) }
}

/// A pattern that must match the whole of a tag: a name is one that matches itself.
pub(crate) fn tag_pattern(at: usize, text: &str) -> Result<Regex, Fault> {
    let pattern = Regex::new(&format!("^(?:{text})$"));
    pattern.map_err(|_| Fault::new(at, format!("`{text}` is no pattern of tags")))
}
