//! Condition coverage of policy cases: for the scope and for each condition of every policy,
//! whether some case saw it hold, and some case saw it not hold.
//!
//! A condition counts only where Cedar comes to it: behind one that did not hold it may stand
//! for anything. A template is seen through its links; one that nobody is linked to decides nothing,
//! and is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::cases::Case;
use crate::compiled::Compiled;
use crate::decide::Policies;
use crate::inputs::{InputError, Inputs};
use crate::problem::position;
use crate::reads::Reads;
use crate::source::Source;
use crate::trace::{Came, Kind, Parts};

/// What the cases saw of each policy, by file and place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Every scope that can be false, and every condition.
    pub parts: Vec<Covered>,
}

/// What the cases saw of one scope or condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The policy's `@id`, or the template's.
    pub policy: String,
    /// The file, relative to the policies directory.
    pub file: String,
    /// Line and column of where it begins, both from 1.
    pub line: usize,
    /// Characters.
    pub column: usize,
    /// Bytes of the file.
    pub place: Range<usize>,
    /// As it stands there.
    pub text: String,
    /// Some case saw it true.
    pub seen_true: bool,
    /// Some case saw it false.
    pub seen_false: bool,
}

impl Covered {
    /// Both were seen.
    pub fn is_covered(&self) -> bool {
        self.seen_true && self.seen_false
    }
}

impl Coverage {
    /// How many parts were seen both true and false.
    pub fn covered(&self) -> usize {
        self.parts.iter().filter(|part| part.is_covered()).count()
    }

    /// The same, of a hundred; a hundred, if there is nothing to see.
    pub fn percent(&self) -> f64 {
        match self.parts.len() {
            0 => 100.0,
            all => self.covered() as f64 * 100.0 / all as f64,
        }
    }
}

/// A text in a file whose parts are watched: a policy, or a template through its links.
struct Watched<'a> {
    policies: Vec<&'a Compiled>,
    /// Places in the coverage: of the scope, if it can be false, and of each condition.
    scope: Option<usize>,
    conditions: Vec<usize>,
}

impl Policies {
    /// What `cases` see of the policies, which were loaded from `source`.
    pub fn coverage(&self, source: &Source, cases: &[Case]) -> Coverage {
        let (watched, mut coverage) = self.watch(source);
        for case in cases {
            // A question that cannot be put is not seen by any policy.
            let _ = self.see(case, &watched, &mut coverage);
        }
        coverage
    }

    fn watch(&self, source: &Source) -> (Vec<Watched<'_>>, Coverage) {
        let files: BTreeMap<_, _> = self.files.iter().collect();
        let (mut watched, mut coverage) = (Vec::new(), Coverage::default());
        for (file, read) in files {
            let text = source.files.get(file).map_or("", String::as_str);
            let policies = read.placed().map(|(offset, one)| (offset, one.id(), vec![one]));
            let templates = read.templates().map(|(offset, id)| (offset, id, self.links_of(id)));
            for (offset, id, policies) in policies.chain(templates) {
                let Some(first) = policies.first() else { continue };
                let parts = first.parts();
                let mut add = |place: Range<usize>, part: String| {
                    let in_file = |at: usize| offset.saturating_add(at);
                    let place = in_file(place.start)..in_file(place.end);
                    let (line, column) = position(text, place.start);
                    coverage.parts.push(Covered {
                        policy: id.to_owned(),
                        file: file.clone(),
                        line,
                        column,
                        place,
                        text: part,
                        seen_true: false,
                        seen_false: false,
                    });
                    coverage.parts.len() - 1
                };
                let scope = parts.scope_text().map(|filled| {
                    let in_file = |at: usize| offset.saturating_add(at);
                    let Range { start, end } = parts.head();
                    let written = || text.get(in_file(start)..in_file(end)).map(words);
                    let is_link = first.policy.template_id().is_some();
                    let shown = if is_link { written() } else { None };
                    add(parts.head(), shown.unwrap_or(filled))
                });
                let conditions =
                    parts.conditions().map(|part| add(part.place.clone(), part.text.clone()));
                let conditions = conditions.collect();
                watched.push(Watched { policies, scope, conditions });
            }
        }
        (watched, coverage)
    }

    fn links_of(&self, template: &str) -> Vec<&Compiled> {
        let is_of = |one: &&Compiled| {
            one.policy.template_id().is_some_and(|id| AsRef::<str>::as_ref(id) == template)
        };
        self.links.iter().map(AsRef::as_ref).filter(is_of).collect()
    }

    fn see(
        &self,
        case: &Case,
        watched: &[Watched<'_>],
        coverage: &mut Coverage,
    ) -> Result<(), InputError> {
        let asked = self.maker().asked(&case.principal, &case.action, &case.resource)?;
        let at_ms = self.at_ms(case.facts.conn.received_ms);
        let matching: BTreeSet<&str> = self
            .numbered(&asked.matching()?)
            .filter(|one| !one.until.is_over(at_ms))
            .map(Compiled::id)
            .collect();
        let inputs = asked.inputs(&case.facts, Reads::EVERYTHING)?;
        for Watched { policies, scope, conditions } in watched {
            let mut in_scope = policies.iter().filter(|one| matching.contains(one.id())).peekable();
            coverage.saw(*scope, in_scope.peek().is_some());
            for one in in_scope {
                coverage.saw_conditions(one.parts(), conditions, &inputs);
            }
        }
        Ok(())
    }
}

impl Coverage {
    /// What the conditions of a policy come to whose scope is true.
    fn saw_conditions(&mut self, parts: &Parts, conditions: &[usize], inputs: &Inputs) {
        let steps = parts.ask(inputs);
        let steps = steps.iter().filter(|step| step.part.kind != Kind::Scope);
        for (step, at) in steps.zip(conditions).filter(|(step, _)| step.reached) {
            let is_true = match (&step.came, step.part.kind) {
                (Came::On, Kind::When | Kind::Scope) | (Came::Off, Kind::Unless) => true,
                (Came::Off, Kind::When | Kind::Scope) | (Came::On, Kind::Unless) => false,
                (Came::Unreached | Came::Erred(_), _) => continue,
            };
            self.saw(Some(*at), is_true);
        }
    }

    fn saw(&mut self, at: Option<usize>, is_true: bool) {
        let Some(part) = at.and_then(|at| self.parts.get_mut(at)) else { return };
        part.seen_true |= is_true;
        part.seen_false |= !is_true;
    }
}

/// In one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
