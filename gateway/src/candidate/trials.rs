//! Asks the candidate: one thread of its own, and a bounded queue before it.
//!
//! Nobody waits for it. What does not fit the queue is dropped and counted, what was not asked in
//! time is late, and a panic is one answer that is missing; each is said in the completion. It
//! opens, decides and refuses nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ledger::event::{Agreement, Opinion, Unheard};
use ledger::{Receipt, Trial};
use signals::Facts;
use verdict::{Basis, Class, Question, RecordedQuestion};

use super::{Candidate, Loaded};
use crate::metrics::Metrics;
use crate::record::refusal;

/// Decisions that wait for the candidate. More are dropped.
const WAITING_MAX: usize = 1024;

/// How long one may wait: a completion comes no later than this and one evaluation.
const LATE_AFTER: Duration = Duration::from_secs(1);

/// Where decisions go that the candidate is asked about.
#[derive(Debug)]
pub(crate) struct Trials {
    queue: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
enum Message {
    Ask(Box<Asking>),
    End,
}

/// One question for the candidate, and what came of it.
#[derive(Debug)]
struct Asking {
    candidate: Arc<Loaded>,
    question: RecordedQuestion,
    facts: Facts,
    /// The class of the refusal that was recorded, if it was one.
    enforced: Option<Class>,
    since: Instant,
    trial: Trial,
}

impl Trials {
    /// Starts the thread. Without it every decision is dropped, and the operator told.
    pub(crate) fn start(metrics: Arc<Metrics>) -> Self {
        let ask = |asking: &Asking| {
            asking.candidate.set.policies.would_answer(&asking.question, &asking.facts)
        };
        Self::start_with(metrics, WAITING_MAX, ask)
    }

    fn start_with(
        metrics: Arc<Metrics>,
        waiting_max: usize,
        ask: impl Fn(&Asking) -> Basis + Send + 'static,
    ) -> Self {
        let (queue, asked) = sync_channel(waiting_max);
        let counted = Arc::clone(&metrics);
        let thread = std::thread::Builder::new()
            .name("candidate".to_owned())
            .spawn(move || work(&asked, &counted, ask))
            .inspect_err(|error| tracing::error!(%error, "no candidate will be asked"))
            .ok();
        Self { queue, thread: Mutex::new(thread), metrics }
    }

    /// Has the candidate asked too, if there is one and the decision is of its share.
    pub(crate) fn consider<T>(
        &self,
        candidate: &Candidate,
        question: &Question<'_>,
        enforced: Option<Class>,
        recorded: &mut Receipt<T>,
    ) {
        let Candidate::Loaded(candidate) = candidate else { return };
        if !candidate.share.has(recorded.uid()) {
            return;
        }
        let asking = Asking {
            candidate: Arc::clone(candidate),
            question: RecordedQuestion {
                principal: question.principal.principal.clone(),
                action: question.action.clone(),
                resource: question.resource.clone(),
            },
            facts: question.context.clone(),
            enforced,
            since: Instant::now(),
            trial: recorded.try_candidate(Arc::clone(&candidate.digests)),
        };
        if self.queue.try_send(Message::Ask(Box::new(asking))).is_err() {
            // it was dropped on the way back, and its completion says so
            self.metrics.tried(Unheard::Dropped.as_str());
        }
    }

    /// Asks what waits, and ends. What comes later is dropped.
    pub(crate) fn end(&self) {
        let _ = self.queue.send(Message::End);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the candidate's thread did not end as it should");
        }
    }
}

fn work(asked: &Receiver<Message>, metrics: &Metrics, ask: impl Fn(&Asking) -> Basis) {
    while let Ok(Message::Ask(asking)) = asked.recv() {
        let heard = asking.heard(Instant::now(), &ask);
        metrics.tried(match &heard {
            Ok(opinion) => opinion.agreement.as_str(),
            Err(unheard) => unheard.as_str(),
        });
        asking.trial.found(heard);
    }
}

impl Asking {
    fn heard(&self, now: Instant, ask: impl Fn(&Self) -> Basis) -> Result<Opinion, Unheard> {
        if now.saturating_duration_since(self.since) > LATE_AFTER {
            return Err(Unheard::Late);
        }
        // Policies that were not tried yet may run into a defect of the evaluator's that no
        // enforced policy does. Asking changes nothing but what the set remembers, whole values at
        // a time: a panic leaves nothing half changed. It is the loss of one answer, and this
        // thread goes on with the next.
        let basis = catch_unwind(AssertUnwindSafe(|| ask(self))).map_err(|_| Unheard::Panicked)?;
        opinion(self.enforced, basis)
    }
}

/// What a basis says beside what was answered. A question that cannot be put to the candidate is
/// no answer of its policies'.
fn opinion(enforced: Option<Class>, basis: Basis) -> Result<Opinion, Unheard> {
    if basis.errors.iter().any(|error| error.policy.is_empty()) {
        return Err(Unheard::Erred);
    }
    Ok(Opinion {
        agreement: Agreement::between(enforced, basis.refusal),
        refusal: basis.refusal.map(refusal),
        determining: basis.determining,
        errors: basis.errors.into_iter().map(|error| error.policy).collect(),
    })
}

#[cfg(test)]
mod tests;
