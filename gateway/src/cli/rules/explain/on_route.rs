//! What a configuration says of the rules for one request: that of its route, or of the top.

use std::sync::Arc;

use anyhow::bail;
use http::Method;
use signals::{Host, Path, RuleSettings};

use super::written::Written;
use crate::config::Config;
use crate::route::{self, Match, Route};

/// What holds for a request.
#[derive(Debug, Default)]
pub(super) struct OnRoute {
    /// `api/route`; none, if it is what the top says.
    pub(super) route: Option<String>,
    pub(super) settings: RuleSettings,
    pub(super) notes: Vec<String>,
    /// Bytes of the body that rules look at there, if there is a route.
    bytes: Option<usize>,
}

impl OnRoute {
    /// What holds on the route of that name, or else on the one that the request is for.
    pub(super) fn of(
        config: &Config,
        name: Option<&str>,
        written: &Written<'_>,
    ) -> anyhow::Result<Self> {
        let found = match name {
            Some(name) => Ok(named(config, name)?),
            None => asked_for(config, written),
        };
        let top = || config.waf.views.first().map(|top| top.settings.clone()).unwrap_or_default();
        let route = match found {
            Ok(route) => route,
            Err(why) => {
                let note = format!("{why}: what `waf` at the top says holds here");
                return Ok(Self { settings: top(), notes: vec![note], ..Self::default() });
            }
        };
        let view = config.waf.views.get(route.checks.view);
        let mut notes = Vec::new();
        let bytes = match (route.checks.waf, route.inspect) {
            (signals::Inspect::Nothing, _) => {
                notes.push("this route has no check `waf`: rules do not look there".to_owned());
                None
            }
            (signals::Inspect::Head, _) | (_, route::Inspect::None) => Some(0),
            (signals::Inspect::Body, route::Inspect::Bytes(bytes)) => Some(bytes),
        };
        Ok(Self {
            route: Some(called(&route)),
            settings: view.map_or_else(top, |view| view.settings.clone()),
            notes,
            bytes,
        })
    }

    /// The bytes of a response's body that rules look at.
    pub(super) fn of_response(&self, notes: &mut Vec<String>) -> usize {
        let said = self.settings.responses;
        if said.is_none() && self.route.is_some() {
            notes.push("this route does not say `responses`: rules do not look at them".to_owned());
        }
        said.unwrap_or(usize::MAX)
    }

    /// The part of a body that rules look at.
    pub(super) fn inspected<'a>(&self, body: &'a [u8], notes: &mut Vec<String>) -> &'a [u8] {
        match self.bytes.and_then(|bytes| body.get(..bytes)) {
            Some(part) if part.len() < body.len() => {
                let (part_len, whole) = (part.len(), body.len());
                notes.push(format!("this route inspects {part_len} of the body's {whole} bytes"));
                part
            }
            _ => body,
        }
    }
}

fn called(route: &Route) -> String {
    format!("{}/{}", route.api.name, route.name)
}

/// The route `api/route`, or the only one that is called so.
fn named(config: &Config, name: &str) -> anyhow::Result<Arc<Route>> {
    let is_named = |route: &&Arc<Route>| called(route) == name || route.name == name;
    let found: Vec<&Arc<Route>> = config.routes.iter().filter(is_named).collect();
    match found.as_slice() {
        [only] => Ok(Arc::clone(only)),
        [] => {
            let known: Vec<String> = config.routes.iter().map(|route| called(route)).collect();
            bail!("there is no route `{name}`: there are {}", known.join(", "))
        }
        [first, ..] => bail!("several routes are called `{name}`: say `{}`, say", called(first)),
    }
}

/// The route that the request is for, whatever its method; or why there is none.
fn asked_for(config: &Config, written: &Written<'_>) -> Result<Arc<Route>, &'static str> {
    let host = written.header(b"host").ok_or("the request names no host")?;
    let (host, _) = Host::parse(host).map_err(|_| "the request names no host")?;
    let path = written.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let path = Path::parse(path).map_err(|_| "the target is none that the gateway reads")?;
    let method = Method::from_bytes(written.method).unwrap_or_default();
    match config.routes.find(host.as_str(), &method, path.segments()) {
        Match::Found { route, .. } | Match::WrongMethod { route, .. } => Ok(route),
        Match::NoRoute => Err("no route is for this host and path"),
    }
}
