//! Looking at a request: what each link matches, then the rules in order.

use std::collections::HashMap;

use crate::{
    subset::compile::{Amount, Change, Rule, RuleSet, SCORE, Set, THRESHOLD},
    subset::input::{Input, Value},
};

/// What a rule set makes of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The sum the rules that matched came to.
    pub score: i64,
    /// From where on the rules' author would block.
    pub threshold: i64,
    /// The rules that matched, in the order they ran.
    pub hits: Vec<Hit>,
}

/// A rule that matched, and where. What it matched is not told: it may be somebody's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The rule's id.
    pub id: String,
    /// Its `msg`.
    pub message: String,
    /// Its `tag`s.
    pub tags: Vec<String>,
    /// The target of the last link of its chain: `ARGS:q`.
    pub target: String,
}

impl RuleSet {
    /// Looks at a request.
    pub fn evaluate(&self, input: &Input) -> Outcome {
        let matches = self.plan.matches(input.values());
        let mut variables: HashMap<&str, i64> = HashMap::new();
        let mut hits = Vec::new();
        for rule in &self.rules {
            let found = matches.get(rule.links.clone()).unwrap_or_default();
            if found.iter().any(Option::is_none) {
                continue;
            }
            for set in &rule.sets {
                set.apply(&mut variables);
            }
            if !rule.silent {
                hits.push(rule.hit(found.iter().flatten().last().copied()));
            }
        }
        let read = |name: &str| variables.get(name).copied().unwrap_or(0);
        Outcome { score: read(SCORE), threshold: read(THRESHOLD), hits }
    }
}

impl Rule {
    fn hit(&self, value: Option<&Value>) -> Hit {
        let target = value.map_or_else(String::new, |value| match value.name.as_str() {
            "" => value.collection.target().to_owned(),
            name => format!("{}:{name}", value.collection.target()),
        });
        Hit { id: self.id.clone(), message: self.message.clone(), tags: self.tags.clone(), target }
    }
}

impl Set {
    fn apply<'a>(&'a self, variables: &mut HashMap<&'a str, i64>) {
        let amount = match &self.amount {
            Amount::Number(number) => *number,
            Amount::Variable(name) => variables.get(name.as_str()).copied().unwrap_or(0),
        };
        let variable = variables.entry(&self.variable).or_default();
        *variable = match self.change {
            Change::Assign => amount,
            Change::Add => variable.saturating_add(amount),
            Change::Subtract => variable.saturating_sub(amount),
        };
    }
}

#[cfg(test)]
mod tests;
