//! Rule sets: made of files, shared by all who look with them.

use crate::problem::Problem;

use super::{Program, build::Building};

/// A file: rules, or what rules name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As messages call it, and as [`Wanted`] does when it names others.
    pub name: String,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// A file that rules name. Names are relative to the file that names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// `Include`: every file that the pattern matches, in order.
    Include {
        /// The file that names it.
        from: &'a str,
        /// A path, perhaps with `*`.
        pattern: &'a str,
    },
    /// The argument of `@pmFromFile` or `@ipMatchFromFile`: one file.
    Data {
        /// The file that names it.
        from: &'a str,
        /// A path.
        name: &'a str,
    },
}

/// Reads what rules name; an error says why it cannot.
pub type Fetch<'a> = &'a dyn Fn(Wanted<'_>) -> Result<Vec<File>, String>;

/// A rule set, ready to look at transactions. It is immutable and shared.
#[derive(Debug)]
pub struct RuleSet {
    pub(crate) program: Program,
    pub(crate) scores: Scores,
}

/// A rule set and what its files say that has no meaning here.
#[derive(Debug)]
pub struct Loaded {
    /// The rules.
    pub rules: RuleSet,
    /// Directives that are accepted and do nothing, rules and targets that are not evaluated.
    pub notices: Vec<Problem>,
}

/// The `tx` variables in which a rule set counts, as far as it has them.
#[derive(Debug, Default)]
pub(crate) struct Scores {
    pub(crate) inbound: Option<u32>,
    pub(crate) inbound_threshold: Option<u32>,
    pub(crate) outbound: Option<u32>,
    pub(crate) outbound_threshold: Option<u32>,
    pub(crate) categories: Vec<(&'static str, u32)>,
    pub(crate) levels: Vec<(u8, u32)>,
    pub(crate) paranoia: Vec<u32>,
    pub(crate) detection: Vec<u32>,
}

const CATEGORIES: [(&str, &str); 8] = [
    ("sqli", "sql_injection_score"),
    ("xss", "xss_score"),
    ("rfi", "rfi_score"),
    ("lfi", "lfi_score"),
    ("rce", "rce_score"),
    ("php", "php_injection_score"),
    ("http", "http_violation_score"),
    ("session", "session_fixation_score"),
];

impl RuleSet {
    /// Loads rule files in order; or lists everything that is wrong with them.
    pub fn load(files: &[File], fetch: Fetch<'_>) -> Result<Loaded, Vec<Problem>> {
        let mut building = Building::new(fetch);
        for file in files {
            building.read(file);
        }
        let (program, notices) = building.finish()?;
        let scores = Scores::of(&program);
        Ok(Loaded { rules: Self { program, scores }, notices })
    }

    /// Rules in the set, each with its chain.
    pub fn len(&self) -> usize {
        self.program.rules.len()
    }

    /// There is no rule.
    pub fn is_empty(&self) -> bool {
        self.program.rules.is_empty()
    }

    /// Rules of each phase, from 1 to 5.
    pub fn phases(&self) -> [usize; 5] {
        let mut count = self.program.phases.iter().map(Vec::len);
        std::array::from_fn(|_| count.next().unwrap_or(0))
    }

    /// The rules' ids, in order, each with its tags.
    pub fn ids(&self) -> impl Iterator<Item = (u32, impl Iterator<Item = &str>)> {
        self.program.rules.iter().map(|rule| (rule.id, self.program.tags_of(rule)))
    }

    /// Where a hit's rule stands: `file:line`.
    pub fn place(&self, (file, line): (u32, u32)) -> Option<String> {
        let name = self.program.files.get(usize::try_from(file).ok()?)?;
        Some(format!("{name}:{line}"))
    }

    /// `SecComponentSignature`s.
    pub fn signatures(&self) -> &[String] {
        &self.program.engine.signatures
    }
}

impl Program {
    /// A rule's tags.
    pub(crate) fn tags_of<'a>(&'a self, rule: &'a super::Rule) -> impl Iterator<Item = &'a str> {
        let tag = |number: &u32| self.tags.get(*number as usize).map(String::as_str);
        rule.tags.iter().filter_map(tag)
    }
}

impl Scores {
    /// The names are those of the Core Rule Set, 4 before 3.
    fn of(program: &Program) -> Self {
        let slot = |name: &str| program.tx_slots.get(name.as_bytes()).copied();
        let first = |names: &[&str]| names.iter().find_map(|name| slot(name));
        let level = |level: u8| {
            let names =
                [format!("inbound_anomaly_score_pl{level}"), format!("anomaly_score_pl{level}")];
            names.iter().find_map(|name| slot(name)).map(|slot| (level, slot))
        };
        Self {
            inbound: first(&["blocking_inbound_anomaly_score", "anomaly_score"]),
            inbound_threshold: first(&["inbound_anomaly_score_threshold"]),
            outbound: first(&["blocking_outbound_anomaly_score", "outbound_anomaly_score"]),
            outbound_threshold: first(&["outbound_anomaly_score_threshold"]),
            categories: CATEGORIES
                .iter()
                .filter_map(|(name, own)| Some((*name, slot(own)?)))
                .collect(),
            levels: (1..=4).filter_map(level).collect(),
            paranoia: ["blocking_paranoia_level", "paranoia_level"]
                .into_iter()
                .filter_map(slot)
                .collect(),
            detection: ["detection_paranoia_level", "executing_paranoia_level"]
                .into_iter()
                .filter_map(slot)
                .collect(),
        }
    }
}
