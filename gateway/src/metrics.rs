//! What operators can count: the process's counters, and the text that Prometheus reads
//! (exposition format 0.0.4).
//!
//! Labels come from closed lists and from the configuration, never from a client. Who asked for
//! what is in the ledger, not here.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ledger::Status;
use ledger::event::{Agreement, Unheard};
use tokio::time::Instant;
use verdict::{Class, Effect};

use crate::blocking::Blocking;
use crate::candidate::Candidate;
use crate::forward::{Failure, Upstream};
use crate::read::Tally;
use crate::rule_hits::RuleHits;
use crate::rules::Ruleset;
use crate::snapshot::PolicySet;

const PERMITTED: &str = "permitted";
const TURNED_AWAY: &str = "turned_away";
const UNRECORDED: &str = "unrecorded";
const PANICKED: &str = "panicked";

/// What becomes of a request: policy says yes, or no of one class; or it was not asked; or the
/// decision could not be recorded; or handling it panicked, whatever was its ruling before.
const RULINGS: [&str; 10] = [
    PERMITTED,
    "unavailable",
    "blocked",
    "unauthenticated",
    "throttled",
    "step_up",
    "forbidden",
    TURNED_AWAY,
    UNRECORDED,
    PANICKED,
];

/// How much of a response rules saw.
const RESPONSES: [&str; 4] = ["ok", "truncated", "malformed", "unavailable"];

/// What becomes of asking a candidate.
const TRIALS: [&str; 8] = {
    let [same, other_refusal, would_allow, would_refuse] = Agreement::ALL;
    let [panicked, erred, late, dropped] = Unheard::ALL;
    [
        same.as_str(),
        other_refusal.as_str(),
        would_allow.as_str(),
        would_refuse.as_str(),
        panicked.as_str(),
        erred.as_str(),
        late.as_str(),
        dropped.as_str(),
    ]
};

/// What a policy that errs does; `none` if the question could not be put to any.
const EFFECTS: [&str; 3] = ["permit", "forbid", "none"];

/// Counters by the word of one label.
#[derive(Debug)]
struct Family<const N: usize> {
    words: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Family<N> {
    fn new(words: [&'static str; N]) -> Self {
        Self { words, counts: [const { AtomicU64::new(0) }; N] }
    }

    fn count(&self, word: &str) {
        let mut counters = self.words.iter().zip(&self.counts);
        if let Some((_, count)) = counters.find(|(known, _)| **known == word) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn samples(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.words.into_iter().zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

/// The process's counters. Workers share them.
#[derive(Debug)]
pub struct Metrics {
    requests: Family<{ RULINGS.len() }>,
    failures: Family<{ Failure::ALL.len() }>,
    reloads: Family<2>,
    policy_errors: Family<{ EFFECTS.len() }>,
    trials: Family<{ TRIALS.len() }>,
    last_load_refused: AtomicBool,
    folded: AtomicU64,
    /// How often each rule matched.
    pub(crate) rule_hits: RuleHits,
    responses: Family<{ RESPONSES.len() }>,
    response_findings: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::new(RULINGS),
            failures: Family::new(Failure::ALL.map(Failure::code)),
            reloads: Family::new(["ok", "failed"]),
            policy_errors: Family::new(EFFECTS),
            trials: Family::new(TRIALS),
            last_load_refused: AtomicBool::new(false),
            folded: AtomicU64::new(0),
            rule_hits: RuleHits::default(),
            responses: Family::new(RESPONSES),
            response_findings: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// Policy was asked, and said yes, or no of this class.
    pub fn decided(&self, refusal: Option<Class>) {
        self.requests.count(refusal.map_or(PERMITTED, Class::as_str));
    }

    /// Policy was not asked: the request was unreadable, or no route has it.
    pub fn turned_away(&self) {
        self.requests.count(TURNED_AWAY);
    }

    /// A refusal was counted instead of being recorded. It has a ruling as any other.
    pub fn folded(&self) {
        self.folded.fetch_add(1, Ordering::Relaxed);
    }

    /// A decision could not be recorded: the request got a 503, and nothing was done.
    pub fn unrecorded(&self) {
        self.requests.count(UNRECORDED);
    }

    /// Handling a request panicked: it got a 500.
    pub fn panicked(&self) {
        self.requests.count(PANICKED);
    }

    /// A permitted request was not answered by its upstream.
    pub fn upstream_failed(&self, failure: Failure) {
        self.failures.count(failure.code());
    }

    /// A changed configuration was taken over, or was not.
    pub fn reloaded(&self, taken: bool) {
        self.reloads.count(if taken { "ok" } else { "failed" });
        self.started(taken);
    }

    /// What was there at the start was taken over, or was not.
    pub fn started(&self, taken: bool) {
        self.last_load_refused.store(!taken, Ordering::Relaxed);
    }

    /// A policy erred, or with no effect: the question could not be put to any.
    pub fn policy_erred(&self, effect: Option<Effect>) {
        self.policy_errors.count(effect.map_or("none", Effect::as_str));
    }

    /// A candidate was to be asked; the event's word for what came of it.
    pub fn tried(&self, word: &str) {
        self.trials.count(word);
    }

    #[cfg(test)]
    pub(crate) fn tried_so_far(&self, word: &str) -> u64 {
        self.trials.samples().find(|(known, _)| *known == word).map_or(0, |(_, count)| count)
    }

    /// Rules were to look at a response: how much of it they saw, and whether it was a finding.
    pub(crate) fn response_looked_at(&self, health: &'static str, finding: bool) {
        self.responses.count(health);
        self.response_findings.fetch_add(u64::from(finding), Ordering::Relaxed);
    }

    /// The text for Prometheus.
    pub fn text(&self, now: &Readings<'_>) -> String {
        let mut text = String::with_capacity(8 * 1024);
        // writing to a string does not fail
        let _ = self.counters(&mut text);
        let _ = now.write(&mut text);
        text
    }

    fn counters(&self, to: &mut String) -> fmt::Result {
        head(
            to,
            "requests_total",
            "counter",
            "Requests by what became of them; what panicked counts beside that.",
        )?;
        for (word, count) in self.requests.samples() {
            writeln!(to, "portcullis_requests_total{{ruling=\"{word}\"}} {count}")?;
        }
        let folded = self.folded.load(Ordering::Relaxed);
        let help = "Refusals that were counted instead of being recorded.";
        head(to, "requests_folded_total", "counter", help)?;
        writeln!(to, "portcullis_requests_folded_total {folded}")?;
        head(
            to,
            "upstream_failures_total",
            "counter",
            "Permitted requests without an answer of the upstream's.",
        )?;
        for (word, count) in self.failures.samples() {
            writeln!(to, "portcullis_upstream_failures_total{{failure=\"{word}\"}} {count}")?;
        }
        head(to, "reloads_total", "counter", "Changed configurations, taken over or not.")?;
        for (word, count) in self.reloads.samples() {
            writeln!(to, "portcullis_reloads_total{{result=\"{word}\"}} {count}")?;
        }
        head(to, "policy_errors_total", "counter", "Evaluations of a policy that erred.")?;
        for (word, count) in self.policy_errors.samples() {
            writeln!(to, "portcullis_policy_errors_total{{effect=\"{word}\"}} {count}")?;
        }
        let help = "Decisions that the candidate was to be asked about, by what came of it.";
        head(to, "candidate_decisions_total", "counter", help)?;
        for (word, count) in self.trials.samples() {
            writeln!(to, "portcullis_candidate_decisions_total{{outcome=\"{word}\"}} {count}")?;
        }
        let help = "Requests and responses in which a rule of the rule engine matched.";
        head(to, "waf_rule_hits_total", "counter", help)?;
        self.rule_hits.write(to)?;
        let help = "Responses that rules were to look at, by how much of them they saw.";
        head(to, "waf_responses_total", "counter", help)?;
        for (word, count) in self.responses.samples() {
            writeln!(to, "portcullis_waf_responses_total{{health=\"{word}\"}} {count}")?;
        }
        let found = self.response_findings.load(Ordering::Relaxed);
        let help = "Responses that the rules' author would have withheld.";
        head(to, "waf_response_findings_total", "counter", help)?;
        writeln!(to, "portcullis_waf_response_findings_total {found}")?;
        let refused = u64::from(self.last_load_refused.load(Ordering::Relaxed));
        let help = "1 while what is in force is not what the files say: the last load was refused.";
        gauge(to, "load_refused", help, refused)?;
        Ok(())
    }
}

/// What is read elsewhere when somebody asks.
#[derive(Debug, Clone, Copy)]
pub struct Readings<'a> {
    /// The ledger.
    pub ledger: &'a Status,
    /// The shipper, if there is one.
    pub shipper: Option<&'a shipper::Status>,
    /// Connections and heads.
    pub tally: &'a Tally,
    /// Work that was too much for a worker.
    pub blocking: &'a Blocking,
    /// The upstreams of the configuration that is in force.
    pub upstreams: &'a [Arc<Upstream>],
    /// The candidate of the configuration that is in force.
    pub candidate: &'a Candidate,
    /// The policies in force.
    pub policies: &'a PolicySet,
    /// The rules in force.
    pub rules: &'a Ruleset,
    /// The set in force is kept; `None` if sets are not kept.
    pub kept: Option<bool>,
    /// When it is asked, in milliseconds since 1970.
    pub now_ms: i64,
}

impl Readings<'_> {
    fn write(&self, to: &mut String) -> fmt::Result {
        self.front(to)?;
        self.blocking(to)?;
        self.candidate(to)?;
        self.ledger(to)?;
        self.shipper(to)?;
        self.policies(to)?;
        self.rules(to)?;
        self.upstreams(to)
    }

    fn policies(&self, to: &mut String) -> fmt::Result {
        let (digest, bundle) = (self.policies.policies.digests().set(), &self.policies.bundle);
        let revision = Escaped(bundle.declared.revision.as_deref().unwrap_or_default());
        head(to, "policies_info", "gauge", "The set of policies in force; replicas should agree.")?;
        writeln!(to, "portcullis_policies_info{{digest=\"{digest}\",revision=\"{revision}\"}} 1")?;
        let help = "1 while the policies are the last set that was kept, as the directory was wrong at the start.";
        gauge(to, "policies_from_kept", help, u64::from(self.policies.is_kept()))?;
        let over = self.policies.policies.links_over(self.now_ms).count() as u64;
        let help = "Links whose end has come: they count no more.";
        gauge(to, "policies_links_over", help, over)?;
        let Some(kept) = self.kept else { return Ok(()) };
        let help =
            "0 while the policies in force could not be kept for the next start and for replay.";
        gauge(to, "policies_kept", help, u64::from(kept))
    }

    fn rules(&self, to: &mut String) -> fmt::Result {
        let help = "The rules in force, and what routes make of them; replicas should agree.";
        head(to, "rules_info", "gauge", help)?;
        writeln!(to, "portcullis_rules_info{{digest=\"{}\"}} 1", self.rules.digest())
    }

    fn front(&self, to: &mut String) -> fmt::Result {
        let Tally { connections, connections_refused, handshakes_failed, heads_begun, heads_taken } =
            self.tally;
        for (name, help, count) in [
            ("connections_total", "Connections accepted.", connections),
            (
                "connections_refused_total",
                "Connections closed at once, for a limit.",
                connections_refused,
            ),
            (
                "handshakes_failed_total",
                "PROXY headers and TLS handshakes that failed.",
                handshakes_failed,
            ),
            ("heads_begun_total", "Heads of which a byte was read.", heads_begun),
            ("heads_taken_total", "Heads that were whole or refused.", heads_taken),
        ] {
            head(to, name, "counter", help)?;
            writeln!(to, "portcullis_{name} {}", count.load(Ordering::Relaxed))?;
        }
        Ok(())
    }

    fn blocking(&self, to: &mut String) -> fmt::Result {
        let held = self.blocking.held() as u64;
        gauge(to, "blocking_work", "Inspections too long for a worker that run or wait.", held)?;
        let help = "Inspections that were too long for a worker, by what became of them.";
        head(to, "blocking_work_total", "counter", help)?;
        for (word, count) in self.blocking.ended() {
            writeln!(to, "portcullis_blocking_work_total{{outcome=\"{word}\"}} {count}")?;
        }
        Ok(())
    }

    fn candidate(&self, to: &mut String) -> fmt::Result {
        let loaded = u64::from(self.candidate.digests().is_some());
        let problems = self.candidate.problems().len() as u64;
        gauge(to, "candidate_loaded", "1 if a candidate is asked.", loaded)?;
        let help = "Problems for which the candidate that is configured is left out.";
        gauge(to, "candidate_problems", help, problems)
    }

    fn ledger(&self, to: &mut String) -> fmt::Result {
        let ledger = self.ledger;
        for (name, help, value) in [
            ("ledger_leaves", "Leaves of the live log.", ledger.size),
            ("ledger_leaves_synced", "Leaves of the live log that are durable.", ledger.synced),
            ("ledger_leaves_shipped", "Leaves of the live log that are shipped.", ledger.shipped),
            (
                "ledger_epochs_unshipped",
                "Earlier logs that are not wholly shipped.",
                ledger.unshipped_epochs,
            ),
            (
                "ledger_decisions_open",
                "Decisions without a durable completion.",
                ledger.open_decisions,
            ),
            (
                "ledger_requests_unrecorded",
                "Requests of which at most a loss record tells.",
                ledger.unrecorded,
            ),
            ("ledger_spool_bytes", "Bytes of the spool in use.", ledger.spool_used_bytes),
            ("ledger_spool_bytes_max", "Bytes the spool may use.", ledger.spool_max_bytes),
            (
                "ledger_spool_above_watermark",
                "1 if the spool is filled to 70 % or more.",
                ledger.above_watermark.into(),
            ),
            (
                "ledger_healthy",
                "1 if the ledger records.",
                (ledger.health == ledger::Health::Ok).into(),
            ),
        ] {
            gauge(to, name, help, value)?;
        }
        Ok(())
    }

    fn shipper(&self, to: &mut String) -> fmt::Result {
        let Some(shipper) = self.shipper else { return Ok(()) };
        let failing = u64::from(shipper.last_error().is_some());
        gauge(to, "shipper_failing", "1 if shipping failed, and has not gone on since.", failing)?;
        for (name, help, count) in [
            ("shipper_delivered_total", "Events that a broker confirmed.", shipper.delivered()),
            (
                "shipper_producers_total",
                "Kafka producers made; each after the first replaces one that failed.",
                shipper.producers(),
            ),
        ] {
            head(to, name, "counter", help)?;
            writeln!(to, "portcullis_{name} {count}")?;
        }
        Ok(())
    }

    fn upstreams(&self, to: &mut String) -> fmt::Result {
        let now = Instant::now();
        let endpoints = self.upstreams.iter().flat_map(|upstream| {
            upstream.endpoints().iter().map(|endpoint| (Escaped(&upstream.name), endpoint))
        });
        head(
            to,
            "upstream_endpoint_healthy",
            "gauge",
            "0 while an endpoint is left out after failed connects.",
        )?;
        for (upstream, endpoint) in endpoints.clone() {
            let (name, healthy) = (Escaped(endpoint.name()), u8::from(endpoint.is_in(now)));
            writeln!(
                to,
                "portcullis_upstream_endpoint_healthy{{upstream=\"{upstream}\",endpoint=\"{name}\"}} {healthy}"
            )?;
        }
        head(to, "upstream_endpoint_requests", "gauge", "Requests that are with an endpoint.")?;
        for (upstream, endpoint) in endpoints {
            let (name, load) = (Escaped(endpoint.name()), endpoint.load());
            writeln!(
                to,
                "portcullis_upstream_endpoint_requests{{upstream=\"{upstream}\",endpoint=\"{name}\"}} {load}"
            )?;
        }
        Ok(())
    }
}

fn gauge(to: &mut String, name: &str, help: &str, value: u64) -> fmt::Result {
    head(to, name, "gauge", help)?;
    writeln!(to, "portcullis_{name} {value}")
}

fn head(to: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(to, "# HELP portcullis_{name} {help}\n# TYPE portcullis_{name} {kind}")
}

/// A label's value.
#[derive(Clone, Copy)]
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use std::path::Path;

    use verdict::Policies;

    use super::*;
    use crate::bundle::Bundle;
    use crate::config::Problem;
    use crate::forward::Limits;

    fn status() -> Status {
        Status {
            origin: "audit.example.com/a/b/1".to_owned(),
            size: 10,
            synced: 9,
            shipped: 8,
            unshipped_epochs: 7,
            open_decisions: 6,
            unrecorded: 5,
            spool_used_bytes: 4,
            spool_max_bytes: 100,
            above_watermark: true,
            health: ledger::Health::Full,
        }
    }

    fn problem() -> Problem {
        let (file, message) = ("p.cedar".to_owned(), "no".to_owned());
        Problem { file, line: 1, column: 1, message, hint: None }
    }

    fn set() -> PolicySet {
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let mut bundle = Bundle::read(&starter, Default::default(), false, None).unwrap();
        bundle.declared.revision = Some("r\"1".to_owned());
        let policies = Policies::load(&bundle.source).unwrap();
        PolicySet { policies, bundle, set_aside: Vec::new() }
    }

    /// Every sample of the text, and each has had its HELP and TYPE.
    fn samples(metrics: &Metrics, upstreams: &[Arc<Upstream>]) -> BTreeMap<String, u64> {
        let tally = Tally::default();
        Tally::count(&tally.connections);
        let text = {
            let shipper = Some(&shipper::Status::default());
            let candidate = &Candidate::Broken(vec![problem()]);
            let (ledger, tally, policies) = (&status(), &tally, &set());
            let (blocking, kept, now_ms) = (&Blocking::default(), Some(false), 1);
            let rules = &Ruleset::own().expect("our rules");
            metrics.text(&Readings {
                ledger,
                shipper,
                tally,
                blocking,
                upstreams,
                candidate,
                policies,
                rules,
                kept,
                now_ms,
            })
        };
        let mut kinds = Vec::new();
        let mut samples = BTreeMap::new();
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                kinds.push(kind.split(' ').next().expect("a name"));
            } else if !line.starts_with("# HELP ") {
                let (series, value) = line.rsplit_once(' ').expect("a sample");
                let name = series.split('{').next().expect("a name");
                assert_eq!(kinds.last(), Some(&name), "{line}");
                let value = value.parse().expect("a number");
                assert_eq!(samples.insert(series.to_owned(), value), None, "{line}");
            }
        }
        samples
    }

    #[test]
    fn every_ruling_is_counted() {
        let metrics = Metrics::default();
        metrics.decided(None);
        metrics.turned_away();
        metrics.unrecorded();
        metrics.panicked();
        for class in Class::ALL {
            metrics.decided(Some(class));
        }
        let samples = samples(&metrics, &[]);
        for word in RULINGS {
            let series = format!("portcullis_requests_total{{ruling=\"{word}\"}}");
            assert_eq!(samples.get(&series), Some(&1), "{series}");
        }
    }

    #[test]
    fn every_failure_is_counted() {
        let metrics = Metrics::default();
        for failure in Failure::ALL {
            metrics.upstream_failed(failure);
        }
        let samples = samples(&metrics, &[]);
        for failure in Failure::ALL {
            let series =
                format!("portcullis_upstream_failures_total{{failure=\"{}\"}}", failure.code());
            assert_eq!(samples.get(&series), Some(&1), "{series}");
        }
    }

    #[test]
    fn errors_and_trials_are_counted() {
        let metrics = Metrics::default();
        metrics.policy_erred(Some(Effect::Permit));
        metrics.policy_erred(Some(Effect::Forbid));
        metrics.policy_erred(None);
        let words = Agreement::ALL.map(Agreement::as_str).into_iter();
        words.chain(Unheard::ALL.map(Unheard::as_str)).for_each(|word| metrics.tried(word));
        let samples = samples(&metrics, &[]);
        let errors = EFFECTS.map(|word| format!("policy_errors_total{{effect=\"{word}\"}}"));
        let trials = TRIALS.map(|word| format!("candidate_decisions_total{{outcome=\"{word}\"}}"));
        for series in errors.iter().chain(&trials) {
            assert_eq!(samples.get(&format!("portcullis_{series}")), Some(&1), "{series}");
        }
    }

    #[test]
    fn readings() {
        let metrics = Metrics::default();
        metrics.folded();
        metrics.reloaded(true);
        metrics.reloaded(false);
        metrics.reloaded(false);
        let upstream = Upstream::new("a\"b\\\n", &["http://127.0.0.1:1"], Limits::default());
        let samples = samples(&metrics, &[Arc::new(upstream.expect("a good url"))]);
        let info = format!(
            "portcullis_policies_info{{digest=\"{}\",revision=\"r\\\"1\"}}",
            set().policies.digests().set()
        );
        let rules = Ruleset::own().expect("our rules").digest().to_owned();
        let rules = format!("portcullis_rules_info{{digest=\"{rules}\"}}");
        let labels = "{upstream=\"a\\\"b\\\\\\n\",endpoint=\"127.0.0.1:1\"}";
        for (series, want) in [
            ("portcullis_requests_folded_total", 1),
            ("portcullis_reloads_total{result=\"ok\"}", 1),
            ("portcullis_reloads_total{result=\"failed\"}", 2),
            ("portcullis_candidate_loaded", 0),
            ("portcullis_candidate_problems", 1),
            ("portcullis_load_refused", 1),
            (&info, 1),
            (&rules, 1),
            ("portcullis_policies_from_kept", 0),
            ("portcullis_policies_kept", 0),
            ("portcullis_policies_links_over", 0),
            ("portcullis_connections_total", 1),
            ("portcullis_handshakes_failed_total", 0),
            ("portcullis_ledger_leaves", 10),
            ("portcullis_ledger_leaves_synced", 9),
            ("portcullis_ledger_leaves_shipped", 8),
            ("portcullis_ledger_epochs_unshipped", 7),
            ("portcullis_ledger_decisions_open", 6),
            ("portcullis_ledger_requests_unrecorded", 5),
            ("portcullis_ledger_spool_bytes", 4),
            ("portcullis_ledger_spool_bytes_max", 100),
            ("portcullis_ledger_spool_above_watermark", 1),
            ("portcullis_ledger_healthy", 0),
            ("portcullis_shipper_failing", 0),
            ("portcullis_shipper_delivered_total", 0),
            ("portcullis_shipper_producers_total", 0),
            (&format!("portcullis_upstream_endpoint_healthy{labels}"), 1),
            (&format!("portcullis_upstream_endpoint_requests{labels}"), 0),
        ] {
            assert_eq!(samples.get(series), Some(&want), "{series}");
        }
    }
}
