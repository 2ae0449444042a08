//! The pattern check: takes the request apart into what rules look at, and runs a rule set on it.
//!
//! Parameters are decoded once, as an application would; what rules decode further is theirs.
//! `Authorization` is not looked at (it is verified, not matched) and cookies are looked at one by
//! one. A body that is neither a form nor JSON nor text, one in another charset than rules are
//! written for, and one that is content-coded are reported as not looked at: letting them pass is
//! a line of policy.

mod body;
mod form;
mod input;
mod json;
mod response;
mod work;

use std::sync::Arc;

use seclang::{Inspection, Limits, Loaded, Outcome, Overlay, Settings};

use crate::{Checks, Conn, Health, Inspect, Protocol, Request, Waf, WafHit, WafMode};
use input::{Collection, Input};

pub use response::AwaitedResponse;
pub use seclang::{
    Exclusion as RuleExclusion, Fetch, File as RuleFile, Health as RuleHealth, Hit as RuleHit,
    Limits as RuleLimits, MatchedData, Overlay as RuleOverlay, Problem as RuleProblem,
    Request as RuleRequest, Response as RuleResponse, RuleSet, Settings as RuleEngineSettings,
    Unfit as UnfitRuleSetting, Wanted, Written as WrittenRule, WrittenLink as WrittenRuleLink,
};

/// Our own rules, for operators without a rule set of their own.
pub const DEFAULT_RULES: &str = include_str!("waf/default.conf");

/// Values of one request, at most.
pub const VALUES_MAX: usize = 10_000;

/// Rules and hits that a fact lists, at most.
const RULES_MAX: usize = 64;
const HITS_MAX: usize = 16;

/// Characters of a target's or parameter's name, and of a message, in a fact.
const NAME_CHARS_MAX: usize = 64;
const MESSAGE_CHARS_MAX: usize = 128;

/// The check: a rule set, and what routes make of it.
#[derive(Debug, Clone)]
pub struct Rules {
    set: Arc<RuleSet>,
    notices: Arc<[RuleProblem]>,
    /// The values that our own rules look at are taken out of a request here; those of others, by
    /// the engine, as their authors know it.
    own: bool,
    /// What the files say.
    threshold: i64,
    views: Arc<[View]>,
}

/// What a route makes of the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleSettings {
    /// Whether policy is to heed them.
    pub mode: WafMode,
    /// The level of rules that count; without one, what the files say.
    pub paranoia: Option<u8>,
    /// The score from which on a request is held for an attack; without one, what the files say.
    pub threshold: Option<i64>,
    /// What is not looked for.
    pub exclusions: Vec<RuleExclusion>,
    /// Bytes of a response's body that rules look at; without it they look at no response.
    pub responses: Option<usize>,
}

impl RuleSettings {
    /// What of it is the engine's.
    pub fn engine(&self) -> Settings {
        Settings {
            paranoia: self.paranoia,
            inbound_threshold: self.threshold,
            exclusions: self.exclusions.clone(),
            ..Settings::default()
        }
    }
}

/// What the rules found, and what is kept of the request for its response.
pub type Observed = (Waf, Option<AwaitedResponse>);

/// The same, made ready.
#[derive(Debug, Default)]
struct View {
    overlay: Overlay,
    mode: WafMode,
    /// If it is not what the files say.
    threshold: Option<i64>,
    responses: Option<usize>,
}

/// How much of the request became values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    All,
    Truncated,
    /// Why none of the body did, or not as what it says it is.
    Malformed(&'static str),
}

impl Rules {
    /// Loads rule files of an operator's, in order, and what they name.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn load(files: &[RuleFile], fetch: Fetch<'_>) -> Result<Self, Vec<RuleProblem>> {
        let Loaded { rules, notices } = RuleSet::load(files, fetch)?;
        let threshold = rules.threshold();
        let set = Arc::new(rules);
        let rules = Self { set, notices: notices.into(), own: false, threshold, views: views() };
        match files.first() {
            Some(first) if threshold <= 0 => Err(vec![no_threshold(&first.name)]),
            _ => Ok(rules),
        }
    }

    /// Our own rules.
    ///
    /// # Errors
    /// Every problem; there are none, a test says.
    pub fn default_rules() -> Result<Self, Vec<RuleProblem>> {
        Self::ours(DEFAULT_RULES)
    }

    fn ours(text: &str) -> Result<Self, Vec<RuleProblem>> {
        let file = RuleFile { name: "default.conf".to_owned(), text: text.as_bytes().to_vec() };
        let alone = |wanted: Wanted<'_>| {
            let (Wanted::Include { pattern: name, .. } | Wanted::Data { name, .. }) = wanted;
            Err(format!("`{name}` is not read: these rules stand alone"))
        };
        Ok(Self { own: true, ..Self::load(&[file], &alone)? })
    }

    /// The same rules, of which each route makes one of these.
    ///
    /// # Errors
    /// Every one that means nothing in this rule set, by its place, and why.
    pub fn viewed(&self, all: &[RuleSettings]) -> Result<Self, Vec<(usize, UnfitRuleSetting)>> {
        let (mut views, mut wrong) = (Vec::new(), Vec::new());
        for (place, settings) in all.iter().enumerate() {
            let RuleSettings { mode, threshold, responses, .. } = *settings;
            match self.set.overlay(&settings.engine()) {
                Ok(overlay) => views.push(View { overlay, mode, threshold, responses }),
                Err(unfit) => wrong.push((place, unfit)),
            }
            if let Some(why) = responses.and_then(|_| response::not_looked_at(&self.set)) {
                let unfit = UnfitRuleSetting { message: why.to_owned(), exclusion: None };
                wrong.push((place, unfit));
            }
        }
        if wrong.is_empty() { Ok(Self { views: views.into(), ..self.clone() }) } else { Err(wrong) }
    }

    /// The rules themselves.
    pub fn set(&self) -> &RuleSet {
        &self.set
    }

    /// What their files say that has no meaning here.
    pub fn notices(&self) -> &[RuleProblem] {
        &self.notices
    }

    /// Looks, and reports. It cannot refuse.
    pub fn observe(&self, checks: &Checks, request: &Request, conn: &Conn) -> Waf {
        self.observe_and_keep(checks, request, conn).0
    }

    /// As [`Self::observe`]; and what is kept of it for the response, if the route has rules look
    /// at that.
    pub fn observe_and_keep(&self, checks: &Checks, request: &Request, conn: &Conn) -> Observed {
        self.look(checks, request, conn, &limits()).0
    }

    /// What the rules find, and how many bytes they read for it.
    fn look(
        &self,
        checks: &Checks,
        request: &Request,
        conn: &Conn,
        limits: &Limits,
    ) -> (Observed, u64) {
        if checks.waf == Inspect::Nothing {
            return (Observed::default(), 0);
        }
        // The load made a view for each route.
        let Some(view) = self.views.get(checks.view) else {
            let waf = Waf { health: Health::Unavailable, ..Waf::default() };
            return ((waf, None), 0);
        };
        if self.own {
            let (waf, work_bytes) = self.observe_values(view, checks.waf, request, limits);
            return ((waf, None), work_bytes);
        }
        let (waf, inspection) = self.observe_request(view, checks.waf, request, conn, limits);
        let work_bytes = inspection.work_bytes();
        let awaited = view.responses.map(|bytes| {
            let kept = inspection.keep();
            AwaitedResponse::new(self, checks.view, view.mode, request.protocol, bytes, kept)
        });
        ((waf, awaited), work_bytes)
    }

    fn observe_values(
        &self,
        view: &View,
        inspect: Inspect,
        request: &Request,
        limits: &Limits,
    ) -> (Waf, u64) {
        let mut input = Input::new(VALUES_MAX);
        head(request, &mut input);
        let read = match inspect {
            Inspect::Body => body::read(request, &mut input),
            Inspect::Head | Inspect::Nothing => Read::All,
        };
        let values: Vec<seclang::Value<'_>> =
            input.values().iter().map(input::Value::as_seen).collect();
        let inspection = self.set.inspect_values(&values, &view.overlay, limits);
        let outcome = inspection.outcome();
        let whole = !input.is_truncated() && outcome.health == seclang::Health::Ok;
        let health = match read {
            Read::Malformed(_) => Health::Malformed,
            Read::All if whole => Health::Ok,
            Read::All | Read::Truncated => Health::Truncated,
        };
        let inspected = match (inspect, read) {
            (Inspect::Body, Read::All | Read::Truncated) => request.inspected.bytes.len(),
            _ => 0,
        };
        let problem = match read {
            Read::Malformed(why) => why.to_owned(),
            Read::All | Read::Truncated => String::new(),
        };
        let waf = Waf { mode: view.mode, problem, ..fact(outcome, health, inspected) };
        (waf, inspection.work_bytes())
    }

    fn observe_request<'a>(
        &'a self,
        view: &'a View,
        inspect: Inspect,
        request: &Request,
        conn: &Conn,
        limits: &Limits,
    ) -> (Waf, Inspection<'a>) {
        let (target, authority) = (request.target(), request.authority());
        let mut headers: Vec<(&[u8], &[u8])> = request
            .headers
            .iter()
            .map(|header| (header.name.as_str().as_bytes(), header.value.as_bytes()))
            .collect();
        if request.headers.get("host").is_none() {
            headers.insert(0, (b"host", authority.as_bytes()));
        }
        let body = match inspect {
            Inspect::Body => request.inspected.bytes.as_ref(),
            Inspect::Head | Inspect::Nothing => b"",
        };
        let transaction = seclang::Request {
            method: request.method.as_str().as_bytes(),
            target: target.as_bytes(),
            protocol: protocol(request.protocol).as_bytes(),
            headers: &headers,
            body,
            client: conn.ip,
            client_port: conn.port,
            id: "",
        };
        let inspection = self.set.inspect(&transaction, &view.overlay, limits);
        let outcome = inspection.outcome();
        let partial = inspect == Inspect::Body && !request.inspected.whole;
        let (health, problem) = match outcome.health {
            // Half of a document is malformed: what is wrong is that it is half.
            _ if partial => (Health::Truncated, ""),
            seclang::Health::Ok => (Health::Ok, ""),
            seclang::Health::Truncated => (Health::Truncated, ""),
            seclang::Health::Malformed(reason) => (Health::Malformed, reason.as_str()),
        };
        let problem = problem.to_owned();
        let waf = Waf { mode: view.mode, problem, ..fact(outcome, health, body.len()) };
        (waf, inspection)
    }
}

fn limits() -> Limits {
    Limits { values_max: VALUES_MAX, ..Limits::default() }
}

fn views() -> Arc<[View]> {
    [View::default()].into()
}

fn no_threshold(file: &str) -> RuleProblem {
    let message = "no `SecAction` sets `tx.inbound_anomaly_score_threshold` to a number above 0";
    RuleProblem {
        file: file.to_owned(),
        line: 1,
        column: 1,
        message: message.to_owned(),
        hint: None,
    }
}

/// As a request line has it.
fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http10 => "HTTP/1.0",
        Protocol::Http11 => "HTTP/1.1",
        Protocol::Http2 => "HTTP/2.0",
    }
}

/// Everything but the body.
fn head(request: &Request, input: &mut Input) {
    let target = request.target();
    input.push(Collection::RequestMethod, "", request.method.as_str());
    input.push(Collection::RequestUri, "", target);
    input.push(
        Collection::RequestFilename,
        "",
        request.path.segments().iter().fold(String::new(), |path, segment| path + "/" + segment),
    );
    if let Some(last) = request.path.segments().last() {
        input.push(Collection::RequestBasename, "", last.as_str());
    }
    if let Some(query) = &request.query {
        input.push(Collection::QueryString, "", query.as_str());
        form::pairs(query.as_str().as_bytes(), Collection::ArgsGet, input);
    }
    for header in request.headers.iter() {
        let name = header.name.as_str();
        input.push(Collection::RequestHeadersNames, "", name);
        match name {
            "authorization" => {}
            "cookie" => cookies(header.value.as_bytes(), input),
            _ => input.push(Collection::RequestHeaders, name, header.value.as_bytes()),
        }
    }
}

/// `a=1; b=2` (RFC 6265 §4.2), each as it stands.
fn cookies(field: &[u8], input: &mut Input) {
    for cookie in field.split(|byte| *byte == b';') {
        let cookie = cookie.trim_ascii();
        if cookie.is_empty() {
            continue;
        }
        let at = cookie.iter().position(|byte| *byte == b'=').unwrap_or(cookie.len());
        let (name, value) = cookie.split_at_checked(at).unwrap_or((cookie, b""));
        let name = String::from_utf8_lossy(name).into_owned();
        input.push(Collection::RequestCookiesNames, "", name.as_str());
        input.push(Collection::RequestCookies, name, value.strip_prefix(b"=").unwrap_or(value));
    }
}

fn fact(outcome: Outcome<'_>, health: Health, inspected: usize) -> Waf {
    let told = outcome.hits.iter().map(|hit| hit.id);
    // A rule that refuses by itself is named, also if it says nothing.
    let told = told.chain(outcome.interrupted_by.map(|by| by.id));
    let mut rules: Vec<String> = told.map(|id| id.to_string()).collect();
    rules.sort();
    rules.dedup();
    rules.truncate(RULES_MAX);
    let attacks =
        outcome.hits.iter().flat_map(|hit| &hit.tags).filter(|tag| tag.starts_with("attack-"));
    let mut classes: Vec<String> = attacks.map(|tag| (*tag).to_owned()).collect();
    classes.sort();
    classes.dedup();
    classes.truncate(RULES_MAX);
    let hit = |hit: seclang::Hit<'_>| WafHit {
        rule: hit.id.to_string(),
        message: cut(&hit.message, MESSAGE_CHARS_MAX),
        target: place(&hit.target),
    };
    Waf {
        health,
        problem: String::new(),
        mode: WafMode::default(),
        score: outcome.score,
        threshold: outcome.threshold,
        rules,
        classes,
        hits: outcome.hits.into_iter().take(HITS_MAX).map(hit).collect(),
        inspected_bytes: i64::try_from(inspected).unwrap_or(i64::MAX),
    }
}

/// Where a hit was. A name that is none (what stands before a `=` in a body that is no form, a cookie
/// without one) may hold anybody's secret, and is left out.
fn place(target: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_-.$[]".contains(char);
    match target.split_once(':') {
        Some((collection, name))
            if collection == "REQUEST_COOKIES_NAMES" || !name.chars().all(plain) =>
        {
            collection.to_owned()
        }
        Some((collection, name)) => format!("{collection}:{}", cut(name, NAME_CHARS_MAX)),
        None => target.to_owned(),
    }
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

#[cfg(test)]
mod tests;
