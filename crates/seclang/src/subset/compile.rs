//! From directives to a rule set: names resolved, links planned.

use std::collections::HashSet;

use crate::{
    subset::input::Collection,
    operator::Operator,
    subset::parse::{self, Action, Directive, Piece, Target, Test},
    subset::plan::{Link, Plan, Planning, Probe, Selector},
    problem::{Fault, Problem},
    transform::Transform,
};

/// The variable in which the score is, by the name the Core Rule Set gives it.
pub(crate) const SCORE: &str = "blocking_inbound_anomaly_score";
/// The variable in which the threshold is.
pub(crate) const THRESHOLD: &str = "inbound_anomaly_score_threshold";

/// A rule set, ready to look at requests. It is immutable and shared.
#[derive(Debug)]
pub struct RuleSet {
    pub(crate) rules: Vec<Rule>,
    pub(crate) plan: Plan,
}

/// A rule: it matches when all its links do.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) message: String,
    pub(crate) tags: Vec<String>,
    pub(crate) silent: bool,
    pub(crate) phase: u8,
    pub(crate) links: std::ops::Range<usize>,
    pub(crate) sets: Vec<Set>,
}

/// `setvar`: what a match does to a variable.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) variable: String,
    pub(crate) change: Change,
    pub(crate) amount: Amount,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Assign,
    Add,
    Subtract,
}

#[derive(Debug)]
pub(crate) enum Amount {
    Number(i64),
    Variable(String),
}

impl RuleSet {
    /// Loads rule files, given as name and text, in order; or lists everything wrong with them.
    pub fn load(files: &[(&str, &str)]) -> Result<Self, Vec<Problem>> {
        let mut building = Building::default();
        let mut problems = Vec::new();
        for (name, text) in files {
            let mut faults = Vec::new();
            building.read(parse::parse(text, &mut faults), &mut faults);
            problems.extend(faults.into_iter().map(|fault| fault.locate(name, text)));
        }
        let first = files.first().map_or("", |(name, _)| *name);
        let whole = |message: String| Fault::new(0, message).locate(first, "");
        let set = building.finish();
        match set {
            Ok(set) if problems.is_empty() => match set.constant(THRESHOLD) {
                Some(threshold) if threshold > 0 => return Ok(set),
                _ => problems.push(whole(format!(
                    "no `SecAction` sets `tx.{THRESHOLD}` to a number above 0"
                ))),
            },
            Ok(_) => {}
            Err(error) => {
                problems.push(whole(format!("the patterns do not compile together: {error}")))
            }
        }
        problems.sort();
        Err(problems)
    }

    /// Rules in the set.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// There is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The value an unconditional rule gives a variable.
    fn constant(&self, variable: &str) -> Option<i64> {
        let unconditional = self.rules.iter().filter(|rule| rule.links.is_empty());
        unconditional.flat_map(|rule| &rule.sets).find_map(|set| match (set.change, &set.amount) {
            (Change::Assign, Amount::Number(number)) if set.variable == variable => Some(*number),
            _ => None,
        })
    }
}

#[derive(Default)]
struct Building {
    rules: Vec<Rule>,
    planning: Planning,
    ids: HashSet<String>,
    /// The rule read last goes on with the next.
    chained: bool,
}

/// A directive's actions, sorted out.
#[derive(Default)]
struct Actions {
    id: Option<String>,
    message: String,
    tags: Vec<String>,
    transforms: Vec<Transform>,
    phase: Option<u8>,
    sets: Vec<Set>,
    silent: bool,
    chain: bool,
}

impl Building {
    fn read(&mut self, directives: Vec<Directive>, faults: &mut Vec<Fault>) {
        let mut last = 0;
        for directive in directives {
            last = directive.at;
            if let Err(fault) = self.directive(directive, faults) {
                faults.push(fault);
            }
        }
        if std::mem::take(&mut self.chained) {
            faults.push(Fault::new(last, "`chain` with no rule after it"));
        }
    }

    fn directive(&mut self, directive: Directive, faults: &mut Vec<Fault>) -> Result<(), Fault> {
        let actions = Actions::read(&directive.actions, faults);
        let continues = std::mem::replace(&mut self.chained, actions.chain);
        let start = self.planning.len();
        if let Some(test) = &directive.test {
            self.link(test, &actions.transforms, faults)?;
        } else if continues || actions.chain {
            return Err(Fault::new(directive.at, "`SecAction` cannot be part of a chain"));
        }
        if continues {
            if actions.id.is_some() || actions.phase.is_some() {
                return Err(Fault::new(
                    directive.at,
                    "only the first rule of a chain has `id` and `phase`",
                ));
            }
            if let Some(rule) = self.rules.last_mut() {
                rule.links.end = self.planning.len();
                rule.sets.extend(actions.sets);
            }
            return Ok(());
        }
        let id = actions.id.ok_or_else(|| Fault::new(directive.at, "the rule has no `id`"))?;
        if !self.ids.insert(id.clone()) {
            return Err(Fault::new(directive.at, format!("the id `{id}` is used twice")));
        }
        self.rules.push(Rule {
            id,
            message: actions.message,
            tags: actions.tags,
            silent: actions.silent || directive.test.is_none(),
            phase: actions.phase.unwrap_or(2),
            links: start..self.planning.len(),
            sets: actions.sets,
        });
        Ok(())
    }

    fn link(
        &mut self,
        test: &Test,
        transforms: &[Transform],
        faults: &mut Vec<Fault>,
    ) -> Result<(), Fault> {
        let (included, excluded) = selectors(&test.targets, faults);
        let probe = match Operator::compile(test)? {
            Operator::Pattern(pattern) => Probe::Pattern(self.planning.pattern(pattern)),
            Operator::Sqli => Probe::Sqli,
            Operator::Xss => Probe::Xss,
        };
        let steps = self.planning.steps(transforms);
        self.planning.link(Link { included, excluded, negated: test.negated, probe, steps });
        Ok(())
    }

    fn finish(mut self) -> Result<RuleSet, regex::Error> {
        self.rules.sort_by_key(|rule| rule.phase);
        let chains = self.rules.iter().map(|rule| rule.links.clone());
        let plan = self.planning.finish(chains)?;
        Ok(RuleSet { rules: self.rules, plan })
    }
}

impl Actions {
    fn read(list: &[Action], faults: &mut Vec<Fault>) -> Self {
        let mut actions = Self::default();
        for action in list {
            if let Err(fault) = actions.add(action) {
                faults.push(fault);
            }
        }
        actions
    }

    fn add(&mut self, action: &Action) -> Result<(), Fault> {
        let name = action.name.text.as_str();
        if let "pass" | "log" | "nolog" | "chain" = name {
            if let Some(value) = &action.value {
                return Err(Fault::new(value.at, format!("`{name}` takes no value")));
            }
            self.silent |= name == "nolog";
            self.chain |= name == "chain";
            return Ok(());
        }
        let unknown = || {
            Fault::new(action.name.at, format!("unknown action `{name}`")).hint(
                "`id`, `phase`, `msg`, `tag`, `t`, `setvar`, `chain`, `pass`, `log` and `nolog` are known; a rule set reports and never blocks",
            )
        };
        if !matches!(name, "id" | "phase" | "msg" | "tag" | "t" | "setvar") {
            return Err(unknown());
        }
        let Some(value) = &action.value else {
            return Err(Fault::new(action.name.at, format!("`{name}` needs a value")));
        };
        match name {
            "id" if value.text.parse::<u32>().is_ok_and(|id| id > 0) => {
                self.id = Some(value.text.clone())
            }
            "id" => {
                return Err(Fault::new(
                    value.at,
                    format!("`{}` is no id: a number above 0 is", value.text),
                ));
            }
            "phase" => self.phase = Some(phase(value)?),
            "msg" => self.message.clone_from(&value.text),
            "tag" => self.tags.push(value.text.clone()),
            "t" if value.text == "none" => self.transforms.clear(),
            "t" => self.transforms.push(Transform::named(&value.text).ok_or_else(|| {
                Fault::new(value.at, format!("unknown transformation `{}`", value.text))
            })?),
            _ => self.sets.push(set(value)?),
        }
        Ok(())
    }
}

fn phase(value: &Piece) -> Result<u8, Fault> {
    match value.text.as_str() {
        "1" => Ok(1),
        "2" | "request" => Ok(2),
        other => {
            Err(Fault::new(value.at, format!("phase `{other}` is not evaluated: 1 and 2 are")))
        }
    }
}

/// `tx.name=+5`, `tx.name=-%{tx.other}`, `tx.name=3`.
fn set(value: &Piece) -> Result<Set, Fault> {
    let malformed = || {
        Fault::new(value.at, format!("`{}` is no assignment", value.text))
            .hint("as in `tx.score=+5` or `tx.score=+%{tx.critical_anomaly_score}`")
    };
    let (variable, amount) = value.text.split_once('=').ok_or_else(malformed)?;
    let variable =
        variable.strip_prefix("tx.").filter(|name| is_name(name)).ok_or_else(malformed)?;
    let (change, amount) = match (amount.strip_prefix('+'), amount.strip_prefix('-')) {
        (Some(amount), _) => (Change::Add, amount),
        (_, Some(amount)) => (Change::Subtract, amount),
        _ => (Change::Assign, amount),
    };
    let other = amount.strip_prefix("%{tx.").and_then(|rest| rest.strip_suffix('}'));
    let amount = match other {
        Some(other) if is_name(other) => Amount::Variable(other.to_ascii_lowercase()),
        Some(_) => return Err(malformed()),
        None => Amount::Number(amount.parse().map_err(|_| malformed())?),
    };
    Ok(Set { variable: variable.to_ascii_lowercase(), change, amount })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The targets that are meant, and those that are excluded from them.
fn selectors(targets: &[Target], faults: &mut Vec<Fault>) -> (Vec<Selector>, Vec<Selector>) {
    let (mut included, mut excluded) = (Vec::new(), Vec::new());
    for target in targets {
        let list = if target.excluded { &mut excluded } else { &mut included };
        match Collection::named(&target.collection.text) {
            Some(collections) => {
                list.push(Selector { collections, name: target.selector.clone() });
            }
            None => faults.push(Fault::new(
                target.collection.at,
                format!("unknown target `{}`", target.collection.text),
            )),
        }
    }
    if targets.iter().all(|target| target.excluded) {
        let at = targets.first().map_or(0, |target| target.collection.at);
        faults.push(Fault::new(at, "the rule excludes targets and names none"));
    }
    (included, excluded)
}
