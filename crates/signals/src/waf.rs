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

use std::sync::Arc;

use seclang::{File, Limits, Loaded, Outcome, Overlay, Problem, RuleSet, Wanted};

use crate::{Health, Inspect, Request, Waf, WafHit};
use input::{Collection, Input};

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

/// The check with its rule set.
#[derive(Debug, Clone)]
pub struct Rules(Arc<Check>);

#[derive(Debug)]
struct Check {
    rules: RuleSet,
    overlay: Overlay,
}

/// How much of the request became values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    All,
    Truncated,
    Unavailable,
}

impl Rules {
    /// Loads rule files, given as name and text. They stand alone: none includes another.
    pub fn load(files: &[(&str, &str)]) -> Result<Self, Vec<Problem>> {
        let file = |(name, text): &(&str, &str)| File {
            name: (*name).to_owned(),
            text: text.as_bytes().to_vec(),
        };
        let read: Vec<File> = files.iter().map(file).collect();
        let Loaded { rules, .. } = RuleSet::load(&read, &nothing_else)?;
        if rules.threshold() <= 0 {
            let file = files.first().map_or("", |(name, _)| *name).to_owned();
            let message =
                "no `SecAction` sets `tx.inbound_anomaly_score_threshold` to a number above 0";
            let message = message.to_owned();
            return Err(vec![Problem { file, line: 1, column: 1, message, hint: None }]);
        }
        Ok(Self(Arc::new(Check { rules, overlay: Overlay::default() })))
    }

    /// Our own rules.
    pub fn default_rules() -> Result<Self, Vec<Problem>> {
        Self::load(&[("default.conf", DEFAULT_RULES)])
    }

    /// Looks, and reports. It cannot refuse.
    pub fn observe(&self, inspect: Inspect, request: &Request) -> Waf {
        if inspect == Inspect::Nothing {
            return Waf::default();
        }
        let mut input = Input::new(VALUES_MAX);
        head(request, &mut input);
        let read = match inspect {
            Inspect::Body => body::read(request, &mut input),
            Inspect::Head | Inspect::Nothing => Read::All,
        };
        let outcome = self.0.look(&input);
        let whole = !input.is_truncated() && outcome.health == seclang::Health::Ok;
        let health = match read {
            Read::Unavailable => Health::Unavailable,
            Read::All if whole => Health::Ok,
            Read::All | Read::Truncated => Health::Truncated,
        };
        let inspected = match (inspect, read) {
            (Inspect::Body, Read::All | Read::Truncated) => request.inspected.bytes.len(),
            _ => 0,
        };
        fact(outcome, health, inspected)
    }
}

impl Check {
    fn look(&self, input: &Input) -> Outcome<'_> {
        let values: Vec<seclang::Value<'_>> =
            input.values().iter().map(input::Value::as_seen).collect();
        let limits = Limits { values_max: VALUES_MAX, ..Limits::default() };
        self.rules.inspect_values(&values, &self.overlay, &limits).outcome()
    }
}

/// Rule files that stand alone name no others.
fn nothing_else(wanted: Wanted<'_>) -> Result<Vec<File>, String> {
    let (Wanted::Include { pattern: name, .. } | Wanted::Data { name, .. }) = wanted;
    Err(format!("`{name}` is not read: these rules stand alone"))
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

fn fact(mut outcome: Outcome<'_>, health: Health, inspected: usize) -> Waf {
    // A rule that looks at nothing finds nothing.
    outcome.hits.retain(|hit| !hit.target.is_empty());
    let mut rules: Vec<String> = outcome.hits.iter().map(|hit| hit.id.to_string()).collect();
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
        score: outcome.score,
        threshold: outcome.threshold,
        rules,
        classes,
        hits: outcome.hits.into_iter().take(HITS_MAX).map(hit).collect(),
        inspected_bytes: i64::try_from(inspected).unwrap_or(i64::MAX),
    }
}

/// Where a hit was. A name that is none (what stands before a `=` in a body that is no form, say)
/// may hold anybody's secret, and is left out.
fn place(target: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_-.$[]".contains(char);
    match target.split_once(':') {
        Some((collection, name)) if !name.chars().all(plain) => collection.to_owned(),
        Some((collection, name)) => format!("{collection}:{}", cut(name, NAME_CHARS_MAX)),
        None => target.to_owned(),
    }
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

#[cfg(test)]
mod tests;
