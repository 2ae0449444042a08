//! `portcullis policy explain`: why an answer is what it is, and what would turn it.
//!
//! A recorded decision is asked again of the set that made it, found by the digests in its event;
//! a question of a case file is asked of the policies as they are. Nothing is verified here.

mod rules;
mod text;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, bail};
use serde::Serialize;
use signals::Facts;
use verdict::{
    Basis, DatedLink, Explained, Explanation, Policies, Recorded, RecordedQuestion, Source,
};

use super::format::{Format, document, invalid};
use super::record::{self, Event};
use super::sets::{self, Sets};
use super::{Directory, read};
use crate::cli::{FAILED, OK};
use crate::config::{Config, Problem};

/// The policies directory, unless another is named.
const POLICIES: &str = "policies";

/// Say why an answer is what it is, and what would turn it
///
/// Told are the policies that determined it, of a refusal the permits that came nearest, forbids
/// that an `unless` excepts, shadow policies that hold, and links that were over. Exit codes: 0 it is
/// explained, 1 there is no such decision, its set is not there, or it does not come out again, 3 what
/// is read is wrong.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("asked").required(true).args(["from", "request"]))]
pub(in crate::cli) struct Explain {
    /// A decision's id, as the client's problem (`decision_id`, or `instance` with its `urn:uuid:`)
    /// and the header `Portcullis-Decision-Id` have it; may be left out where the record holds but one
    #[arg(conflicts_with = "request")]
    decision: Option<String>,
    /// The record that has the decision: a spool, the evidence of a sink, or a file with one event
    /// a line; `-` for standard input
    #[arg(long, value_name = "PLACE")]
    from: Option<PathBuf>,
    /// A file of cases, each of which is asked and explained
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// Where the set that decided may be: a directory where a gateway keeps sets, or a policies
    /// directory [default: `bundles` in the record]
    #[arg(long, conflicts_with = "request")]
    bundles: Vec<PathBuf>,
    /// A configuration, whose kept sets and policies directory are looked at too
    #[arg(long, short, conflicts_with = "request")]
    config: Option<PathBuf>,
    /// The policies directory that is looked at last, and that cases are asked of
    /// [default: `policies`]
    #[arg(long)]
    policies: Option<PathBuf>,
    /// Annotations that policies may carry besides those Portcullis knows
    #[arg(long)]
    allow_annotation: Vec<String>,
    /// Policy files, by their path in the directory, that hold for every API and may permit there
    #[arg(long, value_name = "FILE")]
    global: Vec<String>,
    /// Explain with the policies directory, although others decided it
    #[arg(long, conflicts_with = "request")]
    other_policies: bool,
    /// Show this policy too, whatever it had to do with the answer
    #[arg(long, value_name = "ID")]
    also: Vec<String>,
    /// How it is told
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// A question, and what it is called.
struct Asked {
    name: String,
    question: RecordedQuestion,
    facts: Facts,
    /// The answer, if it is a recorded one.
    recorded: Option<Basis>,
}

/// One question, as it is told.
#[derive(Debug, Serialize)]
struct Told {
    question: String,
    /// What is not as it was recorded.
    note: Option<String>,
    /// None, if only other policies could tell.
    explanation: Option<Explanation>,
    /// The rules that matched, where a policy refused for what rules found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<rules::Matched>,
    /// Links that were over, and might have had to do with it, or were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    over: Vec<DatedLink>,
    /// Policies that were asked for.
    also: Vec<Explained>,
}

/// Everything, as it is told.
#[derive(Debug, Serialize)]
struct Report {
    questions: Vec<Told>,
    differing: usize,
}

/// What decided, or what is at hand instead, and what to say of that.
enum Found {
    Set(Rc<Policies>),
    Other(Option<Rc<Policies>>, String),
}

impl Explain {
    pub(super) fn run(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let questions = match (&self.from, &self.request) {
            (Some(from), _) => self.recorded(from)?,
            (None, Some(file)) => self.cases(file)?,
            (None, None) => bail!("nothing is asked about"),
        };
        let questions = match questions {
            Ok(questions) => questions,
            Err(problems) => return invalid("explain", &problems, self.format, out),
        };
        let differing = questions.iter().filter(|told| told.note.is_some()).count();
        // Other policies are what was asked for; that there are none either is a failure.
        let unexplained = questions.iter().any(|told| told.explanation.is_none());
        let failed = unexplained || (differing > 0 && !self.other_policies);
        let report = Report { questions, differing };
        match self.format {
            Format::Json => document(&report, out)?,
            Format::Text => text::write(&report, out)?,
        }
        Ok(if failed { FAILED } else { OK })
    }

    /// Every case of a file, asked of the policies as they are now.
    fn cases(&self, file: &Path) -> anyhow::Result<Result<Vec<Told>, Vec<Problem>>> {
        let directory = Directory {
            directory: self.policies.clone().unwrap_or_else(|| PathBuf::from(POLICIES)),
            allow_annotation: self.allow_annotation.clone(),
            global: self.global.clone(),
        };
        let policies = match directory.policies() {
            Ok(policies) => policies,
            Err(problems) => return Ok(Err(problems)),
        };
        let cases = match read(file, None)? {
            Ok(cases) => cases,
            Err(problems) => return Ok(Err(problems)),
        };
        let told = cases.into_iter().map(|case| self.told(Asked::of_case(case), &policies, None));
        told.collect::<anyhow::Result<_>>().map(Ok)
    }

    /// The decision that is asked about, asked again of the set that made it.
    fn recorded(&self, from: &Path) -> anyhow::Result<Result<Vec<Told>, Vec<Problem>>> {
        let (name, recorded) = find(from, self.decision.as_deref())?;
        let found = match self.set(from, &recorded) {
            Ok(found) => found,
            Err(problems) => return Ok(Err(problems)),
        };
        let Recorded { question, facts, basis, .. } = recorded;
        let asked = Asked { name, question, facts, recorded: Some(basis) };
        let told = match found {
            Found::Set(policies) => self.told(asked, &policies, None)?,
            Found::Other(Some(policies), note) if self.other_policies => {
                self.told(asked, &policies, Some(note))?
            }
            Found::Other(at_hand, note) => {
                let hint = match at_hand {
                    Some(_) => "--other-policies explains it with these all the same",
                    None => "name the place with --bundles, --config or --policies",
                };
                Told {
                    question: asked.name,
                    note: Some(format!("{note}; {hint}")),
                    explanation: None,
                    rules: Vec::new(),
                    over: Vec::new(),
                    also: Vec::new(),
                }
            }
        };
        Ok(Ok(vec![told]))
    }

    /// The set that decided: kept, or the policies directory if nobody changed it since.
    fn set(&self, from: &Path, recorded: &Recorded) -> Result<Found, Vec<Problem>> {
        let config = self.config.as_deref().map(Config::load).transpose()?;
        let like = config.as_ref().map(sets::configured).unwrap_or_default();
        let like = sets::with(like, &self.allow_annotation, &self.global);
        let mut sets = Sets::default();
        sets.add_kept(from, &self.bundles, &like)?;
        if let Some(config) = &config {
            sets.add_configured(config);
        }
        let why = match sets.find(&recorded.digests) {
            Ok(policies) => return Ok(Found::Set(policies)),
            Err(why) => why,
        };
        Ok(match self.others(config.as_ref(), like)? {
            Some((_, policies)) if *policies.digests() == recorded.digests => Found::Set(policies),
            Some((directory, policies)) => {
                let note = format!(
                    "other policies decided it: those of `{}` are not the recorded ones, and {why}",
                    directory.display()
                );
                Found::Other(Some(policies), note)
            }
            None => Found::Other(None, why.to_owned()),
        })
    }

    /// The policies directory that is at hand.
    fn others(
        &self,
        config: Option<&Config>,
        like: Source,
    ) -> Result<Option<(PathBuf, Rc<Policies>)>, Vec<Problem>> {
        let configured = || config.map(|config| config.policies.directory.clone());
        let default = || Some(PathBuf::from(POLICIES)).filter(|directory| directory.is_dir());
        let Some(directory) = self.policies.clone().or_else(configured).or_else(default) else {
            return Ok(None);
        };
        let policies = Rc::new(sets::load(&directory, like)?);
        Ok(Some((directory, policies)))
    }

    fn told(
        &self,
        asked: Asked,
        policies: &Policies,
        note: Option<String>,
    ) -> anyhow::Result<Told> {
        let Asked { name, question, facts, recorded } = asked;
        let inquiry = policies.inquire(&question, &facts)?;
        let explanation = inquiry.explain();
        let differs = recorded.is_some_and(|recorded| recorded != explanation.basis);
        let differs = differs.then(|| "asked again, the answer is not the recorded one".to_owned());
        let mut over = inquiry.over(explanation.basis.decision);
        let mut also = Vec::new();
        for id in &self.also {
            match (inquiry.policy(id), inquiry.link_over(id)) {
                (Some(policy), _) => also.push(policy),
                (None, Some(link)) if over.contains(&link) => {}
                (None, Some(link)) => over.insert(0, link),
                (None, None) => bail!("there is no policy `{id}`"),
            }
        }
        let over = over.into_iter().cloned().collect();
        let note = note.or(differs);
        let rules = rules::behind(&explanation, &facts);
        Ok(Told { question: name, note, explanation: Some(explanation), rules, over, also })
    }
}

impl Asked {
    fn of_case(case: verdict::cases::Case) -> Self {
        let verdict::cases::Case { name, principal, action, resource, facts, .. } = case;
        let question = RecordedQuestion { principal, action, resource };
        Self { name, question, facts, recorded: None }
    }
}

/// The decision of this id; without one, the only decision that is there.
pub(in crate::cli) fn find(
    from: &Path,
    wanted: Option<&str>,
) -> anyhow::Result<(String, Recorded)> {
    // What the client's problem has as its `instance` (RFC 9457).
    let wanted = wanted.map(|wanted| wanted.strip_prefix("urn:uuid:").unwrap_or(wanted));
    let mut found: Option<(String, Recorded)> = None;
    let mut without_policy = None;
    record::every(from, |value| {
        let is_other = |wanted: &str| !String::from_utf8_lossy(value).contains(wanted);
        if wanted.is_some_and(is_other) {
            return Ok(ControlFlow::Continue(()));
        }
        let Some(event) = Event::decision(value)? else { return Ok(ControlFlow::Continue(())) };
        if wanted.is_some_and(|wanted| wanted != event.id()) {
            return Ok(ControlFlow::Continue(()));
        }
        if !event.is_of_policy() {
            without_policy = Some(event.id().to_owned());
        } else if found.is_some() {
            bail!("there are several decisions: say which by its id");
        } else {
            found = Some((event.id().to_owned(), whole(&event)?));
        }
        Ok(if wanted.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    let place = || format!("`{}`", from.display());
    match (found, without_policy, wanted) {
        (Some(found), _, _) => Ok(found),
        (None, Some(id), _) => {
            bail!("no policy was asked for `{id}`: it was refused before, as its event says")
        }
        (None, None, Some(wanted)) => bail!("no decision `{wanted}` is in {}", place()),
        (None, None, None) => bail!("no decision of policy is in {}", place()),
    }
}

fn whole(event: &Event<'_>) -> anyhow::Result<Recorded> {
    let unmapped = &event.unmapped;
    let (Some(question), Some(facts), Some(cedar)) =
        (unmapped.question, unmapped.facts, unmapped.cedar)
    else {
        bail!("the question of `{}` is not recorded whole", event.id());
    };
    Recorded::read(question.get(), facts.get(), cedar.get())
        .with_context(|| format!("the event of `{}` is not as this version records", event.id()))
}

#[cfg(test)]
mod tests;
