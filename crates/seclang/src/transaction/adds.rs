//! What rules add to scores, for whoever asks why a score is what it is.

use crate::program::{Change, Effect, Template};

use super::Inspection;

/// What such a variable has in its name, by the custom of the Core Rule Set.
const SCORE: &str = "score";

impl Inspection<'_> {
    /// What a match of the rule adds to each score, with the numbers that rules have set by now.
    /// A score that it does not add to is not there.
    pub fn adds(&self, id: u32) -> Vec<(String, i64)> {
        let program = &self.rules.program;
        let rule = program.by_id.get(&id).and_then(|number| program.rules.get(*number as usize));
        let links = rule
            .and_then(|rule| program.links.get(rule.links.start as usize..rule.links.end as usize));
        let effects = links.unwrap_or_default().iter().flat_map(|link| &link.effects);
        let adds = effects.filter_map(|effect| {
            let Effect::Set { variable, change } = effect else { return None };
            let amount = match change {
                Change::Add(amount) => self.number_of(amount),
                Change::Subtract(amount) => self.number_of(amount).saturating_neg(),
                Change::Assign(_) | Change::Unset => return None,
            };
            Some((program.name(variable), amount))
        });
        adds.filter(|(name, amount)| name.contains(SCORE) && *amount != 0).collect()
    }

    fn number_of(&self, template: &Template) -> i64 {
        let mut text = Vec::new();
        self.expand(template, &mut text);
        crate::operator::number(&text)
    }
}
