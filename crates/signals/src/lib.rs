//! What can be seen of a request: the one canonical [`Request`], who asks ([`Identity`]) and
//! what the checks found ([`Facts`]). Everything here is synchronous and pure: the clock is an
//! argument, and nothing reads a file, a socket or the environment.
//!
//! A check reports and never refuses: [`Signals::observe`] returns [`Facts`], and a check that
//! could not look says so in its [`Health`], so that refusing or not is a line of Cedar.

mod facts;
mod identity;
mod rate;
mod request;
mod signals;
mod waf;

pub use facts::{
    Abuse, Conn, Facts, Health, IdentityFact, Rate, Session, Token, Waf, WafHit, WafMode,
};
pub use identity::{Identity, Principal, PrincipalKind};
pub use rate::{KEYS_MAX, RateKey, RateLimit, RateTable};
pub use request::{
    Framing, Header, Headers, Host, Inspected, Path, Protocol, Query, Request, Scheme, Unreadable,
    is_end_to_end,
};
pub use signals::{Checks, Inspect, Seen, Signals};
pub use waf::{
    AwaitedResponse, DEFAULT_RULES, Fetch, MatchedData, Observed, RuleEngineSettings,
    RuleExclusion, RuleFile, RuleHealth, RuleHit, RuleLimits, RuleOverlay, RuleProblem,
    RuleRequest, RuleResponse, RuleSet, RuleSettings, Rules, UnfitRuleSetting, VALUES_MAX, Wanted,
    WrittenRule, WrittenRuleLink,
};
