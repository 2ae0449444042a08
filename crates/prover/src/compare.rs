//! Two sets, environment by environment: what the second allows beside the first, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use cedar_policy::{Policy, RequestEnv};
use cedar_policy_symcc::{CompiledPolicySet, Env, SymEnv};
use verdict::{Decision, Policies};

use crate::compile::Compiler;
use crate::environment::{Environment, Side};
use crate::example::{Draft, Example, answer};
use crate::report::{Change, Compared, Diff, Relation};
use crate::search::{Pool, is_read};
use crate::solver::Session;
use crate::weave::condition;
use crate::{Error, Means, wait};

/// What the two sets are called in an example.
const OLD: &str = "old set";
const NEW: &str = "new set";

/// Compares what two sets allow.
///
/// # Errors
///
/// There is no way to wait for a solver, a schema has no actions to compare, or a link is no policy.
pub fn diff(old: &Policies, new: &Policies, means: &Means) -> Result<Diff, Error> {
    let deadline = Instant::now() + means.deadline;
    let sets = Sets { old: Side::of(old)?, new: Side::of(new)? };
    let mut environments: BTreeMap<&Environment, &RequestEnv> =
        sets.old.environments.all.iter().collect();
    environments.extend(&sets.new.environments.all);
    let compared = wait(async {
        let mut session = means.solver.as_ref().map(|solver| Session::new(solver, deadline.into()));
        let mut compared = Vec::new();
        for (environment, env) in environments {
            let pair = Pair::of(&sets, environment, env);
            compared.push(pair.compare(session.as_mut(), means, deadline).await);
        }
        if let Some(session) = session {
            session.close().await;
        }
        compared
    })?;
    let changes = changes(&sets)?;
    let others_end = changes.iter().any(|change| change.what == "until");
    let notes = notes(&sets, others_end);
    let open = others_end || sets.old.set.digests().entities != sets.new.set.digests().entities;
    Ok(Diff { changes, notes, open, environments: compared })
}

struct Sets<'a> {
    old: Side<'a>,
    new: Side<'a>,
}

fn same(a: &Policy, b: &Policy) -> bool {
    a.effect() == b.effect() && condition(a) == condition(b)
}

fn changes(sets: &Sets<'_>) -> Result<Vec<Change>, Error> {
    let asks = (sets.old.set.obligations(), sets.new.set.obligations());
    let ends = (sets.old.set.ends(), sets.new.set.ends());
    let mut changes = Vec::new();
    let mut differ = |old: &BTreeMap<String, Policy>, new: &BTreeMap<String, Policy>, shadow| {
        for id in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let what = match (old.get(id), new.get(id)) {
                (None, _) => "added",
                (_, None) => "removed",
                (Some(old), Some(new)) if !same(old, new) => "changed",
                _ if ends.0.get(id) != ends.1.get(id) => "until",
                _ if asks.0.get(id) != asks.1.get(id) => "annotations",
                _ => continue,
            };
            changes.push(Change { policy: id.clone(), what, shadow });
        }
    };
    differ(&sets.old.deciding, &sets.new.deciding, false);
    differ(&sets.old.set.in_shadow()?, &sets.new.set.in_shadow()?, true);
    changes.sort();
    Ok(changes)
}

fn notes(sets: &Sets<'_>, others_end: bool) -> Vec<String> {
    let (old, new) = (sets.old.set.digests(), sets.new.set.digests());
    let mut notes = Vec::new();
    if old.schema != new.schema {
        notes.push("the schema differs: what both have is compared under the new one".to_owned());
    }
    if old.entities != new.entities {
        notes.push(
            "the entities differ: who has which role, and whose a resource is, is not compared, so \
             that there is no difference is not proved"
                .to_owned(),
        );
    }
    if others_end {
        notes.push(
            "links end at other times: what both sets allow is compared as of now, and not after \
             the first of these ends, so that there is no difference is not proved"
                .to_owned(),
        );
    }
    let ending = sets.old.set.ending_links().max(sets.new.set.ending_links());
    if ending > 0 {
        notes.push(format!("{ending} links have an end: what is proved holds until the first"));
    }
    notes
}

/// The two sets in one environment.
struct Pair<'a> {
    sets: &'a Sets<'a>,
    environment: &'a Environment,
    env: &'a RequestEnv,
    /// The set whose schema requests are of: the new one, unless only the old one has this.
    schema: &'a Policies,
    old: Vec<&'a Policy>,
    new: Vec<&'a Policy>,
}

/// What a proof in an environment does not speak of.
pub(crate) fn beyond(set: &Policies, env: &RequestEnv) -> Option<String> {
    let required = set.required_attributes(env.resource());
    let names = required.join("`, `");
    let told = || format!("resources that no entities/*.json has: they have no `{names}`");
    (!required.is_empty()).then(told)
}

/// One direction: what is known of requests that only one set allows.
type Found = Result<Option<Example>, String>;

impl<'a> Pair<'a> {
    fn of(sets: &'a Sets<'a>, environment: &'a Environment, env: &'a RequestEnv) -> Self {
        let is_new = sets.new.environments.all.contains_key(environment);
        let schema = if is_new { sets.new.set } else { sets.old.set };
        let (old, new) = (sets.old.candidates(environment), sets.new.candidates(environment));
        Self { sets, environment, env, schema, old, new }
    }

    async fn compare(
        &self,
        session: Option<&mut Session<'_>>,
        means: &Means,
        deadline: Instant,
    ) -> Compared {
        let (wider, narrower) = match session {
            _ if self.is_untouched() => {
                let why = vec!["no policy that changed applies".to_owned()];
                return self.told(why, Ok(None), Ok(None));
            }
            Some(session) => self.solved(session).await,
            None => self.searched(means.requests, deadline),
        };
        let told = self.told(Vec::new(), wider, narrower);
        Compared { beyond: self.beyond(), ..told }
    }

    /// The same policies have a say, under the same schema, so every request has the same answer.
    /// The others' scopes match no request of this environment.
    fn is_untouched(&self) -> bool {
        let alike = self.old.len() == self.new.len()
            && self.old.iter().zip(&self.new).all(|(old, new)| same(old, new));
        let digests = (self.sets.old.set.digests(), self.sets.new.set.digests());
        let (old, new) = digests;
        // no policy at all permits nothing, whatever the schema is
        alike && (old.schema == new.schema || self.old.is_empty())
    }

    /// What a proof in this environment does not speak of.
    fn beyond(&self) -> Option<String> {
        beyond(self.schema, self.env)
    }

    async fn solved(&self, session: &mut Session<'_>) -> (Found, Found) {
        match self.compiled(session).await {
            Err(why) => (Err(why.clone()), Err(why)),
            Ok((old, new)) => {
                let wider = session.implies(&new, &old).await;
                let narrower = session.implies(&old, &new).await;
                (self.confirmed(wider, true), self.confirmed(narrower, false))
            }
        }
    }

    async fn compiled(
        &self,
        session: &mut Session<'_>,
    ) -> Result<(CompiledPolicySet, CompiledPolicySet), String> {
        let symbols = SymEnv::new(self.schema.schema(), self.env).map_err(|e| e.to_string())?;
        let mut cannot_err = BTreeSet::new();
        let mut compiled = Vec::new();
        for (policies, name) in [(&self.old, "old"), (&self.new, "new")] {
            let compiler = Compiler { schema: self.schema, env: self.env, symbols: &symbols };
            let made = compiler.compile(policies, &mut cannot_err, session).await;
            compiled.push(made.map_err(|error| format!("the {name} set: {error}"))?);
        }
        match (compiled.pop(), compiled.pop()) {
            (Some(new), Some(old)) => Ok((old, new)),
            _ => Err("nothing to compare".to_owned()),
        }
    }

    /// A counterexample, made small, as the authorizer confirms it.
    fn confirmed(&self, found: Result<Option<Env>, String>, wider: bool) -> Found {
        let Some(found) = found? else { return Ok(None) };
        let draft = Draft::of(&found.request, &found.entities);
        let example = draft.and_then(|draft| self.example(draft, wider));
        let unconfirmed = "the solver tells of a difference that the authorizer does not confirm";
        example.map(Some).ok_or_else(|| unconfirmed.to_owned())
    }

    fn example(&self, draft: Draft, wider: bool) -> Option<Example> {
        if !self.shows(&draft, wider) {
            return None;
        }
        let plain = Policies::plain_context(self.env.principal())?;
        let small = draft.small(&plain, |draft| self.shows(draft, wider));
        let asked = small.made(self.schema.schema())?;
        let answers = BTreeMap::from([
            (OLD, answer(self.sets.old.set, &asked)?),
            (NEW, answer(self.sets.new.set, &asked)?),
        ]);
        let conditions: Vec<String> = self.changed().map(condition).collect();
        let read = |dotted: &str| conditions.iter().any(|text| is_read(text, dotted));
        Some(small.example(&plain, read, answers))
    }

    /// The policies of either set that are not in the other.
    fn changed(&self) -> impl Iterator<Item = &'a Policy> {
        let not_in = |policy: &&Policy, set: &[&Policy]| {
            !set.iter().any(|other| other.id() == policy.id() && same(other, policy))
        };
        let gone = self.old.iter().copied().filter(move |old| not_in(old, &self.new));
        gone.chain(self.new.iter().copied().filter(move |new| not_in(new, &self.old)))
    }

    /// Whether only the new set allows it (`wider`), or only the old one.
    fn shows(&self, draft: &Draft, wider: bool) -> bool {
        let Some(asked) = draft.made(self.schema.schema()) else { return false };
        let allows = |set: &Policies| {
            set.judge(&asked).is_some_and(|basis| basis.decision == Decision::Allow)
        };
        let (old, new) = (allows(self.sets.old.set), allows(self.sets.new.set));
        if wider { new && !old } else { old && !new }
    }

    fn searched(&self, requests: usize, deadline: Instant) -> (Found, Found) {
        let policies: Vec<&Policy> = self.old.iter().chain(&self.new).copied().collect();
        let sets = [self.sets.old.set, self.sets.new.set];
        let (mut wider, mut narrower, mut asked) = (None, None, 0);
        if let Some(plain) = Policies::plain_context(self.env.principal()) {
            let mut pool = Pool::of(self.env, plain, &policies, &sets);
            while asked < requests
                && (wider.is_none() || narrower.is_none())
                && Instant::now() < deadline
            {
                let Some(draft) = pool.draw() else { break };
                asked += 1;
                if wider.is_none() && self.shows(&draft, true) {
                    wider = self.example(draft, true);
                } else if narrower.is_none() && self.shows(&draft, false) {
                    narrower = self.example(draft, false);
                }
            }
        }
        let unproved = || format!("no solver: of {asked} requests made up, none shows it");
        let found = |found: Option<Example>| found.map(Some).ok_or_else(unproved);
        (found(wider), found(narrower))
    }

    fn told(&self, mut why: Vec<String>, wider: Found, narrower: Found) -> Compared {
        let proved = wider.is_ok() && narrower.is_ok();
        let relation = match (&wider, &narrower) {
            (Ok(Some(_)), Ok(Some(_))) => Relation::Both,
            (Ok(Some(_)), _) => Relation::Wider,
            (_, Ok(Some(_))) => Relation::Narrower,
            (Ok(None), Ok(None)) => Relation::Equivalent,
            _ => Relation::Undecided,
        };
        let mut unknown = |found: Found, what: &str| match found {
            Ok(example) => example,
            Err(error) => {
                why.push(format!("whether it allows {what} is not proved: {error}"));
                None
            }
        };
        let wider = unknown(wider, "more");
        let narrower = unknown(narrower, "less");
        let environment = self.environment.clone();
        Compared { environment, relation, proved, why, beyond: None, wider, narrower }
    }
}
