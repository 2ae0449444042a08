//! Invariants: that no request which matches one is allowed, environment by environment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use cedar_policy::{Policy, RequestEnv};
use cedar_policy_symcc::SymEnv;
use serde::Serialize;
use verdict::proof::Invariant;
use verdict::{Decision, Policies};

use crate::compare::beyond;
use crate::compile::Compiler;
use crate::environment::{Environment, Side};
use crate::example::{Draft, Example, answer};
use crate::search::{Pool, is_read};
use crate::solver::Session;
use crate::weave::{self, condition};
use crate::{Error, Means, wait};

/// A set, held against its invariants.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// Each invariant in each environment that it can match.
    pub invariants: Vec<Held>,
}

/// One invariant in one environment.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// The invariant's `@id`.
    pub invariant: String,
    /// Its `@doc`.
    pub doc: Option<String>,
    /// The environment.
    #[serde(flatten)]
    pub environment: Environment,
    /// Whether it holds.
    pub holds: Holds,
    /// What is not known, and why.
    pub why: Option<String>,
    /// Which requests a proof does not speak of, if there are any.
    pub beyond: Option<String>,
    /// A request that matches and is allowed.
    pub example: Option<Example>,
}

/// Whether an invariant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// For every request.
    Proved,
    /// The authorizer allows a request that matches.
    Broken,
    /// No such request is known, nor that there is none.
    Undecided,
}

impl Proof {
    /// How many are like that.
    pub fn count(&self, holds: Holds) -> usize {
        self.invariants.iter().filter(|held| held.holds == holds).count()
    }
}

/// Holds a set against its invariants.
///
/// # Errors
///
/// There is no way to wait for a solver, or the schema has no actions.
pub fn prove(set: &Policies, means: &Means) -> Result<Proof, Error> {
    let deadline = Instant::now() + means.deadline;
    let side = Side::of(set)?;
    let invariants = wait(async {
        let mut session = means.solver.as_ref().map(|solver| Session::new(solver, deadline.into()));
        let mut held = Vec::new();
        for invariant in set.invariants() {
            for (environment, env) in &side.environments.all {
                if side.environments.applies(&invariant.policy, env) {
                    let claim = Claim { side: &side, invariant, environment, env };
                    held.push(claim.hold(session.as_mut(), means, deadline).await);
                }
            }
        }
        if let Some(session) = session {
            session.close().await;
        }
        held
    })?;
    Ok(Proof { invariants })
}

/// One invariant, of one environment.
struct Claim<'a> {
    side: &'a Side<'a>,
    invariant: &'a Invariant,
    environment: &'a Environment,
    env: &'a RequestEnv,
}

impl Claim<'_> {
    async fn hold(
        &self,
        session: Option<&mut Session<'_>>,
        means: &Means,
        deadline: Instant,
    ) -> Held {
        let found = match session {
            Some(session) => self.solved(session).await,
            None => self.searched(means.requests, deadline),
        };
        let (holds, why, example) = match found {
            Ok(None) => (Holds::Proved, None, None),
            Ok(Some(example)) => (Holds::Broken, None, Some(example)),
            Err(why) => (Holds::Undecided, Some(why), None),
        };
        let beyond = beyond(self.side.set, self.env);
        let Invariant { id, doc, .. } = self.invariant;
        let (invariant, doc) = (id.clone(), doc.clone());
        Held { invariant, doc, environment: self.environment.clone(), holds, why, beyond, example }
    }

    async fn solved(&self, session: &mut Session<'_>) -> Result<Option<Example>, String> {
        let schema = self.side.set;
        let symbols = SymEnv::new(schema.schema(), self.env).map_err(|e| e.to_string())?;
        let compiler = Compiler { schema, env: self.env, symbols: &symbols };
        let candidates = self.side.candidates(self.environment);
        let set = compiler.compile(&candidates, &mut BTreeSet::new(), session).await?;
        let rest = compiler.woven(&weave::all_but(&self.invariant.policy)?)?;
        let Some(found) = session.implies(&set, &rest).await? else { return Ok(None) };
        let draft = Draft::of(&found.request, &found.entities);
        let example = draft.and_then(|draft| self.example(draft));
        let unconfirmed = "the solver tells of a request that the authorizer does not allow";
        example.map(Some).ok_or_else(|| unconfirmed.to_owned())
    }

    fn searched(&self, requests: usize, deadline: Instant) -> Result<Option<Example>, String> {
        let mut policies: Vec<&Policy> = self.side.candidates(self.environment);
        policies.push(&self.invariant.policy);
        let mut asked = 0;
        if let Some(plain) = Policies::plain_context(self.env.principal()) {
            let mut pool = Pool::of(self.env, plain, &policies, &[self.side.set]);
            while asked < requests && Instant::now() < deadline {
                let Some(draft) = pool.draw() else { break };
                asked += 1;
                if self.breaks(&draft) {
                    return Ok(self.example(draft));
                }
            }
        }
        Err(format!("no solver: of {asked} requests made up, none breaks it"))
    }

    /// The authorizer allows it, and it matches.
    fn breaks(&self, draft: &Draft) -> bool {
        let Some(asked) = draft.made(self.side.set.schema()) else { return false };
        let allowed = self.side.set.judge(&asked).map(|basis| basis.decision);
        allowed == Some(Decision::Allow) && self.side.set.matches(self.invariant, &asked)
    }

    fn example(&self, draft: Draft) -> Option<Example> {
        if !self.breaks(&draft) {
            return None;
        }
        let plain = Policies::plain_context(self.env.principal())?;
        let small = draft.small(&plain, |draft| self.breaks(draft));
        let asked = small.made(self.side.set.schema())?;
        let answers = BTreeMap::from([("the set", answer(self.side.set, &asked)?)]);
        let text = condition(&self.invariant.policy);
        Some(small.example(&plain, |dotted| is_read(&text, dotted), answers))
    }
}
