//! A rule set, compiled: rules as numbers into tables that they share.

mod actions;
mod build;
mod compile;
mod dialect;
mod directive;
mod literals;
mod needs;
mod operator;
mod overlay;
mod pattern;
mod select;
mod set;
mod template;
mod update;
mod words;
mod written;

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use crate::{byte_set::ByteSet, transform::Transform, variable::Variable};

pub(crate) use needs::Needs;
pub(crate) use operator::{Comparand, Operator};
pub use overlay::{Exclusion, Overlay, Settings, Unfit};
pub(crate) use pattern::Pattern;
pub(crate) use select::{Key, Selector, Targets};
pub use set::{Fetch, File, Loaded, RuleSet, Wanted};
pub(crate) use template::{Piece, Template};
pub(crate) use words::{WordSet, Words};
pub(crate) use written::LinkText;
pub use written::{Written, WrittenLink};

/// Phases of a transaction.
pub(crate) const PHASES: usize = 5;

/// A set of rules, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rules(Vec<u64>);

/// `SecRuleEngine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EngineState {
    /// Rules run, and say who would be refused.
    On,
    /// Rules run. What they count is the same; none refuses by itself.
    DetectionOnly,
    Off,
}

/// What directives say about the set as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) state: EngineState,
    pub(crate) request_body: bool,
    pub(crate) response_body: bool,
    /// Types of which response bodies are looked at, in lower case.
    pub(crate) response_types: Vec<String>,
    pub(crate) request_body_bytes_max: Option<usize>,
    pub(crate) response_body_bytes_max: Option<usize>,
    pub(crate) arguments_max: Option<usize>,
    pub(crate) json_depth_max: Option<usize>,
    pub(crate) argument_separator: u8,
    pub(crate) signatures: Vec<String>,
}

/// The tables of a rule set.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) rules: Vec<Rule>,
    pub(crate) links: Vec<Link>,
    /// What the links are written as: no look at a transaction needs it.
    pub(crate) texts: Vec<LinkText>,
    /// The rules of each phase, in order.
    pub(crate) phases: [Vec<u32>; PHASES],
    pub(crate) targets: Vec<Targets>,
    /// Lists of selectors whose values targets leave out, each list once.
    pub(crate) exclusions: Vec<Vec<u32>>,
    pub(crate) chains: Vec<Chain>,
    pub(crate) groups: Vec<Group>,
    pub(crate) selectors: Vec<Selector>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) words: Words,
    pub(crate) tags: Vec<String>,
    /// What the files are called.
    pub(crate) files: Vec<String>,
    /// The `tx` variables that rules name, in lower case.
    pub(crate) tx_names: Vec<Vec<u8>>,
    pub(crate) tx_slots: HashMap<Vec<u8>, u32>,
    pub(crate) engine: Engine,
    pub(crate) by_id: HashMap<u32, u32>,
    /// Variables that rules name.
    pub(crate) used: HashSet<Variable>,
}

/// A rule: it matches when all its links do.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: u32,
    pub(crate) links: std::ops::Range<u32>,
    pub(crate) log: bool,
    pub(crate) message: Template,
    pub(crate) data: Template,
    pub(crate) severity: Option<u8>,
    pub(crate) tags: Vec<u32>,
    pub(crate) version: String,
    pub(crate) verdict: Verdict,
    pub(crate) status: u16,
    pub(crate) flow: Flow,
    pub(crate) file: u32,
    pub(crate) line: u32,
    /// Of all that made it.
    pub(crate) fingerprint: [u8; 32],
}

/// What the rule set's author would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Deny,
    Drop,
    Redirect,
    Allow(Allow),
}

/// What `allow` lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allow {
    Phase,
    Request,
    Transaction,
}

/// Where evaluation goes on after a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    /// At that place in the phase's list.
    Jump(u32),
}

/// One test of a rule or of its chain.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) look: Look,
    pub(crate) chain: u32,
    pub(crate) operator: Operator,
    pub(crate) needs: Needs,
    pub(crate) negated: bool,
    pub(crate) capture: bool,
    pub(crate) multi_match: bool,
    pub(crate) effects: Vec<Effect>,
}

/// What a link looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing: it always matches.
    Always,
    /// Nothing that is evaluated here: it never matches.
    Never,
    /// A `tx` variable, as a number.
    TxNumber(u32),
    /// Whether a `tx` variable is set, as a number.
    TxCount(u32),
    /// Values of the message, resolved once a phase.
    Group(u32),
    /// Targets that rules change while they run.
    Targets(u32),
}

/// A list of targets and a chain of transformations that rules share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    pub(crate) targets: u32,
    pub(crate) chain: u32,
}

/// Transformations, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) steps: Vec<Transform>,
    /// A bit for each transformation in it.
    pub(crate) mask: u32,
}

/// What a match of a link does, whatever becomes of its rule.
#[derive(Debug)]
pub(crate) enum Effect {
    Set {
        variable: TxName,
        change: Change,
    },
    /// `ctl:ruleEngine`.
    Engine(EngineState),
    Remove(Rules),
    RemoveTargets {
        rules: Rules,
        selector: u32,
    },
    Processor(Template),
    ForceBody(bool),
    BodyAccess(bool),
}

/// The name of a `tx` variable.
#[derive(Debug)]
pub(crate) enum TxName {
    Slot(u32),
    Made(Template),
}

/// `setvar`: what becomes of the variable.
#[derive(Debug)]
pub(crate) enum Change {
    Assign(Template),
    Add(Template),
    Subtract(Template),
    Unset,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            state: EngineState::On,
            request_body: true,
            response_body: true,
            response_types: vec!["text/plain".to_owned(), "text/html".to_owned()],
            request_body_bytes_max: None,
            response_body_bytes_max: None,
            arguments_max: None,
            json_depth_max: None,
            argument_separator: b'&',
            signatures: Vec::new(),
        }
    }
}

impl Program {
    /// Finds the slots that patterns of `tx` select.
    pub(crate) fn select_slots(&mut self) {
        let names = &self.tx_names;
        for selector in self.selectors.iter_mut().filter(|one| one.variable == Variable::Tx) {
            let slots = (0..).zip(names).filter(|(_, name)| selector.selects(name));
            selector.slots = slots.map(|(slot, _)| slot).collect();
        }
    }

    /// A rule names the variable.
    pub(crate) fn uses(&self, variable: Variable) -> bool {
        self.used.contains(&variable)
    }
}

impl Rules {
    /// These rules.
    pub(crate) fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut rules = Self::default();
        numbers.into_iter().for_each(|number| rules.insert(number));
        rules
    }

    /// Adds a rule.
    pub(crate) fn insert(&mut self, number: u32) {
        let word = number as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (number % 64);
        }
    }

    /// Adds all of `other`.
    pub(crate) fn extend(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// The rule is in it.
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// There is none in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl Chain {
    /// A text in which no byte is that any of these acts on stays as it is.
    pub(crate) fn new(steps: Vec<Transform>) -> Self {
        let mask = steps.iter().fold(0, |mask, step| mask | 1 << *step as u32);
        Self { steps, mask }
    }
}

/// For each byte a bit for each transformation that acts on it.
static ACTING: LazyLock<[u32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let acts = |transform: &Transform| {
            u8::try_from(byte).is_ok_and(|byte| transform.acts_on().has(byte))
        };
        let all = Transform::NAMES.iter().map(|(_, transform)| *transform).filter(acts);
        all.fold(0, |mask, transform| mask | 1 << transform as u32)
    })
});

/// As that for those that act on every byte: a length or a digest is also one of no bytes.
static ALWAYS_ACTING: LazyLock<u32> =
    LazyLock::new(|| ACTING.iter().fold(u32::MAX, |mask, acts| mask & acts));

/// A bit for each transformation that may change a text with these bytes in it.
pub(crate) fn acting(seen: ByteSet) -> u32 {
    seen.bytes()
        .fold(*ALWAYS_ACTING, |mask, byte| mask | ACTING.get(usize::from(byte)).unwrap_or(&0))
}
