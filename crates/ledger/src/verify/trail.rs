//! Many logs together: each verified by itself, and each epoch against the one it continues.

use std::collections::{BTreeMap, BTreeSet};

use super::log::{LogVerifier, Message, Outcome, Standing};
use super::{Finding, FindingKind, Findings, LATE_MS, Previous, SILENCE_MS, Summary};
use crate::keys::{Chain, KeyError, Origin};
use crate::note::{VerifierKey, claimed_origin};

/// Verifies the messages of many logs, whose keys chain up to one root.
#[derive(Clone, Debug)]
pub struct TrailVerifier {
    root: VerifierKey,
    logs: BTreeMap<Origin, LogVerifier>,
    /// What does not hold between logs, and since when: it may be that a message is late.
    suspected: BTreeMap<Suspicion, i64>,
    reported: BTreeSet<Suspicion>,
    findings: Vec<Finding>,
    anywhere: bool,
}

/// What makes two findings the same one.
type Suspicion = (FindingKind, String, Option<u64>);

impl TrailVerifier {
    /// A trail without logs.
    #[must_use]
    pub fn new(root: VerifierKey) -> Self {
        Self {
            root,
            logs: BTreeMap::new(),
            suspected: BTreeMap::new(),
            reported: BTreeSet::new(),
            findings: Vec::new(),
            anywhere: false,
        }
    }

    /// Takes in a log's key statement with its issuer's certificate. The same again changes
    /// nothing; another key for the log is refused.
    ///
    /// # Errors
    /// What does not hold; it is a finding too.
    pub fn statement(
        &mut self,
        origin: &Origin,
        issuer_note: &str,
        epoch_note: &str,
    ) -> Result<(), KeyError> {
        let opened = Chain::open(&self.root, issuer_note, epoch_note, origin);
        let chain = opened.inspect_err(|error| self.untrusted(origin, error.to_string()))?;
        match self.logs.get(origin) {
            Some(known) if known.chain().key() != chain.key() => {
                let error = KeyError::SecondKey(origin.to_string());
                self.untrusted(origin, error.to_string());
                Err(error)
            }
            Some(_) => Ok(()),
            None => {
                self.logs.insert(origin.clone(), LogVerifier::new(chain));
                Ok(())
            }
        }
    }

    /// Goes on with a log that was verified up to some leaf before.
    pub fn resume(&mut self, log: LogVerifier) {
        self.logs.insert(log.origin().clone(), log);
    }

    /// What there is begins anywhere: the log before the oldest was shipped and deleted.
    pub fn begin_anywhere(&mut self) {
        self.anywhere = true;
    }

    /// One log.
    #[must_use]
    pub fn log(&self, origin: &Origin) -> Option<&LogVerifier> {
        self.logs.get(origin)
    }

    /// All logs, by instance and time.
    pub fn logs(&self) -> impl Iterator<Item = &LogVerifier> {
        self.logs.values()
    }

    /// Verifies a message of a log whose statement was taken in.
    pub fn message(&mut self, origin: &Origin, message: &Message<'_>) -> Outcome {
        let Some(log) = self.logs.get_mut(origin) else {
            self.untrusted(origin, "no key statement for this log");
            return Outcome::Rejected;
        };
        let outcome = log.message(message);
        self.findings.append(&mut log.take_findings());
        outcome
    }

    /// Verifies a checkpoint that came by itself, or that was kept apart. A log that is not known
    /// is one that is missing.
    pub fn checkpoint(&mut self, note: &str) -> Standing {
        let name = claimed_origin(note).unwrap_or_default();
        let log = Origin::parse(name).ok().and_then(|origin| self.logs.get_mut(&origin));
        let Some(log) = log else {
            let detail = "a checkpoint of this log was kept, but the log is missing".to_owned();
            let (kind, origin) = (FindingKind::Truncation, name.to_owned());
            self.findings.push(Finding { kind, origin, index: None, detail });
            return Standing::Rejected;
        };
        let standing = log.checkpoint(note);
        self.findings.append(&mut log.take_findings());
        standing
    }

    /// Reports what is overdue. `now_ms` is the time up to which all messages have been taken in:
    /// the clock's if none are waiting, else the newest message's.
    pub fn tick(&mut self, now_ms: i64) {
        for log in self.logs.values_mut() {
            log.tick(now_ms);
            self.findings.append(&mut log.take_findings());
        }
        let found = self.succession(now_ms);
        let mut suspected = BTreeMap::new();
        for finding in found {
            let suspicion = suspicion_of(&finding);
            let since_ms = self.suspected.get(&suspicion).copied().unwrap_or(now_ms);
            let overdue = finding.kind == FindingKind::Silence || now_ms - since_ms >= LATE_MS;
            suspected.insert(suspicion.clone(), since_ms);
            if overdue && self.reported.insert(suspicion) {
                self.findings.push(finding);
            }
        }
        self.suspected = suspected;
    }

    /// Reports everything that does not hold, now that nothing more comes.
    pub fn finish(&mut self, now_ms: i64) {
        for log in self.logs.values_mut() {
            log.finish();
            self.findings.append(&mut log.take_findings());
        }
        for finding in self.succession(now_ms) {
            if self.reported.insert(suspicion_of(&finding)) {
                self.findings.push(finding);
            }
        }
    }

    /// The findings since the last call.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    fn succession(&self, now_ms: i64) -> Vec<Finding> {
        let mut found = check_succession(self.logs.values().map(LogVerifier::summary), now_ms);
        if let Some((oldest, _)) = self.logs.first_key_value().filter(|_| self.anywhere) {
            let before = |it: &Finding| it.kind == FindingKind::Gap && it.index == Some(0);
            found.retain(|it| !(before(it) && it.origin == oldest.to_string()));
        }
        found
    }

    fn untrusted(&mut self, origin: &Origin, detail: impl Into<String>) {
        let mut findings = Findings::of(origin);
        findings.add(FindingKind::Untrusted, None, detail);
        self.findings.append(&mut findings.found);
    }
}

fn suspicion_of(finding: &Finding) -> Suspicion {
    (finding.kind, finding.origin.clone(), finding.index)
}

/// What does not hold between the logs of a trail: a log that does not continue where the one
/// before it ended, two that continue the same, one that is missing, one that fell silent.
#[must_use]
pub fn check_succession<'a>(logs: impl Iterator<Item = &'a Summary>, now_ms: i64) -> Vec<Finding> {
    let logs: BTreeMap<&Origin, &Summary> = logs.map(|log| (&log.origin, log)).collect();
    let mut continued: BTreeMap<&Origin, &Origin> = BTreeMap::new();
    let mut found = Vec::new();
    let mut before: Option<&Summary> = None;
    for log in logs.values() {
        let mut findings = Findings::of(&log.origin);
        match &log.previous {
            Some(previous) => {
                if let Some(other) = continued.insert(&previous.origin, &log.origin) {
                    let detail = format!("`{other}` continues the same log `{}`", previous.origin);
                    findings.add(FindingKind::Fork, Some(0), detail);
                }
                check_previous(previous, logs.get(&previous.origin).copied(), &mut findings);
            }
            None => check_first(log, before, &mut findings),
        }
        found.append(&mut findings.found);
        before = Some(log);
    }
    for log in logs.values().filter(|log| !continued.contains_key(&log.origin)) {
        found.extend(silence(log, now_ms));
    }
    found
}

fn check_previous(previous: &Previous, known: Option<&Summary>, findings: &mut Findings) {
    let Previous { origin, size, root } = previous;
    let Some(known) = known else {
        let detail = format!("the log before, `{origin}` of `{size}` leaves, is missing");
        findings.add(FindingKind::Gap, Some(0), detail);
        return;
    };
    let found = known.frontier.size();
    if found < *size {
        let detail = format!("`{found}` leaves; `{}` continues it after `{size}`", findings.origin);
        let mut of_previous = Findings::of(origin);
        of_previous.add(FindingKind::Truncation, Some(found), detail);
        findings.found.append(&mut of_previous.found);
    } else if found > *size {
        let detail = format!("continues `{origin}` after `{size}` of its `{found}` leaves");
        findings.add(FindingKind::Rollback, Some(0), detail);
    } else if known.frontier.root() != *root {
        let detail = format!("continues `{origin}` with another history of `{size}` leaves");
        findings.add(FindingKind::Fork, Some(0), detail);
    }
}

fn check_first(log: &Summary, before: Option<&Summary>, findings: &mut Findings) {
    let earlier = before.filter(|before| before.origin.instance() == log.origin.instance());
    if let Some(earlier) = earlier
        && log.frontier.size() > 0
    {
        let detail = format!("continues nothing, though `{}` came before", earlier.origin);
        findings.add(FindingKind::Rollback, Some(0), detail);
    }
}

/// Of a log that was not closed and that no other continues. It is a new finding when the log has
/// grown in between.
fn silence(log: &Summary, now_ms: i64) -> Option<Finding> {
    let started_ms = i64::try_from(log.origin.started_ms()).unwrap_or(i64::MAX);
    let silent_ms = now_ms.saturating_sub(log.last_ms.unwrap_or(started_ms));
    if log.closed || silent_ms <= SILENCE_MS {
        return None;
    }
    let mut findings = Findings::of(&log.origin);
    let detail = "the log is not closed, and has no record for more than 30 s";
    findings.add(FindingKind::Silence, Some(log.frontier.size()), detail);
    findings.found.pop()
}
