//! Policy tests as data: who asks what, what was seen, and what the answer must be.
//!
//! A file has named `principals` and `resources`, and `cases`:
//!
//! ```yaml
//! principals:
//!   alice: { kind: User, id: corp|alice, groups: [corp|customers] }
//! resources:
//!   hers: { kind: Orders::Order, id: o-1001, api: orders }
//! cases:
//!   - name: a customer reads her own order
//!     principal: alice           # a name from above, or the thing itself
//!     action: Orders::get
//!     resource: hers
//!     facts: { token: { acr: aal2 } }     # what differs from a plain request
//!     expect: allow              # or the class of the refusal
//!     determining: [orders-customer-own]  # optional, as are would_refuse,
//!                                # would_permit, message_id, acr, audit, cache
//! ```
//!
//! A plain request comes with a verified credential of its principal (none for `Anonymous`), and
//! no check but identity has looked. This module reads values, not YAML: the shell parses the
//! file and turns a problem's [pointer](CaseProblem::pointer) into a line.

mod names;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use signals::{Facts, Health, Identity, IdentityFact, Principal, PrincipalKind};

use crate::decide::Policies;
use crate::load::{did_you_mean, nearest};
use crate::outcome::{Audit, Basis, Cache, Class, Obligations, Verdict};
use crate::question::{Action, Question, Resource};
use crate::schema::PRINCIPAL_KINDS;

pub use names::Names;

/// One case, complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Who asks.
    pub principal: Principal,
    /// What they want to do.
    pub action: Action,
    /// What they want to do it to.
    pub resource: Resource,
    /// What was seen.
    pub facts: Facts,
    /// What must come out.
    pub expect: Expect,
}

/// What must come out; what is `None` may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expect {
    /// `None`: allowed; else the class of the refusal.
    pub refusal: Option<Class>,
    /// Exactly these policies determined the answer.
    pub determining: Option<BTreeSet<String>>,
    /// Exactly these shadow forbids would have refused.
    pub would_refuse: Option<BTreeSet<String>>,
    /// Exactly these shadow permits would have held.
    pub would_permit: Option<BTreeSet<String>>,
    /// The refusal's `@message_id`.
    pub message_id: Option<String>,
    /// The refusal's `@acr`.
    pub acr: Option<String>,
    /// The audit mode asked for.
    pub audit: Option<Audit>,
    /// The cache directive asked for.
    pub cache: Option<Cache>,
}

/// What is wrong with a case file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct CaseProblem {
    /// Where: a JSON pointer (RFC 6901) into the file's value.
    pub pointer: String,
    /// It is the key that is wrong, and not its value.
    pub of_key: bool,
    /// What is wrong.
    pub message: String,
}

impl CaseProblem {
    fn at(pointer: String, message: impl Into<String>) -> Self {
        Self { pointer, of_key: false, message: message.into() }
    }
}

/// How one case came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// What is not as expected; empty if the case passed.
    pub failures: Vec<String>,
    /// The answer's basis.
    pub basis: Basis,
}

impl CaseResult {
    /// Everything came out as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// The cases of one file.
///
/// # Errors
///
/// Every problem of the file.
pub fn read(file: &Value) -> Result<Vec<Case>, Vec<CaseProblem>> {
    let mut reader = Reader::default();
    let cases = reader.file(file);
    if reader.problems.is_empty() { Ok(cases) } else { Err(reader.problems) }
}

/// Asks every case.
pub fn run_cases(policies: &Policies, cases: &[Case]) -> Vec<CaseResult> {
    cases.iter().map(|case| run(policies, case)).collect()
}

fn run(policies: &Policies, case: &Case) -> CaseResult {
    let verdict = policies.ask(&case.principal, &case.action, &case.resource, &case.facts);
    CaseResult {
        name: case.name.clone(),
        failures: failures(&case.expect, &verdict),
        basis: verdict.basis,
    }
}

impl Policies {
    /// Decides about nothing but the question.
    pub(crate) fn ask(
        &self,
        principal: &Principal,
        action: &Action,
        resource: &Resource,
        facts: &Facts,
    ) -> Verdict<()> {
        let (fact, token) = (facts.identity.clone(), facts.token.clone());
        let identity = Identity { principal: principal.clone(), fact, token };
        self.decide(&Question { principal: &identity, action, resource, context: facts }, ())
    }
}

fn failures(expect: &Expect, verdict: &Verdict<()>) -> Vec<String> {
    let mut failures = Vec::new();
    let mut differ = |what: &str, got: String, want: String| {
        if got != want {
            failures.push(format!("{what} is {got}, expected {want}"));
        }
    };
    let Verdict { outcome, basis } = verdict;
    differ("the answer", answer(basis.refusal), answer(expect.refusal));
    let lists = [
        ("determining", &basis.determining, &expect.determining),
        ("would_refuse", &basis.would_refuse, &expect.would_refuse),
        ("would_permit", &basis.would_permit, &expect.would_permit),
    ];
    for (what, got, want) in lists {
        if let Some(want) = want {
            let got = got.iter().collect::<BTreeSet<_>>();
            differ(what, listed(got.into_iter()), listed(want.iter()));
        }
    }
    let refusal = outcome.as_ref().err().map(|refused| &refused.refusal);
    let words = [
        (
            "message_id",
            refusal.and_then(|refusal| refusal.message_id.as_deref()),
            &expect.message_id,
        ),
        ("acr", refusal.and_then(|refusal| refusal.acr.as_deref()), &expect.acr),
    ];
    for (what, got, want) in words {
        if let Some(want) = want {
            differ(what, word(got), word(Some(want)));
        }
    }
    let Obligations { audit, cache } = basis.obligations;
    if expect.audit.is_some() {
        differ("audit", word(audit.map(Audit::as_str)), word(expect.audit.map(Audit::as_str)));
    }
    if expect.cache.is_some() {
        differ("cache", word(cache.map(Cache::as_str)), word(expect.cache.map(Cache::as_str)));
    }
    failures
}

/// As a case has it.
pub(crate) fn listed<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    format!("[{}]", ids.map(String::as_str).collect::<Vec<_>>().join(", "))
}

fn word(value: Option<&str>) -> String {
    value.unwrap_or("none").to_owned()
}

fn answer(refusal: Option<Class>) -> String {
    refusal.map_or("allow", Class::as_str).to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalEntry {
    kind: PrincipalKind,
    id: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    attributes: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseEntry {
    name: String,
    principal: Value,
    action: String,
    resource: Value,
    #[serde(default)]
    facts: Map<String, Value>,
    expect: String,
    determining: Option<BTreeSet<String>>,
    would_refuse: Option<BTreeSet<String>>,
    would_permit: Option<BTreeSet<String>>,
    message_id: Option<String>,
    acr: Option<String>,
    audit: Option<Audit>,
    cache: Option<Cache>,
}

#[derive(Default)]
struct Reader {
    principals: BTreeMap<String, Principal>,
    resources: BTreeMap<String, Resource>,
    problems: Vec<CaseProblem>,
}

impl Reader {
    fn wrong(&mut self, pointer: &str, message: impl Into<String>) {
        self.problems.push(CaseProblem::at(pointer.to_owned(), message));
    }

    fn unknown_key(&mut self, pointer: String, message: impl Into<String>) {
        self.problems.push(CaseProblem { of_key: true, ..CaseProblem::at(pointer, message) });
    }

    fn file(&mut self, file: &Value) -> Vec<Case> {
        let Some(file) = file.as_object() else {
            self.wrong("", "not a mapping with `cases`");
            return Vec::new();
        };
        for key in file.keys() {
            if !["principals", "resources", "cases"].contains(&key.as_str()) {
                let message = "unknown key, expected `principals`, `resources` or `cases`";
                self.unknown_key(child("", key), message);
            }
        }
        for (name, value) in self.named(file, "principals") {
            let principal = self.principal(&value, &child("/principals", &name));
            self.principals.extend(principal.map(|principal| (name, principal)));
        }
        for (name, value) in self.named(file, "resources") {
            let resource = self.parsed(&value, &child("/resources", &name));
            self.resources.extend(resource.map(|resource| (name, resource)));
        }
        let Some(cases) = file.get("cases").and_then(Value::as_array) else {
            self.wrong("/cases", "not a list of cases");
            return Vec::new();
        };
        let pointer = |nth: usize| format!("/cases/{nth}");
        cases.iter().enumerate().filter_map(|(nth, case)| self.case(case, &pointer(nth))).collect()
    }

    fn named(&mut self, file: &Map<String, Value>, key: &str) -> Map<String, Value> {
        match file.get(key) {
            None => Map::new(),
            Some(Value::Object(named)) => named.clone(),
            Some(_) => {
                self.wrong(&child("", key), "not a mapping of names");
                Map::new()
            }
        }
    }

    fn parsed<T: DeserializeOwned>(&mut self, value: &Value, pointer: &str) -> Option<T> {
        T::deserialize(value).map_err(|error| self.wrong(pointer, error.to_string())).ok()
    }

    fn principal(&mut self, value: &Value, pointer: &str) -> Option<Principal> {
        self.kind(value, pointer)?;
        let PrincipalEntry { kind, id, groups, attributes } = self.parsed(value, pointer)?;
        match (kind, id) {
            (PrincipalKind::Anonymous, None) => Some(Principal::default()),
            (PrincipalKind::Anonymous, Some(_)) => {
                self.wrong(pointer, "`Anonymous` has no id");
                None
            }
            (_, None) => {
                self.wrong(pointer, "a principal needs an `id`");
                None
            }
            (kind, Some(id)) => Some(Principal { kind, id, groups, attributes }),
        }
    }

    /// Said by itself, as the reader of the whole entry has neither its place nor what is near.
    fn kind(&mut self, principal: &Value, pointer: &str) -> Option<()> {
        let kinds = || PRINCIPAL_KINDS.map(PrincipalKind::as_str).into_iter();
        let kind = principal.get("kind").and_then(Value::as_str);
        let Some(kind) = kind.filter(|kind| !kinds().any(|known| known == *kind)) else {
            return Some(());
        };
        let near = did_you_mean(nearest(kind, kinds().map(str::to_owned)).as_deref());
        self.wrong(
            &child(pointer, "kind"),
            format!("there is no principal of kind `{kind}`{near}"),
        );
        None
    }

    fn case(&mut self, value: &Value, pointer: &str) -> Option<Case> {
        let entry: CaseEntry = self.parsed(value, pointer)?;
        let principal = match &entry.principal {
            Value::String(name) => {
                let found = self.principals.get(name).cloned();
                self.found(found, name, &format!("{pointer}/principal"))
            }
            inline => self.principal(inline, &format!("{pointer}/principal")),
        };
        let resource = match &entry.resource {
            Value::String(name) => {
                let found = self.resources.get(name).cloned();
                self.found(found, name, &format!("{pointer}/resource"))
            }
            inline => self.parsed(inline, &format!("{pointer}/resource")),
        };
        let action = self.action(&entry.action, &format!("{pointer}/action"));
        let refusal = self.refusal(&entry.expect, &format!("{pointer}/expect"));
        let principal = principal?;
        let facts = self.facts(&principal, &entry.facts, &format!("{pointer}/facts"));
        let expect = Expect {
            refusal: refusal?,
            determining: entry.determining,
            would_refuse: entry.would_refuse,
            would_permit: entry.would_permit,
            message_id: entry.message_id,
            acr: entry.acr,
            audit: entry.audit,
            cache: entry.cache,
        };
        Some(Case {
            name: entry.name,
            principal,
            action: action?,
            resource: resource?,
            facts: facts?,
            expect,
        })
    }

    fn found<T>(&mut self, found: Option<T>, name: &str, pointer: &str) -> Option<T> {
        if found.is_none() {
            self.wrong(pointer, format!("nothing is named `{name}`"));
        }
        found
    }

    fn action(&mut self, action: &str, pointer: &str) -> Option<Action> {
        let Some((namespace, name)) = action.rsplit_once("::") else {
            self.wrong(pointer, format!("`{action}` is not `<Namespace>::<action>`"));
            return None;
        };
        Some(Action { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// `Some(None)` is `allow`.
    fn refusal(&mut self, expect: &str, pointer: &str) -> Option<Option<Class>> {
        let class = Class::parse(expect);
        if class.is_none() && expect != "allow" {
            let classes = Class::ALL.map(Class::as_str).join(", ");
            self.wrong(pointer, format!("`{expect}` is neither `allow` nor one of {classes}"));
            return None;
        }
        Some(class)
    }

    fn facts(
        &mut self,
        principal: &Principal,
        changes: &Map<String, Value>,
        pointer: &str,
    ) -> Option<Facts> {
        let plain = serde_json::to_value(plain(principal));
        let mut facts = plain.map_err(|error| self.wrong(pointer, error.to_string())).ok()?;
        let before = self.problems.len();
        for (name, change) in changes {
            self.change(&mut facts, name, change, pointer);
        }
        if self.problems.len() > before { None } else { self.parsed(&facts, pointer) }
    }

    /// Sets one fact. A fact that does not exist is a problem: it could not have had an effect.
    fn change(&mut self, facts: &mut Value, name: &str, change: &Value, pointer: &str) {
        let pointer = child(pointer, name);
        let Some(record) = facts.as_object_mut() else {
            self.wrong(&pointer, "this fact has no parts");
            return;
        };
        let near = nearest(name, record.keys().cloned());
        match (record.get_mut(name), change) {
            (Some(fact @ Value::Object(_)), Value::Object(changes)) => {
                for (name, change) in changes {
                    self.change(fact, name, change, &pointer);
                }
            }
            (Some(fact), change) => *fact = change.clone(),
            (None, _) => {
                let near = did_you_mean(near.as_deref());
                self.unknown_key(pointer, format!("there is no fact `{name}`{near}"));
            }
        }
    }
}

fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A request of that principal in which nothing stands out.
pub(crate) fn plain(principal: &Principal) -> Facts {
    let known = principal.kind != PrincipalKind::Anonymous;
    let issuer = principal.id.split_once('|').map_or("", |(issuer, _)| issuer);
    let identity = IdentityFact {
        health: Health::Ok,
        presented: known,
        verified: known,
        issuer: issuer.to_owned(),
        ..IdentityFact::default()
    };
    let mut facts = Facts { identity, ..Facts::default() };
    facts.token.present = matches!(principal.kind, PrincipalKind::User | PrincipalKind::Workload);
    facts
}

#[cfg(test)]
mod tests;
