//! Requests that were asked for already, recorded ones and cases, put to both sets: whom a change
//! touches. What they show is no proof, and holds where no proof speaks: entities differ, links
//! end, and there may be no solver.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use prover::{Compared, Environment, Relation};
use serde::Serialize;
use signals::Facts;
use verdict::{Decision, Policies, Recorded, RecordedQuestion};

use crate::cli::policy::format::shown;
use crate::cli::policy::record::{self, Event};

/// Requests of each kind that are named.
const NAMED_MAX: usize = 5;

/// What came of all of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Seen {
    /// Recorded decisions of policy, asked of both sets.
    pub(super) recorded: u64,
    /// Cases, asked of both sets.
    pub(super) cases: u64,
    /// Recorded decisions whose question is not recorded whole.
    pub(super) undecidable: u64,
    /// Where the answers differ.
    #[serde(serialize_with = "as_list")]
    environments: BTreeMap<Environment, Touched>,
}

/// Those of one environment that only one set allows.
#[derive(Debug, Default, Serialize)]
struct Touched {
    wider: Requests,
    narrower: Requests,
}

/// Recorded requests, by their decisions' ids, and cases, by their names.
#[derive(Debug, Default, Serialize)]
struct Requests {
    recorded: u64,
    decisions: Vec<String>,
    cases: Vec<String>,
}

/// Where a request comes from, and what it is called.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name<'a> {
    Decision(&'a str),
    Case(&'a str),
}

impl Seen {
    /// Asks every decision of the record at `from` of both sets.
    ///
    /// # Errors
    /// The record cannot be read.
    pub(super) fn record(
        &mut self,
        from: &Path,
        old: &Policies,
        new: &Policies,
    ) -> anyhow::Result<()> {
        record::every(from, |value| {
            let Some(event) = Event::decided(value)? else {
                return Ok(ControlFlow::Continue(()));
            };
            match recorded(&event) {
                Some(Recorded { question, facts, .. }) => {
                    self.ask(Name::Decision(event.id()), &question, &facts, old, new);
                }
                None => self.undecidable += 1,
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Asks one request of both sets.
    pub(super) fn ask(
        &mut self,
        name: Name<'_>,
        question: &RecordedQuestion,
        facts: &Facts,
        old: &Policies,
        new: &Policies,
    ) {
        match name {
            Name::Decision(_) => self.recorded += 1,
            Name::Case(_) => self.cases += 1,
        }
        let allows = |set: &Policies| set.would_answer(question, facts).decision == Decision::Allow;
        let (was, is) = (allows(old), allows(new));
        if was == is {
            return;
        }
        let touched = self.environments.entry(environment(question)).or_default();
        let requests = if is { &mut touched.wider } else { &mut touched.narrower };
        requests.add(name);
    }

    /// Recorded requests that a set alone allows.
    pub(super) fn touched(&self) -> u64 {
        self.environments.values().map(|one| one.wider.recorded + one.narrower.recorded).sum()
    }

    /// Some request is allowed by the new set alone.
    pub(super) fn widens(&self) -> bool {
        self.environments.values().any(|one| !one.wider.is_empty())
    }

    /// Some request is allowed by the old set alone.
    pub(super) fn narrows(&self) -> bool {
        self.environments.values().any(|one| !one.narrower.is_empty())
    }

    /// What is not proved is at least what was seen.
    pub(super) fn correct(&self, compared: &mut Compared) {
        let Some(touched) = self.environments.get(&compared.environment) else { return };
        if compared.proved {
            return;
        }
        let wider = compared.relation.widens() || !touched.wider.is_empty();
        let narrower = compared.relation.narrows() || !touched.narrower.is_empty();
        compared.relation = match (wider, narrower) {
            (true, true) => Relation::Both,
            (true, false) => Relation::Wider,
            (false, true) => Relation::Narrower,
            (false, false) => compared.relation,
        };
    }

    /// Whether anything is to be told of an environment.
    pub(super) fn has(&self, environment: &Environment) -> bool {
        self.environments.contains_key(environment)
    }

    /// What was seen of an environment, for people.
    pub(super) fn text(&self, environment: &Environment, out: &mut impl Write) -> io::Result<()> {
        let Some(Touched { wider, narrower }) = self.environments.get(environment) else {
            return Ok(());
        };
        for (which, requests) in [("new", wider), ("old", narrower)] {
            let Requests { recorded, decisions, cases } = requests;
            if *recorded > 0 {
                let named = shown(&decisions.join(", "));
                writeln!(out, "  only the {which} set allows {recorded} recorded: {named}")?;
            }
            for case in cases {
                writeln!(out, "  only the {which} set allows the case: {}", shown(case))?;
            }
        }
        Ok(())
    }
}

impl Requests {
    fn add(&mut self, name: Name<'_>) {
        let (names, name) = match name {
            Name::Decision(id) => {
                self.recorded += 1;
                (&mut self.decisions, id)
            }
            Name::Case(name) => (&mut self.cases, name),
        };
        if names.len() < NAMED_MAX {
            names.push(name.to_owned());
        }
    }

    fn is_empty(&self) -> bool {
        self.recorded == 0 && self.cases.is_empty()
    }
}

fn recorded(event: &Event<'_>) -> Option<Recorded> {
    let unmapped = &event.unmapped;
    let (question, facts, cedar) = (unmapped.question?, unmapped.facts?, unmapped.cedar?);
    Recorded::read(question.get(), facts.get(), cedar.get()).ok()
}

fn environment(question: &RecordedQuestion) -> Environment {
    let RecordedQuestion { principal, action, resource } = question;
    Environment {
        principal: format!("Portcullis::{}", principal.kind.as_str()),
        action: action.to_string(),
        resource: resource.kind.clone(),
    }
}

fn as_list<S: serde::Serializer>(
    environments: &BTreeMap<Environment, Touched>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told<'a> {
        #[serde(flatten)]
        environment: &'a Environment,
        #[serde(flatten)]
        touched: &'a Touched,
    }
    let told = |(environment, touched)| Told { environment, touched };
    serializer.collect_seq(environments.iter().map(told))
}
