//! Each load of the configuration and the policies: what became of it, told alike in the log, the
//! record, `/status` and the metrics.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ledger::Record;
use ledger::event::{
    self, CandidateLoad, Digests, EventError, PolicyChanges, PolicySet, PolicySource, Producer,
    Reload, Reloaded,
};
use tracing::{error, info, warn};
use uuid::Uuid;
use verdict::Changes;

use crate::asked::now_ms;
use crate::candidate::Candidate;
use crate::rules::RuleChanges;
use crate::snapshot::Snapshot;

/// What the load at the start was asked for by.
const START: &str = "start";

/// Time between two looks whether anyone still has what is served no more.
const RETIRE_EVERY: Duration = Duration::from_secs(1);

/// What became of a load.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    /// What asked for it, one word.
    pub(crate) trigger: String,
    /// It is in force; else what was in force before still is.
    pub(crate) accepted: bool,
    /// Why not.
    pub(crate) problems: Vec<String>,
    /// When, Unix milliseconds.
    pub(crate) at_ms: i64,
    /// The set in force is kept for the next start and for replay; `None` if sets are not kept.
    pub(crate) kept: Option<bool>,
    /// What it changed.
    changes: Changes,
    rules: RuleChanges,
    /// The digest of the rules that were in use before, if there were others.
    rules_before: Option<String>,
}

/// The last load, for whoever asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loads(Arc<ArcSwap<Load>>);

impl Loads {
    pub(crate) fn last(&self) -> Arc<Load> {
        self.0.load_full()
    }

    pub(super) fn put(&self, load: Load) {
        self.0.store(Arc::new(load));
    }
}

impl Load {
    /// The load at the start. With the set that was kept, the directory was refused.
    pub(super) fn start(snapshot: &Snapshot) -> Self {
        let set = snapshot.policy_set();
        Self {
            trigger: START.to_owned(),
            accepted: !set.is_kept(),
            problems: set.set_aside.iter().map(ToString::to_string).collect(),
            at_ms: now_ms(),
            kept: keep(snapshot),
            changes: match set.is_kept() {
                true => Changes::default(),
                false => set.policies.changes_since(None),
            },
            rules: snapshot.ruleset().changes_since(None),
            rules_before: None,
        }
    }

    /// A load that is about to be in force in place of `before`. Its policies are kept first, so
    /// that no decision is made by any that are not.
    pub(super) fn taken(trigger: String, next: &Snapshot, before: &Snapshot, last: &Self) -> Self {
        let same = Arc::ptr_eq(next.policy_set(), before.policy_set());
        let keep_same = next.config().policies.keep == before.config().policies.keep;
        let kept = match last.kept {
            Some(true) if same && keep_same && is_kept(next) => Some(true),
            _ => keep(next),
        };
        let changes = match same {
            true => Changes::default(),
            false => next.policies().changes_since(Some(before.policies())),
        };
        let (old, new) = (before.ruleset(), next.ruleset());
        let (rules, rules_before) = match old.digest() == new.digest() {
            true => (RuleChanges::default(), None),
            false => (new.changes_since(Some(old)), Some(old.digest().to_owned())),
        };
        Self {
            trigger,
            accepted: true,
            problems: Vec::new(),
            at_ms: now_ms(),
            kept,
            changes,
            rules,
            rules_before,
        }
    }

    pub(super) fn refused(trigger: String, problems: Vec<String>, last: &Self) -> Self {
        let (at_ms, kept) = (now_ms(), last.kept);
        Self { trigger, problems, at_ms, kept, ..Self::default() }
    }

    pub(super) fn is_start(&self) -> bool {
        self.trigger == START
    }

    pub(super) fn log(&self, snapshot: &Snapshot) {
        for problem in &self.problems {
            error!(problem, "load");
        }
        let set = snapshot.policy_set();
        let (policies, revision) =
            (set.policies.digests().set(), set.bundle.declared.revision.clone());
        let Changes { added, removed, changed, schema, entities } = &self.changes;
        let (trigger, accepted) = (self.trigger.as_str(), self.accepted);
        info!(
            trigger,
            accepted,
            policies,
            revision = revision.unwrap_or_default(),
            added = added.len(),
            removed = removed.len(),
            changed = changed.len(),
            schema,
            entities,
            rules = snapshot.ruleset().digest(),
            rules_before = self.rules_before.as_deref().unwrap_or_default(),
            rules_added = self.rules.added.len(),
            rules_removed = self.rules.removed.len(),
            rules_changed = self.rules.changed.len(),
            rule_settings = self.rules.settings,
            "load"
        );
        if !self.accepted && !self.problems.is_empty() && !self.is_start() {
            error!(policies, "the load is refused: what was in force before is served on");
        }
        if set.is_kept() {
            warn!(
                policies,
                "the policies directory was wrong at the start: the set that was last in force is served"
            );
        }
    }

    /// The event.
    ///
    /// # Errors
    /// A name is too long.
    pub(super) fn event(
        &self,
        snapshot: &Snapshot,
        uid: Uuid,
        now_ms: i64,
        producer: &Producer,
    ) -> Result<Record, EventError> {
        let set = snapshot.policy_set();
        let (digests, declared) = (set.policies.digests(), &set.bundle.declared);
        let Changes { added, removed, changed, schema, entities } = &self.changes;
        let changes =
            PolicyChanges { added, removed, changed, schema: *schema, entities: *entities };
        let (ruleset, RuleChanges { added, removed, changed, settings }) =
            (snapshot.ruleset(), &self.rules);
        let rules = event::RuleSet {
            digest: ruleset.digest(),
            before: self.rules_before.as_deref(),
            files: ruleset.paths().count(),
            rules: ruleset.rules().set().len(),
            changes: event::RuleChanges { added, removed, changed, settings: *settings },
        };
        let candidate = snapshot.candidate();
        let over: Vec<String> =
            set.policies.links_over(now_ms).map(|link| link.id.clone()).collect();
        let left_out: Vec<String> = candidate.problems().iter().map(ToString::to_string).collect();
        let told = CandidateLoad { digests: candidate.digests(), problems: &left_out };
        let reload = Reload {
            what: Reloaded::Config,
            trigger: &self.trigger,
            accepted: self.accepted,
            digests: Digests {
                config: &snapshot.config().digest,
                policies: &digests.policies,
                schema: &digests.schema,
                entities: &digests.entities,
                rules: ruleset.digest(),
            },
            rules: Some(rules),
            policies: Some(PolicySet {
                digest: &digests.set(),
                revision: declared.revision.as_deref(),
                author: declared.author.as_deref(),
                sealed: set.bundle.sealed,
                source: source(snapshot),
                kept: self.kept,
                changes,
                expired_links: &over,
            }),
            problems: &self.problems,
            candidate: (!matches!(candidate, Candidate::Absent)).then_some(told),
        };
        reload.record(uid, now_ms, producer)
    }
}

/// Where the policies in force come from.
pub(crate) fn source(snapshot: &Snapshot) -> PolicySource {
    match snapshot.policy_set().is_kept() {
        true => PolicySource::Kept,
        false => PolicySource::Directory,
    }
}

/// They are kept, and nobody removed them since.
fn is_kept(snapshot: &Snapshot) -> bool {
    let set = snapshot.policy_set();
    let kept = snapshot.config().policies.keep.as_ref();
    kept.is_some_and(|kept| kept.has(set.policies.digests()))
}

/// Keeps the policies that are about to be in force. That they cannot be kept is no reason to go
/// on with others, which may be more permissive: it is an error in the log, and told.
fn keep(snapshot: &Snapshot) -> Option<bool> {
    let kept = snapshot.config().policies.keep.as_ref()?;
    let set = snapshot.policy_set();
    match kept.keep(&set.bundle, set.policies.digests()) {
        Ok(()) => Some(true),
        Err(error) => {
            let directory = kept.directory.display();
            error!(%error, %directory, "these policies cannot be kept: no start can begin with them, and replay does not find them");
            Some(false)
        }
    }
}

/// Lets go of what is served no more. A large set takes milliseconds to free, so whoever has the
/// last request of it, a worker, is not to be the one.
pub(super) fn retire(old: Arc<Snapshot>) {
    tokio::spawn(async move {
        let mut look = tokio::time::interval(RETIRE_EVERY);
        while Arc::strong_count(&old) > 1 {
            look.tick().await;
        }
        // it ends by itself; nobody waits for it
        drop(tokio::task::spawn_blocking(move || drop(old)));
    });
}
